//! The controller of `ScrapeRing`: watches rings and what they own, and takes each change through five steps.
//!
//! [`dereference`] reads what the ring refers to and asks its nodes, [`validate`] checks it, [`build`] derives the objects
//! (neither of the two holds a client), [`apply`] sends them, [`status`] reports. Only a [`validate::ValidatedRing`] is
//! ever built. Between the last two, [`topology`] says which one step the ring needs next, and [`act`] does it.

pub mod act;
pub mod apply;
pub mod build;
pub mod certificates;
pub mod contract;
pub mod dereference;
pub mod door;
pub mod keys;
pub mod look;
pub mod metrics_token;
pub mod neighbourhood;
pub mod optional;
mod patience;
mod reconcile;
pub mod report;
pub mod status;
pub mod topology;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Controller};
use kube::runtime::watcher;
use scrapering_crds::ScrapeRing;
use tokio_util::sync::CancellationToken;

use self::certificates::Terms;
use self::reconcile::Context;
use self::validate::Defaults;
use crate::metrics::Metrics;
use crate::scope::Scope;

/// The field manager of everything the operator writes, and the value of the label `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "scrapering-operator";

/// Rings reconciled at once; each costs about a dozen small API calls.
const CONCURRENCY: u16 = 8;
/// Changes that arrive together (a rollout touches many objects) are answered by one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// What every ring of this operator shares.
#[derive(Clone, Debug)]
pub struct Config {
    /// What holds for a ring whose spec does not say otherwise.
    pub defaults: Defaults,
    /// How long certificates live; the leaf's life is that of the ring's spec.
    pub terms: Terms,
    /// The namespaces that are looked after; none means all.
    pub namespaces: Vec<String>,
}

/// The kind, as metrics and logs name it.
const KIND: &str = "ScrapeRing";

/// Runs the controller until `stop`; reconciles that have begun are finished first.
pub async fn run(client: Client, config: Config, metrics: Metrics, stop: CancellationToken) {
    let scopes = Scope::each(&client, &config.namespaces);
    let context = Arc::new(Context::new(client, config, metrics));
    join_all(scopes.into_iter().map(|scope| watch(scope, Arc::clone(&context), stop.clone()))).await;
}

async fn watch(scope: Scope, context: Arc<Context>, stop: CancellationToken) {
    if !scope.wait_for::<DeserializeGuard<ScrapeRing>>("scraperings", &stop).await {
        return;
    }
    let owned = || watcher::Config::default().labels(&format!("{}={MANAGER}", build::MANAGED_BY));
    let neighbours = context.served().changes(scope.clone(), owned());
    Controller::new(scope.api::<DeserializeGuard<ScrapeRing>>(), watcher::Config::default())
        .owns(scope.api::<StatefulSet>(), owned())
        .owns(scope.api::<Service>(), owned())
        .owns(scope.api::<ServiceAccount>(), owned())
        .owns(scope.api::<ConfigMap>(), owned())
        .owns(scope.api::<NetworkPolicy>(), owned())
        .owns(scope.api::<PodDisruptionBudget>(), owned())
        .reconcile_on(neighbours)
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile::reconcile, reconcile::retry_later, context)
        .for_each(|outcome| async move { crate::scope::log(KIND, outcome) })
        .await;
}

#[cfg(test)]
mod tests;
