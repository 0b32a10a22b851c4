//! Probes: whether the process lives, whether it serves, which version it is. Open to everybody, and silent about everything else.

use super::GatewayState;
use super::access::Access;
use super::openapi::text;
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::Scope;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

const TEXT: &str = "text/plain";
const METRICS_TYPE: &str = "application/openmetrics-text";
/// The same as scrapers ask for it.
const METRICS_TYPE_VERSION: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What runs here.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Version {
    /// Always `scrapering`.
    name: &'static str,
    /// As in the release notes.
    version: &'static str,
}

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/healthz", Access::Open, health)
            .named("health", "Says that the process answers.")
            .answers_as(StatusCode::OK, "It does.", vec![(TEXT, text)]),
        Route::new(Method::GET, "/readyz", Access::Open, ready)
            .named("ready", "Says whether jobs can be submitted through this node.")
            .answers_as(StatusCode::OK, "They can.", vec![(TEXT, text)])
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/version", Access::Open, version)
            .named("version", "Says which version runs here.")
            .answers::<Version>(StatusCode::OK, "The version."),
        Route::new(Method::GET, "/metrics", Access::Needs(Scope::MetricsRead), metrics)
            .named("readMetrics", "The numbers of this node, for Prometheus.")
            .answers_as(StatusCode::OK, "OpenMetrics text.", vec![(METRICS_TYPE, text)]),
    ]
}

/// `GET /healthz`: the process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: jobs can be submitted through this node.
pub(super) async fn ready(State(state): State<GatewayState>) -> Result<&'static str, Problem> {
    state.ring.ready().map(|()| "ok\n").map_err(|reason| Problem::new(Kind::Unavailable, reason))
}

/// `GET /metrics`
async fn metrics(State(state): State<GatewayState>) -> impl IntoResponse {
    state.gauges.set(&state.ring.status(), state.jobs.load());
    ([(CONTENT_TYPE, METRICS_TYPE_VERSION)], state.metrics.text())
}

/// `GET /version`
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: "scrapering", version: env!("CARGO_PKG_VERSION") })
}
