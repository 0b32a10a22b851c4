//! Step four: sends a ring's objects to the API server by server-side apply, each on its own: one that is refused
//! does not stop the others.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::MANAGER;
use super::build::RingObjects;
use super::dereference::controlled_by;
use super::validate::ValidatedRing;

/// What came of applying a ring's objects.
#[derive(Debug, Default)]
pub struct Applied {
    /// The workload as the server holds it now; `None` when it could not be applied.
    pub stateful_set: Option<StatefulSet>,
    /// The objects that could not be applied.
    pub failures: Vec<Failure>,
}

/// An object that could not be applied.
#[derive(Debug)]
pub struct Failure {
    /// Kind and name.
    pub object: String,
    /// Why.
    pub error: Error,
}

/// Why an object was not applied; it was not changed.
#[derive(Debug, Error)]
pub enum Error {
    /// An object of that name exists and the ring does not control it.
    #[error("an object of that name is there already and is not this ring's; remove it, or name the ring otherwise")]
    NameTaken,
    /// The API server refused it or could not be reached.
    #[error("the API server did not take it")]
    Api(#[from] kube::Error),
}

/// Applies all objects of a ring.
///
/// The order matters only to a new ring: pods need their account, and their names must resolve when they start; the
/// budget stands before there is anything to evict.
pub async fn apply(client: &Client, ring: &ValidatedRing, objects: RingObjects) -> Applied {
    let RingObjects { service_account, peers, gateway, disruption_budget, stateful_set } = objects;
    let mut applied = Applied::default();
    let target = Target { client, namespace: &ring.namespace, uid: &ring.owner.uid };
    target.apply(service_account, &mut applied.failures).await;
    target.apply(peers, &mut applied.failures).await;
    target.apply(gateway, &mut applied.failures).await;
    target.apply(disruption_budget, &mut applied.failures).await;
    applied.stateful_set = target.apply(stateful_set, &mut applied.failures).await;
    applied
}

struct Target<'a> {
    client: &'a Client,
    namespace: &'a str,
    uid: &'a str,
}

impl Target<'_> {
    async fn apply<K>(&self, object: K, failures: &mut Vec<Failure>) -> Option<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        match self.try_apply(&object).await {
            Ok(stored) => Some(stored),
            Err(error) => {
                failures.push(Failure { object: format!("{} {}", K::kind(&()), object.name_any()), error });
                None
            }
        }
    }

    /// Forced apply takes over whatever has the name, so an object that is not ours is refused first: a ring called
    /// "default" must not rewrite the namespace's default account.
    async fn try_apply<K>(&self, object: &K) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), self.namespace);
        let name = object.name_any();
        let present = api.get_metadata_opt(&name).await?;
        if present.is_some_and(|present| !controlled_by(&present.metadata, Some(self.uid))) {
            return Err(Error::NameTaken);
        }
        Ok(api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await?)
    }
}
