//! What a job found and what it left out, readable from any node while it runs.

use super::GatewayState;
use super::jobs::JobPath;
use super::page::{self, PageQuery};
use super::problem::Problem;
use axum::extract::State;
use axum::response::Response;

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
