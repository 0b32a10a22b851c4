//! `spec.politeness` and `spec.circuitBreaker`: bounds, and rules that can only be gentler.

use std::time::Duration;

use scrapering_core::job::{AutoThrottle, BreakerRules, HostRule, OverMax, Politeness};
use scrapering_crds::Span;
use scrapering_crds::job::politeness::{CONCURRENCY_MAX, HOST_RULES_MAX, WINDOWS_MAX};
use scrapering_crds::job::{
    AutoThrottleSpec, CircuitBreakerSpec, HostRuleSpec, OverMaxSpec, PolitenessSpec, ScrapeJobSpec,
};

use super::fetch::{DAY, check_span};
use super::report::{Faults, Place, excerpt};
use super::window::Window;

const TOKEN_BYTES_MAX: usize = 64;
const HOST_BYTES_MAX: usize = 253;
const FAILURES_MAX: u32 = 1_000;
const OPENS_MAX: u32 = 100;
/// An address may have this many requests in flight unless the job says otherwise, or allows one host more.
const CONCURRENCY_PER_IP: u32 = 4;

pub(super) fn politeness(spec: &ScrapeJobSpec, at: &Place, faults: &mut Faults) -> Politeness {
    let written = &spec.politeness;
    let at_politeness = at.field("politeness");
    let at_robots = at_politeness.field("robots");
    check_span(written.robots.cache_ttl, Duration::from_secs(60), DAY, &at_robots.field("cacheTTL"), faults);
    check_span(written.robots.max_crawl_delay, Duration::ZERO, DAY, &at_robots.field("maxCrawlDelay"), faults);
    check_span(written.delay, Duration::ZERO, DAY, &at_politeness.field("delay"), faults);
    check_span(written.delay_per_ip, Duration::ZERO, DAY, &at_politeness.field("delayPerIP"), faults);
    let concurrency = written.concurrent_requests_per_host;
    check_count(concurrency, CONCURRENCY_MAX, &at_politeness.field("concurrentRequestsPerHost"), faults);
    if let Some(per_ip) = written.concurrent_requests_per_ip {
        check_count(per_ip, CONCURRENCY_MAX, &at_politeness.field("concurrentRequestsPerIP"), faults);
    }
    let per_ip = written.concurrent_requests_per_ip.unwrap_or(concurrency.max(CONCURRENCY_PER_IP));
    // Judged here; the coordinator reads them where it keeps the time.
    windows(written, &at_politeness.field("windows"), faults);
    Politeness {
        obey_robots: written.robots.obey,
        user_agent_token: user_agent_token(spec, at, faults),
        delay: written.delay.0,
        concurrent_requests_per_host: concurrency,
        delay_per_ip: written.delay_per_ip.0,
        concurrent_requests_per_ip: per_ip,
        robots_lifetime: written.robots.cache_ttl.0,
        max_crawl_delay: written.robots.max_crawl_delay.0,
        over_max_crawl_delay: match written.robots.over_max {
            OverMaxSpec::Skip => OverMax::Skip,
            OverMaxSpec::Clamp => OverMax::Clamp,
        },
        auto_throttle: auto_throttle(&written.auto_throttle, &at_politeness.field("autoThrottle"), faults),
        breaker: breaker(&spec.circuit_breaker, &at.field("circuitBreaker"), faults),
        per_host: per_host(written, &at_politeness.field("perHost"), faults),
    }
}

fn check_count(count: u32, most: u32, at: &Place, faults: &mut Faults) {
    if !(1..=most).contains(&count) {
        faults.add(at, format!("is {count}; use 1 to {most}"));
    }
}

/// The times in which pages may be fetched; empty for always.
pub(super) fn windows(written: &PolitenessSpec, at: &Place, faults: &mut Faults) -> Vec<Window> {
    if written.windows.len() > WINDOWS_MAX {
        faults.add(at, format!("has {} entries; at most {WINDOWS_MAX} are allowed", written.windows.len()));
        return Vec::new();
    }
    let read = |(index, window)| Window::read(window, &at.index(index), faults);
    written.windows.iter().enumerate().filter_map(read).collect()
}

