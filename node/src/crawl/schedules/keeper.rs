//! One look at a schedule by whoever keeps it: sees what became of its runs, plans what is due, makes and removes jobs.

use super::{Schedules, state};
use crate::auth::Tenant;
use crate::crawl::jobs::{JobRef, JobStatus, JobsError, Phase};
use crate::crawl::outputs::OutputWord;
use crate::driver::registers::Unavailable;
use crate::job::schedule::{LoadedSchedule, job_file};
use jiff::Timestamp;
use scrapering_core::frontier::record::{JobId, encode};
use scrapering_core::register::{Change, Outcome};
use scrapering_core::schedule::{Run, RunState, ScheduleKey, ScheduleRecord, Seen};
use std::time::Duration;

/// How often runs that have not ended are looked at.
const TICK: Duration = Duration::from_secs(2);
/// Longest wait, so that a clock that was set, and a change that nobody told of, are noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Most changes of one look; what is left is done at the next.
const STEPS: usize = 8;

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The schedule is gone.
    Gone,
    /// It is to be looked at again after this.
    Again(Duration),
}

impl Schedules {
    /// Does for a schedule what is to be done at `now`.
    ///
    /// # Errors
    /// [`Unavailable`]; what was done is noted, or found again.
    pub(super) async fn look(&self, key: ScheduleKey, now: Timestamp) -> Result<Look, Unavailable> {
        for _ in 0..STEPS {
            let Some((before, version)) = self.record(key).await? else { return Ok(Look::Gone) };
            let Some(mut state) = state(before.clone(), version) else { return Ok(Look::Again(LONGEST_WAIT)) };
            let begun = self.tend(&state.loaded, &mut state.record).await;
            plan(&state.loaded, &mut state.record, now);
            if state.record == before {
                return Ok(Look::Again(wait(&state.loaded, &state.record, now)));
            }
            let write = Change::CompareAndSet { version, content: encode(&state.record) };
            match self.write(key, write).await {
                Outcome::Done { .. } | Outcome::Indeterminate => {}
                Outcome::Conflict { .. } => self.disown(key, &state.loaded, &begun).await?,
                Outcome::Unavailable => return Err(Unavailable),
            }
        }
        Ok(Look::Again(TICK))
    }

    /// Does what the runs need, those that make room first; returns the jobs that were made.
    async fn tend(&self, loaded: &LoadedSchedule, record: &mut ScheduleRecord) -> Vec<JobId> {
        let mut runs: Vec<Run> = record.runs.clone();
        runs.sort_by_key(|run| run.state != RunState::Removing);
        let mut begun = Vec::new();
        for run in runs {
            let job = JobRef { tenant: tenant(loaded), id: run.job };
            let seen = match run.state {
                RunState::Planned => {
                    let made = self.hands.begin(&job, &job_file(&loaded.file, &run)).await;
                    begun.extend(made.is_ok().then_some(run.job));
                    made.ok().map(|()| Seen::Running)
                }
                RunState::Running => self.seen(&job).await,
                RunState::Removing => self.remove(&job).await,
                RunState::Succeeded | RunState::Failed => None,
            };
            if let Some(seen) = seen {
                record.see(run.job, seen);
            }
        }
        begun
    }

    /// Removes a job that has no place in the history, once its outputs are written; `None` if it is still there.
    async fn remove(&self, job: &JobRef) -> Option<Seen> {
        let status = self.hands.status(job).await;
        let writes =
            |status: &JobStatus| status.outputs.iter().any(|output| output.progress.state == OutputWord::Writing);
        if status.is_ok_and(|status| writes(&status)) {
            return None;
        }
        match self.hands.remove(job).await {
            Ok(()) | Err(JobsError::NotFound(_)) => Some(Seen::Gone),
            Err(_) => None,
        }
    }

    /// What became of a job that was made; `None` if there is no news of it.
    async fn seen(&self, job: &JobRef) -> Option<Seen> {
        match self.hands.status(job).await {
            Ok(status) => match status.phase {
                Phase::Completed => {
                    let at = status.completed_at.and_then(|at| at.parse::<Timestamp>().ok());
                    Some(Seen::Succeeded(at.map_or(0, Timestamp::as_second)))
                }
                Phase::Failed | Phase::Stopped | Phase::Cancelled => Some(Seen::Failed),
                Phase::Deleting => Some(Seen::Gone),
                _ => None,
            },
            Err(JobsError::NotFound(_)) => Some(Seen::Gone),
            Err(_) => None,
        }
    }

    /// Somebody else was faster: a job that was made here and is no run of the schedule any more was over already when it
    /// was made anew, or is of a schedule that is gone.
    async fn disown(&self, key: ScheduleKey, loaded: &LoadedSchedule, begun: &[JobId]) -> Result<(), Unavailable> {
        if begun.is_empty() {
            return Ok(());
        }
        let current = self.record(key).await?.map(|(record, _)| record.runs).unwrap_or_default();
        for id in begun.iter().filter(|id| !current.iter().any(|run| run.job == **id)) {
            let removed = self.hands.remove(&JobRef { tenant: tenant(loaded), id: *id }).await;
            if let Err(error) = removed {
                tracing::warn!(%error, job = %id, "a job that no schedule names could not be removed");
            }
        }
        Ok(())
    }
}

fn plan(loaded: &LoadedSchedule, record: &mut ScheduleRecord, now: Timestamp) {
    record.tidy(&loaded.rules);
    let since = Timestamp::from_second(record.since(&loaded.rules, now.as_second()));
    if let (false, Ok(since)) = (loaded.file.spec.suspend, since)
        && let Some(due) = loaded.clock.due(since, now)
    {
        record.plan(&loaded.rules, due.as_second());
    }
}

fn wait(loaded: &LoadedSchedule, record: &ScheduleRecord, now: Timestamp) -> Duration {
    let waits = |run: &Run| run.state.is_active() || run.state == RunState::Removing;
    let longest = if record.runs.iter().any(waits) { TICK } else { LONGEST_WAIT };
    if loaded.file.spec.suspend {
        return longest;
    }
    let next = loaded.clock.next(now).and_then(|next| Duration::try_from(next.duration_since(now)).ok());
    next.map_or(longest, |next| next.min(longest))
}

fn tenant(loaded: &LoadedSchedule) -> Tenant {
    let written = loaded.file.metadata.namespace.as_deref();
    written.and_then(|name| name.parse().ok()).unwrap_or_default()
}
