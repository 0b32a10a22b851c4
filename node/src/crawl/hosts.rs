//! Hosts for the doors, through this node or any other: what their owners know of them, and what the operator asks for.

use super::Crawl;
use super::jobs::JobsError;
use crate::rpc::convert::{self, Malformed};
use schemars::JsonSchema;
use scrapering_core::frontier::keys::host_partition;
use scrapering_core::frontier::record::HostLimits;
use scrapering_core::frontier::shard::{HostStatus, RobotsStatus};
use scrapering_core::job::NormalizedUrl;
use scrapering_proto::v1;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tonic::Status;

/// How often an owner is looked for before the caller is told to try again, and the pause between.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

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
    /// The operator has closed it.
    Closed,
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
}

/// The hosts of the ring. A cheap clone.
#[derive(Clone)]
pub struct Hosts {
    crawl: Crawl,
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
        self.ask(origin, None, false).await
    }

    /// Asks for `limits` at `origin` from now on; `forgive` ends pauses that the ring had decided by itself.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`]: it may be known to some owner, and may be asked for again.
    pub async fn limit(&self, origin: &str, limits: HostLimitsObject, forgive: bool) -> Result<HostObject, JobsError> {
        self.ask(origin, Some(limits), forgive).await
    }

    async fn ask(
        &self,
        origin: &str,
        limits: Option<HostLimitsObject>,
        forgive: bool,
    ) -> Result<HostObject, JobsError> {
        let partition = host_partition(origin);
        let to_wire = |limits: HostLimitsObject| v1::HostLimits {
            delay_ms: limits.delay_ms,
            concurrent_requests: limits.concurrent_requests,
            closed: limits.closed,
        };
        let message =
            |header| v1::HostRequest { header, origin: origin.to_owned(), limits: limits.map(to_wire), forgive };
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
            };
            if !self.shards.limits(partition, &origin, limits, message.forgive).await {
                return Ok(not_owned);
            }
        }
        let Some(status) = self.shards.host_status(partition, &origin).await else { return Ok(not_owned) };
        let object = HostObject::of(origin, status);
        let status = serde_json::to_string(&object).map_err(|_| Status::internal("a status is JSON"))?;
        Ok(v1::HostReply { not_owned: false, status })
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
        let state = match &status {
            status if status.limits.closed => HostState::Closed,
            status if !status.paused_for.is_zero() => HostState::Paused,
            status if status.is_tripped => HostState::Broken,
            status if status.waiting == 0 && status.in_flight == 0 => HostState::Idle,
            _ => HostState::Open,
        };
        Self {
            state,
            closed_for_ms: convert::millis_up(status.paused_for.max(status.open_for)),
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
            limits: HostLimitsObject {
                delay_ms: status.limits.delay_ms,
                concurrent_requests: status.limits.concurrent_requests,
                closed: status.limits.closed,
            },
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
