//! Stops the operator after every single write of an operation, starts it again, and sees whether the operation ends right.
//!
//! An operator that dies may have died after any of its writes. Whatever it leaves behind must be enough for the next one:
//! the ring serves on, nothing acknowledged is lost, and the operation comes to its end.

use super::Stage;
use super::cutter::Cut;
use super::stage::RING;
use super::volumes::{GROWING, make_classes};
use super::writer::Writer;
use crate::door::until;
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use reqwest::StatusCode;
use scrapering_crds::{ScrapeJob, ScrapeRing};
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// How long until a cut comes, or the operation ends without one.
const LIMIT: Duration = Duration::from_secs(400);
/// More writes than any operation on a small ring needs; an operation that needs more does not end by itself.
const MAX_CUTS: usize = 60;

/// One line of the table.
pub struct Line {
    operation: &'static str,
    cut: Cut,
    write: String,
    kept: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, cut, write, kept } = self;
        let (word, number) = match cut {
            Cut::Before(number) => ("before", number),
            Cut::After(number) => ("after", number),
        };
        write!(f, "{operation:<10} {word:<6} {number:>3}  {write:<90} ended right, {kept}")
    }
}

/// An operation, and the one that undoes it.
struct Operation {
    name: &'static str,
    spec: fn(usize) -> Value,
    nodes: usize,
}

const OUT: Operation = Operation { name: "scale out", spec: |_| json!({ "replicas": 4 }), nodes: 4 };
const IN: Operation = Operation { name: "scale in", spec: |_| json!({ "replicas": 3 }), nodes: 3 };
const UPDATE: Operation =
    Operation { name: "update", spec: |cut| json!({ "podAnnotations": { "cut": cut.to_string() } }), nodes: 3 };
const EXPAND: Operation =
    Operation { name: "expand", spec: |cut| json!({ "storage": { "size": format!("{}Gi", 10 + cut) } }), nodes: 3 };

/// What the ring is made from.
fn ring() -> Value {
    json!({ "replicas": 3, "update": { "minStableSeconds": 0 }, "storage": { "storageClassName": GROWING } })
}

/// Runs every cut of every operation; `tell` hears each line when it is known.
///
/// # Errors
/// An operation did not end right.
pub async fn run(assets: &Path, folder: &Path, chart: &Path, mut tell: impl FnMut(&Line)) -> anyhow::Result<usize> {
    let mut stage = Stage::set(assets, folder, chart).await?;
    make_classes(&stage.client()).await?;
    stage.make_ring(ring()).await?;
    stage.settled(3).await?;
    let mut lines = 0;
    for number in 1..=MAX_CUTS {
        let mut is_open = false;
        for cut in [Cut::Before(number), Cut::After(number)] {
            let line = job_deletion(&mut stage, cut).await.with_context(|| format!("deletion of a job, {cut:?}"))?;
            if let Some(line) = line {
                tell(&line);
                (is_open, lines) = (true, lines + 1);
            }
        }
        if !is_open {
            break;
        }
    }
    let mut open = [true; 4];
    for cut in 1..=MAX_CUTS {
        // Growing and shrinking undo each other, so both go on until neither has a write left to cut.
        let resizes = open[0] || open[1];
        let needed = [resizes, resizes, open[2], open[3]];
        for (place, operation) in [OUT, IN, UPDATE, EXPAND].iter().enumerate() {
            if !needed[place] {
                continue;
            }
            let line = one(&mut stage, operation, cut)
                .await
                .with_context(|| format!("{} cut after write {cut}", operation.name))?;
            open[place] = line.is_some();
            if let Some(line) = line {
                tell(&line);
                lines += 1;
            }
        }
        if !open.iter().any(|open| *open) {
            break;
        }
    }
    for cut in 1..=MAX_CUTS {
        match deletion(&mut stage, cut).await.with_context(|| format!("deletion cut after write {cut}"))? {
            Some(line) => {
                tell(&line);
                lines += 1;
            }
            None => break,
        }
    }
    Ok(lines)
}

/// One operation with one cut; `None` when it ended before there were so many writes.
async fn one(stage: &mut Stage, operation: &Operation, cut: usize) -> anyhow::Result<Option<Line>> {
    let writer = Writer::start(stage.gateways(3).await?);
    stage.operator.way().reset(Some(Cut::After(cut)));
    stage.edit_ring((operation.spec)(cut)).await?;
    let is_cut = ended(stage, operation.nodes).await?;
    let writes = stage.operator.way().writes();
    stage.operator.kill().await?;
    stage.operator.way().reset(None);
    stage.operator.start()?;
    stage.settled(operation.nodes).await?;
    let written = writer.finish().await?;
    Ok(is_cut.then(|| Line {
        operation: operation.name,
        cut: Cut::After(cut),
        write: writes.last().cloned().unwrap_or_default(),
        kept: format!("{} writes kept", written.acknowledged),
    }))
}

