//! The controller of `ScrapeRing`: watches rings and what they own, and takes each change through five steps.
//!
//! [`dereference`] reads what the ring refers to, [`validate`] checks it, [`build`] derives the objects (neither of the
//! two holds a client), [`apply`] sends them, [`status`] reports. Only a [`validate::ValidatedRing`] is ever built.

pub mod apply;
pub mod build;
pub mod contract;
pub mod dereference;
mod retries;
pub mod status;
pub mod validate;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use scrapering_crds::ScrapeRing;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use self::retries::Retries;
use self::status::{Observed, Problem};

/// The field manager of everything the operator writes, and the value of the label `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "scrapering-operator";

/// Rings reconciled at once; each costs about a dozen small API calls.
const CONCURRENCY: u16 = 8;
/// Changes that arrive together (a rollout touches many objects) are answered by one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(500);
/// A healthy ring is looked at again this often; the watches report every change in between.
const RESYNC: Duration = Duration::from_secs(300);
/// A ring with a problem is looked at more often: Secrets are not watched, since that would need to read them all.
const RECHECK: Duration = Duration::from_secs(30);
/// Pause between two looks for the custom resource definition.
const CRD_POLL: Duration = Duration::from_secs(5);

/// What every ring of this operator shares.
#[derive(Clone, Debug)]
pub struct Config {
    /// Image of the nodes of a ring whose spec names none.
    pub node_image: String,
}

struct Context {
    client: Client,
    config: Config,
    retries: Retries,
}

/// Why a reconcile must be tried again. The API server or the network is at fault; whatever was applied stays.
#[derive(Debug, Error)]
enum Error {
    #[error("cannot read what the ring refers to")]
    Dereference(#[source] kube::Error),
    #[error("{0} object(s) could not be applied; the ring's status names them")]
    Apply(usize),
    #[error("cannot write the ring's status")]
    Status(#[source] kube::Error),
}

/// Runs the controller until SIGTERM or Ctrl-C; reconciles that have begun are finished first.
pub async fn run(client: Client, config: Config) {
    tokio::select! {
        () = wait_for_definition(&client) => {}
        () = terminated() => return,
    }
    let owned = || watcher::Config::default().labels(&format!("{}={MANAGER}", build::MANAGED_BY));
    let rings: Api<DeserializeGuard<ScrapeRing>> = Api::all(client.clone());
    let context = Arc::new(Context { client: client.clone(), config, retries: Retries::default() });
    Controller::new(rings, watcher::Config::default())
        .owns(Api::<StatefulSet>::all(client.clone()), owned())
        .owns(Api::<Service>::all(client.clone()), owned())
        .owns(Api::<ServiceAccount>::all(client.clone()), owned())
        .owns(Api::<PodDisruptionBudget>::all(client), owned())
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(terminated())
        .run(reconcile, retry_later, context)
        .for_each(|outcome| async move {
            match outcome {
                Ok((ring, _)) => tracing::debug!(%ring, "reconciled"),
                Err(controller::Error::ObjectNotFound(_)) => {}
                Err(controller::Error::ReconcilerFailed(error, ring)) => {
                    tracing::warn!(%ring, cause = error.source().map(tracing::field::display), "{error}");
                }
                Err(error) => tracing::warn!(%error, "a watch failed and is begun again"),
            }
        })
        .await;
}

/// Resolves at SIGTERM (how the kubelet ends a pod) or Ctrl-C.
async fn terminated() {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled on every Unix");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// A watch on a kind that the server does not know fails silently for ever, so this waits and says what is missing.
async fn wait_for_definition(client: &Client) {
    let rings: Api<DeserializeGuard<ScrapeRing>> = Api::all(client.clone());
    while let Err(error) = rings.list(&ListParams::default().limit(1)).await {
        tracing::warn!(
            %error,
            "cannot list ScrapeRings: is the CustomResourceDefinition scraperings.scrapering.io installed, \
             and may this service account list it?"
        );
        tokio::time::sleep(CRD_POLL).await;
    }
}

async fn reconcile(ring: Arc<DeserializeGuard<ScrapeRing>>, context: Arc<Context>) -> Result<Action, Error> {
    let key = key(&ring);
    if let Err(invalid) = &ring.0 {
        tracing::warn!(ring = key, error = invalid.error, "not a ScrapeRing this version can read; left alone");
        return Ok(Action::await_change());
    }
    let action = match dereference::dereference(&context.client, ring.meta()).await.map_err(Error::Dereference)? {
        Some(found) => reconcile_found(&context, &found).await?,
        None => Action::await_change(),
    };
    context.retries.succeeded(&key);
    Ok(action)
}

async fn reconcile_found(context: &Context, found: &dereference::Found) -> Result<Action, Error> {
    let mut problems: Vec<Problem> = found.keys_problem().into_iter().collect();
    let mut failed = 0;
    let mut stateful_set = found.stateful_set.clone();
    match validate::validate(found, &context.config.node_image) {
        Ok(valid) => {
            problems.extend(valid.held.iter().map(Problem::from));
            let applied = apply::apply(&context.client, &valid, build::build(&valid)).await;
            failed = applied.failures.len();
            problems.extend(applied.failures.iter().map(Problem::from));
            stateful_set = applied.stateful_set.or(stateful_set);
        }
        Err(refused) => problems.push(Problem::from(&refused)),
    }
    let observed = Observed { ring: &found.ring, stateful_set: stateful_set.as_ref(), problems: &problems };
    if let Some(next) = status::next(&observed, Timestamp::now()) {
        status::publish(&context.client, &found.ring, &next).await.map_err(Error::Status)?;
    }
    match failed {
        0 if problems.is_empty() => Ok(Action::requeue(RESYNC)),
        0 => Ok(Action::requeue(RECHECK)),
        failed => Err(Error::Apply(failed)),
    }
}

fn retry_later(ring: Arc<DeserializeGuard<ScrapeRing>>, _: &Error, context: Arc<Context>) -> Action {
    Action::requeue(context.retries.failed(&key(&ring)))
}

fn key(ring: &DeserializeGuard<ScrapeRing>) -> String {
    format!("{}/{}", ring.namespace().unwrap_or_default(), ring.name_any())
}

#[cfg(test)]
mod tests;
