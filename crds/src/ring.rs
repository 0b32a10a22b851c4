//! `ScrapeRing`: a ring of equal nodes, as its owner asks for it and as the operator finds it.
//!
//! Only the operator reads it, so it stands wholly behind the feature `kube` and borrows the types of a pod.

mod access;
mod neighbours;
mod pods;
mod rules;
mod status;
mod telemetry;

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration, TopologySpreadConstraint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use access::{
    ConfigMapKeyRef, GatewayService, NetworkPolicySpec, OidcSpec, RingGateway, RingScraping, RingSecurity, RingTls,
    ServiceType, WEB_PORTS,
};
pub use neighbours::{
    CertificateSource, HttpRouteSpec, IngressSpec, IssuerKind, IssuerRef, ParentRef, ServiceMonitorSpec,
};
pub use pods::{ImagePullPolicy, ImagePullSecret, RingStorage, RingUpdate, ScaleInPolicy, ScaleInSpec, WhenDeleted};
pub use status::{Endpoints, MemberStatus, Operation, RingState, ScrapeRingStatus, TlsStatus};
pub use telemetry::{LogFormat, OtlpSpec, RingTelemetry};

/// What the owner of a ring asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, kube::CustomResource)]
#[kube(
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
    validation = kube::core::Rule::new(rules::NAME.rule).message(rules::NAME.message),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether every node serves requests"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.phase",
        description = "What the ring is at"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".spec.replicas",
        description = "Nodes asked for"
    ),
    printcolumn(
        name = "Joined",
        type_ = "integer",
        json_path = ".status.joinedReplicas",
        description = "Nodes that take part in the ring"
    ),
    printcolumn(
        name = "Under-Replicated",
        type_ = "integer",
        json_path = ".status.ring.underReplicated",
        description = "Partitions with too few living copies"
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".status.image",
        description = "Image of the nodes",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "Why the ring is ready, or not",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_spec)]
pub struct ScrapeRingSpec {
    /// Number of nodes. Five or more keep every acknowledged write when two die at once, three survive one; one and two survive none and are for trying out. A ring never shrinks below three.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 1024))]
    pub replicas: i32,
    /// Image of the nodes; without it the operator takes the one that it was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// When the kubelet asks the registry for the image: Always, IfNotPresent or Never.
    #[serde(default)]
    pub image_pull_policy: ImagePullPolicy,
    /// Secrets of the ring's namespace that hold credentials of the image's registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), transform = crate::schema::keyed_by_name)]
    pub image_pull_secrets: Vec<ImagePullSecret>,
    /// The disk that each node keeps its share on.
    #[serde(default)]
    pub storage: RingStorage,
    /// What the nodes may visit.
    #[serde(default)]
    pub scraping: RingScraping,
    /// The door for clients.
    #[serde(default)]
    pub gateway: RingGateway,
    /// Certificates and network policies.
    #[serde(default)]
    pub security: RingSecurity,
    /// What the nodes tell about themselves, and to whom.
    #[serde(default)]
    pub telemetry: RingTelemetry,
    /// How nodes are replaced by newer ones.
    #[serde(default)]
    pub update: RingUpdate,
    /// How the ring shrinks.
    #[serde(default)]
    pub scale_in: ScaleInSpec,
    /// CPU and memory of each node; without requests the operator asks for 100m and 256Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = crate::schema::bounded)]
    pub resources: Option<ResourceRequirements>,
    /// Labels that a machine must have to take a node of the ring.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of machines that the nodes put up with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub tolerations: Vec<Toleration>,
    /// Which machines and which neighbours the nodes prefer or need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = crate::schema::bounded)]
    pub affinity: Option<Affinity>,
    /// How the nodes are spread; without it evenly over machines, and over zones where it can be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Name of the PriorityClass of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Further labels of the pods; those that begin with `app.kubernetes.io/` are the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = rules::of_pod_labels)]
    pub pod_labels: BTreeMap<String, String>,
    /// Further annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub pod_annotations: BTreeMap<String, String>,
    /// Longest time that a node has to flush and to say goodbye before it is killed, seconds.
    #[serde(default = "default_grace_period_seconds")]
    #[schemars(range(min = 30, max = 86_400))]
    pub termination_grace_period_seconds: i64,
    /// Leaves everything as it is until it is set to false; the nodes run on.
    #[serde(default)]
    pub paused: bool,
}

impl Default for ScrapeRingSpec {
    fn default() -> Self {
        Self {
            replicas: default_replicas(),
            image: None,
            image_pull_policy: ImagePullPolicy::default(),
            image_pull_secrets: Vec::new(),
            storage: RingStorage::default(),
            scraping: RingScraping::default(),
            gateway: RingGateway::default(),
            security: RingSecurity::default(),
            telemetry: RingTelemetry::default(),
            update: RingUpdate::default(),
            scale_in: ScaleInSpec::default(),
            resources: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            affinity: None,
            topology_spread_constraints: Vec::new(),
            priority_class_name: None,
            pod_labels: BTreeMap::new(),
            pod_annotations: BTreeMap::new(),
            termination_grace_period_seconds: default_grace_period_seconds(),
            paused: false,
        }
    }
}

fn default_replicas() -> i32 {
    3
}

fn default_grace_period_seconds() -> i64 {
    60
}
