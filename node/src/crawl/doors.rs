//! Jobs for the doors, through this node or any other. What a change makes of a job's record stands in [`changes`].

mod changes;

pub(super) use changes::merge;

use super::coordinator::Progress;
use super::cursor::Cursor;
use super::handlers::Enough;
use super::jobs::{
    FetchedPage, ITEM_ERROR_MARK, ItemFault, JobChange, JobRef, JobStatus, JobsError, Load, Page, PageCounts, Phase,
    SeedVerdict, Skipped,
};
use super::{Crawl, coordinator};
use crate::auth::Tenant;
use crate::driver::registers::Unavailable;
use crate::rpc::convert;
use futures::stream::{self, StreamExt};
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{JobId, JobPhase, JobRecord, Token, decode, encode};
use scrapering_core::id::{Key, NodeId, PARTITIONS, Partition};
use scrapering_core::job::{SkipReason, ValidatedJob};
use scrapering_core::register::{Outcome, Versioned};
use scrapering_crds::ScrapeJobFile;
use scrapering_proto::v1;
use scrapering_proto::v1::results_request::Kind;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// How often a job's coordinator is looked for before the caller is told to try again; a quarter of a second each.
const ATTEMPTS: usize = 60;
/// How often a change to a job's record is tried against others.
const RACES: usize = 20;

/// Jobs that are looked at together for a list.
const LOOKS: usize = 16;
/// Fewest results asked of a node at once: many pages hold no item.
const SMALLEST_ASK: usize = 64;

/// What the living nodes said of a job's results.
#[derive(Default)]
struct Gathered {
    /// Every partition that somebody answered for, and under which token.
    owned: BTreeMap<Partition, Token>,
    /// Whether there is more behind the page.
    more: bool,
}

/// The jobs of the ring. A cheap clone.
#[derive(Clone)]
pub struct Jobs {
    pub(super) crawl: Crawl,
}

impl From<Unavailable> for JobsError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

impl Jobs {
    pub(super) fn new(crawl: Crawl) -> Self {
        Self { crawl }
    }

    /// Stores a job under `id` and sees it started; the same id again changes nothing.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`]: it may be stored, and may be submitted again under the same id.
    pub async fn submit(&self, job: &JobRef, file: &ScrapeJobFile) -> Result<(), JobsError> {
        // A record says by its file whose it is.
        let mut file = file.clone();
        file.metadata.namespace = Some(job.tenant.to_string());
        let file = serde_json::to_string(&file).map_err(|_| JobsError::Unavailable)?;
        self.bring(job.id, &file).await
    }

