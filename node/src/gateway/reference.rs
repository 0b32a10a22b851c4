//! The API for readers: the OpenAPI document as JSON, and as one page of plain HTML without anything from elsewhere.

mod page;

use super::access::Access;
use super::openapi::{self, text};
use super::routes::Route;
use axum::response::IntoResponse;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{Method, StatusCode};
use schemars::json_schema;
use std::sync::LazyLock;

/// The page brings no script, and its only style stands beside it.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("reference/style.css");

static PAGE: LazyLock<String> = LazyLock::new(|| page::html(&openapi::value()));

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/openapi.json", Access::Open, openapi::serve)
            .named("readDocument", "The description of this interface, for programs.")
            .answers_as(
                StatusCode::OK,
                "An OpenAPI 3.1 document.",
                vec![(
                    "application/json",
                    |_| json_schema!({"type": "object", "required": ["openapi", "info", "paths"]}),
                )],
            ),
        Route::new(Method::GET, "/docs", Access::Open, page)
            .named("readReference", "The description of this interface, for people.")
            .answers_as(StatusCode::OK, "A page.", vec![("text/html", text)]),
        Route::new(Method::GET, "/docs/style.css", Access::Open, style)
            .named("readReferenceStyle", "The style of the page for people.")
            .answers_as(StatusCode::OK, "A style sheet.", vec![("text/css", text)]),
    ]
}

/// `GET /docs`
async fn page() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], PAGE.as_str())
}

/// `GET /docs/style.css`
async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}
