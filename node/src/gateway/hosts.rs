//! Hosts: how the ring treats them, what it asked of them, and what its operator asks for one of them.

use super::GatewayState;
use super::access::Access;
use super::body::JsonBody;
use super::kv::parameters;
use super::openapi::{Input, Operation, Parameter, schema_of, text};
use super::page::{limit_of, piece};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::{Caller, Scope};
use crate::crawl::hosts::{HostLimitsObject, HostObject, HostState, LIST_MAX, RobotsObject};
use crate::crawl::jobs::JobsError;
use crate::crawl::ledger::{LEDGER_PAGE_MAX, LedgerPage, LedgerPlace};
use axum::extract::{FromRequestParts, Path, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use scrapering_core::job::NormalizedUrl;
use serde::{Deserialize, Serialize};

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/hosts/{host}", Access::Needs(Scope::JobsRead), read)
            .named("readHost", "Reads how the ring treats a host.")
            .answers::<HostList>(StatusCode::OK, "Its origins.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::PATCH, "/v1/hosts/{host}", Access::Needs(Scope::HostsWrite), limit)
            .named("limitHost", "Asks for more gentleness at a host than any job does, or closes it.")
            .answers::<HostList>(StatusCode::OK, "Its origins after the change.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/hosts", Access::Needs(Scope::JobsRead), list)
            .named("listHosts", "Lists the hosts that the ring has to do with, by state, piece by piece.")
            .answers::<HostPage>(StatusCode::OK, "Origins in their order.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/hosts/{host}/ledger", Access::Needs(Scope::HostsWrite), ledger)
            .named("readLedger", "Lists every request that was made to a host, for all tenants, piece by piece.")
            .answers::<LedgerPage>(StatusCode::OK, "Requests, the oldest first. A host's record of a page reaches back until its job is deleted, that of robots.txt at least a day.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::GET, "/v1/hosts/{host}/robots", Access::Needs(Scope::JobsRead), robots)
            .named("readRobots", "Reads what the ring has stored of a host's robots.txt.")
            .answers::<RobotsList>(StatusCode::OK, "Its origins.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::DELETE, "/v1/hosts/{host}/breaker", Access::Needs(Scope::HostsWrite), reset_breaker)
            .named("resetBreaker", "Tries a host again at once that was left alone because it failed.")
            .answers::<HostList>(StatusCode::OK, "Its origins after the change.")
            .may_fail(&[Kind::Unavailable]),
    ]
}

/// A host has an origin for each scheme.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HostList {
    /// The origins.
    pub items: Vec<HostObject>,
}

/// Some of the hosts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct HostPage {
    /// The origins.
    pub items: Vec<HostObject>,
    /// Cursor of what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The robots.txt of each origin of a host.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct RobotsList {
    /// The origins.
    pub items: Vec<RobotsObject>,
}

/// What the operator asks for from now on.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostChange {
    /// What jobs can only be gentler than. Nothing of it asks for nothing.
    #[serde(default)]
    pub limits: HostLimitsObject,
    /// Ends pauses that the ring had decided by itself.
    #[serde(default)]
    pub forgive: bool,
}

/// The origins of the host in the path: both schemes, at their own ports or at the one that is named.
struct HostPath(Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for HostPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let host = Path::<String>::from_request_parts(parts, state).await.map(|Path(host)| host).unwrap_or_default();
        let none = "the path names no host, such as www.example.com or 127.0.0.1:8080";
        origins(&host).map(Self).ok_or_else(|| Problem::new(Kind::InvalidParameter, none))
    }
}

/// The origins of a host, which may have a port: one for each scheme.
pub(super) fn origins(host: &str) -> Option<Vec<String>> {
    let is_plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', '\\']);
    let origin = |scheme: &str| {
        NormalizedUrl::parse(&format!("{scheme}://{host}/")).ok().filter(|_| is_plain).map(|url| url.origin())
    };
    Some(vec![origin("http")?, origin("https")?])
}

impl Input for HostPath {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::path(
            "host",
            "A host, with its port unless that is the scheme's own.",
            |_| json_schema!({"type": "string", "minLength": 1, "maxLength": 300}),
        ));
        operation.may_fail(&[Kind::InvalidParameter]);
    }
}

/// `?limit=&cursor=`
struct LedgerQuery {
    limit: usize,
    after: Option<LedgerPlace>,
}

