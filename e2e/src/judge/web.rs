//! The judge of a whole web: each host by its own robots.txt, and the addresses that hosts share.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::{Rules, Verdict, judge_host, millis, nanos};
use crate::access_log::Record;
use crate::web::site::{Robots, Site};
use crate::web::{Config, REBINDING};

/// What the visitors had to keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRules {
    /// What holds at every host; what its robots.txt says is added.
    pub host: Rules,
    /// The longest `Crawl-delay` that is kept; hosts that ask for more are not visited.
    pub max_crawl_delay: Duration,
    /// Most requests to one address that may be open at the same moment.
    pub max_in_flight_per_address: u32,
    /// Least time between the starts of two requests to one address.
    pub min_gap_per_address: Duration,
}

/// What should not have happened at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressBreach {
    /// More requests were open than allowed.
    InFlight {
        /// Host and path of the request that was one too many.
        url: String,
        /// How many were open with it.
        seen: usize,
    },
    /// A request came too soon after the one before.
    Gap {
        /// Host and path of the request that came too soon.
        url: String,
        /// Time between the two starts, in nanoseconds.
        seen_ns: u64,
    },
}

impl fmt::Display for AddressBreach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFlight { url, seen } => write!(f, "{url} was the {seen}. open request at the address"),
            Self::Gap { url, seen_ns } => write!(f, "{url} came {} after another at the address", millis(*seen_ns)),
        }
    }
}

/// What the log of a web shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebVerdict {
    /// Each host by itself.
    pub hosts: BTreeMap<String, Verdict>,
    /// Breaches at each address; an address without one is there too.
    pub addresses: BTreeMap<String, Vec<AddressBreach>>,
}

impl WebVerdict {
    /// Every breach in words.
    pub fn breaches(&self) -> Vec<String> {
        let hosts = self
            .hosts
            .iter()
            .flat_map(|(host, verdict)| verdict.breaches.iter().map(move |breach| format!("{host}: {breach}")));
        let addresses = self
            .addresses
            .iter()
            .flat_map(|(address, breaches)| breaches.iter().map(move |breach| format!("{address}: {breach}")));
        hosts.chain(addresses).collect()
    }

    /// Requests in the log.
    pub fn requests(&self) -> usize {
        self.hosts.values().map(|verdict| verdict.requests).sum()
    }
}

/// Judges the log of a fixture web.
pub fn judge_web(records: &[Record], web: &Config, rules: &WebRules) -> WebVerdict {
    let mut hosts: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    let mut addresses: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for record in records {
        hosts.entry(record.host.clone()).or_default().push(record);
        addresses.entry(record.address.clone()).or_default().push(record);
    }
    let host = |(host, records): (String, Vec<&Record>)| {
        let verdict = judge_host(records, &rules.of_host(web, &host));
        (host, verdict)
    };
    let address = |(address, records)| (address, judge_address(records, rules));
    WebVerdict { hosts: hosts.into_iter().map(host).collect(), addresses: addresses.into_iter().map(address).collect() }
}

impl WebRules {
    fn of_host(&self, web: &Config, host: &str) -> Rules {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if name == REBINDING {
            return Rules { disallowed: vec!["/".to_owned()], max_robots: Some(0), ..self.host.clone() };
        }
        let Some(site) = Site::of_name(web, name) else { return self.host.clone() };
        let mut disallowed = site.robots.disallowed();
        if site.robots.crawl_delay() > self.max_crawl_delay {
            disallowed.push("/".to_owned());
        }
        // A robots.txt that says "later" is asked for again.
        let max_robots = self.host.max_robots.filter(|_| !matches!(site.robots, Robots::Broken | Robots::Busy));
        let min_gap = self.host.min_gap.max(site.robots.crawl_delay().min(self.max_crawl_delay));
        Rules { disallowed, max_robots, min_gap, ..self.host.clone() }
    }
}

