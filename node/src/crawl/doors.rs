//! Jobs for the doors, through this node or any other.

use super::coordinator::Progress;
use super::cursor::Cursor;
use super::jobs::{JobStatus, JobsError, Page, PageCounts, Phase, SeedStatus, SeedVerdict, Skipped};
use super::{Crawl, coordinator};
use crate::driver::registers::Unavailable;
use crate::rpc::convert;
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{JobId, JobPhase, JobRecord, Token, decode, encode};
use scrapering_core::id::{NodeId, PARTITIONS, Partition};
use scrapering_core::job::{NormalizedUrl, SkipReason};
use scrapering_core::register::Outcome;
use scrapering_crds::ScrapeJobFile;
use scrapering_proto::v1;
use scrapering_proto::v1::results_request::Kind;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// How often a job's coordinator is looked for before the caller is told to try again; a quarter of a second each.
const ATTEMPTS: usize = 60;
/// How often a change to a job's record is tried against others.
const RACES: usize = 20;

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
    crawl: Crawl,
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
    pub async fn submit(&self, id: JobId, file: &ScrapeJobFile) -> Result<(), JobsError> {
        let file = serde_json::to_string(file).map_err(|_| JobsError::Unavailable)?;
        self.bring(id, &file).await
    }

    /// How far a job is.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn status(&self, id: JobId) -> Result<JobStatus, JobsError> {
        let (record, _) = self.crawl.specs.record(id).await?.ok_or(JobsError::NotFound(id))?;
        let progress = if record.phase.has_ended() {
            Progress { counters: record.totals, at_rest: true }
        } else {
            self.progress(id).await
        };
        status(id, record, &progress).ok_or(JobsError::Unavailable)
    }

    /// Every job, the oldest first.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`].
    pub async fn list(&self) -> Result<Vec<JobStatus>, JobsError> {
        let scans = Partition::all().map(|partition| self.jobs_of(partition));
        let ids = futures::future::try_join_all(scans.collect::<Vec<_>>()).await?.concat();
        let mut jobs = Vec::new();
        for id in ids {
            match self.status(id).await {
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
    pub async fn items(&self, id: JobId, cursor: &Cursor, limit: usize) -> Result<Page<Box<RawValue>>, JobsError> {
        let read =
            |content: &str| content.lines().filter_map(|line| RawValue::from_string(line.to_owned()).ok()).collect();
        self.read(id, cursor, limit, Kind::Items, read).await
    }

    /// URLs that were not fetched, behind `cursor`, at most `limit`.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn skipped(&self, id: JobId, cursor: &Cursor, limit: usize) -> Result<Page<Skipped>, JobsError> {
        let read = |content: &str| {
            let mut lines = content.lines();
            let (Some(url), Some(reason)) = (lines.next(), lines.next()) else { return Vec::new() };
            let detail = lines.next().filter(|detail| !detail.is_empty()).map(str::to_owned);
            vec![Skipped { url: url.to_owned(), reason: reason.to_owned(), detail }]
        };
        self.read(id, cursor, limit, Kind::Unfetched, read).await
    }

    /// Pauses or resumes a job.
    ///
    /// # Errors
    /// [`JobsError::NotFound`]; [`JobsError::Conflict`] if the job has ended; [`JobsError::Unavailable`] or
    /// [`JobsError::Indeterminate`].
    pub async fn suspend(&self, id: JobId, suspended: bool) -> Result<(), JobsError> {
        self.change(id, |record| match record.phase {
            phase if phase.has_ended() => Err(JobsError::Conflict("the job has ended".to_owned())),
            JobPhase::Deleting => Err(JobsError::NotFound(id)),
            _ => {
                record.suspended = suspended;
                Ok(())
            }
        })
        .await
    }

    /// Ends a job and keeps what it found: what is being fetched still lands, the rest is skipped.
    ///
    /// # Errors
    /// As [`Jobs::suspend`].
    pub async fn stop(&self, id: JobId) -> Result<(), JobsError> {
        self.change(id, |record| {
            must_run(id, record)?;
            record.phase = JobPhase::Closing(SkipReason::JobStopped);
            record.suspended = false;
            Ok(())
        })
        .await
    }

    /// Ends a job and removes what it found; the job itself stays.
    ///
    /// # Errors
    /// As [`Jobs::suspend`].
    pub async fn cancel(&self, id: JobId) -> Result<(), JobsError> {
        self.change(id, |record| {
            must_run(id, record)?;
            record.phase = JobPhase::Discarding;
            record.suspended = false;
            Ok(())
        })
        .await
    }

    /// Opens the failed pages of a job that has ended again; it goes on with them.
    ///
    /// # Errors
    /// As [`Jobs::suspend`]; [`JobsError::Conflict`] if it has not ended, or no page has failed.
    pub async fn retry_failed(&self, id: JobId) -> Result<(), JobsError> {
        self.change(id, |record| match record.phase {
            JobPhase::Deleting => Err(JobsError::NotFound(id)),
            JobPhase::Cancelled => Err(JobsError::Conflict("the job was cancelled: its pages are gone".to_owned())),
            phase if !phase.has_ended() => {
                Err(JobsError::Conflict("the job has not ended: its failed pages are still being tried".to_owned()))
            }
            _ if record.totals.failed == 0 => Err(JobsError::Conflict("no page of the job has failed".to_owned())),
            _ => {
                record.phase = JobPhase::Reopening;
                Ok(())
            }
        })
        .await?;
        // An ended job has no coordinator any more; this wakes one.
        let (record, _) = self.crawl.specs.record(id).await?.ok_or(JobsError::NotFound(id))?;
        self.bring(id, &record.file).await
    }

    /// Changes the spec of a job that has not ended, by a merge patch (RFC 7396).
    ///
    /// # Errors
    /// As [`Jobs::suspend`]; [`JobsError::Invalid`] if the job could not run with it.
    pub async fn revise(&self, id: JobId, patch: &Value) -> Result<(), JobsError> {
        self.change(id, |record| {
            must_run(id, record)?;
            revise(record, |spec| merge(spec, patch))
        })
        .await
    }

    /// Adds seeds to a job that has not ended; each has its own verdict.
    ///
    /// # Errors
    /// As [`Jobs::revise`].
    pub async fn add_seeds(&self, id: JobId, urls: &[String]) -> Result<Vec<SeedVerdict>, JobsError> {
        let verdicts = Mutex::new(Vec::new());
        self.change(id, |record| {
            must_run(id, record)?;
            let (told, added) = judge_seeds(record, urls)?;
            *verdicts.lock().unwrap_or_else(PoisonError::into_inner) = told;
            if added.is_empty() {
                return Ok(());
            }
            revise(record, |spec| {
                if let Some(seeds) = spec.get_mut("seeds").and_then(Value::as_array_mut) {
                    seeds.extend(added.iter().map(|url| serde_json::json!({ "url": url })));
                }
            })
        })
        .await?;
        Ok(verdicts.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Removes a job and everything it found, from every copy; done in the background.
    ///
    /// # Errors
    /// As [`Jobs::suspend`].
    pub async fn delete(&self, id: JobId) -> Result<(), JobsError> {
        self.change(id, |record| {
            record.phase = JobPhase::Deleting;
            Ok(())
        })
        .await?;
        // An ended job has no coordinator any more; this wakes one.
        let (record, _) = self.crawl.specs.record(id).await?.ok_or(JobsError::NotFound(id))?;
        self.bring(id, &record.file).await
    }

    /// Brings a job to its coordinator.
    async fn bring(&self, id: JobId, file: &str) -> Result<(), JobsError> {
        let brought = coordinator::submit_anywhere(&self.crawl, &self.crawl.router, id, file, ATTEMPTS).await;
        brought.map_err(|error| self.unavailable(error))
    }

    /// Why no majority took a change, as far as this node can tell.
    fn unavailable(&self, error: Unavailable) -> JobsError {
        if self.crawl.driver.disk().is_full() { JobsError::DiskFull } else { error.into() }
    }

    /// Changes the job's record as `change` says, tried against whoever else changes it.
    async fn change(
        &self,
        id: JobId,
        change: impl Fn(&mut JobRecord) -> Result<(), JobsError>,
    ) -> Result<(), JobsError> {
        let mut unsettled = false;
        for _ in 0..RACES {
            let (mut record, version) = self.crawl.specs.record(id).await?.ok_or(JobsError::NotFound(id))?;
            match change(&mut record) {
                // What was tried before may have been done, and be the reason.
                Err(_) if unsettled => return Err(JobsError::Indeterminate),
                judged => judged?,
            }
            let key = Name::Job(id).key(job_partition(id));
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
        let (mut jobs, mut after) = (Vec::new(), None);
        loop {
            let page = self.crawl.driver.scan(partition, Name::jobs_prefix(), after).await?;
            jobs.extend(page.entries.iter().filter_map(|(key, value)| match Name::parse(key) {
                Some(Name::Job(id)) => decode::<JobRecord>(value.content.as_deref()?).ok().map(|_| id),
                _ => None,
            }));
            after = page.next;
            if after.is_none() {
                return Ok(jobs);
            }
        }
    }

    /// Entries behind `cursor`, at least one if there is any.
    async fn read<T>(
        &self,
        id: JobId,
        cursor: &Cursor,
        limit: usize,
        kind: Kind,
        read: impl Fn(&str) -> Vec<T>,
    ) -> Result<Page<T>, JobsError> {
        let (record, _) = self.crawl.specs.record(id).await?.ok_or(JobsError::NotFound(id))?;
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
        let asked = limit.max(SMALLEST_ASK);
        let calls = living.into_iter().map(|node| self.results_at(node, id, &page.cursor, asked, kind));
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
        limit: usize,
        kind: Kind,
    ) -> Option<v1::ResultsReply> {
        if node == self.crawl.driver.me() {
            return self.crawl.results(id, cursor.partitions().collect(), limit, kind).await.ok();
        }
        let after = cursor.partitions().map(|(partition, sequence)| (u32::from(partition.0), sequence)).collect();
        let request = v1::ResultsRequest {
            header: self.crawl.driver.peers().header(),
            job: id.0.to_vec().into(),
            after,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            kind: kind.into(),
        };
        Some(self.crawl.driver.peers().frontier(node)?.results(request).await.ok()?.into_inner())
    }
}

/// Only a job that has not ended, and is not ending, can be changed.
fn must_run(id: JobId, record: &JobRecord) -> Result<(), JobsError> {
    match record.phase {
        JobPhase::Pending | JobPhase::Running | JobPhase::Reopening => Ok(()),
        JobPhase::Deleting => Err(JobsError::NotFound(id)),
        phase if phase.has_ended() => Err(JobsError::Conflict("the job has ended".to_owned())),
        _ => Err(JobsError::Conflict("the job is coming to its end".to_owned())),
    }
}

/// Changes the spec in a job's file, if the job can run with it.
fn revise(record: &mut JobRecord, change: impl FnOnce(&mut Value)) -> Result<(), JobsError> {
    let mut file: Value = serde_json::from_str(&record.file).map_err(|_| JobsError::Unavailable)?;
    if let Some(spec) = file.get_mut("spec") {
        change(spec);
    }
    let loaded = crate::job::load(&file.to_string()).map_err(|error| JobsError::Invalid(error.field_errors()))?;
    record.file = serde_json::to_string(&loaded.file).map_err(|_| JobsError::Unavailable)?;
    record.revision += 1;
    Ok(())
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// What becomes of each URL, and those to be added.
fn judge_seeds(record: &JobRecord, urls: &[String]) -> Result<(Vec<SeedVerdict>, Vec<String>), JobsError> {
    let loaded = crate::job::load(&record.file).map_err(|_| JobsError::Unavailable)?;
    let mut known: BTreeSet<NormalizedUrl> = loaded.job.seeds.into_iter().collect();
    let mut added = Vec::new();
    let judge = |url: &String| {
        let (status, detail) = match NormalizedUrl::parse(url) {
            Err(error) => (SeedStatus::Fail, Some(format!("it {error}"))),
            Ok(parsed) if known.insert(parsed.clone()) => {
                added.push(parsed.as_str().to_owned());
                (SeedStatus::Ok, None)
            }
            Ok(_) => (SeedStatus::Skipped, None),
        };
        SeedVerdict { url: url.clone(), status, detail }
    };
    let told = urls.iter().map(judge).collect();
    Ok((told, added))
}

fn status(id: JobId, record: JobRecord, Progress { counters, at_rest }: &Progress) -> Option<JobStatus> {
    let (phase, reason) = match record.phase {
        JobPhase::Deleting => (Phase::Deleting, None),
        JobPhase::Completed(reason) => (Phase::Completed, reason.map(|reason| reason.to_string())),
        JobPhase::Failed => (Phase::Failed, Some("nothingFetched".to_owned())),
        _ if record.suspended && *at_rest => (Phase::Paused, None),
        _ if record.suspended => (Phase::Pausing, None),
        JobPhase::Pending => (Phase::Pending, None),
        JobPhase::Running => (Phase::Running, None),
        JobPhase::Closing(SkipReason::JobStopped) => (Phase::Stopping, None),
        JobPhase::Closing(reason) => (Phase::Running, Some(reason.to_string())),
        JobPhase::Stopped => (Phase::Stopped, None),
        JobPhase::Discarding => (Phase::Cancelling, None),
        JobPhase::Cancelled => (Phase::Cancelled, None),
        JobPhase::Reopening => (Phase::Running, Some("reopening".to_owned())),
    };
    let file = RawValue::from_string(record.file).ok()?;
    let name = serde_json::from_str::<ScrapeJobFile>(file.get()).ok()?.metadata.name;
    Some(JobStatus {
        id,
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
        },
        items: counters.items,
        item_errors: counters.item_errors,
        bytes: counters.bytes,
        submitted_at: moment(record.submitted_ms)?,
        started_at: moment(record.started_ms),
        completed_at: moment(record.completed_ms),
        file,
    })
}

/// RFC 3339; `None` for a moment that has not come.
fn moment(wall_ms: u64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(i64::try_from(wall_ms).ok()?).ok()?;
    (wall_ms > 0).then(|| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record() -> JobRecord {
        let text = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: a}\nspec: {seeds: [{url: 'https://a.example/'}], scope: {exclude: ['x']}}\n";
        let file = crate::job::load(text).expect("a job").file;
        JobRecord {
            file: serde_json::to_string(&file).expect("JSON"),
            revision: 3,
            seeded: 3,
            phase: JobPhase::Running,
            suspended: false,
            submitted_ms: 1,
            started_ms: 1,
            completed_ms: 0,
            totals: scrapering_core::frontier::record::Counters::default(),
            message: None,
        }
    }

    #[test]
    fn a_merge_patch_replaces_adds_and_removes() {
        for (mut target, patch, expected) in [
            (json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
            (json!({"a": 1}), json!({"a": null, "b": {"c": null, "d": 1}}), json!({"b": {"d": 1}})),
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
            (json!({"a": "x"}), json!({"a": {"b": "c"}}), json!({"a": {"b": "c"}})),
        ] {
            merge(&mut target, &patch);
            assert_eq!(target, expected);
        }
    }

    #[test]
    fn a_revision_counts_up_and_one_that_cannot_run_changes_nothing() {
        let mut good = record();
        revise(&mut good, |spec| merge(spec, &json!({"scope": {"exclude": ["/private/"]}}))).expect("a good change");
        assert_eq!(good.revision, 4);
        assert!(good.file.contains("/private/"), "{}", good.file);
        let mut bad = record();
        let error =
            revise(&mut bad, |spec| merge(spec, &json!({"scope": {"exclude": ["("]}}))).expect_err("no pattern");
        assert!(matches!(error, JobsError::Invalid(errors) if errors[0].path == "spec.scope.exclude[0]"));
        assert_eq!(bad, record());
    }

    #[test]
    fn each_seed_that_is_added_has_its_own_verdict() {
        let urls =
            ["https://a.example", "https://b.example/", "mailto:x", "https://b.example/#part"].map(str::to_owned);
        let (told, added) = judge_seeds(&record(), &urls).expect("verdicts");
        let statuses: Vec<SeedStatus> = told.iter().map(|verdict| verdict.status).collect();
        assert_eq!(statuses, [SeedStatus::Skipped, SeedStatus::Ok, SeedStatus::Fail, SeedStatus::Skipped]);
        assert_eq!(added, ["https://b.example/"]);
    }
}
