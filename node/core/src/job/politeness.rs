//! How gently each host is visited, over all nodes and jobs together.

use std::time::Duration;

/// A job's wishes. Where several jobs visit a host, the gentlest wish of each kind holds for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Politeness {
    /// Obey robots.txt (RFC 9309).
    pub obey_robots: bool,
    /// Product token looked for in robots.txt, letters, `-` and `_` only; compared without regard to case.
    pub user_agent_token: String,
    /// Shortest time from an answer of a host to the next request to it.
    pub delay: Duration,
    /// Most requests in flight to one host.
    pub concurrent_requests_per_host: u32,
    /// Shortest time from an answer of an address to the next request to it, over all hosts there.
    pub delay_per_ip: Duration,
    /// Most requests in flight to one address, over all hosts there.
    pub concurrent_requests_per_ip: u32,
    /// A robots.txt that is older is fetched again; a day at most (RFC 9309, section 2.4).
    pub robots_lifetime: Duration,
    /// A longer `Crawl-delay` than this is not waited for.
    pub max_crawl_delay: Duration,
    /// What becomes of a host that asks for more than [`Politeness::max_crawl_delay`].
    pub over_max_crawl_delay: OverMax,
    /// Adapt the delay to how fast a host answers.
    pub auto_throttle: Option<AutoThrottle>,
    /// When a host that fails is left alone.
    pub breaker: BreakerRules,
    /// Hosts that are to be visited more gently than the rest.
    pub per_host: Vec<HostRule>,
}

/// What becomes of a host that asks for a longer `Crawl-delay` than the job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverMax {
    /// Its pages are skipped.
    Skip,
    /// It is visited with the longest delay that the job waits for.
    Clamp,
}

/// The rule of Scrapy's AutoThrottle extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoThrottle {
    /// Requests that are to be in flight on average, in thousandths.
    pub target_milli: u32,
    /// Longest delay that it comes to.
    pub max_delay: Duration,
}

impl AutoThrottle {
    /// The next delay after an answer that took `latency`, between `floor` and the longest: half way from the present
    /// delay to `latency / target`, and never below the latter. An answer that is no page never shortens it.
    #[must_use]
    pub fn next_delay(self, delay: Duration, latency: Duration, is_page: bool, floor: Duration) -> Duration {
        let target = latency.saturating_mul(1_000) / self.target_milli.max(1);
        let ceiling = self.max_delay.max(floor);
        let next = target.max(delay.saturating_add(target) / 2).clamp(floor, ceiling);
        if is_page { next } else { next.max(delay) }
    }
}

/// When a host that fails is left alone: after so many failures in a row for so long, then a few requests try it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failures in a row that open it.
    pub consecutive_failures: u32,
    /// How long the host is left alone.
    pub open_for: Duration,
    /// Requests in flight that try the host afterwards.
    pub half_open_probes: u32,
    /// Once it has opened so often without a success between, the host's pages are given up.
    pub max_opens: u32,
}

/// A host, or all hosts below a name, and how they are to be visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// A host, or `*.` and a name for every host below it; lower case.
    pub host: String,
    /// At least this delay.
    pub delay: Option<Duration>,
    /// At most so many requests in flight.
    pub concurrent_requests: Option<u32>,
}

impl HostRule {
    fn covers(&self, host: &str) -> bool {
        match self.host.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => self.host == host,
        }
    }
}

impl Politeness {
    /// The delay at `host`, before it has said anything itself.
    #[must_use]
    pub fn delay_at(&self, host: &str) -> Duration {
        self.rules_of(host).filter_map(|rule| rule.delay).fold(self.delay, Duration::max)
    }

    /// Most requests in flight to `host`.
    #[must_use]
    pub fn concurrency_at(&self, host: &str) -> u32 {
        self.rules_of(host)
            .filter_map(|rule| rule.concurrent_requests)
            .fold(self.concurrent_requests_per_host, u32::min)
    }

    fn rules_of<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a HostRule> {
        self.per_host.iter().filter(move |rule| rule.covers(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_covers_one_host_or_all_below_a_name_and_only_makes_it_gentler() {
        let rule = |host: &str, delay: u64, requests: u32| HostRule {
            host: host.to_owned(),
            delay: Some(Duration::from_secs(delay)),
            concurrent_requests: Some(requests),
        };
        let politeness = Politeness {
            obey_robots: true,
            user_agent_token: "t".to_owned(),
            delay: Duration::from_secs(2),
            concurrent_requests_per_host: 4,
            delay_per_ip: Duration::ZERO,
            concurrent_requests_per_ip: 4,
            robots_lifetime: Duration::from_secs(86_400),
            max_crawl_delay: Duration::ZERO,
            over_max_crawl_delay: OverMax::Skip,
            auto_throttle: None,
            breaker: BreakerRules {
                consecutive_failures: 1,
                open_for: Duration::ZERO,
                half_open_probes: 1,
                max_opens: 1,
            },
            per_host: vec![rule("*.slow.test", 10, 1), rule("fast.test", 1, 9)],
        };
        for (host, delay, requests) in [
            ("a.slow.test", 10, 1),
            ("a.b.slow.test", 10, 1),
            ("slow.test", 2, 4),
            ("notslow.test", 2, 4),
            ("fast.test", 2, 4),
        ] {
            assert_eq!(politeness.delay_at(host), Duration::from_secs(delay), "{host}");
            assert_eq!(politeness.concurrency_at(host), requests, "{host}");
        }
    }

    #[test]
    fn the_throttle_follows_scrapys_formula() {
        let throttle = AutoThrottle { target_milli: 2_000, max_delay: Duration::from_secs(60) };
        let ms = Duration::from_millis;
        for (delay, latency, is_page, next) in [
            (5_000, 1_000, true, 2_750),
            (5_000, 1_000, false, 5_000),
            (1_000, 8_000, true, 4_000),
            (1_000, 8_000, false, 4_000),
            (100, 10, true, 100),
            (1_000, 900_000, true, 60_000),
        ] {
            let found = throttle.next_delay(ms(delay), ms(latency), is_page, ms(100));
            assert_eq!(found, ms(next), "{delay} {latency} {is_page}");
        }
    }
}