fn auto_throttle(written: &AutoThrottleSpec, at: &Place, faults: &mut Faults) -> Option<AutoThrottle> {
    check_span(written.max_delay, Duration::from_millis(1), DAY, &at.field("maxDelay"), faults);
    let target = written.target_concurrency;
    if !(0.01..=f64::from(CONCURRENCY_MAX)).contains(&target) {
        faults.add(&at.field("targetConcurrency"), format!("is {target}; use 0.01 to {CONCURRENCY_MAX}"));
        return None;
    }
    // In bounds: at most 64,000.
    let target_milli = (target * 1_000.0).round() as u32;
    written.enabled.then_some(AutoThrottle { target_milli, max_delay: written.max_delay.0 })
}

fn breaker(written: &CircuitBreakerSpec, at: &Place, faults: &mut Faults) -> BreakerRules {
    check_count(written.consecutive_failures, FAILURES_MAX, &at.field("consecutiveFailures"), faults);
    check_count(written.half_open_probes, CONCURRENCY_MAX, &at.field("halfOpenProbes"), faults);
    check_count(written.max_opens, OPENS_MAX, &at.field("maxOpens"), faults);
    check_span(written.open_for, Duration::from_secs(1), DAY, &at.field("openFor"), faults);
    BreakerRules {
        consecutive_failures: written.consecutive_failures,
        open_for: written.open_for.0,
        half_open_probes: written.half_open_probes,
        max_opens: written.max_opens,
    }
}

fn per_host(written: &PolitenessSpec, at: &Place, faults: &mut Faults) -> Vec<HostRule> {
    if written.per_host.len() > HOST_RULES_MAX {
        faults.add(at, format!("has {} entries; at most {HOST_RULES_MAX} are allowed", written.per_host.len()));
        return Vec::new();
    }
    let rule = |(index, rule)| host_rule(rule, written, &at.index(index), faults);
    written.per_host.iter().enumerate().map(rule).collect()
}

fn host_rule(rule: &HostRuleSpec, common: &PolitenessSpec, at: &Place, faults: &mut Faults) -> HostRule {
    let name = rule.host.strip_prefix("*.").unwrap_or(&rule.host);
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if name.is_empty() || !is_name || rule.host.len() > HOST_BYTES_MAX {
        let shown = excerpt(&rule.host);
        faults.add(
            &at.field("host"),
            format!("`{shown}` is not a host; write www.example.com, or *.example.com for all below it"),
        );
    }
    if let Some(delay) = rule.delay {
        if delay < common.delay {
            let message = format!(
                "is {delay}, shorter than politeness.delay ({}); a host can only be visited more gently",
                common.delay
            );
            faults.add(&at.field("delay"), message);
        }
        check_span(delay, Duration::ZERO, DAY, &at.field("delay"), faults);
    }
    if let Some(requests) = rule.concurrent_requests {
        let at = at.field("concurrentRequests");
        let most = common.concurrent_requests_per_host;
        if requests > most {
            let message = format!(
                "is {requests}, more than politeness.concurrentRequestsPerHost ({most}); a host can only be visited more gently"
            );
            faults.add(&at, message);
        } else {
            check_count(requests, CONCURRENCY_MAX, &at, faults);
        }
    }
    if rule.delay.is_none() && rule.concurrent_requests.is_none() {
        faults.add(at, "changes nothing; give it a delay or concurrentRequests");
    }
    HostRule {
        host: rule.host.to_ascii_lowercase(),
        delay: rule.delay.map(|Span(delay)| delay),
        concurrent_requests: rule.concurrent_requests,
    }
}

/// The token of robots.txt is the product that the `User-Agent` names, so that sites can tell whom they address.
fn user_agent_token(spec: &ScrapeJobSpec, at: &Place, faults: &mut Faults) -> String {
    let is_token = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    let user_agent = &spec.request.user_agent;
    let Some(token) = &spec.politeness.robots.user_agent_token else {
        let end = user_agent.bytes().take_while(|byte| is_token(*byte)).count();
        if end == 0 {
            faults.add(
                &at.field("request").field("userAgent"),
                "begins with no product token for robots.txt; begin it like `examplebot/1.0`, or set politeness.robots.userAgentToken",
            );
        }
        return user_agent[..end].to_owned();
    };
    let at_token = at.field("politeness").field("robots").field("userAgentToken");
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(is_token) {
        faults.add(
            &at_token,
            format!("`{}` is not a product token; use letters, `-` and `_`, without a version", excerpt(token)),
        );
    } else if !user_agent.to_ascii_lowercase().contains(&token.to_ascii_lowercase()) {
        faults.add(&at_token, format!("`{token}` does not occur in request.userAgent; sites must be able to recognise whom their rules address"));
    }
    token.clone()
}
