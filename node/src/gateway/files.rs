//! Files over HTTP: put, get with ranges (RFC 9110 section 14), list and delete by name; streamed both ways.
//!
//! `Repr-Digest` (RFC 9530) carries the SHA-256 of the whole: of a file that is put it is checked before the file is
//! there, and of a file that is read it lets the reader check what came.

mod digest;
mod range;

use super::GatewayState;
use super::access::Access;
use super::kv::{
    CHANGE, ChangeHeaders, KeyPath, LOOK, OPERATION_HEADER, OPERATION_ID, QuietListQuery, change_problem, etag,
    operation_value,
};
use super::openapi::{Parameter, bytes, text};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::{Caller, Scope};
use crate::files::{FileError, FileInfo};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use scrapering_core::file::MAX_BYTES;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const READ: Access = Access::Needs(Scope::KvRead);
const WRITE: Access = Access::Needs(Scope::KvWrite);
/// Longest silence of a sender.
const IDLE: Duration = Duration::from_secs(30);
/// Media type of a file that was put without one.
const UNKNOWN_TYPE: &str = "application/octet-stream";
/// SHA-256 of the whole file.
const DIGEST_HEADER: &str = "repr-digest";

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    let digest = "SHA-256 of the whole file, as `sha-256=:BASE64:`.";
    vec![
        Route::new(Method::GET, "/v1/files", READ, list)
            .named("listFiles", "Lists files without their content.")
            .answers::<FileList>(StatusCode::OK, "Files behind the cursor.")
            .may_fail(&LOOK),
        Route::new(Method::GET, "/v1/files/{*key}", READ, read)
            .named("readFile", "Reads a file or a range of it.")
            .takes(Parameter::header("range", "`bytes=FROM-TO`, one range.", text))
            .takes(Parameter::header("if-none-match", "The ETag of the version that is known already.", text))
            .answers_as(StatusCode::OK, "The file, with its own media type.", vec![("*/*", bytes)])
            .with_header("etag", "The version, in double quotes.")
            .with_header(DIGEST_HEADER, digest)
            .answers_as(StatusCode::PARTIAL_CONTENT, "The range.", vec![("*/*", bytes)])
            .with_header("content-range", "Which bytes of how many.")
            .answers_nothing(StatusCode::NOT_MODIFIED, "The version is the known one.")
            .may_fail(&LOOK)
            .may_fail(&[Kind::FileNotFound, Kind::RangeNotSatisfiable, Kind::InvalidHeader]),
        Route::new(Method::PUT, "/v1/files/{*key}", WRITE, write)
            .named("writeFile", "Stores a file of up to 64 GiB. It is there when it is there as a whole.")
            .streams()
            .takes(Parameter::header(DIGEST_HEADER, digest, text))
            .reads("The content; its media type is kept.", &["*/*"], bytes)
            .answers::<FileObject>(StatusCode::OK, "There was a file, and now it is this one.")
            .with_header("etag", "The new version, in double quotes.")
            .answers::<FileObject>(StatusCode::CREATED, "There was none, and now it is this one.")
            .with_header("etag", "The new version, in double quotes.")
            .may_fail(&CHANGE)
            .may_fail(&[Kind::BodyTooLarge, Kind::MalformedBody, Kind::DigestMismatch]),
        Route::new(Method::DELETE, "/v1/files/{*key}", WRITE, delete)
            .named("deleteFile", "Removes a file. With If-Match, only that version.")
            .answers_nothing(StatusCode::NO_CONTENT, "There is no such file.")
            .with_header(OPERATION_HEADER, "Names this change.")
            .may_fail(&CHANGE),
    ]
}

/// A file without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileObject {
    /// Its name.
    pub name: String,
    /// Counts its changes; the ETag without its quotes.
    pub version: u64,
    /// Its media type.
    pub content_type: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, 64 hex digits.
    pub sha256: String,
    /// When it was stored, RFC 3339.
    pub stored_at: String,
}

/// A piece of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileList {
    /// Ascending by name.
    pub items: Vec<FileObject>,
    /// Cursor of what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<FileInfo> for FileObject {
    fn from(FileInfo { name, version, content_type, manifest, .. }: FileInfo) -> Self {
        let stored_at = i64::try_from(manifest.stored_ms).ok();
        let stored_at = stored_at.and_then(|stored_ms| jiff::Timestamp::from_millisecond(stored_ms).ok());
        Self {
            name,
            version,
            content_type: if content_type.is_empty() { UNKNOWN_TYPE.to_owned() } else { content_type },
            bytes: manifest.bytes,
            sha256: manifest.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            stored_at: stored_at.unwrap_or_default().to_string(),
        }
    }
}

