//! A stream of many items: read by `items --follow` while a node dies, nothing of it is missing and nothing comes twice.
//!
//! `STREAM_PAGES` sets how many pages there are, each with 500 items: 2000 of them are a million items. What the reader
//! took of memory is printed.

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::Path as PathOf;
use axum::response::Html;
use axum::routing::get;
use scrapering_e2e::door::until;
use scrapering_e2e::program::Process;
use scrapering_e2e::ring::Ring;
use serde_json::Value;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

/// Sites, so that several nodes hold the items.
const SITES: usize = 4;
const ITEMS_OF_A_PAGE: usize = 500;
/// How long every hundred pages may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

fn pages() -> usize {
    let asked = std::env::var("STREAM_PAGES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(40).max(SITES)
}

/// Opens site `site`: a list of its pages, and on page n the items from n * 500 on.
async fn open(site: usize) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let list = (site..pages()).step_by(SITES).fold(String::new(), |mut list, page| {
        let _ = write!(list, "<a href=/page/{page}>{page}</a> ");
        list
    });
    let router = Router::new()
        .route("/", get(async move || Html(list)))
        .route("/page/{page}", get(async |PathOf(page): PathOf<usize>| Html(page_of(page))));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/"))
}

fn page_of(page: usize) -> String {
    (page * ITEMS_OF_A_PAGE..(page + 1) * ITEMS_OF_A_PAGE).fold(String::new(), |mut items, number| {
        let _ = write!(items, "<li><b>{number}</b> <i>a thing among many, and not like the others</i></li>");
        items
    })
}

fn job(sites: &[String]) -> String {
    let seeds: Vec<String> = sites.iter().map(|url| format!("{{url: '{url}'}}")).collect();
    format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: stream}}
spec:
  seeds: [{}]
  extract:
  - name: thing
    baseSelector: li
    fields:
    - {{name: number, selector: b, type: number, required: true}}
    - {{name: words, selector: i}}
  politeness: {{delay: 0ms, concurrentRequestsPerHost: 4, concurrentRequestsPerIP: 16}}
",
        seeds.join(", ")
    )
}

/// Highest memory of a process, KiB.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Every number from 0 to `count`, each once.
fn check(path: &Path, count: usize) -> anyhow::Result<()> {
    let mut seen = vec![false; count];
    for line in BufReader::new(std::fs::File::open(path)?).lines() {
        let item: Value = serde_json::from_str(&line?)?;
        let number = item["number"].as_f64().with_context(|| format!("no number in {item}"))? as usize;
        let place = seen.get_mut(number).with_context(|| format!("{number} is no item of the sites"))?;
        ensure!(!std::mem::replace(place, true), "item {number} came twice");
    }
    let missing = seen.iter().filter(|seen| !**seen).count();
    ensure!(
        missing == 0,
        "{missing} of {count} items are missing, the first is {:?}",
        seen.iter().position(|seen| !seen)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_items_goes_on_at_another_node_with_none_missing_and_none_twice() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let limit = LIMIT * u32::try_from(1 + pages() / 100)?;
    let mut sites = Vec::new();
    for site in 0..SITES {
        sites.push(open(site).await?);
    }
    let mut ring = Ring::start(folder, 5).await?;
    let id = ring.door().submit(&job(&sites)).await?;
    let arguments = ["items", &id, "--follow", "--output", "items.jsonl", "--data", "ring"];
    let mut reader = Process::start(folder, "items", arguments)?;
    let pid = reader.pid().context("the reader has a process")?;
    let file = folder.join("items.jsonl");
    let some = (pages() * ITEMS_OF_A_PAGE * 50) as u64;
    until("some of the items", limit, async || {
        let length = std::fs::metadata(&file).map_or(0, |found| found.len());
        Ok((length > some || !reader.is_running()?).then_some(()))
    })
    .await?;
    // The reader's own gateway dies.
    let early = peak_kib(pid);
    ring.kill(&[0]).await?;
    let mut late = early;
    until("the end of the stream", limit, async || {
        late = peak_kib(pid).or(late);
        Ok((!reader.is_running()?).then_some(()))
    })
    .await?;
    let ended = reader.ended(limit).await?;
    ensure!(ended.code() == Some(0), "{ended:?}");
    check(&file, pages() * ITEMS_OF_A_PAGE)?;
    eprintln!(
        "{} items; the reader's memory: {early:?} KiB when it had some of them, {late:?} KiB at most",
        pages() * ITEMS_OF_A_PAGE
    );
    ring.stop().await
}
