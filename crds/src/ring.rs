//! `ScrapeRing`: a ring of equal nodes, as its owner asks for it and as the operator finds it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// What the owner of a ring asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "scrapering.io",
        version = "v1alpha1",
        kind = "ScrapeRing",
        plural = "scraperings",
        shortname = "sring",
        category = "scraping",
        namespaced,
        doc = "A ring of equal nodes that crawls politely and keeps what it finds.",
        status = "ScrapeRingStatus",
        derive = "PartialEq",
        scale(
            spec_replicas_path = ".spec.replicas",
            status_replicas_path = ".status.replicas",
            label_selector_path = ".status.selector"
        ),
        printcolumn(
            name = "Phase",
            type_ = "string",
            json_path = ".status.phase",
            description = "State of the ring in one word"
        ),
        printcolumn(
            name = "Desired",
            type_ = "integer",
            json_path = ".spec.replicas",
            description = "Nodes asked for"
        ),
        printcolumn(
            name = "Ready",
            type_ = "integer",
            json_path = ".status.readyReplicas",
            description = "Nodes that serve requests"
        ),
        printcolumn(
            name = "Image",
            type_ = "string",
            json_path = ".spec.image",
            description = "Image of the nodes",
            priority = 1
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScrapeRingSpec {
    /// Number of nodes. Five or more keep every acknowledged write when two die at once; three survive one.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 1024))]
    pub replicas: i32,
    /// Image of the nodes; without it the operator takes the one that it was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// The disk that each node keeps its share on.
    #[serde(default)]
    pub storage: RingStorage,
}

/// The disk of each node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingStorage {
    /// Size of each node's volume, a Kubernetes quantity such as "10Gi".
    #[serde(default = "default_size")]
    #[schemars(length(max = 20), regex(pattern = r"^[1-9][0-9]{0,15}(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"))]
    pub size: String,
    /// Storage class of the volumes; without it the cluster's default class. Cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

impl Default for RingStorage {
    fn default() -> Self {
        Self { size: default_size(), storage_class_name: None }
    }
}

impl Default for ScrapeRingSpec {
    fn default() -> Self {
        Self { replicas: default_replicas(), image: None, storage: RingStorage::default() }
    }
}

fn default_replicas() -> i32 {
    3
}

fn default_size() -> String {
    "10Gi".to_owned()
}

/// What the operator last saw of a ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScrapeRingStatus {
    /// The `metadata.generation` this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in one word, for people: Pending, Progressing, Ready, Degraded or Terminating. Programs read the conditions.
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
    /// Label selector of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// The ring's conditions, one of each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}
