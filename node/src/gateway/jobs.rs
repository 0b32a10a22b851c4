//! Jobs: submit, check, list, read, pause, resume, patch, delete.

pub(super) mod key;
mod list;
mod validate;
pub(super) mod version;

use super::access::Access;
use super::body::{JobBody, JobPatch, JsonBody};
use super::object::{JobList, JobObject};
use super::openapi::{Input, Operation, Parameter};
use super::problem::{BadField, Kind, Problem};
use super::routes::Route;
use super::{GatewayState, IDEMPOTENCY_KEY_HEADER};
use crate::auth::{Caller, Scope, Tenant};
use crate::crawl::jobs::{JobChange, JobRef, JobStatus, SeedVerdict};
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{ETAG, LOCATION};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use scrapering_core::frontier::record::JobId;
use scrapering_crds::ScrapeJobFile;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use version::{IfMatch, etag};

const READ: Access = Access::Needs(Scope::JobsRead);
const WRITE: Access = Access::Needs(Scope::JobsWrite);
/// How a change of a job can fail.
const CHANGE: [Kind; 5] = [Kind::JobNotFound, Kind::Conflict, Kind::Unavailable, Kind::DiskFull, Kind::OutcomeUnknown];
const VERSION: &str = "The version, in double quotes.";

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    let changed = |route: Route| {
        route
            .answers::<JobObject>(StatusCode::OK, "The job after the change.")
            .with_header("etag", VERSION)
            .may_fail(&CHANGE)
    };
    vec![
        Route::new(Method::POST, "/v1/jobs", WRITE, create)
            .named("createJob", "Submits a job. With an Idempotency-Key, the same request makes the job only once.")
            .takes(Parameter::header(IDEMPOTENCY_KEY_HEADER, "Names this submission.", key::schema))
            .answers::<JobObject>(StatusCode::CREATED, "The job was accepted and is stored.")
            .with_header("location", "Path of the job.")
            .with_header("etag", VERSION)
            .may_fail(&CHANGE[2..])
            .may_fail(&[Kind::InvalidHeader, Kind::IdempotencyKeyReused]),
        Route::new(Method::POST, "/v1/jobs:validate", READ, validate::validate)
            .named(
                "validateJob",
                "Checks a job without submitting it. Says what it would be, and which URLs belong to it.",
            )
            .answers::<validate::Validation>(StatusCode::OK, "The job is valid."),
        Route::new(Method::GET, "/v1/jobs", READ, list::list)
            .named("listJobs", "Lists the jobs of the token's tenant.")
            .answers::<JobList>(StatusCode::OK, "Jobs behind the cursor, the oldest first.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/jobs/{id}", READ, read)
            .named("readJob", "Reads a job and how far it is.")
            .answers::<JobObject>(StatusCode::OK, "The job.")
            .with_header("etag", VERSION)
            .may_fail(&[Kind::Unavailable]),
        changed(
            Route::new(Method::PATCH, "/v1/jobs/{id}", WRITE, patch)
                .named("patchJob", "Changes a job by a merge patch (RFC 7396)."),
        ),
        Route::new(Method::DELETE, "/v1/jobs/{id}", WRITE, delete)
            .named("deleteJob", "Deletes a job and what it found.")
            .answers_nothing(StatusCode::ACCEPTED, "The job is marked; its copies go afterwards.")
            .may_fail(&CHANGE),
        changed(Route::new(Method::POST, "/v1/jobs/{id}/pause", WRITE, pause).named("pauseJob", "Pauses a job.")),
        changed(
            Route::new(Method::POST, "/v1/jobs/{id}/resume", WRITE, resume)
                .named("resumeJob", "Goes on with a paused job."),
        ),
        changed(
            Route::new(Method::POST, "/v1/jobs/{id}/stop", WRITE, stop)
                .named("stopJob", "Ends a job and keeps what it found."),
        ),
        changed(
            Route::new(Method::POST, "/v1/jobs/{id}/cancel", WRITE, cancel)
                .named("cancelJob", "Ends a job and removes what it found."),
        ),
        changed(
            Route::new(Method::POST, "/v1/jobs/{id}/retry-failed", WRITE, retry_failed)
                .named("retryFailed", "Opens the failed pages of a job that has ended again."),
        ),
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
pub struct SeedVerdicts {
    /// One verdict a URL.
    pub items: Vec<SeedVerdict>,
}

/// The job named in the path, as the caller's tenant has it. What is no id names no job.
pub(super) struct JobPath(pub(super) JobRef);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        Self::of(&id, parts)
    }
}

