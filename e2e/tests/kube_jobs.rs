//! Jobs and schedules on a real API server, with a ring of real processes that crawls a shop on loopback.
//!
//! The programs are found in `KUBEBUILDER_ASSETS`; where it is unset these tests do nothing, and `make test` says so.

#![allow(clippy::print_stderr, reason = "a test says what it measured")]

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use reqwest::StatusCode;
use scrapering_crds::job::JobPhase;
use scrapering_crds::{ConditionStatus, ScrapeJob, ScrapeJobStatus, ScrapeRing, ScrapeSchedule, Span};
use scrapering_e2e::door::until;
use scrapering_e2e::kube::Stage;
use scrapering_e2e::kube::stage::{LIMIT, NAMESPACE, RING};
use scrapering_e2e::kube::table::Table;
use scrapering_e2e::shop;
use serde_json::{Value, json};
use std::time::Duration;

const PRODUCTS: u32 = 40;
const RECONCILES: &str = "scrapering_operator_reconciles_total{kind=\"ScrapeJob\"}";

/// The example's job, for a shop at `url`.
fn job(name: &str, url: &str) -> anyhow::Result<ScrapeJob> {
    let mut job: Value = serde_saphyr::from_str(&std::fs::read_to_string("../examples/shop.yaml")?)?;
    job["metadata"]["name"] = json!(name);
    job["spec"]["seeds"] = json!([{ "url": url }]);
    Ok(serde_json::from_value(job)?)
}

/// `True/Submitted` of a condition.
fn condition(status: &ScrapeJobStatus, type_: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_);
    found.map_or_else(String::new, |it| {
        let holds = if it.status == ConditionStatus::True { "True" } else { "False" };
        format!("{holds}/{}", it.reason)
    })
}

async fn status_when(
    stage: &Stage,
    name: &str,
    what: &str,
    is_so: impl Fn(&ScrapeJobStatus) -> bool,
) -> anyhow::Result<ScrapeJobStatus> {
    let jobs: Api<ScrapeJob> = stage.api();
    let waited = until(what, LIMIT, async || Ok(jobs.get(name).await?.status.filter(|status| is_so(status)))).await;
    match waited {
        Ok(status) => Ok(status),
        Err(error) => {
            let seen = serde_json::to_string_pretty(&jobs.get(name).await?.status)?;
            Err(error.context(format!("{seen}\n{}", stage.operator.tail())))
        }
    }
}

