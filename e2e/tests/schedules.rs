//! Schedules that the ring keeps itself: runs at their times and by hand, also when those who kept them are killed.

use anyhow::{Context, ensure};
use reqwest::Method;
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::errand::Errand;
use scrapering_e2e::ring::Ring;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long it may take until a minute has begun and its job has ended, with nodes that have just been killed.
const LIMIT: Duration = Duration::from_secs(150);
/// So many that two of five nodes hardly keep none of them.
const SCHEDULES: usize = 8;

/// A schedule of every minute whose jobs fetch the front page of the shop.
fn document(name: &str, url: &str) -> String {
    format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeSchedule
metadata: {{name: {name}}}
spec:
  schedule: '* * * * *'
  successfulJobsHistoryLimit: 100
  jobTemplate:
    spec:
      seeds: [{{url: '{url}'}}]
      follow: []
      politeness: {{delay: 0s, concurrentRequestsPerHost: 8}}
"
    )
}

async fn asked(door: &Door, method: Method, path: &str, body: Option<&str>) -> anyhow::Result<Value> {
    until(path, LIMIT, async || {
        let Ok(answer) = door.ask(method.clone(), path, body).await else { return Ok(None) };
        if answer.status.is_server_error() {
            return Ok(None);
        }
        ensure!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.body);
        Ok(Some(if answer.body.is_empty() { Value::Null } else { answer.json()? }))
    })
    .await
}

/// The jobs of a schedule.
async fn runs(door: &Door, name: &str) -> anyhow::Result<Vec<Value>> {
    let list = asked(door, Method::GET, &format!("/v1/schedules/{name}/runs"), None).await?;
    Ok(list["items"].as_array().context("no runs")?.clone())
}

fn text<'value>(job: &'value Value, pointer: &str) -> anyhow::Result<&'value str> {
    job.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {job}"))
}

/// Waits until a schedule has a job that was made for a time after `since` and has completed.
async fn wait_for_a_run_after(door: &Door, name: &str, since: &str) -> anyhow::Result<()> {
    until(&format!("a run of {name} after {since}"), LIMIT, async || {
        for job in runs(door, name).await? {
            // Both are RFC 3339 with whole seconds in UTC, in which the order of the text is that of the times.
            let due = text(&job, "/metadata/annotations/scrapering.io~1scheduled-at")?;
            if due > since && job["status"]["phase"] == "Completed" {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_time_of_a_schedule_gives_one_run_also_when_its_keeper_is_killed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let errand = Errand::begin(folder.path(), 3, Duration::ZERO).await?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    let door = ring.door().only(0);
    let names: Vec<String> = (0..SCHEDULES).map(|number| format!("often-{number}")).collect();
    for name in &names {
        asked(&door, Method::POST, "/v1/schedules", Some(&document(name, &errand.url()))).await?;
    }
    let by_hand = asked(&door, Method::POST, &format!("/v1/schedules/{}/trigger", names[0]), None).await?;
    let id = text(&by_hand, "/metadata/uid")?.to_owned();
    until(
        "the run by hand",
        LIMIT,
        async || Ok((door.job(&id).await?["status"]["phase"] == "Completed").then_some(())),
    )
    .await?;

    // Node 0 is the door; of the others two go.
    ring.kill(&[1, 2]).await?;
    let probe = asked(&door, Method::GET, &format!("/v1/schedules/{}", names[0]), None).await?;
    let next = text(&probe, "/status/nextScheduleTime")?.to_owned();
    let before = next.replace(":00Z", ":00");
    for name in &names {
        wait_for_a_run_after(&door, name, &before).await?;
        // From here on no further times come between the lists that are compared.
        asked(&door, Method::PATCH, &format!("/v1/schedules/{name}"), Some(r#"{"spec":{"suspend":true}}"#)).await?;
    }
    for name in &names {
        until(&format!("the end of every run of {name}"), LIMIT, async || {
            let schedule = asked(&door, Method::GET, &format!("/v1/schedules/{name}"), None).await?;
            Ok(schedule["status"]["active"].as_array().is_some_and(Vec::is_empty).then_some(()))
        })
        .await?;
    }
    let mut known = BTreeSet::new();
    for name in &names {
        let mut times = BTreeSet::new();
        for job in runs(&door, name).await? {
            let due = text(&job, "/metadata/annotations/scrapering.io~1scheduled-at")?.to_owned();
            ensure!(times.insert(due.clone()), "{name} has two runs for {due}");
            known.insert(text(&job, "/metadata/uid")?.to_owned());
        }
    }
    let jobs = asked(&door, Method::GET, "/v1/jobs?label=scrapering.io/schedule", None).await?;
    let jobs = jobs["items"].as_array().context("no jobs")?.clone();
    let all: BTreeSet<String> =
        jobs.iter().map(|job| text(job, "/metadata/uid").map(str::to_owned)).collect::<anyhow::Result<_>>()?;
    ensure!(all == known, "jobs that no schedule knows, or runs without a job: {all:?} {known:?}");

    asked(&door, Method::DELETE, &format!("/v1/schedules/{}", names[0]), None).await?;
    let gone = door.ask(Method::GET, &format!("/v1/schedules/{}", names[0]), None).await?;
    ensure!(gone.status == 404, "{gone:?}");
    ensure!(door.job(&id).await?["status"]["phase"] == "Completed", "the jobs of a deleted schedule stay");
    ring.stop().await
}
