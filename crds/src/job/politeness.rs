//! `spec.politeness` and `spec.circuitBreaker`: how gently hosts and addresses are visited, by all nodes together.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::rules;
use crate::units::Span;

/// Most entries in `politeness.perHost`.
pub const HOST_RULES_MAX: usize = 256;
/// Most entries in `politeness.windows`.
pub const WINDOWS_MAX: usize = 32;
/// Largest `politeness.concurrentRequestsPerHost` and `concurrentRequestsPerIP`.
pub const CONCURRENCY_MAX: u32 = 64;

/// How gently each host is visited, by all nodes together. Where several jobs visit a host, the gentlest wish counts for all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_politeness)]
pub struct PolitenessSpec {
    /// How robots.txt (RFC 9309) is read.
    #[serde(default)]
    pub robots: RobotsSpec,
    /// Shortest time from an answer of a host to the next request to it; at most 24h.
    #[serde(default = "default_delay")]
    pub delay: Span,
    /// Most requests in flight to one host.
    #[serde(default = "default_concurrency")]
    #[schemars(with = "i32", range(min = 1, max = 64))]
    pub concurrent_requests_per_host: u32,
    /// Shortest time from an answer of an address to the next request to it, over all hosts there; at most 24h.
    #[serde(rename = "delayPerIP", default = "default_no_delay")]
    pub delay_per_ip: Span,
    /// Most requests in flight to one address, over all hosts there; without it 4, or `concurrentRequestsPerHost` if that is more.
    #[serde(rename = "concurrentRequestsPerIP", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 64))]
    pub concurrent_requests_per_ip: Option<u32>,
    /// Adapts the delay to how fast a host answers.
    #[serde(default)]
    pub auto_throttle: AutoThrottleSpec,
    /// Pages are fetched only within these times; without any, always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub windows: Vec<WindowSpec>,
    /// Hosts that are visited more gently than the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub per_host: Vec<HostRuleSpec>,
}

/// How robots.txt is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_robots)]
pub struct RobotsSpec {
    /// Obey robots.txt. Turn it off for your own hosts only.
    #[serde(default = "default_obey")]
    pub obey: bool,
    /// The product token looked for in robots.txt; without it the one that `request.userAgent` starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z_-]+$"))]
    pub user_agent_token: Option<String>,
    /// How old a robots.txt may be before it is fetched again, once for the whole ring; 1m to 24h (RFC 9309, section 2.4). Where several jobs visit a host, the shortest wish counts for all of them. One that cannot be fetched again is believed for 24h.
    #[serde(rename = "cacheTTL", default = "default_cache_ttl")]
    pub cache_ttl: Span,
    /// The longest Crawl-delay that is waited for; at most 24h.
    #[serde(default = "default_max_crawl_delay")]
    pub max_crawl_delay: Span,
    /// What becomes of a host that asks for a longer Crawl-delay. skip: its pages are skipped. clamp: it is visited with `maxCrawlDelay`.
    #[serde(default)]
    pub over_max: OverMaxSpec,
}

/// What becomes of a host that asks for a longer Crawl-delay than the job waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OverMaxSpec {
    /// Its pages are skipped.
    #[default]
    Skip,
    /// It is visited with the longest delay that the job waits for.
    Clamp,
}

/// Adapts the delay to how fast a host answers, by the rule of Scrapy's AutoThrottle: half way from the present delay to the time of an answer divided by `targetConcurrency`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_auto_throttle)]
pub struct AutoThrottleSpec {
    /// Turns it on. `politeness.delay` is then the shortest delay.
    #[serde(default)]
    pub enabled: bool,
    /// Requests that are to be in flight to a host on average, 0.01 to 64.
    #[serde(default = "default_target")]
    #[schemars(schema_with = "target_concurrency")]
    pub target_concurrency: f64,
    /// The longest delay that it comes to; at most 24h.
    #[serde(default = "default_throttle_max")]
    pub max_delay: Span,
}

