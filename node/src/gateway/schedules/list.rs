//! The list of a tenant's schedules, piece by piece.

use super::object::{ScheduleList, ScheduleObject};
use crate::auth::Caller;
use crate::crawl::jobs::JobsError;
use crate::crawl::schedules::ScheduleState;
use crate::gateway::GatewayState;
use crate::gateway::kv::parameters;
use crate::gateway::openapi::{Input, Operation, Parameter, text};
use crate::gateway::page::{limit_of, piece};
use crate::gateway::problem::{Kind, Problem};
use axum::extract::{FromRequestParts, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use jiff::Timestamp;
use schemars::json_schema;

/// Most schedules in one answer, and how many there are unless asked otherwise.
const LARGEST: usize = 1000;

/// `?limit=&cursor=`
pub(super) struct ListQuery {
    limit: usize,
    /// The last name of the piece before.
    after: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.query().unwrap_or_default())
    }
}

impl Input for ListQuery {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query(
            "limit",
            "Most schedules.",
            |_| json_schema!({"type": "integer", "minimum": 1, "maximum": LARGEST, "default": LARGEST}),
        ));
        operation.take(Parameter::query("cursor", "Where to begin: `next` of an earlier answer.", text));
        operation.may_fail(&[Kind::InvalidParameter, Kind::BadCursor]);
    }
}

impl ListQuery {
    fn of(query: &str) -> Result<Self, Problem> {
        let given = parameters(query, &["limit", "cursor"])?;
        let limit = limit_of(given.get("limit").map(AsRef::as_ref), LARGEST, LARGEST)?;
        let cursor = given.get("cursor").filter(|cursor| !cursor.is_empty());
        let after = cursor.map(|cursor| name(cursor).ok_or(JobsError::BadCursor)).transpose()?;
        Ok(Self { limit, after })
    }
}

fn name(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

/// `GET /v1/schedules`
pub(super) async fn list(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    query: ListQuery,
) -> Result<Json<ScheduleList>, Problem> {
    let all = state.schedules.list(&caller.tenant).await?.into_iter();
    let name = |state: &ScheduleState| state.loaded.file.metadata.name.clone();
    let behind = |state: &ScheduleState| query.after.as_ref().is_none_or(|after| name(state) > *after);
    let cursor = |last: &ScheduleState| URL_SAFE_NO_PAD.encode(name(last));
    let (found, next) = piece(all.filter(behind), query.limit, cursor);
    let now = Timestamp::now();
    let items = found.into_iter().map(|state| ScheduleObject::of(state, now)).collect();
    Ok(Json(ScheduleList::new(items, next)))
}
