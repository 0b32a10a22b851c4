//! What is written for what was found, and when nothing is.

use scrapering_crds::{API_VERSION, ConditionStatus};
use serde_json::{Value, json};

use super::*;

fn job(spec: Value, status: Option<ScrapeJobStatus>) -> ScrapeJob {
    let mut all = json!({ "seeds": [{ "url": "https://example.org/" }] });
    all.as_object_mut().expect("an object").extend(spec.as_object().cloned().unwrap_or_default());
    let mut job: ScrapeJob = serde_json::from_value(json!({
        "apiVersion": API_VERSION, "kind": "ScrapeJob",
        "metadata": { "name": "docs", "namespace": "web", "uid": "u1", "generation": 3 }, "spec": all,
    }))
    .expect("a job");
    job.status = status;
    job
}

fn seen(status: Value) -> Finding {
    Finding::Seen(serde_json::from_value(json!({ "metadata": { "uid": "0198" }, "status": status })).expect("a report"))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn after(job: &ScrapeJob, finding: &Finding) -> ScrapeJobStatus {
    next(job, finding, at(0)).expect("a status")
}

fn reason(status: &ScrapeJobStatus, type_: &str, value: ConditionStatus) -> Option<String> {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_ && condition.status == value);
    found.map(|condition| condition.reason.clone())
}

#[test]
fn figures_of_the_ring_are_taken_over_and_said_once() {
    let running = seen(json!({
        "phase": "Running", "items": 7, "itemErrors": 1, "startTime": "2026-01-01T00:00:00Z",
        "pages": { "discovered": 2411, "queued": 3, "inFlight": 1, "succeeded": 1800, "failed": 12, "skipped": 18 },
    }));
    let status = after(&job(json!({}), None), &running);
    assert_eq!((status.phase, status.job_id.as_deref()), (Some(JobPhase::Running), Some("0198")));
    assert_eq!((status.progress.as_deref(), status.items, status.item_errors), (Some("1830/2411"), 7, 1));
    assert_eq!((status.duration.clone(), status.observed_generation), (None, Some(3)));
    assert_eq!(next(&job(json!({}), Some(status)), &running, at(999)), None, "the same sight is written twice");
}

#[test]
fn a_job_that_waits_for_its_next_visit_says_when_that_is_and_not_any_more_once_it_has_ended() {
    let report = |phase: &str, next: Option<&str>| {
        let mut status = json!({ "phase": phase, "reason": "recrawl", "startTime": "2026-01-01T00:00:00Z" });
        status["nextVisitTime"] = json!(next);
        seen(status)
    };
    let waiting = after(&job(json!({}), None), &report("Running", Some("2026-01-02T00:00:00Z")));
    assert_eq!(waiting.next_visit_time.as_deref(), Some("2026-01-02T00:00:00Z"));
    let ended = after(&job(json!({}), Some(waiting)), &report("Completed", None));
    assert_eq!(ended.next_visit_time, None);
}

#[test]
fn ends_are_complete_or_failed_with_the_rings_own_reason() {
    let end = |phase: &str, reason: Option<&str>| {
        seen(json!({
            "phase": phase, "reason": reason, "message": "said so", "startTime": "2026-01-01T00:00:00Z",
            "completionTime": "2026-01-01T01:02:03Z",
        }))
    };
    let plain = job(json!({}), None);
    let table = [
        (end("Completed", None), "Complete", "AllPagesSettled"),
        (end("Completed", Some("pageLimit")), "Complete", "PageLimit"),
        (end("Completed", Some("timeLimit")), "Complete", "TimeLimit"),
        (end("Failed", Some("nothingFetched")), "Failed", "NothingFetched"),
        (end("Failed", Some("backoffLimitExceeded")), "Failed", "BackoffLimitExceeded"),
        (end("Failed", None), "Failed", "RingGaveUp"),
        (end("Stopped", None), "Failed", "StoppedInRing"),
        (end("Cancelled", None), "Failed", "CancelledInRing"),
        (end("Deleting", None), "Failed", "DeletedInRing"),
    ];
    for (finding, type_, expected) in table {
        let status = after(&plain, &finding);
        assert_eq!(reason(&status, type_, ConditionStatus::True).as_deref(), Some(expected));
        assert_eq!(status.duration.as_deref(), Some("1h2m3s"));
        assert!(has_ended(&job(json!({}), Some(status))));
    }
}

