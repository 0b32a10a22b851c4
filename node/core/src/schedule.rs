//! A schedule that the ring keeps: which runs there are, and what follows from a time that is due.
//!
//! A run is planned in the schedule's own register before its job is made, and the job's id follows from the schedule and
//! the time. So two nodes that both believe to keep a schedule plan a time once, and make the same job.

use crate::frontier::record::JobId;
use crate::id::Partition;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// Most runs of a schedule that have not ended; further times wait until one has.
pub const MOST_ACTIVE: usize = 64;

/// Where a schedule is kept: a hash of its tenant and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduleKey(pub [u8; 20]);

impl ScheduleKey {
    /// The key of the schedule `name` of `tenant`.
    #[must_use]
    pub fn of(tenant: &str, name: &str) -> Self {
        Self(hash(&[b"schedule", tenant.as_bytes(), name.as_bytes()]))
    }

    /// The partition whose owner keeps it.
    #[must_use]
    pub fn partition(self) -> Partition {
        Partition::of(&self.0)
    }
}

/// A schedule as it is stored. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// The document as it was accepted, or last changed, JSON.
    pub file: String,
    /// Tells it from a later one of the same name.
    pub uid: [u8; 16],
    /// When it was made.
    pub created_s: i64,
    /// Times up to here are settled: a run was made for them, or never will be.
    pub settled_s: i64,
    /// The last time for which a run was made.
    pub last_s: Option<i64>,
    /// When a run last completed.
    pub last_success_s: Option<i64>,
    /// Runs whose jobs are kept, the oldest first.
    pub runs: Vec<Run>,
}

/// A run of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its job.
    pub job: JobId,
    /// The time that it was made for, seconds since 1970.
    pub due_s: i64,
    /// Whether a user asked for it.
    pub manual: bool,
    /// Where it stands.
    pub state: RunState,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    /// Its job is to be made.
    Planned,
    /// Its job was made, and has not ended.
    Running,
    /// Its job has completed.
    Succeeded,
    /// Its job has ended in another way.
    Failed,
    /// Its job is to be deleted.
    Removing,
}

impl RunState {
    /// Whether its job has not ended.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Planned | Self::Running)
    }
}

/// What happens when a time comes and a run has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// They run side by side.
    Allow,
    /// The time waits until the run has ended.
    Forbid,
    /// The run is removed.
    Replace,
}

/// How a schedule is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What happens to runs that have not ended.
    pub concurrency: Concurrency,
    /// How late a time may be made up for; without it, the last one missed always is.
    pub deadline_s: Option<i64>,
    /// Most completed runs that are kept.
    pub most_succeeded: usize,
    /// Most runs that ended in another way that are kept.
    pub most_failed: usize,
}

/// What was seen of a run's job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is there and has not ended.
    Running,
    /// It has completed; when, seconds since 1970.
    Succeeded(i64),
    /// It has ended in another way.
    Failed,
    /// It is not there any more.
    Gone,
}

impl ScheduleRecord {
    /// A new schedule.
    #[must_use]
    pub fn new(file: String, uid: [u8; 16], now_s: i64) -> Self {
        Self { file, uid, created_s: now_s, settled_s: now_s, last_s: None, last_success_s: None, runs: Vec::new() }
    }

    /// The id of the job for a time.
    #[must_use]
    pub fn job_at(&self, due_s: i64) -> JobId {
        self.job(b"due", &due_s.to_be_bytes())
    }

    /// The id of the job that a user asks for under a word of their own.
    #[must_use]
    pub fn job_named(&self, word: &str) -> JobId {
        self.job(b"word", word.as_bytes())
    }

    /// A UUID of version 8 (RFC 9562, section 5.8).
    fn job(&self, kind: &[u8], name: &[u8]) -> JobId {
        let hash = hash(&[b"run", &self.uid, kind, name]);
        let bytes = *hash.first_chunk::<16>().expect("SHA-1 has 20 bytes");
        JobId(uuid::Builder::from_custom_bytes(bytes).into_uuid().into_bytes())
    }

