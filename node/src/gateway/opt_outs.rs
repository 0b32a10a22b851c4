//! Opt-outs: hosts whose owners do not want to be visited, by any job of anybody; and what became of one URL.

use super::GatewayState;
use super::access::Access;
use super::body::JsonBody;
use super::kv::parameters;
use super::openapi::{Input, Operation, Parameter, text};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::{Caller, Scope};
use crate::crawl::opt_outs::OptOutObject;
use crate::crawl::urls::UrlStatus;
use axum::extract::{FromRequestParts, Path, State};
use axum::{Extension, Json};
use http::request::Parts;
use http::{Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use scrapering_core::job::NormalizedUrl;
use serde::{Deserialize, Serialize};

/// Longest note, bytes.
const NOTE_BYTES_MAX: usize = 300;

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/optouts", Access::Needs(Scope::JobsRead), list)
            .named("listOptOuts", "Lists the hosts that no job visits, because their owners do not want it.")
            .answers::<OptOutList>(StatusCode::OK, "All of them.")
            .may_fail(&[Kind::Unavailable]),
        Route::new(Method::POST, "/v1/optouts", Access::Needs(Scope::HostsWrite), create)
            .named("createOptOut", "Keeps every job of every tenant away from a host, within seconds.")
            .answers::<OptOutObject>(StatusCode::OK, "What holds from now on.")
            .may_fail(&[Kind::InvalidParameter, Kind::Conflict, Kind::Unavailable, Kind::OutcomeUnknown]),
        Route::new(Method::DELETE, "/v1/optouts/{host}", Access::Needs(Scope::HostsWrite), remove)
            .named("deleteOptOut", "Lets jobs visit a host again; one that is not in the list is no error.")
            .answers_nothing(StatusCode::NO_CONTENT, "It is not in the list any more.")
            .may_fail(&[Kind::Unavailable, Kind::OutcomeUnknown]),
        Route::new(Method::GET, "/v1/urls", Access::Needs(Scope::JobsRead), urls)
            .named("readUrl", "Tells what became of a URL in each of the caller's jobs.")
            .answers::<UrlList>(StatusCode::OK, "One entry for each job that knows it.")
            .may_fail(&[Kind::Unavailable]),
    ]
}

/// The list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct OptOutList {
    /// In the order of their hosts.
    pub items: Vec<OptOutObject>,
}

/// A host that is not to be visited.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OptOutRequest {
    /// The host, without scheme, port and path.
    pub host: String,
    /// Whether it holds for all hosts below that name too.
    #[serde(default = "yes")]
    pub subdomains: bool,
    /// Who asked for it, and where that can be read.
    #[serde(default)]
    #[schemars(length(max = 300))]
    pub note: String,
}

fn yes() -> bool {
    true
}

/// Where a URL stands.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct UrlList {
    /// One for each job that knows it, the oldest job first.
    pub items: Vec<UrlStatus>,
}

/// A host's name in the path.
struct NamePath(String);

impl<S: Send + Sync> FromRequestParts<S> for NamePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let host = Path::<String>::from_request_parts(parts, state).await.map(|Path(host)| host).unwrap_or_default();
        name(&host).map(Self)
    }
}

impl Input for NamePath {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::path(
            "host",
            "A host without its port.",
            |_| json_schema!({"type": "string", "minLength": 1, "maxLength": 253}),
        ));
        operation.may_fail(&[Kind::InvalidParameter]);
    }
}

/// The name of a host as URLs have it: lower case, internationalised names in their ASCII form.
fn name(host: &str) -> Result<String, Problem> {
    let is_plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', '\\', ':', '*']);
    let parsed = NormalizedUrl::parse(&format!("http://{host}/")).ok().filter(|_| is_plain);
    let name = parsed.and_then(|url| url.as_url().host_str().map(str::to_owned));
    name.ok_or_else(|| {
        Problem::new(
            Kind::InvalidParameter,
            "the host is no name such as www.example.com, without scheme, port and path",
        )
    })
}

/// `?url=`
struct UrlQuery(NormalizedUrl);

impl<S: Send + Sync> FromRequestParts<S> for UrlQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parameters(parts.uri.query().unwrap_or_default(), &["url"])?;
        let wrong = |detail: String| Problem::new(Kind::InvalidParameter, detail);
        let url = given.get("url").ok_or_else(|| wrong("the parameter url is missing".to_owned()))?;
        NormalizedUrl::parse(url).map(Self).map_err(|error| wrong(format!("url {error}")))
    }
}

impl Input for UrlQuery {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query("url", "The URL, however it is written.", text).required());
        operation.may_fail(&[Kind::InvalidParameter]);
    }
}

/// `GET /v1/optouts`
async fn list(State(state): State<GatewayState>) -> Result<Json<OptOutList>, Problem> {
    Ok(Json(OptOutList { items: state.hosts.opt_outs().await? }))
}

/// `POST /v1/optouts`
async fn create(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    JsonBody(asked): JsonBody<OptOutRequest>,
) -> Result<Json<OptOutObject>, Problem> {
    let OptOutRequest { host, subdomains, note } = asked;
    if note.len() > NOTE_BYTES_MAX || note.chars().any(char::is_control) {
        let detail = format!("note must have at most {NOTE_BYTES_MAX} bytes and no line breaks");
        return Err(Problem::new(Kind::InvalidParameter, detail));
    }
    let made = state.hosts.opt_out(&name(&host)?, subdomains, &note).await?;
    tracing::info!(host = made.host, subject = caller.subject, "a host is visited by no job from now on");
    Ok(Json(made))
}

/// `DELETE /v1/optouts/{host}`
async fn remove(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    NamePath(host): NamePath,
) -> Result<StatusCode, Problem> {
    state.hosts.opt_in(&host).await?;
    tracing::info!(host, subject = caller.subject, "a host may be visited again");
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/urls`
async fn urls(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    UrlQuery(url): UrlQuery,
) -> Result<Json<UrlList>, Problem> {
    Ok(Json(UrlList { items: state.jobs.url_statuses(&caller.tenant, &url).await? }))
}
