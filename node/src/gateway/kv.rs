//! The key-value store over HTTP: raw bodies, `ETag` is the version, `If-Match` and `If-None-Match` compare and set.
//!
//! A change that is answered with 504 `outcome-unknown` may or may not be done: whoever reads the key and finds the
//! `Operation-Id` of the 504 knows that it is; the same request with the same `Operation-Id` is not done twice.

mod headers;
mod query;
mod watch;

use super::GatewayState;
use super::access::Access;
use super::openapi::{Input, Operation, Parameter, bytes, events_of, schema_of};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::{Caller, Scope};
use crate::kv::{Consistency, KvError, Listed, Stored, Watched};
use axum::body::{self, Body};
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
pub(super) use headers::OperationHeader;
pub(super) use headers::{ChangeHeaders, OPERATION_HEADER, OPERATION_ID};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
pub(super) use query::QuietListQuery;
pub(super) use query::parameters;
use query::{ListQuery, ReadQuery};
use schemars::{JsonSchema, json_schema};
use scrapering_core::id::OperationId;
use scrapering_core::kv::{UserKey, Value};
use serde::{Deserialize, Serialize};
pub use watch::KvEvent;
use watch::LastEvent;

/// Says how fresh an answer is, when it may be old.
const CONSISTENCY: HeaderName = HeaderName::from_static("consistency");
/// Media type of a value that was put without one.
const UNKNOWN_TYPE: &str = "application/octet-stream";

const READ: Access = Access::Needs(Scope::KvRead);
const WRITE: Access = Access::Needs(Scope::KvWrite);
const EVENTS: &str = "text/event-stream";
/// How a change of a key can fail.
pub(super) const CHANGE: [Kind; 4] = [Kind::PreconditionFailed, Kind::Unavailable, Kind::OutcomeUnknown, Kind::Damaged];
/// How a read can fail.
pub(super) const LOOK: [Kind; 2] = [Kind::Unavailable, Kind::Damaged];

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/kv", READ, list)
            .named("listKeys", "Lists keys without their content, or watches them.")
            .answers_as(
                StatusCode::OK,
                "Keys behind the cursor; with `watch=true`, the events put, delete, reset and synced.",
                vec![("application/json", schema_of::<KvList>), (EVENTS, events_of::<KvEvent>)],
            )
            .may_fail(&LOOK),
        Route::new(Method::GET, "/v1/kv/{*key}", READ, read)
            .named("readKey", "Reads the value of a key as it was put, or watches it.")
            .answers_as(
                StatusCode::OK,
                "The value, with its own media type; with `watch=true`, the events put, delete, reset and synced.",
                vec![("*/*", bytes), (EVENTS, events_of::<KvEvent>)],
            )
            .with_header("etag", "The version, in double quotes.")
            .with_header(OPERATION_HEADER, "The change that made it.")
            .may_fail(&LOOK)
            .may_fail(&[Kind::KeyNotFound]),
        Route::new(Method::PUT, "/v1/kv/{*key}", WRITE, write)
            .named("writeKey", "Sets the value of a key. With If-Match or If-None-Match, only if that holds.")
            .reads("The value, up to 1 MiB; its media type is kept.", &["*/*"], bytes)
            .answers_nothing(StatusCode::OK, "There was a value, and now it is this one.")
            .with_header("etag", "The new version, in double quotes.")
            .with_header(OPERATION_HEADER, "Names this change.")
            .answers_nothing(StatusCode::CREATED, "There was none, and now it is this one.")
            .with_header("etag", "The new version, in double quotes.")
            .with_header(OPERATION_HEADER, "Names this change.")
            .may_fail(&CHANGE)
            .may_fail(&[Kind::BodyTooLarge, Kind::MalformedBody]),
        Route::new(Method::DELETE, "/v1/kv/{*key}", WRITE, delete)
            .named("deleteKey", "Removes the value of a key. With If-Match, only that version.")
            .answers_nothing(StatusCode::NO_CONTENT, "The key holds nothing.")
            .with_header(OPERATION_HEADER, "Names this change.")
            .may_fail(&CHANGE),
    ]
}

/// The key in the path.
pub(super) struct KeyPath(pub(super) UserKey);

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Kind::InvalidKey, "the path is not UTF-8 after percent-decoding"))?;
        text.parse()
            .map(Self)
            .map_err(|error: scrapering_core::kv::UserKeyError| Problem::new(Kind::InvalidKey, error.to_string()))
    }
}

impl Input for KeyPath {
    fn describe(operation: &mut Operation) {
        // Locks have names where values have keys; both are keys of the same kind.
        operation.take(Parameter::path(
            "key",
            "Up to 512 bytes of UTF-8; slashes may be written as they are.",
            |_| json_schema!({"type": "string", "minLength": 1, "maxLength": UserKey::MAX_BYTES}),
        ));
        operation.may_fail(&[Kind::InvalidKey]);
    }
}

/// A piece of a listing, as it is sent and read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvList {
    /// Ascending by key.
    pub items: Vec<KvItem>,
    /// Cursor of what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A key without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KvItem {
    /// The key.
    pub key: String,
    /// Its version.
    pub version: u64,
    /// Its media type.
    pub content_type: String,
    /// Length of its content.
    pub bytes: usize,
    /// The operation that wrote it, 32 hex digits.
    pub operation_id: String,
}