/// `GET /v1/files`
pub(super) async fn list(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    QuietListQuery(query): QuietListQuery,
) -> Result<Json<FileList>, Problem> {
    let listing = state.files.list(&caller.tenant, &query.prefix, query.cursor.as_ref(), query.limit).await?;
    let items = listing.items.into_iter().map(FileObject::from).collect();
    Ok(Json(FileList { items, next: listing.next.map(|cursor| cursor.to_string()) }))
}

/// `GET /v1/files/{name}`
pub(super) async fn read(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(name): KeyPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = state.files.info(&caller.tenant, &name).await?;
    let info = found.ok_or_else(|| Problem::new(Kind::FileNotFound, format!("there is no file {name}")))?;
    let tag = etag(info.version);
    if headers.get(IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let range = range::of(&headers, info.manifest.bytes)?;
    let (status, span) = match &range {
        Some(span) => (StatusCode::PARTIAL_CONTENT, span.clone()),
        None => (StatusCode::OK, 0..info.manifest.bytes),
    };
    let length = span.end - span.start;
    let mut response = Body::from_stream(state.files.reader(&info).read(span.clone())).into_response();
    *response.status_mut() = status;
    let answered = response.headers_mut();
    if range.is_some() {
        let says = format!("bytes {}-{}/{}", span.start, span.end - 1, info.manifest.bytes);
        answered.insert(CONTENT_RANGE, HeaderValue::from_str(&says).expect("digits are visible ASCII"));
    }
    let media_type = HeaderValue::from_str(&info.content_type).ok().filter(|value| !value.is_empty());
    answered.insert(CONTENT_TYPE, media_type.unwrap_or(HeaderValue::from_static(UNKNOWN_TYPE)));
    answered.insert(CONTENT_LENGTH, length.into());
    answered.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answered.insert(ETAG, tag);
    answered.insert(HeaderName::from_static(DIGEST_HEADER), digest::value(&info.manifest.sha256));
    // Whatever somebody has stored must not run as a page of the gateway's own.
    answered.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    Ok(response)
}

/// `PUT /v1/files/{name}`
pub(super) async fn write(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(name): KeyPath,
    change: ChangeHeaders,
    headers: HeaderMap,
    request_body: Body,
) -> Result<Response, Problem> {
    let precondition = change.precondition()?;
    let expected = digest::of(&headers)?;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BYTES) {
        return Err(FileError::TooLarge.into());
    }
    let mut upload = state.files.upload(&caller.tenant, &name, change.content_type);
    let mut pieces = request_body.into_data_stream();
    loop {
        let piece = tokio::time::timeout(IDLE, pieces.next()).await.map_err(|_| {
            let detail = format!("nothing came for {} s; nothing was changed", IDLE.as_secs());
            Problem::new(Kind::MalformedBody, detail)
        })?;
        match piece {
            Some(Ok(piece)) => upload.push(piece).await?,
            Some(Err(_)) => return Err(Problem::new(Kind::MalformedBody, "the body ended too early")),
            None => break,
        }
    }
    let finished = upload.finish(precondition, change.operation, expected).await;
    let (info, created) = finished.map_err(|error| match error {
        FileError::Kv(error) => change_problem(error, change.operation),
        other => other.into(),
    })?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let tag = etag(info.version);
    Ok((status, [(ETAG, tag)], Json(FileObject::from(info))).into_response())
}

/// `DELETE /v1/files/{name}`
pub(super) async fn delete(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(name): KeyPath,
    change: ChangeHeaders,
) -> Result<Response, Problem> {
    let version = change.deleted_version()?;
    let deleted = state.files.delete(&caller.tenant, &name, version, change.operation).await;
    deleted.map_err(|error| change_problem(error, change.operation))?;
    Ok((StatusCode::NO_CONTENT, [(OPERATION_ID, operation_value(change.operation))]).into_response())
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        let detail = error.to_string();
        match error {
            FileError::Kv(error) => error.into(),
            FileError::Unavailable => Self::new(Kind::Unavailable, detail),
            FileError::TooLarge => Self::new(Kind::BodyTooLarge, detail),
            FileError::Digest => Self::new(Kind::DigestMismatch, detail),
        }
    }
}
