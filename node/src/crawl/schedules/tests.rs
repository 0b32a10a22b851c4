//! A schedule and its keepers, with registers and jobs in memory, at times that the test chooses.

use super::keeper::Look;
use super::*;
use crate::crawl::jobs::Phase;
use crate::crawl::outputs::{OutputProgress, OutputStatus, OutputWord};
use crate::kv::memory::{Fault, MemoryRegisters};
use futures::future::ready;
use scrapering_core::frontier::record::JobId;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

const MADE: &str = "2026-01-01T00:00:30Z";

/// Jobs that do nothing until they are told what came of them.
#[derive(Clone, Default)]
struct Jobs {
    jobs: Arc<Mutex<BTreeMap<JobId, JobStatus>>>,
    /// Whether no job can be made.
    closed: Arc<Mutex<bool>>,
}

impl Jobs {
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.jobs.lock().expect("lock").values().map(|job| job.name.clone()).collect();
        names.sort();
        names
    }

    fn end(&self, name: &str, phase: Phase) {
        let mut jobs = self.jobs.lock().expect("lock");
        let job = jobs.values_mut().find(|job| job.name == name).expect("the job");
        (job.phase, job.completed_at) = (phase, Some("2026-01-01T00:09:00Z".to_owned()));
    }

    /// The only output of a job is in this state.
    fn write(&self, name: &str, state: OutputWord) {
        let mut jobs = self.jobs.lock().expect("lock");
        let job = jobs.values_mut().find(|job| job.name == name).expect("the job");
        let (entries, parts, bytes, error, next_attempt_at) = (0, 0, 0, None, None);
        let progress = OutputProgress { state, entries, parts, bytes, error, next_attempt_at };
        job.outputs = vec![OutputStatus { output: 0, progress }];
    }

    fn close(&self, closed: bool) {
        *self.closed.lock().expect("lock") = closed;
    }
}

impl Hands for Jobs {
    fn begin<'a>(&'a self, job: &'a JobRef, file: &'a ScrapeJobFile) -> BoxFuture<'a, Result<(), JobsError>> {
        if *self.closed.lock().expect("lock") {
            return Box::pin(ready(Err(JobsError::Unavailable)));
        }
        self.jobs.lock().expect("lock").entry(job.id).or_insert_with(|| JobStatus::begun(job, file, MADE));
        Box::pin(ready(Ok(())))
    }

    fn status<'a>(&'a self, job: &'a JobRef) -> BoxFuture<'a, Result<JobStatus, JobsError>> {
        let found = self.jobs.lock().expect("lock").get(&job.id).cloned();
        Box::pin(ready(found.ok_or(JobsError::NotFound(job.id))))
    }

    fn remove<'a>(&'a self, job: &'a JobRef) -> BoxFuture<'a, Result<(), JobsError>> {
        let gone = self.jobs.lock().expect("lock").remove(&job.id);
        Box::pin(ready(gone.map(|_| ()).ok_or(JobsError::NotFound(job.id))))
    }

    fn wake(&self, _: ScheduleKey) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(ready(Ok(())))
    }
}

/// A schedule of every minute.
struct Stage {
    registers: MemoryRegisters,
    jobs: Jobs,
    schedules: Schedules,
    at: ScheduleRef,
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// So many minutes, and a second, after the hour.
fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_second(at("2026-01-01T00:00:01Z").as_second() + 60 * minutes).expect("a time")
}

impl Stage {
    async fn with(spec: Value) -> Self {
        let (registers, jobs) = (MemoryRegisters::default(), Jobs::default());
        let schedules = Schedules::new(registers.clone(), jobs.clone());
        let at_ = ScheduleRef { tenant: Tenant::default(), name: "often".to_owned() };
        let mut all =
            json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"seeds": [{"url": "https://a.example/"}]}}});
        all.as_object_mut().expect("an object").extend(spec.as_object().cloned().unwrap_or_default());
        let file = json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeSchedule",
            "metadata": {"name": "often"}, "spec": all,
        });
        let file = serde_json::from_value(file).expect("a schedule");
        schedules.create(&at_, &file, at(MADE)).await.expect("created");
        Self { registers, jobs, schedules, at: at_ }
    }

    async fn look(&self, now: Timestamp) -> Look {
        self.schedules.look(self.at.key(), now).await.expect("registers answer")
    }

    async fn active(&self) -> usize {
        self.schedules.read(&self.at).await.expect("the schedule").record.active()
    }
}

/// The name of the job for a minute of the test's hour.
fn named(minutes: i64) -> String {
    format!("often-{}", minute(minutes).as_second() / 60)
}

#[tokio::test]
async fn a_run_is_made_when_its_time_has_come_and_once_however_often_it_is_looked_at() {
    let stage = Stage::with(json!({})).await;
    assert_eq!(stage.look(at("2026-01-01T00:00:40Z")).await, Look::Again(Duration::from_secs(20)));
    assert!(stage.jobs.names().is_empty());
    for _ in 0..3 {
        assert_eq!(stage.look(minute(1)).await, Look::Again(Duration::from_secs(2)));
    }
    assert_eq!(stage.jobs.names(), [named(1)]);
    stage.look(minute(2)).await;
    assert_eq!(stage.jobs.names(), [named(1), named(2)]);
}

#[tokio::test]
async fn two_keepers_of_one_schedule_make_each_run_once() {
    let stage = Stage::with(json!({})).await;
    let other = Schedules::new(stage.registers.clone(), stage.jobs.clone());
    for minutes in 1..=3 {
        let (one, two) = tokio::join!(stage.look(minute(minutes)), other.look(stage.at.key(), minute(minutes)));
        assert!(one != Look::Gone && two.is_ok());
    }
    assert_eq!(stage.jobs.names(), [named(1), named(2), named(3)]);
    assert_eq!(stage.active().await, 3);
}

