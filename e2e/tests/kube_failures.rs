//! What goes wrong around a ring on a real API server: machines that are drained, a node that hangs, words that are stale,
//! and a pod made anew in the middle of a leave.
//!
//! The programs are found in `KUBEBUILDER_ASSETS`; where it is unset these tests do nothing, and `make test` says so.

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, EvictParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use scrapering_crds::{ScrapeRing, ScrapeRingStatus};
use scrapering_e2e::door::until;
use scrapering_e2e::kube::Stage;
use scrapering_e2e::kube::stage::{LIMIT, NAMESPACE, RING};
use scrapering_e2e::kube::writer::Writer;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether requests can be sent to this pod: it is ready and not about to end.
fn serves(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions.filter(|it| it.type_ == "Ready").any(|it| it.status == "True");
    is_ready && pod.metadata.deletion_timestamp.is_none()
}

/// Moves one pod away as `kubectl drain` does: asks again for as long as the budget refuses. How often it was refused.
async fn drain(pods: Api<Pod>, name: String) -> anyhow::Result<u32> {
    let before = pods.get(&name).await?.uid();
    let mut refusals = 0;
    until("an eviction that is granted", LIMIT, async || match pods.evict(&name, &EvictParams::default()).await {
        Ok(_) => Ok(Some(())),
        Err(kube::Error::Api(answer)) if answer.code == 429 => {
            refusals += 1;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    })
    .await?;
    until("the pod on another machine", LIMIT, async || {
        let now = pods.get_opt(&name).await?;
        Ok(now.filter(|pod| pod.uid() != before && serves(pod)).map(drop))
    })
    .await?;
    Ok(refusals)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_drained_all_at_once_give_up_one_node_at_a_time() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(3).await?;
    let writer = Writer::start(stage.gateways(3).await?);
    let pods: Api<Pod> = stage.api();
    let is_over = AtomicBool::new(false);
    let one = |ordinal: u32| drain(pods.clone(), format!("{RING}-{ordinal}"));
    let drains = async {
        let done = tokio::try_join!(one(0), one(1), one(2));
        is_over.store(true, Ordering::Relaxed);
        done.map(|(first, second, third)| [first, second, third])
    };
    let watch = until("the end of the drains", LIMIT * 3, async || {
        let away = 3 - pods.list(&Default::default()).await?.iter().filter(|pod| serves(pod)).count();
        ensure!(away < 2, "{away} nodes are away at once");
        Ok(is_over.load(Ordering::Relaxed).then_some(()))
    });
    let (refusals, ()) = tokio::try_join!(drains, watch).with_context(|| stage.operator.tail())?;
    ensure!(refusals.iter().filter(|refused| **refused > 0).count() >= 2, "nobody had to wait: {refusals:?}");
    stage.settled(3).await?;
    let written = writer.finish().await?;
    ensure!(written.acknowledged > 0, "{written:?}");
    Ok(())
}

/// What the condition `Progressing` says.
fn progress(status: &ScrapeRingStatus) -> Option<&str> {
    let condition = status.conditions.iter().find(|it| it.type_ == "Progressing")?;
    Some(condition.message.as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_keeps_its_place_until_the_ring_itself_goes_on_without_it() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 4, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(4).await?;
    let writer = Writer::start(stage.gateways(3).await?);
    stage.kubelet.signal(NAMESPACE, "main-3", "STOP").await?;
    stage.edit_ring(json!({ "replicas": 3 })).await?;
    let is_said = |status: &ScrapeRingStatus| {
        progress(status).is_some_and(|it| it.contains("does not answer") || it.contains("is down"))
    };
    stage.status_when("a condition that names the node's silence", is_said).await?;
    stage.kubelet.signal(NAMESPACE, "main-3", "CONT").await?;
    stage.settled(3).await?;
    writer.finish().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_words_remove_nothing_and_a_pod_made_anew_is_known_by_its_node() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 4, "update": { "minStableSeconds": 0 } })).await?;
    let node = |status: &ScrapeRingStatus| {
        status.members.iter().find(|member| member.name == "main-3").and_then(|member| member.node_id.clone())
    };
    let first = node(&stage.settled(4).await?).context("an id")?;
    let writer = Writer::start(stage.gateways(3).await?);
    let (pods, rings): (Api<Pod>, Api<ScrapeRing>) = (stage.api(), stage.api());
    // Everything that a person or an older operator could have left behind says that the node is gone.
    let stale = json!({ "status": {
        "phase": "ScalingIn main-3", "joinedReplicas": 3,
        "members": [{ "name": "main-3", "state": "Left" }],
        "operation": { "type": "ScaleIn", "target": "main-3", "step": "Removing", "message": "it has left" },
    }});
    rings.patch_status(RING, &PatchParams::default(), &Patch::Merge(stale)).await?;
    let label = Patch::Merge(json!({ "metadata": { "labels": { "scrapering.io/left": "true" } } }));
    pods.patch("main-3", &PatchParams::default(), &label).await?;
    stage.edit_ring(json!({ "replicas": 3 })).await?;
    let leaves = |status: &ScrapeRingStatus| {
        status.members.iter().any(|member| member.name == "main-3" && member.state == "Leaving")
    };
    stage.status_when("a node that hands over although it is said to be gone", leaves).await?;
    // Its pod is made anew meanwhile, on the same disk: the node goes on with its leave.
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete("main-3", &at_once).await?;
    stage.settled(3).await?;
    let workload = stage.api::<StatefulSet>().get(RING).await?;
    ensure!(workload.spec.and_then(|spec| spec.replicas) == Some(3), "the workload has another size");
    // The same name again is another node, and is not taken for the one that has left.
    stage.edit_ring(json!({ "replicas": 4 })).await?;
    let second = node(&stage.settled(4).await?).context("an id")?;
    ensure!(second != first, "a node that has left came back as itself");
    let claims = stage.api::<PersistentVolumeClaim>().list(&Default::default()).await?;
    ensure!(claims.items.len() == 4, "{} claims", claims.items.len());
    writer.finish().await?;
    Ok(())
}
