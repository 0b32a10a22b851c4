//! Rings on a real API server with the real controllers: pods are `scrapering node` processes.
//!
//! The programs are found in `KUBEBUILDER_ASSETS`; where it is unset these tests do nothing, and `make test` says so.

#![allow(clippy::print_stderr, reason = "a test says what it measured")]

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt};
use reqwest::StatusCode;
use reqwest::tls::TlsInfo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use scrapering_crds::ScrapeRing;
use scrapering_e2e::door::until;
use scrapering_e2e::kube::Stage;
use scrapering_e2e::kube::stage::{LIMIT, NAMESPACE, RING};
use scrapering_e2e::kube::writer::{Gateways, Writer};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

const MANAGED: &str = "app.kubernetes.io/managed-by=scrapering-operator";
const COMPONENT: &str = "app.kubernetes.io/component";
const RECONCILES: &str = "scrapering_operator_reconciles_total{kind=\"ScrapeRing\"}";

/// Versions of everything that the ring owns.
async fn versions(stage: &Stage) -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    macro_rules! note {
        ($($kind:ty),*) => {$(
            for object in owned::<$kind>(stage).await? {
                let name = format!("{} {}", stringify!($kind), object.name_any());
                all.insert(name, object.resource_version().unwrap_or_default());
            }
        )*};
    }
    note!(ServiceAccount, ConfigMap, Secret, Service, NetworkPolicy, PodDisruptionBudget, StatefulSet);
    Ok(all)
}

/// A kind of object that a ring owns.
trait Kind: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned {}

impl<K> Kind for K where K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned
{}

async fn owned<K: Kind>(stage: &Stage) -> anyhow::Result<Vec<K>> {
    Ok(stage.api::<K>().list(&ListParams::default().labels(MANAGED)).await?.items)
}

/// Checks that one hand wrote everything, and that it goes with the ring; but for the keys, which live as long as the volumes.
async fn is_of_one_hand<K: Kind>(stage: &Stage) -> anyhow::Result<()> {
    for object in owned::<K>(stage).await? {
        let name = object.name_any();
        let writers = object.managed_fields().iter().filter(|written| written.subresource.is_none());
        let writers: BTreeSet<_> = writers.filter_map(|written| written.manager.as_deref()).collect();
        ensure!(writers == BTreeSet::from(["scrapering-operator"]), "{name} was written by {writers:?}");
        let has_owner = object.owner_references().iter().any(|owner| owner.controller == Some(true));
        ensure!(has_owner != (name == "main-keys"), "{name}: {:?}", object.owner_references());
    }
    Ok(())
}

/// Writes over a label of every object of the kind, waits until each has its own again; how many there are.
async fn edited<K: Kind>(stage: &Stage) -> anyhow::Result<usize> {
    let all = owned::<K>(stage).await?;
    let spoilt = Patch::Merge(json!({ "metadata": { "labels": { COMPONENT: "spoilt" } } }));
    for object in &all {
        stage.api::<K>().patch(&object.name_any(), &PatchParams::default(), &spoilt).await?;
    }
    until("objects that are as they were before somebody wrote over them", LIMIT, async || {
        let now = owned::<K>(stage).await?;
        let is_mended = |object: &K| object.labels().get(COMPONENT).is_some_and(|component| component == "node");
        Ok((now.len() == all.len() && now.iter().all(is_mended)).then_some(()))
    })
    .await?;
    Ok(all.len())
}

/// Deletes every object of the kind, and waits until there is another in its place. What it owns is left alone.
async fn deleted<K: Kind>(stage: &Stage) -> anyhow::Result<()> {
    let all = owned::<K>(stage).await?;
    let how = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    for object in &all {
        stage.api::<K>().delete(&object.name_any(), &how).await?;
    }
    let names = |all: &[K]| all.iter().map(ResourceExt::name_any).collect::<BTreeSet<_>>();
    let uids: BTreeSet<_> = all.iter().filter_map(ResourceExt::uid).collect();
    until("objects in the place of those that somebody deleted", LIMIT, async || {
        let now = owned::<K>(stage).await?;
        let is_new = |object: &K| object.uid().is_some_and(|uid| !uids.contains(&uid));
        Ok((names(&now) == names(&all) && now.iter().all(is_new)).then_some(()))
    })
    .await
}

