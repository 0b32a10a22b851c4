//! Schedules: make, list, read, change, delete, run now, and the jobs that they made.

mod list;
pub(super) mod object;

use super::access::Access;
use super::body::{ScheduleBody, SchedulePatch};
use super::jobs::key;
use super::jobs::version::{IfMatch, etag};
use super::object::{JobList, JobObject};
use super::openapi::{Input, Operation, Parameter};
use super::problem::{BadField, Kind, Problem};
use super::routes::Route;
use super::{GatewayState, IDEMPOTENCY_KEY_HEADER};
use crate::auth::{Caller, Scope};
use crate::crawl::schedules::{ScheduleRef, ScheduleState, SchedulesError};
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{ETAG, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use object::{ScheduleList, ScheduleObject};
use schemars::json_schema;

const READ: Access = Access::Needs(Scope::JobsRead);
const WRITE: Access = Access::Needs(Scope::JobsWrite);
/// How a change of a schedule can fail.
const CHANGE: [Kind; 2] = [Kind::Unavailable, Kind::OutcomeUnknown];
const VERSION: &str = "The version, in double quotes.";

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/v1/schedules", WRITE, create)
            .named("createSchedule", "Makes a schedule. The same document again changes nothing.")
            .answers::<ScheduleObject>(StatusCode::CREATED, "The schedule is stored and kept.")
            .with_header("location", "Path of the schedule.")
            .with_header("etag", VERSION)
            .may_fail(&CHANGE)
            .may_fail(&[Kind::Conflict]),
        Route::new(Method::GET, "/v1/schedules", READ, list::list)
            .named("listSchedules", "Lists the schedules of the token's tenant.")
            .answers::<ScheduleList>(StatusCode::OK, "Schedules behind the cursor, by name.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/schedules/{name}", READ, read)
            .named("readSchedule", "Reads a schedule.")
            .answers::<ScheduleObject>(StatusCode::OK, "The schedule.")
            .with_header("etag", VERSION)
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::PATCH, "/v1/schedules/{name}", WRITE, patch)
            .named("patchSchedule", "Changes a schedule by a merge patch (RFC 7396). Jobs that it made stay as they are.")
            .answers::<ScheduleObject>(StatusCode::OK, "The schedule after the change.")
            .with_header("etag", VERSION)
            .may_fail(&CHANGE)
            .may_fail(&[Kind::InvalidSchedule]),
        Route::new(Method::DELETE, "/v1/schedules/{name}", WRITE, delete)
            .named(
                "deleteSchedule",
                "Deletes a schedule. The jobs that it made stay, with their results; those that run go on.",
            )
            .answers_nothing(StatusCode::NO_CONTENT, "There is no such schedule any more.")
            .may_fail(&CHANGE),
        Route::new(Method::POST, "/v1/schedules/{name}/trigger", WRITE, trigger)
            .named(
                "triggerSchedule",
                "Makes a job of a schedule now. It is made whatever the times and the concurrency policy say, and also if \
                 the schedule is suspended. With an Idempotency-Key, the same request makes one job.",
            )
            .takes(Parameter::header(IDEMPOTENCY_KEY_HEADER, "Names this run.", key::schema))
            .answers::<JobObject>(StatusCode::CREATED, "The job is stored.")
            .with_header("location", "Path of the job.")
            .with_header("etag", VERSION)
            .may_fail(&CHANGE)
            .may_fail(&[Kind::Conflict, Kind::InvalidHeader, Kind::DiskFull]),
        Route::new(Method::GET, "/v1/schedules/{name}/runs", READ, runs)
            .named("listRuns", "Lists the jobs of a schedule that are kept.")
            .answers::<JobList>(StatusCode::OK, "Jobs, the newest first.")
            .may_fail(&[Kind::Unavailable]),
    ]
}

