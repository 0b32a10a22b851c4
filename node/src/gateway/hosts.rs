//! Hosts: how the ring treats them, and what its operator asks for one of them.

use super::GatewayState;
use super::access::Access;
use super::body::JsonBody;
use super::openapi::{Input, Operation, Parameter};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::{Caller, Scope};
use crate::crawl::hosts::{HostLimitsObject, HostObject};
use axum::extract::{FromRequestParts, Path, State};
use axum::{Extension, Json};
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
    ]
}

/// A host has an origin for each scheme.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HostList {
    /// The origins.
    pub items: Vec<HostObject>,
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
        let is_plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', '\\']);
        let origin = |scheme: &str| {
            NormalizedUrl::parse(&format!("{scheme}://{host}/")).ok().filter(|_| is_plain).map(|url| url.origin())
        };
        match (origin("http"), origin("https")) {
            (Some(http), Some(https)) => Ok(Self(vec![http, https])),
            _ => Err(Problem::new(
                Kind::InvalidParameter,
                "the path names no host, such as www.example.com or 127.0.0.1:8080",
            )),
        }
    }
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
