//! Very many jobs at once on a real API server: how long until the ring has each of them, and what the operator costs.

use super::Stage;
use super::stage::RING;
use crate::bench::quantile;
use crate::cpu::CpuTime;
use crate::door::until;
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ListParams, PostParams};
use scrapering_crds::{ScrapeJob, ScrapeRing};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(1_800);
/// Pause between two looks at all jobs, so that the look is no load itself.
const PAUSE: Duration = Duration::from_secs(2);
/// Objects that are made at once.
const HANDS: u32 = 8;
/// Namespaces that the jobs are spread over, each with a ring of its own.
const NAMESPACES: u32 = 20;
/// Renewals of the lease during which nothing may happen.
const IDLE_RENEWALS: usize = 3;

/// A figure and what it is.
pub type Figure = (&'static str, String);

/// Makes `count` jobs in [`NAMESPACES`] namespaces, each with a ring of one node, and prints nothing; the figures.
///
/// The jobs' one page is on an address that no ring visits, so that the operator is measured, and not a crawl.
///
/// # Errors
/// A part does not start, or the jobs do not end in time.
pub async fn run(assets: &Path, folder: &Path, chart: &Path, count: u32) -> anyhow::Result<Vec<Figure>> {
    let stage = Stage::set(assets, folder, chart).await?;
    make_rings(&stage).await?;
    let pid = stage.operator.pid().context("the operator runs")?;
    let (cpu, memory) = (CpuTime::of_process(pid)?.total(), resident_mib(pid)?);
    stage.operator.way().reset(None);
    let reconciles = stage.operator.counter(JOBS).await?;
    let begun = Instant::now();
    make(&stage, count).await?;
    let made = begun.elapsed();
    let jobs: Api<ScrapeJob> = Api::all(stage.client());
    let how_many = count as usize;
    let taken = waited(&jobs, how_many, "jobs that the ring has", begun, |job| {
        job.status.as_ref().is_some_and(|status| status.job_id.is_some())
    })
    .await?;
    let ended = waited(&jobs, how_many, "jobs that have ended", begun, |job| {
        job.status.as_ref().is_some_and(|status| status.completion_time.is_some())
    })
    .await?;
    let accepted = latencies(&jobs).await?;
    // The last look at the last job is over once nothing is asked any more.
    stage.renewals(1).await?;
    let way = stage.operator.way();
    let (calls, writes) = (way.calls(), way.writes().len());
    let at_rest = (way.calls(), stage.operator.counter(JOBS).await?);
    let idle = Instant::now();
    stage.renewals(IDLE_RENEWALS).await?;
    let idle = idle.elapsed();
    let after = (way.calls(), stage.operator.counter(JOBS).await?);
    let each = |total: u64| format!("{:.1}", total as f64 / f64::from(count));
    Ok(vec![
        ("jobs", count.to_string()),
        ("namespaces", NAMESPACES.to_string()),
        ("made within, s", seconds(made)),
        ("all taken by the ring after, s", seconds(taken)),
        ("all ended after, s", seconds(ended)),
        ("from creation to Accepted, p50, s", seconds(quantile(&accepted, 0.5))),
        ("from creation to Accepted, p99, s", seconds(quantile(&accepted, 0.99))),
        ("API calls per job", each(calls)),
        ("of them writes that changed something", each(u64::try_from(writes)?)),
        ("reconciles per job", each(at_rest.1 - reconciles)),
        ("operator, CPU seconds", seconds(CpuTime::of_process(pid)?.total() - cpu)),
        ("operator, memory before, MiB", memory.to_string()),
        ("operator, memory after, MiB", resident_mib(pid)?.to_string()),
        ("idle for, s", seconds(idle)),
        ("reconciles while idle", (after.1 - at_rest.1).to_string()),
        ("API calls while idle", (after.0 - at_rest.0).to_string()),
    ])
}

const JOBS: &str = "scrapering_operator_reconciles_total{kind=\"ScrapeJob\"}";

fn namespace(number: u32) -> String {
    format!("team-{}", number % NAMESPACES)
}

/// A ring of one node in every namespace, all of them ready.
async fn make_rings(stage: &Stage) -> anyhow::Result<()> {
    for name in (0..NAMESPACES).map(namespace) {
        let own = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        Api::<Namespace>::all(stage.client()).create(&PostParams::default(), &serde_json::from_value(own)?).await?;
        let ring = json!({
            "apiVersion": scrapering_crds::API_VERSION, "kind": "ScrapeRing", "metadata": { "name": RING },
            "spec": { "replicas": 1, "update": { "minStableSeconds": 0 } },
        });
        let rings: Api<ScrapeRing> = Api::namespaced(stage.client(), &name);
        rings.create(&PostParams::default(), &serde_json::from_value(ring)?).await?;
    }
    until("rings in all namespaces", LIMIT, async || {
        let rings = Api::<ScrapeRing>::all(stage.client()).list(&ListParams::default().match_any()).await?;
        let healthy = |ring: &ScrapeRing| ring.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some("Healthy"));
        Ok((rings.items.len() == NAMESPACES as usize && rings.iter().all(healthy)).then_some(()))
    })
    .await
}

async fn make(stage: &Stage, count: u32) -> anyhow::Result<()> {
    let mut hands = JoinSet::new();
    for hand in 0..HANDS {
        let client = stage.client();
        hands.spawn(async move {
            for number in (hand..count).step_by(HANDS as usize) {
                let jobs: Api<ScrapeJob> = Api::namespaced(client.clone(), &namespace(number));
                let job = json!({
                    "apiVersion": scrapering_crds::API_VERSION, "kind": "ScrapeJob",
                    "metadata": { "name": format!("job-{number}") },
                    "spec": { "seeds": [{ "url": "http://127.0.0.1/" }] },
                });
                jobs.create(&PostParams::default(), &serde_json::from_value(job)?).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(hand) = hands.join_next().await {
        hand??;
    }
    Ok(())
}

/// How long until `is_so` holds for every job.
async fn waited(
    jobs: &Api<ScrapeJob>,
    count: usize,
    what: &str,
    begun: Instant,
    is_so: impl Fn(&ScrapeJob) -> bool,
) -> anyhow::Result<Duration> {
    until(what, LIMIT, async || {
        // From the server's cache: a look is to cost next to nothing.
        let all = jobs.list(&ListParams::default().match_any()).await?;
        if all.items.len() == count && all.iter().all(&is_so) {
            return Ok(Some(begun.elapsed()));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(None)
    })
    .await
}

/// From each job's creation to its condition `Accepted`, sorted; the server keeps whole seconds.
async fn latencies(jobs: &Api<ScrapeJob>) -> anyhow::Result<Vec<Duration>> {
    let mut all = Vec::new();
    for job in jobs.list(&ListParams::default()).await? {
        let created = job.metadata.creation_timestamp.context("a job was created")?.0;
        let conditions = job.status.map(|status| status.conditions).unwrap_or_default();
        let accepted = conditions.iter().find(|condition| condition.type_ == "Accepted").context("Accepted")?;
        let accepted: k8s_openapi::jiff::Timestamp = accepted.last_transition_time.parse()?;
        let seconds = u64::try_from(accepted.as_second() - created.as_second()).unwrap_or_default();
        all.push(Duration::from_secs(seconds));
    }
    ensure!(!all.is_empty(), "there are no jobs");
    all.sort_unstable();
    Ok(all)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

/// Memory that a process has in use now, as proc(5) says.
fn resident_mib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? / 1024)
}
