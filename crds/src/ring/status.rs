//! What the operator last saw of a ring: the status of a `ScrapeRing`.
//!
//! Nothing in it is read back to decide anything: each step is derived anew from the live objects and from what the
//! nodes themselves say. It holds no clock beside those of the conditions, so the same sight is the same status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// What the operator last saw of a ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::without_null)]
pub struct ScrapeRingStatus {
    /// The `metadata.generation` this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in a word or two, for people: Pending, Forming, Healthy, ScalingOut main-3, ScalingIn main-4, Updating main-2, Replacing main-1, Expanding, Degraded or Paused. Programs read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub phase: Option<String>,
    /// Pods that exist.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Pods that serve requests.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub ready_replicas: i32,
    /// Pods of the newest revision.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub updated_replicas: i32,
    /// Nodes that take part in the ring.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub joined_replicas: i32,
    /// Label selector of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// Image of the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub image: Option<String>,
    /// The ring as its nodes describe it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<RingState>,
    /// Every node, one entry a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), transform = crate::schema::keyed_by_name)]
    pub members: Vec<MemberStatus>,
    /// The one operation that is under way, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The ring's certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsStatus>,
    /// Where the ring is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// The ring's conditions, one of each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), transform = crate::schema::keyed_by_type)]
    pub conditions: Vec<Condition>,
}

/// The ring as its nodes describe it; the worst figure that any of them gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RingState {
    /// Id of the ring, 32 hex digits.
    #[schemars(length(max = 64))]
    pub id: String,
    /// Nodes that are of the ring, alive or not.
    #[schemars(range(min = 0))]
    pub size: i32,
    /// Whether every node takes part and nothing moves.
    pub stable: bool,
    /// Nodes that may be lost at the same instant without losing anything acknowledged.
    #[schemars(range(min = 0))]
    pub tolerates: i32,
    /// Partitions with fewer living copies than a ring of this size keeps.
    #[schemars(range(min = 0))]
    pub under_replicated: i32,
    /// Partitions without a living majority.
    #[schemars(range(min = 0))]
    pub unavailable: i32,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// Name of its pod.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The pod's `metadata.uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub pod_uid: Option<String>,
    /// Id of the node in the ring, 40 hex digits; another one after its disk was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub node_id: Option<String>,
    /// Generation of its storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub generation: Option<i64>,
    /// Starting, Joining, Active, Leaving, Left, Lost or Unknown.
    #[schemars(length(max = 16))]
    pub state: String,
    /// The zone it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub zone: Option<String>,
    /// Partitions of which it keeps a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub copies: Option<i32>,
}

/// The operation that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Form, Replace, ScaleOut, Expand, Update or ScaleIn.
    #[serde(rename = "type")]
    #[schemars(length(max = 16))]
    pub type_: String,
    /// The pod it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub target: Option<String>,
    /// What is done, or waited for, in one CamelCase word.
    #[schemars(length(max = 64))]
    pub step: String,
    /// The same in a sentence, with what the operator relies on.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// The certificates that the operator issued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsStatus {
    /// When the authority's certificate ends, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub ca_not_after: String,
    /// When the nodes' certificate ends, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub leaf_not_after: String,
    /// How often the authority was another one; 1 is the first.
    #[schemars(range(min = 1))]
    pub ca_generation: i64,
}

/// Addresses within the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The gateway, `https://...`.
    #[schemars(length(max = 512))]
    pub gateway: String,
    /// The headless Service of the nodes.
    #[schemars(length(max = 512))]
    pub peers: String,
}
