//! What a job found and what it left out, readable from any node while it runs.

mod bodies;
mod events;
mod stats;

pub(super) use bodies::CONTENT_TYPE_HEADER;

use super::GatewayState;
use super::access::Access;
use super::jobs::JobPath;
use super::openapi::{bytes, events_of};
use super::page::{self, COMPLETE_HEADER, CURSOR_HEADER, Format, PageQuery};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::Scope;
use crate::crawl::jobs::{FetchedPage, ItemFault, JobRef, Page, Skipped};
use crate::gateway::JobService;
use crate::gateway::service::Answer;
use axum::extract::State;
use axum::response::Response;
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

const JOBS: Access = Access::Needs(Scope::JobsRead);
const RESULTS: Access = Access::Needs(Scope::ResultsRead);

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    let ok = StatusCode::OK;
    vec![
        paged(
            Route::new(Method::GET, "/v1/jobs/{id}/items", RESULTS, items)
                .named("listItems", "Reads the items of a job. They can be read while the job runs.")
                .answers_as(ok, "Items behind the cursor.", Format::content::<Map<String, Value>>()),
        ),
        paged(
            Route::new(Method::GET, "/v1/jobs/{id}/errors", RESULTS, errors)
                .named("listErrors", "Reads which items were dropped: the page, the field, and what was wrong.")
                .answers_as(ok, "Item errors behind the cursor.", Format::content::<ItemFault>()),
        ),
        paged(
            Route::new(Method::GET, "/v1/jobs/{id}/pages", JOBS, pages)
                .named("listPages", "Reads which pages were fetched.")
                .answers_as(ok, "Pages behind the cursor.", Format::content::<FetchedPage>()),
        ),
        paged(
            Route::new(Method::GET, "/v1/jobs/{id}/skipped", JOBS, skipped)
                .named("listSkipped", "Reads which URLs were not fetched, and why.")
                .answers_as(ok, "URLs behind the cursor.", Format::content::<Skipped>()),
        ),
        Route::new(Method::GET, "/v1/jobs/{id}/pages/{page}/body", RESULTS, bodies::read)
            .named("readPageBody", "Reads a page as it was read from its host. Only of jobs that keep their pages.")
            .answers_as(ok, "The body, decompressed.", vec![("application/octet-stream", bytes)])
            .with_header(CONTENT_TYPE_HEADER, "The `Content-Type` of its host.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/jobs/{id}/stats", JOBS, stats::read)
            .named("readStats", "Reads how fast a job is and how it goes.")
            .answers::<stats::Stats>(ok, "The numbers.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/jobs/{id}/events", JOBS, events::follow)
            .named(
                "followJob",
                "Follows a job. Tells its status when that changes, pages as they are fetched, and the end.",
            )
            .answers_as(
                ok,
                "The events `status`, `pages` and `end`.",
                vec![("text/event-stream", events_of::<events::JobEvent>)],
            )
            .may_fail(&[Kind::Unavailable]),
    ]
}

/// What all answers in pieces have in common.
fn paged(route: Route) -> Route {
    route
        .with_header(CURSOR_HEADER, "The parameter `cursor` of what follows; good on every node.")
        .with_header(COMPLETE_HEADER, "`true` when the job has ended and nothing follows.")
        .with_header("link", "What follows, as `rel=\"next\"`.")
        .may_fail(&[Kind::Unavailable])
}

/// Answers with a piece of the list `name`, which `read` reads.
async fn piece<'a, T: Serialize>(
    state: &'a GatewayState,
    job: &'a JobRef,
    query: &'a PageQuery,
    format: Format,
    name: &str,
    first: &[&str],
    read: impl FnOnce(&'a dyn JobService) -> Answer<'a, Page<T>>,
) -> Result<Response, Problem> {
    let page = read(&*state.jobs).await?;
    Ok(page::response(&format!("/v1/jobs/{}/{name}", job.id), query, format, first, &page))
}

/// `GET /v1/jobs/{id}/items`
pub(super) async fn items(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    query: PageQuery,
    format: Format,
) -> Result<Response, Problem> {
    // Every piece of a table has the same columns, whatever its items lack.
    let columns = if format == Format::Csv { columns(&state, &job).await? } else { Vec::new() };
    let first: Vec<&str> = columns.iter().map(String::as_str).collect();
    piece(&state, &job, &query, format, "items", &first, |jobs| jobs.items(&job, &query.cursor, query.limit)).await
}

/// The columns of a job's items: what every item has, then the fields of its rules.
async fn columns(state: &GatewayState, job: &JobRef) -> Result<Vec<String>, Problem> {
    let status = state.jobs.status(job).await?;
    let file: Value = serde_json::from_str(status.file.get()).unwrap_or_default();
    let mut columns = vec!["_type".to_owned(), "_url".to_owned()];
    let rules = file["spec"]["extract"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fields = rules.iter().filter_map(|rule| rule["fields"].as_array()).flatten();
    for name in fields.filter_map(|field| field["name"].as_str()) {
        if !columns.iter().any(|known| known == name) {
            columns.push(name.to_owned());
        }
    }
    Ok(columns)
}

/// `GET /v1/jobs/{id}/pages`
pub(super) async fn pages(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    query: PageQuery,
    format: Format,
) -> Result<Response, Problem> {
    let first = ["id", "url", "depth", "status", "fetchedAt", "attempts", "bytes", "items", "itemErrors"];
    piece(&state, &job, &query, format, "pages", &first, |jobs| jobs.pages(&job, &query.cursor, query.limit)).await
}

/// `GET /v1/jobs/{id}/errors`
pub(super) async fn errors(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    query: PageQuery,
    format: Format,
) -> Result<Response, Problem> {
    let first = ["url", "rule", "field", "message"];
    piece(&state, &job, &query, format, "errors", &first, |jobs| jobs.item_errors(&job, &query.cursor, query.limit))
        .await
}

/// `GET /v1/jobs/{id}/skipped`
pub(super) async fn skipped(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    query: PageQuery,
    format: Format,
) -> Result<Response, Problem> {
    let first = ["url", "reason", "detail"];
    piece(&state, &job, &query, format, "skipped", &first, |jobs| jobs.skipped(&job, &query.cursor, query.limit)).await
}
