//! Compiles the protobuf files with a compiler in pure Rust: no `protoc` on the machine.

use prost::Message;

/// What programs speak to a gateway.
const GATEWAY: &str = "scrapering/gateway/v1/gateway.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=scrapering");
    let told = std::path::Path::new(&std::env::var("OUT_DIR")?).join("gateway.bin");
    std::fs::write(told, protox::compile([GATEWAY], ["."])?.encode_to_vec())?;
    let files = protox::compile(
        [
            "scrapering/v1/store.proto",
            "scrapering/v1/copies.proto",
            "scrapering/v1/kv.proto",
            "scrapering/v1/ring.proto",
            "scrapering/v1/membership.proto",
            "scrapering/v1/frontier.proto",
            "scrapering/v1/formation.proto",
            "scrapering/v1/control.proto",
            GATEWAY,
        ],
        ["."],
    )?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
