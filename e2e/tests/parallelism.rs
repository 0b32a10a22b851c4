//! A job's limit of pages fetched at once: over several nodes, while it is changed, and when nodes die. The web's own log judges.

use anyhow::ensure;
use reqwest::Method;
use scrapering_e2e::access_log::{self, Record};
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::ring::{self, Ring};
use scrapering_e2e::web::{self, Web};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How long a part of a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
/// As many as there are hosts at work, so that no two of them wait for one address.
const ADDRESSES: u8 = 12;

async fn open_web(folder: &Path, pages: u32) -> anyhow::Result<Web> {
    let addresses = (1..=ADDRESSES).map(|last| [127, 78, 0, last].into()).collect();
    let access_log = Some(folder.join("access.jsonl"));
    let (hosts, latency) = (ADDRESSES.into(), Duration::from_millis(60));
    Ok(web::start(web::Config { addresses, hosts, pages, access_log, latency, ..web::Config::default() }).await?)
}

fn job(web: &Web, parallelism: u32) -> String {
    let seeds: Vec<String> = (0..ADDRESSES.into()).map(|host| format!("{{url: \"{}\"}}", web.url(host))).collect();
    format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: measured}}
spec:
  parallelism: {parallelism}
  seeds: [{}]
  scope:
    scopeType: domain
    exclude: ['/(calendar|session|deep|slow-header|endless|broken|overloaded|chain|bomb|loop|reset)']
  request: {{userAgent: webtest/1.0 (+https://example.io/bot)}}
  politeness: {{delay: 0ms, concurrentRequestsPerHost: 2, concurrentRequestsPerIP: 4, robots: {{maxCrawlDelay: 0s, overMax: clamp}}}}
  retry: {{maxRetries: 1, backoff: {{initial: 100ms, max: 200ms}}}}
",
        seeds.join(", ")
    )
}

/// Most requests that were under way at the same moment.
fn most_at_once<'a>(requests: impl IntoIterator<Item = &'a Record>) -> i32 {
    let ends = |request: &Record| [(request.start_ns, 1), (request.end_ns, -1)];
    let mut moments: Vec<(u64, i32)> = requests.into_iter().flat_map(ends).collect();
    // What ends at the moment at which something else begins was before it.
    moments.sort_unstable();
    let (mut open, mut most) = (0, 0);
    for (_, change) in moments {
        open += change;
        most = most.max(open);
    }
    most
}

async fn change(door: &Door, id: &str, parallelism: Option<u32>) -> anyhow::Result<()> {
    let patch = json!({"spec": {"parallelism": parallelism}}).to_string();
    let answer = door.ask(Method::PATCH, &format!("/v1/jobs/{id}"), Some(&patch)).await?;
    ensure!(answer.status.is_success(), "{:?}", answer.json());
    Ok(())
}

async fn answers(web: &Web, count: u64) -> anyhow::Result<()> {
    until(&format!("{count} requests"), LIMIT, async || Ok((web.log().answered() >= count).then_some(()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_nodes_together_fetch_no_more_pages_at_once_than_the_job_says_also_when_that_is_changed()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let web = open_web(folder.path(), 40).await?;
    let mut ring = Ring::init(folder.path(), 3).await?.with_options(web.options());
    ring.start_all().await?;
    let door = ring.door();
    let mut owners = BTreeSet::new();
    for host in 0..u32::from(ADDRESSES) {
        owners.extend(door.owners(&web.url(host)).await?.into_iter().take(1));
    }
    ensure!(owners.len() > 1, "all hosts belong to {owners:?}");
    let id = door.submit(&job(&web, 3)).await?;
    answers(&web, 40).await?;
    let before = web.log().answered() as usize;
    change(door, &id, Some(1)).await?;
    answers(&web, before as u64 + 60).await?;
    let narrow = web.log().answered() as usize;
    change(door, &id, None).await?;
    door.completed(&id, LIMIT).await?;
    let log = access_log::read(&folder.path().join("access.jsonl"))?;
    ensure!(log.len() > narrow, "nothing was left to be fetched without a limit");
    // The log is in the order in which requests ended.
    let first = most_at_once(&log[..before]);
    ensure!(first == 3, "{first} requests at once with a limit of 3");
    let second = most_at_once(&log[narrow - 10..narrow]);
    ensure!(second == 1, "{second} requests at once with a limit of 1");
    let all = most_at_once(&log[narrow..]);
    ensure!(all > 3, "only {all} requests at once without a limit");
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_keeps_no_slot_and_nobody_goes_over_the_limit() -> anyhow::Result<()> {
    const SLOTS: i32 = 4;
    let folder = tempfile::tempdir()?;
    let web = open_web(folder.path(), 60).await?;
    let mut ring = Ring::init(folder.path(), 5).await?.with_options(web.options());
    ring.start_all().await?;
    let id = ring.door().submit(&job(&web, SLOTS as u32)).await?;
    answers(&web, 30).await?;
    // The first gateway is the one that the test speaks to next, so the job's own owner may well be among these.
    let busy = ring::place(&ring.door().owners(&web.url(1)).await?[0])?;
    let other = if busy == 1 { 2 } else { 1 };
    ring.kill(&[busy, other]).await?;
    let killed = web.log().answered() as usize;
    ring.door().completed(&id, LIMIT).await?;
    let log = access_log::read(&folder.path().join("access.jsonl"))?;
    let most = most_at_once(&log);
    ensure!(most <= SLOTS, "{most} requests at once with a limit of {SLOTS}");
    ensure!(log.len() > killed + 20, "only {} requests after the kill", log.len() - killed);
    let last = most_at_once(&log[killed..]);
    ensure!(last == SLOTS, "after the kill only {last} requests at once with a limit of {SLOTS}");
    ring.stop().await
}
