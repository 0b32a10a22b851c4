//! Exports: outputs that are asked for beside those of the job's file, also when the job has ended.

use super::output::OutputRecord;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Exports of one job that are kept; of those that have ended the oldest makes room.
pub const MOST_EXPORTS: usize = 32;

/// Names an export among those of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExportId(pub Uuid);

impl fmt::Display for ExportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an export's id is a UUID such as 0198c1d2-7f3e-7abc-9def-0123456789ab")]
pub struct ExportIdError;

impl FromStr for ExportId {
    type Err = ExportIdError;

    fn from_str(text: &str) -> Result<Self, ExportIdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| ExportIdError)
    }
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRecord {
    /// Where it goes and how it is written, JSON in the words of the job file; credentials included.
    pub output: String,
    /// When it was asked for, milliseconds since 1970. What [`OutputRecord`] calls the run: it is written once.
    pub created_ms: u64,
    /// How far it is.
    pub progress: OutputRecord,
}

impl ExportRecord {
    /// Whether nothing is left to be written.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.progress.is_settled(self.created_ms)
    }
}
