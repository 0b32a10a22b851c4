//! Exports: what a job found, written by the ring into a store that the caller names, and how far that is.

use super::access::Access;
use super::body::JsonBody;
use super::jobs::{JobPath, key};
use super::object::hide_output;
use super::openapi::{Input, Operation, Parameter};
use super::problem::{BadField, Kind, Problem};
use super::routes::Route;
use super::{GatewayState, IDEMPOTENCY_KEY_HEADER};
use crate::auth::{AuthError, Caller, Scope};
use crate::crawl::exports::ExportStatus;
use crate::crawl::jobs::{JobRef, JobsError};
use crate::crawl::outputs::OutputProgress;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use scrapering_core::frontier::export::ExportId;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::job::OutputSpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/v1/jobs/{id}/exports", Access::Needs(Scope::JobsWrite), create)
            .named(
                "createExport",
                "Has the ring write what a job found into a store, once the job has ended. The body is an output as in \
                 the job file, `s3` or `gcs`; the files stand below its prefix and the export's id. The token needs \
                 `results:read` besides. With an Idempotency-Key, the same request makes the export only once.",
            )
            .takes(Parameter::header(IDEMPOTENCY_KEY_HEADER, "Names this export.", key::schema))
            .answers::<ExportObject>(StatusCode::ACCEPTED, "The export is stored, and is written in its turn.")
            .with_header("location", "Path of the export.")
            .may_fail(&[Kind::Conflict, Kind::Unavailable, Kind::DiskFull, Kind::OutcomeUnknown])
            .may_fail(&[Kind::InvalidHeader, Kind::IdempotencyKeyReused]),
        Route::new(Method::GET, "/v1/jobs/{id}/exports", Access::Needs(Scope::JobsRead), list)
            .named("listExports", "Lists the exports of a job, and how far each is.")
            .answers::<ExportList>(StatusCode::OK, "The last 32.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/jobs/{id}/exports/{export}", Access::Needs(Scope::JobsRead), read)
            .named("readExport", "Reads how far an export is.")
            .answers::<ExportObject>(StatusCode::OK, "The export.")
            .may_fail(&[Kind::Unavailable]),
    ]
}

/// An export of a job.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportObject {
    /// Names it; the folder of its files.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub id: ExportId,
    /// The job.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub job: JobId,
    /// RFC 3339.
    pub created_at: String,
    /// Where it goes and how it is written; what is secret reads `[secret]`.
    #[schemars(with = "OutputSpec")]
    pub output: Value,
    /// How far it is.
    #[serde(flatten)]
    pub progress: OutputProgress,
}

/// Exports of a job.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExportList {
    /// The oldest first.
    pub items: Vec<ExportObject>,
}

impl ExportObject {
    fn of(job: JobId, status: ExportStatus) -> Self {
        let ExportStatus { id, created_at, output, progress } = status;
        let mut output = serde_json::to_value(output).unwrap_or_default();
        hide_output(&mut output);
        Self { id, job, created_at, output, progress }
    }
}

/// The job and the export named in the path.
struct ExportPath(JobRef, ExportId);

impl<S: Send + Sync> FromRequestParts<S> for ExportPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let names = Path::<(String, String)>::from_request_parts(parts, state).await;
        let (job, export) = names.map(|Path(names)| names).unwrap_or_default();
        let JobPath(job) = JobPath::of(&job, parts)?;
        let export = export.parse::<ExportId>();
        export.map(|export| Self(job, export)).map_err(|error| Problem::new(Kind::ExportNotFound, error.to_string()))
    }
}

impl Input for ExportPath {
    fn describe(operation: &mut Operation) {
        JobPath::describe(operation);
        let uuid = |_: &mut schemars::SchemaGenerator| json_schema!({"type": "string", "format": "uuid"});
        operation.take(Parameter::path("export", "The export's id, a UUID.", uuid));
        operation.may_fail(&[Kind::ExportNotFound]);
    }
}

/// `POST /v1/jobs/{id}/exports`
async fn create(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    JobPath(job): JobPath,
    headers: HeaderMap,
    JsonBody(output): JsonBody<OutputSpec>,
) -> Result<Response, Problem> {
    // Whoever names the store gets what was found.
    let needed = Scope::ResultsRead;
    if !caller.scopes.contains(needed) {
        return Err(AuthError::Scope { needed }.into());
    }
    let key = key::of(&headers)?;
    let id = ExportId(match key {
        Some(key) => key::uuid(&["scrapering export", job.tenant.as_str(), &job.id.to_string(), key]),
        None => uuid::Uuid::now_v7(),
    });
    let location = format!("/v1/jobs/{}/exports/{id}", job.id);
    let export = state.jobs.export(&job, id, &output).await.map_err(|error| match error {
        JobsError::Invalid(errors) => {
            let errors = errors.into_iter().map(|field| BadField::at_path(&field.path, field.message));
            Problem::of_fields(Kind::InvalidBody, errors.collect())
        }
        error => Problem::from(error).see(&location),
    })?;
    if export.output != output {
        let detail = format!("this Idempotency-Key already made {location} with another output; use a new key");
        return Err(Problem::new(Kind::IdempotencyKeyReused, detail).see(&location));
    }
    let object = ExportObject::of(job.id, export);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(object)).into_response())
}

/// `GET /v1/jobs/{id}/exports`
async fn list(State(state): State<GatewayState>, JobPath(job): JobPath) -> Result<Json<ExportList>, Problem> {
    let items = state.jobs.exports(&job).await?.into_iter().map(|export| ExportObject::of(job.id, export));
    Ok(Json(ExportList { items: items.collect() }))
}

/// `GET /v1/jobs/{id}/exports/{export}`
async fn read(
    State(state): State<GatewayState>,
    ExportPath(job, id): ExportPath,
) -> Result<Json<ExportObject>, Problem> {
    Ok(Json(ExportObject::of(job.id, state.jobs.read_export(&job, id).await?)))
}