fn judge_address(mut records: Vec<&Record>, rules: &WebRules) -> Vec<AddressBreach> {
    records.sort_by_key(|record| record.start_ns);
    let mut breaches = Vec::new();
    let mut open: BTreeSet<(u64, usize)> = BTreeSet::new();
    let mut previous_ns = None;
    for (place, record) in records.into_iter().enumerate() {
        open.retain(|(end_ns, _)| *end_ns > record.start_ns);
        open.insert((record.end_ns, place));
        let url = || format!("{}{}", record.host, record.path);
        if open.len() > rules.max_in_flight_per_address as usize {
            breaches.push(AddressBreach::InFlight { url: url(), seen: open.len() });
        }
        let gap = previous_ns.map(|previous: u64| Duration::from_nanos(record.start_ns - previous));
        if let Some(gap) = gap.filter(|gap| *gap + rules.host.tolerance < rules.min_gap_per_address) {
            breaches.push(AddressBreach::Gap { url: url(), seen_ns: nanos(gap) });
        }
        previous_ns = Some(record.start_ns);
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn visit(host: &str, path: &str, start_ms: u64, end_ms: u64) -> Record {
        Record {
            start_ns: start_ms * MS,
            start_unix_ms: start_ms,
            end_ns: end_ms * MS,
            method: "GET".to_owned(),
            host: format!("{host}:8090"),
            path: path.to_owned(),
            status: 200,
            agent: "bot".to_owned(),
            in_flight: 1,
            address: "127.0.0.1".to_owned(),
            pause_ms: None,
        }
    }

    fn rules() -> WebRules {
        WebRules {
            host: Rules { disallowed: Vec::new(), max_robots: Some(1), ..Rules::default() },
            max_crawl_delay: Duration::from_secs(30),
            max_in_flight_per_address: 1,
            min_gap_per_address: Duration::from_millis(50),
        }
    }

    /// Hosts 0 (which forbids its secrets) and 6 (which forbids everything).
    fn visits() -> Vec<Record> {
        let (first, closed) = ("h0.ip0.web.test", "h6.ip0.web.test");
        vec![visit(first, "/robots.txt", 0, 10), visit(closed, "/robots.txt", 60, 70), visit(first, "/", 120, 130)]
    }

    fn breaches(visits: &[Record]) -> Vec<String> {
        judge_web(visits, &Config::default(), &rules()).breaches()
    }

    #[test]
    fn polite_visits_have_no_breach() {
        assert_eq!(breaches(&visits()), Vec::<String>::new());
    }

    #[test]
    fn each_host_is_held_to_its_own_robots_txt() {
        let mut visits = visits();
        visits.push(visit("h6.ip0.web.test", "/", 200, 210));
        visits.push(visit("h0.ip0.web.test", "/secret/1", 300, 310));
        let found = breaches(&visits);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|breach| breach.contains("disallowed")), "{found:?}");
    }

    #[test]
    fn a_name_that_rebinds_is_asked_for_nothing() {
        for path in ["/", "/robots.txt"] {
            let visits = [visit(REBINDING, path, 0, 10)];
            assert!(!breaches(&visits).is_empty(), "{path}");
        }
    }

    #[test]
    fn hosts_at_one_address_share_its_limits() {
        let mut close = visits();
        close[1].start_ns = 30 * MS;
        assert!(breaches(&close)[0].contains("30.000 ms after another"), "{:?}", breaches(&close));
        let mut overlapping = visits();
        overlapping[0].end_ns = 65 * MS;
        assert!(breaches(&overlapping)[0].contains("2. open request"), "{:?}", breaches(&overlapping));
    }

    #[test]
    fn a_crawl_delay_is_owed_between_two_requests() {
        let site = "h5.ip0.web.test";
        let slow = [visit(site, "/robots.txt", 0, 10), visit(site, "/", 500, 510)];
        assert!(breaches(&slow)[0].contains("1000.000 ms were owed"), "{:?}", breaches(&slow));
    }
}
