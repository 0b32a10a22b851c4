//! Jobs: submit, list, read, pause, resume, patch, delete.

use super::access::Access;
use super::body::{JobBody, JobPatch, JsonBody};
use super::object::{JobList, JobObject};
use super::openapi::{Input, Operation, Parameter};
use super::problem::{Kind, Problem};
use super::routes::Route;
use super::{GatewayState, IDEMPOTENCY_KEY_HEADER};
use crate::auth::{Caller, Scope, Tenant};
use crate::crawl::jobs::SeedVerdict;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use scrapering_core::frontier::record::JobId;
use scrapering_crds::ScrapeJobFile;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Longest `Idempotency-Key`, characters.
const LONGEST_KEY: usize = 255;

const READ: Access = Access::Needs(Scope::JobsRead);
const WRITE: Access = Access::Needs(Scope::JobsWrite);
/// How a change of a job can fail.
const CHANGE: [Kind; 5] = [Kind::JobNotFound, Kind::Conflict, Kind::Unavailable, Kind::DiskFull, Kind::OutcomeUnknown];

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/v1/jobs", WRITE, create)
            .named("createJob", "Submits a job. With an Idempotency-Key, the same request makes the job only once.")
            .takes(Parameter::header(IDEMPOTENCY_KEY_HEADER, "Names this submission.", key_schema))
            .answers::<JobObject>(StatusCode::CREATED, "The job was accepted and is stored.")
            .with_header("Location", "Path of the job.")
            .may_fail(&CHANGE[2..])
            .may_fail(&[Kind::InvalidHeader, Kind::IdempotencyKeyReused]),
        Route::new(Method::POST, "/v1/jobs:validate", WRITE, validate)
            .named("validateJob", "Checks a job and stores nothing.")
            .answers::<ScrapeJobFile>(StatusCode::OK, "The job is right; this is it, with every default written out."),
        Route::new(Method::GET, "/v1/jobs", READ, list)
            .named("listJobs", "Lists the jobs.")
            .answers::<JobList>(StatusCode::OK, "The jobs, the oldest first.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/jobs/{id}", READ, read)
            .named("readJob", "Reads a job and how far it is.")
            .answers::<JobObject>(StatusCode::OK, "The job.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::PATCH, "/v1/jobs/{id}", WRITE, patch)
            .named("patchJob", "Changes a job by a merge patch (RFC 7396).")
            .answers::<JobObject>(StatusCode::OK, "The job after the change.")
            .may_fail(&CHANGE),
        Route::new(Method::DELETE, "/v1/jobs/{id}", WRITE, delete)
            .named("deleteJob", "Deletes a job and what it found.")
            .answers_nothing(StatusCode::ACCEPTED, "The job is marked; its copies go afterwards.")
            .may_fail(&CHANGE),
        Route::new(Method::POST, "/v1/jobs/{id}/pause", WRITE, pause)
            .named("pauseJob", "Pauses a job.")
            .answers::<JobObject>(StatusCode::OK, "The job after the change.")
            .may_fail(&CHANGE),
        Route::new(Method::POST, "/v1/jobs/{id}/resume", WRITE, resume)
            .named("resumeJob", "Goes on with a paused job.")
            .answers::<JobObject>(StatusCode::OK, "The job after the change.")
            .may_fail(&CHANGE),
        Route::new(Method::POST, "/v1/jobs/{id}/stop", WRITE, stop)
            .named("stopJob", "Ends a job and keeps what it found.")
            .answers::<JobObject>(StatusCode::OK, "The job after the change.")
            .may_fail(&CHANGE),
        Route::new(Method::POST, "/v1/jobs/{id}/cancel", WRITE, cancel)
            .named("cancelJob", "Ends a job and removes what it found.")
            .answers::<JobObject>(StatusCode::OK, "The job after the change.")
            .may_fail(&CHANGE),
        Route::new(Method::POST, "/v1/jobs/{id}/retry-failed", WRITE, retry_failed)
            .named("retryFailed", "Opens the failed pages of a job that has ended again.")
            .answers::<JobObject>(StatusCode::OK, "The job after the change.")
            .may_fail(&CHANGE),
        Route::new(Method::POST, "/v1/jobs/{id}/seeds", WRITE, add_seeds)
            .named("addSeeds", "Adds seeds to a job that has not ended.")
            .answers::<SeedVerdicts>(StatusCode::OK, "What became of each URL, in their order.")
            .may_fail(&CHANGE)
            .may_fail(&[Kind::InvalidPatch]),
    ]
}

/// URLs for a running job.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSeeds {
    /// Absolute http or https URLs.
    pub urls: Vec<String>,
}

/// What became of new URLs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct SeedVerdicts {
    /// One verdict a URL.
    pub items: Vec<SeedVerdict>,
}

fn key_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"})
}

/// The job named in the path. What is no id names no job.
pub(super) struct JobPath(pub(super) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| {
            let detail = "the path names no job: a job id is a UUID such as 0198c1d2-7f3e-7abc-9def-0123456789ab";
            Problem::new(Kind::JobNotFound, detail)
        })
    }
}

impl Input for JobPath {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::path(
            "id",
            "The job's id, a UUID.",
            |_| json_schema!({"type": "string", "format": "uuid"}),
        ));
        operation.may_fail(&[Kind::JobNotFound]);
    }
}

