//! Volumes on a real API server: they grow under running pods, and a lost one is given up and replaced.
//!
//! The programs are found in `KUBEBUILDER_ASSETS`; where it is unset these tests do nothing, and `make test` says so.

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use scrapering_crds::ScrapeRing;
use scrapering_e2e::door::until;
use scrapering_e2e::kube::Stage;
use scrapering_e2e::kube::stage::{LIMIT, RING};
use scrapering_e2e::kube::volumes::{FIXED, GROWING, make_classes};
use scrapering_e2e::kube::writer::Writer;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a claim asks for.
fn size(claim: &PersistentVolumeClaim) -> Option<String> {
    Some(claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?.0.clone())
}

async fn uids(pods: &Api<Pod>) -> anyhow::Result<BTreeSet<String>> {
    Ok(pods.list(&Default::default()).await?.into_iter().filter_map(|pod| pod.uid()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_grow_under_load_and_no_pod_is_touched() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    make_classes(&stage.client()).await?;
    let storage = json!({ "storageClassName": GROWING, "size": "10Gi" });
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 }, "storage": storage })).await?;
    stage.settled(3).await?;
    let (pods, claims): (Api<Pod>, Api<PersistentVolumeClaim>) = (stage.api(), stage.api());
    let workloads: Api<StatefulSet> = stage.api();
    let before = (uids(&pods).await?, workloads.get(RING).await?.uid());
    let writer = Writer::start(stage.gateways(3).await?);
    stage.edit_ring(json!({ "storage": { "size": "20Gi" } })).await?;
    until("a workload that asks for the larger size", LIMIT, async || {
        let Some(workload) = workloads.get_opt(RING).await? else { return Ok(None) };
        let templates = workload.spec.and_then(|spec| spec.volume_claim_templates).unwrap_or_default();
        Ok((templates.first().and_then(size).as_deref() == Some("20Gi")).then_some(()))
    })
    .await?;
    stage.settled(3).await?;
    for claim in claims.list(&Default::default()).await? {
        ensure!(size(&claim).as_deref() == Some("20Gi"), "{} has {:?}", claim.name_any(), size(&claim));
    }
    let after = (uids(&pods).await?, workloads.get(RING).await?.uid());
    ensure!(after.0 == before.0, "a pod was replaced: {before:?} {after:?}");
    ensure!(after.1 != before.1, "the workload was not made anew, and still knows the old size");
    ensure!(stage.restarts().await?.iter().all(|count| *count == 0), "a node was restarted");
    let written = writer.finish().await?;
    ensure!(written.unacknowledged == 0, "{} writes failed", written.unacknowledged);
    Ok(())
}

/// The ring of this name as JSON.
async fn ring(stage: &Stage, name: &str) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(stage.api::<ScrapeRing>().get(name).await?)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_that_lets_nothing_grow_is_reported_and_holds_up_no_update() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    make_classes(&stage.client()).await?;
    let storage = json!({ "storageClassName": FIXED, "size": "10Gi" });
    stage.make_ring(json!({ "replicas": 1, "update": { "minStableSeconds": 0 }, "storage": storage })).await?;
    stage.settled(1).await?;
    stage.edit_ring(json!({ "storage": { "size": "20Gi" }, "podAnnotations": { "example.org/note": "new" } })).await?;
    let pods: Api<Pod> = stage.api();
    until("a pod of the newest revision beside volumes that do not grow", LIMIT, async || {
        let ring = ring(&stage, RING).await?;
        let reports =
            |condition: &Value| condition["type"] == "Degraded" && condition["reason"] == "StorageExpansionUnsupported";
        let is_reported = ring["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(reports));
        let pod = pods.get_opt("main-0").await?;
        let is_new = pod.is_some_and(|pod| pod.annotations().contains_key("example.org/note"));
        Ok((is_reported && is_new).then_some(()))
    })
    .await?;
    let claims: Api<PersistentVolumeClaim> = stage.api();
    ensure!(size(&claims.get("data-main-0").await?).as_deref() == Some("10Gi"), "the volume grew");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_lost_is_given_up_by_the_uid_of_its_pod_and_its_node_comes_back_on_another() -> anyhow::Result<()>
{
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    let node = |status: &scrapering_crds::ScrapeRingStatus| {
        status.members.iter().find(|member| member.name == "main-1").and_then(|member| member.node_id.clone())
    };
    let before = node(&stage.settled(3).await?).context("an id")?;
    let writer = Writer::start(stage.gateways(3).await?);
    let (pods, claims): (Api<Pod>, Api<PersistentVolumeClaim>) = (stage.api(), stage.api());
    let claim = claims.get("data-main-1").await?;
    let pod = pods.get("main-1").await?.uid().context("a uid")?;
    stage.kubelet.lose_disk("main-1", &claim).await?;
    stage.status_when("a ring that misses a node", |it| it.ready_replicas == 2).await?;
    // Nothing is replaced by itself: a disk that is away for a while comes back with what it held.
    ensure!(pods.get("main-1").await?.uid() == Some(pod.clone()), "the pod was replaced unasked");
    let rings: Api<ScrapeRing> = stage.api();
    let give_up = Patch::Merge(json!({ "metadata": { "annotations": { "scrapering.io/replace-node": pod } } }));
    rings.patch(RING, &PatchParams::default(), &give_up).await?;
    until("a claim of another disk", LIMIT, async || {
        let now = claims.get_opt("data-main-1").await?;
        Ok(now.filter(|now| now.uid() != claim.uid()).map(drop))
    })
    .await
    .with_context(|| stage.operator.tail())?;
    let after = node(&stage.settled(3).await?).context("an id")?;
    ensure!(after != before, "the node that came back on an empty disk says it is the one it was");
    let written = writer.finish().await?;
    ensure!(written.acknowledged > 0, "{written:?}");
    Ok(())
}