/// A job that the ring has is deleted while the operator is cut; in the end neither the server nor the ring knows it.
async fn job_deletion(stage: &mut Stage, cut: Cut) -> anyhow::Result<Option<Line>> {
    let jobs: Api<ScrapeJob> = stage.api();
    let job = json!({
        "apiVersion": scrapering_crds::API_VERSION, "kind": "ScrapeJob", "metadata": { "name": "cut" },
        // Never fetched: no address in the ring's own network is visited.
        "spec": { "seeds": [{ "url": "http://127.0.0.1/" }] },
    });
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?).await?;
    let id = until("a job that the ring has", LIMIT, async || {
        Ok(jobs.get("cut").await?.status.filter(|status| status.completion_time.is_some()).and_then(|it| it.job_id))
    })
    .await?;
    stage.operator.way().reset(Some(cut));
    jobs.delete("cut", &DeleteParams::default()).await?;
    let gone = async || Ok(jobs.get_opt("cut").await?.is_none().then_some(()));
    until("a cut, or a job that is gone", LIMIT, async || {
        Ok(if stage.operator.way().is_cut() { Some(()) } else { gone().await? })
    })
    .await?;
    let way = stage.operator.way();
    let write = way.is_cut().then(|| way.kept().or_else(|| way.writes().pop()).unwrap_or_default());
    stage.operator.kill().await?;
    stage.operator.way().reset(None);
    stage.operator.start()?;
    until("a job that is gone", LIMIT, gone).await?;
    // The ring has taken the deletion down; it takes the job apart in its own time.
    let (ring, path) = (stage.gateways(3).await?, format!("/v1/jobs/{id}"));
    let is_unknown = async || Ok((ring.status_of(&path).await? == StatusCode::NOT_FOUND).then_some(()));
    until("a ring that does not know a job whose object is gone", LIMIT, is_unknown).await?;
    Ok(write.map(|write| Line { operation: "delete job", cut, write, kept: "the ring let go of it".to_owned() }))
}

/// Waits for the cut or for the end of the operation; whether it was the cut.
async fn ended(stage: &Stage, nodes: usize) -> anyhow::Result<bool> {
    let rings: Api<ScrapeRing> = stage.api();
    until("a cut, or the end of the operation", LIMIT, async || {
        if stage.operator.way().is_cut() {
            return Ok(Some(true));
        }
        let ring = rings.get(RING).await?;
        let status = ring.status.unwrap_or_default();
        let is_over = status.observed_generation == ring.metadata.generation
            && status.operation.is_none()
            && status.phase.as_deref() == Some("Healthy")
            && status.members.len() == nodes;
        Ok(is_over.then_some(false))
    })
    .await
}

/// The ring is deleted while the operator is cut, and comes back by name with what it held.
async fn deletion(stage: &mut Stage, cut: usize) -> anyhow::Result<Option<Line>> {
    let writer = Writer::start(stage.gateways(3).await?);
    let written = writer.finish().await?;
    let rings: Api<ScrapeRing> = stage.api();
    let pods: Api<Pod> = stage.api();
    stage.operator.way().reset(None);
    rings.delete(RING, &DeleteParams::default()).await?;
    until("no pods", LIMIT, async || Ok(pods.list(&Default::default()).await?.items.is_empty().then_some(()))).await?;
    let idle = stage.operator.way().writes();
    ensure!(idle.is_empty(), "what a ring owns goes with it, and yet the operator wrote {idle:?}");
    stage.operator.way().reset(Some(Cut::After(cut)));
    stage.make_ring(ring()).await?;
    let is_cut = ended(stage, 3).await?;
    let writes = stage.operator.way().writes();
    stage.operator.kill().await?;
    stage.operator.way().reset(None);
    stage.operator.start()?;
    stage.settled(3).await?;
    written.check(&stage.gateways(3).await?).await?;
    ensure!(written.acknowledged > 0, "nothing was written");
    Ok(is_cut.then(|| Line {
        operation: "made again",
        cut: Cut::After(cut),
        write: writes.last().cloned().unwrap_or_default(),
        kept: format!("{} writes kept", written.acknowledged),
    }))
}
