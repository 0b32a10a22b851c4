//! The status of a `ScrapeJob`: what the ring last said of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// What the ring last said of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::without_null)]
pub struct ScrapeJobStatus {
    /// The `metadata.generation` this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in one word, for people. Programs read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<JobPhase>,
    /// The job's id in the ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub job_id: Option<String>,
    /// Pages by what became of them.
    #[serde(default)]
    pub pages: PageCounts,
    /// Pages that are settled and pages that are known, such as "1830/2411".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub progress: Option<String>,
    /// Items extracted.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub items: i64,
    /// Items dropped because a required field was missing.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub item_errors: i64,
    /// When the ring took the job, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub start_time: Option<String>,
    /// When the job ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completion_time: Option<String>,
    /// When the next page is due to be visited again, RFC 3339; only while a job with `recrawl` waits for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub next_visit_time: Option<String>,
    /// How long the job took, once it has ended, such as "1h2m3s".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub duration: Option<String>,
    /// The job's conditions, one of each type: Accepted, Suspended, Complete, Failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), transform = crate::schema::keyed_by_type)]
    pub conditions: Vec<Condition>,
}

/// State of a job in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JobPhase {
    /// Not yet taken by the ring.
    Pending,
    /// Pages are fetched.
    Running,
    /// Held by `spec.suspend`.
    Suspended,
    /// Every page in scope is settled.
    Complete,
    /// Ended without completing.
    Failed,
    /// Ended by its user; what was found is kept.
    Stopped,
    /// Ended by its user; what was found is gone.
    Cancelled,
}

/// Pages by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageCounts {
    /// Distinct pages found in scope.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub discovered: i64,
    /// Fetched and kept.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub succeeded: i64,
    /// Given up after the last attempt.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failed: i64,
    /// Not fetched, for a reason that the ring tells.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub skipped: i64,
    /// Further visits that found a page as it was before.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub not_modified: i64,
}
