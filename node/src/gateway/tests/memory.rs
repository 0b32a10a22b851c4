//! Jobs in memory, behind the same door as the ring's.

use crate::auth::Tenant;
use crate::crawl::bodies::{PageBody, PageId};
use crate::crawl::cursor::Cursor;
use crate::crawl::deliveries::{Delivery, DeliveryWord};
use crate::crawl::exports::ExportStatus;
use crate::crawl::hosts::{HostLimitsObject, HostObject, HostState, RobotsObject};
use crate::crawl::jobs::{
    FetchedPage, ItemFault, JobChange, JobRef, JobStatus, JobsError, Load, Page, PageCounts, Phase, SeedStatus,
    SeedVerdict, Skipped,
};
use crate::crawl::ledger::{LedgerPage, LedgerPlace};
use crate::crawl::opt_outs::OptOutObject;
use crate::crawl::outputs::{OutputProgress, OutputWord};
use crate::crawl::schedules::Hands;
use crate::crawl::urls::UrlStatus;
use crate::crawl::waiting::{WaitingFilter, WaitingPage, WaitingPlace, WaitingUrl};
use crate::driver::registers::Unavailable;
use crate::gateway::{
    Answer, BackgroundStatus, HostService, JobService, LeaveError, Liveness, Lookup, NodePoints, NodeStatus,
    PartitionView, Recovery, RingMap, RingStatus, RingView, Serving, ViewCounts,
};
use crate::job::FieldError;
use futures::future::{BoxFuture, ready};
use scrapering_core::frontier::delivery::DeliveryId;
use scrapering_core::frontier::export::ExportId;
use scrapering_core::frontier::record::JobId;
use scrapering_core::id::Partition;
use scrapering_core::job::NormalizedUrl;
use scrapering_core::schedule::ScheduleKey;
use scrapering_crds::ScrapeJobFile;
use scrapering_crds::job::OutputSpec;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// How every call fails.
pub(crate) type Fault = fn() -> JobsError;

/// Jobs that are never crawled; each has the one item and the one skipped page given here.
#[derive(Clone, Default)]
pub(crate) struct MemoryJobs {
    jobs: Arc<Mutex<BTreeMap<JobId, JobStatus>>>,
    exports: Arc<Mutex<BTreeMap<(JobId, ExportId), ExportStatus>>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

pub(super) const ITEM: &str = r#"{"_type":"book","title":"a\nb"}"#;

impl MemoryJobs {
    /// From now on every call fails so.
    pub(crate) fn fail_with(&self, fault: Fault) {
        *self.fault.lock().expect("lock") = Some(fault);
    }

    pub(super) fn count(&self) -> usize {
        self.jobs.lock().expect("lock").len()
    }

    /// Ends the only job there is; returns its document.
    pub(super) fn complete(&self) -> Option<String> {
        let mut jobs = self.jobs.lock().expect("lock");
        let job = jobs.values_mut().next()?;
        job.phase = Phase::Completed;
        Some(job.file.get().to_owned())
    }

    fn answer<'a, T: Send + 'a>(
        &self,
        act: impl FnOnce(&mut BTreeMap<JobId, JobStatus>) -> Result<T, JobsError>,
    ) -> Answer<'a, T> {
        let result = match *self.fault.lock().expect("lock") {
            Some(fault) => Err(fault()),
            None => act(&mut self.jobs.lock().expect("lock")),
        };
        Box::pin(ready(result)) as BoxFuture<'a, _>
    }

    fn page<'a, T: Send + 'a>(&self, job: &JobRef, cursor: &Cursor, limit: usize, entry: T) -> Answer<'a, Page<T>> {
        assert!(limit > 0);
        let first = *cursor == Cursor::default();
        self.answer(|jobs| {
            let found = find(jobs, job)?;
            let complete = matches!(found.phase, Phase::Paused | Phase::Completed | Phase::Stopped);
            let mut cursor = Cursor::default();
            cursor.advance(Partition(3), 1);
            Ok(Page { entries: if first { vec![entry] } else { vec![] }, cursor, complete })
        })
    }
}

fn find<'jobs>(jobs: &'jobs mut BTreeMap<JobId, JobStatus>, job: &JobRef) -> Result<&'jobs mut JobStatus, JobsError> {
    jobs.get_mut(&job.id).filter(|found| found.tenant == job.tenant).ok_or(JobsError::NotFound(job.id))
}

fn check(found: &JobStatus, version: Option<u64>) -> Result<(), JobsError> {
    let current = found.version;
    if version.is_some_and(|version| version != current) { Err(JobsError::Changed { current }) } else { Ok(()) }
}

