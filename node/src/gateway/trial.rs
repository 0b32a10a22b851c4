//! One page, at once: rules tried on a page that comes with the request, or a page scraped now.
//!
//! A page that has to be fetched becomes a job of one page, so that the host's politeness, robots.txt and the guard hold for it as for any other; the
//! job is deleted when its result is there.

use super::GatewayState;
use super::access::Access;
use super::body::JsonBody;
use super::jobs::own;
use super::problem::{BadField, Kind, Problem};
use super::routes::Route;
use crate::auth::{Caller, Scope};
use crate::crawl::cursor::Cursor;
use crate::crawl::jobs::{ItemFault, JobChange, JobRef, Phase, Skipped};
use crate::job::FieldError;
use crate::trial::{self, Trial, TrialPage, TrialReport};
use axum::extract::State;
use axum::{Extension, Json};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::job::ExtractSpec;
use scrapering_crds::{API_VERSION, JobMetadata, ScrapeJobFile, ScrapeJobSpec, TrialSpec};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Longest time to wait for a page; below the longest time of a request.
const PATIENCE: Duration = Duration::from_secs(50);
/// Pause between two looks at the job.
const PAUSE: Duration = Duration::from_millis(100);
/// Items of one page that are returned.
const MOST_ITEMS: usize = 1_000;

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    let needs = Access::Needs(Scope::JobsWrite);
    vec![
        Route::new(Method::POST, "/v1/extract:test", needs, test)
            .named("testExtract", "Tries rules on the page in `content`, without a job.")
            .answers::<TrialReport>(StatusCode::OK, "What the rules found.")
            .may_fail(&[Kind::InvalidBody]),
        Route::new(Method::POST, "/v1/scrape", needs, scrape)
            .named("scrapePage", "Fetches the page at `url`, politely, and takes items from it.")
            .answers::<ScrapeReport>(StatusCode::OK, "The items, or why there are none.")
            .may_fail(&[Kind::InvalidBody, Kind::Timeout, Kind::Unavailable]),
    ]
}

/// A page that was scraped, or not.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScrapeReport {
    /// The items of the page.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    items: Vec<Box<RawValue>>,
    /// Why there is no item where there should be one.
    item_errors: Vec<ItemFault>,
    /// Why the page was not fetched, if it was not.
    skipped: Vec<Skipped>,
}

/// `POST /v1/extract:test`
async fn test(JsonBody(spec): JsonBody<TrialSpec>) -> Result<Json<TrialReport>, Problem> {
    let trial = Trial::new(&spec.extract, &spec.follow).map_err(of_fields)?;
    let url = trial::address(&spec).map_err(|fault| of_fields(vec![fault]))?;
    let Some(content) = spec.content else {
        return Err(of_field("content", "is missing; give the page, or let POST /v1/scrape fetch it"));
    };
    let run = move || {
        trial.run(TrialPage { body: content.as_bytes(), content_type: spec.content_type.as_deref(), url: &url })
    };
    let report = tokio::task::spawn_blocking(run).await.unwrap_or_else(|_| {
        Err(crate::extract::ExtractError::BudgetExceeded { budget: crate::extract::CpuBudget::default().0 })
    });
    report.map(Json).map_err(|error| of_field("content", error.to_string()))
}

/// `POST /v1/scrape`
async fn scrape(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    JsonBody(spec): JsonBody<TrialSpec>,
) -> Result<Json<ScrapeReport>, Problem> {
    if spec.content.is_some() {
        return Err(of_field("content", "is for POST /v1/extract:test; a page that is scraped is fetched"));
    }
    let Some(url) = spec.url.clone() else {
        return Err(of_field("url", "is missing; name the page to fetch"));
    };
    trial::address(&spec).map_err(|fault| of_fields(vec![fault]))?;
    Trial::new(&spec.extract, &[]).map_err(of_fields)?;
    let job = JobRef { tenant: caller.tenant, id: JobId(uuid::Uuid::now_v7().into_bytes()) };
    let mut file = job_of(job.id, url, spec);
    own(&mut file, &job.tenant)?;
    state.jobs.submit(&job, &file).await?;
    let report = tokio::time::timeout(PATIENCE, report(&state, &job)).await;
    // What was not deleted now is a finished job of one page that somebody may delete later.
    if let Err(error) = state.jobs.change(&job, &JobChange::Delete, None).await {
        tracing::warn!(job = %job.id, %error, "the job of a scraped page stays");
    }
    report.unwrap_or_else(|_| {
        let detail =
            format!("the page was not fetched within {} s: its host is to be left alone, or slow", PATIENCE.as_secs());
        Err(Problem::new(Kind::Timeout, detail))
    })
}

/// The result of the job, when it has ended.
async fn report(state: &GatewayState, job: &JobRef) -> Result<Json<ScrapeReport>, Problem> {
    let has_ended = |phase| matches!(phase, Phase::Completed | Phase::Failed | Phase::Stopped | Phase::Cancelled);
    while !has_ended(state.jobs.status(job).await?.phase) {
        tokio::time::sleep(PAUSE).await;
    }
    loop {
        let items = state.jobs.items(job, &Cursor::default(), MOST_ITEMS).await?;
        let item_errors = state.jobs.item_errors(job, &Cursor::default(), MOST_ITEMS).await?;
        let skipped = state.jobs.skipped(job, &Cursor::default(), MOST_ITEMS).await?;
        if items.complete && item_errors.complete && skipped.complete {
            let report =
                ScrapeReport { items: items.entries, item_errors: item_errors.entries, skipped: skipped.entries };
            return Ok(Json(report));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A job of one page, and of those that it redirects to.
fn job_of(id: JobId, url: String, spec: TrialSpec) -> ScrapeJobFile {
    // The rules are meant for this page, whatever label it would have in a crawl.
    let extract: Vec<_> = spec.extract.into_iter().map(|rule| ExtractSpec { match_: None, ..rule }).collect();
    let spec: ScrapeJobSpec = serde_json::from_value(serde_json::json!({
        "seeds": [{"url": url}],
        "scope": {"maxDepth": 0},
        "follow": [],
        "extract": extract,
        "retry": {"maxRetries": 0},
    }))
    .expect("a job of checked parts has the shape of a job");
    let metadata = JobMetadata { name: format!("scrape-{id}"), ..JobMetadata::default() };
    ScrapeJobFile {
        api_version: API_VERSION.to_owned(),
        kind: scrapering_crds::file::JOB_KIND.to_owned(),
        metadata,
        spec,
    }
}

fn of_fields(faults: Vec<FieldError>) -> Problem {
    let errors = faults.into_iter().map(|fault| BadField::at_path(&fault.path, fault.message)).collect();
    Problem::of_fields(Kind::InvalidBody, errors)
}

fn of_field(path: &str, message: impl Into<String>) -> Problem {
    Problem::of_fields(Kind::InvalidBody, vec![BadField::at_path(path, message.into())])
}
