//! `spec.request.proxy`: through whom a job's requests go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fetch::SecretRef;

/// Proxies for the requests of a job. The ring looks the addresses of hosts and proxies up itself, and checks both: a proxy is given an address, never a name. A HTTP proxy is asked for a tunnel (CONNECT) to every port, also for http URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxySpec {
    /// The proxies: `http://host:port` or `socks5://host:port`, with `user:password@` before the host where one is asked for. Whoever reads the job sees `[secret]` in place of user and password.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 1024), regex(pattern = r"^(http|socks5)://([^@/?#]+@)?[^@/?#]+/?$")), extend("x-kubernetes-list-type" = "atomic"))]
    pub urls: Vec<String>,
    /// A Secret of type `scrapering.io/proxies` in the job's namespace: its values are further proxies, in the order of its keys. It is read once, when the ring takes the job, and shown nowhere. Only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// perHost: a host is visited through the same proxy until that fails, then through the next. perRequest: each request goes through the next.
    #[serde(default)]
    pub rotation: RotationSpec,
}

/// When the next proxy has its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RotationSpec {
    /// After a failure.
    #[default]
    PerHost,
    /// After each request.
    PerRequest,
}
