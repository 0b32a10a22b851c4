//! Schedules that the ring keeps itself, through any node.
//!
//! A schedule and its runs are one register. Whoever owns the register's partition keeps it ([`keeper`]): it plans the run
//! of a time that is due there before it makes the run's job, whose id follows from the schedule and the time. So each time
//! gives one run, whoever dies in between, and also if two nodes believe to be the keeper.

mod keeper;
mod ring;
#[cfg(test)]
mod tests;

pub(super) use ring::{Keepers, keep};

use super::jobs::{JobRef, JobStatus, JobsError};
use crate::auth::Tenant;
use crate::driver::registers::{Unavailable, settled};
use crate::job::schedule::{LoadedSchedule, job_file};
use crate::job::{self, FieldError};
use crate::kv::Registers;
use futures::future::BoxFuture;
use jiff::Timestamp;
use scrapering_core::frontier::keys::Name;
use scrapering_core::frontier::record::{decode, encode};
use scrapering_core::id::{OperationId, Partition};
use scrapering_core::register::{Change, Outcome};
use scrapering_core::schedule::{Run, ScheduleKey, ScheduleRecord};
use scrapering_crds::{ScrapeJobFile, ScrapeScheduleFile};
use serde_json::Value;
use std::sync::Arc;

/// How often a change is tried against others.
const RACES: usize = 20;

/// What is done with the jobs of a schedule, and who is told that one has changed.
pub trait Hands: Send + Sync + 'static {
    /// Makes a job; the same again changes nothing.
    fn begin<'a>(&'a self, job: &'a JobRef, file: &'a ScrapeJobFile) -> BoxFuture<'a, Result<(), JobsError>>;
    /// How far a job is.
    fn status<'a>(&'a self, job: &'a JobRef) -> BoxFuture<'a, Result<JobStatus, JobsError>>;
    /// Deletes a job.
    fn remove<'a>(&'a self, job: &'a JobRef) -> BoxFuture<'a, Result<(), JobsError>>;
    /// Sees to it that somebody keeps the schedule, and looks at it now.
    fn wake(&self, key: ScheduleKey) -> BoxFuture<'_, Result<(), Unavailable>>;
}

/// A schedule as its caller names it: another tenant's is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRef {
    /// Whose it is.
    pub tenant: Tenant,
    /// What it is called.
    pub name: String,
}

impl ScheduleRef {
    fn key(&self) -> ScheduleKey {
        ScheduleKey::of(self.tenant.as_str(), &self.name)
    }
}

/// A schedule and its runs.
#[derive(Clone, Debug)]
pub struct ScheduleState {
    /// As it is stored.
    pub record: ScheduleRecord,
    /// Grows with every change.
    pub version: u64,
    /// What it says.
    pub loaded: LoadedSchedule,
}

/// Why a request about schedules was not served.
#[derive(Debug, thiserror::Error)]
pub enum SchedulesError {
    /// The caller named a schedule that does not exist. Nothing changed.
    #[error("there is no schedule {0}")]
    NotFound(String),
    /// The name is taken by another schedule. Nothing changed.
    #[error("there is another schedule {0} already; change or delete that one, or choose another name")]
    Exists(String),
    /// The schedule is in another version than the caller named. Nothing changed.
    #[error("the schedule has changed: it is in version {current} now; read it again")]
    Changed {
        /// Its version now.
        current: u64,
    },
    /// So many runs have not ended that there can be no further one. Nothing changed.
    #[error("too many runs of the schedule have not ended; wait for one, or delete one")]
    TooManyRuns,
    /// The change would make a schedule that cannot be kept. Nothing changed.
    #[error("the schedule would not be valid")]
    Invalid(Vec<FieldError>),
    /// Too few nodes answered. It may be sent again: nothing is done twice.
    #[error("too few nodes of the ring answer; try again")]
    Unavailable,
    /// The change may or may not have been made: read the schedule to see.
    #[error("it is not known whether the change was made; read the schedule to see")]
    Indeterminate,
    /// About the job of a run.
    #[error(transparent)]
    Job(#[from] JobsError),
}

impl From<Unavailable> for SchedulesError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

/// The schedules of the ring. A cheap clone.
#[derive(Clone)]
pub struct Schedules {
    registers: Arc<dyn Registers>,
    hands: Arc<dyn Hands>,
}

impl Schedules {
    /// Schedules in `registers`, whose jobs are in `hands`.
    #[must_use]
    pub fn new(registers: impl Registers, hands: impl Hands) -> Self {
        Self { registers: Arc::new(registers), hands: Arc::new(hands) }
    }

