//! The gateway: ScrapeRing over HTTP, `/v1`, on every node, with TLS, tokens and problem bodies (RFC 9457).
//!
//! `routes` is the one list of what there is and which scope it needs, and `openapi` makes the API's document of it; `access` checks the token before anything else of a request is read;
//! `problem` is the one table of what can go wrong and how it is said. What the gateway needs of the ring stands in [`JobService`] and [`RingView`].

mod access;
mod body;
mod grpc;
mod hosts;
mod jobs;
mod kv;
mod locks;
pub mod object;
pub mod openapi;
mod page;
mod probes;
mod problem;
mod reference;
mod results;
mod ring;
mod routes;
mod server;
mod service;
mod unformed;

use crate::auth::Verifier;
use crate::kv::Kv;
use crate::locks::Locks;
use std::sync::Arc;

pub use kv::{KvEvent, KvItem, KvList};
pub use locks::LockObject;
pub use page::{COMPLETE_HEADER, CURSOR_HEADER, LARGEST_PAGE};
pub use problem::ProblemBody;
pub use ring::{
    BackgroundStatus, GiveUp, LeaveError, Liveness, Lookup, NodeIdentity, NodePoints, NodeStatus, OwnStatus,
    PartitionView, Recovery, RingMap, RingStatus, RingView, Serving, ViewCounts,
};
pub use server::{ServeError, serve};
pub use service::{Answer, HostService, JobService};
pub use unformed::serve as serve_unformed;

/// Where a retry of the same submission says that it is one.
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";

/// What every request can reach; a cheap clone.
#[derive(Clone)]
pub struct GatewayState {
    jobs: Arc<dyn JobService>,
    hosts: Arc<dyn HostService>,
    ring: Arc<dyn RingView>,
    kv: Kv,
    locks: Locks,
    verifier: Arc<Verifier>,
}

impl GatewayState {
    /// A gateway to `jobs`, `hosts`, `ring` and `kv` for callers whose tokens `verifier` accepts.
    #[must_use]
    pub fn new(
        jobs: impl JobService,
        hosts: impl HostService,
        ring: impl RingView,
        kv: Kv,
        verifier: Verifier,
    ) -> Self {
        Self {
            jobs: Arc::new(jobs),
            hosts: Arc::new(hosts),
            ring: Arc::new(ring),
            locks: Locks::new(kv.clone()),
            kv,
            verifier: Arc::new(verifier),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
