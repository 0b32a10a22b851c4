//! The OpenAPI 3.1 document, made of the route table: whatever answers is described, and nothing else is.
//!
//! What a handler takes describes itself ([`Input`]); what it answers stands beside the handler in its area's table.
//! Schemas come from the types that are sent and read, the job's from the same type as the custom resource.
//! `openapi.json` beside this crate's manifest is this document, and a test compares them.

mod assemble;
mod input;
mod operation;

use super::routes;
use http::header::CONTENT_TYPE;
use std::sync::LazyLock;

pub(super) use input::{Input, Inputs};
pub(super) use operation::{Operation, Parameter, SchemaOf, boolean, bytes, events_of, lines_of, schema_of, text};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&value()).expect("a document has string keys");
    text.push('\n');
    text
});

/// The document, as it is served and kept in git.
#[must_use]
pub fn document() -> &'static str {
    &DOCUMENT
}

/// The document as a value.
pub(super) fn value() -> serde_json::Value {
    assemble::document(&routes::all())
}

/// `GET /openapi.json`
pub(super) async fn serve() -> impl axum::response::IntoResponse {
    ([(CONTENT_TYPE, "application/json")], document())
}

#[cfg(test)]
mod tests;
