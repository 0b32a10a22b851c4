//! The parts of a ring's spec that say who reaches it, and whom it reaches.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::neighbours::{CertificateSource, HttpRouteSpec, IngressSpec, IssuerRef};
use super::rules;
use crate::units::Span;

/// The ports that nodes may open on the web unless told otherwise.
pub const WEB_PORTS: [i32; 2] = [80, 443];

/// What the nodes may visit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingScraping {
    /// Networks that may be visited although they are not globally routable, such as "10.20.0.0/16"; both the nodes and the network policy let them through. Whoever may submit a job can then reach everything there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 49)),
        transform = rules::of_cidrs,
        transform = crate::schema::set
    )]
    pub allowed_private_cidrs: Vec<String>,
}

/// The door for clients: REST over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingGateway {
    /// The Service `<ring>-gateway`.
    #[serde(default)]
    pub service: GatewayService,
    /// An Ingress `<ring>` that leads to the gateway; none when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressSpec>,
    /// An HTTPRoute `<ring>` of the Gateway API that leads to the gateway, with the BackendTLSPolicy that says whom to trust; none when left out. Where that API is not installed, the condition OptionalApis says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRouteSpec>,
    /// An OpenID Connect issuer whose tokens are accepted besides the ring's own. A token's tenant is its claim `tenant`, or the namespace of a Kubernetes service account; the jobs of this namespace belong to the tenant of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcSpec>,
    /// Requests a second that each caller may send to each node; 5000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: Option<i32>,
}

/// An issuer of tokens, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcSpec {
    /// The issuer as it stands in `iss`; its keys are found below it, at `.well-known/openid-configuration`, and fetched again when they change.
    #[schemars(length(min = 9, max = 512), regex(pattern = r"^https://[^@?#\s]+$"))]
    pub issuer: String,
    /// What `aud` of its tokens must name.
    #[schemars(length(min = 1, max = 253))]
    pub audience: String,
    /// What every token of the issuer may do, besides what its own `scope` or `scp` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 32), regex(pattern = r"^(jobs:(read|write)|results:read|kv:(read|write)|hosts:write|metrics:read|ring:admin)$")),
        transform = crate::schema::set
    )]
    pub scopes: Vec<String>,
    /// A ConfigMap of this namespace with the authorities of the issuer's server, such as `kube-root-ca.crt` for the cluster's own issuer; without it the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<ConfigMapKeyRef>,
    /// Networks where the issuer's server is, where it is not on the public internet; the nodes, and not their jobs, may reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 49)),
        transform = rules::of_cidrs,
        transform = crate::schema::set
    )]
    pub cidrs: Vec<String>,
}

/// A key of a ConfigMap of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key that holds certificates in PEM form.
    #[serde(default = "default_ca_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// The Service of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayService {
    /// ClusterIP: within the cluster. NodePort: also on every machine. LoadBalancer: also through a load balancer of the cloud.
    #[serde(rename = "type", default)]
    pub type_: ServiceType,
    /// Annotations of the Service, as load balancers want them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub annotations: BTreeMap<String, String>,
}

/// How a Service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ServiceType {
    /// Within the cluster.
    #[default]
    ClusterIP,
    /// On every machine.
    NodePort,
    /// Through a load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// The word that a Service's spec takes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Certificates and network policies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingSecurity {
    /// The nodes' certificates.
    #[serde(default)]
    pub tls: RingTls,
    /// The network policies of the ring.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,
}

/// The nodes' certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_tls)]
pub struct RingTls {
    /// Who issues them. Operator: an authority that the operator keeps for this ring. CertManager: cert-manager, from the issuer that `issuerRef` names. May be changed: the nodes trust both until every one shows a certificate of the new source, and none is restarted.
    #[serde(default)]
    pub source: CertificateSource,
    /// The issuer of cert-manager; with the source CertManager and only there. It must tell of its authority (`ca.crt`), as those of the types ca, selfSigned with a ca behind it, and vault do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// How long a certificate of the nodes is valid; it is renewed at two thirds of that, without a restart. 1m to 8760h; at least 1h with the source CertManager.
    #[serde(default = "default_leaf_duration")]
    pub leaf_duration: Span,
}

/// Who may speak with the nodes, and where they may go; for clusters whose network enforces policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkPolicySpec {
    /// Turn it off only where other policies do the same.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Who may reach the gateway; an empty list lets in every pod of the ring's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub gateway_from: Vec<NetworkPolicyPeer>,
    /// Networks of the public internet that the nodes must not reach either, such as those of your own company.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 49)),
        transform = rules::of_cidrs,
        transform = crate::schema::set
    )]
    pub denied_cidrs: Vec<String>,
    /// TCP ports of the web.
    #[serde(default = "default_web_ports")]
    #[schemars(
        length(min = 1, max = 64),
        inner(range(min = 1, max = 65_535)),
        transform = crate::schema::set
    )]
    pub web_ports: Vec<i32>,
}

impl Default for RingTls {
    fn default() -> Self {
        Self { source: CertificateSource::default(), issuer_ref: None, leaf_duration: default_leaf_duration() }
    }
}

impl Default for NetworkPolicySpec {
    fn default() -> Self {
        Self { enabled: true, gateway_from: Vec::new(), denied_cidrs: Vec::new(), web_ports: default_web_ports() }
    }
}

fn default_leaf_duration() -> Span {
    Span(Duration::from_secs(90 * 24 * 3600))
}

fn default_ca_key() -> String {
    "ca.crt".to_owned()
}

fn default_enabled() -> bool {
    true
}

fn default_web_ports() -> Vec<i32> {
    WEB_PORTS.to_vec()
}
