//! The part of a ring's spec that says what the nodes tell about themselves, and to whom.

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::neighbours::ServiceMonitorSpec;

/// What the nodes tell about themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingTelemetry {
    /// A collector of OpenTelemetry that is sent traces; none when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpSpec>,
    /// A ServiceMonitor `<ring>` for the Prometheus Operator, which reads the metrics of every node; none when left out. Where that API is not installed, the condition OptionalApis says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_monitor: Option<ServiceMonitorSpec>,
    /// How the nodes write their log. Text: lines for people. Json: one object a line, with the trace of the request that caused it.
    #[serde(default)]
    pub log_format: LogFormat,
}

/// A collector of OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtlpSpec {
    /// Where it takes OTLP over gRPC, such as http://collector.observability:4317; over https its certificate must be of a public authority.
    #[schemars(
        length(min = 10, max = 512),
        regex(pattern = r"^https?://([-.a-zA-Z0-9]+|\[[0-9a-fA-F:]+\])(:[1-9][0-9]{0,4})?/?$")
    )]
    pub endpoint: String,
    /// Where the network policy lets the nodes send spans to, on the endpoint's port: name the collector's pods, or its address if it is not in the cluster. An empty list is every pod of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = crate::schema::bounded)]
    pub to: Vec<NetworkPolicyPeer>,
}

impl OtlpSpec {
    /// The TCP port of the endpoint; that of its scheme if it names none.
    #[must_use]
    pub fn port(&self) -> i32 {
        let (scheme, host) = self.endpoint.split_once("://").unwrap_or(("http", &self.endpoint));
        let named = host.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        named.unwrap_or(if scheme == "https" { 443 } else { 80 })
    }
}

/// How the nodes write their log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_endpoint_or_of_its_scheme() {
        for (endpoint, port) in [
            ("http://collector.observability:4317", 4317),
            ("http://collector:4317/", 4317),
            ("http://[fd00::1]:4317", 4317),
            ("http://[fd00::1]", 80),
            ("https://collector.example", 443),
        ] {
            assert_eq!(OtlpSpec { endpoint: endpoint.to_owned(), to: Vec::new() }.port(), port, "{endpoint}");
        }
    }
}
