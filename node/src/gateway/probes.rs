//! Probes: whether the process lives, whether it serves, which version it is. Open to everybody, and silent about everything else.

use super::GatewayState;
use super::problem::{Kind, Problem};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// `GET /healthz`: the process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: jobs can be submitted through this node.
pub(super) async fn ready(State(state): State<GatewayState>) -> Result<&'static str, Problem> {
    state.ring.ready().map(|()| "ok\n").map_err(|reason| Problem::new(Kind::Unavailable, reason))
}

/// `GET /version`
pub(super) async fn version() -> Json<Value> {
    Json(json!({"name": "scrapering", "version": env!("CARGO_PKG_VERSION")}))
}