    /// How far a job is.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn status(&self, job: &JobRef) -> Result<JobStatus, JobsError> {
        let (record, version) = self.record(job).await?;
        let id = job.id;
        let progress = if record.phase.has_ended() {
            Progress { counters: record.totals, at_rest: true }
        } else {
            self.progress(id).await
        };
        let outputs = super::outputs::of_job(&self.crawl, id, &record).await?;
        let status = status(job, version, record, &progress).ok_or(JobsError::Unavailable)?;
        Ok(JobStatus { outputs, ..status })
    }

    /// How a job is to be run; `None` if it is gone.
    pub(super) async fn spec(&self, job: &JobRef) -> Result<Option<std::sync::Arc<ValidatedJob>>, JobsError> {
        Ok(self.crawl.specs.spec(job.id).await?.map(|spec| spec.job.clone()))
    }

    /// The record of a job and its version.
    pub(super) async fn record(&self, job: &JobRef) -> Result<(JobRecord, u64), JobsError> {
        let found = self.crawl.specs.record(job.id).await?;
        found.filter(|(record, _)| tenant_of(&record.file) == job.tenant).ok_or(JobsError::NotFound(job.id))
    }

    /// The work that this node coordinates.
    #[must_use]
    pub fn load(&self) -> Load {
        let (jobs, counters) = self.crawl.coordinators.totals();
        let queued = counters.discovered.saturating_sub(counters.done() + counters.in_flight);
        Load { jobs, queued, in_flight: counters.in_flight }
    }

    /// Every job of a tenant, the oldest first.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`].
    pub async fn list(&self, tenant: &Tenant) -> Result<Vec<JobStatus>, JobsError> {
        let scans = Partition::all().map(|partition| self.jobs_of(partition));
        let ids = futures::future::try_join_all(scans.collect::<Vec<_>>()).await?.concat();
        let looks =
            stream::iter(ids).map(|id| async move { self.status(&JobRef { tenant: tenant.clone(), id }).await });
        let mut looks = looks.buffer_unordered(LOOKS);
        let mut jobs = Vec::new();
        while let Some(look) = looks.next().await {
            match look {
                Ok(status) => jobs.push(status),
                Err(JobsError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        jobs.sort_by(|a, b| (&a.submitted_at, a.id).cmp(&(&b.submitted_at, b.id)));
        Ok(jobs)
    }

    /// Items behind `cursor`: whole pages until there are at least `limit`.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn items(&self, job: &JobRef, cursor: &Cursor, limit: usize) -> Result<Page<Box<RawValue>>, JobsError> {
        let read = |content: &str| {
            let items = content.lines().filter(|line| !line.starts_with(ITEM_ERROR_MARK));
            items.filter_map(|line| RawValue::from_string(line.to_owned()).ok()).collect()
        };
        self.read(job, cursor, limit, Kind::Items, read).await
    }

    /// Items that were dropped, and why, behind `cursor`: whole pages until there are at least `limit`.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn item_errors(&self, job: &JobRef, cursor: &Cursor, limit: usize) -> Result<Page<ItemFault>, JobsError> {
        let read = |content: &str| {
            let errors = content.lines().filter_map(|line| line.strip_prefix(ITEM_ERROR_MARK));
            errors.filter_map(|line| serde_json::from_str(line).ok()).collect()
        };
        self.read(job, cursor, limit, Kind::Items, read).await
    }

    /// URLs that were not fetched, behind `cursor`, at most `limit`.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn skipped(&self, job: &JobRef, cursor: &Cursor, limit: usize) -> Result<Page<Skipped>, JobsError> {
        self.read(job, cursor, limit, Kind::Unfetched, |content| four_lines(content).into_iter().collect()).await
    }

    /// Pages that were fetched, behind `cursor`, at most `limit`.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn pages(&self, job: &JobRef, cursor: &Cursor, limit: usize) -> Result<Page<FetchedPage>, JobsError> {
        self.read(job, cursor, limit, Kind::Pages, |content| serde_json::from_str(content).into_iter().collect()).await
    }

    /// Changes a job, if `only` is given only in that version.
    ///
    /// # Errors
    /// [`JobsError::NotFound`]; [`JobsError::Conflict`] if its phase does not allow it; [`JobsError::Changed`];
    /// [`JobsError::Invalid`] if it could not run so; [`JobsError::Unavailable`], [`JobsError::DiskFull`] or
    /// [`JobsError::Indeterminate`].
    pub async fn change(&self, job: &JobRef, change: &JobChange, only: Option<u64>) -> Result<(), JobsError> {
        self.edit(job, only, |record| changes::apply(job.id, record, change)).await?;
        if matches!(change, JobChange::RetryFailed | JobChange::Delete) {
            // An ended job has no coordinator any more; this wakes one.
            let (record, _) = self.record(job).await?;
            self.bring(job.id, &record.file).await?;
        }
        Ok(())
    }

    /// Adds seeds to a job that has not ended; each has its own verdict.
    ///
    /// # Errors
    /// As [`Jobs::change`].
    pub async fn add_seeds(
        &self,
        job: &JobRef,
        urls: &[String],
        only: Option<u64>,
    ) -> Result<Vec<SeedVerdict>, JobsError> {
        let verdicts = Mutex::new(Vec::new());
        self.edit(job, only, |record| {
            let told = changes::add_seeds(job.id, record, urls)?;
            *verdicts.lock().unwrap_or_else(PoisonError::into_inner) = told;
            Ok(())
        })
        .await?;
        Ok(verdicts.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings a job to its coordinator.
    pub(super) async fn bring(&self, id: JobId, file: &str) -> Result<(), JobsError> {
        let brought = coordinator::submit_anywhere(&self.crawl, &self.crawl.router, id, file, ATTEMPTS).await;
        brought.map_err(|error| self.unavailable(error))
    }

    /// Why no majority took a change, as far as this node can tell.
    pub(super) fn unavailable(&self, error: Unavailable) -> JobsError {
        if self.crawl.driver.disk().is_full() { JobsError::DiskFull } else { error.into() }
    }

    /// Writes what `change` makes of a job's record, tried against whoever else changes it; nothing if that is what it was.
    pub(super) async fn edit(
        &self,
        job: &JobRef,
        only: Option<u64>,
        change: impl Fn(&mut JobRecord) -> Result<(), JobsError>,
    ) -> Result<(), JobsError> {
        let mut unsettled = false;
        for _ in 0..RACES {
            let (mut record, version) = self.record(job).await?;
            let before = record.clone();
            let judged = match only {
                Some(only) if only != version => Err(JobsError::Changed { current: version }),
                _ => change(&mut record),
            };
            match judged {
                // What was tried before may have been done, and be the reason.
                Err(_) if unsettled => return Err(JobsError::Indeterminate),
                judged => judged?,
            }
            if record == before {
                return Ok(());
            }
            let key = Name::Job(job.id).key(job_partition(job.id));
            match self.crawl.driver.compare_and_set(key, version, encode(&record)).await {
                Outcome::Done { .. } => return Ok(()),
                Outcome::Conflict { .. } => {}
                Outcome::Indeterminate => unsettled = true,
                Outcome::Unavailable if unsettled => return Err(JobsError::Indeterminate),
                Outcome::Unavailable => return Err(self.unavailable(Unavailable)),
            }
        }
        Err(if unsettled { JobsError::Indeterminate } else { JobsError::Unavailable })
    }

    /// How far a running job is, from its coordinator; nothing is known if that does not answer.
    async fn progress(&self, id: JobId) -> Progress {
        if let Some(progress) = self.crawl.coordinators.progress(id) {
            return progress;
        }
        for attempt in 0..2 {
            let owner = self.crawl.router.owner(job_partition(id), attempt);
            let request = v1::StatusRequest { header: self.crawl.driver.peers().header(), job: id.0.to_vec().into() };
            let Some(mut frontier) = self.crawl.driver.peers().frontier(owner) else { continue };
            let Ok(reply) = frontier.status(request).await else { continue };
            let reply = reply.into_inner();
            self.crawl.router.learn(job_partition(id), owner, !reply.not_owned);
            if let Some(counters) = reply.counters {
                return Progress { counters: convert::counters(counters), at_rest: reply.at_rest };
            }
        }
        Progress::default()
    }

    async fn jobs_of(&self, partition: Partition) -> Result<Vec<JobId>, JobsError> {
        let job = |key: &Key, value: &Versioned| match Name::parse(key) {
            Some(Name::Job(id)) => decode::<JobRecord>(value.content.as_deref()?).ok().map(|_| id),
            _ => None,
        };
        Ok(self.crawl.driver.scan_all(partition, Name::jobs_prefix(), job).await?)
    }

    /// Entries behind `cursor`, at least one if there is any.
    async fn read<T>(
        &self,
        job: &JobRef,
        cursor: &Cursor,
        limit: usize,
        kind: Kind,
        read: impl Fn(&str) -> Vec<T>,
    ) -> Result<Page<T>, JobsError> {
        let (record, _) = self.record(job).await?;
        let id = job.id;
        let mut page = Page { entries: Vec::new(), cursor: cursor.clone(), complete: false };
        loop {
            let before = page.cursor.clone();
            let gathered = self.gather(id, limit, kind, &read, &mut page).await;
            if gathered.more && page.entries.is_empty() && page.cursor != before {
                continue;
            }
            page.complete = record.phase.has_ended() && !gathered.more && self.are_owned(&gathered.owned).await;
            return Ok(page);
        }
    }

    /// Asks every living node for what lies behind the page's cursor, and adds it to the page.
    async fn gather<T>(
        &self,
        id: JobId,
        limit: usize,
        kind: Kind,
        read: &impl Fn(&str) -> Vec<T>,
        page: &mut Page<T>,
    ) -> Gathered {
        let living = self.crawl.driver.living_nodes();
        // Whoever has less than its share leaves the page smaller; nobody reads what the page has no room for.
        let share = limit.div_ceil(living.len().max(1));
        let enough = Enough { results: limit.max(SMALLEST_ASK), entries: share };
        let calls = living.into_iter().map(|node| self.results_at(node, id, &page.cursor, enough, kind));
        let replies: Vec<v1::ResultsReply> = futures::future::join_all(calls).await.into_iter().flatten().collect();
        let mut gathered = Gathered::default();
        for owned in replies.iter().flat_map(|reply| &reply.owned) {
            if let Ok(partition) = convert::partition(owned.partition) {
                let newest = gathered.owned.entry(partition).or_default();
                *newest = (*newest).max(Token(owned.token));
            }
        }
        for reply in replies {
            gathered.more |= reply.more;
            // Of two nodes that believe to own a partition, the one with the newer token is read.
            let is_newest = |owned: &v1::results_reply::Owned| {
                convert::partition(owned.partition).is_ok_and(|p| gathered.owned.get(&p) == Some(&Token(owned.token)))
            };
            let newest: BTreeSet<u32> =
                reply.owned.iter().filter(|owned| is_newest(owned)).map(|owned| owned.partition).collect();
            for result in reply.results.iter().filter(|result| newest.contains(&result.partition)) {
                if page.entries.len() >= limit {
                    gathered.more = true;
                    break;
                }
                page.entries.extend(read(&result.content));
                if let Ok(partition) = convert::partition(result.partition) {
                    page.cursor.advance(partition, result.sequence);
                }
            }
        }
        gathered
    }

    /// Whether every partition was answered for by its owner, as a quorum knows it now: a node that was deposed
    /// may not have everything, and would not know.
    async fn are_owned(&self, owned: &BTreeMap<Partition, Token>) -> bool {
        if owned.len() < usize::from(PARTITIONS) {
            return false;
        }
        let reads = owned.iter().map(|(partition, token)| async move {
            let owner = self.crawl.driver.read_one(Name::Owner.key(*partition)).await;
            matches!(owner, Ok(Some(owner)) if Token(owner.version) == *token)
        });
        futures::future::join_all(reads).await.into_iter().all(|owner| owner)
    }

    async fn results_at(
        &self,
        node: NodeId,
        id: JobId,
        cursor: &Cursor,
        enough: Enough,
        kind: Kind,
    ) -> Option<v1::ResultsReply> {
        if node == self.crawl.driver.me() {
            return self.crawl.results(id, cursor.partitions().collect(), enough, kind).await.ok();
        }
        let after = cursor.partitions().map(|(partition, sequence)| (u32::from(partition.0), sequence)).collect();
        let request = v1::ResultsRequest {
            header: self.crawl.driver.peers().header(),
            job: id.0.to_vec().into(),
            after,
            limit: u32::try_from(enough.results).unwrap_or(u32::MAX),
            entries: u32::try_from(enough.entries).unwrap_or(u32::MAX),
            kind: kind.into(),
        };
        Some(self.crawl.driver.peers().frontier(node)?.results(request).await.ok()?.into_inner())
    }
}

/// Whose a job is, as its file says; a file without a namespace is of the ring's first days, and the default tenant's.
fn tenant_of(file: &str) -> Tenant {
    #[derive(serde::Deserialize)]
    struct Head {
        metadata: Metadata,
    }
    #[derive(serde::Deserialize)]
    struct Metadata {
        #[serde(default)]
        namespace: Option<String>,
    }
    let head: Option<Head> = serde_json::from_str(file).ok();
    tenant_named(head.and_then(|head| head.metadata.namespace).as_deref())
}

/// The tenant of a file with this namespace.
pub(super) fn tenant_named(namespace: Option<&str>) -> Tenant {
    namespace.and_then(|namespace| namespace.parse().ok()).unwrap_or_default()
}

/// URL, reason, detail and attempts.
fn four_lines(content: &str) -> Option<Skipped> {
    let mut lines = content.lines();
    let (url, reason) = (lines.next()?.to_owned(), lines.next()?.to_owned());
    let detail = lines.next().filter(|detail| !detail.is_empty()).map(str::to_owned);
    let tries = lines.next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    Some(Skipped { url, reason, detail, tries })
}

fn status(
    job: &JobRef,
    version: u64,
    record: JobRecord,
    Progress { counters, at_rest }: &Progress,
) -> Option<JobStatus> {
    let (phase, reason) = match record.phase {
        JobPhase::Deleting => (Phase::Deleting, None),
        JobPhase::Completed(reason) => (Phase::Completed, reason.map(|reason| reason.to_string())),
        JobPhase::Failed(reason) => {
            (Phase::Failed, Some(reason.map_or("nothingFetched".to_owned(), |reason| reason.to_string())))
        }
        _ if record.suspended && *at_rest => (Phase::Paused, None),
        _ if record.suspended => (Phase::Pausing, None),
        JobPhase::Pending => (Phase::Pending, None),
        JobPhase::Running if counters.waits_for_a_visit() => (Phase::Running, Some("recrawl".to_owned())),
        JobPhase::Running => (Phase::Running, None),
        JobPhase::Closing(SkipReason::JobStopped) => (Phase::Stopping, None),
        JobPhase::Closing(reason) => (Phase::Running, Some(reason.to_string())),
        JobPhase::Stopped => (Phase::Stopped, None),
        JobPhase::Discarding => (Phase::Cancelling, None),
        JobPhase::Cancelled => (Phase::Cancelled, None),
        JobPhase::Reopening => (Phase::Running, Some("reopening".to_owned())),
    };
    let file = RawValue::from_string(record.file).ok()?;
    let accepted = record.accepted.and_then(|accepted| RawValue::from_string(accepted).ok());
    let name = serde_json::from_str::<ScrapeJobFile>(file.get()).ok()?.metadata.name;
    Some(JobStatus {
        id: job.id,
        tenant: job.tenant.clone(),
        version,
        name,
        phase,
        reason,
        message: record.message,
        pages: PageCounts {
            discovered: counters.discovered,
            queued: counters.discovered.saturating_sub(counters.done() + counters.in_flight),
            in_flight: counters.in_flight,
            succeeded: counters.succeeded,
            failed: counters.failed,
            skipped: counters.skipped,
            not_modified: counters.not_modified,
        },
        items: counters.items,
        item_errors: counters.item_errors,
        bytes: counters.bytes,
        submitted_at: moment(record.submitted_ms)?,
        started_at: moment(record.started_ms),
        completed_at: moment(record.completed_ms),
        outputs: Vec::new(),
        next_visit_at: counters.next_visit_ms.and_then(moment),
        file,
        accepted,
    })
}

/// RFC 3339; `None` for a moment that has not come.
pub(super) fn moment(wall_ms: u64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(i64::try_from(wall_ms).ok()?).ok()?;
    (wall_ms > 0).then(|| moment.to_string())
}
