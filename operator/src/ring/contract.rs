//! What the operator and the program in its pods agree on: variables, ports, paths, names and the keys of Secrets.
//!
//! The operator does not know the node's code, so this file is the seam: it states what `scrapering node` reads.

use super::{certificates, keys};

/// Port of the nodes' own protocol, mutual TLS.
pub const RING_PORT: i32 = 7443;
/// Port of the gateway: REST, health and metrics over TLS.
pub const GATEWAY_PORT: i32 = 8443;

/// Path on the gateway that answers while the process is alive, whatever the ring's state.
pub const LIVE_PATH: &str = "/healthz";
/// Path on the gateway that answers with success once the node serves requests.
pub const READY_PATH: &str = "/readyz";

/// The program of a node.
pub const PROGRAM: &str = "scrapering";
/// Socket on which a node is asked to make way before it is stopped; only whoever runs in its container can reach it.
pub const LOCAL_SOCKET: &str = "/tmp/node.sock";

/// Where the node's volume is mounted.
pub const DATA_DIR: &str = "/var/lib/scrapering";
/// Where the ring's Secrets are mounted, a file per key.
pub const KEYS_DIR: &str = "/etc/scrapering/keys";

/// Keys of the Secret `<ring>-keys` that a pod sees, with the variable that tells the node the path of each.
pub const KEY_FILES: [(&str, &str); 2] = [(keys::RING_KEY, "RING_KEY_FILE"), (keys::TOKEN_PUBLIC_KEY, "JWT_KEY_FILE")];
/// The same of the Secret `<ring>-tls`.
pub const TLS_FILES: [(&str, &str); 3] = [
    (certificates::CA, "TLS_CA_FILE"),
    (certificates::LEAF, "TLS_CERT_FILE"),
    (certificates::LEAF_KEY, "TLS_KEY_FILE"),
];

/// The file below [`KEYS_DIR`] with the authorities of an OpenID Connect issuer's server.
pub const OIDC_CA: &str = "oidc-ca.crt";

/// Key of the ring's ConfigMap that says whether the ring was formed; read when a container starts.
pub const FORMED: &str = "formed";

/// Key of the Secret [`metrics_name`] that holds the token.
pub const METRICS_TOKEN: &str = "token";

/// Annotation of a ring that gives up the disk of the pod with this `metadata.uid`.
pub const REPLACE_NODE: &str = "scrapering.io/replace-node";

/// Annotation of a ring whose nodes are all started anew, one after the other, whenever its value changes; the value is free.
pub const RESTART_AT: &str = "scrapering.io/restart-at";

/// Name of the Secret that holds a ring's keys.
pub fn keys_name(ring: &str) -> String {
    format!("{ring}-keys")
}

/// Name of the Secret that holds the ring's authority; no pod sees it.
pub fn ca_name(ring: &str) -> String {
    format!("{ring}-ca")
}

/// Name of the Secret that holds the nodes' certificate.
pub fn tls_name(ring: &str) -> String {
    format!("{ring}-tls")
}

/// Name of the Secret that cert-manager writes the nodes' certificate into.
pub fn issued_name(ring: &str) -> String {
    format!("{ring}-issued")
}

/// Name of the Secret that holds a token for the nodes' metrics.
pub fn metrics_name(ring: &str) -> String {
    format!("{ring}-metrics")
}

/// Name of the Service that clients talk to.
pub fn gateway_name(ring: &str) -> String {
    format!("{ring}-gateway")
}

/// Name of that Service in DNS, which every node's certificate holds.
pub fn gateway_host(ring: &str, namespace: &str) -> String {
    format!("{}.{namespace}.svc", gateway_name(ring))
}

/// Name of a pod.
pub fn pod_name(ring: &str, ordinal: u32) -> String {
    format!("{ring}-{ordinal}")
}

/// Name of the claim of a pod's volume.
pub fn claim_name(ring: &str, ordinal: u32) -> String {
    format!("data-{ring}-{ordinal}")
}

/// The ordinal at the end of a pod's or a claim's name.
pub fn ordinal(name: &str) -> Option<u32> {
    name.rsplit_once('-').and_then(|(_, number)| number.parse().ok())
}

/// The DNS name of a node, which is also its name in the ring and in the certificate.
pub fn node_name(ring: &str, namespace: &str, ordinal: u32) -> String {
    format!("{}.{ring}-peers.{namespace}.svc", pod_name(ring, ordinal))
}

/// Every DNS name that the certificate of a ring's nodes must hold.
pub fn certificate_names(ring: &str, namespace: &str, nodes: u32) -> Vec<String> {
    let gateway = gateway_name(ring);
    let services = [
        "localhost".to_owned(),
        gateway.clone(),
        format!("{gateway}.{namespace}"),
        format!("{gateway}.{namespace}.svc"),
        format!("{gateway}.{namespace}.svc.cluster.local"),
    ];
    (0..nodes).map(|ordinal| node_name(ring, namespace, ordinal)).chain(services).collect()
}
