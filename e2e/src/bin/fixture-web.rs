//! The fixture web as a program: thousands of hosts on loopback for a crawler to try itself on.
#![allow(clippy::print_stdout, reason = "a program tells its user where it listens")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use scrapering_e2e::web;
use tokio::signal::unix::{SignalKind, signal};

/// A generated web of many hosts on loopback that keeps a log of its visitors.
#[derive(Debug, Parser)]
struct Options {
    /// A loopback address to listen on; may be given several times, the hosts are spread over all of them.
    #[arg(long, default_value = "127.0.0.1")]
    address: Vec<IpAddr>,
    /// The port on every address; 0 takes a free one.
    #[arg(long, default_value_t = 8090)]
    port: u16,
    /// The same seed gives the same web.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many hosts there are.
    #[arg(long, default_value_t = 1000)]
    hosts: u32,
    /// How many pages a host has at most beside its front page.
    #[arg(long, default_value_t = 20)]
    pages: u32,
    /// Products of a shop at the bare addresses; 0: there is no shop.
    #[arg(long, default_value_t = 0)]
    products: u32,
    /// A file for the access log, one JSON record for each request; an old file is replaced.
    #[arg(long)]
    access_log: Option<PathBuf>,
    /// Milliseconds that each answer takes beyond its work.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
}

// One thread: the web shares the machine with what it is there to test.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let web = web::start(web::Config {
        addresses: options.address,
        port: options.port,
        seed: options.seed,
        hosts: options.hosts,
        pages: options.pages,
        products: options.products,
        access_log: options.access_log,
        latency: Duration::from_millis(options.latency_ms),
    })
    .await?;
    println!("listening on {}", web.url(0));
    println!("visitors need:");
    for rule in web.resolve_rules() {
        println!("  --resolve '{rule}'");
    }
    println!("  --allow-private-cidr 127.0.0.0/8");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    println!("{} requests answered", web.log().answered());
    Ok(())
}