/// Everything that the ring owns and that its operator watches is written over, then deleted.
async fn mended(stage: &Stage) -> anyhow::Result<()> {
    let mut count = edited::<ServiceAccount>(stage).await? + edited::<ConfigMap>(stage).await?;
    count += edited::<Service>(stage).await? + edited::<NetworkPolicy>(stage).await?;
    count += edited::<PodDisruptionBudget>(stage).await? + edited::<StatefulSet>(stage).await?;
    ensure!(count == 12, "{count} objects were written over");
    deleted::<ServiceAccount>(stage).await?;
    deleted::<ConfigMap>(stage).await?;
    deleted::<Service>(stage).await?;
    deleted::<NetworkPolicy>(stage).await?;
    deleted::<PodDisruptionBudget>(stage).await?;
    deleted::<StatefulSet>(stage).await?;
    let settings: Api<ConfigMap> = stage.api();
    settings.patch("main", &PatchParams::default(), &Patch::Merge(json!({ "data": { "formed": "false" } }))).await?;
    until("settings as they were", LIMIT, async || {
        let formed = settings.get("main").await?.data.unwrap_or_default().get("formed").cloned();
        Ok((formed.as_deref() == Some("true")).then_some(()))
    })
    .await?;
    stage.settled(3).await?;
    ensure!(stage.restarts().await?.iter().all(|count| *count == 0), "a node was restarted");
    Ok(())
}

