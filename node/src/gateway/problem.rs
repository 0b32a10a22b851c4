//! What can go wrong with a request and how it is said: a problem body (RFC 9457) for every answer that is no success.
//!
//! The table of kinds is closed; a kind's `type` never changes its meaning, so that programs can rely on it.

use crate::auth::AuthError;
use crate::crawl::jobs::JobsError;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `type` begins with.
pub(super) const TYPE_PREFIX: &str = "https://scrapering.io/problems/";

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// There is no good token.
    Unauthorized,
    /// The token is good, but not for this.
    Forbidden,
    /// Too many requests of this caller.
    RateLimited,
    /// No such path.
    NoSuchRoute,
    /// No such method on this path.
    MethodNotAllowed,
    /// No such job.
    JobNotFound,
    /// No such page, or it is not kept.
    PageNotFound,
    /// No such export of a job.
    ExportNotFound,
    /// No such message to a webhook.
    DeliveryNotFound,
    /// Not in this phase of the job.
    Conflict,
    /// A query parameter is wrong.
    InvalidParameter,
    /// A header is wrong.
    InvalidHeader,
    /// No form of the answer fits `Accept`.
    NotAcceptable,
    /// The cursor is not one of ours.
    BadCursor,
    /// The body is neither YAML nor JSON.
    MalformedBody,
    /// The body is too long.
    BodyTooLarge,
    /// The body is of another type.
    UnsupportedMediaType,
    /// The body has bad fields.
    InvalidBody,
    /// The job has bad fields.
    InvalidJob,
    /// No such schedule.
    ScheduleNotFound,
    /// The schedule has bad fields.
    InvalidSchedule,
    /// The patch changes what cannot be changed.
    InvalidPatch,
    /// The key was used for another job.
    IdempotencyKeyReused,
    /// Too few nodes answer; nothing was changed.
    Unavailable,
    /// The disk is full; nothing was changed.
    DiskFull,
    /// The change may or may not have been made.
    OutcomeUnknown,
    /// The request took too long.
    Timeout,
    /// The text is no key.
    InvalidKey,
    /// The key holds nothing.
    KeyNotFound,
    /// There is no such file.
    FileNotFound,
    /// The range lies behind the end of the file.
    RangeNotSatisfiable,
    /// The content has another hash than the request says.
    DigestMismatch,
    /// The precondition does not hold; nothing was changed.
    PreconditionFailed,
    /// A stored value cannot be read.
    Damaged,
    /// A field of a lock is wrong.
    InvalidLock,
    /// Another holds the lock.
    LockHeld,
    /// The token does not hold the lock any more.
    LockLost,
    /// Nobody holds the lock.
    LockNotHeld,
    /// No such node.
    NodeNotFound,
    /// The node cannot leave.
    NodeStays,
    /// The ring does not go on without nodes.
    NotRecovered,
}