impl From<Listed> for KvItem {
    fn from(Listed { key, version, operation, content_type, bytes }: Listed) -> Self {
        Self { key, version, content_type, bytes, operation_id: operation_text(operation) }
    }
}

/// `GET /v1/kv/{key}`
pub(super) async fn read(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(key): KeyPath,
    query: ReadQuery,
    LastEvent(last): LastEvent,
) -> Result<Response, Problem> {
    if query.watch {
        return watch::events(&state.kv, &caller.tenant, Watched::Key(key), last).await;
    }
    let found = state.kv.get(&caller.tenant, &key, query.consistency).await?;
    let mut response = match found {
        Some(Stored { version, operation, value: Some(value) }) => value_response(version, operation, value),
        Some(Stored { operation, value: None, .. }) => {
            nothing(&key).with(OPERATION_ID, &operation_text(operation)).into_response()
        }
        None => nothing(&key).into_response(),
    };
    if query.consistency == Consistency::Any {
        response.headers_mut().insert(CONSISTENCY, HeaderValue::from_static("any"));
    }
    Ok(response)
}

fn nothing(key: &UserKey) -> Problem {
    Problem::new(Kind::KeyNotFound, format!("the key {key} holds nothing"))
}

fn value_response(version: u64, operation: OperationId, value: Value) -> Response {
    let media_type = HeaderValue::from_str(&value.content_type).ok().filter(|value| !value.is_empty());
    let mut response = Body::from(value.content).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type.unwrap_or(HeaderValue::from_static(UNKNOWN_TYPE)));
    // Whatever somebody has stored must not run as a page of the gateway's own.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(ETAG, etag(version));
    headers.insert(OPERATION_ID, operation_value(operation));
    response
}

/// `PUT /v1/kv/{key}`
pub(super) async fn write(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(key): KeyPath,
    headers: ChangeHeaders,
    request_body: Body,
) -> Result<Response, Problem> {
    let precondition = headers.precondition()?;
    let content = whole(request_body).await?;
    let value = Value { content_type: headers.content_type, content };
    let operation = headers.operation;
    let put = state.kv.put(&caller.tenant, &key, &value, precondition, operation).await;
    let written = put.map_err(|error| change_problem(error, operation))?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    let headers = [(ETAG, etag(written.version)), (OPERATION_ID, operation_value(operation))];
    Ok((status, headers).into_response())
}

/// `DELETE /v1/kv/{key}`
pub(super) async fn delete(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(key): KeyPath,
    headers: ChangeHeaders,
) -> Result<Response, Problem> {
    let version = headers.deleted_version()?;
    let operation = headers.operation;
    let deleted = state.kv.delete(&caller.tenant, &key, version, operation).await;
    deleted.map_err(|error| change_problem(error, operation))?;
    Ok((StatusCode::NO_CONTENT, [(OPERATION_ID, operation_value(operation))]).into_response())
}

/// `GET /v1/kv`
pub(super) async fn list(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    query: ListQuery,
    LastEvent(last): LastEvent,
) -> Result<Response, Problem> {
    if query.watch {
        return watch::events(&state.kv, &caller.tenant, Watched::Prefix(query.prefix), last).await;
    }
    let listing = state.kv.list(&caller.tenant, &query.prefix, query.cursor.as_ref(), query.limit).await?;
    let items = listing.items.into_iter().map(KvItem::from).collect();
    Ok(Json(KvList { items, next: listing.next.map(|cursor| cursor.to_string()) }).into_response())
}

async fn whole(request_body: Body) -> Result<Bytes, Problem> {
    body::to_bytes(request_body, Value::MAX_BYTES).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(inner) = cause {
            if inner.is::<http_body_util::LengthLimitError>() {
                return Problem::new(Kind::BodyTooLarge, format!("a value may have {} bytes", Value::MAX_BYTES));
            }
            cause = inner.source();
        }
        Problem::new(Kind::MalformedBody, "the body ended too early")
    })
}

pub(super) fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes are visible ASCII")
}

fn operation_text(operation: OperationId) -> String {
    format!("{:032x}", operation.0)
}

pub(super) fn operation_value(operation: OperationId) -> HeaderValue {
    HeaderValue::from_str(&operation_text(operation)).expect("hex digits are visible ASCII")
}

/// The problem of a change, with what the caller needs to go on.
pub(super) fn change_problem(error: KvError, operation: OperationId) -> Problem {
    match error {
        KvError::Unknown => Problem::from(error).with(OPERATION_ID, &operation_text(operation)),
        _ => error.into(),
    }
}

impl From<KvError> for Problem {
    fn from(error: KvError) -> Self {
        let detail = error.to_string();
        match error {
            KvError::Precondition { current: Some(version) } => {
                Self::new(Kind::PreconditionFailed, detail).with(ETAG, &format!("\"{version}\""))
            }
            KvError::Precondition { current: None } => Self::new(Kind::PreconditionFailed, detail),
            KvError::Unavailable => Self::new(Kind::Unavailable, detail),
            KvError::Unknown => Self::new(Kind::OutcomeUnknown, detail),
            KvError::Busy => Self::new(Kind::Unavailable, detail).with(RETRY_AFTER, "5"),
            KvError::TooManyKeys => Self::new(Kind::InvalidParameter, detail),
            KvError::Damaged => Self::new(Kind::Damaged, detail),
        }
    }
}
