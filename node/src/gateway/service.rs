//! What the gateway needs of the crawl. [`Jobs`] is it; the gateway's own tests put memory behind the same door.

use crate::crawl::Jobs;
use crate::crawl::cursor::Cursor;
use crate::crawl::jobs::{JobStatus, JobsError, Page, Skipped};
use futures::future::BoxFuture;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::ScrapeJobFile;
use serde_json::value::RawValue;

/// An answer about jobs, when it is there.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, JobsError>>;

/// Jobs, through any node of the ring.
pub trait JobService: Send + Sync + 'static {
    /// Stores a job under an id chosen by the caller; the same id again changes nothing.
    fn submit<'a>(&'a self, id: JobId, file: &'a ScrapeJobFile) -> Answer<'a, ()>;
    /// How far a job is.
    fn status(&self, id: JobId) -> Answer<'_, JobStatus>;
    /// Every job.
    fn list(&self) -> Answer<'_, Vec<JobStatus>>;
    /// Items after `cursor`, each a JSON object on one line, at most `limit`.
    fn items<'a>(&'a self, id: JobId, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Box<RawValue>>>;
    /// URLs that were not fetched, after `cursor`, at most `limit`.
    fn skipped<'a>(&'a self, id: JobId, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Skipped>>;
    /// Pauses or resumes a job.
    fn suspend(&self, id: JobId, suspended: bool) -> Answer<'_, ()>;
    /// Removes a job and what it found.
    fn delete(&self, id: JobId) -> Answer<'_, ()>;
}

impl JobService for Jobs {
    fn submit<'a>(&'a self, id: JobId, file: &'a ScrapeJobFile) -> Answer<'a, ()> {
        Box::pin(Self::submit(self, id, file))
    }

    fn status(&self, id: JobId) -> Answer<'_, JobStatus> {
        Box::pin(Self::status(self, id))
    }

    fn list(&self) -> Answer<'_, Vec<JobStatus>> {
        Box::pin(Self::list(self))
    }

    fn items<'a>(&'a self, id: JobId, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Box<RawValue>>> {
        Box::pin(Self::items(self, id, cursor, limit))
    }

    fn skipped<'a>(&'a self, id: JobId, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Skipped>> {
        Box::pin(Self::skipped(self, id, cursor, limit))
    }

    fn suspend(&self, id: JobId, suspended: bool) -> Answer<'_, ()> {
        Box::pin(Self::suspend(self, id, suspended))
    }

    fn delete(&self, id: JobId) -> Answer<'_, ()> {
        Box::pin(Self::delete(self, id))
    }
}
