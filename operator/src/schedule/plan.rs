//! What a schedule needs now, as a pure function of the schedule, its jobs and the time.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use scrapering_crds::schedule::clock::{Clock, Error};
use scrapering_crds::schedule::{ActiveJob, ConcurrencyPolicy};
use scrapering_crds::{ScrapeJob, ScrapeSchedule, ScrapeScheduleStatus};

use super::{SCHEDULE, SCHEDULED_AT};
use crate::condition::{Verdict, holds, time};
use crate::job::status::{COMPLETE, has_ended};

/// Most active jobs that the status names.
const ACTIVE_SHOWN: usize = 64;
/// Longest wait for a time to come, so that a clock that was set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What to do, in this order.
#[derive(Debug, Default)]
pub struct Plan {
    /// Jobs to remove: old ones, and those that a new one replaces.
    pub remove: Vec<ScrapeJob>,
    /// The job to make.
    pub make: Option<ScrapeJob>,
    /// The time that was passed over because a job runs.
    pub skipped: Option<Timestamp>,
    /// When to look again; nothing but a change wakes a schedule that is suspended or wrong.
    pub wait: Option<Duration>,
    /// The status to write, if it is not there yet.
    pub status: Option<ScrapeScheduleStatus>,
}

/// Says what a schedule needs; `jobs` are all jobs that it owns.
pub fn plan(schedule: &ScrapeSchedule, jobs: &[ScrapeJob], now: Timestamp) -> Plan {
    let mut plan = Plan { remove: too_old(schedule, jobs), ..Plan::default() };
    let clock = Clock::new(&schedule.spec.schedule, schedule.spec.time_zone.as_deref());
    let active: Vec<&ScrapeJob> = jobs.iter().filter(|job| !has_ended(job)).collect();
    if let Ok(clock) = &clock
        && !schedule.spec.suspend
    {
        make(schedule, clock, &active, now, &mut plan);
    }
    plan.status = status(schedule, jobs, &plan, clock.as_ref().err(), now);
    plan
}

fn make(schedule: &ScrapeSchedule, clock: &Clock, active: &[&ScrapeJob], now: Timestamp, plan: &mut Plan) {
    plan.wait = clock.next(now).map(|next| wait(next, now));
    let Some(due) = clock.due(since(schedule, now), now) else { return };
    match schedule.spec.concurrency_policy {
        // The job that ends wakes the schedule, and the time is made up for, if it is not too late by then.
        ConcurrencyPolicy::Forbid if !active.is_empty() => {
            plan.skipped = Some(due);
            return;
        }
        ConcurrencyPolicy::Replace => plan.remove.extend(active.iter().map(|job| (*job).clone())),
        ConcurrencyPolicy::Forbid | ConcurrencyPolicy::Allow => {}
    }
    plan.make = job(schedule, due);
}

fn wait(next: Timestamp, now: Timestamp) -> Duration {
    let left = next.duration_since(now);
    Duration::try_from(left).unwrap_or_default().clamp(Duration::from_secs(1), LONGEST_WAIT)
}

/// Times up to here are settled: made, or missed for good.
fn since(schedule: &ScrapeSchedule, now: Timestamp) -> Timestamp {
    let last = schedule.status.as_ref().and_then(|status| status.last_schedule_time.as_deref()?.parse().ok());
    let made = schedule.creation_timestamp().map(|created| created.0);
    let last = last.or(made).unwrap_or(now);
    let deadline = schedule.spec.starting_deadline_seconds;
    let earliest = deadline.and_then(|seconds| Timestamp::from_second(now.as_second().saturating_sub(seconds)).ok());
    earliest.map_or(last, |earliest| last.max(earliest))
}

/// The job for a time; `None` when the schedule did not come from an API server.
fn job(schedule: &ScrapeSchedule, due: Timestamp) -> Option<ScrapeJob> {
    let template = &schedule.spec.job_template;
    let name = format!("{}-{}", schedule.name_any(), due.as_second() / 60);
    let mut labels = template.metadata.labels.clone();
    labels.insert(SCHEDULE.to_owned(), schedule.name_any());
    let mut annotations = template.metadata.annotations.clone();
    annotations.insert(SCHEDULED_AT.to_owned(), time(due));
    let mut job = ScrapeJob::new(&name, template.spec.clone());
    job.metadata = ObjectMeta {
        name: Some(name),
        namespace: Some(schedule.namespace()?),
        labels: Some(labels),
        annotations: Some(annotations),
        owner_references: Some(vec![schedule.controller_owner_ref(&())?]),
        ..ObjectMeta::default()
    };
    Some(job)
}

/// Ended jobs beyond the limits, oldest first.
fn too_old(schedule: &ScrapeSchedule, jobs: &[ScrapeJob]) -> Vec<ScrapeJob> {
    let mut by_end: BTreeMap<bool, Vec<&ScrapeJob>> = BTreeMap::new();
    for job in jobs.iter().filter(|job| has_ended(job) && job.metadata.deletion_timestamp.is_none()) {
        by_end.entry(is_complete(job)).or_default().push(job);
    }
    let mut old = Vec::new();
    for (complete, mut jobs) in by_end {
        let spec = &schedule.spec;
        let limit = if complete { spec.successful_jobs_history_limit } else { spec.failed_jobs_history_limit };
        jobs.sort_by_key(|job| (job.creation_timestamp(), job.name_any()));
        let surplus = jobs.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        old.extend(jobs.into_iter().take(surplus).cloned());
    }
    old
}

fn is_complete(job: &ScrapeJob) -> bool {
    job.status.as_ref().is_some_and(|status| holds(&status.conditions, COMPLETE))
}

fn status(
    schedule: &ScrapeSchedule,
    jobs: &[ScrapeJob],
    plan: &Plan,
    fault: Option<&Error>,
    now: Timestamp,
) -> Option<ScrapeScheduleStatus> {
    let before = schedule.status.clone().unwrap_or_default();
    let generation = schedule.metadata.generation;
    let verdict = match fault {
        Some(error) => Verdict::no("Ready", error.reason(), error.to_string()),
        None if schedule.spec.suspend => Verdict::no("Ready", "Suspended", "spec.suspend is true; no jobs are made"),
        None => Verdict::yes("Ready", "Scheduled", "jobs are made at the times of the schedule"),
    };
    let made = plan.make.as_ref().and_then(|job| job.annotations().get(SCHEDULED_AT).cloned());
    let ended =
        jobs.iter().filter(|job| is_complete(job)).filter_map(|job| job.status.as_ref()?.completion_time.clone());
    let mut active: Vec<ActiveJob> = jobs
        .iter()
        .filter(|job| !has_ended(job))
        .map(|job| ActiveJob { name: job.name_any(), uid: job.uid().unwrap_or_default() })
        .collect();
    active.sort_by(|one, other| one.name.cmp(&other.name));
    active.truncate(ACTIVE_SHOWN);
    let next = ScrapeScheduleStatus {
        observed_generation: generation,
        last_schedule_time: made.or_else(|| before.last_schedule_time.clone()),
        last_successful_time: ended.chain(before.last_successful_time.clone()).max(),
        active,
        conditions: vec![verdict.condition(&before.conditions, generation, now)],
    };
    (schedule.status.as_ref() != Some(&next)).then_some(next)
}

#[cfg(test)]
mod tests;
