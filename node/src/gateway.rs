//! The gateway: ScrapeRing over HTTP, `/v1`, on every node, with TLS, tokens and problem bodies (RFC 9457).
//!
//! `routes` is the one list of what there is and which scope it needs, and `openapi` makes the API's document of it; `access` checks the token before anything else of a request is read;
//! `problem` is the one table of what can go wrong and how it is said. What the gateway needs of the ring stands in [`JobService`] and [`RingView`].

mod access;
mod body;
mod exports;
mod files;
mod gauges;
mod grpc;
mod hosts;
mod jobs;
mod kv;
mod limits;
mod locks;
pub mod object;
pub mod openapi;
mod opt_outs;
mod page;
mod probes;
mod problem;
mod reference;
mod results;
mod ring;
mod routes;
mod schedules;
mod server;
mod service;
mod tokens;
mod trace;
mod trial;
mod unformed;
mod visitors;
mod waiting;
mod webhooks;

use crate::auth::Verifier;
use crate::crawl::Schedules;
use crate::files::Files;
use crate::kv::Kv;
use crate::locks::Locks;
use crate::metrics::Metrics;
use gauges::Gauges;
use limits::{Limits, REQUESTS_PER_SECOND};
use std::num::NonZeroU32;
use std::sync::Arc;

pub use exports::{ExportList, ExportObject};
pub use files::{FileList, FileObject};
pub use hosts::{HostChange, HostList};
pub use jobs::SeedVerdicts;
pub use kv::{KvEvent, KvItem, KvList};
pub use locks::LockObject;
pub use page::{COMPLETE_HEADER, CURSOR_HEADER, LARGEST_PAGE};
pub use problem::ProblemBody;
pub use ring::{
    BackgroundStatus, GiveUp, LeaveError, Liveness, Lookup, NodeIdentity, NodePoints, NodeStatus, OwnStatus,
    PartitionView, Recovery, RingMap, RingStatus, RingView, Serving, ViewCounts,
};
pub use schedules::object::{ScheduleList, ScheduleObject};
pub use server::{ServeError, serve};
pub use service::{Answer, HostService, JobService};
pub use unformed::serve as serve_unformed;
pub use visitors::Visitors;
pub use waiting::Exclusions;
pub use webhooks::DeliveryList;

/// Where a retry of the same submission says that it is one.
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";

/// What every request can reach; a cheap clone.
#[derive(Clone)]
pub struct GatewayState {
    jobs: Arc<dyn JobService>,
    hosts: Arc<dyn HostService>,
    schedules: Schedules,
    ring: Arc<dyn RingView>,
    kv: Kv,
    files: Files,
    locks: Locks,
    verifier: Verifier,
    limits: Arc<Limits>,
    metrics: Metrics,
    gauges: Arc<Gauges>,
    visitors: Visitors,
}

impl GatewayState {
    /// A gateway to `jobs`, `hosts`, `schedules`, `ring`, `files` and `kv` for callers whose tokens `verifier` accepts.
    #[must_use]
    pub fn new(
        jobs: impl JobService,
        hosts: impl HostService,
        schedules: Schedules,
        ring: impl RingView,
        files: Files,
        kv: Kv,
        verifier: Verifier,
    ) -> Self {
        Self {
            jobs: Arc::new(jobs),
            hosts: Arc::new(hosts),
            schedules,
            ring: Arc::new(ring),
            files,
            locks: Locks::new(kv.clone()),
            kv,
            verifier,
            limits: Arc::new(Limits::new(REQUESTS_PER_SECOND)),
            gauges: Arc::default(),
            metrics: Metrics::default(),
            visitors: Visitors::default(),
        }
        .with_metrics(Metrics::default())
    }

    /// The same, counting into `metrics`, where the rest of the node counts too.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { gauges: Arc::new(Gauges::of(&metrics)), metrics, ..self }
    }

    /// The same, letting each caller send so many requests a second.
    #[must_use]
    pub fn with_rate(self, requests_per_second: NonZeroU32) -> Self {
        Self { limits: Arc::new(Limits::new(requests_per_second)), ..self }
    }

    /// Who comes to the gateway that serves this.
    #[must_use]
    pub fn visitors(&self) -> Visitors {
        self.visitors.clone()
    }

    /// Keeps the list of revoked tokens up to date, until it is dropped.
    pub async fn follow_revocations(self) {
        tokens::follow(&self.kv, self.verifier.revoked()).await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
