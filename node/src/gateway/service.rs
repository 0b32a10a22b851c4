//! What the gateway needs of the crawl. [`Jobs`] is it; the gateway's own tests put memory behind the same door.

use crate::crawl::cursor::Cursor;
use crate::crawl::hosts::{HostLimitsObject, HostObject};
use crate::crawl::jobs::{JobStatus, JobsError, Page, SeedVerdict, Skipped};
use crate::crawl::{Hosts, Jobs};
use futures::future::BoxFuture;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::ScrapeJobFile;
use serde_json::Value;
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
    /// Ends a job and keeps what it found.
    fn stop(&self, id: JobId) -> Answer<'_, ()>;
    /// Ends a job and removes what it found.
    fn cancel(&self, id: JobId) -> Answer<'_, ()>;
    /// Opens the failed pages of a job that has ended again.
    fn retry_failed(&self, id: JobId) -> Answer<'_, ()>;
    /// Changes the spec of a job that has not ended.
    fn revise<'a>(&'a self, id: JobId, patch: &'a Value) -> Answer<'a, ()>;
    /// Adds seeds to a job that has not ended.
    fn add_seeds<'a>(&'a self, id: JobId, urls: &'a [String]) -> Answer<'a, Vec<SeedVerdict>>;
}

/// Hosts, through any node of the ring.
pub trait HostService: Send + Sync + 'static {
    /// What is known of an origin.
    fn read<'a>(&'a self, origin: &'a str) -> Answer<'a, HostObject>;
    /// What the operator asks for at an origin; `forgive` ends the ring's own pauses.
    fn limit<'a>(&'a self, origin: &'a str, limits: HostLimitsObject, forgive: bool) -> Answer<'a, HostObject>;
}

impl HostService for Hosts {
    fn read<'a>(&'a self, origin: &'a str) -> Answer<'a, HostObject> {
        Box::pin(Self::read(self, origin))
    }

    fn limit<'a>(&'a self, origin: &'a str, limits: HostLimitsObject, forgive: bool) -> Answer<'a, HostObject> {
        Box::pin(Self::limit(self, origin, limits, forgive))
    }
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

    fn stop(&self, id: JobId) -> Answer<'_, ()> {
        Box::pin(Self::stop(self, id))
    }

    fn cancel(&self, id: JobId) -> Answer<'_, ()> {
        Box::pin(Self::cancel(self, id))
    }

    fn retry_failed(&self, id: JobId) -> Answer<'_, ()> {
        Box::pin(Self::retry_failed(self, id))
    }

    fn revise<'a>(&'a self, id: JobId, patch: &'a Value) -> Answer<'a, ()> {
        Box::pin(Self::revise(self, id, patch))
    }

    fn add_seeds<'a>(&'a self, id: JobId, urls: &'a [String]) -> Answer<'a, Vec<SeedVerdict>> {
        Box::pin(Self::add_seeds(self, id, urls))
    }
}
