//! Where a controller looks: in one namespace or in all of them, once the kind that it watches is there.

use std::fmt::Debug;
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// Pause between two looks for a custom resource definition.
const DEFINITION_POLL: Duration = Duration::from_secs(5);

/// One namespace, or all of them.
#[derive(Clone)]
pub struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    /// A scope for each of these namespaces; one for all when none is named.
    pub fn each(client: &Client, namespaces: &[String]) -> Vec<Self> {
        let scope = |namespace| Self { client: client.clone(), namespace };
        match namespaces {
            [] => vec![scope(None)],
            some => some.iter().cloned().map(Some).map(scope).collect(),
        }
    }

    /// The objects of a kind within the scope.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + DeserializeOwned,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// The metadata of the objects of a kind that is known only at run time, within the scope.
    pub fn metadata(&self, kind: &ApiResource) -> Api<PartialObjectMeta<DynamicObject>> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, kind),
            None => Api::all_with(self.client.clone(), kind),
        }
    }

    /// Waits until objects of a kind can be listed; `false` when told to stop first.
    ///
    /// A watch on a kind that the server does not know fails silently for ever, so this says what is missing.
    pub async fn wait_for<K>(&self, plural: &str, stop: &CancellationToken) -> bool
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = self.api();
        while let Err(error) = api.list(&ListParams::default().limit(1)).await {
            tracing::warn!(
                %error,
                "cannot list {plural}: is the CustomResourceDefinition {plural}.scrapering.io installed, \
                 and may this service account list it?"
            );
            tokio::select! {
                () = tokio::time::sleep(DEFINITION_POLL) => {}
                () = stop.cancelled() => return false,
            }
        }
        !stop.is_cancelled()
    }
}

/// Tells the log what came of a reconcile. Failures are logged here and nowhere else, with their cause.
pub fn log<K, E, Q>(kind: &str, outcome: Result<(ObjectRef<K>, Action), controller::Error<E, Q>>)
where
    K: Resource<DynamicType = ()>,
    E: std::error::Error + 'static,
    Q: std::error::Error + 'static,
{
    match outcome {
        Ok((object, _)) => tracing::debug!(kind, %object, "reconciled"),
        Err(controller::Error::ObjectNotFound(_)) => {}
        Err(controller::Error::ReconcilerFailed(error, object)) => {
            tracing::warn!(kind, %object, cause = error.source().map(tracing::field::display), "{error}");
        }
        Err(error) => tracing::warn!(kind, %error, "a watch failed and is begun again"),
    }
}
