//! The ring as a map, for those who draw it: where the virtual nodes sit, and who keeps and who should keep each partition.

use super::super::GatewayState;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The ring as a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RingMap {
    /// Every node that keeps something or should, in the order of their names.
    pub nodes: Vec<NodePoints>,
    /// Every partition, clockwise.
    pub partitions: Vec<PartitionView>,
}

/// Where a node sits on the circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePoints {
    /// Its name, or its id in hex if nobody knows its name any more.
    pub name: String,
    /// The points of its virtual nodes, 40 hex digits each.
    pub points: Vec<String>,
}

/// Who keeps a partition, as places in the list of nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionView {
    /// The number of its view; grows with every hand-over.
    pub epoch: u64,
    /// Who keeps a copy, the preferred one first.
    pub members: Vec<usize>,
    /// Who should; absent where that is who does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<Vec<usize>>,
    /// The view is being changed, as far as the node that answers knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
}

/// `GET /v1/ring/map`
pub(super) async fn map(State(state): State<GatewayState>) -> Json<RingMap> {
    Json(state.ring.map())
}
