//! What a run has seen, in figures.

use super::check::Findings;
use super::cut::Cut;
use super::disk::Disk;
use super::ledger::Ledger;
use crate::bench::{fsync_latencies, quantile};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Samples of the fsync probe.
const FSYNCS: usize = 300;

/// The figures of a run.
#[derive(Debug, Default)]
pub struct Tally {
    backs: Vec<(Cut, Duration)>,
    checks: usize,
    reads: usize,
    keys: usize,
    lost: usize,
    writes: (u64, u64, u64),
}

impl Tally {
    /// Notes a cut, and how long the ring took from the start of the processes until each served strong reads.
    pub fn note_cut(&mut self, cut: Cut, back: Duration) {
        self.backs.push((cut, back));
    }

    /// Notes a check.
    pub fn note_check(&mut self, findings: &Findings) {
        self.checks += 1;
        self.reads += findings.read;
        self.keys = findings.acknowledged;
        self.lost += findings.lost();
    }

    /// Notes how the writes ended.
    pub fn note_writes(&mut self, ledger: &Ledger) {
        self.writes = (ledger.acknowledged, ledger.unknown, ledger.refused);
    }

    /// The figures in words.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for cut in [Cut::Single, Cut::Narrow, Cut::Whole] {
            let mut backs: Vec<Duration> =
                self.backs.iter().filter(|(other, _)| *other == cut).map(|(_, back)| *back).collect();
            backs.sort_unstable();
            if backs.is_empty() {
                continue;
            }
            let _ = writeln!(
                text,
                "{:>3} cuts, {cut}: serving again after {:.2} s (median), {:.2} s (worst)",
                backs.len(),
                quantile(&backs, 0.5).as_secs_f64(),
                quantile(&backs, 1.0).as_secs_f64()
            );
        }
        let (acknowledged, unknown, refused) = self.writes;
        let _ = writeln!(
            text,
            "{acknowledged} writes acknowledged on {} keys, {unknown} of unknown outcome, {refused} refused; {} reads in {} checks",
            self.keys, self.reads, self.checks
        );
        let _ = write!(text, "{} acknowledged writes lost", self.lost);
        text
    }
}

/// How long an fsync takes on the disk of `folder` itself and on a disk like the nodes' in it, a line each.
///
/// # Errors
/// A disk cannot be made or written.
pub fn fsync_text(folder: &Path) -> anyhow::Result<String> {
    let line = |what: &str, path: &Path| {
        let sorted = fsync_latencies(path, FSYNCS)?;
        let ms = |share| quantile(&sorted, share).as_secs_f64() * 1000.0;
        let (p50, p99, worst) = (ms(0.5), ms(0.99), ms(1.0));
        anyhow::Ok(format!("fsync of 4 KiB on {what}: p50 {p50:.3} ms, p99 {p99:.3} ms, worst {worst:.3} ms"))
    };
    let disk = Disk::make(&folder.join("probe"))?;
    Ok(format!("{}\n{}", line("this disk", folder)?, line("a node's disk (ext4 in a file on it)", disk.path())?))
}
