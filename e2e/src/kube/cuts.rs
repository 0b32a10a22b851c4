//! Stops the operator after every single write of an operation, starts it again, and sees whether the operation ends right.
//!
//! An operator that dies may have died after any of its writes. Whatever it leaves behind must be enough for the next one:
//! the ring serves on, nothing acknowledged is lost, and the operation comes to its end.

use super::Stage;
use super::stage::RING;
use super::writer::Writer;
use crate::door::until;
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use scrapering_crds::ScrapeRing;
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
    cut: usize,
    write: String,
    acknowledged: u64,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, cut, write, acknowledged } = self;
        write!(f, "{operation:<10} {cut:>3}  {write:<90} ended right, {acknowledged} writes kept")
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

/// Runs every cut of every operation; `tell` hears each line when it is known.
///
/// # Errors
/// An operation did not end right.
pub async fn run(assets: &Path, folder: &Path, chart: &Path, mut tell: impl FnMut(&Line)) -> anyhow::Result<usize> {
    let mut stage = Stage::set(assets, folder, chart).await?;
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
    stage.settled(3).await?;
    let mut lines = 0;
    let mut open = [true, true, true];
    for cut in 1..=MAX_CUTS {
        for (place, operation) in [OUT, IN, UPDATE].iter().enumerate() {
            // Growing and shrinking undo each other, so both go on until neither has a write left to cut.
            let is_needed = if place < 2 { open[0] || open[1] } else { open[2] };
            if !is_needed {
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
    stage.operator.way().reset(Some(cut));
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
        cut,
        write: writes.last().cloned().unwrap_or_default(),
        acknowledged: written.acknowledged,
    }))
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
    rings.delete(RING, &DeleteParams::default()).await?;
    until("no pods", LIMIT, async || Ok(pods.list(&Default::default()).await?.items.is_empty().then_some(()))).await?;
    stage.operator.way().reset(Some(cut));
    stage.make_ring(json!({ "replicas": 3, "update": { "minStableSeconds": 0 } })).await?;
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
        cut,
        write: writes.last().cloned().unwrap_or_default(),
        acknowledged: written.acknowledged,
    }))
}
