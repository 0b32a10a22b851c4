//! URLs that a ring takes into its frontier in a second, and what they cost each node in memory and on disk.
//!
//! A web of hubs, one page each, shows a thousand links a page to the pages of a few hundred hosts. These ask for an
//! hour between two requests, so that what is found stays in the frontier. A ring of five nodes keeps five copies of
//! each URL; a ring of one with a fifth of the URLs, the share of one node, is measured beside it in the same run.
#![allow(clippy::print_stdout, reason = "a program prints its figures")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use clap::Parser;
use scrapering_e2e::bench::{empty, table};
use scrapering_e2e::cpu::CpuTime;
use scrapering_e2e::door::until;
use scrapering_e2e::memory::Memory;
use scrapering_e2e::ring::Ring;

/// Links on the page of a hub.
const LINKS: u64 = 1_000;
/// Nodes of the large ring.
const NODES: usize = 5;
/// Longest that one ring may take.
const LIMIT: Duration = Duration::from_secs(4 * 3_600);
const MIB: f64 = 1024.0 * 1024.0;

/// Measures how many URLs a second a ring takes into its frontier, and what they cost.
#[derive(Debug, Parser)]
struct Options {
    /// URLs that the ring of five finds.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    urls: u64,
    /// Hosts that the URLs are spread over.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    hosts: u64,
    /// A folder on the disk that is measured; it is emptied first and removed afterwards.
    #[arg(long, default_value = ".scrapering/bench-frontier")]
    data: PathBuf,
}

/// A web of hubs.
#[derive(Clone, Copy, Debug)]
struct Hubs {
    hubs: u64,
    hosts: u64,
    port: u16,
}

/// What came of one ring.
#[derive(Debug)]
struct Figures {
    name: String,
    urls: u64,
    seconds: f64,
    cpu: f64,
    /// Of the node that held most.
    resident: u64,
    peak: u64,
    /// Of all nodes together.
    disk: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let shares = [(1, options.urls / NODES as u64), (NODES, options.urls)];
    let mut figures = Vec::new();
    for (nodes, urls) in shares {
        empty(&options.data)?;
        figures.push(measure(&options, nodes, urls).await?);
    }
    print_table(&figures);
    std::fs::remove_dir_all(&options.data)?;
    Ok(())
}

async fn measure(options: &Options, nodes: usize, urls: u64) -> anyhow::Result<Figures> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let hubs = Hubs { hubs: urls.div_ceil(LINKS), hosts: options.hosts, port: listener.local_addr()?.port() };
    let server = tokio::spawn(axum::serve(listener, Router::new().fallback(answer).with_state(hubs)).into_future());
    let resolve = ["--resolve".to_owned(), "*.hubs.test=127.0.0.1".to_owned()];
    let folder = std::path::absolute(&options.data)?;
    let mut ring = Ring::init(&folder, nodes).await?.with_options(resolve.to_vec());
    ring.start_all().await?;
    let began = Instant::now();
    let id = ring.door().submit(&hubs.job()).await?;
    let mut shown = 0;
    let found = until("all URLs", LIMIT, async || {
        let discovered = ring.door().job(&id).await?["status"]["pages"]["discovered"].as_u64().unwrap_or(0);
        if discovered / (urls / 5) > shown {
            shown = discovered / (urls / 5);
            let memory = most(&ring)?;
            let rate = discovered as f64 / began.elapsed().as_secs_f64();
            println!("{nodes} nodes: {discovered} URLs, {rate:.0} a second, {:.0} MiB", memory.resident as f64 / MIB);
        }
        Ok((discovered >= urls).then_some(discovered))
    })
    .await?;
    let seconds = began.elapsed().as_secs_f64();
    let memory = most(&ring)?;
    let mut cpu = 0.0;
    for pid in ring.pids() {
        cpu += CpuTime::of_process(pid)?.total().as_secs_f64();
    }
    let figures = Figures {
        name: format!("ring of {nodes}"),
        urls: found,
        seconds,
        cpu,
        resident: memory.resident,
        peak: memory.peak,
        disk: size_of(&ring.root())?,
    };
    ring.stop().await?;
    server.abort();
    Ok(figures)
}

/// What the node holds that holds most.
fn most(ring: &Ring) -> anyhow::Result<Memory> {
    let mut most = Memory::default();
    for pid in ring.pids() {
        let memory = Memory::of_process(pid)?;
        most = Memory { resident: most.resident.max(memory.resident), peak: most.peak.max(memory.peak) };
    }
    Ok(most)
}

fn size_of(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        // A file that was compacted away meanwhile has no size any more.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

fn print_table(figures: &[Figures]) {
    let rate = |figures: &Figures| figures.urls as f64 / figures.cpu;
    let Some(base) = figures.first().map(rate) else { return };
    let row = |figures: &Figures| {
        vec![
            figures.name.clone(),
            figures.urls.to_string(),
            format!("{:.0}", figures.urls as f64 / figures.seconds),
            format!("{:.0}", rate(figures)),
            format!("{:.2}", rate(figures) / base),
            format!("{:.0}", figures.resident as f64 / MIB),
            format!("{:.0}", figures.peak as f64 / MIB),
            format!("{:.0}", figures.disk as f64 / MIB),
        ]
    };
    let header = ["", "URLs", "URLs/s", "URLs/CPU-s", "ratio", "MiB a node", "at most", "MiB on disks"];
    println!("\n{}", table(&header, &figures.iter().map(row).collect::<Vec<_>>()));
}

impl Hubs {
    fn hub(self, number: u64) -> String {
        format!("http://hub-{number}.hubs.test:{}/", self.port)
    }

    /// A thousand links, and the way to two more hubs.
    fn page(self, number: u64) -> String {
        let further = [2 * number + 1, 2 * number + 2].into_iter().filter(|next| *next < self.hubs);
        let further = further.map(|next| format!("<a href=\"{}\">hub</a>", self.hub(next)));
        let links = (0..LINKS).map(|link| {
            let host = (number * LINKS + link) % self.hosts;
            format!("<a href=\"http://site-{host}.hubs.test:{}/articles/{number}/{link}.html\">page</a>", self.port)
        });
        format!("<!doctype html><title>hub</title>\n{}", further.chain(links).collect::<Vec<_>>().join("\n"))
    }

    fn job(self) -> String {
        format!(
            "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {{name: hubs}}\nspec:\n  \
             seeds: [{{url: \"{}\"}}]\n  scope: {{scopeType: any, maxDepth: 32}}\n  politeness: {{robots: {{obey: false}}, delay: 1h}}\n",
            self.hub(0)
        )
    }
}

async fn answer(State(hubs): State<Hubs>, headers: HeaderMap, uri: Uri) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let number = host.strip_prefix("hub-").and_then(|rest| rest.split_once('.')?.0.parse().ok());
    match (uri.path(), number) {
        ("/robots.txt", _) => StatusCode::NOT_FOUND.into_response(),
        (_, Some(number)) => Html(hubs.page(number)).into_response(),
        (_, None) => Html("<!doctype html><title>a page</title>").into_response(),
    }
}