impl JobService for MemoryJobs {
    fn submit<'a>(&'a self, job: &'a JobRef, file: &'a ScrapeJobFile) -> Answer<'a, ()> {
        self.answer(|jobs| {
            jobs.entry(job.id).or_insert_with(|| JobStatus {
                pages: PageCounts { discovered: 3, succeeded: 2, ..PageCounts::default() },
                items: 1,
                bytes: 7,
                ..JobStatus::begun(job, file, "2026-01-02T03:04:05Z")
            });
            Ok(())
        })
    }

    fn status<'a>(&'a self, job: &'a JobRef) -> Answer<'a, JobStatus> {
        self.answer(|jobs| find(jobs, job).cloned())
    }

    fn list<'a>(&'a self, tenant: &'a Tenant) -> Answer<'a, Vec<JobStatus>> {
        self.answer(|jobs| Ok(jobs.values().filter(|job| job.tenant == *tenant).cloned().collect()))
    }

    fn items<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Box<RawValue>>> {
        self.page(job, cursor, limit, RawValue::from_string(ITEM.to_owned()).expect("JSON"))
    }

    fn item_errors<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<ItemFault>> {
        let [url, rule, field, message] =
            ["https://books.example/1", "book", "price", "`free` is no number"].map(str::to_owned);
        self.page(job, cursor, limit, ItemFault { url, rule, field, message })
    }

    fn skipped<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Skipped>> {
        let url = "https://books.example/private".to_owned();
        self.page(job, cursor, limit, Skipped { url, reason: "robotsTxt".to_owned(), detail: None, tries: Vec::new() })
    }

    fn pages<'a>(&'a self, job: &'a JobRef, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<FetchedPage>> {
        let (url, fetched_at) = ("https://books.example/".to_owned(), "2026-01-02T03:04:06Z".to_owned());
        let (depth, status, attempts, bytes, items, item_errors) = (0, 200, 1, 7, 1, 0);
        let id = "00".repeat(22);
        let tries = Vec::new();
        let page = FetchedPage {
            id,
            url,
            depth,
            status,
            fetched_at,
            attempts,
            bytes,
            items,
            item_errors,
            tries,
            stored: None,
            history: None,
        };
        self.page(job, cursor, limit, page)
    }

    fn waiting<'a>(
        &'a self,
        job: &'a JobRef,
        filter: &'a WaitingFilter,
        _: &'a WaitingPlace,
        limit: usize,
    ) -> Answer<'a, WaitingPage> {
        let url = "https://books.example/waiting".to_owned();
        let asked = filter.patterns.is_empty() || filter.patterns.is_match(&url);
        let items = asked.then_some(WaitingUrl { url, depth: 1, priority: 0, tries: Vec::new() });
        self.answer(|jobs| {
            find(jobs, job)?;
            Ok(WaitingPage { items: items.into_iter().take(limit).collect(), next: None })
        })
    }

    fn url_statuses<'a>(&'a self, _: &'a Tenant, _: &'a NormalizedUrl) -> Answer<'a, Vec<UrlStatus>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn change<'a>(&'a self, job: &'a JobRef, change: &'a JobChange, only: Option<u64>) -> Answer<'a, ()> {
        self.answer(|jobs| {
            let found = find(jobs, job)?;
            check(found, only)?;
            let phase = match change {
                JobChange::Delete => {
                    jobs.remove(&job.id);
                    return Ok(());
                }
                JobChange::Patch { suspend, spec } => {
                    revise(found, spec.as_ref())?;
                    suspend.map_or(found.phase, |suspend| if suspend { Phase::Paused } else { Phase::Running })
                }
                JobChange::Stop => Phase::Stopped,
                JobChange::Cancel => Phase::Cancelled,
                JobChange::RetryFailed => Phase::Running,
            };
            found.version += u64::from(found.phase != phase);
            found.phase = phase;
            Ok(())
        })
    }

    fn add_seeds<'a>(&'a self, job: &'a JobRef, urls: &'a [String], only: Option<u64>) -> Answer<'a, Vec<SeedVerdict>> {
        self.answer(|jobs| {
            check(find(jobs, job)?, only)?;
            let verdict = |url: &String| SeedVerdict { url: url.clone(), status: SeedStatus::Ok, detail: None };
            Ok(urls.iter().map(verdict).collect())
        })
    }

    fn page_body<'a>(&'a self, job: &'a JobRef, page: PageId) -> Answer<'a, PageBody> {
        let body = PageBody { content_type: Some("text/html".to_owned()), content: "<p>".into() };
        self.answer(|jobs| {
            find(jobs, job)?;
            if page.partition == Partition(0) { Ok(body) } else { Err(JobsError::NoBody) }
        })
    }

    fn export<'a>(&'a self, job: &'a JobRef, id: ExportId, output: &'a OutputSpec) -> Answer<'a, ExportStatus> {
        self.answer(|jobs| {
            let file: ScrapeJobFile = serde_json::from_str(find(jobs, job)?.file.get()).expect("a job");
            crate::job::export(&file.spec, output).map_err(JobsError::Invalid)?;
            let (state, entries, parts, bytes) = (OutputWord::Waiting, 0, 0, 0);
            let progress = OutputProgress { state, entries, parts, bytes, error: None, next_attempt_at: None };
            let created_at = "2026-01-02T03:04:05Z".to_owned();
            let status = ExportStatus { id, created_at, output: output.clone(), progress };
            Ok(self.exports.lock().expect("lock").entry((job.id, id)).or_insert(status).clone())
        })
    }

    fn exports<'a>(&'a self, job: &'a JobRef) -> Answer<'a, Vec<ExportStatus>> {
        self.answer(|jobs| {
            find(jobs, job)?;
            let exports = self.exports.lock().expect("lock");
            Ok(exports.iter().filter(|((of, _), _)| *of == job.id).map(|(_, export)| export.clone()).collect())
        })
    }

    fn read_export<'a>(&'a self, job: &'a JobRef, id: ExportId) -> Answer<'a, ExportStatus> {
        self.answer(|jobs| {
            find(jobs, job)?;
            self.exports.lock().expect("lock").get(&(job.id, id)).cloned().ok_or(JobsError::NoExport(id))
        })
    }

    fn deliveries<'a>(&'a self, job: &'a JobRef) -> Answer<'a, Vec<Delivery>> {
        self.answer(|jobs| find(jobs, job).map(|_| vec![delivery(DeliveryId { job: job.id, hook: 0, number: 0 })]))
    }

    fn redeliver<'a>(&'a self, tenant: &'a Tenant, id: DeliveryId) -> Answer<'a, Delivery> {
        let job = JobRef { tenant: tenant.clone(), id: id.job };
        self.answer(|jobs| {
            find(jobs, &job)?;
            if id.number == 0 { Ok(delivery(id)) } else { Err(JobsError::NoDelivery(id)) }
        })
    }

    fn load(&self) -> Load {
        Load { jobs: self.count() as u64, queued: 7, in_flight: 1 }
    }
}

