//! Does the one step that the topology engine asks for, each bound to the very objects that were looked at.
//!
//! Every write carries the uid or the version of what it is about: if that has changed since, the server refuses, and the
//! next look decides anew.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::{Api, Client};
use serde_json::json;
use thiserror::Error;

use super::dereference::Found;
use super::topology::{Action, Step};
use super::validate::ValidatedRing;
use super::{MANAGER, contract, door};

/// Why a step was not done. Nothing changed, unless an answer was lost; the next look tells.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server refused it or could not be reached.
    #[error("the API server did not take it")]
    Api(#[from] kube::Error),
    /// The ring refused it or could not be reached.
    #[error("the ring did not take it: {0}")]
    Door(#[from] door::Error),
    /// There is no way to the ring.
    #[error("the ring cannot be reached: it has no keys or no certificates")]
    NoDoor,
}

impl Error {
    /// Whether the server understood what was asked for and does not do it.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(answer)) if matches!(answer.code, 403 | 422))
    }
}

/// Does `step` on what was `found`.
///
/// # Errors
/// [`Error`].
pub async fn act(client: &Client, ring: &ValidatedRing, found: &Found, step: &Step) -> Result<(), Error> {
    let workload = &found.stateful_set;
    if let Action::Renew { uid } = &step.action {
        let api: Api<StatefulSet> = Api::namespaced(client.clone(), &ring.namespace);
        // Pods and claims lose their owner and nothing else; the next workload of that name takes them in.
        let how = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..exactly(uid) };
        return gone(api.delete(&ring.name, &how).await.map(drop));
    }
    let Some(ordinal) = step.ordinal else { return Ok(()) };
    match &step.action {
        Action::Wait | Action::Renew { .. } => Ok(()),
        Action::Grow { uid, to } => {
            let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &ring.namespace);
            let requests = json!({ "resources": { "requests": { "storage": to } } });
            let change = Patch::Merge(json!({ "metadata": { "uid": uid }, "spec": requests }));
            let by = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            Ok(claims.patch(&contract::claim_name(&ring.name, ordinal), &by, &change).await.map(drop)?)
        }
        Action::Raise { to } | Action::Lower { to, .. } => {
            scale(client, ring, workload.as_ref(), json!({ "replicas": to })).await
        }
        Action::Partition { to } => {
            let strategy = json!({ "updateStrategy": { "rollingUpdate": { "partition": to } } });
            scale(client, ring, workload.as_ref(), strategy).await
        }
        Action::Leave { node } => {
            let door = found.door().ok_or(Error::NoDoor)?;
            Ok(door.leave(ordinal, &node.name).await?)
        }
        Action::DeleteClaim { uid, .. } => {
            let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &ring.namespace);
            gone(claims.delete(&contract::claim_name(&ring.name, ordinal), &exactly(uid)).await.map(drop))
        }
        Action::DeletePod { uid, .. } => {
            let pods: Api<Pod> = Api::namespaced(client.clone(), &ring.namespace);
            gone(pods.delete(&contract::pod_name(&ring.name, ordinal), &exactly(uid)).await.map(drop))
        }
    }
}

/// Changes the workload that was looked at, and no later version of it.
async fn scale(
    client: &Client,
    ring: &ValidatedRing,
    workload: Option<&StatefulSet>,
    spec: serde_json::Value,
) -> Result<(), Error> {
    let Some(workload) = workload else { return Ok(()) };
    let api: Api<StatefulSet> = Api::namespaced(client.clone(), &ring.namespace);
    let seen = &workload.metadata;
    let change = json!({ "metadata": { "uid": seen.uid, "resourceVersion": seen.resource_version }, "spec": spec });
    let by = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(&ring.name, &by, &Patch::Merge(change)).await?;
    Ok(())
}

fn exactly(uid: &str) -> DeleteParams {
    let preconditions = Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
    DeleteParams { preconditions, ..DeleteParams::default() }
}

/// What is gone already need not be deleted.
fn gone(deleted: Result<(), kube::Error>) -> Result<(), Error> {
    match deleted {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}
