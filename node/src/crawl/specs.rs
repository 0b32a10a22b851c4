//! How jobs are to be run: read from their registers once, kept compiled.

use crate::driver::Driver;
use crate::driver::registers::Unavailable;
use crate::extract::CompiledExtract;
use crate::job::window::Window;
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{JobId, JobPhase, JobRecord, decode};
use scrapering_core::job::ValidatedJob;
use scrapering_crds::job::StoreBody;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Jobs kept compiled; when there are more, all are read again as they are needed.
const MOST: usize = 1024;

/// A job ready to run.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) job: Arc<ValidatedJob>,
    pub(super) extract: CompiledExtract,
    /// When it may fetch; empty for always.
    pub(super) windows: Vec<Window>,
    /// Which of its pages are kept as they were read.
    pub(super) store_body: StoreBody,
    /// How often its user had changed it.
    revision: u32,
}

/// The jobs that this node works on. A cheap clone.
#[derive(Clone)]
pub(super) struct Specs {
    driver: Driver,
    known: Arc<Mutex<BTreeMap<JobId, Arc<Spec>>>>,
}

impl Specs {
    pub(super) fn new(driver: Driver) -> Self {
        Self { driver, known: Arc::default() }
    }

    /// The job's record and its version; `None` if there is no such job.
    pub(super) async fn record(&self, id: JobId) -> Result<Option<(JobRecord, u64)>, Unavailable> {
        let value = self.driver.read_one(Name::Job(id).key(job_partition(id))).await?;
        let record = value.and_then(|value| Some((decode(value.content.as_deref()?).ok()?, value.version)));
        Ok(record)
    }

    /// The job, compiled; `None` if there is no such job. A job that this release cannot run is no reason to forget
    /// it: that counts as unavailable.
    pub(super) async fn spec(&self, id: JobId) -> Result<Option<Arc<Spec>>, Unavailable> {
        self.at_least(id, 0).await
    }

    /// As [`Specs::spec`], not older than `revision`.
    pub(super) async fn at_least(&self, id: JobId, revision: u32) -> Result<Option<Arc<Spec>>, Unavailable> {
        if let Some(spec) = self.known().get(&id).filter(|spec| spec.revision >= revision) {
            return Ok(Some(Arc::clone(spec)));
        }
        let Some((record, _)) = self.record(id).await? else { return Ok(None) };
        if matches!(record.phase, JobPhase::Deleting | JobPhase::Discarding | JobPhase::Cancelled) {
            return Ok(None);
        }
        let spec = compile(&record).map(Arc::new).ok_or(Unavailable)?;
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(id, Arc::clone(&spec));
        Ok(Some(spec))
    }

    /// The job is not worked on any more.
    pub(super) fn forget(&self, id: JobId) {
        self.known().remove(&id);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<JobId, Arc<Spec>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stored job was checked when it was submitted; one that does not pass was stored by another release.
fn compile(record: &JobRecord) -> Option<Spec> {
    let loaded = crate::job::load(&record.file)
        .inspect_err(|error| tracing::error!(%error, "a stored job cannot be run by this release"))
        .ok()?;
    let extract = CompiledExtract::compile(&loaded.job.extract, &loaded.job.follow)
        .inspect_err(|error| tracing::error!(%error, "a stored job cannot be run by this release"))
        .ok()?;
    let extract = extract.with_text(loaded.job.dedup.needs_text());
    let windows = crate::job::windows(&loaded.file.spec);
    let store_body = crate::job::store_body(&loaded.file.spec);
    Some(Spec { job: Arc::new(loaded.job), extract, windows, store_body, revision: record.revision })
}