    /// Stores a schedule and sees it kept; the same document again changes nothing.
    ///
    /// # Errors
    /// [`SchedulesError::Exists`], [`SchedulesError::Unavailable`], [`SchedulesError::Indeterminate`].
    pub async fn create(
        &self,
        at: &ScheduleRef,
        file: &ScrapeScheduleFile,
        now: Timestamp,
    ) -> Result<ScheduleState, SchedulesError> {
        let text = stored(file, &at.tenant)?;
        let record = ScheduleRecord::new(text.clone(), uuid::Uuid::now_v7().into_bytes(), now.as_second());
        match self.write(at.key(), Change::Create(encode(&record))).await {
            Outcome::Done { .. } => {}
            Outcome::Conflict { .. } if self.read(at).await?.record.file == text => {}
            Outcome::Conflict { .. } => return Err(SchedulesError::Exists(at.name.clone())),
            Outcome::Indeterminate => return Err(SchedulesError::Indeterminate),
            Outcome::Unavailable => return Err(SchedulesError::Unavailable),
        }
        self.hands.wake(at.key()).await?;
        self.read(at).await
    }

    /// A schedule.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`], [`SchedulesError::Unavailable`].
    pub async fn read(&self, at: &ScheduleRef) -> Result<ScheduleState, SchedulesError> {
        let found = self.record(at.key()).await?;
        let (record, version) = found.ok_or_else(|| SchedulesError::NotFound(at.name.clone()))?;
        state(record, version).ok_or(SchedulesError::Unavailable)
    }

    /// Every schedule of a tenant, by name.
    ///
    /// # Errors
    /// [`SchedulesError::Unavailable`].
    pub async fn list(&self, tenant: &Tenant) -> Result<Vec<ScheduleState>, SchedulesError> {
        let scans = Partition::all().map(|partition| self.schedules_in(partition));
        let all = futures::future::try_join_all(scans.collect::<Vec<_>>()).await?.into_iter().flatten();
        let mut own: Vec<ScheduleState> =
            all.filter(|state| state.loaded.file.metadata.namespace.as_deref() == Some(tenant.as_str())).collect();
        own.sort_by(|one, other| one.loaded.file.metadata.name.cmp(&other.loaded.file.metadata.name));
        Ok(own)
    }

    /// Changes the spec by a merge patch (RFC 7396), if `only` is given only in that version. Times before the change are
    /// not made up for when it changes the times.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`], [`SchedulesError::Changed`], [`SchedulesError::Invalid`],
    /// [`SchedulesError::Unavailable`], [`SchedulesError::Indeterminate`].
    pub async fn patch(
        &self,
        at: &ScheduleRef,
        patch: &Value,
        only: Option<u64>,
        now: Timestamp,
    ) -> Result<ScheduleState, SchedulesError> {
        self.edit(at, only, |ScheduleState { record, loaded, .. }| {
            let mut file: Value = serde_json::from_str(&record.file).map_err(|_| SchedulesError::Unavailable)?;
            if let Some(spec) = file.get_mut("spec") {
                super::doors::merge(spec, patch);
            }
            let changed = job::schedule::load(&file.to_string());
            let changed = changed.map_err(|error| SchedulesError::Invalid(error.field_errors()))?.file;
            let times = |file: &ScrapeScheduleFile| (file.spec.schedule.clone(), file.spec.time_zone.clone());
            if times(&changed) != times(&loaded.file) {
                record.settled_s = record.settled_s.max(now.as_second());
            }
            record.file = stored(&changed, &at.tenant)?;
            Ok(())
        })
        .await?;
        self.hands.wake(at.key()).await?;
        self.read(at).await
    }

    /// Deletes a schedule, if `only` is given only in that version. The jobs that it made stay, with their results.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`], [`SchedulesError::Changed`], [`SchedulesError::Unavailable`],
    /// [`SchedulesError::Indeterminate`].
    pub async fn delete(&self, at: &ScheduleRef, only: Option<u64>) -> Result<(), SchedulesError> {
        for _ in 0..RACES {
            let current = self.read(at).await?.version;
            if only.is_some_and(|only| only != current) {
                return Err(SchedulesError::Changed { current });
            }
            match self.write(at.key(), Change::Delete { version: only }).await {
                Outcome::Done { .. } => return Ok(()),
                Outcome::Conflict { .. } => {}
                Outcome::Indeterminate => return Err(SchedulesError::Indeterminate),
                Outcome::Unavailable => return Err(SchedulesError::Unavailable),
            }
        }
        Err(SchedulesError::Unavailable)
    }

