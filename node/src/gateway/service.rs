//! What the gateway needs of the crawl. [`Jobs`] is it; the gateway's own tests put memory behind the same door.

use crate::auth::Tenant;
use crate::crawl::bodies::{PageBody, PageId};
use crate::crawl::cursor::Cursor;
use crate::crawl::deliveries::Delivery;
use crate::crawl::exports::ExportStatus;
use crate::crawl::hosts::{HostLimitsObject, HostObject, HostState, RobotsObject};
use crate::crawl::jobs::{
    FetchedPage, ItemFault, JobChange, JobRef, JobStatus, JobsError, Load, Page, SeedVerdict, Skipped,
};
use crate::crawl::ledger::{LedgerPage, LedgerPlace};
use crate::crawl::opt_outs::OptOutObject;
use crate::crawl::urls::UrlStatus;
use crate::crawl::waiting::{WaitingFilter, WaitingPage, WaitingPlace};
use crate::crawl::{Hosts, Jobs};
use futures::future::BoxFuture;
use scrapering_core::frontier::delivery::DeliveryId;
use scrapering_core::frontier::export::ExportId;
use scrapering_core::job::NormalizedUrl;
use scrapering_crds::ScrapeJobFile;
use scrapering_crds::job::OutputSpec;
use serde_json::value::RawValue;

/// An answer about jobs, when it is there.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, JobsError>>;

/// Jobs, through any node of the ring. What another tenant has is not there.
pub trait JobService: Send + Sync + 'static {
    /// Stores a job under an id chosen by the caller; the same id again changes nothing.
    fn submit<'a>(&'a self, job: &'a JobRef, file: &'a ScrapeJobFile) -> Answer<'a, ()>;
    /// How far a job is.
    fn status<'a>(&'a self, job: &'a JobRef) -> Answer<'a, JobStatus>;
    /// Every job of a tenant, the oldest first.
    fn list<'a>(&'a self, tenant: &'a Tenant) -> Answer<'a, Vec<JobStatus>>;
    /// Items after `cursor`, each a JSON object on one line, at most `limit`.
    fn items<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Box<RawValue>>>;
    /// Items that were dropped, and why, after `cursor`, at least `limit` if there are so many.
    fn item_errors<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<ItemFault>>;
    /// URLs that were not fetched, after `cursor`, at most `limit`.
    fn skipped<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Skipped>>;
    /// Pages that were fetched, after `cursor`, at most `limit`.
    fn pages<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<FetchedPage>>;
    /// URLs that wait, behind `place`, at most `limit`.
    fn waiting<'a>(
        &'a self,
        job: &'a JobRef,
        filter: &'a WaitingFilter,
        place: &'a WaitingPlace,
        limit: usize,
    ) -> Answer<'a, WaitingPage>;
    /// Changes a job, if `only` is given only in that version.
    fn change<'a>(&'a self, job: &'a JobRef, change: &'a JobChange, only: Option<u64>) -> Answer<'a, ()>;
    /// Adds seeds to a job that has not ended, if `only` is given only in that version.
    fn add_seeds<'a>(&'a self, job: &'a JobRef, urls: &'a [String], only: Option<u64>) -> Answer<'a, Vec<SeedVerdict>>;
    /// A page of a job as it was read, if it is kept.
    fn page_body<'a>(&'a self, job: &'a JobRef, page: PageId) -> Answer<'a, PageBody>;
    /// Has what a job found written to `output`; the same id again begins nothing new.
    fn export<'a>(&'a self, job: &'a JobRef, id: ExportId, output: &'a OutputSpec) -> Answer<'a, ExportStatus>;
    /// The exports of a job, the oldest first.
    fn exports<'a>(&'a self, job: &'a JobRef) -> Answer<'a, Vec<ExportStatus>>;
    /// An export of a job.
    fn read_export<'a>(&'a self, job: &'a JobRef, id: ExportId) -> Answer<'a, ExportStatus>;
    /// The messages to the webhooks of a job, the newest first.
    fn deliveries<'a>(&'a self, job: &'a JobRef) -> Answer<'a, Vec<Delivery>>;
    /// Sends a message to a webhook once more.
    fn redeliver<'a>(&'a self, tenant: &'a Tenant, id: DeliveryId) -> Answer<'a, Delivery>;
    /// What became of a URL in every job of a tenant that knows it.
    fn url_statuses<'a>(&'a self, tenant: &'a Tenant, url: &'a NormalizedUrl) -> Answer<'a, Vec<UrlStatus>>;
    /// The work that this node coordinates.
    fn load(&self) -> Load;
}

/// Hosts, through any node of the ring.
pub trait HostService: Send + Sync + 'static {
    /// What is known of an origin.
    fn read<'a>(&'a self, origin: &'a str) -> Answer<'a, HostObject>;
    /// What the operator asks for at an origin; `forgive` ends the ring's own pauses.
    fn limit<'a>(&'a self, origin: &'a str, limits: HostLimitsObject, forgive: bool) -> Answer<'a, HostObject>;
    /// Tries a host as if it had not failed.
    fn reset_breaker<'a>(&'a self, origin: &'a str) -> Answer<'a, HostObject>;
    /// What is stored of its robots.txt.
    fn robots<'a>(&'a self, origin: &'a str) -> Answer<'a, RobotsObject>;
    /// The hosts that are known, in the order of their origins, behind `after`; at most `limit`.
    fn list<'a>(&'a self, state: Option<HostState>, after: &'a str, limit: usize) -> Answer<'a, Vec<HostObject>>;
    /// Requests made to origins, the oldest first, behind a place; at most `limit`.
    fn ledger<'a>(&'a self, origins: &'a [String], after: Option<LedgerPlace>, limit: usize) -> Answer<'a, LedgerPage>;
    /// Every host that is not to be visited.
    fn opt_outs(&self) -> Answer<'_, Vec<OptOutObject>>;
    /// Keeps every job away from a host.
    fn opt_out<'a>(&'a self, host: &'a str, subdomains: bool, note: &'a str) -> Answer<'a, OptOutObject>;
    /// Lets jobs visit a host again.
    fn opt_in<'a>(&'a self, host: &'a str) -> Answer<'a, ()>;
}

