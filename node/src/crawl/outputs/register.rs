//! The register that says how far an output is: one of its own for each output of the job's file, and for each export
//! the one that says what was asked for.

use crate::crawl::Crawl;
use crate::driver::registers::Unavailable;
use bytes::Bytes;
use scrapering_core::frontier::export::{ExportId, ExportRecord};
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::output::OutputRecord;
use scrapering_core::frontier::record::{JobId, JobRecord, decode, encode};
use scrapering_core::id::Key;
use scrapering_core::register::{Change, Outcome};

/// Where it stands how far an output is.
pub(super) struct Register {
    key: Key,
    asked: Option<Asked>,
}

/// What an export's register says besides.
struct Asked {
    output: String,
    created_ms: u64,
}

impl Register {
    pub(super) fn of_output(job: JobId, place: u16) -> Self {
        Self { key: Name::Output(job, place).key(job_partition(job)), asked: None }
    }

    pub(super) fn of_export(job: JobId, id: ExportId, record: ExportRecord) -> Self {
        let ExportRecord { output, created_ms, .. } = record;
        let key = Name::Export(job, id).key(job_partition(job));
        Self { key, asked: Some(Asked { output, created_ms }) }
    }

    /// What is to be written once: a run of the job, or the export.
    pub(super) fn run_ms(&self, job: &JobRecord) -> u64 {
        self.asked.as_ref().map_or(job.started_ms, |asked| asked.created_ms)
    }

    /// How far the output is, and the version of the register; 0 if nothing is noted yet.
    pub(super) async fn read(&self, crawl: &Crawl) -> Result<(OutputRecord, u64), Unavailable> {
        let value = crawl.driver.read_one(self.key.clone()).await?;
        let known = value.and_then(|value| {
            let content = value.content.as_deref()?;
            let record = match self.asked {
                None => decode(content).ok()?,
                Some(_) => decode::<ExportRecord>(content).ok()?.progress,
            };
            Some((record, value.version))
        });
        Ok(known.unwrap_or_default())
    }

    /// Notes how far the output is, unless somebody else did meanwhile.
    pub(super) async fn note(
        &self,
        crawl: &Crawl,
        record: &OutputRecord,
        version: &mut u64,
    ) -> Result<(), Unavailable> {
        let (key, content) = (self.key.clone(), self.content(record));
        let outcome = match *version {
            0 => crawl.driver.change_one(key, Change::Create(content)).await,
            version => crawl.driver.compare_and_set(key, version, content).await,
        };
        let Outcome::Done { value: Some(value), .. } = outcome else { return Err(Unavailable) };
        *version = value.version;
        Ok(())
    }

    fn content(&self, record: &OutputRecord) -> Bytes {
        match &self.asked {
            None => encode(record),
            Some(Asked { output, created_ms }) => {
                encode(&ExportRecord { output: output.clone(), created_ms: *created_ms, progress: record.clone() })
            }
        }
    }
}
