//! A schedule as one document of YAML or JSON, read without Kubernetes: the file of the command line, the body of a request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ScrapeScheduleSpec;
use crate::file::{self, JobFileError, JobMetadata};

/// `kind` of a schedule.
pub const SCHEDULE_KIND: &str = "ScrapeSchedule";

/// A whole schedule document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScrapeScheduleFile {
    /// Always `scrapering.io/v1alpha1`.
    pub api_version: String,
    /// Always `ScrapeSchedule`.
    pub kind: String,
    /// What the schedule is called; its name may have 52 characters.
    pub metadata: JobMetadata,
    /// When to make which job.
    pub spec: ScrapeScheduleSpec,
}

impl ScrapeScheduleFile {
    /// Reads one document of YAML or JSON.
    ///
    /// # Errors
    /// See [`JobFileError`]; only shape is judged here, not meaning.
    pub fn parse(text: &str) -> Result<Self, JobFileError> {
        file::parse(text, SCHEDULE_KIND)
    }
}
