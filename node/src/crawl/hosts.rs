//! Hosts for the doors, through this node or any other: what their owners know of them, and what the operator asks for.

use super::Crawl;
use super::jobs::JobsError;
use crate::rpc::convert::{self, Malformed};
use schemars::JsonSchema;
use scrapering_core::frontier::keys::host_partition;
use scrapering_core::frontier::record::{HostLimits, RobotsFile};
use scrapering_core::frontier::shard::{HostStatus, RobotsStatus};
use scrapering_core::job::NormalizedUrl;
use scrapering_proto::v1;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tonic::Status;

/// How often an owner is looked for before the caller is told to try again, and the pause between.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// Most hosts in one list.
pub const LIST_MAX: usize = 1_000;

/// Whether a host is visited now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HostState {
    /// Nothing waits for it, and nothing is known that would hold a visit up.
    Idle,
    /// It is visited as pages wait for it.
    Open,
    /// It said "later" and is left alone.
    Paused,
    /// It failed and is left alone, or is being tried with a few requests.
    Broken,
    /// The operator has closed it, or blocked it for a time.
    Closed,
    /// Its owner does not want it to be visited.
    OptedOut,
}

/// An origin as its owner knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostObject {
    /// `scheme://host:port`.
    pub origin: String,
    /// Whether it is visited now.
    pub state: HostState,
    /// For how long it is left alone, milliseconds.
    pub closed_for_ms: u64,
    /// `unknown`, `none`, `disallowAll`, `unreachable` or `known`.
    pub robots: String,
    /// Length of its robots.txt, bytes.
    pub robots_bytes: u64,
    /// URLs that wait, of all jobs.
    pub waiting: u64,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests made by its present owner, robots.txt among them.
    pub requests: u64,
    /// Of these, answered with "later" (429, 503).
    pub busy: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// How long its last answer took to begin, milliseconds.
    pub last_latency_ms: u64,
    /// The delay that AutoThrottle has come to, milliseconds.
    pub throttle_ms: u64,
    /// What the operator asks for.
    pub limits: HostLimitsObject,
}

/// What the operator asks for one host; jobs can only be gentler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostLimitsObject {
    /// Shortest delay, milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Most requests in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Nothing is requested at all.
    #[serde(default)]
    pub closed: bool,
    /// Nothing is requested before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub block_until: Option<jiff::Timestamp>,
}

impl HostLimitsObject {
    fn of(limits: HostLimits) -> Self {
        let until = i64::try_from(limits.block_until_ms).ok().filter(|until_ms| *until_ms > 0);
        Self {
            delay_ms: limits.delay_ms,
            concurrent_requests: limits.concurrent_requests,
            closed: limits.closed,
            block_until: until.and_then(|until_ms| jiff::Timestamp::from_millisecond(until_ms).ok()),
        }
    }

    fn block_until_ms(self) -> u64 {
        self.block_until.map_or(0, |until| u64::try_from(until.as_millisecond()).unwrap_or(0))
    }
}

/// What is stored of an origin's robots.txt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RobotsObject {
    /// `scheme://host:port`.
    pub origin: String,
    /// `unknown`, `none` (everything is allowed), `disallowAll` or `known`.
    pub state: String,
    /// When it was fetched, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<String>,
    /// Its text, cut at 500 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The hosts of the ring. A cheap clone.
#[derive(Clone)]
pub struct Hosts {
    pub(super) crawl: Crawl,
}

/// What is asked of a host's owner besides how the host is.
#[derive(Clone, Copy, Debug, Default)]
struct Wish {
    limits: Option<HostLimitsObject>,
    forgive: bool,
    reset_breaker: bool,
}

impl Hosts {
    pub(super) fn new(crawl: Crawl) -> Self {
        Self { crawl }
    }

    /// What is known of `origin`.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`].
    pub async fn read(&self, origin: &str) -> Result<HostObject, JobsError> {
        self.ask(origin, Wish::default()).await
    }

    /// Tries a host as if it had not failed; what it asked for itself still holds.
    ///
    /// # Errors
    /// As [`Hosts::limit`].
    pub async fn reset_breaker(&self, origin: &str) -> Result<HostObject, JobsError> {
        self.ask(origin, Wish { reset_breaker: true, ..Wish::default() }).await
    }

