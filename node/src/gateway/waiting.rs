//! What a job still has before it: the URLs that wait, and the patterns of those that it leaves out from now on.

use super::GatewayState;
use super::access::Access;
use super::body::JsonBody;
use super::hosts::origins;
use super::jobs::JobPath;
use super::jobs::version::IfMatch;
use super::kv::parameters;
use super::openapi::{Input, Operation, Parameter, text};
use super::page::limit_of;
use super::problem::{BadField, Kind, Problem};
use super::routes::Route;
use crate::auth::Scope;
use crate::crawl::jobs::{JobChange, JobRef, JobStatus, JobsError};
use crate::crawl::waiting::{WAITING_MAX, WaitingFilter, WaitingPage, WaitingPlace};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use http::{Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use scrapering_core::job::Patterns;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How often a change is tried against others.
const RACES: usize = 20;
/// Where the patterns stand in a job.
const FIELD: &str = "spec.scope.exclude";
/// How a change of a job can fail.
const CHANGE: [Kind; 4] = [Kind::Conflict, Kind::Unavailable, Kind::DiskFull, Kind::OutcomeUnknown];

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    let (read, write) = (Access::Needs(Scope::JobsRead), Access::Needs(Scope::JobsWrite));
    vec![
        Route::new(Method::GET, "/v1/jobs/{id}/frontier", read, frontier)
            .named("listFrontier", "Reads which URLs wait, or are being fetched now, piece by piece.")
            .answers::<WaitingPage>(StatusCode::OK, "URLs behind the cursor; there may be none and still a `next`.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/jobs/{id}/exclusions", read, list)
            .named("listExclusions", "Reads the patterns of URLs that a job leaves out.")
            .answers::<Exclusions>(StatusCode::OK, "Regular expressions, as `scope.exclude` has them.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::POST, "/v1/jobs/{id}/exclusions", write, add)
            .named("addExclusion", "Leaves out what matches a pattern from now on; what waits is skipped.")
            .answers::<Exclusions>(StatusCode::OK, "All patterns after the change.")
            .may_fail(&CHANGE),
        Route::new(Method::DELETE, "/v1/jobs/{id}/exclusions", write, remove)
            .named(
                "removeExclusion",
                "Takes a pattern back; one that is not there is no error. What was skipped for it stays skipped.",
            )
            .answers::<Exclusions>(StatusCode::OK, "All patterns after the change.")
            .may_fail(&CHANGE),
    ]
}

/// Patterns of URLs that a job leaves out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Exclusions {
    /// Regular expressions, in the order of the job.
    pub items: Vec<String>,
}

/// A pattern more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewExclusion {
    /// A regular expression that is looked for in the URL; look-around and back references do not exist.
    #[schemars(length(min = 1, max = 4096))]
    pub pattern: String,
}

/// `?host=&pattern=&limit=&cursor=`
struct FrontierQuery {
    filter: WaitingFilter,
    limit: usize,
    place: WaitingPlace,
}

impl<S: Send + Sync> FromRequestParts<S> for FrontierQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parameters(parts.uri.query().unwrap_or_default(), &["host", "pattern", "limit", "cursor"])?;
        let wrong = |detail: String| Problem::new(Kind::InvalidParameter, detail);
        let no_host = || wrong("host is none, such as www.example.com or 127.0.0.1:8080".to_owned());
        let origins = given.get("host").map(|host| origins(host).ok_or_else(no_host)).transpose()?;
        let patterns: Vec<&str> = given.get("pattern").map(AsRef::as_ref).into_iter().collect();
        let patterns = Patterns::compile(&patterns).map_err(|error| wrong(format!("pattern {error}")))?;
        let place = given.get("cursor").map(|cursor| cursor.parse()).transpose();
        Ok(Self {
            filter: WaitingFilter { origins: origins.unwrap_or_default(), patterns },
            limit: limit_of(given.get("limit").map(AsRef::as_ref), WAITING_MAX, WAITING_MAX)?,
            place: place.map_err(|_| Problem::from(JobsError::BadCursor))?.unwrap_or_default(),
        })
    }
}

