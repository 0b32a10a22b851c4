//! Reads request bodies: a job (YAML or JSON), a merge patch, and other JSON, with a problem for each way they can be wrong.

mod faults;
mod schedule;

pub(super) use schedule::{ScheduleBody, SchedulePatch};

use super::openapi::{Input, Operation, schema_of};
use super::problem::{BadField, Kind, Problem};
use crate::job::{self, JobError};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use schemars::{JsonSchema, json_schema};
use scrapering_crds::file::{self, FILE_BYTES_MAX};
use scrapering_crds::{JobFileError, ScrapeJobFile};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Types of a job. The YAML ones besides `application/yaml` (RFC 9512) are older habits.
const JOB_TYPES: [&str; 5] = ["application/yaml", "application/json", "application/x-yaml", "text/yaml", "text/x-yaml"];
/// Types of a patch (RFC 7396).
const PATCH_TYPES: [&str; 2] = ["application/merge-patch+json", "application/json"];
/// Types of any other body.
const JSON_TYPES: [&str; 1] = ["application/json"];
/// How every body can be wrong.
const UNREADABLE: [Kind; 3] = [Kind::MalformedBody, Kind::BodyTooLarge, Kind::UnsupportedMediaType];

/// A checked job.
pub(super) struct JobBody(pub(super) ScrapeJobFile);

impl<S: Send + Sync> FromRequest<S> for JobBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let loaded = loaded::<ScrapeJobFile, _>(request, state, job::load, Kind::InvalidJob).await?;
        Ok(Self(loaded.file))
    }
}

/// A body that is a file of the shape `F`, read by `load`; what is wrong with it is a problem of the kind `invalid`.
async fn loaded<F: DeserializeOwned, L>(
    request: Request,
    state: &(impl Send + Sync),
    load: fn(&str) -> Result<L, JobError>,
    invalid: Kind,
) -> Result<L, Problem> {
    check_type(request.headers(), &JOB_TYPES)?;
    let bytes = read(request, state).await?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Problem::new(Kind::MalformedBody, "the body is not UTF-8 text"))?;
    load(text).map_err(|error| {
        if let JobError::File(unreadable) = &error {
            if !matches!(unreadable, JobFileError::Field { .. }) {
                return Problem::new(Kind::MalformedBody, unreadable.to_string());
            }
            // The first fault of shape hides the others.
            let all = file::document(text).map(|all| faults::of::<F>(&all)).unwrap_or_default();
            if !all.is_empty() {
                return Problem::of_fields(invalid, all);
            }
        }
        let fields = error.field_errors().into_iter();
        Problem::of_fields(invalid, fields.map(|field| BadField::at_path(&field.path, field.message)).collect())
    })
}

impl Input for JobBody {
    fn describe(operation: &mut Operation) {
        operation.read("The job.", &JOB_TYPES, schema_of::<ScrapeJobFile>);
        operation.may_fail(&UNREADABLE);
        operation.may_fail(&[Kind::InvalidJob]);
    }
}

/// A body of JSON that is a `T`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_type(request.headers(), &JSON_TYPES)?;
        let bytes = read(request, state).await?;
        let value: Value = json(&bytes)?;
        match serde_json::from_value(value.clone()) {
            Ok(body) => Ok(Self(body)),
            Err(_) => Err(Problem::of_fields(Kind::InvalidBody, faults::of::<T>(&value))),
        }
    }
}

impl<T: JsonSchema> Input for JsonBody<T> {
    fn describe(operation: &mut Operation) {
        operation.read("What is asked.", &JSON_TYPES, schema_of::<T>);
        operation.may_fail(&UNREADABLE);
        operation.may_fail(&[Kind::InvalidBody]);
    }
}

fn json(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(Kind::MalformedBody, format!("the body is not JSON: {error}")))
}

/// What of a job can be changed while it runs, as paths below `spec`.
const CHANGEABLE: [&[&str]; 11] = [
    &["priority"],
    &["parallelism"],
    &["scope", "exclude"],
    &["url"],
    &["politeness"],
    &["circuitBreaker"],
    &["retry"],
    &["limits", "maxPagesPerHost"],
    &["limits", "maxItems"],
    &["limits", "maxBytes"],
    &["limits", "maxDuration"],
];

/// The changes that a patch can make.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JobPatch {
    /// Pause (true), resume (false) or leave as it is.
    pub(super) suspend: Option<bool>,
    /// A merge patch of the spec, without `suspend`.
    pub(super) changes: Option<Value>,
}

impl<S: Send + Sync> FromRequest<S> for JobPatch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_type(request.headers(), &PATCH_TYPES)?;
        let bytes = read(request, state).await?;
        Self::of(&json(&bytes)?).map_err(|errors| Problem::of_fields(Kind::InvalidPatch, errors))
    }
}

