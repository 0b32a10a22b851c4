//! The played provisioner: binds claims that name one of its storage classes, and lets their volumes grow.
//!
//! What may grow is judged by the server itself, from the class. A claim without a class is left alone, as on a cluster
//! that has no default one; the played kubelet gives it a folder all the same.

use anyhow::Context;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

/// A class whose volumes grow.
pub const GROWING: &str = "growing";
/// A class whose volumes do not.
pub const FIXED: &str = "fixed";

/// Makes both classes.
///
/// # Errors
/// The server refuses them.
pub async fn make_classes(client: &Client) -> anyhow::Result<()> {
    let classes: Api<StorageClass> = Api::all(client.clone());
    for (name, grows) in [(GROWING, true), (FIXED, false)] {
        let class = json!({
            "metadata": { "name": name }, "provisioner": "example.org/played", "allowVolumeExpansion": grows,
        });
        classes.create(&PostParams::default(), &serde_json::from_value(class)?).await?;
    }
    Ok(())
}

/// One look at every claim.
///
/// # Errors
/// The server does not answer, or refuses a change.
pub async fn provide(client: &Client) -> anyhow::Result<()> {
    let claims = Api::<PersistentVolumeClaim>::all(client.clone()).list(&ListParams::default()).await?.items;
    for claim in claims {
        let spec = claim.spec.clone().unwrap_or_default();
        if spec.storage_class_name.is_none() || claim.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let (namespace, name) = (claim.namespace().context("a claim has a namespace")?, claim.name_any());
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
        let plain = PatchParams::default();
        if spec.volume_name.is_none() {
            let volume = Patch::Merge(json!({ "spec": { "volumeName": format!("volume-{name}") } }));
            claims.patch(&name, &plain, &volume).await?;
        }
        let asked = spec.resources.and_then(|resources| resources.requests).unwrap_or_default();
        if claim.status.as_ref().and_then(|status| status.capacity.as_ref()) != Some(&asked) {
            let status = json!({ "phase": "Bound", "accessModes": spec.access_modes, "capacity": asked });
            claims.patch_status(&name, &plain, &Patch::Merge(json!({ "status": status }))).await?;
        }
    }
    Ok(())
}