/// A time of the day on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowSpec {
    /// The days on which it begins; without any, every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub days: Vec<DaySpec>,
    /// When it begins, as hours and minutes such as `20:00`.
    #[schemars(length(min = 5, max = 5), regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// When it ends, on the next day if that is not later than `from`.
    #[schemars(length(min = 5, max = 5), regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub to: String,
    /// The time zone of both, a name of the IANA database such as `Europe/Madrid`.
    #[serde(default = "default_time_zone")]
    #[schemars(transform = crate::schema::time_zone)]
    pub time_zone: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum DaySpec {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A host that is visited more gently than the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_host_rule)]
pub struct HostRuleSpec {
    /// A host such as `www.example.com`, or `*.example.com` for every host below it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^(\*\.)?[A-Za-z0-9._-]+$"))]
    pub host: String,
    /// The delay there, not shorter than `politeness.delay`; at most 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Most requests in flight there, not more than `politeness.concurrentRequestsPerHost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 64))]
    pub concurrent_requests: Option<u32>,
}

/// When a host that fails (no connection, no answer, 5xx) is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_breaker)]
pub struct CircuitBreakerSpec {
    /// Failures in a row after which it is left alone.
    #[serde(default = "default_failures")]
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub consecutive_failures: u32,
    /// For how long; 1s to 24h.
    #[serde(default = "default_open_for")]
    pub open_for: Span,
    /// Requests in flight that try it afterwards.
    #[serde(default = "default_probes")]
    #[schemars(with = "i32", range(min = 1, max = 64))]
    pub half_open_probes: u32,
    /// Once it was left alone so often without a success between, its pages fail as hostBroken.
    #[serde(default = "default_max_opens")]
    #[schemars(with = "i32", range(min = 1, max = 100))]
    pub max_opens: u32,
}

impl Default for PolitenessSpec {
    fn default() -> Self {
        Self {
            robots: RobotsSpec::default(),
            delay: default_delay(),
            concurrent_requests_per_host: default_concurrency(),
            delay_per_ip: default_no_delay(),
            concurrent_requests_per_ip: None,
            auto_throttle: AutoThrottleSpec::default(),
            windows: Vec::new(),
            per_host: Vec::new(),
        }
    }
}

impl Default for RobotsSpec {
    fn default() -> Self {
        Self {
            obey: default_obey(),
            user_agent_token: None,
            cache_ttl: default_cache_ttl(),
            max_crawl_delay: default_max_crawl_delay(),
            over_max: OverMaxSpec::default(),
        }
    }
}

impl Default for AutoThrottleSpec {
    fn default() -> Self {
        Self { enabled: false, target_concurrency: default_target(), max_delay: default_throttle_max() }
    }
}

impl Default for CircuitBreakerSpec {
    fn default() -> Self {
        Self {
            consecutive_failures: default_failures(),
            open_for: default_open_for(),
            half_open_probes: default_probes(),
            max_opens: default_max_opens(),
        }
    }
}

/// A number; servers warn of the format that comes with the type.
fn target_concurrency(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0.01, "maximum": 64.0 })
}

fn default_delay() -> Span {
    Span(Duration::from_secs(1))
}

fn default_no_delay() -> Span {
    Span(Duration::ZERO)
}

fn default_concurrency() -> u32 {
    1
}

fn default_obey() -> bool {
    true
}

fn default_cache_ttl() -> Span {
    Span(Duration::from_secs(24 * 3_600))
}

fn default_max_crawl_delay() -> Span {
    Span(Duration::from_secs(30))
}

fn default_target() -> f64 {
    1.0
}

fn default_throttle_max() -> Span {
    Span(Duration::from_secs(60))
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

fn default_failures() -> u32 {
    10
}

fn default_open_for() -> Span {
    Span(Duration::from_secs(60))
}

fn default_probes() -> u32 {
    1
}

fn default_max_opens() -> u32 {
    3
}