    /// Makes a run now, whatever the times say and also if the schedule is suspended; the same `word` again makes no second
    /// one while the first is kept.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`], [`SchedulesError::TooManyRuns`], [`SchedulesError::Unavailable`],
    /// [`SchedulesError::Indeterminate`].
    pub async fn trigger(&self, at: &ScheduleRef, word: &str, now: Timestamp) -> Result<JobStatus, SchedulesError> {
        let state = self
            .edit(at, None, |state| {
                let planned = state.record.plan_manual(word, now.as_second());
                planned.map(|_| ()).ok_or(SchedulesError::TooManyRuns)
            })
            .await?;
        let job = state.record.job_named(word);
        let run = state.record.runs.iter().find(|run| run.job == job).copied();
        let run = run.ok_or(SchedulesError::Unavailable)?;
        let job = JobRef { tenant: at.tenant.clone(), id: job };
        self.hands.begin(&job, &job_file(&state.loaded.file, &run)).await?;
        self.hands.wake(at.key()).await?;
        Ok(self.hands.status(&job).await?)
    }

    /// The jobs of the runs that are kept, the newest first.
    ///
    /// # Errors
    /// [`SchedulesError::NotFound`], [`SchedulesError::Unavailable`].
    pub async fn runs(&self, at: &ScheduleRef) -> Result<Vec<JobStatus>, SchedulesError> {
        let runs: Vec<Run> = self.read(at).await?.record.runs.into_iter().rev().collect();
        let mut jobs = Vec::new();
        for run in runs {
            match self.hands.status(&JobRef { tenant: at.tenant.clone(), id: run.job }).await {
                Ok(status) => jobs.push(status),
                // Planned and not made yet, or deleted by its user.
                Err(JobsError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(jobs)
    }

    /// Writes what `change` makes of a schedule; nothing if that is what it was.
    async fn edit(
        &self,
        at: &ScheduleRef,
        only: Option<u64>,
        change: impl Fn(&mut ScheduleState) -> Result<(), SchedulesError>,
    ) -> Result<ScheduleState, SchedulesError> {
        for _ in 0..RACES {
            let before = self.read(at).await?;
            if let Some(only) = only
                && only != before.version
            {
                return Err(SchedulesError::Changed { current: before.version });
            }
            let mut after = before.clone();
            change(&mut after)?;
            if after.record == before.record {
                return Ok(after);
            }
            let write = Change::CompareAndSet { version: before.version, content: encode(&after.record) };
            match self.write(at.key(), write).await {
                Outcome::Done { .. } => return Ok(after),
                Outcome::Conflict { .. } => {}
                Outcome::Indeterminate => return Err(SchedulesError::Indeterminate),
                Outcome::Unavailable => return Err(SchedulesError::Unavailable),
            }
        }
        Err(SchedulesError::Unavailable)
    }

    /// Makes a change, asked for again under its name while its outcome is unknown.
    async fn write(&self, key: ScheduleKey, change: Change) -> Outcome {
        let name = Name::Schedule(key).key(key.partition());
        settled(|operation| self.registers.change(name.clone(), change.clone(), operation)).await
    }

    async fn record(&self, key: ScheduleKey) -> Result<Option<(ScheduleRecord, u64)>, Unavailable> {
        let name = Name::Schedule(key).key(key.partition());
        match self.registers.change(name, Change::Read, OperationId(rand::random())).await {
            Outcome::Done { value, .. } => {
                Ok(value.and_then(|value| Some((decode(value.content.as_deref()?).ok()?, value.version))))
            }
            _ => Err(Unavailable),
        }
    }

    async fn schedules_in(&self, partition: Partition) -> Result<Vec<ScheduleState>, Unavailable> {
        let (mut schedules, mut after) = (Vec::new(), None);
        loop {
            let page = self.registers.scan(partition, Name::schedules_prefix(), after).await?;
            schedules.extend(
                page.entries
                    .iter()
                    .filter_map(|(_, value)| state(decode(value.content.as_deref()?).ok()?, value.version)),
            );
            after = page.next;
            if after.is_none() {
                return Ok(schedules);
            }
        }
    }
}

/// The document as it is stored: it says whose it is.
fn stored(file: &ScrapeScheduleFile, tenant: &Tenant) -> Result<String, SchedulesError> {
    let mut file = file.clone();
    file.metadata.namespace = Some(tenant.to_string());
    serde_json::to_string(&file).map_err(|_| SchedulesError::Unavailable)
}

/// A stored schedule was checked; one that does not pass was stored by another release.
fn state(record: ScheduleRecord, version: u64) -> Option<ScheduleState> {
    let loaded = job::schedule::load(&record.file)
        .inspect_err(|error| tracing::error!(%error, "a stored schedule cannot be kept by this release"))
        .ok()?;
    Some(ScheduleState { record, version, loaded })
}
