//! What a job still has before it: read from any node, piece by piece, and left out on request.

use anyhow::{Context, ensure};
use reqwest::{Method, StatusCode};
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::errand::{Errand, Reader};
use scrapering_e2e::program;
use scrapering_e2e::ring::Ring;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const DELAY: Duration = Duration::from_millis(20);
/// How long something may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Every URL that waits, in pieces of `limit`.
async fn waiting(door: &Door, path: &str, limit: usize, more: &str) -> anyhow::Result<BTreeSet<String>> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let piece = door.ask(Method::GET, &format!("{path}/frontier?limit={limit}{more}{cursor}"), None).await?;
        ensure!(piece.status == StatusCode::OK, "{piece:?}");
        let piece = piece.json()?;
        for url in piece["items"].as_array().context("no list")? {
            let url = url["url"].as_str().context("no URL")?.to_owned();
            ensure!(found.insert(url.clone()), "{url} came twice");
        }
        let Some(next) = piece["next"].as_str() else { return Ok(found) };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_the_same_at_every_node_and_what_is_excluded_is_skipped() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let errand = Errand::begin(folder.path(), 60, DELAY).await?;
    let id = ring.door().submit(&errand.job("")).await?;
    let path = format!("/v1/jobs/{id}");
    Reader::new(&id).read_until(ring.door(), 5, LIMIT).await?;
    ring.door().ask(Method::POST, &format!("{path}/pause"), None).await?;
    let job = until("the job to be at rest", LIMIT, async || {
        let job = ring.door().job(&id).await?;
        Ok((job["status"]["phase"] == "Paused").then_some(job))
    })
    .await?;
    let all = waiting(ring.door(), &path, 1000, "").await?;
    ensure!(job["status"]["pages"]["queued"] == all.len(), "{} wait, and the job says {job}", all.len());
    ensure!(all.len() > 3, "{all:?}");
    for node in 0..3 {
        let pieces = waiting(&ring.door().only(node), &path, 3, "").await?;
        ensure!(pieces == all, "ring-{node} in pieces: {pieces:?}, and at once: {all:?}");
    }
    let host = errand.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    ensure!(waiting(ring.door(), &path, 1000, &format!("&host={host}")).await? == all);
    ensure!(waiting(ring.door(), &path, 1000, "&host=other.example").await?.is_empty());
    let products: BTreeSet<String> = all.iter().filter(|url| url.contains("/product/")).cloned().collect();
    ensure!(waiting(ring.door(), &path, 1000, "&pattern=/product/").await? == products && !products.is_empty());

    // The same words on the command line, which excludes what is left of the products.
    let line = ["job", "frontier", &id, "--pattern", "/product/", "--data", "ring"];
    let told = program::done(folder.path(), LIMIT, &line).await?;
    ensure!(told.lines().count() == products.len(), "{told}");
    let line = ["job", "exclusions", &id, "--add", "/product/", "--data", "ring"];
    ensure!(program::done(folder.path(), LIMIT, &line).await? == "/product/\n");
    ring.door().ask(Method::POST, &format!("{path}/resume"), None).await?;
    ring.door().completed(&id, LIMIT).await?;
    ensure!(waiting(ring.door(), &path, 1000, "").await?.is_empty(), "something waits in a job that has ended");
    // The nodes hear of an exclusion within a moment; until then one that waits may still be fetched.
    let urls = |entries: Vec<Value>| -> BTreeSet<String> {
        entries.iter().filter_map(|entry| entry["url"].as_str().map(str::to_owned)).collect()
    };
    let (skipped, fetched) =
        (urls(ring.door().list(&id, "skipped").await?), urls(ring.door().list(&id, "pages").await?));
    ensure!(products.iter().any(|url| skipped.contains(url)), "none of {products:?} was left out");
    let lost = products.iter().find(|url| !skipped.contains(*url) && !fetched.contains(*url));
    ensure!(lost.is_none(), "{lost:?} was neither fetched nor left out");
    errand.check_visit(0)?;
    ring.stop().await
}