/// A ring at rest is neither looked at nor written.
async fn nothing_happens(stage: &Stage) -> anyhow::Result<()> {
    // What the last change woke is over when the lease has been renewed once.
    stage.renewals(1).await?;
    let before = (stage.operator.counter(RECONCILES).await?, stage.operator.way().calls());
    stage.renewals(3).await?;
    let after = (stage.operator.counter(RECONCILES).await?, stage.operator.way().calls());
    ensure!(before == after, "reconciles and API calls of a ring at rest: {before:?}, then {after:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_becomes_healthy_is_healed_and_then_nothing_is_written() -> anyhow::Result<()> {
    let Some((mut stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(3).await?;
    let before = versions(&stage).await?;
    ensure!(before.len() == 15, "the ring owns {before:#?}");
    is_of_one_hand::<ServiceAccount>(&stage).await?;
    is_of_one_hand::<ConfigMap>(&stage).await?;
    is_of_one_hand::<Secret>(&stage).await?;
    is_of_one_hand::<Service>(&stage).await?;
    is_of_one_hand::<NetworkPolicy>(&stage).await?;
    is_of_one_hand::<PodDisruptionBudget>(&stage).await?;
    is_of_one_hand::<StatefulSet>(&stage).await?;

    let count = stage.operator.counter(RECONCILES).await?;
    stage.edit_ring(json!({ "podAnnotations": null, "scaleIn": { "timeout": "2h" } })).await?;
    stage.status_when("a status of the new generation", |_| true).await?;
    let reconciles = stage.operator.counter(RECONCILES).await? - count;
    ensure!(reconciles <= 3, "{reconciles} reconciles for one change");
    ensure!(versions(&stage).await? == before, "a change that changes no object wrote one");

    mended(&stage).await?;
    nothing_happens(&stage).await?;

    // An operator that starts anew finds everything as it should be, and gives the lease back when it is told to stop.
    stage.settled(3).await?;
    ensure!(stage.operator.stop().await? == Some(0), "the operator stops in order");
    stage.operator.way().reset(None);
    let before = versions(&stage).await?;
    stage.operator.start()?;
    until("a reconcile of the new operator", LIMIT, async || {
        Ok(stage.operator.counter(RECONCILES).await.ok().filter(|count| *count > 0))
    })
    .await?;
    stage.settled(3).await?;
    ensure!(versions(&stage).await? == before, "an operator that started anew changed an object");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_grows_and_shrinks_under_load_and_loses_nothing() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(3).await?;
    let writer = Writer::start(stage.gateways(3).await?);
    stage.edit_ring(json!({ "replicas": 5 })).await?;
    stage.settled(5).await?;
    stage.edit_ring(json!({ "replicas": 3 })).await?;
    // Wanted again while it leaves: the leave is finished first.
    stage.status_when("a node that leaves", |status| status.members.iter().any(|it| it.state == "Leaving")).await?;
    stage.edit_ring(json!({ "replicas": 6 })).await?;
    stage.settled(6).await?;
    stage.edit_ring(json!({ "replicas": 3 })).await?;
    stage.settled(3).await?;
    let written = writer.finish().await?;
    ensure!(written.acknowledged > 0, "{written:?}");
    eprintln!("{} writes acknowledged, {} not", written.acknowledged, written.unacknowledged);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_image_stops_at_one_node_and_a_mended_one_goes_on() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(3).await?;
    let writer = Writer::start(stage.gateways(3).await?);
    stage.edit_ring(json!({ "image": "scrapering:missing" })).await?;
    let degraded = |status: &scrapering_crds::ScrapeRingStatus| {
        status.conditions.iter().any(|it| it.type_ == "Degraded" && it.reason == "NodeFails")
    };
    stage.status_when("an update that is stuck", degraded).await?;
    let pods: Api<Pod> = stage.api();
    let broken =
        |pod: &Pod| pod.spec.iter().any(|spec| spec.containers[0].image.as_deref() == Some("scrapering:missing"));
    let names: Vec<String> =
        pods.list(&Default::default()).await?.iter().filter(|pod| broken(pod)).map(ResourceExt::name_any).collect();
    ensure!(names == ["main-2"], "{names:?}");
    // An eviction of a healthy node is refused meanwhile.
    let evicted = pods.evict("main-0", &EvictParams::default()).await;
    let refused = matches!(&evicted, Err(kube::Error::Api(answer)) if answer.code == 429);
    ensure!(refused, "a second node was evicted: {evicted:?}");
    stage.edit_ring(json!({ "image": "scrapering:mended" })).await?;
    let done = |status: &scrapering_crds::ScrapeRingStatus| {
        status.phase.as_deref() == Some("Healthy")
            && status.updated_replicas == 3
            && status.image.as_deref() == Some("scrapering:mended")
    };
    stage.status_when("an update that is over", done).await?;
    stage.settled(3).await?;
    writer.finish().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_of_every_node_fails_no_request_of_clients_that_go_where_the_service_leads() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(3).await?;
    let gateways = stage.gateways(3).await?;
    let follow = gateways.clone().follow(stage.api(), "app.kubernetes.io/instance=main");
    let writer = Writer::start(gateways);
    let before: BTreeSet<_> = owned_pods(&stage).await?.iter().filter_map(ResourceExt::uid).collect();
    let update = async {
        stage.edit_ring(json!({ "podAnnotations": { "example.com/note": "new" } })).await?;
        until("another pod in the place of each", LIMIT * 2, async || {
            let now = owned_pods(&stage).await?;
            let is_new = |pod: &Pod| pod.uid().is_some_and(|uid| !before.contains(&uid));
            Ok((now.len() == 3 && now.iter().all(is_new)).then_some(()))
        })
        .await?;
        stage.settled(3).await
    };
    tokio::select! {
        () = follow => {}
        updated = update => { updated?; }
    }
    let written = writer.finish().await?;
    eprintln!("{} writes acknowledged, {} not", written.acknowledged, written.unacknowledged);
    ensure!(written.unacknowledged == 0, "{} writes failed\n{}", written.unacknowledged, stage.kubelet.tails().await);
    let faults = stage.kubelet.tails().await;
    ensure!(!faults.contains("what runs before the end has failed"), "{faults}");
    Ok(())
}

async fn owned_pods(stage: &Stage) -> anyhow::Result<Vec<Pod>> {
    Ok(stage.api::<Pod>().list(&Default::default()).await?.items)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_three_times_under_load_and_every_node_shows_the_newest() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    let tls = json!({ "tls": { "leafDuration": "1m" } });
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 }, "security": tls })).await?;
    stage.settled(3).await?;
    let secrets: Api<Secret> = stage.api();
    let newest = async || {
        let data = secrets.get("main-tls").await?.data.context("certificates")?;
        Ok::<_, anyhow::Error>(CertificateDer::from_pem_slice(&data["tls.crt"].0)?)
    };
    let http = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()?;
    let starts: Vec<i32> = stage.restarts().await?;
    let writer = Writer::start(stage.gateways(3).await?);
    let mut seen = newest().await?;
    for _ in 0..3 {
        seen = until("a renewed certificate at every node", LIMIT, async || {
            let now = newest().await?;
            for ordinal in 0..3 {
                let ip = stage.kubelet.address(NAMESPACE, RING, ordinal)?;
                let Ok(answer) = http.get(format!("https://{ip}:8443/healthz")).send().await else { return Ok(None) };
                let shown = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
                if shown != Some(now.as_ref()) || now == seen {
                    return Ok(None);
                }
            }
            Ok(Some(now))
        })
        .await?;
    }
    let written = writer.finish().await?;
    ensure!(written.unacknowledged == 0, "{} writes failed", written.unacknowledged);
    ensure!(stage.restarts().await? == starts, "a node was restarted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_were_deleted_by_mistake_are_asked_for_and_not_made_anew() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(3).await?;
    let secrets: Api<Secret> = stage.api();
    let mut kept = secrets.get("main-keys").await?;
    secrets.delete("main-keys", &DeleteParams::default()).await?;
    stage.edit_ring(json!({ "scaleIn": { "timeout": "2h" } })).await?;
    let degraded = |status: &scrapering_crds::ScrapeRingStatus| {
        status.conditions.iter().any(|it| it.type_ == "Degraded" && it.reason == "EncryptionKeyMissing")
    };
    stage.status_when("a ring that misses its key", degraded).await?;
    ensure!(secrets.get_opt("main-keys").await?.is_none(), "a new key was made");
    kept.metadata.resource_version = None;
    kept.metadata.uid = None;
    secrets.create(&Default::default(), &kept).await?;
    stage.edit_ring(json!({ "scaleIn": { "timeout": "3h" } })).await?;
    stage.settled(3).await?;
    // The ring goes, and its volumes and keys stay: the next one of that name finds its data.
    let writer = Writer::start(stage.gateways(3).await?);
    let written = writer.finish().await?;
    let rings: Api<ScrapeRing> = stage.api();
    rings.delete(RING, &DeleteParams::default()).await?;
    let pods: Api<Pod> = stage.api();
    until("no pods", LIMIT, async || Ok(pods.list(&Default::default()).await?.items.is_empty().then_some(()))).await?;
    ensure!(secrets.get_opt("main-keys").await?.is_some(), "the keys went with the ring");
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(3).await?;
    let gateways = stage.gateways(3).await?;
    written.check(&gateways).await.context("after the ring was made again")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_that_signs_tokens_is_changed_while_the_ring_serves() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    stage.make_ring(json!({ "replicas": 1, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(1).await?;
    let secrets: Api<Secret> = stage.api();
    let data = secrets.get("main-keys").await?.data.context("keys")?;
    let old_public = String::from_utf8(data["jwt.pub"].0.clone())?;
    let next = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let old = stage.gateways(1).await?;
    let new = stage.gateways_signed_by(1, next.serialize_pem().as_bytes()).await?;
    let answers = async |gateways: &Gateways, wanted: StatusCode| {
        until("a node that reads its keys again", LIMIT, async || {
            Ok((gateways.status_of("/v1/kv?prefix=none").await? == wanted).then_some(()))
        })
        .await
    };
    let write = async |key: &str, text: String| {
        let change = Patch::Merge(json!({ "stringData": { key: text } }));
        secrets.patch("main-keys", &PatchParams::default(), &change).await.map(drop)
    };
    answers(&new, StatusCode::UNAUTHORIZED).await?;
    // First every node checks by both keys, then the operator signs with the new one, then the old one goes.
    write("jwt.pub", format!("{}{old_public}", next.public_key_pem())).await?;
    answers(&new, StatusCode::OK).await?;
    answers(&old, StatusCode::OK).await?;
    write("jwt.key", next.serialize_pem()).await?;
    stage.edit_ring(json!({ "scaleIn": { "timeout": "2h" } })).await?;
    stage.settled(1).await?;
    write("jwt.pub", next.public_key_pem()).await?;
    answers(&old, StatusCode::UNAUTHORIZED).await?;
    stage.edit_ring(json!({ "scaleIn": { "timeout": "3h" } })).await?;
    stage.settled(1).await?;
    answers(&new, StatusCode::OK).await?;
    ensure!(stage.restarts().await?.iter().all(|count| *count == 0), "a node was restarted");
    Ok(())
}