impl<S: Send + Sync> FromRequestParts<S> for LedgerQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parameters(parts.uri.query().unwrap_or_default(), &["limit", "cursor"])?;
        let after = given.get("cursor").map(|cursor| cursor.parse()).transpose();
        let after = after.map_err(|_| Problem::from(JobsError::BadCursor))?;
        Ok(Self { limit: limit_of(given.get("limit").map(AsRef::as_ref), LEDGER_PAGE_MAX, LEDGER_PAGE_MAX)?, after })
    }
}

impl Input for LedgerQuery {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query(
            "limit",
            "Most requests.",
            |_| json_schema!({"type": "integer", "minimum": 1, "maximum": LEDGER_PAGE_MAX, "default": LEDGER_PAGE_MAX}),
        ));
        operation.take(Parameter::query("cursor", "Where to begin: `next` of an earlier answer.", text));
        operation.may_fail(&[Kind::InvalidParameter, Kind::BadCursor]);
    }
}

/// `?state=&limit=&cursor=`
struct HostQuery {
    state: Option<HostState>,
    limit: usize,
    after: String,
}

impl<S: Send + Sync> FromRequestParts<S> for HostQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parameters(parts.uri.query().unwrap_or_default(), &["state", "limit", "cursor"])?;
        let unknown =
            || Problem::new(Kind::InvalidParameter, "state is none of idle, open, paused, broken, closed, optedOut");
        let state = given.get("state").map(|word| HostState::of(word).ok_or_else(unknown)).transpose()?;
        let after = match given.get("cursor") {
            None => String::new(),
            Some(cursor) => {
                let bytes = URL_SAFE_NO_PAD.decode(cursor.as_bytes()).ok();
                bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(JobsError::BadCursor)?
            }
        };
        Ok(Self { state, limit: limit_of(given.get("limit").map(AsRef::as_ref), LIST_MAX, LIST_MAX)?, after })
    }
}

impl Input for HostQuery {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query("state", "Only hosts in this state.", schema_of::<HostState>));
        operation.take(Parameter::query(
            "limit",
            "Most origins.",
            |_| json_schema!({"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": LIST_MAX}),
        ));
        operation.take(Parameter::query("cursor", "Where to begin: `next` of an earlier answer.", text));
        operation.may_fail(&[Kind::InvalidParameter, Kind::BadCursor]);
    }
}

/// `GET /v1/hosts`
async fn list(State(state): State<GatewayState>, query: HostQuery) -> Result<Json<HostPage>, Problem> {
    let found = state.hosts.list(query.state, &query.after, query.limit + 1).await?;
    let (items, next) = piece(found.into_iter(), query.limit, |last| URL_SAFE_NO_PAD.encode(&last.origin));
    Ok(Json(HostPage { items, next }))
}

/// `GET /v1/hosts/{host}/ledger`
async fn ledger(
    State(state): State<GatewayState>,
    HostPath(origins): HostPath,
    query: LedgerQuery,
) -> Result<Json<LedgerPage>, Problem> {
    Ok(Json(state.hosts.ledger(&origins, query.after, query.limit).await?))
}

/// `GET /v1/hosts/{host}/robots`
async fn robots(State(state): State<GatewayState>, HostPath(origins): HostPath) -> Result<Json<RobotsList>, Problem> {
    let mut items = Vec::new();
    for origin in origins {
        items.push(state.hosts.robots(&origin).await?);
    }
    Ok(Json(RobotsList { items }))
}

/// `DELETE /v1/hosts/{host}/breaker`
async fn reset_breaker(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    HostPath(origins): HostPath,
) -> Result<Json<HostList>, Problem> {
    let mut items = Vec::new();
    for origin in origins {
        items.push(state.hosts.reset_breaker(&origin).await?);
        tracing::info!(origin, subject = caller.subject, "the operator has a host tried again");
    }
    Ok(Json(HostList { items }))
}

/// `GET /v1/hosts/{host}`
async fn read(State(state): State<GatewayState>, HostPath(origins): HostPath) -> Result<Json<HostList>, Problem> {
    let mut items = Vec::new();
    for origin in origins {
        items.push(state.hosts.read(&origin).await?);
    }
    Ok(Json(HostList { items }))
}

/// `PATCH /v1/hosts/{host}`
async fn limit(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    HostPath(origins): HostPath,
    JsonBody(change): JsonBody<HostChange>,
) -> Result<Json<HostList>, Problem> {
    let mut items = Vec::new();
    for origin in origins {
        items.push(state.hosts.limit(&origin, change.limits, change.forgive).await?);
        tracing::info!(origin, subject = caller.subject, "the operator changed what is asked for at a host");
    }
    Ok(Json(HostList { items }))
}
