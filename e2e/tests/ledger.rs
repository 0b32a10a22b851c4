//! The ledger of hosts against the web's own access log, and hosts that nobody is to visit.

use anyhow::{Context, ensure};
use reqwest::Method;
use scrapering_e2e::access_log;
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::ring::{self, Ring};
use scrapering_e2e::web;
use serde_json::Value;
use std::time::Duration;

/// How long a part of a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);

fn job(name: &str, url: &str, more: &str) -> String {
    format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: {name}}}
spec:
  seeds: [{{url: '{url}'}}]
  scope: {{scopeType: domain, exclude: ['/(calendar|session|deep|slow|endless|broken|chain|bomb|reset|cut|busy|unavailable)']}}
  request: {{timeouts: {{total: 10s}}}}
  retry: {{maxRetries: 1, backoff: {{initial: 100ms}}}}
  politeness: {{delay: 100ms}}
{more}"
    )
}

/// Asks every gateway for a list until one answers, and reads it to its end, a few entries at a time.
async fn whole(door: &Door, nodes: usize, path: &str) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    until(path, LIMIT, async || {
        for node in 0..nodes {
            let query = format!("{path}?limit=7{}{cursor}", if cursor.is_empty() { "" } else { "&cursor=" });
            let Ok(answer) = door.only(node).ask(Method::GET, &query, None).await else { continue };
            if !answer.status.is_success() {
                continue;
            }
            let page = answer.json()?;
            all.extend(page["items"].as_array().context("no items")?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return Ok(Some(())),
            }
        }
        Ok(None)
    })
    .await?;
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_of_a_host_is_what_the_host_saw_also_after_the_death_of_its_owner() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let access_log = Some(folder.path().join("access.jsonl"));
    let web = web::start(web::Config { hosts: 3, pages: 6, access_log, ..web::Config::default() }).await?;
    let mut ring = Ring::init(folder.path(), 3).await?.with_options(web.options());
    ring.start_all().await?;
    let id = ring.door().submit(&job("ledger", &web.url(0), "")).await?;
    ring.door().completed(&id, LIMIT).await?;
    let owner = ring::place(&ring.door().owners(&web.url(0)).await?[0])?;
    ring.kill(&[owner]).await?;
    let door = ring.door().with_token(&ring.token_of("jobs:read hosts:write").await?);
    for number in 0..3 {
        let host = web.url(number).trim_start_matches("http://").trim_end_matches('/').to_owned();
        let ledger = whole(&door, 3, &format!("/v1/hosts/{host}/ledger")).await?;
        let times: Vec<jiff::Timestamp> =
            ledger.iter().filter_map(|entry| entry["at"].as_str()?.parse().ok()).collect();
        ensure!(times.is_sorted() && times.len() == ledger.len(), "{times:?}");
        let mut told: Vec<String> = ledger.iter().map(|entry| told(entry, &host)).collect();
        let name = host.split(':').next().unwrap_or_default();
        let records = access_log::read(&folder.path().join("access.jsonl"))?;
        let mut seen: Vec<String> = records
            .iter()
            .filter(|record| record.host.split(':').next() == Some(name))
            .map(|record| record.path.clone())
            .collect();
        told.sort();
        seen.sort();
        ensure!(!seen.is_empty() && told == seen, "{host}: the ledger says {told:?}, the host saw {seen:?}");
    }
    ring.stop().await
}

/// The path of an entry.
fn told(entry: &Value, host: &str) -> String {
    let url = entry["url"].as_str().unwrap_or_default();
    let path = url.split_once(host).map_or(url, |(_, path)| path);
    path.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_has_opted_out_is_left_alone_by_a_running_job_and_by_the_next() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let access_log = Some(folder.path().join("access.jsonl"));
    let config = web::Config { hosts: 1, pages: 60, access_log, ..web::Config::default() };
    let web = web::start(config).await?;
    let mut ring = Ring::init(folder.path(), 3).await?.with_options(web.options());
    ring.start_all().await?;
    let id = ring.door().submit(&job("one", &web.url(0), "")).await?;
    until("some requests", LIMIT, async || Ok((web.log().answered() > 5).then_some(()))).await?;
    let door = ring.door().with_token(&ring.token_of("jobs:read hosts:write").await?);
    let made = door.ask(Method::POST, "/v1/optouts", Some("{\"host\": \"web.test\", \"note\": \"a mail\"}")).await?;
    ensure!(made.status.is_success(), "{}", made.body);
    ring.door().completed(&id, LIMIT).await?;
    let skipped = ring.door().list(&id, "skipped").await?;
    ensure!(skipped.iter().any(|skipped| skipped["reason"] == "optedOut"), "{skipped:?}");
    let before = access_log::read(&folder.path().join("access.jsonl"))?.len();
    let next = ring.door().submit(&job("two", &web.url(0), "")).await?;
    until("the end of the next job", LIMIT, async || {
        let Ok(job) = ring.door().job(&next).await else { return Ok(None) };
        Ok((job["status"]["phase"] == "Failed").then_some(()))
    })
    .await?;
    let after = access_log::read(&folder.path().join("access.jsonl"))?.len();
    ensure!(after == before, "{} requests to a host that had opted out", after - before);
    ring.stop().await
}
