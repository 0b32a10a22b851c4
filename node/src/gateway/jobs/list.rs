//! The list of a tenant's jobs: by phase and label, piece by piece.

use crate::auth::Caller;
use crate::crawl::jobs::{JobStatus, JobsError, Phase};
use crate::gateway::GatewayState;
use crate::gateway::kv::parameters;
use crate::gateway::object::JobList;
use crate::gateway::openapi::{Input, Operation, Parameter, schema_of, text};
use crate::gateway::page::{limit_of, piece};
use crate::gateway::problem::{Kind, Problem};
use axum::extract::{FromRequestParts, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use schemars::json_schema;

/// Most jobs in one answer, and how many there are unless asked otherwise.
const LARGEST: usize = 1000;

/// `?phase=&label=&limit=&cursor=`
#[derive(Debug)]
pub(super) struct ListQuery {
    phase: Option<Phase>,
    label: Option<(String, Option<String>)>,
    limit: usize,
    after: Option<Place>,
}

/// When a job was submitted, and its id: the order of the list.
type Place = (String, [u8; 16]);

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.query().unwrap_or_default())
    }
}

impl Input for ListQuery {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query("phase", "Only jobs in this phase.", schema_of::<Phase>));
        operation.take(Parameter::query("label", "Only jobs with this label, or with this value of it.", |_| {
            json_schema!({"type": "string", "minLength": 1, "pattern": "^[^=]+(=.*)?$", "examples": ["team", "team=a"]})
        }));
        operation.take(Parameter::query(
            "limit",
            "Most jobs.",
            |_| json_schema!({"type": "integer", "minimum": 1, "maximum": LARGEST, "default": LARGEST}),
        ));
        operation.take(Parameter::query("cursor", "Where to begin: `next` of an earlier answer.", text));
        operation.may_fail(&[Kind::InvalidParameter, Kind::BadCursor]);
    }
}

impl ListQuery {
    fn of(query: &str) -> Result<Self, Problem> {
        let wrong = |detail: String| Problem::new(Kind::InvalidParameter, detail);
        let given = parameters(query, &["phase", "label", "limit", "cursor"])?;
        let phase = given.get("phase").map(|phase| serde_json::from_value::<Phase>((&**phase).into())).transpose();
        let phase = phase.map_err(|_| {
            wrong("phase must be Pending, Running, Pausing, Paused, Completed, Failed or Deleting".to_owned())
        })?;
        let label = given.get("label").map(|label| match label.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (label.clone().into_owned(), None),
        });
        if label.as_ref().is_some_and(|(name, _)| name.is_empty()) {
            return Err(wrong("label must be NAME or NAME=VALUE".to_owned()));
        }
        let limit = limit_of(given.get("limit").map(AsRef::as_ref), LARGEST, LARGEST)?;
        let cursor = given.get("cursor").filter(|cursor| !cursor.is_empty());
        let after = cursor.map(|cursor| place(cursor).ok_or(JobsError::BadCursor)).transpose()?;
        Ok(Self { phase, label, limit, after })
    }

    fn selects(&self, job: &JobStatus) -> bool {
        let labelled = || {
            let Some((name, wanted)) = &self.label else { return true };
            let file: Option<serde_json::Value> = serde_json::from_str(job.file.get()).ok();
            let value = file.as_ref().and_then(|file| file["metadata"]["labels"].get(name)?.as_str());
            value.is_some_and(|value| wanted.as_deref().is_none_or(|wanted| wanted == value))
        };
        let behind = self
            .after
            .as_ref()
            .is_none_or(|(moment, id)| (job.submitted_at.as_str(), job.id.0) > (moment.as_str(), *id));
        behind && self.phase.is_none_or(|phase| phase == job.phase) && labelled()
    }
}

fn place(cursor: &str) -> Option<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (id, moment) = bytes.split_first_chunk::<16>()?;
    Some((String::from_utf8(moment.to_vec()).ok().filter(|moment| !moment.is_empty())?, *id))
}

fn cursor(job: &JobStatus) -> String {
    URL_SAFE_NO_PAD.encode([&job.id.0, job.submitted_at.as_bytes()].concat())
}

/// `GET /v1/jobs`
pub(super) async fn list(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    query: ListQuery,
) -> Result<Json<JobList>, Problem> {
    let jobs = state.jobs.list(&caller.tenant).await?;
    let (jobs, next) = piece(jobs.into_iter().filter(|job| query.selects(job)), query.limit, cursor);
    let list: JobList = jobs.into_iter().collect();
    Ok(Json(JobList { next, ..list }))
}
