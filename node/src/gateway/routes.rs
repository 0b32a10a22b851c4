//! Every route there is: method, path, who may call it, and what answers. Nothing is reachable that is not in this list.

use super::access::{self, Access};
use super::problem::{Kind, Problem};
use super::{GatewayState, jobs, kv, locks, probes, results, ring};
use crate::auth::Scope;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Uri};
use std::time::Duration;
use tower_http::trace::{DefaultOnFailure, DefaultOnResponse, TraceLayer};
use tracing::Level;

/// Longest time a request may take, its body included; longer than the ring's own attempts at a change.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// One method of one path.
pub(super) struct Route {
    /// In words of HTTP.
    pub(super) method: Method,
    /// Parameters in braces.
    pub(super) path: &'static str,
    /// Who may call it.
    pub(super) access: Access,
    handler: Box<dyn FnOnce(MethodFilter) -> MethodRouter<GatewayState>>,
}

impl Route {
    fn new<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, GatewayState>,
        T: 'static,
    {
        Self { method, path, access, handler: Box::new(|method| on(method, handler)) }
    }
}

/// The list.
pub(super) fn all() -> Vec<Route> {
    let read = Access::Needs(Scope::JobsRead);
    let write = Access::Needs(Scope::JobsWrite);
    let results = Access::Needs(Scope::ResultsRead);
    let (kv_read, kv_write) = (Access::Needs(Scope::KvRead), Access::Needs(Scope::KvWrite));
    let admin = Access::Needs(Scope::RingAdmin);
    vec![
        Route::new(Method::GET, "/healthz", Access::Open, probes::health),
        Route::new(Method::GET, "/readyz", Access::Open, probes::ready),
        Route::new(Method::GET, "/version", Access::Open, probes::version),
        Route::new(Method::POST, "/v1/jobs", write, jobs::create),
        Route::new(Method::GET, "/v1/jobs", read, jobs::list),
        Route::new(Method::GET, "/v1/jobs/{id}", read, jobs::read),
        Route::new(Method::PATCH, "/v1/jobs/{id}", write, jobs::patch),
        Route::new(Method::DELETE, "/v1/jobs/{id}", write, jobs::delete),
        Route::new(Method::POST, "/v1/jobs/{id}/pause", write, jobs::pause),
        Route::new(Method::POST, "/v1/jobs/{id}/resume", write, jobs::resume),
        Route::new(Method::GET, "/v1/jobs/{id}/items", results, results::items),
        Route::new(Method::GET, "/v1/jobs/{id}/skipped", read, results::skipped),
        Route::new(Method::GET, "/v1/kv", kv_read, kv::list),
        Route::new(Method::GET, "/v1/kv/{*key}", kv_read, kv::read),
        Route::new(Method::PUT, "/v1/kv/{*key}", kv_write, kv::write),
        Route::new(Method::DELETE, "/v1/kv/{*key}", kv_write, kv::delete),
        Route::new(Method::POST, "/v1/locks/{*name}", kv_write, locks::acquire),
        Route::new(Method::PUT, "/v1/locks/{*name}", kv_write, locks::renew),
        Route::new(Method::DELETE, "/v1/locks/{*name}", kv_write, locks::release),
        Route::new(Method::GET, "/v1/locks/{*name}", kv_read, locks::show),
        Route::new(Method::GET, "/v1/ring", admin, ring::status),
        Route::new(Method::GET, "/v1/ring/lookup", admin, ring::lookup),
        Route::new(Method::POST, "/v1/ring/recover", admin, ring::recover),
        Route::new(Method::DELETE, "/v1/nodes/{name}", admin, ring::leave),
    ]
}

/// Everything that answers requests.
pub(super) fn router(state: &GatewayState) -> Router {
    let mut router = Router::new();
    for route in all() {
        let method = MethodFilter::try_from(route.method).expect("the list holds standard methods only");
        let mut handler = (route.handler)(method);
        if let Access::Needs(scope) = route.access {
            handler = handler.route_layer(middleware::from_fn_with_state((state.clone(), scope), access::check));
        }
        router = router.route(route.path, handler);
    }
    let trace = TraceLayer::new_for_http()
        .make_span_with(|request: &Request| {
            // The query and the headers stay out of the log: they hold cursors and tokens.
            tracing::info_span!("request", method = %request.method(), path = request.uri().path())
        })
        .on_response(DefaultOnResponse::new().level(Level::INFO))
        .on_failure(DefaultOnFailure::new().level(Level::WARN));
    router
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(scrapering_crds::file::FILE_BYTES_MAX))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::map_response(closed_by_default))
        .layer(trace)
        .with_state(state.clone())
}

async fn no_such_route(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Kind::NoSuchRoute, format!("there is nothing at {path}; jobs are at /v1/jobs"))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Kind::MethodNotAllowed, format!("{path} does not know {method}; the header Allow names what it knows"))
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = || {
        let detail = format!(
            "there was no answer within {} s; if this was a change, it is not known whether it was made",
            REQUEST_TIMEOUT.as_secs()
        );
        Problem::new(Kind::Timeout, detail).into_response()
    };
    tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| late())
}

async fn closed_by_default(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