impl Kind {
    /// Every kind there is.
    #[cfg(test)]
    pub(super) const ALL: [Self; 41] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::RateLimited,
        Self::NoSuchRoute,
        Self::MethodNotAllowed,
        Self::JobNotFound,
        Self::DeliveryNotFound,
        Self::PageNotFound,
        Self::ExportNotFound,
        Self::Conflict,
        Self::InvalidParameter,
        Self::InvalidHeader,
        Self::NotAcceptable,
        Self::BadCursor,
        Self::MalformedBody,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidBody,
        Self::InvalidJob,
        Self::ScheduleNotFound,
        Self::InvalidSchedule,
        Self::InvalidPatch,
        Self::IdempotencyKeyReused,
        Self::Unavailable,
        Self::DiskFull,
        Self::OutcomeUnknown,
        Self::Timeout,
        Self::InvalidKey,
        Self::KeyNotFound,
        Self::FileNotFound,
        Self::RangeNotSatisfiable,
        Self::DigestMismatch,
        Self::PreconditionFailed,
        Self::Damaged,
        Self::InvalidLock,
        Self::LockHeld,
        Self::LockLost,
        Self::LockNotHeld,
        Self::NodeNotFound,
        Self::NodeStays,
        Self::NotRecovered,
    ];

    /// Last part of `type`, status and title.
    pub(super) fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "There is no valid token"),
            Self::RateLimited => ("rate-limited", StatusCode::TOO_MANY_REQUESTS, "There are too many requests"),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "The token does not allow this"),
            Self::NoSuchRoute => ("no-such-route", StatusCode::NOT_FOUND, "There is nothing at this path"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "This path does not know the method")
            }
            Self::JobNotFound => ("job-not-found", StatusCode::NOT_FOUND, "There is no such job"),
            Self::PageNotFound => ("page-not-found", StatusCode::NOT_FOUND, "There is no such page, or it is not kept"),
            Self::ExportNotFound => ("export-not-found", StatusCode::NOT_FOUND, "There is no such export"),
            Self::DeliveryNotFound => ("delivery-not-found", StatusCode::NOT_FOUND, "There is no such delivery"),
            Self::Conflict => ("conflict", StatusCode::CONFLICT, "The state of things does not allow this"),
            Self::InvalidParameter => ("invalid-parameter", StatusCode::BAD_REQUEST, "A query parameter is not valid"),
            Self::NotAcceptable => {
                ("not-acceptable", StatusCode::NOT_ACCEPTABLE, "The answer has no form that the request accepts")
            }
            Self::InvalidHeader => ("invalid-header", StatusCode::BAD_REQUEST, "A header is not valid"),
            Self::BadCursor => ("bad-cursor", StatusCode::BAD_REQUEST, "The cursor is not valid"),
            Self::MalformedBody => ("malformed-body", StatusCode::BAD_REQUEST, "The body cannot be read"),
            Self::BodyTooLarge => ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is of a type that is not read here",
            ),
            Self::InvalidBody => ("invalid-body", StatusCode::UNPROCESSABLE_ENTITY, "The body is not valid"),
            Self::InvalidJob => ("invalid-job", StatusCode::UNPROCESSABLE_ENTITY, "The job is not valid"),
            Self::ScheduleNotFound => ("schedule-not-found", StatusCode::NOT_FOUND, "There is no such schedule"),
            Self::InvalidSchedule => {
                ("invalid-schedule", StatusCode::UNPROCESSABLE_ENTITY, "The schedule is not valid")
            }
            Self::InvalidPatch => ("invalid-patch", StatusCode::UNPROCESSABLE_ENTITY, "The patch is not valid"),
            Self::IdempotencyKeyReused => (
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key was used for another job",
            ),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Too few nodes answer"),
            Self::DiskFull => ("disk-full", StatusCode::INSUFFICIENT_STORAGE, "The disk is full"),
            Self::OutcomeUnknown => {
                ("outcome-unknown", StatusCode::GATEWAY_TIMEOUT, "It is not known whether the change was made")
            }
            Self::Timeout => ("timeout", StatusCode::GATEWAY_TIMEOUT, "The request took too long"),
            Self::InvalidKey => ("invalid-key", StatusCode::BAD_REQUEST, "The key is not valid"),
            Self::DigestMismatch => {
                ("digest-mismatch", StatusCode::UNPROCESSABLE_ENTITY, "The content is not what the request says")
            }
            Self::RangeNotSatisfiable => {
                ("range-not-satisfiable", StatusCode::RANGE_NOT_SATISFIABLE, "The range lies behind the end")
            }
            Self::FileNotFound => ("file-not-found", StatusCode::NOT_FOUND, "There is no such file"),
            Self::KeyNotFound => ("key-not-found", StatusCode::NOT_FOUND, "The key holds nothing"),
            Self::PreconditionFailed => {
                ("precondition-failed", StatusCode::PRECONDITION_FAILED, "The precondition does not hold")
            }
            Self::Damaged => ("damaged", StatusCode::INTERNAL_SERVER_ERROR, "A stored value cannot be read"),
            Self::InvalidLock => ("invalid-lock", StatusCode::UNPROCESSABLE_ENTITY, "The lock is not valid"),
            Self::LockHeld => ("lock-held", StatusCode::CONFLICT, "Another holds the lock"),
            Self::LockLost => ("lock-lost", StatusCode::CONFLICT, "The token does not hold the lock any more"),
            Self::LockNotHeld => ("lock-not-held", StatusCode::NOT_FOUND, "Nobody holds the lock"),
            Self::NodeNotFound => ("node-not-found", StatusCode::NOT_FOUND, "There is no such node"),
            Self::NodeStays => ("node-stays", StatusCode::CONFLICT, "The node cannot leave the ring"),
            Self::NotRecovered => {
                ("not-recovered", StatusCode::CONFLICT, "The ring does not go on without these nodes")
            }
        }
    }
}

/// A bad field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadField {
    /// As in messages: `spec.extract[0].fields[1].selector`; `.` is the whole body.
    pub path: String,
    /// The same as a JSON pointer (RFC 6901): `/spec/extract/0/fields/1/selector`.
    pub pointer: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl BadField {
    /// The field at `path`.
    pub(super) fn at_path(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), pointer: pointer_of(path), message: message.into() }
    }

    /// The field that is reached by `names`, which may hold any character.
    pub(super) fn below(names: &[&str], message: impl Into<String>) -> Self {
        let pointer = names.iter().map(|name| format!("/{}", escaped(name))).collect();
        Self { path: names.join("."), pointer, message: message.into() }
    }
}

fn pointer_of(path: &str) -> String {
    let words = path.split(['.', '[', ']']).filter(|word| !word.is_empty());
    words.map(|word| format!("/{}", escaped(word))).collect()
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A problem as it is sent and read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemBody {
    /// Which kind: a URI that never changes.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time and what to do.
    pub detail: String,
    /// Every bad field, when fields are what is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<BadField>,
}

impl ProblemBody {
    /// The last part of `type`; empty if the problem is not one of ours.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix(TYPE_PREFIX).unwrap_or_default()
    }
}

