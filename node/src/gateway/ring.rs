//! The ring for its administrator: which nodes there are, who is alive, and who owns a key.

mod map;

use super::GatewayState;
use super::access::Access;
use super::body::JsonBody;
use super::openapi::{Input, Operation, Parameter, text};
use super::problem::{Kind, Problem};
use super::routes::Route;
use super::service::Answer;
use crate::auth::{Caller, Scope};
use axum::extract::{FromRequestParts, Path, State};
use axum::{Extension, Json};
use futures::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use url::form_urlencoded;

use map::map;
pub use map::{NodePoints, PartitionView, RingMap};

/// Longest key that is looked up, bytes.
const LONGEST_KEY_BYTES: usize = 2083;

const ADMIN: Access = Access::Needs(Scope::RingAdmin);

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/ring", ADMIN, status)
            .named("readRing", "Shows the ring as this node sees it. Costs no message.")
            .answers::<RingStatus>(StatusCode::OK, "The ring."),
        Route::new(Method::GET, "/v1/ring/map", ADMIN, map)
            .named("readRingMap", "Shows where the virtual nodes sit and who keeps each partition. Costs no message.")
            .answers::<RingMap>(StatusCode::OK, "The map, as this node knows it."),
        Route::new(Method::GET, "/v1/ring/lookup", ADMIN, lookup)
            .named("lookupKey", "Finds who keeps a key, by asking along the ring.")
            .takes(
                Parameter::query("key", "A key; for the pages of a host, a URL of it.", |_| {
                    json_schema!({"type": "string", "minLength": 1, "maxLength": LONGEST_KEY_BYTES})
                })
                .required(),
            )
            .answers::<Lookup>(StatusCode::OK, "Where the key lives.")
            .may_fail(&[Kind::InvalidParameter, Kind::Unavailable]),
        Route::new(Method::POST, "/v1/ring/recover", ADMIN, recover)
            .named(
                "recoverRing",
                "Goes on without nodes that are lost for ever, where no majority lives. What only they held is given up.",
            )
            .answers::<Recovery>(StatusCode::OK, "Every partition was tried.")
            .may_fail(&[Kind::NotRecovered]),
        Route::new(Method::DELETE, "/v1/nodes/{name}", ADMIN, leave)
            .named("removeNode", "Makes a node leave the ring. It hands over what it keeps first.")
            .answers_nothing(StatusCode::ACCEPTED, "The node has durably begun to leave.")
            .may_fail(&[Kind::NodeStays, Kind::Unavailable]),
    ]
}

/// The node named in the path.
pub(super) struct NodePath(String);

impl<S: Send + Sync> FromRequestParts<S> for NodePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name))
            .map_err(|_| Problem::new(Kind::NodeNotFound, "the path names no node: it is not UTF-8"))
    }
}

impl Input for NodePath {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::path("name", "The node's name.", text));
        operation.may_fail(&[Kind::NodeNotFound]);
    }
}

/// What the gateway needs to know of the ring.
pub trait RingView: Send + Sync + 'static {
    /// Whether jobs can be submitted through this node now.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn ready(&self) -> Result<(), String>;
    /// What this node believes of the ring; costs no message.
    fn status(&self) -> RingStatus;
    /// Where the nodes sit and who keeps what; costs no message.
    fn map(&self) -> RingMap;
    /// Finds the owners of a key by asking along the ring.
    fn lookup<'a>(&'a self, key: &'a str) -> Answer<'a, Lookup>;
    /// Makes a node leave: it hands over what it keeps first. Returns when that has durably begun.
    fn leave<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), LeaveError>>;
    /// Goes on without these nodes where no majority lives; the error is a sentence and nothing has changed.
    fn recover<'a>(&'a self, names: &'a BTreeSet<String>) -> BoxFuture<'a, Result<Recovery, String>>;
}

/// Asks to go on without nodes that are lost for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GiveUp {
    /// Exactly the nodes that are lost, by name: what is only on them is given up.
    pub give_up: BTreeSet<String>,
}

/// What came of going on without lost nodes, in partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Served again, with what the living members held.
    pub recovered: usize,
    /// Served again, but empty: no member was left.
    pub emptied: usize,
    /// Still not served; ask again.
    pub unfinished: usize,
}

/// Why a node is not made to leave. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaveError {
    /// No such node.
    #[error("{0}")]
    NoSuchNode(String),
    /// It cannot leave.
    #[error("{0}")]
    Refused(String),
    /// It does not answer.
    #[error("{0}")]
    Unreachable(String),
}

impl From<LeaveError> for Problem {
    fn from(error: LeaveError) -> Self {
        let detail = error.to_string();
        match error {
            LeaveError::NoSuchNode(_) => Self::new(Kind::NodeNotFound, detail),
            LeaveError::Refused(_) => Self::new(Kind::NodeStays, detail),
            LeaveError::Unreachable(_) => Self::new(Kind::Unavailable, detail).with(RETRY_AFTER, "5"),
        }
    }
}

