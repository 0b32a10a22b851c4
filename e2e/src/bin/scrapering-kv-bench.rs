//! Requests a second and their latency: the key-value store of a ring of five nodes beside three members of etcd.
//!
//! Both sync every write to the same disk before they answer, speak TLS, and are asked by as many clients with a
//! connection each, in turn, with the same keys and values in the same run. A ring of five keeps five copies where etcd
//! keeps three. Ratios hold better than absolute figures.
#![allow(clippy::print_stdout, reason = "a program prints its figures")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use rand::Rng as _;
use reqwest::{Method, StatusCode};
use scrapering_e2e::bench::{empty, median, quantile, table};
use scrapering_e2e::door::client;
use scrapering_e2e::etcd::{self, Etcd};
use scrapering_e2e::ring::Ring;

/// Nodes of the ring, and members of etcd.
const NODES: usize = 5;
const MEMBERS: usize = 3;
/// What is compared, the baseline first.
const STORES: [&str; 2] = ["etcd, 3 members", "ring of 5 nodes"];
/// Keys that are asked for.
const KEYS: u64 = 10_000;
/// Bytes of a value.
const VALUE_BYTES: usize = 1024;

/// Measures a ring's key-value store beside etcd.
#[derive(Debug, Parser)]
struct Options {
    /// The program etcd.
    #[arg(long, default_value = "etcd")]
    etcd: PathBuf,
    /// Clients with a connection each.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    clients: u32,
    /// How many times each is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// A folder on the disk that is measured; it is emptied first and removed afterwards.
    #[arg(long, default_value = ".scrapering/bench-kv")]
    data: PathBuf,
}

/// One client of one store.
#[derive(Clone, Debug)]
enum Store {
    Ring { http: reqwest::Client, gateway: String, token: String },
    Etcd(etcd::Client),
}

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Put,
    Get,
}

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Done,
    /// Another client's write of the same key came in between: whoever needs to know reads the key.
    Unknown,
}

/// What came of one measurement.
#[derive(Clone, Copy, Debug)]
struct Sample {
    store: &'static str,
    verb: Verb,
    /// Requests a second.
    rate: f64,
    p50: Duration,
    p99: Duration,
    /// Requests whose outcome was not known, of all; they are not counted in the rate.
    unknown: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    empty(&options.data)?;
    let folder = std::path::absolute(&options.data)?;
    let cluster = Etcd::start(&options.etcd, &folder, MEMBERS)
        .await
        .with_context(|| format!("{} is what the ring is compared with", options.etcd.display()))?;
    let mut ring = Ring::start(&folder, NODES).await?;
    let (mut rings, mut etcds) = (Vec::new(), Vec::new());
    for number in 0..options.clients as usize {
        let gateway = format!("https://127.0.0.1:{}", usize::from(ring.ports().gateway()) + number % NODES);
        let http = client(&ring.root().join("ca.pem"))?.build()?;
        rings.push(Store::Ring { http, gateway, token: ring.door().token().to_owned() });
        etcds.push(Store::Etcd(cluster.client(number % MEMBERS).await?));
    }
    let mut samples = Vec::new();
    for round in 1..=options.rounds {
        for verb in [Verb::Put, Verb::Get] {
            for (store, clients) in STORES.into_iter().zip([&etcds, &rings]) {
                let sample = measure(store, clients, verb, Duration::from_secs(options.seconds.into())).await?;
                println!(
                    "round {round}: {store} {verb:?} {:.0}/s, p50 {:?}, p99 {:?}",
                    sample.rate, sample.p50, sample.p99
                );
                samples.push(sample);
            }
        }
    }
    print_table(&samples);
    ring.stop().await?;
    drop(cluster);
    std::fs::remove_dir_all(&options.data)?;
    Ok(())
}

/// Lets every client ask for a while, one request after another.
async fn measure(store: &'static str, clients: &[Store], verb: Verb, span: Duration) -> anyhow::Result<Sample> {
    let (began, unknown) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let asking = clients.iter().cloned().map(|client| {
        let unknown = Arc::clone(&unknown);
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < span {
                let key = format!("bench-{}", rand::rng().random_range(0..KEYS));
                let asked = Instant::now();
                match client.ask(verb, &key).await? {
                    Answered::Done => latencies.push(asked.elapsed()),
                    Answered::Unknown => _ = unknown.fetch_add(1, Ordering::Relaxed),
                }
            }
            anyhow::Ok(latencies)
        })
    });
    let asking: Vec<_> = asking.collect();
    let mut latencies = Vec::new();
    for client in asking {
        latencies.extend(client.await??);
    }
    let rate = latencies.len() as f64 / began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let unknown = unknown.load(Ordering::Relaxed) as f64;
    let unknown = unknown / (latencies.len() as f64 + unknown).max(1.0);
    Ok(Sample { store, verb, rate, p50: quantile(&latencies, 0.5), p99: quantile(&latencies, 0.99), unknown })
}

impl Store {
    async fn ask(&self, verb: Verb, key: &str) -> anyhow::Result<Answered> {
        let value = || {
            let mut value = vec![0; VALUE_BYTES];
            rand::rng().fill(&mut value[..]);
            value
        };
        match (self, verb) {
            (Self::Etcd(client), Verb::Put) => client.put(key.as_bytes(), value()).await?,
            (Self::Etcd(client), Verb::Get) => _ = client.get(key.as_bytes()).await?,
            (Self::Ring { http, gateway, token }, verb) => {
                let request = match verb {
                    Verb::Put => http.request(Method::PUT, format!("{gateway}/v1/kv/{key}")).body(value()),
                    Verb::Get => http.request(Method::GET, format!("{gateway}/v1/kv/{key}")),
                };
                let answer = request.bearer_auth(token).send().await?;
                let status = answer.status();
                if verb == Verb::Put && status == StatusCode::GATEWAY_TIMEOUT {
                    return Ok(Answered::Unknown);
                }
                // A key that nobody has set yet is an answer, too.
                let found = status.is_success() || (verb == Verb::Get && status.as_u16() == 404);
                ensure!(found, "{verb:?} {key}: {status} {}", answer.text().await?);
                answer.bytes().await?;
            }
        }
        Ok(Answered::Done)
    }
}

fn print_table(samples: &[Sample]) {
    let mut rows = Vec::new();
    for verb in [Verb::Put, Verb::Get] {
        let of = |store: &str, figure: fn(&Sample) -> f64| {
            median(samples.iter().filter(|sample| sample.verb == verb && sample.store == store).map(figure))
        };
        let base = of(STORES[0], |sample| sample.rate);
        for store in STORES {
            rows.push(vec![
                format!("{verb:?}"),
                store.to_owned(),
                format!("{:.0}", of(store, |sample| sample.rate)),
                format!("{:.2}", of(store, |sample| sample.rate) / base),
                format!("{:.1}", of(store, |sample| sample.p50.as_secs_f64() * 1000.0)),
                format!("{:.1}", of(store, |sample| sample.p99.as_secs_f64() * 1000.0)),
                format!("{:.2}", of(store, |sample| sample.unknown * 100.0)),
            ]);
        }
    }
    println!("\n{}", table(&["medians", "store", "requests/s", "ratio", "p50 ms", "p99 ms", "unknown %"], &rows));
}