/// An answer that is no success. The caller reads in its kind who is at fault and whether anything changed.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<BadField>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Problem {
    /// A problem of `kind`; `detail` says what happened this time and what to do. What is unavailable may be asked
    /// for again after a second.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let header = if kind == Kind::Unavailable { header(RETRY_AFTER, "1") } else { None };
        Self { kind, detail: detail.into(), errors: Vec::new(), header }
    }

    /// A problem with fields.
    pub(super) fn of_fields(kind: Kind, errors: Vec<BadField>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{}: {}", only.path, only.message),
            all => format!("{} fields are not valid; see errors", all.len()),
        };
        Self { errors, ..Self::new(kind, detail) }
    }

    /// The same, pointing to the resource whose state would tell more.
    pub(super) fn see(self, location: &str) -> Self {
        self.with(LOCATION, location)
    }

    /// The same with a header that tells more.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.header = header(name, value);
        self
    }
}

fn header(name: HeaderName, value: &str) -> Option<Box<(HeaderName, HeaderValue)>> {
    HeaderValue::from_str(value).ok().map(|value| Box::new((name, value)))
}

impl From<JobsError> for Problem {
    fn from(error: JobsError) -> Self {
        let detail = error.to_string();
        let kind = match error {
            JobsError::NotFound(_) => Kind::JobNotFound,
            JobsError::NoDelivery(_) => Kind::DeliveryNotFound,
            JobsError::NoBody => Kind::PageNotFound,
            JobsError::NoExport(_) => Kind::ExportNotFound,
            JobsError::Conflict(_) => Kind::Conflict,
            JobsError::Changed { current } => {
                let tag = format!("\"{current}\"");
                return Self::new(Kind::PreconditionFailed, error.to_string()).with(ETAG, &tag);
            }
            JobsError::BadCursor => Kind::BadCursor,
            JobsError::Unavailable => Kind::Unavailable,
            JobsError::DiskFull => Kind::DiskFull,
            JobsError::Indeterminate => Kind::OutcomeUnknown,
            JobsError::Invalid(errors) => {
                let errors = errors.into_iter().map(|field| BadField::at_path(&field.path, field.message));
                return Self::of_fields(Kind::InvalidPatch, errors.collect());
            }
        };
        Self::new(kind, detail)
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let kind = if error.is_forbidden() { Kind::Forbidden } else { Kind::Unauthorized };
        let detail = error.to_string();
        let mut challenge = "Bearer realm=\"scrapering\"".to_owned();
        if let Some(code) = error.code() {
            // RFC 6750 section 3 allows neither quotes nor backslashes nor anything but ASCII here.
            let description =
                detail.replace(['"', '\\'], "'").replace(|letter: char| !(' '..='~').contains(&letter), "?");
            challenge += &format!(", error=\"{code}\", error_description=\"{description}\"");
        }
        if let AuthError::Scope { needed } = error {
            challenge += &format!(", scope=\"{needed}\"");
        }
        Self::new(kind, detail).with(WWW_AUTHENTICATE, &challenge)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (slug, status, title) = self.kind.row();
        let body = ProblemBody {
            kind: format!("{TYPE_PREFIX}{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let text = serde_json::to_vec(&body).expect("texts and numbers always become JSON");
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], text).into_response();
        if let Some(header) = self.header {
            response.headers_mut().insert(header.0, header.1);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_type_of_its_own_and_an_error_status() {
        let slugs: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.row().0).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let (slug, status, title) = kind.row();
            assert!(status.is_client_error() || status.is_server_error(), "{slug}");
            assert!(!title.is_empty() && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{slug}");
        }
    }

    #[test]
    fn a_path_becomes_a_json_pointer() {
        for (path, pointer) in [
            (".", ""),
            ("kind", "/kind"),
            ("spec.extract[0].fields[12].selector", "/spec/extract/0/fields/12/selector"),
            ("metadata.labels.a/b~c", "/metadata/labels/a~1b~0c"),
        ] {
            assert_eq!(pointer_of(path), pointer);
        }
    }

    #[test]
    fn one_bad_field_is_named_in_the_detail_and_several_are_counted() {
        let field = |path: &str| BadField::at_path(path, "is wrong");
        assert_eq!(Problem::of_fields(Kind::InvalidJob, vec![field("spec.seeds")]).detail, "spec.seeds: is wrong");
        let several = Problem::of_fields(Kind::InvalidJob, vec![field("a"), field("b")]);
        assert_eq!(several.detail, "2 fields are not valid; see errors");
    }

    #[test]
    fn the_challenge_of_a_refused_token_is_plain_ascii_without_inner_quotes() {
        let response = Problem::from(AuthError::MissingClaim { claim: "a\"b\\\u{e9}\r\n".to_owned() }).into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().expect("ASCII");
        assert!(
            challenge.contains("error=\"invalid_token\"") && challenge.ends_with("'a'b'???' claim\""),
            "{challenge}"
        );
    }
}