impl HostService for Hosts {
    fn read<'a>(&'a self, origin: &'a str) -> Answer<'a, HostObject> {
        Box::pin(Self::read(self, origin))
    }

    fn limit<'a>(&'a self, origin: &'a str, limits: HostLimitsObject, forgive: bool) -> Answer<'a, HostObject> {
        Box::pin(Self::limit(self, origin, limits, forgive))
    }

    fn reset_breaker<'a>(&'a self, origin: &'a str) -> Answer<'a, HostObject> {
        Box::pin(Self::reset_breaker(self, origin))
    }

    fn robots<'a>(&'a self, origin: &'a str) -> Answer<'a, RobotsObject> {
        Box::pin(Self::robots(self, origin))
    }

    fn list<'a>(&'a self, state: Option<HostState>, after: &'a str, limit: usize) -> Answer<'a, Vec<HostObject>> {
        Box::pin(Self::list(self, state, after, limit))
    }

    fn ledger<'a>(&'a self, origins: &'a [String], after: Option<LedgerPlace>, limit: usize) -> Answer<'a, LedgerPage> {
        Box::pin(Self::ledger(self, origins, after, limit))
    }

    fn opt_outs(&self) -> Answer<'_, Vec<OptOutObject>> {
        Box::pin(Self::opt_outs(self))
    }

    fn opt_out<'a>(&'a self, host: &'a str, subdomains: bool, note: &'a str) -> Answer<'a, OptOutObject> {
        Box::pin(Self::opt_out(self, host, subdomains, note))
    }

    fn opt_in<'a>(&'a self, host: &'a str) -> Answer<'a, ()> {
        Box::pin(Self::opt_in(self, host))
    }
}

impl JobService for Jobs {
    fn submit<'a>(&'a self, job: &'a JobRef, file: &'a ScrapeJobFile) -> Answer<'a, ()> {
        Box::pin(Self::submit(self, job, file))
    }

    fn status<'a>(&'a self, job: &'a JobRef) -> Answer<'a, JobStatus> {
        Box::pin(Self::status(self, job))
    }

    fn list<'a>(&'a self, tenant: &'a Tenant) -> Answer<'a, Vec<JobStatus>> {
        Box::pin(Self::list(self, tenant))
    }

    fn items<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Box<RawValue>>> {
        Box::pin(Self::items(self, job, cursor, limit))
    }

    fn item_errors<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<ItemFault>> {
        Box::pin(Self::item_errors(self, job, cursor, limit))
    }

    fn skipped<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Skipped>> {
        Box::pin(Self::skipped(self, job, cursor, limit))
    }

    fn pages<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<FetchedPage>> {
        Box::pin(Self::pages(self, job, cursor, limit))
    }

    fn waiting<'a>(
        &'a self,
        job: &'a JobRef,
        filter: &'a WaitingFilter,
        place: &'a WaitingPlace,
        limit: usize,
    ) -> Answer<'a, WaitingPage> {
        Box::pin(Self::waiting(self, job, filter, place, limit))
    }

    fn change<'a>(&'a self, job: &'a JobRef, change: &'a JobChange, only: Option<u64>) -> Answer<'a, ()> {
        Box::pin(Self::change(self, job, change, only))
    }

    fn add_seeds<'a>(&'a self, job: &'a JobRef, urls: &'a [String], only: Option<u64>) -> Answer<'a, Vec<SeedVerdict>> {
        Box::pin(Self::add_seeds(self, job, urls, only))
    }

    fn page_body<'a>(&'a self, job: &'a JobRef, page: PageId) -> Answer<'a, PageBody> {
        Box::pin(Self::page_body(self, job, page))
    }

    fn export<'a>(&'a self, job: &'a JobRef, id: ExportId, output: &'a OutputSpec) -> Answer<'a, ExportStatus> {
        Box::pin(Self::export(self, job, id, output))
    }

    fn exports<'a>(&'a self, job: &'a JobRef) -> Answer<'a, Vec<ExportStatus>> {
        Box::pin(Self::exports(self, job))
    }

    fn read_export<'a>(&'a self, job: &'a JobRef, id: ExportId) -> Answer<'a, ExportStatus> {
        Box::pin(Self::read_export(self, job, id))
    }

    fn deliveries<'a>(&'a self, job: &'a JobRef) -> Answer<'a, Vec<Delivery>> {
        Box::pin(Self::deliveries(self, job))
    }

    fn redeliver<'a>(&'a self, tenant: &'a Tenant, id: DeliveryId) -> Answer<'a, Delivery> {
        Box::pin(Self::redeliver(self, tenant, id))
    }

    fn url_statuses<'a>(&'a self, tenant: &'a Tenant, url: &'a NormalizedUrl) -> Answer<'a, Vec<UrlStatus>> {
        Box::pin(Self::url_statuses(self, tenant, url))
    }

    fn load(&self) -> Load {
        Self::load(self)
    }
}