fn delivery(id: DeliveryId) -> Delivery {
    let (created_at, next_attempt_at) = ("2026-01-02T03:04:05Z".to_owned(), None);
    let (event, state) = ("job.completed".to_owned(), DeliveryWord::Delivered);
    let (job, webhook, id) = (id.job, id.hook, id.to_string());
    Delivery { id, job, webhook, event, created_at, state, next_attempt_at, attempts: Vec::new() }
}

/// Nobody keeps these schedules.
impl Hands for MemoryJobs {
    fn begin<'a>(&'a self, job: &'a JobRef, file: &'a ScrapeJobFile) -> Answer<'a, ()> {
        self.submit(job, file)
    }

    fn status<'a>(&'a self, job: &'a JobRef) -> Answer<'a, JobStatus> {
        JobService::status(self, job)
    }

    fn remove<'a>(&'a self, job: &'a JobRef) -> Answer<'a, ()> {
        self.change(job, &JobChange::Delete, None)
    }

    fn wake(&self, _: ScheduleKey) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(ready(Ok(())))
    }
}

fn revise(job: &mut JobStatus, spec: Option<&Value>) -> Result<(), JobsError> {
    let Some(patch) = spec else { return Ok(()) };
    if patch["scope"]["exclude"][0] == "(" {
        let errors = vec![FieldError { path: "spec.scope.exclude[0]".to_owned(), message: "is bad".to_owned() }];
        return Err(JobsError::Invalid(errors));
    }
    job.items += 1;
    job.version += 1;
    let mut file: Value = serde_json::from_str(job.file.get()).expect("JSON");
    for (field, value) in patch.as_object().into_iter().flatten() {
        file["spec"][field] = value.clone();
    }
    let before = std::mem::replace(&mut job.file, to_raw_value(&file).expect("JSON"));
    job.accepted.get_or_insert(before);
    Ok(())
}

/// Hosts of which nothing is known but what is asked for.
pub(super) struct NoHosts;

impl HostService for NoHosts {
    fn read<'a>(&'a self, origin: &'a str) -> Answer<'a, HostObject> {
        Box::pin(ready(Ok(HostObject::idle(origin.to_owned()))))
    }

