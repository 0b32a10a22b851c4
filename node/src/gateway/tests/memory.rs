//! Jobs in memory, behind the same door as the ring's.

use crate::crawl::cursor::Cursor;
use crate::crawl::hosts::{HostLimitsObject, HostObject};
use crate::crawl::jobs::{JobStatus, JobsError, Page, PageCounts, Phase, SeedStatus, SeedVerdict, Skipped};
use crate::gateway::{
    Answer, HostService, JobService, LeaveError, Liveness, Lookup, NodePoints, NodeStatus, PartitionView, Recovery,
    RingMap, RingStatus, RingView, Serving, ViewCounts,
};
use crate::job::FieldError;
use futures::future::{BoxFuture, ready};
use scrapering_core::frontier::record::JobId;
use scrapering_crds::ScrapeJobFile;
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

    fn page<'a, T: Send + 'a>(&self, id: JobId, cursor: &Cursor, limit: usize, entry: T) -> Answer<'a, Page<T>> {
        assert!(limit > 0);
        let first = cursor.to_string() == Cursor::default().to_string();
        self.answer(|jobs| {
            let job = jobs.get(&id).ok_or(JobsError::NotFound(id))?;
            let entries = if first { vec![entry] } else { vec![] };
            Ok(Page { entries, cursor: Cursor::default(), complete: job.phase == Phase::Paused })
        })
    }
}

impl JobService for MemoryJobs {
    fn submit<'a>(&'a self, id: JobId, file: &'a ScrapeJobFile) -> Answer<'a, ()> {
        self.answer(|jobs| {
            jobs.entry(id).or_insert_with(|| JobStatus {
                id,
                name: file.metadata.name.clone(),
                phase: Phase::Running,
                reason: None,
                message: None,
                pages: PageCounts { discovered: 3, ..PageCounts::default() },
                items: 1,
                item_errors: 0,
                bytes: 7,
                submitted_at: "2026-01-02T03:04:05Z".to_owned(),
                started_at: None,
                completed_at: None,
                file: to_raw_value(file).expect("JSON"),
            });
            Ok(())
        })
    }

    fn status(&self, id: JobId) -> Answer<'_, JobStatus> {
        self.answer(|jobs| jobs.get(&id).cloned().ok_or(JobsError::NotFound(id)))
    }

    fn list(&self) -> Answer<'_, Vec<JobStatus>> {
        self.answer(|jobs| Ok(jobs.values().cloned().collect()))
    }

    fn items<'a>(&'a self, id: JobId, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Box<RawValue>>> {
        self.page(id, cursor, limit, RawValue::from_string(ITEM.to_owned()).expect("JSON"))
    }

    fn skipped<'a>(&'a self, id: JobId, cursor: &'a Cursor, limit: usize) -> Answer<'a, Page<Skipped>> {
        let url = "https://books.example/private".to_owned();
        self.page(id, cursor, limit, Skipped { url, reason: "robotsTxt".to_owned(), detail: None })
    }

    fn suspend(&self, id: JobId, suspended: bool) -> Answer<'_, ()> {
        self.answer(|jobs| {
            let job = jobs.get_mut(&id).ok_or(JobsError::NotFound(id))?;
            job.phase = if suspended { Phase::Paused } else { Phase::Running };
            Ok(())
        })
    }

    fn delete(&self, id: JobId) -> Answer<'_, ()> {
        self.answer(|jobs| jobs.remove(&id).map(|_| ()).ok_or(JobsError::NotFound(id)))
    }

    fn stop(&self, id: JobId) -> Answer<'_, ()> {
        self.turn(id, Phase::Stopped)
    }

    fn cancel(&self, id: JobId) -> Answer<'_, ()> {
        self.turn(id, Phase::Cancelled)
    }

    fn retry_failed(&self, id: JobId) -> Answer<'_, ()> {
        self.turn(id, Phase::Running)
    }

    fn revise<'a>(&'a self, id: JobId, patch: &'a Value) -> Answer<'a, ()> {
        self.answer(|jobs| {
            let job = jobs.get_mut(&id).ok_or(JobsError::NotFound(id))?;
            let errors = vec![FieldError { path: "spec.scope.exclude[0]".to_owned(), message: "is bad".to_owned() }];
            if patch["scope"]["exclude"][0] == "(" {
                return Err(JobsError::Invalid(errors));
            }
            job.items += 1;
            Ok(())
        })
    }

    fn add_seeds<'a>(&'a self, id: JobId, urls: &'a [String]) -> Answer<'a, Vec<SeedVerdict>> {
        self.answer(|jobs| {
            jobs.get(&id).ok_or(JobsError::NotFound(id))?;
            let verdict = |url: &String| SeedVerdict { url: url.clone(), status: SeedStatus::Ok, detail: None };
            Ok(urls.iter().map(verdict).collect())
        })
    }
}

impl MemoryJobs {
    fn turn<'a>(&self, id: JobId, phase: Phase) -> Answer<'a, ()> {
        self.answer(|jobs| {
            jobs.get_mut(&id).ok_or(JobsError::NotFound(id))?.phase = phase;
            Ok(())
        })
    }
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
            background: Vec::new(),
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