impl From<SchedulesError> for Problem {
    fn from(error: SchedulesError) -> Self {
        let detail = error.to_string();
        let kind = match error {
            SchedulesError::NotFound(_) => Kind::ScheduleNotFound,
            SchedulesError::Exists(_) | SchedulesError::TooManyRuns => Kind::Conflict,
            SchedulesError::Changed { current } => {
                return Self::new(Kind::PreconditionFailed, detail).with(ETAG, &format!("\"{current}\""));
            }
            SchedulesError::Invalid(errors) => {
                let errors = errors.into_iter().map(|field| BadField::at_path(&field.path, field.message));
                return Self::of_fields(Kind::InvalidSchedule, errors.collect());
            }
            SchedulesError::Unavailable => Kind::Unavailable,
            SchedulesError::Indeterminate => Kind::OutcomeUnknown,
            SchedulesError::Job(error) => return error.into(),
        };
        Self::new(kind, detail)
    }
}

/// The schedule named in the path, as the caller's tenant has it.
struct SchedulePath(ScheduleRef);

impl<S: Send + Sync> FromRequestParts<S> for SchedulePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, state).await.ok().map(|Path(name)| name);
        let caller = parts.extensions.get::<Caller>();
        let at = name.zip(caller).map(|(name, caller)| ScheduleRef { tenant: caller.tenant.clone(), name });
        at.map(Self).ok_or_else(|| Problem::new(Kind::ScheduleNotFound, "the path names no schedule"))
    }
}

impl Input for SchedulePath {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::path(
            "name",
            "The schedule's name.",
            |_| json_schema!({"type": "string", "minLength": 1, "maxLength": 52}),
        ));
        operation.may_fail(&[Kind::ScheduleNotFound]);
    }
}

fn answer(status: StatusCode, state: ScheduleState) -> Response {
    let tag = etag(state.version);
    (status, [(ETAG, tag)], Json(ScheduleObject::of(state, Timestamp::now()))).into_response()
}

/// `POST /v1/schedules`
async fn create(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    ScheduleBody(file): ScheduleBody,
) -> Result<Response, Problem> {
    super::jobs::own_namespace(file.metadata.namespace.as_deref(), &caller.tenant, Kind::InvalidSchedule)?;
    let at = ScheduleRef { tenant: caller.tenant, name: file.metadata.name.clone() };
    let made = state.schedules.create(&at, &file, Timestamp::now()).await?;
    let mut response = answer(StatusCode::CREATED, made);
    let location = HeaderValue::from_str(&format!("/v1/schedules/{}", at.name)).expect("a DNS label is visible ASCII");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// `GET /v1/schedules/{name}`
async fn read(State(state): State<GatewayState>, SchedulePath(at): SchedulePath) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, state.schedules.read(&at).await?))
}

/// `PATCH /v1/schedules/{name}`
async fn patch(
    State(state): State<GatewayState>,
    SchedulePath(at): SchedulePath,
    IfMatch(version): IfMatch,
    SchedulePatch(spec): SchedulePatch,
) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, state.schedules.patch(&at, &spec, version, Timestamp::now()).await?))
}

/// `DELETE /v1/schedules/{name}`
async fn delete(
    State(state): State<GatewayState>,
    SchedulePath(at): SchedulePath,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    state.schedules.delete(&at, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/schedules/{name}/trigger`
async fn trigger(
    State(state): State<GatewayState>,
    SchedulePath(at): SchedulePath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let word = key::of(&headers)?.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
    let job = state.schedules.trigger(&at, &word, Timestamp::now()).await?;
    let location = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id)).expect("a path of ASCII letters");
    let mut response = super::jobs::answer(StatusCode::CREATED, job);
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// `GET /v1/schedules/{name}/runs`
async fn runs(State(state): State<GatewayState>, SchedulePath(at): SchedulePath) -> Result<Json<JobList>, Problem> {
    Ok(Json(state.schedules.runs(&at).await?.into_iter().collect()))
}