impl JobPath {
    /// The job that a part of the path names.
    pub(super) fn of(id: &str, parts: &Parts) -> Result<Self, Problem> {
        let id = id.parse().ok();
        let job = id.zip(parts.extensions.get::<Caller>());
        job.map(|(id, caller)| Self(JobRef { tenant: caller.tenant.clone(), id })).ok_or_else(|| {
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

/// A job with its version as `ETag`.
pub(super) fn answer(status: StatusCode, job: JobStatus) -> Response {
    let tag = etag(job.version);
    (status, [(ETAG, tag)], Json(JobObject::from(job))).into_response()
}

/// `POST /v1/jobs`
pub(super) async fn create(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JobBody(mut file): JobBody,
) -> Result<Response, Problem> {
    let key = key::of(&headers)?;
    own(&mut file, &caller.tenant)?;
    let id = match key {
        Some(key) => key::job(&caller.tenant, key),
        None => JobId(uuid::Uuid::now_v7().into_bytes()),
    };
    let job = JobRef { tenant: caller.tenant, id };
    let location = format!("/v1/jobs/{id}");
    let see = |error| Problem::from(error).see(&location);
    state.jobs.submit(&job, &file).await.map_err(see)?;
    let status = state.jobs.status(&job).await.map_err(|error| {
        let detail = format!("the job was accepted, but could not be read back ({error}); read {location}");
        Problem::new(Kind::OutcomeUnknown, detail).see(&location)
    })?;
    if key.is_some() && !is_same_job(status.accepted.as_ref().unwrap_or(&status.file), &file) {
        let detail =
            format!("this Idempotency-Key already made {location} of another document; use a new key for a new job");
        return Err(Problem::new(Kind::IdempotencyKeyReused, detail).see(&location));
    }
    let mut response = answer(StatusCode::CREATED, status);
    let location = location.parse().expect("a path of ASCII letters is a header value");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// A job belongs to the tenant that its token speaks for; a document may say so, and may not say otherwise. On a ring that
/// is not shared, everybody is the one tenant, and the namespace of a document is for Kubernetes.
pub(super) fn own(file: &mut ScrapeJobFile, tenant: &Tenant) -> Result<(), Problem> {
    own_namespace(file.metadata.namespace.as_deref(), tenant, Kind::InvalidJob)?;
    file.metadata.namespace = Some(tenant.to_string());
    Ok(())
}

/// Refuses, as `kind`, a document that says to be another tenant's.
pub(super) fn own_namespace(named: Option<&str>, tenant: &Tenant, kind: Kind) -> Result<(), Problem> {
    match named {
        Some(named) if named != tenant.as_str() && *tenant != Tenant::default() => {
            let message = format!("is `{named}`, and the token speaks for `{tenant}`; leave the namespace out");
            Err(Problem::of_fields(kind, vec![BadField::at_path("metadata.namespace", message)]))
        }
        _ => Ok(()),
    }
}

/// `GET /v1/jobs/{id}`
pub(super) async fn read(State(state): State<GatewayState>, JobPath(job): JobPath) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, state.jobs.status(&job).await?))
}

/// `PATCH /v1/jobs/{id}`
pub(super) async fn patch(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    IfMatch(version): IfMatch,
    patch: JobPatch,
) -> Result<Response, Problem> {
    let JobPatch { suspend, changes } = patch;
    change(&state, &job, version, &JobChange::Patch { suspend, spec: changes }).await
}

/// `POST /v1/jobs/{id}/pause`
async fn pause(state: State<GatewayState>, job: JobPath, version: IfMatch) -> Result<Response, Problem> {
    post(state, job, version, &JobChange::suspend(true)).await
}

/// `POST /v1/jobs/{id}/resume`
async fn resume(state: State<GatewayState>, job: JobPath, version: IfMatch) -> Result<Response, Problem> {
    post(state, job, version, &JobChange::suspend(false)).await
}

/// `POST /v1/jobs/{id}/stop`
async fn stop(state: State<GatewayState>, job: JobPath, version: IfMatch) -> Result<Response, Problem> {
    post(state, job, version, &JobChange::Stop).await
}

/// `POST /v1/jobs/{id}/cancel`
async fn cancel(state: State<GatewayState>, job: JobPath, version: IfMatch) -> Result<Response, Problem> {
    post(state, job, version, &JobChange::Cancel).await
}

/// `POST /v1/jobs/{id}/retry-failed`
async fn retry_failed(state: State<GatewayState>, job: JobPath, version: IfMatch) -> Result<Response, Problem> {
    post(state, job, version, &JobChange::RetryFailed).await
}

async fn post(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    IfMatch(version): IfMatch,
    asked: &JobChange,
) -> Result<Response, Problem> {
    change(&state, &job, version, asked).await
}

/// Changes a job and answers with what it is then.
async fn change(
    state: &GatewayState,
    job: &JobRef,
    version: Option<u64>,
    asked: &JobChange,
) -> Result<Response, Problem> {
    state.jobs.change(job, asked, version).await?;
    Ok(answer(StatusCode::OK, state.jobs.status(job).await?))
}

/// `POST /v1/jobs/{id}/seeds`
async fn add_seeds(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    IfMatch(version): IfMatch,
    JsonBody(seeds): JsonBody<NewSeeds>,
) -> Result<Json<SeedVerdicts>, Problem> {
    Ok(Json(SeedVerdicts { items: state.jobs.add_seeds(&job, &seeds.urls, version).await? }))
}

/// `DELETE /v1/jobs/{id}`: accepted when the job is marked; its copies go afterwards.
pub(super) async fn delete(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    state.jobs.change(&job, &JobChange::Delete, version).await?;
    Ok(StatusCode::ACCEPTED)
}

fn is_same_job(stored: &RawValue, sent: &ScrapeJobFile) -> bool {
    let stored: Option<Value> = serde_json::from_str(stored.get()).ok();
    stored.is_some() && stored == serde_json::to_value(sent).ok()
}
