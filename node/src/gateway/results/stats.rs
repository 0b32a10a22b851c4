//! A job in numbers.

use crate::crawl::jobs::{JobStatus, PageCounts, Phase};
use crate::gateway::GatewayState;
use crate::gateway::jobs::JobPath;
use crate::gateway::problem::Problem;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A job in numbers.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::gateway) struct Stats {
    /// Where it stands.
    phase: Phase,
    /// Pages by what became of them.
    pages: PageCounts,
    /// Items committed.
    items: u64,
    /// Items dropped because a required field was missing.
    item_errors: u64,
    /// From its start to its end, or to now; pauses count.
    elapsed_seconds: f64,
    /// Pages fetched a second, over all that time.
    pages_per_second: f64,
    /// Items a page.
    items_per_page: f64,
    /// Of the pages that were tried, how many were given up; 0 to 1.
    failure_share: f64,
}

impl Stats {
    fn of(job: &JobStatus, now: Timestamp) -> Self {
        let moment = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        let elapsed_seconds = moment(&job.started_at).map_or(0.0, |started| {
            let until = moment(&job.completed_at).unwrap_or(now);
            until.duration_since(started).as_secs_f64().max(0.0)
        });
        let PageCounts { succeeded, failed, .. } = job.pages;
        Self {
            phase: job.phase,
            pages: job.pages,
            items: job.items,
            item_errors: job.item_errors,
            elapsed_seconds,
            pages_per_second: share(succeeded as f64, elapsed_seconds),
            items_per_page: share(job.items as f64, succeeded as f64),
            failure_share: share(failed as f64, (succeeded + failed) as f64),
        }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// `GET /v1/jobs/{id}/stats`
pub(in crate::gateway) async fn read(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
) -> Result<Json<Stats>, Problem> {
    Ok(Json(Stats::of(&state.jobs.status(&job).await?, Timestamp::now())))
}
