//! One operator acts at a time: whoever holds the Lease. The others wait for it.
//!
//! The lease alone does not keep two writers apart (a process may stand still while its lease runs out), so every write
//! that matters also names the version it is about, see [`crate::ring::act`].

use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A lease that is not renewed for so long is free, seconds.
const DURATION_S: u64 = 15;
/// It is renewed so long before that, seconds; clocks of two machines may differ by as much.
const GRACE_S: u64 = 5;
/// How long the lease may take to be given back.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// Why this operator does not lead, or not any more.
#[derive(Debug, Error)]
pub enum Error {
    /// The lease cannot be used.
    #[error("the lease {name} in namespace {namespace} cannot be used; may this service account write leases there?")]
    Lease {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Why.
        #[source]
        source: LeaseManagerError,
    },
    /// Another one may lead by now.
    #[error("the lease was lost: another operator may lead by now, so this one ends")]
    Lost,
}

/// Where the lease is.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// How this operator is called in it; the name of its pod.
    pub holder: String,
}

/// Waits for the lease, then does `work` until it ends, and gives the lease back. `stop` ends the waiting.
///
/// # Errors
/// [`Error`]. After [`Error::Lost`] nothing more may be written, so the process must end.
pub async fn lead(
    client: Client,
    lease: &Lease,
    stop: &CancellationToken,
    is_leader: watch::Sender<bool>,
    work: impl Future<Output = ()>,
) -> Result<(), Error> {
    let failed = |source| Error::Lease { name: lease.name.clone(), namespace: lease.namespace.clone(), source };
    let manager = LeaseManagerBuilder::new(client, &lease.name)
        .with_namespace(&lease.namespace)
        .with_identity(&lease.holder)
        .with_duration(DURATION_S)
        .with_grace(GRACE_S)
        .build()
        .await
        .map_err(failed)?;
    let (mut holds, task) = manager.watch().await;
    tracing::info!(lease = lease.name, holder = lease.holder, "waits for the lease");
    tokio::select! {
        gained = holds.wait_for(|holds| *holds) => {
            if gained.is_err() {
                return Err(Error::Lost);
            }
        }
        () = stop.cancelled() => return Ok(()),
    }
    tracing::info!(lease = lease.name, "leads");
    is_leader.send_replace(true);
    tokio::select! {
        () = work => {}
        _ = holds.wait_for(|holds| !*holds) => return Err(Error::Lost),
    }
    // The task gives the lease back when nobody listens to it any more.
    drop(holds);
    if tokio::time::timeout(RELEASE_LIMIT, task).await.is_err() {
        tracing::warn!(lease = lease.name, "the lease was not given back in time; it runs out by itself");
    }
    Ok(())
}
