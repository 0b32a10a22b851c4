//! The record of a chaos run: every call with its outcome and every fault, one JSON line each, in a file.
//!
//! The judge reads nothing else. All times are nanoseconds of one monotonic clock, that of the process which made
//! the calls, from the beginning of the run.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Lines that may wait to be written.
const WAITING_LINES: usize = 4_096;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "camelCase")]
pub enum Line {
    /// The first one.
    Run(Run),
    /// A call of a client, written when it ended.
    Call(Call),
    /// A fault, written when it was over.
    Fault(Fault),
}

/// What was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What the dice of nemesis and clients began with.
    pub seed: u64,
    /// The high half of every operation id of the run.
    pub run: u64,
    /// When it began, milliseconds since the Unix epoch.
    pub began_unix_ms: u64,
}

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Read.
    Get,
    /// Write, whatever is there.
    Put,
    /// Write if nothing is there (`If-None-Match: *`).
    Create,
    /// Write if this version is there (`If-Match`).
    CompareAndSet {
        /// The version.
        version: u64,
    },
    /// Remove, if given only this version.
    Delete {
        /// The version.
        version: Option<u64>,
    },
}

impl Action {
    /// Whether it may change anything.
    pub fn is_change(self) -> bool {
        self != Self::Get
    }
}

/// How a call ended for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// As asked for.
    Done,
    /// Not done: the precondition did not hold.
    Conflict,
    /// Nobody can say.
    Unknown,
    /// Not done, and never will be.
    Unavailable,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Who asked.
    pub client: usize,
    /// Unique in the run, from 1; the low half of the operation id, and what the written content is made from.
    pub operation: u64,
    /// The key.
    pub key: String,
    /// What was asked for.
    pub action: Action,
    /// The node that was asked.
    pub node: String,
    /// When it was asked.
    pub start_ns: u64,
    /// When it was answered or given up.
    pub end_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status; none without an answer.
    pub status: Option<u16>,
    /// The register that the answer shows; none when it shows none.
    pub shown: Option<Shown>,
    /// What the contract does not know: an answer that no client should get.
    pub oddity: Option<String>,
}

/// A register in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Whether there is content.
    pub present: bool,
    /// Its version, where it was told.
    pub version: Option<u64>,
    /// The operation that wrote it, where it was told.
    pub operation: Option<u64>,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What was done.
    pub kind: String,
    /// To whom.
    pub nodes: Vec<String>,
    /// When it began.
    pub start_ns: u64,
    /// When nothing was done any more.
    pub end_ns: u64,
    /// When every node called the ring whole again.
    pub whole_ns: u64,
    /// Bytes that the nodes in question received from the end of the fault until then, load included; none where nobody can tell.
    pub received_bytes: Option<u64>,
}

/// Where lines are handed in. A cheap clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    began: Instant,
    lines: mpsc::Sender<Line>,
}

impl Recorder {
    /// Opens a new file; the task ends when every clone is gone, with what could not be written.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path, run: Run) -> anyhow::Result<(Self, JoinHandle<anyhow::Result<()>>)> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        let (lines, mut waiting) = mpsc::channel(WAITING_LINES);
        let mut file = BufWriter::new(file);
        write(&mut file, &Line::Run(run))?;
        let task = tokio::task::spawn_blocking(move || {
            while let Some(line) = waiting.blocking_recv() {
                write(&mut file, &line)?;
            }
            file.flush().context("the history cannot be written")
        });
        Ok((Self { began: Instant::now(), lines }, task))
    }

    /// Nanoseconds since the beginning.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Hands in a line.
    ///
    /// # Errors
    /// The file cannot be written any more.
    pub async fn record(&self, line: Line) -> anyhow::Result<()> {
        self.lines.send(line).await.map_err(|_| anyhow::anyhow!("the history cannot be written: is the disk full?"))
    }
}

fn write(file: &mut impl Write, line: &Line) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes).context("the history cannot be written: is the disk full?")
}

/// A history that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// What was run.
    pub run: Run,
    /// Every call, in the order in which they ended.
    pub calls: Vec<Call>,
    /// Every fault.
    pub faults: Vec<Fault>,
}

/// Reads a file.
///
/// # Errors
/// It is no history; names the line.
pub fn read(path: &Path) -> anyhow::Result<History> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let (mut run, mut calls, mut faults) = (None, Vec::new(), Vec::new());
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = serde_json::from_str(&line?)
            .with_context(|| format!("line {} of {} is no line of a history", index + 1, path.display()))?;
        match line {
            Line::Run(first) => run = Some(first),
            Line::Call(call) => calls.push(call),
            Line::Fault(fault) => faults.push(fault),
        }
    }
    let run = run.with_context(|| format!("{} does not say what was run", path.display()))?;
    Ok(History { run, calls, faults })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_recorded_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let run = Run { seed: 7, run: 9, began_unix_ms: 11 };
        let (recorder, task) = Recorder::create(&path, run.clone()).unwrap();
        let call = Call {
            client: 1,
            operation: 1,
            key: "a/b".to_owned(),
            action: Action::CompareAndSet { version: 4 },
            node: "ring-0".to_owned(),
            start_ns: 5,
            end_ns: recorder.now_ns(),
            outcome: Outcome::Conflict,
            status: Some(412),
            shown: Some(Shown { present: true, version: Some(6), operation: None }),
            oddity: None,
        };
        recorder.record(Line::Call(call.clone())).await.unwrap();
        drop(recorder);
        task.await.unwrap().unwrap();
        let history = read(&path).unwrap();
        assert_eq!(history, History { run, calls: vec![call], faults: Vec::new() });
    }
}
