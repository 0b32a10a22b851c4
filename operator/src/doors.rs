//! The operator's own doors: health for the kubelet, metrics for Prometheus. Plain HTTP, and nothing in them is secret.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

#[derive(Clone)]
struct Doors {
    metrics: Metrics,
    is_leader: watch::Receiver<bool>,
}

/// Serves until `stop`.
///
/// # Errors
/// The address is taken, or not of this machine.
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    is_leader: watch::Receiver<bool>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        // An operator that waits for the lease is as ready as it can be: a rollout must not wait for it to lead.
        .route("/readyz", get(async || "ok\n"))
        .route("/metrics", get(metrics_text))
        .with_state(Doors { metrics, is_leader });
    let listener = TcpListener::bind(address).await?;
    tracing::info!(%address, "serves health and metrics");
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn metrics_text(State(doors): State<Doors>) -> impl IntoResponse {
    let leads = u8::from(*doors.is_leader.borrow());
    let leader = format!(
        "# HELP scrapering_operator_leader Whether this operator holds the lease.\n\
         # TYPE scrapering_operator_leader gauge\nscrapering_operator_leader {leads}\n"
    );
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], format!("{}{leader}", doors.metrics.text()))
}