/// `POST /v1/jobs`
pub(super) async fn create(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JobBody(file): JobBody,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let id = match key {
        Some(key) => id_of_key(&caller.tenant, key),
        None => JobId(uuid::Uuid::now_v7().into_bytes()),
    };
    let location = format!("/v1/jobs/{id}");
    let see = |error| Problem::from(error).see(&location);
    state.jobs.submit(id, &file).await.map_err(see)?;
    tracing::info!(job = %id, name = file.metadata.name, subject = caller.subject, "job submitted");
    let status = state.jobs.status(id).await.map_err(|error| {
        let detail = format!("the job was accepted, but could not be read back ({error}); read {location}");
        Problem::new(Kind::OutcomeUnknown, detail).see(&location)
    })?;
    if key.is_some() && !is_same_job(&status.file, &file) {
        let detail =
            format!("this Idempotency-Key already made {location} of another document; use a new key for a new job");
        return Err(Problem::new(Kind::IdempotencyKeyReused, detail).see(&location));
    }
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(JobObject::from(status))).into_response())
}

/// `POST /v1/jobs:validate`: the job as it would be accepted, with every default written out; nothing is stored.
pub(super) async fn validate(JobBody(file): JobBody) -> Json<ScrapeJobFile> {
    Json(file)
}

/// `GET /v1/jobs`
pub(super) async fn list(State(state): State<GatewayState>) -> Result<Json<JobList>, Problem> {
    Ok(Json(state.jobs.list().await?.into_iter().collect()))
}

/// `GET /v1/jobs/{id}`
pub(super) async fn read(State(state): State<GatewayState>, JobPath(id): JobPath) -> Result<Json<JobObject>, Problem> {
    Ok(Json(state.jobs.status(id).await?.into()))
}

/// `PATCH /v1/jobs/{id}`
pub(super) async fn patch(
    State(state): State<GatewayState>,
    JobPath(id): JobPath,
    patch: JobPatch,
) -> Result<Json<JobObject>, Problem> {
    if let Some(changes) = &patch.changes {
        state.jobs.revise(id, changes).await?;
    }
    if let Some(suspended) = patch.suspend {
        state.jobs.suspend(id, suspended).await?;
    }
    read(State(state), JobPath(id)).await
}

/// `POST /v1/jobs/{id}/pause`
pub(super) async fn pause(state: State<GatewayState>, path: JobPath) -> Result<Json<JobObject>, Problem> {
    patch(state, path, JobPatch::suspend(true)).await
}

/// `POST /v1/jobs/{id}/resume`
pub(super) async fn resume(state: State<GatewayState>, path: JobPath) -> Result<Json<JobObject>, Problem> {
    patch(state, path, JobPatch::suspend(false)).await
}

/// `POST /v1/jobs/{id}/stop`
pub(super) async fn stop(State(state): State<GatewayState>, JobPath(id): JobPath) -> Result<Json<JobObject>, Problem> {
    state.jobs.stop(id).await?;
    read(State(state), JobPath(id)).await
}

/// `POST /v1/jobs/{id}/cancel`
pub(super) async fn cancel(
    State(state): State<GatewayState>,
    JobPath(id): JobPath,
) -> Result<Json<JobObject>, Problem> {
    state.jobs.cancel(id).await?;
    read(State(state), JobPath(id)).await
}

/// `POST /v1/jobs/{id}/retry-failed`
pub(super) async fn retry_failed(
    State(state): State<GatewayState>,
    JobPath(id): JobPath,
) -> Result<Json<JobObject>, Problem> {
    state.jobs.retry_failed(id).await?;
    read(State(state), JobPath(id)).await
}

/// `POST /v1/jobs/{id}/seeds`
pub(super) async fn add_seeds(
    State(state): State<GatewayState>,
    JobPath(id): JobPath,
    JsonBody(seeds): JsonBody<NewSeeds>,
) -> Result<Json<SeedVerdicts>, Problem> {
    Ok(Json(SeedVerdicts { items: state.jobs.add_seeds(id, &seeds.urls).await? }))
}

/// `DELETE /v1/jobs/{id}`: accepted when the job is marked; its copies go afterwards.
pub(super) async fn delete(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    JobPath(id): JobPath,
) -> Result<StatusCode, Problem> {
    state.jobs.delete(id).await?;
    tracing::info!(job = %id, subject = caller.subject, "job deleted");
    Ok(StatusCode::ACCEPTED)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().map(|text| text.trim().trim_matches('"'));
    key.filter(|key| values.next().is_none() && !key.is_empty() && key.len() <= LONGEST_KEY).map(Some).ok_or_else(
        || {
            let detail = format!(
                "Idempotency-Key must be 1 to {LONGEST_KEY} visible ASCII characters, once; a random UUID is a good one"
            );
            Problem::new(Kind::InvalidHeader, detail)
        },
    )
}

/// The same key of the same tenant always makes the same id (a UUID of version 8, RFC 9562 section 5.8), so nothing needs to be remembered.
fn id_of_key(tenant: &Tenant, key: &str) -> JobId {
    let mut hash = Sha256::new();
    for part in ["scrapering idempotency key", &tenant.to_string(), key] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    JobId(uuid::Builder::from_custom_bytes(bytes).into_uuid().into_bytes())
}

fn is_same_job(stored: &RawValue, sent: &ScrapeJobFile) -> bool {
    let stored: Option<Value> = serde_json::from_str(stored.get()).ok();
    stored.is_some() && stored == serde_json::to_value(sent).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_tenant_always_makes_the_same_id_and_of_another_tenant_another() {
        let tenant = Tenant::default();
        let other: Tenant = "other".parse().expect("tenant");
        let id = id_of_key(&tenant, "a");
        assert_eq!(id, id_of_key(&tenant, "a"));
        assert_ne!(id, id_of_key(&tenant, "b"));
        assert_ne!(id, id_of_key(&other, "a"));
        let uuid = uuid::Uuid::from_bytes(id.0);
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (8, uuid::Variant::RFC4122));
    }
}
