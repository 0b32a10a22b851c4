//! The gateway of a node that has no ring yet: it lives, serves nothing, and says why.

use super::probes;
use super::problem::{Kind, Problem};
use super::server::{ServeError, serve_router};
use super::visitors::Visitors;
use crate::console;
use crate::identity::tls::live::Live;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use std::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Serves on `listener` until `shutdown`; `lack` is a sentence that says what the ring waits for.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    lack: watch::Receiver<String>,
    tls: Live<rustls::ServerConfig>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    serve_router(listener, router(lack), Visitors::default(), tls, shutdown).await
}

fn router(lack: watch::Receiver<String>) -> Router {
    Router::new()
        .merge(console::router())
        .route("/healthz", get(probes::health))
        .route("/version", get(probes::version))
        .fallback(unavailable)
        .with_state(lack)
}

async fn unavailable(State(lack): State<watch::Receiver<String>>) -> Problem {
    Problem::new(Kind::Unavailable, lack.borrow().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::header::RETRY_AFTER;
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_node_without_a_ring_lives_and_is_unavailable() {
        let router = router(watch::Sender::new("ring-1 did not answer".to_owned()).subscribe());
        let ask = |path: &str| {
            let request = Request::get(path).body(Body::empty()).expect("request");
            router.clone().oneshot(request)
        };
        assert_eq!(ask("/healthz").await.expect("answer").status(), StatusCode::OK);
        for path in ["/readyz", "/v1/jobs", "/v1/kv/some/key"] {
            let answer = ask(path).await.expect("answer");
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key(RETRY_AFTER));
            let body = axum::body::to_bytes(answer.into_body(), 4096).await.expect("body");
            assert!(std::str::from_utf8(&body).expect("text").contains("ring-1 did not answer"));
        }
    }
}