#[tokio::test]
async fn a_keeper_that_died_before_it_made_the_job_is_made_up_for_by_the_next() {
    let stage = Stage::with(json!({})).await;
    stage.jobs.close(true);
    stage.look(minute(1)).await;
    assert!(stage.jobs.names().is_empty() && stage.active().await == 1, "the run is planned, and its job is not made");
    stage.jobs.close(false);
    let heir = Schedules::new(stage.registers.clone(), stage.jobs.clone());
    heir.look(stage.at.key(), minute(1)).await.expect("registers answer");
    assert_eq!(stage.jobs.names(), [named(1)]);
}

#[tokio::test]
async fn a_change_whose_outcome_is_not_known_makes_no_second_run() {
    for fault in [Fault::DoneUnknown, Fault::LostUnknown] {
        let stage = Stage::with(json!({})).await;
        stage.registers.fail_with(Some(fault));
        stage.look(minute(1)).await;
        stage.registers.fail_with(None);
        stage.look(minute(1)).await;
        assert_eq!((stage.jobs.names(), stage.active().await), (vec![named(1)], 1), "{fault:?}");
    }
}

#[tokio::test]
async fn of_many_missed_times_only_the_last_is_made_up_for_and_none_beyond_the_deadline() {
    let stage = Stage::with(json!({})).await;
    stage.look(minute(30)).await;
    assert_eq!(stage.jobs.names(), [named(30)]);
    let strict = Stage::with(json!({"schedule": "0 4 * * *", "startingDeadlineSeconds": 60})).await;
    strict.look(at("2026-01-01T05:00:00Z")).await;
    assert!(strict.jobs.names().is_empty());
}

#[tokio::test]
async fn a_run_that_goes_on_is_waited_for_or_replaced_as_the_policy_says() {
    let forbid = Stage::with(json!({"concurrencyPolicy": "Forbid"})).await;
    forbid.look(minute(1)).await;
    forbid.look(minute(2)).await;
    assert_eq!(forbid.jobs.names(), [named(1)]);
    forbid.jobs.end(&named(1), Phase::Completed);
    forbid.look(minute(2)).await;
    assert_eq!(forbid.jobs.names(), [named(1), named(2)]);

    let replace = Stage::with(json!({"concurrencyPolicy": "Replace"})).await;
    replace.look(minute(1)).await;
    replace.look(minute(2)).await;
    assert_eq!(replace.jobs.names(), [named(2)]);
}

#[tokio::test]
async fn ended_runs_beyond_the_limits_are_deleted_and_what_a_user_deletes_is_forgotten() {
    let stage = Stage::with(json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0})).await;
    for (minutes, phase) in [(1, Phase::Completed), (2, Phase::Failed), (3, Phase::Completed)] {
        stage.look(minute(minutes)).await;
        stage.jobs.end(&named(minutes), phase);
    }
    stage.look(at("2026-01-01T00:03:30Z")).await;
    assert_eq!(stage.jobs.names(), [named(3)]);
    let state = stage.schedules.read(&stage.at).await.expect("the schedule");
    assert_eq!(state.record.last_success_s, Some(at("2026-01-01T00:09:00Z").as_second()));

    stage.look(minute(4)).await;
    let job = JobRef { tenant: Tenant::default(), id: state.record.job_at(at("2026-01-01T00:04:00Z").as_second()) };
    stage.jobs.remove(&job).await.expect("it is there");
    stage.look(minute(4)).await;
    assert_eq!((stage.jobs.names(), stage.active().await), (vec![named(3)], 0), "its time is settled");
}

#[tokio::test]
async fn a_run_stays_until_its_outputs_are_written() {
    let stage = Stage::with(json!({"successfulJobsHistoryLimit": 0})).await;
    stage.look(minute(1)).await;
    stage.jobs.write(&named(1), OutputWord::Writing);
    stage.jobs.end(&named(1), Phase::Completed);
    stage.look(at("2026-01-01T00:01:30Z")).await;
    assert_eq!(stage.jobs.names(), [named(1)]);
    stage.jobs.write(&named(1), OutputWord::Done);
    stage.look(at("2026-01-01T00:01:40Z")).await;
    assert_eq!(stage.jobs.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_suspended_schedule_makes_nothing_but_what_is_asked_for() {
    let stage = Stage::with(json!({"suspend": true})).await;
    assert_eq!(stage.look(minute(5)).await, Look::Again(Duration::from_secs(60)));
    stage.schedules.trigger(&stage.at, "now", minute(5)).await.expect("a run");
    assert_eq!(stage.jobs.names(), [format!("often-{}", minute(5).as_second())]);
    let resumed = stage.schedules.patch(&stage.at, &json!({"suspend": false}), None, minute(7)).await;
    assert!(resumed.is_ok());
    stage.look(minute(7)).await;
    assert!(stage.jobs.names().contains(&named(7)), "without a deadline the last missed time is made up for");
}

#[tokio::test]
async fn new_times_count_from_their_change_and_a_schedule_that_is_deleted_leaves_its_jobs() {
    let stage = Stage::with(json!({"schedule": "0 4 * * *"})).await;
    let change = json!({"schedule": "*/2 * * * *"});
    stage.schedules.patch(&stage.at, &change, None, minute(10)).await.expect("changed");
    stage.look(minute(11)).await;
    assert!(stage.jobs.names().is_empty(), "ten past was due before the schedule said so");
    stage.look(minute(12)).await;
    assert_eq!(stage.jobs.names(), [named(12)]);
    stage.schedules.delete(&stage.at, None).await.expect("deleted");
    assert_eq!(stage.look(minute(14)).await, Look::Gone);
    assert_eq!(stage.jobs.names(), [named(12)]);
}
