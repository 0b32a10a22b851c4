//! How jobs are to be run: read from their registers once, kept compiled.

use crate::driver::Driver;
use crate::driver::registers::Unavailable;
use crate::extract::CompiledExtract;
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{JobId, JobRecord, decode};
use scrapering_core::job::ValidatedJob;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Jobs kept compiled; when there are more, all are read again as they are needed.
const MOST: usize = 1024;

/// A job ready to run.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) job: Arc<ValidatedJob>,
    pub(super) extract: CompiledExtract,
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
        if let Some(spec) = self.known().get(&id) {
            return Ok(Some(Arc::clone(spec)));
        }
        let Some((record, _)) = self.record(id).await? else { return Ok(None) };
        let spec = compile(&record.file).map(Arc::new).ok_or(Unavailable)?;
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(id, Arc::clone(&spec));
        Ok(Some(spec))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<JobId, Arc<Spec>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stored job was checked when it was submitted; one that does not pass was stored by another release.
fn compile(file: &str) -> Option<Spec> {
    let loaded = crate::job::load(file)
        .inspect_err(|error| tracing::error!(%error, "a stored job cannot be run by this release"))
        .ok()?;
    let extract = CompiledExtract::compile(&loaded.job.extract, &loaded.job.follow)
        .inspect_err(|error| tracing::error!(%error, "a stored job cannot be run by this release"))
        .ok()?;
    Some(Spec { job: Arc::new(loaded.job), extract })
}
