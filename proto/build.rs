//! Compiles the protobuf files with a compiler in pure Rust: no `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=scrapering");
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
            "scrapering/gateway/v1/gateway.proto",
        ],
        ["."],
    )?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
