//! The controller of `ScrapeJob`: hands each job to its ring and keeps the object's status true until the job has ended.
//!
//! [`submission`] makes the document that the ring is given, [`ways`] finds the ring's gateways, [`status`] says what a
//! look at the ring means for the object, [`farewell`] takes a job out of the ring when its object goes. A job that is
//! suspended from the start is not handed in; one that runs is paused in the ring.

mod farewell;
mod reconcile;
pub mod secrets;
pub mod status;
pub mod submission;
pub mod ways;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use scrapering_crds::{ScrapeJob, ScrapeRing};
use tokio_util::sync::CancellationToken;

use self::reconcile::Context;
use self::ways::RingWays;
use crate::metrics::Metrics;
use crate::scope::Scope;

/// Keeps an object until the ring has let go of its job.
pub const FINALIZER: &str = "scrapering.io/job";
/// Annotation that lets an object go at once, whatever its ring says: `"true"`.
pub const FORCE_DELETE: &str = "scrapering.io/force-delete";

/// Jobs reconciled at once; each costs a request or two.
const CONCURRENCY: u16 = 16;
const DEBOUNCE: Duration = Duration::from_millis(200);

/// The kind, as metrics and logs name it.
const KIND: &str = "ScrapeJob";

/// Runs the controller until `stop`; reconciles that have begun are finished first.
pub async fn run(client: Client, namespaces: &[String], metrics: Metrics, stop: CancellationToken) {
    let ways = RingWays::new(client.clone());
    let context = Arc::new(Context::new(client.clone(), ways, metrics));
    let scopes = Scope::each(&client, namespaces);
    join_all(scopes.into_iter().map(|scope| watch(scope, Arc::clone(&context), stop.clone()))).await;
}

async fn watch(scope: Scope, context: Arc<Context<RingWays>>, stop: CancellationToken) {
    if !scope.wait_for::<DeserializeGuard<ScrapeJob>>("scrapejobs", &stop).await {
        return;
    }
    let controller = Controller::new(scope.api::<DeserializeGuard<ScrapeJob>>(), watcher::Config::default());
    let jobs = controller.store();
    controller
        .watches(scope.api::<DeserializeGuard<ScrapeRing>>(), watcher::Config::default(), move |ring| {
            // A ring that comes, goes or changes is news for every job that waits for it.
            let (name, namespace) = (ring.name_any(), ring.namespace());
            let waits = move |job: &DeserializeGuard<ScrapeJob>| {
                let waiting = job.0.as_ref().is_ok_and(|job| job.spec.ring_ref.name == name && !status::has_ended(job));
                waiting && job.namespace() == namespace
            };
            jobs.state().into_iter().filter(|job| waits(job)).map(|job| ObjectRef::from_obj(&*job)).collect::<Vec<_>>()
        })
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile::reconcile, reconcile::retry_later, context)
        .for_each(|outcome| async move { crate::scope::log(KIND, outcome) })
        .await;
}

#[cfg(test)]
mod tests;