impl Input for FrontierQuery {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query(
            "host",
            "Only URLs of this host, with its port unless that is the scheme's own.",
            text,
        ));
        operation.take(Parameter::query("pattern", "Only URLs in which this regular expression is found.", text));
        operation.take(Parameter::query(
            "limit",
            "Most URLs.",
            |_| json_schema!({"type": "integer", "minimum": 1, "maximum": WAITING_MAX, "default": WAITING_MAX}),
        ));
        operation.take(Parameter::query("cursor", "Where to begin: `next` of an earlier answer.", text));
        operation.may_fail(&[Kind::InvalidParameter, Kind::BadCursor]);
    }
}

/// `?pattern=`
struct OnePattern(String);

impl<S: Send + Sync> FromRequestParts<S> for OnePattern {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parameters(parts.uri.query().unwrap_or_default(), &["pattern"])?;
        let pattern = given.get("pattern").filter(|pattern| !pattern.is_empty());
        let missing = || Problem::new(Kind::InvalidParameter, "pattern must be one of the job's exclusions");
        pattern.map(|pattern| Self(pattern.clone().into_owned())).ok_or_else(missing)
    }
}

impl Input for OnePattern {
    fn describe(operation: &mut Operation) {
        let parameter = Parameter::query(
            "pattern",
            "Which, as it was written.",
            |_| json_schema!({"type": "string", "minLength": 1}),
        );
        operation.take(parameter.required());
        operation.may_fail(&[Kind::InvalidParameter]);
    }
}

/// `GET /v1/jobs/{id}/frontier`
async fn frontier(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    query: FrontierQuery,
) -> Result<Json<WaitingPage>, Problem> {
    Ok(Json(state.jobs.waiting(&job, &query.filter, &query.place, query.limit).await?))
}

/// `GET /v1/jobs/{id}/exclusions`
async fn list(State(state): State<GatewayState>, JobPath(job): JobPath) -> Result<Json<Exclusions>, Problem> {
    Ok(Json(Exclusions { items: patterns(&state.jobs.status(&job).await?) }))
}

/// `POST /v1/jobs/{id}/exclusions`
async fn add(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    IfMatch(version): IfMatch,
    JsonBody(NewExclusion { pattern }): JsonBody<NewExclusion>,
) -> Result<Json<Exclusions>, Problem> {
    let add = |all: &mut Vec<String>| {
        if !all.contains(&pattern) {
            all.push(pattern.clone());
        }
    };
    edit(&state, &job, version, add).await
}

/// `DELETE /v1/jobs/{id}/exclusions`
async fn remove(
    State(state): State<GatewayState>,
    JobPath(job): JobPath,
    IfMatch(version): IfMatch,
    OnePattern(pattern): OnePattern,
) -> Result<Json<Exclusions>, Problem> {
    edit(&state, &job, version, |all| all.retain(|known| *known != pattern)).await
}

/// The patterns of a job as it is now.
fn patterns(job: &JobStatus) -> Vec<String> {
    let file: Value = serde_json::from_str(job.file.get()).unwrap_or_default();
    let listed = file["spec"]["scope"]["exclude"].as_array().into_iter().flatten();
    listed.filter_map(|pattern| pattern.as_str().map(str::to_owned)).collect()
}

/// Changes the patterns; if `only` is given only in that version of the job, else against whoever changes it too.
async fn edit(
    state: &GatewayState,
    job: &JobRef,
    only: Option<u64>,
    change: impl Fn(&mut Vec<String>),
) -> Result<Json<Exclusions>, Problem> {
    for _ in 0..RACES {
        let status = state.jobs.status(job).await?;
        let before = patterns(&status);
        let mut items = before.clone();
        change(&mut items);
        if items == before && only.is_none_or(|only| only == status.version) {
            return Ok(Json(Exclusions { items }));
        }
        let asked = JobChange::Patch { suspend: None, spec: Some(json!({"scope": {"exclude": items}})) };
        match state.jobs.change(job, &asked, Some(only.unwrap_or(status.version))).await {
            Ok(()) => return Ok(Json(Exclusions { items })),
            Err(JobsError::Changed { .. }) if only.is_none() => {}
            Err(JobsError::Invalid(errors)) => {
                // The caller gave one pattern, not a whole job.
                let fields = errors.into_iter().map(|error| {
                    let path = if error.path.starts_with(FIELD) { "pattern" } else { &error.path };
                    BadField::at_path(path, error.message)
                });
                return Err(Problem::of_fields(Kind::InvalidBody, fields.collect()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(JobsError::Unavailable.into())
}
