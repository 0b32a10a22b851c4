//! The control: the same cuts while every fsync is answered with success and swallowed must lose what was acknowledged.
//!
//! A test that cannot fail proves nothing. The node itself has no switch for this: its system calls are answered by strace.

use super::check::{Findings, check};
use super::cut::Cut;
use super::load::Load;
use super::ring::{Fsync, NODES, PoweredRing, all};
use super::rounds::{Say, Site};
use crate::ring::name;
use anyhow::{Context, bail, ensure};
use std::path::Path;
use std::time::Duration;

/// Writes that are acknowledged before the cut.
const WRITES: u64 = 200;
/// How long they may take.
const WRITES_LIMIT: Duration = Duration::from_secs(120);
/// How long a key may be unreadable; no longer than needed, since it is expected to be.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// Cuts once, with fsync swallowed; in words, what was lost.
///
/// # Errors
/// Nothing was lost, or nothing could be tried.
pub async fn run(folder: &Path, cut: Cut, seed: u64, say: Say<'_>) -> anyhow::Result<()> {
    let mut ring = PoweredRing::start(folder).await?;
    // The ring is formed with honest disks: what is lost are writes, and not the ring's own beginnings.
    ring.stop(&all()).await?;
    ring.start_nodes(&all(), Fsync::Swallowed)?;
    ring.whole().await.context("with fsync swallowed")?;
    let load = Load::start(ring.store().clone(), NODES, seed);
    let mut site = Site { ring, load };
    let (places, nodes) = match cut {
        Cut::Whole => (all(), all()),
        Cut::Single | Cut::Narrow => {
            site.only(&[0, 1, 2]).await?;
            (vec![0, 3, 4], vec![0])
        }
    };
    site.load.acknowledges(WRITES, WRITES_LIMIT).await?;
    site.ring.pause(&nodes).await?;
    let held = site.load.hold();
    site.ring.cut(&nodes).await?;
    if cut != Cut::Whole {
        site.ring.resume(&[3, 4]).await?;
    }
    site.ring.start_nodes(&nodes, Fsync::Honest)?;
    let swallowed = site.ring.swallowed_count();
    ensure!(swallowed > 0, "no fsync was swallowed: strace did not do its work");
    if let Err(error) = site.ring.serving(&nodes).await {
        return refused(&mut site, cut, &error, say).await;
    }
    let held = held.await?;
    if cut != Cut::Whole {
        site.ring.pause(&[1, 2]).await?;
    }
    let findings = check(&site.load, &held, site.ring.store(), &places, READ_LIMIT).await?;
    verdict(&findings, cut, swallowed, say)
}

fn verdict(findings: &Findings, cut: Cut, swallowed: usize, say: Say<'_>) -> anyhow::Result<()> {
    let (lost, acknowledged) = (findings.lost(), findings.acknowledged);
    let unreadable = findings.unreadable.len();
    if lost == 0 {
        bail!(
            "the control ({cut}) has lost nothing, though {swallowed} fsyncs were swallowed ({acknowledged} keys, {unreadable} \
             unreadable): this test cannot find what it looks for\n{}",
            findings.lines(10)
        );
    }
    say(format!(
        "control, {cut}: {swallowed} fsyncs swallowed, {lost} of {acknowledged} keys with acknowledged writes lost, \
         {unreadable} unreadable: as it must be. Such as:\n{}",
        findings.lines(3).trim_end()
    ));
    Ok(())
}

/// A node that does not come back has lost its data as well, and says so.
async fn refused(site: &mut Site, cut: Cut, error: &anyhow::Error, say: Say<'_>) -> anyhow::Result<()> {
    let mut gone = Vec::new();
    for node in all() {
        if let Some(ended) = site.ring.ended(node).await? {
            gone.push((node, ended.err));
        }
    }
    let Some((node, words)) = gone.first() else { bail!("the control ({cut}): {error:#}") };
    let last = words.trim_end().lines().last().unwrap_or_default();
    say(format!(
        "control, {cut}: {} of {NODES} nodes refuse to start, so that their acknowledged writes are gone: as it must be. {} says: {last}",
        gone.len(),
        name(*node)
    ));
    Ok(())
}
