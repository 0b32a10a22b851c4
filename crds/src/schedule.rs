//! `ScrapeSchedule`: makes a `ScrapeJob` at every time of a cron schedule, in the words of `batch/v1` CronJob.

pub mod clock;
pub mod file;
#[cfg(feature = "kube")]
mod rules;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::job::ScrapeJobSpec;

pub use file::ScrapeScheduleFile;

/// Longest name of a schedule: eleven characters are added to make the name of a job.
pub const NAME_LENGTH_MAX: usize = 52;
/// Largest of the two history limits.
pub const HISTORY_MAX: i32 = 100;
/// Shortest and longest `startingDeadlineSeconds`.
pub const DEADLINE_SECONDS: std::ops::RangeInclusive<i64> = 10..=31_536_000;

/// When to make which job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource))]
#[cfg_attr(feature = "kube", kube(
    group = "scrapering.io",
    version = "v1alpha1",
    kind = "ScrapeSchedule",
    plural = "scrapeschedules",
    shortname = "ssched",
    category = "scraping",
    namespaced,
    doc = "Makes a ScrapeJob at every time of a cron schedule.",
    status = "ScrapeScheduleStatus",
    derive = "PartialEq",
    validation = kube::core::Rule::new(rules::NAME.rule).message(rules::NAME.message),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule", description = "When, as cron says it"),
    printcolumn(name = "Timezone", type_ = "string", json_path = ".spec.timeZone", description = "Whose clock"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend", description = "Whether it is held"),
    printcolumn(
        name = "Active",
        type_ = "string",
        json_path = ".status.active[*].name",
        description = "Jobs that have not ended"
    ),
    printcolumn(
        name = "Last Schedule",
        type_ = "date",
        json_path = ".status.lastScheduleTime",
        description = "The last time for which a job was made"
    ),
    printcolumn(
        name = "Last Success",
        type_ = "date",
        json_path = ".status.lastSuccessfulTime",
        description = "When a job of it last completed",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = crate::schema::without_null)]
pub struct ScrapeScheduleSpec {
    /// Minute, hour, day of the month, month and day of the week, as cron reads them, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually.
    #[schemars(
        length(min = 1, max = 128),
        regex(
            pattern = r"^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[0-9A-Za-z*/,#?-]+( +[0-9A-Za-z*/,#?-]+){4})$"
        )
    )]
    pub schedule: String,
    /// Whose clock the schedule follows: a name of the IANA database such as "Europe/Berlin"; UTC when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = crate::schema::time_zone)]
    pub time_zone: Option<String>,
    /// Makes no further jobs; those that run go on. Times that pass meanwhile are made up for only within `startingDeadlineSeconds`.
    #[serde(default)]
    pub suspend: bool,
    /// What happens when a time comes and the job before has not ended. Allow: they run side by side. Forbid: the time is skipped. Replace: the one before is deleted, with its results.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// A time that was missed by more than this is not made up for, seconds; without it the last one missed always is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 31_536_000))]
    pub starting_deadline_seconds: Option<i64>,
    /// How many completed jobs are kept; the oldest go first, with their results.
    #[serde(default = "default_successful_jobs")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_jobs_history_limit: i32,
    /// How many failed jobs are kept.
    #[serde(default = "default_failed_jobs")]
    #[schemars(range(min = 0, max = 100))]
    pub failed_jobs_history_limit: i32,
    /// What each job is made from. A change binds the jobs that are made after it.
    pub job_template: JobTemplate,
}

/// What happens when a job is due and the one before has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ConcurrencyPolicy {
    /// They run side by side.
    #[default]
    Allow,
    /// The time is skipped.
    Forbid,
    /// The one before is deleted.
    Replace,
}

/// What a job is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobTemplate {
    /// Labels and annotations of each job.
    #[serde(default)]
    pub metadata: TemplateMetadata,
    /// What each job does.
    #[schemars(transform = crate::schema::without_transition_rules)]
    pub spec: ScrapeJobSpec,
}

/// Labels and annotations of a job that is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateMetadata {
    /// Labels to find the jobs by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the jobs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub annotations: BTreeMap<String, String>,
}

fn default_successful_jobs() -> i32 {
    3
}

fn default_failed_jobs() -> i32 {
    1
}

/// What the operator last saw of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::without_null)]
pub struct ScrapeScheduleStatus {
    /// The `metadata.generation` this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last time for which a job was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_schedule_time: Option<String>,
    /// When a job of the schedule last completed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_successful_time: Option<String>,
    /// The jobs that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), transform = crate::schema::keyed_by_name)]
    pub active: Vec<ActiveJob>,
    /// The schedule's conditions, one of each type: Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), transform = crate::schema::keyed_by_type)]
    pub conditions: Vec<Condition>,
}

/// A job that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveJob {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its `metadata.uid`.
    #[schemars(length(max = 64))]
    pub uid: String,
}
