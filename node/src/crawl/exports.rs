//! Exports of a job for the doors: asked for at any time, written by the ring once the job has ended.

use super::doors::moment;
use super::jobs::{JobRef, JobsError};
use super::outputs::OutputProgress;
use super::{Crawl, Jobs};
use crate::driver::registers::Unavailable;
use scrapering_core::frontier::export::{ExportId, ExportRecord, MOST_EXPORTS};
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::output::OutputRecord;
use scrapering_core::frontier::record::{JobId, JobPhase, JobRecord, decode, encode};
use scrapering_core::id::Key;
use scrapering_core::register::{Change, Outcome, Versioned};
use scrapering_crds::ScrapeJobFile;
use scrapering_crds::job::OutputSpec;

/// An export and the version of its register.
pub(super) struct Entry {
    pub(super) id: ExportId,
    pub(super) version: u64,
    pub(super) record: ExportRecord,
}

impl Entry {
    fn of(id: ExportId, value: &Versioned) -> Option<Self> {
        Some(Self { id, version: value.version, record: decode(value.content.as_deref()?).ok()? })
    }
}

/// An export of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportStatus {
    /// Names it.
    pub id: ExportId,
    /// RFC 3339.
    pub created_at: String,
    /// Where it goes and how it is written, credentials included.
    pub output: OutputSpec,
    /// How far it is.
    pub progress: OutputProgress,
}

/// The exports of a job, the oldest first.
pub(super) async fn of_job(crawl: &Crawl, job: JobId) -> Result<Vec<Entry>, Unavailable> {
    let entry = |key: &Key, value: &Versioned| {
        let Some(Name::Export(_, id)) = Name::parse(key) else { return None };
        Entry::of(id, value)
    };
    let mut entries = crawl.driver.scan_all(job_partition(job), Name::exports_prefix(job), entry).await?;
    entries.sort_by_key(|entry| (entry.record.created_ms, entry.id));
    Ok(entries)
}

/// Removes what is noted of a job's exports; the files stay. Whether all is gone.
pub(super) async fn forget(crawl: &Crawl, job: JobId) -> Result<bool, Unavailable> {
    let partition = job_partition(job);
    let keys = of_job(crawl, job).await?.into_iter().map(|entry| Name::Export(job, entry.id).key(partition));
    Ok(crawl.driver.remove_all(partition, keys).await)
}

impl Jobs {
    /// Has what a job found written to `output`, once the job has ended, and answers how far that is; the same `id`
    /// again begins nothing new, whatever `output` says.
    ///
    /// # Errors
    /// [`JobsError::NotFound`]; [`JobsError::Invalid`] if nothing can be written so; [`JobsError::Conflict`] if nothing
    /// will be there to be written, or too much is being written; [`JobsError::Unavailable`], [`JobsError::DiskFull`] or
    /// [`JobsError::Indeterminate`]: it may be written, and may be asked for again under the same id.
    pub async fn export(&self, job: &JobRef, id: ExportId, output: &OutputSpec) -> Result<ExportStatus, JobsError> {
        let (record, _) = self.record(job).await?;
        if matches!(record.phase, JobPhase::Discarding | JobPhase::Cancelled | JobPhase::Deleting) {
            let message = "what the job found is removed: there is nothing to export";
            return Err(JobsError::Conflict(message.to_owned()));
        }
        let file: ScrapeJobFile = serde_json::from_str(&record.file).map_err(|_| JobsError::Unavailable)?;
        crate::job::export(&file.spec, output).map_err(JobsError::Invalid)?;
        let known = of_job(&self.crawl, job.id).await?;
        let entry = match known.iter().position(|entry| entry.id == id) {
            Some(place) => known.into_iter().nth(place).ok_or(JobsError::Unavailable)?,
            None => self.keep(job.id, id, output, &known).await?,
        };
        if !entry.record.is_settled() {
            self.edit(job, None, |record| {
                record.errands = true;
                Ok(())
            })
            .await?;
            // Whoever does the job's errands looks again.
            self.bring(job.id, &record.file).await?;
        }
        status(&record, entry)
    }

    /// The exports of a job, the oldest first.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn exports(&self, job: &JobRef) -> Result<Vec<ExportStatus>, JobsError> {
        let (record, _) = self.record(job).await?;
        of_job(&self.crawl, job.id).await?.into_iter().map(|entry| status(&record, entry)).collect()
    }

    /// An export of a job.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::NoExport`], [`JobsError::Unavailable`].
    pub async fn read_export(&self, job: &JobRef, id: ExportId) -> Result<ExportStatus, JobsError> {
        let (record, _) = self.record(job).await?;
        let value = self.crawl.driver.read_one(Name::Export(job.id, id).key(job_partition(job.id))).await?;
        let entry = value.and_then(|value| Entry::of(id, &value)).ok_or(JobsError::NoExport(id))?;
        status(&record, entry)
    }

    /// Writes a new export down, in the place of an old one if there are too many.
    async fn keep(&self, job: JobId, id: ExportId, output: &OutputSpec, known: &[Entry]) -> Result<Entry, JobsError> {
        let partition = job_partition(job);
        if known.len() >= MOST_EXPORTS {
            let oldest = known.iter().find(|entry| entry.record.is_settled()).ok_or_else(|| {
                JobsError::Conflict(format!(
                    "{MOST_EXPORTS} exports of the job are being written; wait for one of them"
                ))
            })?;
            let removal = Change::Delete { version: Some(oldest.version) };
            if !matches!(
                self.crawl.driver.change_one(Name::Export(job, oldest.id).key(partition), removal).await,
                Outcome::Done { .. }
            ) {
                return Err(JobsError::Unavailable);
            }
        }
        let output = serde_json::to_string(output).map_err(|_| JobsError::Unavailable)?;
        let created_ms = self.crawl.driver.clock().wall_ms();
        let record = ExportRecord { output, created_ms, progress: OutputRecord::default() };
        let key = Name::Export(job, id).key(partition);
        match self.crawl.driver.change_one(key, Change::Create(encode(&record))).await {
            Outcome::Done { value: Some(value), .. } => Ok(Entry { id, version: value.version, record }),
            Outcome::Done { .. } | Outcome::Conflict { .. } | Outcome::Indeterminate => Err(JobsError::Indeterminate),
            Outcome::Unavailable => Err(self.unavailable(Unavailable)),
        }
    }
}

fn status(job: &JobRecord, entry: Entry) -> Result<ExportStatus, JobsError> {
    let ExportRecord { output, created_ms, progress } = entry.record;
    Ok(ExportStatus {
        id: entry.id,
        created_at: moment(created_ms).unwrap_or_default(),
        output: serde_json::from_str(&output).map_err(|_| JobsError::Unavailable)?,
        progress: OutputProgress::of(job, created_ms, progress),
    })
}
