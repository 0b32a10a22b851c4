//! The fixture shop as a program: `make run` visits it, and so may anyone with a crawler to try.
#![allow(clippy::print_stdout, reason = "a program tells its user where it listens")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use scrapering_e2e::shop;
use tokio::signal::unix::{SignalKind, signal};

/// A small generated shop on loopback that keeps a log of its visitors.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen; port 0 takes any free one. The address is printed.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The same seed gives the same pages, byte for byte.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many products there are.
    #[arg(long, default_value_t = 200)]
    products: u32,
    /// A file for the access log, one JSON record for each request; an old file is replaced.
    #[arg(long)]
    access_log: Option<PathBuf>,
    /// Seconds of Crawl-delay that robots.txt asks for.
    #[arg(long)]
    crawl_delay: Option<u32>,
    /// Milliseconds that each answer takes beyond its work.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
}

// One thread: the shop shares the machine with what it is there to test.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shop = shop::start(shop::Config {
        listen: options.listen,
        seed: options.seed,
        products: options.products,
        access_log: options.access_log,
        crawl_delay_s: options.crawl_delay,
        busy_once: true,
        latency: Duration::from_millis(options.latency_ms),
    })
    .await?;
    println!("listening on {}", shop.url());
    println!("{} products from seed {}; stop with Ctrl-C", options.products, options.seed);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    println!("{} requests answered", shop.log().answered());
    // Keep-alive connections of visitors would hold a graceful stop; their requests are answered already.
    Ok(())
}
