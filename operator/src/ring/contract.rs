//! What the operator and the program in its pods agree on: variables, ports, paths and the keys of the ring's Secret.
//!
//! The operator does not know the node's code, so this file is the seam: it states what `scrapering node` reads.

/// Port of the nodes' own protocol, mutual TLS.
pub const RING_PORT: i32 = 7443;
/// Port of the gateway: REST, health and metrics over TLS.
pub const GATEWAY_PORT: i32 = 8443;

/// Path on the gateway that answers while the process is alive, whatever the ring's state.
pub const LIVE_PATH: &str = "/healthz";
/// Path on the gateway that answers with success once the node serves requests.
pub const READY_PATH: &str = "/readyz";

/// Where the node's volume is mounted.
pub const DATA_DIR: &str = "/var/lib/scrapering";
/// Where the ring's Secret is mounted, a file per key.
pub const KEYS_DIR: &str = "/etc/scrapering/keys";

/// Keys of the Secret `<ring>-keys`, with the variable that tells the node the path of each.
pub const SECRET_FILES: [(&str, &str); 5] = [
    ("ring.key", "RING_KEY_FILE"),
    ("ca.crt", "TLS_CA_FILE"),
    ("tls.crt", "TLS_CERT_FILE"),
    ("tls.key", "TLS_KEY_FILE"),
    ("jwt.pub", "JWT_KEY_FILE"),
];

/// Name of the Secret that holds a ring's keys.
pub fn secret_name(ring: &str) -> String {
    format!("{ring}-keys")
}
