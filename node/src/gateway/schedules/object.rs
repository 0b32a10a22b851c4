//! A schedule as a resource: the shape of a Kubernetes object, with the spec as it was given and the status as the ring knows it.

use crate::crawl::schedules::ScheduleState;
use crate::gateway::object::hide_secrets;
use crate::job::schedule::job_name;
use jiff::Timestamp;
use schemars::JsonSchema;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::schedule::file::SCHEDULE_KIND;
use scrapering_crds::{API_VERSION, ScrapeScheduleSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `kind` of a list of schedules.
const LIST_KIND: &str = "ScrapeScheduleList";

/// A schedule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleObject {
    /// Always `scrapering.io/v1alpha1`.
    pub api_version: String,
    /// Always `ScrapeSchedule`.
    pub kind: String,
    /// Who it is.
    pub metadata: ScheduleMetadata,
    /// When it makes which job.
    #[schemars(with = "ScrapeScheduleSpec")]
    pub spec: Value,
    /// What it has made.
    pub status: ScheduleStatusObject,
}

/// Who a schedule is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleMetadata {
    /// Chosen by the user; one schedule of a tenant has it.
    pub name: String,
    /// Tells it from a later one of the same name.
    pub uid: String,
    /// Grows with every change; the `ETag` without its quotes.
    pub resource_version: String,
    /// RFC 3339.
    pub creation_timestamp: String,
    /// What else the user wrote.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a schedule has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatusObject {
    /// The last time for which a job was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<String>,
    /// When a job of the schedule last completed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<String>,
    /// The time that comes next, RFC 3339; absent while the schedule is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<String>,
    /// The jobs that have not ended, the oldest first.
    pub active: Vec<ActiveRun>,
}

/// A job of a schedule that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActiveRun {
    /// Its name.
    pub name: String,
    /// Its id.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub uid: JobId,
}

/// Several schedules.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleList {
    /// Always `scrapering.io/v1alpha1`.
    pub api_version: String,
    /// Always `ScrapeScheduleList`.
    pub kind: String,
    /// The schedules.
    pub items: Vec<ScheduleObject>,
    /// Cursor of what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl ScheduleList {
    /// These schedules; `next` is the cursor of what follows.
    #[must_use]
    pub fn new(items: Vec<ScheduleObject>, next: Option<String>) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind: LIST_KIND.to_owned(), items, next }
    }
}

impl ScheduleObject {
    /// A schedule as it is at `now`.
    #[must_use]
    pub fn of(state: ScheduleState, now: Timestamp) -> Self {
        let ScheduleState { record, version, loaded } = state;
        let file = &loaded.file;
        let mut spec = serde_json::to_value(&file.spec).unwrap_or_default();
        if let Some(jobs) = spec.pointer_mut("/jobTemplate/spec") {
            hide_secrets(jobs);
        }
        let mut rest = match serde_json::to_value(&file.metadata) {
            Ok(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        rest.remove("name");
        let moment = |seconds: i64| Timestamp::from_second(seconds).ok().map(|moment| moment.to_string());
        let next = loaded.clock.next(now).filter(|_| !file.spec.suspend);
        let active = record.runs.iter().filter(|run| run.state.is_active());
        Self {
            api_version: API_VERSION.to_owned(),
            kind: SCHEDULE_KIND.to_owned(),
            metadata: ScheduleMetadata {
                name: file.metadata.name.clone(),
                uid: uuid::Uuid::from_bytes(record.uid).to_string(),
                resource_version: version.to_string(),
                creation_timestamp: moment(record.created_s).unwrap_or_default(),
                rest,
            },
            spec,
            status: ScheduleStatusObject {
                last_schedule_time: record.last_s.and_then(moment),
                last_successful_time: record.last_success_s.and_then(moment),
                next_schedule_time: next.map(|next| next.to_string()),
                active: active
                    .map(|run| ActiveRun { name: job_name(&file.metadata.name, run), uid: run.job })
                    .collect(),
            },
        }
    }
}
