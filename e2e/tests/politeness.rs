//! Polite as one: several jobs on the same hosts and addresses, nodes that die and join, and the web's own log as the judge.

use anyhow::ensure;
use reqwest::Method;
use scrapering_e2e::access_log;
use scrapering_e2e::door::until;
use scrapering_e2e::judge::Rules;
use scrapering_e2e::judge::web::{WebRules, WebVerdict, judge_web};
use scrapering_e2e::ring::{self, Ring};
use scrapering_e2e::web::{self, Web};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long a part of a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
const DELAY: Duration = Duration::from_millis(150);
const PER_ADDRESS: u32 = 2;

async fn open_web(folder: &Path, hosts: u32, pages: u32) -> anyhow::Result<Web> {
    let addresses = (1..=3).map(|last| [127, 77, 0, last].into()).collect();
    let access_log = Some(folder.join("access.jsonl"));
    let latency = Duration::from_millis(5);
    Ok(web::start(web::Config { addresses, hosts, pages, access_log, latency, ..web::Config::default() }).await?)
}

/// A job over the whole web, except for what would never end. `more` is appended to the spec, indented by two.
fn job(web: &Web, name: &str, more: &str) -> String {
    format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: {name}}}
spec:
  seeds: [{{url: \"{url}\"}}]
  scope:
    scopeType: domain
    exclude: ['/(calendar|session|deep|slow-header|endless|broken|overloaded|chain|bomb)']
  extract:
  - name: page
    baseSelector: article.page
    fields: [{{name: title, selector: h1, required: true}}]
  request: {{userAgent: webtest/1.0 (+https://example.io/{name}), timeouts: {{total: 10s}}}}
  politeness: {{delay: {delay}ms, delayPerIP: 10ms, concurrentRequestsPerIP: {PER_ADDRESS}}}
  retry: {{maxRetries: 3, backoff: {{initial: 300ms, max: 2s}}}}
  circuitBreaker: {{openFor: 2s, maxOpens: 100}}
{more}",
        url = web.url(0),
        delay = DELAY.as_millis(),
    )
}

fn verdict(folder: &Path, web: &Web, max_robots: usize, max_repeats: usize) -> anyhow::Result<WebVerdict> {
    let rules = WebRules {
        host: Rules {
            max_in_flight: 1,
            min_gap: DELAY,
            disallowed: Vec::new(),
            max_robots: Some(max_robots),
            max_repeats,
            ..Rules::default()
        },
        max_crawl_delay: Duration::from_secs(30),
        max_in_flight_per_address: PER_ADDRESS,
        min_gap_per_address: Duration::from_millis(10),
    };
    Ok(judge_web(&access_log::read(&folder.join("access.jsonl"))?, web.config(), &rules))
}

fn check(verdict: &WebVerdict) -> anyhow::Result<()> {
    let breaches = verdict.breaches();
    ensure!(
        breaches.is_empty(),
        "{} breaches in {} requests:\n{}",
        breaches.len(),
        verdict.requests(),
        breaches.join("\n")
    );
    ensure!(verdict.hosts.len() > 10 && verdict.addresses.len() == 3, "only {} hosts", verdict.hosts.len());
    Ok(())
}

/// What the nodes' own witnesses counted must be what the judge saw: nothing.
async fn check_witnesses(ring: &Ring, nodes: impl Iterator<Item = usize>) -> anyhow::Result<()> {
    let door = ring.door().with_token(&ring.token_of("metrics:read").await?);
    for node in nodes {
        let metrics = door.only(node).ask(Method::GET, "/metrics", None).await?.body;
        let counted = metrics.lines().filter(|line| line.starts_with("scrapering_politeness_violations_total"));
        let counts: Vec<&str> = counted.filter_map(|line| line.split(' ').nth(1)).collect();
        ensure!(counts == ["0", "0"], "{}: {counts:?}", ring::name(node));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_jobs_on_the_same_hosts_are_as_polite_as_one_while_nodes_die_and_join() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let web = open_web(folder.path(), 20, 4).await?;
    let mut ring = Ring::init(folder.path(), 5).await?.with_options(web.options());
    ring.start_all().await?;
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(ring.door().submit(&job(&web, name, "")).await?);
    }
    until("requests", LIMIT, async || Ok((web.log().answered() > 60).then_some(()))).await?;
    let owner = ring::place(&ring.door().owners(&web.url(0)).await?[0])?;
    let other = if owner == 0 { 1 } else { 0 };
    ring.kill(&[owner, other]).await?;
    ring.join().await?;
    for id in &ids {
        ring.door().completed(id, LIMIT).await?;
    }
    // What was in flight on two nodes may be fetched again, and a robots.txt that was not stored yet.
    check(&verdict(folder.path(), &web, 3, 6)?)?;
    check_witnesses(&ring, (0..5).filter(|node| ![owner, other].contains(node))).await?;
    let titles = |items: &[Value]| items.iter().map(|item| item["title"].to_string()).collect::<Vec<_>>();
    let first = titles(&ring.door().list(&ids[0], "items").await?);
    ensure!(first.len() > 40, "only {} items", first.len());
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn robots_txt_is_fetched_once_a_host_for_all_jobs_and_nodes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let web = open_web(folder.path(), 14, 2).await?;
    let mut ring = Ring::init(folder.path(), 3).await?.with_options(web.options());
    ring.start_all().await?;
    let first = ring.door().submit(&job(&web, "one", "")).await?;
    let second = ring.door().submit(&job(&web, "two", "")).await?;
    for id in [&first, &second] {
        ring.door().completed(id, LIMIT).await?;
    }
    check(&verdict(folder.path(), &web, 1, 0)?)?;
    check_witnesses(&ring, 0..3).await?;
    let skipped = ring.door().list(&first, "skipped").await?;
    let reasons: Vec<&str> = skipped.iter().filter_map(|skipped| skipped["reason"].as_str()).collect();
    for reason in ["robotsTxt", "outOfScope", "redirectToExcluded", "httpError", "duplicateUrl", "mimeType"] {
        ensure!(reasons.contains(&reason), "nothing was skipped as {reason}: {reasons:?}");
    }
    ring.stop().await
}