#[test]
fn a_job_that_somebody_ended_in_the_ring_says_so_in_a_word() {
    let phase = |word: &str| after(&job(json!({}), None), &seen(json!({ "phase": word }))).phase;
    assert_eq!((phase("Stopping"), phase("Stopped")), (Some(JobPhase::Running), Some(JobPhase::Stopped)));
    assert_eq!((phase("Cancelling"), phase("Cancelled")), (Some(JobPhase::Running), Some(JobPhase::Cancelled)));
}

#[test]
fn a_time_limit_is_a_failure_only_when_it_is_the_deadline() {
    let ended = seen(json!({ "phase": "Completed", "reason": "timeLimit" }));
    let failed = |spec: Value| reason(&after(&job(spec, None), &ended), FAILED, ConditionStatus::True);
    assert_eq!(failed(json!({ "activeDeadlineSeconds": 60 })).as_deref(), Some("DeadlineExceeded"));
    let shorter = json!({ "activeDeadlineSeconds": 60, "limits": { "maxDuration": "30s" } });
    assert_eq!(failed(shorter), None);
    let longer = json!({ "activeDeadlineSeconds": 60, "limits": { "maxDuration": "90s" } });
    assert_eq!(failed(longer).as_deref(), Some("DeadlineExceeded"));
}

#[test]
fn a_job_is_suspended_before_it_is_handed_in_and_in_the_ring() {
    let held = after(&job(json!({ "suspend": true }), None), &Finding::Held);
    assert_eq!((held.phase, held.job_id.clone()), (Some(JobPhase::Suspended), None));
    assert_eq!(reason(&held, ACCEPTED, ConditionStatus::False).as_deref(), Some("Suspended"));
    let paused = after(&job(json!({}), Some(held)), &seen(json!({ "phase": "Paused" })));
    assert_eq!(reason(&paused, SUSPENDED, ConditionStatus::True).as_deref(), Some("JobSuspended"));
    let resumed = after(&job(json!({}), Some(paused)), &seen(json!({ "phase": "Running" })));
    assert_eq!(resumed.phase, Some(JobPhase::Running));
    assert_eq!(reason(&resumed, SUSPENDED, ConditionStatus::False).as_deref(), Some("JobResumed"));
}

#[test]
fn a_ring_that_falls_silent_changes_no_figure() {
    let running = after(&job(json!({}), None), &seen(json!({ "phase": "Running", "items": 7 })));
    let silent = Finding::Silent { message: "no node of the ring answers".to_owned() };
    let status = after(&job(json!({}), Some(running.clone())), &silent);
    assert_eq!((status.phase, status.items), (Some(JobPhase::Running), 7));
    assert_eq!(reason(&status, ACCEPTED, ConditionStatus::True).as_deref(), Some("RingSilent"));
    let back = after(&job(json!({}), Some(status)), &seen(json!({ "phase": "Running", "items": 7 })));
    assert_eq!(back, running, "as it was, and accepted since then");
}

#[test]
fn a_job_whose_ring_is_gone_has_failed_and_keeps_what_was_said_of_it() {
    let running = after(&job(json!({}), None), &seen(json!({ "phase": "Running", "items": 7 })));
    let gone = Finding::Refused { reason: "RingNotFound", message: "gone".to_owned() };
    let status = after(&job(json!({}), Some(running)), &gone);
    assert_eq!((status.phase, status.items), (Some(JobPhase::Failed), 7));
    assert_eq!(reason(&status, ACCEPTED, ConditionStatus::True).as_deref(), Some("Submitted"));
    let refused = Finding::Refused { reason: "InvalidJob", message: "bad".to_owned() };
    let never = after(&job(json!({}), None), &refused);
    assert_eq!(reason(&never, ACCEPTED, ConditionStatus::False).as_deref(), Some("InvalidJob"));
}

#[test]
fn words_of_the_ring_become_reasons_that_the_schema_takes() {
    for (word, reason) in [("nothingFetched", "NothingFetched"), ("", "Ring"), ("4xx", "Ring4xx"), ("a b\n", "Ab")] {
        assert_eq!(camel(word), reason);
    }
}