    fn limit<'a>(&'a self, origin: &'a str, limits: HostLimitsObject, _: bool) -> Answer<'a, HostObject> {
        Box::pin(ready(Ok(HostObject { limits, ..HostObject::idle(origin.to_owned()) })))
    }

    fn reset_breaker<'a>(&'a self, origin: &'a str) -> Answer<'a, HostObject> {
        self.read(origin)
    }

    fn robots<'a>(&'a self, origin: &'a str) -> Answer<'a, RobotsObject> {
        let (origin, state) = (origin.to_owned(), "known".to_owned());
        Box::pin(ready(Ok(RobotsObject { origin, state, fetched_at: None, text: Some("User-agent: *".to_owned()) })))
    }

    fn list<'a>(&'a self, _: Option<HostState>, after: &'a str, limit: usize) -> Answer<'a, Vec<HostObject>> {
        let known = ["http://a.example:80", "http://b.example:80", "http://c.example:80"];
        let behind = known.into_iter().filter(|origin| *origin > after).take(limit);
        Box::pin(ready(Ok(behind.map(|origin| HostObject::idle(origin.to_owned())).collect())))
    }

    fn ledger<'a>(&'a self, _: &'a [String], _: Option<LedgerPlace>, _: usize) -> Answer<'a, LedgerPage> {
        Box::pin(ready(Ok(LedgerPage { items: Vec::new(), next: None })))
    }

    fn opt_outs(&self) -> Answer<'_, Vec<OptOutObject>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn opt_out<'a>(&'a self, host: &'a str, subdomains: bool, note: &'a str) -> Answer<'a, OptOutObject> {
        let since = "2026-01-02T03:04:06Z".to_owned();
        Box::pin(ready(Ok(OptOutObject { host: host.to_owned(), subdomains, note: note.to_owned(), since })))
    }

    fn opt_in<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        Box::pin(ready(Ok(())))
    }
}

/// A ring of one node that is fine.
pub(super) struct OneNode;

impl RingView for OneNode {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn status(&self) -> RingStatus {
        let node = NodeStatus {
            name: "ring-0".to_owned(),
            id: "00".repeat(20),
            generation: 1,
            address: "127.0.0.1:7443".to_owned(),
            zone: String::new(),
            weight: 1,
            liveness: Liveness::Alive,
            serving: Serving::Serving,
            share: 1.0,
            copies: 256,
            gateway: None,
        };
        let views = ViewCounts { count: 256, ..ViewCounts::default() };
        RingStatus {
            ring_id: super::RING.to_string(),
            node: node.name.clone(),
            own: None,
            nodes: vec![node],
            left: Vec::new(),
            tolerates: 0,
            views,
            background: vec![BackgroundStatus {
                node: "ring-0".to_owned(),
                name: "body sweep".to_owned(),
                state: "waiting".to_owned(),
                done: 3,
                remaining: Some(256),
                text: String::new(),
                last_failure: None,
            }],
        }
    }

    fn map(&self) -> RingMap {
        let nodes = vec![NodePoints { name: "ring-0".to_owned(), points: vec!["ab".repeat(20)] }];
        let partition = PartitionView { epoch: 1, members: vec![0], moving_to: None, sealed: false };
        RingMap { nodes, partitions: vec![partition; 256] }
    }

    fn recover<'a>(&'a self, names: &'a BTreeSet<String>) -> BoxFuture<'a, Result<Recovery, String>> {
        let named = names.iter().any(|name| name == "ring-1");
        let verdict =
            if named { Ok(Recovery { recovered: 3, ..Recovery::default() }) } else { Err("name ring-1".to_owned()) };
        Box::pin(std::future::ready(verdict))
    }

    fn leave<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), LeaveError>> {
        let verdict = match name {
            "ring-0" => Err(LeaveError::Refused("ring-0 is the last node of the ring".to_owned())),
            "ring-1" => Ok(()),
            "ring-2" => Err(LeaveError::Unreachable("ring-2 does not answer just now".to_owned())),
            other => Err(LeaveError::NoSuchNode(format!("the ring has no node {other:?}"))),
        };
        Box::pin(ready(verdict))
    }

    fn lookup<'a>(&'a self, key: &'a str) -> Answer<'a, Lookup> {
        let owners = vec!["ring-0".to_owned()];
        let (key, point) = (key.to_owned(), "ab".repeat(20));
        Box::pin(ready(Ok(Lookup { key, point, partition: 171, owners, path: vec![] })))
    }
}
