//! The controller of `ScrapeSchedule`: makes a `ScrapeJob` at every time of a cron schedule, and removes old ones.
//!
//! `scrapering_crds::schedule::clock` says which time is due, [`plan`] what follows from it and from the jobs that are
//! there. A job is named after its time, so that a time never makes two jobs, whatever is repeated.

pub mod plan;
mod reconcile;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Controller};
use kube::runtime::watcher;
use scrapering_crds::{ScrapeJob, ScrapeSchedule};
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::metrics::Metrics;
use crate::scope::Scope;

/// Label of a job: the name of its schedule.
pub const SCHEDULE: &str = "scrapering.io/schedule";
/// Annotation of a job: the time that it was made for.
pub const SCHEDULED_AT: &str = "scrapering.io/scheduled-at";

/// Schedules reconciled at once.
const CONCURRENCY: u16 = 4;
const DEBOUNCE: Duration = Duration::from_millis(500);

/// The kind, as metrics and logs name it.
const KIND: &str = "ScrapeSchedule";

/// Runs the controller until `stop`; reconciles that have begun are finished first.
pub async fn run(client: Client, namespaces: &[String], metrics: Metrics, stop: CancellationToken) {
    let desk = Arc::new(Desk::new(client.clone(), KIND, metrics));
    let scopes = Scope::each(&client, namespaces);
    join_all(scopes.into_iter().map(|scope| watch(scope, Arc::clone(&desk), stop.clone()))).await;
}

async fn watch(scope: Scope, desk: Arc<Desk>, stop: CancellationToken) {
    if !scope.wait_for::<DeserializeGuard<ScrapeSchedule>>("scrapeschedules", &stop).await {
        return;
    }
    Controller::new(scope.api::<DeserializeGuard<ScrapeSchedule>>(), watcher::Config::default())
        .owns(scope.api::<DeserializeGuard<ScrapeJob>>(), watcher::Config::default().labels(SCHEDULE))
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile::reconcile, reconcile::retry_later, desk)
        .for_each(|outcome| async move { crate::scope::log(KIND, outcome) })
        .await;
}

#[cfg(test)]
mod tests;
