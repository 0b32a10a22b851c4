//! What a job found and what it left out, readable from any node while it runs.

use super::GatewayState;
use super::access::Access;
use super::jobs::JobPath;
use super::openapi::lines_of;
use super::page::{self, COMPLETE_HEADER, CURSOR_HEADER, PageQuery};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::Scope;
use crate::crawl::jobs::Skipped;
use axum::extract::State;
use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::Value;

const LINES: &str = "application/x-ndjson";

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        paged(
            Route::new(Method::GET, "/v1/jobs/{id}/items", Access::Needs(Scope::ResultsRead), items)
                .named("listItems", "Reads the items of a job. They can be read while the job runs.")
                .answers_as(StatusCode::OK, "Items behind the cursor.", vec![(LINES, lines_of::<Value>)]),
        ),
        paged(
            Route::new(Method::GET, "/v1/jobs/{id}/skipped", Access::Needs(Scope::JobsRead), skipped)
                .named("listSkipped", "Reads which URLs were not fetched, and why.")
                .answers_as(StatusCode::OK, "URLs behind the cursor.", vec![(LINES, lines_of::<Skipped>)]),
        ),
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

/// `GET /v1/jobs/{id}/items`
pub(super) async fn items(
    State(state): State<GatewayState>,
    JobPath(id): JobPath,
    query: PageQuery,
) -> Result<Response, Problem> {
    let page = state.jobs.items(id, &query.cursor, query.limit).await?;
    Ok(page::response(&format!("/v1/jobs/{id}/items"), query.limit, &page))
}

/// `GET /v1/jobs/{id}/skipped`
pub(super) async fn skipped(
    State(state): State<GatewayState>,
    JobPath(id): JobPath,
    query: PageQuery,
) -> Result<Response, Problem> {
    let page = state.jobs.skipped(id, &query.cursor, query.limit).await?;
    Ok(page::response(&format!("/v1/jobs/{id}/skipped"), query.limit, &page))
}
