//! The ring for its administrator: which nodes there are, who is alive, and who owns a key.

use super::GatewayState;
use super::problem::{Kind, Problem};
use super::service::Answer;
use axum::Json;
use axum::extract::State;
use http::Uri;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// Longest key that is looked up, bytes.
const LONGEST_KEY_BYTES: usize = 2083;

/// What the gateway needs to know of the ring.
pub trait RingView: Send + Sync + 'static {
    /// Whether jobs can be submitted through this node now.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn ready(&self) -> Result<(), String>;
    /// What this node believes of the ring; costs no message.
    fn status(&self) -> RingStatus;
    /// Finds the owners of a key by asking along the ring.
    fn lookup<'a>(&'a self, key: &'a str) -> Answer<'a, Lookup>;
}

/// What a node believes of its ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingStatus {
    /// Which ring.
    pub ring_id: String,
    /// The node that answers.
    pub node: String,
    /// All nodes, by name.
    pub nodes: Vec<NodeStatus>,
    /// How many nodes may still be lost at the same instant without losing anything acknowledged.
    pub tolerates: usize,
}

/// One node, as another believes it to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its stable DNS name.
    pub name: String,
    /// Its node id, in hex.
    pub id: String,
    /// Whether it lives.
    pub liveness: Liveness,
    /// Where its gateway listens, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// Whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It has not answered lately.
    Suspect,
    /// It is given up.
    Dead,
}

/// Where a key lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