/// `kubectl get sring,sjob` says what people look for, and a ring and jobs at rest cost nothing.
async fn printed(stage: &Stage, known: &str) -> anyhow::Result<()> {
    let rings = Table::of(&stage.client(), "scraperings").await?;
    let jobs = Table::of(&stage.client(), "scrapejobs").await?;
    eprintln!("{rings}\n{jobs}");
    ensure!(
        rings.columns == ["NAME", "READY", "STATUS", "DESIRED", "JOINED", "UNDER-REPLICATED", "AGE"],
        "{:?}",
        rings.columns
    );
    for (column, cell) in
        [("READY", "True"), ("STATUS", "Healthy"), ("DESIRED", "1"), ("JOINED", "1"), ("UNDER-REPLICATED", "0")]
    {
        ensure!(rings.cell("main", column)? == cell, "{column}:\n{rings}");
    }
    ensure!(
        jobs.columns == ["NAME", "STATUS", "RING", "PAGES", "FAILED", "ITEMS", "STARTED", "DURATION", "AGE"],
        "{:?}",
        jobs.columns
    );
    let (pages, items) = (format!("{known}/{known}"), PRODUCTS.to_string());
    for (column, cell) in [
        ("STATUS", "Complete"),
        ("RING", "main"),
        ("PAGES", pages.as_str()),
        ("FAILED", "0"),
        ("ITEMS", items.as_str()),
    ] {
        ensure!(jobs.cell("shop", column)? == cell, "{column}:\n{jobs}");
    }
    for column in ["STARTED", "DURATION", "AGE"] {
        ensure!(jobs.cell("shop", column)?.ends_with(['s', 'm']), "{column}:\n{jobs}");
    }
    ensure!(jobs.cell("held", "STATUS")? == "Suspended", "{jobs}");
    stage.renewals(1).await?;
    let before = (stage.operator.counter(RECONCILES).await?, stage.operator.way().calls());
    stage.renewals(3).await?;
    let after = (stage.operator.counter(RECONCILES).await?, stage.operator.way().calls());
    ensure!(before == after, "reconciles and API calls of jobs at rest: {before:?}, then {after:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_waits_for_its_ring_completes_and_goes_with_its_object() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    let shop = shop::start(shop::Config { products: PRODUCTS, ..shop::Config::default() }).await?;
    let jobs: Api<ScrapeJob> = stage.api();
    jobs.create(&PostParams::default(), &job("shop", &shop.url().to_string())?).await?;
    let mut held = job("held", &shop.url().to_string())?;
    held.spec.suspend = true;
    jobs.create(&PostParams::default(), &held).await?;
    status_when(&stage, "shop", "a job that waits for its ring", |it| {
        condition(it, "Accepted") == "False/RingNotFound"
    })
    .await?;

    let private = json!({ "allowedPrivateCidrs": ["127.0.0.0/8"] });
    stage.make_ring(json!({ "replicas": 1, "update": { "minStableSeconds": 0 }, "scraping": private })).await?;
    stage.settled(1).await?;
    let done = status_when(&stage, "shop", "a job that is complete", |it| it.phase == Some(JobPhase::Complete)).await?;
    ensure!(
        condition(&done, "Accepted") == "True/Submitted" && condition(&done, "Complete") == "True/AllPagesSettled",
        "{done:?}"
    );
    ensure!(done.items == i64::from(PRODUCTS), "{} items of {PRODUCTS} products", done.items);
    let (settled, known) = done.progress.as_deref().and_then(|text| text.split_once('/')).context("progress")?;
    ensure!(settled == known && done.duration.is_some() && done.start_time.is_some(), "{done:?}");
    eprintln!("{known} pages, {} items in {}", done.items, done.duration.unwrap_or_default());

    printed(&stage, known).await?;

    // The one that is held has not even been asked for, until it is let go.
    let held = jobs.get("held").await?.status.context("a status")?;
    ensure!(held.phase == Some(JobPhase::Suspended) && held.job_id.is_none(), "{held:?}");
    let go = Patch::Merge(json!({ "spec": { "suspend": false, "ttlSecondsAfterFinished": 0 } }));
    jobs.patch("held", &PatchParams::default(), &go).await?;
    until("a job that is removed after its end", LIMIT, async || {
        Ok(jobs.get_opt("held").await?.is_none().then_some(()))
    })
    .await?;

    jobs.delete("shop", &DeleteParams::default()).await?;
    until("a deleted job", LIMIT, async || Ok(jobs.get_opt("shop").await?.is_none().then_some(()))).await?;
    Ok(())
}

/// Makes a job that takes long, and waits until its ring fetches for it; its id in the ring.
async fn running(stage: &Stage, name: &str, url: &str) -> anyhow::Result<String> {
    let mut slow = job(name, url)?;
    slow.spec.politeness.delay = Span(Duration::from_secs(1));
    stage.api::<ScrapeJob>().create(&PostParams::default(), &slow).await?;
    let status = status_when(stage, name, "a job that has found something", |it| it.items > 0).await?;
    status.job_id.context("a job that runs has an id in its ring")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_silent_ring_go_by_force_and_those_of_a_deleted_one_fail_and_keep_what_they_found()
-> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    let shop = shop::start(shop::Config { products: PRODUCTS, ..shop::Config::default() }).await?;
    let url = shop.url().to_string();
    let ring = json!({
        "replicas": 1, "update": { "minStableSeconds": 0 }, "scraping": { "allowedPrivateCidrs": ["127.0.0.0/8"] },
    });
    stage.make_ring(ring.clone()).await?;
    stage.settled(1).await?;
    let jobs: Api<ScrapeJob> = stage.api();

    running(&stage, "waits", &url).await?;
    stage.kubelet.signal(NAMESPACE, "main-0", "STOP").await?;
    jobs.delete("waits", &DeleteParams::default()).await?;
    stage.renewals(2).await?;
    let waiting = jobs.get("waits").await.context("its ring has not let go of it")?;
    ensure!(waiting.metadata.deletion_timestamp.is_some(), "{waiting:?}");
    let force = Patch::Merge(json!({ "metadata": { "annotations": { "scrapering.io/force-delete": "true" } } }));
    jobs.patch("waits", &PatchParams::default(), &force).await?;
    until("a job that goes by force", LIMIT, async || Ok(jobs.get_opt("waits").await?.is_none().then_some(()))).await?;
    stage.kubelet.signal(NAMESPACE, "main-0", "CONT").await?;

    let id = running(&stage, "fails", &url).await?;
    stage.api::<ScrapeRing>().delete(RING, &DeleteParams::default()).await?;
    let failed =
        status_when(&stage, "fails", "a job without its ring", |it| it.phase == Some(JobPhase::Failed)).await?;
    ensure!(condition(&failed, "Failed") == "True/RingNotFound", "{failed:?}");
    let pods: Api<Pod> = stage.api();
    until("no pods", LIMIT, async || Ok(pods.list(&Default::default()).await?.items.is_empty().then_some(()))).await?;
    // The ring of that name finds its volumes, and on them what the job had found.
    stage.make_ring(ring).await?;
    stage.settled(1).await?;
    let gateways = stage.gateways(1).await?;
    let found = until("the job's items", LIMIT, async || gateways.text(&format!("/v1/jobs/{id}/items")).await).await?;
    ensure!(found.lines().count() >= usize::try_from(failed.items)?, "{} items, then {found}", failed.items);
    jobs.delete("fails", &DeleteParams::default()).await?;
    until("a job that is let go", LIMIT, async || Ok(jobs.get_opt("fails").await?.is_none().then_some(()))).await?;
    until("no job in the ring", LIMIT, async || {
        Ok((gateways.status_of(&format!("/v1/jobs/{id}")).await? == StatusCode::NOT_FOUND).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_goes_also_where_the_definition_of_rings_is_gone() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    let jobs: Api<ScrapeJob> = stage.api();
    jobs.create(&PostParams::default(), &job("alone", "https://example.org/")?).await?;
    status_when(&stage, "alone", "a job without a ring", |it| condition(it, "Accepted") == "False/RingNotFound")
        .await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(stage.client());
    definitions.delete("scraperings.scrapering.io", &DeleteParams::default()).await?;
    until("no definition of rings", LIMIT, async || {
        Ok(definitions.get_opt("scraperings.scrapering.io").await?.is_none().then_some(()))
    })
    .await?;
    jobs.delete("alone", &DeleteParams::default()).await?;
    until("a job that goes", LIMIT, async || Ok(jobs.get_opt("alone").await?.is_none().then_some(()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_makes_a_job_and_takes_it_along() -> anyhow::Result<()> {
    let Some((stage, _folder)) = Stage::if_any().await? else { return Ok(()) };
    let schedules: Api<ScrapeSchedule> = stage.api();
    let schedule = serde_json::from_value(json!({
        "apiVersion": scrapering_crds::API_VERSION, "kind": "ScrapeSchedule", "metadata": { "name": "often" },
        "spec": { "schedule": "* * * * *", "timeZone": "Europe/Berlin",
                  "jobTemplate": { "spec": { "seeds": [{ "url": "https://example.org/" }] } } },
    }))?;
    schedules.create(&PostParams::default(), &schedule).await?;
    let jobs: Api<ScrapeJob> = stage.api();
    let made = until("the job of the next minute", LIMIT, async || {
        Ok(jobs.list(&ListParams::default()).await?.items.into_iter().next())
    })
    .await?;
    ensure!(made.name_any().starts_with("often-"), "{}", made.name_any());
    until("a schedule that says so", LIMIT, async || {
        let status = schedules.get("often").await?.status.unwrap_or_default();
        Ok((status.last_schedule_time.is_some() && status.active.iter().any(|it| it.name == made.name_any()))
            .then_some(()))
    })
    .await?;
    schedules.delete("often", &DeleteParams::default()).await?;
    until("no job without its schedule", LIMIT, async || {
        Ok(jobs.list(&ListParams::default()).await?.items.is_empty().then_some(()))
    })
    .await?;
    Ok(())
}