/// What a node believes of its ring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RingStatus {
    /// Which ring.
    pub ring_id: String,
    /// The node that answers.
    pub node: String,
    /// Which of its lives that node is in, and whether it takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnStatus>,
    /// All nodes, by name.
    pub nodes: Vec<NodeStatus>,
    /// Nodes that are known to have left for good: whoever says so has heard it, and a name may have come back since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<NodeIdentity>,
    /// How many nodes may still be lost at the same instant without losing anything acknowledged.
    pub tolerates: usize,
    /// Who keeps what.
    pub views: ViewCounts,
    /// What the node that answers does without being asked.
    pub background: Vec<BackgroundStatus>,
}

/// A node in one of its lives: an empty disk is another node under the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeIdentity {
    /// Its stable DNS name.
    pub name: String,
    /// Its node id, in hex.
    pub id: String,
    /// The generation of its storage.
    pub generation: u64,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnStatus {
    /// Which node it is.
    #[serde(flatten)]
    pub identity: NodeIdentity,
    /// Whether it takes part.
    pub serving: Serving,
    /// Whether it has left for good: it keeps nothing that the ring counts on.
    pub left: bool,
}

/// The views of all partitions in numbers, as a node knows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewCounts {
    /// Partitions.
    pub count: usize,
    /// Partitions that other nodes should keep than do.
    pub moving: usize,
    /// Partitions whose copy at this node is sealed: its view is being changed.
    pub sealed: usize,
    /// Partitions with fewer living copies than a ring of this size keeps.
    pub under_replicated: usize,
    /// Partitions without a living majority: what is in them cannot be read or changed as on one machine.
    pub unavailable: usize,
}

/// A background task of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundStatus {
    /// Whose it is.
    pub node: String,
    /// What it does.
    pub name: String,
    /// `working`, `waiting`, `failing` or `ended`.
    pub state: String,
    /// Units of work done since the node started.
    pub done: u64,
    /// Units known to be left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// What it is at; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Its last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

/// One node, as another believes it to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its stable DNS name.
    pub name: String,
    /// Its node id, in hex.
    pub id: String,
    /// The generation of its storage.
    pub generation: u64,
    /// Host and port where the other nodes reach it.
    pub address: String,
    /// Its zone; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Its share of the work, in thirty-two virtual nodes.
    pub weight: u16,
    /// Whether it lives.
    pub liveness: Liveness,
    /// Whether it takes part.
    pub serving: Serving,
    /// Share of the keys of which it is the first owner, 0 to 1.
    pub share: f64,
    /// Partitions of which it keeps a copy.
    pub copies: usize,
    /// Where its gateway listens, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// Whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It has not answered lately.
    Suspect,
    /// It is given up.
    Dead,
}

/// Whether a node takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Serving {
    /// It takes over what it shall keep.
    Joining,
    /// It does.
    Serving,
    /// It hands over what it keeps.
    Leaving,
}

/// Where a key lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lookup {
    /// The key.
    pub key: String,
    /// Its point on the circle, 40 hex digits.
    pub point: String,
    /// Its partition.
    pub partition: u32,
    /// Names of the nodes that hold it, the first one first.
    pub owners: Vec<String>,
    /// Names of the nodes that were asked on the way.
    pub path: Vec<String>,
}

/// `GET /v1/ring`
pub(super) async fn status(State(state): State<GatewayState>) -> Json<RingStatus> {
    Json(state.ring.status())
}

/// `GET /v1/ring/lookup?key=`
pub(super) async fn lookup(State(state): State<GatewayState>, uri: Uri) -> Result<Json<Lookup>, Problem> {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let key = match (pairs.next(), pairs.next()) {
        (Some((name, key)), None) if name == "key" && !key.is_empty() && key.len() <= LONGEST_KEY_BYTES => key,
        _ => {
            let detail = format!(
                "write ?key=KEY, once, with 1 to {LONGEST_KEY_BYTES} bytes; the key of a host's pages is the host"
            );
            return Err(Problem::new(Kind::InvalidParameter, detail));
        }
    };
    Ok(Json(state.ring.lookup(&key).await?))
}

/// `POST /v1/ring/recover`: answered when every partition was tried.
pub(super) async fn recover(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    JsonBody(asked): JsonBody<GiveUp>,
) -> Result<Json<Recovery>, Problem> {
    tracing::warn!(nodes = ?asked.give_up, subject = caller.subject, "the ring was asked to go on without nodes");
    let recovery = state.ring.recover(&asked.give_up).await;
    recovery.map(Json).map_err(|why| Problem::new(Kind::NotRecovered, why))
}

/// `DELETE /v1/nodes/{name}`: accepted when the node has durably begun to leave.
pub(super) async fn leave(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    NodePath(name): NodePath,
) -> Result<StatusCode, Problem> {
    state.ring.leave(&name).await?;
    tracing::info!(node = name, subject = caller.subject, "a node was asked to leave the ring");
    Ok(StatusCode::ACCEPTED)
}
