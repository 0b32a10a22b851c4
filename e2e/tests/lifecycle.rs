//! A job under its user's hand: stopped, cancelled, changed and given seeds while it runs, its failed pages tried again; and its limits.

use anyhow::ensure;
use reqwest::Method;
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::errand::Errand;
use scrapering_e2e::ring::Ring;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a part of a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
const DELAY: Duration = Duration::from_millis(20);

async fn status(door: &Door, id: &str) -> anyhow::Result<Value> {
    Ok(door.job(id).await?["status"].clone())
}

async fn wait_for(door: &Door, id: &str, phase: &str) -> anyhow::Result<Value> {
    until(&format!("{id} to be {phase}"), LIMIT, async || {
        let Ok(status) = status(door, id).await else { return Ok(None) };
        Ok((status["phase"] == phase).then_some(status))
    })
    .await
}

async fn wait_for_pages(door: &Door, id: &str, pages: u64) -> anyhow::Result<()> {
    until(&format!("{pages} pages"), LIMIT, async || {
        let status = status(door, id).await?;
        Ok((status["pages"]["succeeded"].as_u64() >= Some(pages)).then_some(()))
    })
    .await
}

async fn act(door: &Door, id: &str, act: &str) -> anyhow::Result<()> {
    let answer = door.ask(Method::POST, &format!("/v1/jobs/{id}/{act}"), None).await?;
    ensure!(answer.status.is_success(), "{act}: {:?}", answer.json());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_job_keeps_what_it_found_and_a_cancelled_one_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let errand = Errand::begin(folder.path(), 100, DELAY).await?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let door = ring.door();
    let id = door.submit(&errand.job("")).await?;
    wait_for_pages(door, &id, 20).await?;
    act(door, &id, "stop").await?;
    let stopped = wait_for(door, &id, "Stopped").await?;
    ensure!(stopped["pages"]["succeeded"].as_u64() < Some(100) && stopped["pages"]["queued"] == 0, "{stopped}");
    let items = door.list(&id, "items").await?;
    ensure!(stopped["items"] == items.len(), "{} items, {stopped}", items.len());

    let id = door.submit(&errand.job("")).await?;
    wait_for_pages(door, &id, 20).await?;
    act(door, &id, "cancel").await?;
    let cancelled = wait_for(door, &id, "Cancelled").await?;
    ensure!(cancelled["pages"]["discovered"] == 0, "{cancelled}");
    ensure!(door.list(&id, "items").await?.is_empty(), "items of a cancelled job are left");
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_and_exclusions_reach_a_job_while_it_runs_and_failed_pages_are_tried_again() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let errand = Errand::begin(folder.path(), 60, DELAY).await?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let door = ring.door();
    let id = door
        .submit(&errand.job("  scope: {exclude: ['/category/']}\n  retry: {maxRetries: 0}\n  suspend: true\n"))
        .await?;
    let url = errand.url();
    let seeds =
        json!({"urls": [format!("{url}product/1"), format!("{url}nowhere"), "mailto:x", format!("{url}product/2")]});
    let answer = door.ask(Method::POST, &format!("/v1/jobs/{id}/seeds"), Some(&seeds.to_string())).await?;
    let verdicts = answer.json()?;
    ensure!(verdicts["items"][2]["status"] == "FAIL" && verdicts["items"][0]["status"] == "OK", "{verdicts}");
    let patch = json!({"spec": {"suspend": false, "scope": {"exclude": ["/category/", "/company/"]}}}).to_string();
    let answer = door.ask(Method::PATCH, &format!("/v1/jobs/{id}"), Some(&patch)).await?;
    ensure!(answer.status.is_success(), "{:?}", answer.json());
    let ended = wait_for(door, &id, "Completed").await?;
    let failed = ended["pages"]["failed"].as_u64().unwrap_or(0);
    ensure!(failed > 0, "the page that is nowhere has not failed: {ended}");
    act(door, &id, "retry-failed").await?;
    let again = wait_for(door, &id, "Completed").await?;
    // A page that is answered this time may lead to others; nothing that was known is known twice.
    let known = |status: &Value| status["pages"]["discovered"].as_u64().unwrap_or(0);
    ensure!(known(&again) >= known(&ended), "{again} after {ended}");
    ensure!(again["pages"]["failed"].as_u64() <= Some(failed), "{again} after {ended}");
    let visited = errand.requests()?;
    ensure!(visited.iter().any(|request| request.path == "/product/2"), "the seed that was added was not visited");
    ensure!(!visited.iter().any(|request| request.path.starts_with("/company/")), "what was excluded was visited");
    let tried = visited.iter().filter(|request| request.path == "/nowhere").count();
    ensure!(tried == 2, "the failed page was tried {tried} times");
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_more_failed_pages_than_it_allows_fails_and_keeps_what_it_found() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let errand = Errand::begin(folder.path(), 600, DELAY).await?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let door = ring.door();
    let id = door
        .submit(&errand.job("  retry: {maxRetries: 1, backoff: {initial: 10ms, max: 10ms}}\n  backoffLimit: 2\n"))
        .await?;
    wait_for_pages(door, &id, 5).await?;
    let running = status(door, &id).await?;
    ensure!(running["phase"] == "Running" && running["pages"]["failed"].as_u64() <= Some(2), "{running}");
    let urls: Vec<String> = (0..5).map(|page| format!("{}nowhere/{page}", errand.url())).collect();
    let seeds = json!({ "urls": urls }).to_string();
    let answer = door.ask(Method::POST, &format!("/v1/jobs/{id}/seeds"), Some(&seeds)).await?;
    ensure!(answer.status.is_success(), "{:?}", answer.json());
    let failed = wait_for(door, &id, "Failed").await?;
    ensure!(failed["reason"] == "backoffLimitExceeded" && failed["pages"]["failed"].as_u64() > Some(2), "{failed}");
    ensure!(failed["message"].as_str().is_some_and(|message| message.contains("backoffLimit: 2")), "{failed}");
    ensure!(failed["pages"]["succeeded"].as_u64() >= Some(5) && failed["pages"]["queued"] == 0, "{failed}");
    let skipped = door.list(&id, "skipped").await?;
    ensure!(skipped.iter().any(|page| page["reason"] == "backoffLimitExceeded"), "{skipped:?}");
    ensure!(failed["items"] == door.list(&id, "items").await?.len(), "{failed}");
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_host_gets_more_pages_than_its_limit() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let errand = Errand::begin(folder.path(), 60, Duration::ZERO).await?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let id = ring.door().submit(&errand.job("  limits: {maxPagesPerHost: 17}\n")).await?;
    wait_for(ring.door(), &id, "Completed").await?;
    let paths: std::collections::BTreeSet<String> =
        errand.requests()?.into_iter().map(|request| request.path).collect();
    ensure!(paths.len() == 17, "{} pages were requested", paths.len());
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_made_at_once_through_every_node_are_all_made_and_none_is_unknown() -> anyhow::Result<()> {
    const CHANGES: usize = 20;
    let folder = tempfile::tempdir()?;
    let errand = Errand::begin(folder.path(), 10, DELAY).await?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let id = ring.door().submit(&errand.job("  suspend: true\n")).await?;
    let url = errand.url();
    let hand = async |node: usize| {
        let door = ring.door().only(node);
        for change in 0..CHANGES {
            let seeds = json!({"urls": [format!("{url}added/{node}/{change}")]}).to_string();
            let answer = door.ask(Method::POST, &format!("/v1/jobs/{id}/seeds"), Some(&seeds)).await?;
            ensure!(answer.status.is_success(), "change {change} through node {node}: {:?}", answer.json());
        }
        anyhow::Ok(())
    };
    tokio::try_join!(hand(0), hand(1), hand(2))?;
    let job = ring.door().job(&id).await?;
    let added = job["spec"]["seeds"].as_array().map_or(0, |seeds| {
        seeds.iter().filter(|seed| seed["url"].as_str().is_some_and(|url| url.contains("/added/"))).count()
    });
    ensure!(added == 3 * CHANGES, "{added} seeds were added");
    ring.stop().await
}
