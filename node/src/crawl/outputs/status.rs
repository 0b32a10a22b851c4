//! How far a job's outputs are, for the doors.

use crate::crawl::Crawl;
use crate::crawl::doors::moment;
use crate::driver::registers::Unavailable;
use schemars::JsonSchema;
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::output::OutputRecord;
use scrapering_core::frontier::record::{JobId, JobPhase, JobRecord, decode};
use scrapering_crds::ScrapeJobFile;
use serde::{Deserialize, Serialize};

/// How far an output of a job's file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// Its place in `spec.outputs`, counted from 0; what the ring keeps itself is left out.
    pub output: usize,
    /// How far it is.
    #[serde(flatten)]
    pub progress: OutputProgress,
}

/// How far an output or an export is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputProgress {
    /// Whether everything is there.
    pub state: OutputWord,
    /// Items, or pages, in its parts.
    pub entries: u64,
    /// Files of it.
    pub parts: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// What was wrong with the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it is tried again, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
}

/// Whether an output is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OutputWord {
    /// The job has not ended.
    Waiting,
    /// Its parts are being written.
    Writing,
    /// Every part and the marker are there.
    Done,
    /// It was given up after many attempts.
    Failed,
    /// The job was cancelled: nothing is written.
    Dropped,
}

/// How far the outputs of a job are.
pub(in crate::crawl) async fn of_job(
    crawl: &Crawl,
    job: JobId,
    record: &JobRecord,
) -> Result<Vec<OutputStatus>, Unavailable> {
    // Most jobs have none: their files need not be read.
    if !record.file.contains("\"outputs\"") {
        return Ok(Vec::new());
    }
    let Ok(file) = serde_json::from_str::<ScrapeJobFile>(&record.file) else { return Ok(Vec::new()) };
    let outputs = file.spec.outputs.iter().enumerate().filter(|(_, output)| output.ring.is_none());
    let places: Vec<usize> = outputs.map(|(place, _)| place).collect();
    let partition = job_partition(job);
    let keys =
        (0..u16::try_from(places.len()).unwrap_or(u16::MAX)).map(|place| Name::Output(job, place).key(partition));
    let values = crawl.driver.read(partition, keys.collect()).await?;
    let known = values.into_iter().map(|value| {
        let known: Option<OutputRecord> = value.and_then(|value| decode(value.content.as_deref()?).ok());
        known.unwrap_or_default()
    });
    let status =
        |(output, known)| OutputStatus { output, progress: OutputProgress::of(record, record.started_ms, known) };
    Ok(places.into_iter().zip(known).map(status).collect())
}

impl OutputProgress {
    /// `run_ms`: what is to be written once, a run of the job or an export.
    pub(in crate::crawl) fn of(job: &JobRecord, run_ms: u64, output: OutputRecord) -> Self {
        let state = match job.phase {
            _ if output.done == Some(run_ms) => OutputWord::Done,
            _ if output.given_up == Some(run_ms) => OutputWord::Failed,
            JobPhase::Cancelled => OutputWord::Dropped,
            phase if !phase.has_ended() => OutputWord::Waiting,
            _ => OutputWord::Writing,
        };
        let waits = state == OutputWord::Writing && output.tries > 0;
        Self {
            state,
            entries: output.parts.iter().map(|part| part.entries).sum(),
            parts: output.parts.len() as u64,
            bytes: output.parts.iter().map(|part| part.bytes).sum(),
            error: output.fault,
            next_attempt_at: if waits { moment(output.retry_ms) } else { None },
        }
    }
}
