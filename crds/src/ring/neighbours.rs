//! The parts of a ring's spec that other controllers of the cluster carry out: who issues its certificates, who leads to its
//! gateway from outside, and who reads its metrics.
//!
//! Each is optional, and so is the API behind it: a cluster without it runs the ring all the same.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who issues the nodes' certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum CertificateSource {
    /// An authority that the operator keeps for the ring.
    #[default]
    Operator,
    /// cert-manager.
    CertManager,
}

/// An issuer of cert-manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Issuer: one of the ring's namespace. ClusterIssuer: one of the whole cluster.
    #[serde(default)]
    pub kind: IssuerKind,
}

/// The kind of an issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum IssuerKind {
    /// Of the ring's namespace.
    #[default]
    Issuer,
    /// Of the whole cluster.
    ClusterIssuer,
}

impl IssuerKind {
    /// The word that a Certificate takes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "Issuer",
            Self::ClusterIssuer => "ClusterIssuer",
        }
    }
}

/// An Ingress to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngressSpec {
    /// Name of the IngressClass; without it the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// The DNS name that leads here, such as ring.example.org.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub host: String,
    /// A Secret of this namespace with the certificate of the host (`tls.crt`, `tls.key`); without it the ingress controller shows its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tls_secret_name: Option<String>,
    /// Annotations, as ingress controllers want them. The gateway speaks TLS only, so the controller has to be told, such as nginx.ingress.kubernetes.io/backend-protocol: HTTPS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub annotations: BTreeMap<String, String>,
}

/// An HTTPRoute to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRouteSpec {
    /// The Gateways of the cluster that lead here.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub parent_refs: Vec<ParentRef>,
    /// The DNS names that lead here; an empty list is every name that the Gateway listens to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 253), regex(pattern = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")),
        transform = crate::schema::set
    )]
    pub hostnames: Vec<String>,
}

/// A Gateway, or one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParentRef {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; without it the ring's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Name of its listener; without it all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// A ServiceMonitor for the nodes. It brings a token that allows `metrics:read` alone, which the operator keeps in the Secret `<ring>-metrics` and renews.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceMonitorSpec {
    /// How often every node is asked, such as 30s.
    #[serde(default = "default_interval")]
    #[schemars(length(max = 16), regex(pattern = r"^[1-9][0-9]{0,5}(ms|s|m|h)$"))]
    pub interval: String,
    /// Further labels of the ServiceMonitor, by which a Prometheus finds it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub labels: BTreeMap<String, String>,
    /// Where Prometheus is, for the network policy: it is let in to the gateway. An empty list lets nobody else in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub from: Vec<NetworkPolicyPeer>,
}

fn default_interval() -> String {
    "30s".to_owned()
}
