//! What a user does with a job: reads it anywhere, limits it, deletes it, stops it with Ctrl-C and goes on.

use anyhow::{Context, ensure};
use reqwest::{Method, StatusCode};
use scrapering_e2e::door::until;
use scrapering_e2e::errand::{Errand, Reader};
use scrapering_e2e::ports::Ports;
use scrapering_e2e::program::{self, Process};
use scrapering_e2e::ring::Ring;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const DELAY: Duration = Duration::from_millis(20);
/// How long a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

fn lines(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_read_from_any_node_and_a_cursor_goes_on_at_another() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let errand = Errand::begin(folder.path(), 60, DELAY).await?;
    let id = ring.door().submit(&errand.job("")).await?;
    let (mut reader, mut turn, mut readers) = (Reader::new(&id), 0, BTreeSet::new());
    until("the end of the job", LIMIT, async || {
        let before = reader.items.len();
        let complete = reader.read(&ring.door().only(turn % 3), 7).await?;
        if reader.items.len() > before {
            readers.insert(turn % 3);
        }
        turn += 1;
        Ok(complete.then_some(()))
    })
    .await?;
    errand.check_items(&reader.items)?;
    ensure!(readers.len() == 3, "only the nodes {readers:?} had something to give");
    for node in 0..3 {
        let all = ring.door().only(node).list(&id, "items").await?;
        errand.check_items(&all).with_context(|| format!("read from ring-{node} alone"))?;
    }
    let bad = ring.door().ask(Method::GET, &format!("/v1/jobs/{id}/items?cursor=nonsense"), None).await?;
    ensure!(bad.status == StatusCode::BAD_REQUEST && bad.body.contains("cursor"), "{bad:?}");
    errand.check_visit(0)?;
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_limit_is_exact() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (ports, errand) = (Ports::take()?, Errand::begin(folder.path(), 60, DELAY).await?);
    std::fs::write(folder.path().join("job.yaml"), errand.job("  limits: {maxPages: 37}\n"))?;
    let run = ["run", "job.yaml", "--data", "ring", "--output", "items.jsonl", "--allow-private-cidr", "127.0.0.0/8"];
    let arguments = run.map(str::to_owned).into_iter().chain(ports.options());
    let ended = program::run(folder.path(), "run", LIMIT, arguments).await?;
    ensure!(ended.code() == Some(0), "{ended:?}");
    ensure!(ended.err.contains("Completed") && ended.err.contains("pageLimit"), "{}", ended.err);
    let pages: BTreeSet<String> = errand.requests()?.into_iter().map(|record| record.path).collect();
    ensure!(pages.len() == 37, "{} pages were requested, and the limit is 37: {pages:?}", pages.len());
    let products = pages.iter().filter(|path| path.starts_with("/product/")).count();
    let items = lines(&folder.path().join("items.jsonl"))?;
    ensure!(items.len() == products && products > 0, "{} items of {products} products", items.len());
    errand.check_visit(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_job_is_gone_from_every_node() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let errand = Errand::begin(folder.path(), 40, DELAY).await?;
    let ended = ring.door().submit(&errand.job("")).await?;
    Reader::new(&ended).read_to_the_end(ring.door(), LIMIT).await?;
    let running = ring.door().submit(&errand.job("")).await?;
    Reader::new(&running).read_until(ring.door(), 5, LIMIT).await?;
    for id in [&ended, &running] {
        let path = format!("/v1/jobs/{id}");
        let answer = ring.door().ask(Method::DELETE, &path, None).await?;
        ensure!(answer.status == StatusCode::ACCEPTED, "{answer:?}");
        for node in 0..3 {
            let door = ring.door().only(node);
            until(&format!("the end of {id} at ring-{node}"), LIMIT, async || {
                let answer = door.ask(Method::GET, &path, None).await?;
                ensure!(!answer.status.is_server_error(), "{answer:?}");
                Ok((answer.status == StatusCode::NOT_FOUND).then_some(()))
            })
            .await?;
            for list in ["items", "skipped"] {
                let answer = door.ask(Method::GET, &format!("{path}/{list}"), None).await?;
                ensure!(answer.status == StatusCode::NOT_FOUND, "{answer:?}");
            }
            let jobs = door.ask(Method::GET, "/v1/jobs", None).await?;
            ensure!(jobs.status == StatusCode::OK && !jobs.body.contains(id.as_str()), "{jobs:?}");
        }
    }
    ring.stop().await?;
    // Nor does it come back from some disk.
    ring.start_all().await?;
    let jobs = ring.door().ask(Method::GET, "/v1/jobs", None).await?.json()?;
    ensure!(jobs["items"] == Value::Array(Vec::new()), "{jobs}");
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_pauses_a_job_and_says_how_to_go_on() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::init(folder.path(), 3).await?;
    let errand = Errand::begin(folder.path(), 80, DELAY).await?;
    std::fs::write(folder.path().join("job.yaml"), errand.job(""))?;
    let run = ["run", "job.yaml", "--data", "ring", "--output", "items.jsonl", "--allow-private-cidr", "127.0.0.0/8"];
    // No ring answers yet: the command starts it in its own process.
    let mut process = Process::start(folder.path(), "run", run)?;
    let items = folder.path().join("items.jsonl");
    until("a third of the items", LIMIT, async || {
        ensure!(process.is_running()?, "it ended before Ctrl-C:\n{}", process.tail());
        Ok((lines(&items).unwrap_or_default().len() >= errand.products() / 3).then_some(()))
    })
    .await?;
    process.signal("INT").await?;
    let ended = process.ended(LIMIT).await?;
    ensure!(ended.code() == Some(130), "{ended:?}");
    ensure!(ended.err.contains("is paused") && ended.err.contains("Go on with:"), "{}", ended.err);
    let line = ended.err.lines().find(|line| line.contains("--resume")).context("no line with --resume")?;
    let id = line.rsplit(' ').next().unwrap_or_default().to_owned();
    let half = lines(&items)?.len();
    ensure!(half < errand.products(), "nothing was left to do");
    // The same ring, now as processes of their own: the job is in its store, paused.
    ring.start_all().await?;
    until("the job to be at rest", LIMIT, async || {
        let job = ring.door().job(&id).await?;
        ensure!(job["spec"]["suspend"] == true, "{job}");
        Ok((job["status"]["phase"] == "Paused").then_some(()))
    })
    .await?;
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let resumed = program::run(folder.path(), "resume", LIMIT, &words).await?;
    ensure!(resumed.code() == Some(0), "{resumed:?}");
    errand.check_items(&lines(&items)?)?;
    ensure!(!folder.path().join("items.jsonl.cursor").exists(), "the cursor outlives the job");
    errand.check_visit(0)?;
    ring.stop().await
}
