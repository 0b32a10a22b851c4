//! What a schedule does at which time, with which jobs beside it.

use serde_json::{Value, json};

use super::*;

const CREATED: &str = "2026-01-01T00:00:00Z";
const BEFORE: &str = "2026-01-01T03:59:00Z";
const AFTER: &str = "2026-01-01T04:00:30Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn schedule(spec: Value) -> ScrapeSchedule {
    let mut all = json!({
        "schedule": "0 4 * * *",
        "jobTemplate": {
            "metadata": { "labels": { "team": "search" } },
            "spec": { "seeds": [{ "url": "https://example.org/" }] },
        },
    });
    all.as_object_mut().expect("an object").extend(spec.as_object().cloned().unwrap_or_default());
    serde_json::from_value(json!({
        "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeSchedule",
        "metadata": { "name": "daily", "namespace": "web", "uid": "s1", "creationTimestamp": CREATED },
        "spec": all,
    }))
    .expect("a schedule")
}

/// A job that ended with this condition, or has not ended.
fn job(name: &str, created: &str, ended: Option<&str>) -> ScrapeJob {
    let condition =
        |type_| json!({ "type": type_, "status": "True", "reason": "R", "message": "", "lastTransitionTime": created });
    serde_json::from_value(json!({
        "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob",
        "metadata": { "name": name, "namespace": "web", "uid": name, "creationTimestamp": created },
        "spec": { "seeds": [{ "url": "https://example.org/" }] },
        "status": { "conditions": ended.map(condition).into_iter().collect::<Vec<_>>(), "completionTime": created },
    }))
    .expect("a job")
}

fn made(plan: &Plan) -> Option<String> {
    plan.make.as_ref().map(ResourceExt::name_any)
}

fn removed(plan: &Plan) -> Vec<String> {
    plan.remove.iter().map(ResourceExt::name_any).collect()
}

fn ready(plan: &Plan) -> String {
    plan.status.as_ref().expect("a status").conditions[0].reason.clone()
}

#[test]
fn a_job_is_made_when_its_time_has_come_and_not_before() {
    let daily = schedule(json!({}));
    let early = plan(&daily, &[], at(BEFORE));
    assert_eq!((made(&early), early.wait), (None, Some(Duration::from_secs(60))));
    let late = plan(&daily, &[], at(AFTER));
    let job = late.make.as_ref().expect("a job");
    assert_eq!(job.name_any(), format!("daily-{}", at("2026-01-01T04:00:00Z").as_second() / 60));
    assert_eq!((job.labels()[SCHEDULE].as_str(), job.labels()["team"].as_str()), ("daily", "search"));
    assert_eq!(job.annotations()[SCHEDULED_AT], "2026-01-01T04:00:00Z");
    assert_eq!(job.owner_references()[0].uid, "s1");
    assert_eq!(late.wait, Some(LONGEST_WAIT));
    assert_eq!(late.status.expect("a status").last_schedule_time.as_deref(), Some("2026-01-01T04:00:00Z"));
}

#[test]
fn a_time_makes_one_job() {
    let mut daily = schedule(json!({}));
    daily.status = plan(&daily, &[], at(AFTER)).status;
    let again = plan(&daily, &[job("daily-1", AFTER, None)], at(AFTER));
    assert_eq!(made(&again), None);
    daily.status = again.status;
    let third = plan(&daily, &[job("daily-1", AFTER, None)], at(AFTER));
    assert!(third.status.is_none(), "the same sight is written twice: {:?}", third.status);
}

#[test]
fn of_many_missed_times_only_the_last_is_made_up_for_and_none_beyond_the_deadline() {
    let late = "2026-02-01T05:00:00Z";
    let daily = plan(&schedule(json!({})), &[], at(late));
    assert_eq!(daily.make.expect("a job").annotations()[SCHEDULED_AT], "2026-02-01T04:00:00Z");
    let strict = plan(&schedule(json!({ "startingDeadlineSeconds": 600 })), &[], at(late));
    assert_eq!(made(&strict), None);
}

#[test]
fn a_job_that_runs_is_passed_kept_or_replaced_as_the_policy_says() {
    let running = [job("old", CREATED, None)];
    let of = |policy: &str| plan(&schedule(json!({ "concurrencyPolicy": policy })), &running, at(AFTER));
    let (allow, forbid, replace) = (of("Allow"), of("Forbid"), of("Replace"));
    assert!(allow.make.is_some() && allow.remove.is_empty());
    assert!(forbid.make.is_none() && forbid.skipped.is_some() && forbid.remove.is_empty());
    assert_eq!(forbid.status.expect("a status").last_schedule_time, None);
    assert!(replace.make.is_some());
    assert_eq!(removed(&replace), ["old"]);
}

#[test]
fn old_jobs_beyond_the_limits_go_oldest_first_and_running_ones_never() {
    let jobs = [
        job("c1", "2026-01-01T01:00:00Z", Some("Complete")),
        job("c3", "2026-01-01T03:00:00Z", Some("Complete")),
        job("c2", "2026-01-01T02:00:00Z", Some("Complete")),
        job("f1", "2026-01-01T01:00:00Z", Some("Failed")),
        job("f2", "2026-01-01T02:00:00Z", Some("Failed")),
        job("running", CREATED, None),
    ];
    let limits = json!({ "successfulJobsHistoryLimit": 2, "failedJobsHistoryLimit": 0 });
    let plan = plan(&schedule(limits), &jobs, at(BEFORE));
    assert_eq!(removed(&plan), ["f1", "f2", "c1"]);
    let status = plan.status.expect("a status");
    assert_eq!(status.last_successful_time.as_deref(), Some("2026-01-01T03:00:00Z"));
    assert_eq!(status.active.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["running"]);
}

#[test]
fn what_cannot_be_kept_makes_nothing_and_says_why() {
    for (spec, reason) in [
        (json!({ "suspend": true }), "Suspended"),
        (json!({ "schedule": "61 * * * *" }), "InvalidSchedule"),
        (json!({ "timeZone": "Mars/Olympus" }), "UnknownTimeZone"),
    ] {
        let plan = plan(&schedule(spec), &[], at(AFTER));
        assert_eq!((made(&plan), plan.wait, ready(&plan).as_str()), (None, None, reason));
    }
}