impl Input for JobPatch {
    fn describe(operation: &mut Operation) {
        operation.read("What changes.", &PATCH_TYPES, |_| {
            json_schema!({
                "type": "object",
                "properties": {"spec": {
                    "type": "object",
                    "properties": {
                        "suspend": {"type": "boolean", "description": "Pause (true) or resume (false)."},
                        "priority": {"type": "integer", "description": "As in the job."},
                        "parallelism": {"type": ["integer", "null"], "description": "As in the job; null for no limit."},
                        "scope": {"type": "object", "description": "exclude: what is left out from now on."},
                        "url": {"type": "object", "description": "As in the job."},
                        "politeness": {"type": "object", "description": "As in the job."},
                        "circuitBreaker": {"type": "object", "description": "As in the job."},
                        "retry": {"type": "object", "description": "As in the job."},
                        "limits": {"type": "object", "description": "maxPagesPerHost, maxItems, maxBytes, maxDuration."},
                    },
                    "additionalProperties": false,
                }},
                "additionalProperties": false,
            })
        });
        operation.may_fail(&UNREADABLE);
        operation.may_fail(&[Kind::InvalidPatch]);
    }
}

impl JobPatch {
    fn of(patch: &Value) -> Result<Self, Vec<BadField>> {
        let Some(fields) = patch.as_object() else {
            return Err(vec![BadField::at_path(".", "must be an object, such as {\"spec\":{\"suspend\":true}}")]);
        };
        let mut errors = Vec::new();
        let mut read = Self::default();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("spec", Value::Object(spec)) => {
                    let mut changes = spec.clone();
                    match changes.remove("suspend") {
                        Some(Value::Bool(wanted)) => read.suspend = Some(wanted),
                        Some(_) => errors.push(BadField::at_path("spec.suspend", "must be true or false")),
                        None => {}
                    }
                    for (name, value) in &changes {
                        check_change(&mut vec![name], value, &mut errors);
                    }
                    read.changes = Some(Value::Object(changes)).filter(|changes| changes != &json!({}));
                }
                ("spec", _) => errors.push(BadField::at_path("spec", "must be an object")),
                _ => errors.push(BadField::below(&[name], FIXED)),
            }
        }
        if errors.is_empty() { Ok(read) } else { Err(errors) }
    }
}

const FIXED: &str = "cannot be changed after the job was submitted; suspend, priority, parallelism, scope.exclude, url, politeness, circuitBreaker, retry and some limits can";

/// Notes every field of a change that is fixed; whether the rest makes sense is judged with the whole job.
fn check_change<'a>(path: &mut Vec<&'a str>, value: &'a Value, errors: &mut Vec<BadField>) {
    if CHANGEABLE.contains(&path.as_slice()) {
        return;
    }
    let leads_on = CHANGEABLE.iter().any(|known| known.starts_with(path));
    match value {
        Value::Object(fields) if leads_on => {
            for (name, value) in fields {
                path.push(name);
                check_change(path, value, errors);
                path.pop();
            }
        }
        _ => errors.push(BadField::below(&[&["spec"], path.as_slice()].concat(), FIXED)),
    }
}

fn check_type(headers: &HeaderMap, accepted: &[&str]) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if accepted.iter().any(|accepted| accepted.eq_ignore_ascii_case(essence)) {
        return Ok(());
    }
    let accepted: Vec<String> = accepted.iter().take(2).map(|media| format!("\"{media}\"")).collect();
    let detail = format!("send the body with the header Content-Type: {}", accepted.join(" or "));
    Err(Problem::new(Kind::UnsupportedMediaType, detail))
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(Kind::BodyTooLarge, format!("the body may have {FILE_BYTES_MAX} bytes"))
        } else {
            Problem::new(Kind::MalformedBody, "the body ended too early")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_may_change_what_can_be_changed_while_a_job_runs() {
        let patch = json!({"spec": {"suspend": true, "scope": {"exclude": ["x"]}, "limits": {"maxItems": null}}});
        let changes = Some(json!({"scope": {"exclude": ["x"]}, "limits": {"maxItems": null}}));
        assert_eq!(JobPatch::of(&patch).expect("good"), JobPatch { suspend: Some(true), changes });
    }

    #[test]
    fn a_patch_may_suspend_or_resume_or_say_nothing() {
        for (patch, suspend) in [
            (json!({"spec": {"suspend": true}}), Some(true)),
            (json!({"spec": {"suspend": false}}), Some(false)),
            (json!({"spec": {}}), None),
            (json!({}), None),
        ] {
            assert_eq!(JobPatch::of(&patch).expect("good"), JobPatch { suspend, changes: None });
        }
    }

    #[test]
    fn everything_else_in_a_patch_is_refused_by_its_pointer() {
        for (patch, pointers) in [
            (json!(7), vec![""]),
            (json!([]), vec![""]),
            (json!({"spec": null}), vec!["/spec"]),
            (json!({"spec": {"suspend": null}}), vec!["/spec/suspend"]),
            (
                json!({"spec": {"suspend": "yes", "limits": {"maxPages": 1}}}),
                vec!["/spec/suspend", "/spec/limits/maxPages"],
            ),
            (json!({"metadata": {"name": "x"}, "spec": {"suspend": true}}), vec!["/metadata"]),
            (json!({"a/b.c~d": 1}), vec!["/a~1b.c~0d"]),
        ] {
            let errors = JobPatch::of(&patch).expect_err("bad");
            assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), pointers);
        }
    }
}
