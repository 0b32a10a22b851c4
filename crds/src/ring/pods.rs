//! The parts of a ring's spec that are about its pods and their disks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::units::Span;
use std::time::Duration;

/// When the kubelet asks the registry for an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ImagePullPolicy {
    /// At every start of a container.
    Always,
    /// When the machine does not have it.
    #[default]
    IfNotPresent,
    /// Not at all.
    Never,
}

impl ImagePullPolicy {
    /// The word that a pod's spec takes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A Secret with credentials of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePullSecret {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// The disk of each node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_storage)]
pub struct RingStorage {
    /// Size of each node's volume, a Kubernetes quantity such as "10Gi". It can only grow.
    #[serde(default = "default_size")]
    #[schemars(length(max = 20), regex(pattern = r"^[1-9][0-9]{0,15}(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"))]
    pub size: String,
    /// Storage class of the volumes; without it the cluster's default class. Cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// What becomes of the volumes, and of the key that alone can read them, when the ring is deleted. Retain: both stay, and a ring of the same name finds its data again. Delete: both go.
    #[serde(default)]
    pub when_deleted: WhenDeleted,
}

/// What becomes of volumes when their ring is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum WhenDeleted {
    /// They stay.
    #[default]
    Retain,
    /// They go.
    Delete,
}

/// How nodes are replaced by newer ones: one at a time, each only while the ring is healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingUpdate {
    /// How long a replaced node must have been ready before the next one is touched, seconds.
    #[serde(default = "default_min_stable_seconds")]
    #[schemars(range(min = 0, max = 3600))]
    pub min_stable_seconds: i32,
}

/// How the ring shrinks: one node at a time, each only after it has handed over everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_scale_in)]
pub struct ScaleInSpec {
    /// HandOver: a node leaves the ring, and its pod and volume go once all others are complete without it. Forbid: a smaller `replicas` is reported and not followed.
    #[serde(default)]
    pub policy: ScaleInPolicy,
    /// A node that takes longer than this to leave is reported as Degraded; it is waited for all the same. 1m to 168h.
    #[serde(default = "default_scale_in_timeout")]
    pub timeout: Span,
}

/// Whether a ring may shrink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ScaleInPolicy {
    /// Node by node, after each has handed over.
    #[default]
    HandOver,
    /// Not at all.
    Forbid,
}

impl Default for RingStorage {
    fn default() -> Self {
        Self { size: default_size(), storage_class_name: None, when_deleted: WhenDeleted::default() }
    }
}

impl Default for RingUpdate {
    fn default() -> Self {
        Self { min_stable_seconds: default_min_stable_seconds() }
    }
}

impl Default for ScaleInSpec {
    fn default() -> Self {
        Self { policy: ScaleInPolicy::default(), timeout: default_scale_in_timeout() }
    }
}

fn default_size() -> String {
    "10Gi".to_owned()
}

fn default_min_stable_seconds() -> i32 {
    10
}

fn default_scale_in_timeout() -> Span {
    Span(Duration::from_secs(3600))
}