    /// Times after this one may be due at `now_s`.
    #[must_use]
    pub fn since(&self, rules: &Rules, now_s: i64) -> i64 {
        let earliest = rules.deadline_s.map_or(i64::MIN, |deadline| now_s.saturating_sub(deadline));
        self.settled_s.max(earliest)
    }

    /// Notes what was seen of a run's job.
    pub fn see(&mut self, job: JobId, seen: Seen) {
        let Some(run) = self.runs.iter_mut().find(|run| run.job == job) else { return };
        if run.state == RunState::Removing && seen != Seen::Gone {
            return;
        }
        match seen {
            Seen::Running => run.state = RunState::Running,
            Seen::Succeeded(at_s) => {
                run.state = RunState::Succeeded;
                self.last_success_s = self.last_success_s.max(Some(at_s));
            }
            Seen::Failed => run.state = RunState::Failed,
            Seen::Gone => self.runs.retain(|run| run.job != job),
        }
    }

    /// Plans the run for a time that is due; whether it was planned or was before. It is not while runs stand in its way.
    pub fn plan(&mut self, rules: &Rules, due_s: i64) -> bool {
        if due_s <= self.settled_s {
            return true;
        }
        let active = self.active();
        match rules.concurrency {
            Concurrency::Forbid if active > 0 => return false,
            Concurrency::Allow | Concurrency::Forbid if active >= MOST_ACTIVE => return false,
            Concurrency::Allow | Concurrency::Forbid => {}
            Concurrency::Replace => {
                let runs = self.runs.iter_mut().filter(|run| run.state.is_active());
                runs.for_each(|run| run.state = RunState::Removing);
            }
        }
        let run = Run { job: self.job_at(due_s), due_s, manual: false, state: RunState::Planned };
        self.runs.push(run);
        self.settled_s = due_s;
        self.last_s = Some(due_s);
        true
    }

    /// Plans a run that a user asks for, whatever runs; `None` if there are too many.
    pub fn plan_manual(&mut self, word: &str, now_s: i64) -> Option<Run> {
        let job = self.job_named(word);
        if let Some(run) = self.runs.iter().find(|run| run.job == job) {
            return Some(*run);
        }
        let run = Run { job, due_s: now_s, manual: true, state: RunState::Planned };
        (self.active() < MOST_ACTIVE).then(|| self.runs.push(run))?;
        Some(run)
    }

    /// Marks ended runs beyond the limits for removal, the oldest first.
    pub fn tidy(&mut self, rules: &Rules) {
        for (state, most) in [(RunState::Succeeded, rules.most_succeeded), (RunState::Failed, rules.most_failed)] {
            let ended = self.runs.iter().filter(|run| run.state == state).count();
            let surplus = self.runs.iter_mut().filter(|run| run.state == state).take(ended.saturating_sub(most));
            surplus.for_each(|run| run.state = RunState::Removing);
        }
    }

    /// Runs that have not ended.
    #[must_use]
    pub fn active(&self) -> usize {
        self.runs.iter().filter(|run| run.state.is_active()).count()
    }
}

