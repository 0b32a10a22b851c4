//! Every route there is: method, path, who may call it, and what answers. Beside this list there is only the console's page,
//! and the same routes over gRPC.
//!
//! Each area of the gateway has its own table, with its words for the OpenAPI document; here they become one router.

mod describe;

use super::access::{self, Access};
use super::openapi::{Inputs, Operation};
use super::problem::{Kind, Problem};
use super::trace::{TraceId, traced};
use super::{
    GatewayState, exports, files, grpc, hosts, jobs, kv, locks, opt_outs, probes, reference, results, ring, schedules,
    tokens, trial, waiting, webhooks,
};
use crate::console;
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Uri};
use std::time::{Duration, Instant};
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
    /// What the document says of it.
    pub(super) operation: Operation,
    /// Whether a request may take as long as its body comes.
    streams: bool,
    handler: Box<dyn FnOnce(MethodFilter) -> MethodRouter<GatewayState>>,
}

impl Route {
    /// A route whose handler's arguments describe what they read of a request.
    pub(super) fn new<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, GatewayState>,
        T: Inputs + 'static,
    {
        let mut operation = Operation::default();
        T::describe(&mut operation);
        Self { method, path, access, operation, streams: false, handler: Box::new(|method| on(method, handler)) }
    }

    /// A request may take as long as pieces of its body come; the handler sees to it that they do.
    pub(super) fn streams(self) -> Self {
        Self { streams: true, ..self }
    }
}

/// The list.
pub(super) fn all() -> Vec<Route> {
    let areas = [
        probes::routes(),
        reference::routes(),
        jobs::routes(),
        schedules::routes(),
        files::routes(),
        results::routes(),
        exports::routes(),
        waiting::routes(),
        hosts::routes(),
        webhooks::routes(),
        opt_outs::routes(),
        trial::routes(),
        kv::routes(),
        locks::routes(),
        ring::routes(),
        tokens::routes(),
    ];
    areas.into_iter().flatten().collect()
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
        if !route.streams {
            handler = handler.route_layer(middleware::from_fn(in_time));
        }
        let counted = middleware::from_fn_with_state((state.metrics.clone(), route.path), count);
        router = router.route(route.path, handler.route_layer(counted));
    }
    let trace = TraceLayer::new_for_http()
        .make_span_with(|request: &Request| {
            // The query and the headers stay out of the log: they hold cursors and tokens.
            let trace = request.extensions().get::<TraceId>().map(tracing::field::display);
            tracing::info_span!("request", trace, method = %request.method(), path = request.uri().path())
        })
        .on_response(DefaultOnResponse::new().level(Level::INFO))
        .on_failure(DefaultOnFailure::new().level(Level::WARN));
    let rest = router
        .merge(console::router())
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(scrapering_crds::file::FILE_BYTES_MAX))
        .layer(middleware::map_response(closed_by_default))
        .layer(trace)
        .layer(middleware::from_fn(traced))
        .with_state(state.clone());
    rest.clone().merge(grpc::router(rest))
}

/// Counts a request under the path of its route, and takes its time.
async fn count(State((metrics, path)): State<(Metrics, &'static str)>, request: Request, next: Next) -> Response {
    let (method, began) = (request.method().clone(), Instant::now());
    let response = next.run(request).await;
    metrics.answered(&method, path, response.status(), began.elapsed());
    response
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
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