    /// What is stored of a robots.txt.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`].
    pub async fn robots(&self, origin: &str) -> Result<RobotsObject, JobsError> {
        let file = self.host_record(origin).await?.and_then(|record| record.robots);
        let fetched_at = file.as_ref().and_then(|(_, fetched_ms)| super::doors::moment(*fetched_ms));
        let (state, text) = match file {
            None => ("unknown", None),
            Some((RobotsFile::AllowAll, _)) => ("none", None),
            Some((RobotsFile::DisallowAll, _)) => ("disallowAll", None),
            Some((RobotsFile::Text(text), _)) => ("known", Some(text)),
        };
        Ok(RobotsObject { origin: origin.to_owned(), state: state.to_owned(), fetched_at, text })
    }

    /// The hosts that their owners know, in the order of their origins, behind `after`; at most `limit`.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`]: not every node answers.
    pub async fn list(
        &self,
        state: Option<HostState>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<HostObject>, JobsError> {
        let word = state.map(HostState::as_str).unwrap_or_default();
        let living = self.crawl.driver.living_nodes();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let calls = living.into_iter().map(|node| async move {
            let header = self.crawl.driver.peers().header();
            let request = v1::HostsRequest { header, state: word.to_owned(), after: after.to_owned(), limit };
            if node == self.crawl.driver.me() {
                return self.crawl.handle_hosts(&request).await.ok();
            }
            let mut frontier = self.crawl.driver.peers().frontier(node)?;
            frontier.hosts(request).await.ok().map(tonic::Response::into_inner)
        });
        let mut found = std::collections::BTreeMap::new();
        for reply in futures::future::join_all(calls).await {
            let statuses = reply.ok_or(JobsError::Unavailable)?.statuses;
            let hosts = statuses.iter().filter_map(|status| serde_json::from_str::<HostObject>(status).ok());
            found.extend(hosts.map(|host| (host.origin.clone(), host)));
        }
        Ok(found.into_values().take(limit as usize).collect())
    }

    /// Asks for `limits` at `origin` from now on; `forgive` ends pauses that the ring had decided by itself.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`]: it may be known to some owner, and may be asked for again.
    pub async fn limit(&self, origin: &str, limits: HostLimitsObject, forgive: bool) -> Result<HostObject, JobsError> {
        self.ask(origin, Wish { limits: Some(limits), forgive, ..Wish::default() }).await
    }

    async fn ask(&self, origin: &str, wish: Wish) -> Result<HostObject, JobsError> {
        let Wish { limits, forgive, reset_breaker } = wish;
        let partition = host_partition(origin);
        let to_wire = |limits: HostLimitsObject| v1::HostLimits {
            delay_ms: limits.delay_ms,
            concurrent_requests: limits.concurrent_requests,
            closed: limits.closed,
            block_until_ms: limits.block_until_ms(),
        };
        let message = |header| {
            let limits = limits.map(to_wire);
            v1::HostRequest { header, origin: origin.to_owned(), limits, forgive, reset_breaker }
        };
        for attempt in 0..ATTEMPTS {
            let owner = self.crawl.router.owner(partition, attempt);
            let header = self.crawl.driver.peers().header();
            let reply = if owner == self.crawl.driver.me() {
                self.crawl.handle_host(message(header)).await.ok()
            } else {
                match self.crawl.driver.peers().frontier(owner) {
                    Some(mut frontier) => frontier.host(message(header)).await.ok().map(tonic::Response::into_inner),
                    None => None,
                }
            };
            let reply = reply.filter(|reply| !reply.not_owned);
            self.crawl.router.learn(partition, owner, reply.is_some());
            if let Some(reply) = reply {
                return object(origin, &reply.status).ok_or(JobsError::Unavailable);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(JobsError::Unavailable)
    }
}

/// An owner's answer travels as the JSON that users read.
fn object(origin: &str, status: &str) -> Option<HostObject> {
    serde_json::from_str(status).ok().filter(|object: &HostObject| object.origin == origin)
}

impl Crawl {
    /// What this node knows of a host, and what its operator asks for it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; nothing was done.
    pub async fn handle_host(&self, message: v1::HostRequest) -> Result<v1::HostReply, Status> {
        let origin = message.origin;
        let is_origin = NormalizedUrl::parse(&format!("{origin}/")).is_ok_and(|url| url.origin() == origin);
        if !is_origin {
            return Err(Malformed("origin").into());
        }
        let partition = host_partition(&origin);
        let not_owned = v1::HostReply { not_owned: true, status: String::new() };
        if let Some(limits) = message.limits {
            let limits = HostLimits {
                delay_ms: limits.delay_ms,
                concurrent_requests: limits.concurrent_requests,
                closed: limits.closed,
                block_until_ms: limits.block_until_ms,
            };
            if !self.shards.limits(partition, &origin, limits, message.forgive).await {
                return Ok(not_owned);
            }
        }
        if message.reset_breaker && !self.shards.reset_breaker(partition, &origin).await {
            return Ok(not_owned);
        }
        let Some(status) = self.shards.host_status(partition, &origin).await else { return Ok(not_owned) };
        let object = HostObject::of(origin, status);
        let status = serde_json::to_string(&object).map_err(|_| Status::internal("a status is JSON"))?;
        Ok(v1::HostReply { not_owned: false, status })
    }
}

impl Crawl {
    /// The hosts that this node knows as their owner.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub async fn handle_hosts(&self, message: &v1::HostsRequest) -> Result<v1::HostsReply, Status> {
        let state = match message.state.as_str() {
            "" => None,
            word => Some(HostState::of(word).ok_or(Malformed("state"))?),
        };
        let wanted = move |status: &HostStatus| state.is_none_or(|state| state == HostState::from(status));
        let limit = (message.limit as usize).clamp(1, LIST_MAX + 1);
        let found = self.shards.host_statuses(&message.after, (Box::new(wanted), limit)).await;
        let objects = found.into_iter().map(|(origin, status)| HostObject::of(origin.to_string(), Some(status)));
        let statuses = objects.map(|object| serde_json::to_string(&object)).collect::<Result<_, _>>();
        Ok(v1::HostsReply { statuses: statuses.map_err(|_| Status::internal("a status is JSON"))? })
    }
}

impl HostState {
    const ALL: [Self; 6] = [Self::Idle, Self::Open, Self::Paused, Self::Broken, Self::Closed, Self::OptedOut];

    /// The word that users read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Broken => "broken",
            Self::Closed => "closed",
            Self::OptedOut => "optedOut",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl From<&HostStatus> for HostState {
    fn from(status: &HostStatus) -> Self {
        match status {
            status if status.opted_out => Self::OptedOut,
            status if status.limits.closed || !status.blocked_for.is_zero() => Self::Closed,
            status if !status.paused_for.is_zero() => Self::Paused,
            status if status.is_tripped => Self::Broken,
            status if status.waiting == 0 && status.in_flight == 0 => Self::Idle,
            _ => Self::Open,
        }
    }
}

impl HostObject {
    fn of(origin: String, status: Option<HostStatus>) -> Self {
        let Some(status) = status else { return Self::idle(origin) };
        let (robots, robots_bytes) = match status.robots {
            RobotsStatus::Unknown => ("unknown", 0),
            RobotsStatus::AllowAll => ("none", 0),
            RobotsStatus::DisallowAll => ("disallowAll", 0),
            RobotsStatus::GivenUp => ("unreachable", 0),
            RobotsStatus::Text(bytes) => ("known", bytes as u64),
        };
        let closed_for = status.paused_for.max(status.open_for).max(status.blocked_for);
        Self {
            state: HostState::from(&status),
            closed_for_ms: convert::millis_up(closed_for),
            robots: robots.to_owned(),
            robots_bytes,
            waiting: status.waiting,
            in_flight: status.in_flight,
            requests: status.conduct.requests,
            busy: status.conduct.busy,
            failed: status.conduct.failed,
            consecutive_failures: status.failures,
            last_latency_ms: convert::millis_up(status.conduct.last_latency.unwrap_or_default()),
            throttle_ms: convert::millis_up(status.throttle),
            limits: HostLimitsObject::of(status.limits),
            ..Self::idle(origin)
        }
    }

    /// An origin of which nothing is known.
    #[must_use]
    pub fn idle(origin: String) -> Self {
        Self {
            origin,
            state: HostState::Idle,
            closed_for_ms: 0,
            robots: "unknown".to_owned(),
            robots_bytes: 0,
            waiting: 0,
            in_flight: 0,
            requests: 0,
            busy: 0,
            failed: 0,
            consecutive_failures: 0,
            last_latency_ms: 0,
            throttle_ms: 0,
            limits: HostLimitsObject::default(),
        }
    }
}