/// Each part with its length, so that no two lists of parts are the same bytes.
fn hash(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { concurrency: Concurrency::Allow, deadline_s: None, most_succeeded: 2, most_failed: 1 };

    fn schedule() -> ScheduleRecord {
        ScheduleRecord::new("{}".to_owned(), [7; 16], 100)
    }

    fn states(record: &ScheduleRecord) -> Vec<(i64, RunState)> {
        record.runs.iter().map(|run| (run.due_s, run.state)).collect()
    }

    #[test]
    fn a_time_is_planned_once_whoever_plans_it() {
        let mut one = schedule();
        assert!(one.plan(&RULES, 160) && one.plan(&RULES, 160) && one.plan(&RULES, 100));
        assert_eq!(states(&one), [(160, RunState::Planned)]);
        let mut other = schedule();
        other.plan(&RULES, 160);
        assert_eq!(one.runs[0].job, other.runs[0].job, "the same time makes the same job");
        assert_ne!(one.job_at(160), one.job_at(220));
        let later = ScheduleRecord { uid: [8; 16], ..schedule() };
        assert_ne!(one.job_at(160), later.job_at(160), "a new schedule of the same name makes jobs of its own");
    }

    #[test]
    fn a_run_that_has_not_ended_is_passed_waited_for_or_replaced() {
        for (concurrency, planned, first) in [
            (Concurrency::Allow, true, RunState::Running),
            (Concurrency::Forbid, false, RunState::Running),
            (Concurrency::Replace, true, RunState::Removing),
        ] {
            let mut record = schedule();
            record.plan(&RULES, 160);
            record.see(record.job_at(160), Seen::Running);
            assert_eq!(record.plan(&Rules { concurrency, ..RULES }, 220), planned, "{concurrency:?}");
            assert_eq!(record.runs[0].state, first, "{concurrency:?}");
            assert_eq!(record.settled_s, if planned { 220 } else { 160 }, "{concurrency:?}");
        }
    }

    #[test]
    fn a_time_that_waited_is_made_up_for_when_the_run_has_ended() {
        let forbid = Rules { concurrency: Concurrency::Forbid, ..RULES };
        let mut record = schedule();
        record.plan(&forbid, 160);
        assert!(!record.plan(&forbid, 220));
        record.see(record.job_at(160), Seen::Succeeded(230));
        assert!(record.plan(&forbid, 220));
        assert_eq!((record.last_s, record.last_success_s), (Some(220), Some(230)));
    }

    #[test]
    fn times_beyond_the_deadline_are_not_looked_for() {
        assert_eq!(schedule().since(&RULES, 10_000), 100);
        assert_eq!(schedule().since(&Rules { deadline_s: Some(50), ..RULES }, 10_000), 9_950);
        assert_eq!(schedule().since(&Rules { deadline_s: Some(50), ..RULES }, 120), 100);
    }

    #[test]
    fn ended_runs_beyond_the_limits_go_the_oldest_first_and_running_ones_never() {
        let mut record = schedule();
        for (index, seen) in
            [Seen::Succeeded(1), Seen::Failed, Seen::Running, Seen::Succeeded(2), Seen::Succeeded(3), Seen::Failed]
                .into_iter()
                .enumerate()
        {
            let due_s = 160 + i64::try_from(index).expect("small");
            record.plan(&RULES, due_s);
            record.see(record.job_at(due_s), seen);
        }
        record.tidy(&RULES);
        let removing = |(due_s, state): &(i64, RunState)| (*state == RunState::Removing).then_some(*due_s);
        assert_eq!(states(&record).iter().filter_map(removing).collect::<Vec<_>>(), [160, 161]);
        record.see(record.job_at(160), Seen::Failed);
        record.see(record.job_at(160), Seen::Gone);
        assert_eq!(record.runs[0].due_s, 161, "what is being removed stays so until it is gone");
    }

    #[test]
    fn a_user_may_ask_for_a_run_at_any_time_and_twice_under_one_word() {
        let mut record = schedule();
        record.plan(&RULES, 160);
        let run = record.plan_manual("now", 170).expect("room");
        assert_eq!(record.plan_manual("now", 180), Some(run));
        assert_eq!((record.runs.len(), record.settled_s), (2, 160));
        for index in 0..2 * MOST_ACTIVE {
            record.plan_manual(&index.to_string(), 190);
        }
        assert_eq!(record.active(), MOST_ACTIVE);
        assert!(!record.plan(&RULES, 220), "a schedule whose jobs never end stops making them");
    }
}
