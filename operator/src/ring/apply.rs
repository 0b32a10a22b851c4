//! Step four: sends a ring's objects to the API server, each on its own: one that is refused does not stop the others.
//!
//! Everything is sent by server-side apply, but for keys, which are only ever created.

use std::collections::BTreeSet;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::build::{OptionalApi, RingObjects, network};
use super::dereference::controlled_by;
use super::neighbourhood::Served;
use super::optional::Absent;
use super::validate::ValidatedRing;
use super::{MANAGER, optional};

/// What came of applying a ring's objects.
#[derive(Debug, Default)]
pub struct Applied {
    /// The workload as the server holds it now; `None` when it could not be applied.
    pub stateful_set: Option<StatefulSet>,
    /// The objects that could not be applied.
    pub failures: Vec<Failure>,
    /// APIs that the ring uses and that the cluster does not serve.
    pub missing: Vec<&'static OptionalApi>,
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
/// The order matters only to a new ring: pods need their account and their settings, and their names must resolve when
/// they start; the policies and the budget stand before there is anything to reach or to evict. What other controllers do comes last:
/// it leads to what stands before it.
pub async fn apply(
    client: &Client,
    absent: &Absent,
    served: &Served,
    ring: &ValidatedRing,
    objects: RingObjects,
) -> Applied {
    let RingObjects {
        service_account,
        settings,
        policies,
        peers,
        gateway,
        disruption_budget,
        stateful_set,
        neighbours,
    } = objects;
    let mut applied = Applied::default();
    let target = Target { client, namespace: &ring.namespace, uid: &ring.owner.uid };
    target.apply(service_account, &mut applied.failures).await;
    target.apply(settings, &mut applied.failures).await;
    let wanted: BTreeSet<String> = policies.iter().map(ResourceExt::name_any).collect();
    for policy in policies {
        target.apply(policy, &mut applied.failures).await;
    }
    for unwanted in network::names(&ring.name).into_iter().filter(|name| !wanted.contains(name)) {
        target.remove_policy(&unwanted, &mut applied.failures).await;
    }
    target.apply(peers, &mut applied.failures).await;
    target.apply(gateway, &mut applied.failures).await;
    target.apply(disruption_budget, &mut applied.failures).await;
    applied.stateful_set = target.apply(stateful_set, &mut applied.failures).await;
    let met = optional::meet(client, absent, served, ring, neighbours).await;
    applied.failures.extend(met.failures);
    applied.missing = met.missing;
    applied
}

/// Creates a Secret that must never be written over.
///
/// # Errors
/// [`Error::Api`]; also when there is one of that name already.
pub async fn create(client: &Client, namespace: &str, secret: &Secret) -> Result<(), Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }, secret).await?;
    Ok(())
}

/// Applies a Secret of certificates.
///
/// # Errors
/// [`Error`].
pub async fn apply_secret(client: &Client, ring: &ValidatedRing, secret: &Secret) -> Result<(), Error> {
    Target { client, namespace: &ring.namespace, uid: &ring.owner.uid }.try_apply(secret).await.map(drop)
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

    /// Removes a policy that the ring had and does not want any more.
    async fn remove_policy(&self, name: &str, failures: &mut Vec<Failure>) {
        let api: Api<NetworkPolicy> = Api::namespaced(self.client.clone(), self.namespace);
        let removed = async {
            let Some(present) = api.get_metadata_opt(name).await? else { return Ok(()) };
            if !controlled_by(&present.metadata, Some(self.uid)) {
                return Ok(());
            }
            let exactly = Preconditions { uid: present.metadata.uid, resource_version: None };
            api.delete(name, &DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() }).await.map(drop)
        };
        match removed.await {
            Err(kube::Error::Api(answer)) if answer.is_not_found() => {}
            Err(error) => failures.push(Failure { object: format!("NetworkPolicy {name}"), error: error.into() }),
            Ok(()) => {}
        }
    }
}
