//! Coordinates a job: seeds, limits, the exact end. Runs on the node that owns the job's partition.

use super::claim::confirm;
use super::router::Router;
use super::shards::{Command, Report};
use super::specs::Spec;
use super::{Crawl, dedup, errands, outputs, webhooks};
use crate::driver::registers::Unavailable;
use crate::job::window::any_is_open;
use crate::rpc::convert;
use bytes::Bytes;
use jiff::Timestamp;
use scrapering_core::frontier::completion::{Wave, has_ended};
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{BudgetRecord, Counters, JobId, JobPhase, JobRecord, Token, Way, encode};
use scrapering_core::frontier::shard::{Control, Link};
use scrapering_core::id::{Key, NodeId, PARTITIONS, Partition};
use scrapering_core::job::{Seed, SkipReason, ValidatedJob};
use scrapering_core::register::{Change, Outcome};
use scrapering_proto::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Room does not come back by itself: after so many attempts the caller is told.
const ATTEMPTS_ON_A_FULL_DISK: usize = 4;
/// Priority of what a job starts from, in the middle of what links can have.
pub(super) const SEED_PRIORITY: u8 = 50;
/// How often a job at work is looked after.
const TICK: Duration = Duration::from_millis(250);
/// ... and one that only waits for its next visit.
const SLOW_TICK: Duration = Duration::from_secs(1);

/// What was found at the last look at all partitions of a job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) counters: Counters,
    /// The job is held, and every partition has said since that no page of it is in flight.
    pub(super) at_rest: bool,
}

/// The jobs that this node coordinates, and how far they are. A cheap clone.
#[derive(Clone, Default)]
pub(super) struct Coordinators {
    running: Arc<Mutex<BTreeMap<JobId, Running>>>,
}

struct Running {
    /// Under which the job's partition is owned.
    token: Token,
    /// Somebody asked for the job to be coordinated while it already was, perhaps for the last time.
    asked_again: bool,
    progress: Progress,
}

impl Coordinators {
    /// How far a job is; `None` if this node does not coordinate it.
    pub(super) fn progress(&self, job: JobId) -> Option<Progress> {
        self.running().get(&job).map(|running| running.progress)
    }

    /// How many jobs there are, and their counters in all.
    pub(super) fn totals(&self) -> (u64, Counters) {
        let running = self.running();
        let mut all = Counters::default();
        running.values().for_each(|running| all.add(&running.progress.counters));
        (running.len() as u64, all)
    }

    fn set(&self, job: JobId, progress: Progress) {
        if let Some(running) = self.running().get_mut(&job) {
            running.progress = progress;
        }
    }

    /// Whether a task is to begin for the job; one that runs under the same token looks at it once more instead.
    fn enter(&self, job: JobId, token: Token) -> bool {
        let mut running = self.running();
        if let Some(known) = running.get_mut(&job).filter(|known| known.token == token) {
            known.asked_again = true;
            return false;
        }
        running.insert(job, Running { token, asked_again: false, progress: Progress::default() });
        true
    }

    /// Whether the task that runs under `token` may end: nobody has asked for the job again.
    fn leave(&self, job: JobId, token: Token) -> bool {
        let mut running = self.running();
        let Some(known) = running.get_mut(&job).filter(|known| known.token == token) else { return true };
        if std::mem::take(&mut known.asked_again) {
            return false;
        }
        running.remove(&job);
        true
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<JobId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a job is to do, and which revision of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) control: Control,
    pub(super) revision: u32,
}

/// What is to be done after a look at the job.
enum Next {
    LookAgain,
    /// Nothing is to be done before a page is to be visited again.
    LookLater,
    Finished,
}

/// Coordinates `job` from now on, unless that is being done already. `token`: under which its partition is owned; a task
/// under an earlier one ends by itself.
pub(super) fn start(crawl: &Crawl, job: JobId, partition: Partition, token: Token) {
    errands::start(crawl, job, partition, token);
    if !crawl.coordinators.enter(job, token) {
        return;
    }
    let task = crawl.clone();
    crawl.spawn(async move {
        loop {
            // Whatever could not be reached is tried again at the next look.
            while task.shards.owned(partition).await == Some(token) {
                let pause = match look_after(&task, job, token).await {
                    Ok(Next::Finished) => break,
                    Ok(Next::LookLater) => SLOW_TICK,
                    Ok(Next::LookAgain) | Err(Unavailable) => TICK,
                };
                tokio::time::sleep(pause).await;
            }
            if task.coordinators.leave(job, token) {
                return;
            }
        }
    });
}

async fn look_after(crawl: &Crawl, job: JobId, token: Token) -> Result<Next, Unavailable> {
    let Some((record, version)) = crawl.specs.record(job).await? else { return Ok(Next::Finished) };
    if record.phase == JobPhase::Deleting {
        return delete(crawl, job, &record.file).await;
    }
    if record.phase.has_ended() {
        return Ok(Next::Finished);
    }
    let looked_at = LookedAt { job, record, version, token };
    if looked_at.record.phase == JobPhase::Discarding {
        return looked_at.discard(crawl).await;
    }
    let Some(spec) = crawl.specs.at_least(job, looked_at.record.revision).await? else { return Ok(Next::Finished) };
    match looked_at.record.phase {
        JobPhase::Pending => looked_at.seed(crawl, &spec.job).await,
        JobPhase::Reopening => looked_at.reopen(crawl).await,
        JobPhase::Running if looked_at.record.seeded < looked_at.record.revision => {
            looked_at.seed(crawl, &spec.job).await
        }
        _ => looked_at.advance(crawl, &spec).await,
    }
}

/// A job as it was just read.
struct LookedAt {
    job: JobId,
    record: JobRecord,
    version: u64,
    token: Token,
}

impl LookedAt {
    /// Puts the job's seeds into the frontier; those that are in it already stay as they are.
    async fn seed(self, crawl: &Crawl, spec: &ValidatedJob) -> Result<Next, Unavailable> {
        let seeds = spec.seeds.iter().map(seed_link).collect();
        crawl.router.follow(crawl, self.job, seeds).await;
        let now_ms = crawl.driver.clock().wall_ms();
        let started_ms = if self.record.phase == JobPhase::Pending { now_ms } else { self.record.started_ms };
        let seeded = self.record.revision;
        self.change(crawl, |record| JobRecord { phase: JobPhase::Running, started_ms, seeded, ..record }).await?;
        Ok(Next::LookAgain)
    }

    /// Opens the failed pages again, with everything held, and only then goes on.
    async fn reopen(self, crawl: &Crawl) -> Result<Next, Unavailable> {
        let hold = Order { control: Control::Hold, revision: self.record.revision };
        if !wave(crawl, self.job, hold, false).await.is_complete()
            || super::reopen::everywhere(crawl, self.job).await.len() < usize::from(PARTITIONS)
        {
            return Ok(Next::LookAgain);
        }
        let started_ms = crawl.driver.clock().wall_ms();
        self.change(crawl, |record| JobRecord {
            phase: JobPhase::Running,
            started_ms,
            completed_ms: 0,
            totals: Counters::default(),
            message: None,
            ..record
        })
        .await?;
        Ok(Next::LookAgain)
    }

    /// Removes everything that was found, and keeps the job.
    async fn discard(self, crawl: &Crawl) -> Result<Next, Unavailable> {
        if !purge(crawl, self.job).await {
            return Ok(Next::LookAgain);
        }
        let completed_ms = crawl.driver.clock().wall_ms();
        let totals = Counters::default();
        let ended = self
            .change(crawl, |record| JobRecord { phase: JobPhase::Cancelled, completed_ms, totals, ..record })
            .await?;
        Ok(if ended { Next::Finished } else { Next::LookAgain })
    }

    async fn advance(self, crawl: &Crawl, spec: &Spec) -> Result<Next, Unavailable> {
        let control = match self.record.phase {
            _ if self.record.suspended => Control::Hold,
            JobPhase::Closing(reason) => Control::Close(reason),
            _ if !any_is_open(&spec.windows, Timestamp::now()) => Control::Hold,
            _ if self.only_visits_again(crawl, &spec.job) => Control::Revisit(SkipReason::PageLimit),
            _ => Control::Run,
        };
        let order = Order { control, revision: self.record.revision };
        let wave = wave(crawl, self.job, order, false).await;
        if !wave.is_complete() {
            return Ok(Next::LookAgain);
        }
        let total = wave.total();
        let at_rest = matches!(control, Control::Hold) && total.in_flight == 0;
        crawl.coordinators.set(self.job, Progress { counters: total, at_rest });
        let is_closing = matches!(control, Control::Close(_));
        if may_have_ended(&spec.job, is_closing, &total) {
            let first = self::wave(crawl, self.job, order, true).await;
            let second = self::wave(crawl, self.job, order, true).await;
            let totals = second.total();
            if has_ended(&first, &second)
                && may_have_ended(&spec.job, is_closing, &totals)
                && confirm(&crawl.driver, job_partition(self.job), self.token).await?
            {
                return self.end(crawl, &spec.job, totals).await;
            }
        } else if !self.record.suspended
            && let Some(reason) = self.limit_reached(crawl, &spec.job, &total)
        {
            self.change(crawl, |record| JobRecord { phase: JobPhase::Closing(reason), ..record }).await?;
        }
        Ok(if total.waits_for_a_visit() { Next::LookLater } else { Next::LookAgain })
    }

    /// Whether every page of the limit was requested, and the job goes on with visits to them.
    fn only_visits_again(&self, crawl: &Crawl, spec: &ValidatedJob) -> bool {
        let known = crawl.coordinators.progress(self.job).unwrap_or_default().counters;
        spec.recrawl.is_some() && spec.limits.max_pages.is_some_and(|pages| known.admitted_closed >= pages)
    }

    fn limit_reached(&self, crawl: &Crawl, spec: &ValidatedJob, total: &Counters) -> Option<SkipReason> {
        if matches!(self.record.phase, JobPhase::Closing(_)) {
            return None;
        }
        if fails(spec, total) {
            return Some(SkipReason::BackoffLimitExceeded);
        }
        if spec.recrawl.is_none() && spec.limits.max_pages.is_some_and(|pages| total.admitted_closed >= pages) {
            return Some(SkipReason::PageLimit);
        }
        if spec.limits.max_items.is_some_and(|items| total.items >= items) {
            return Some(SkipReason::ItemLimit);
        }
        if spec.limits.max_bytes.is_some_and(|bytes| total.bytes >= bytes) {
            return Some(SkipReason::ByteLimit);
        }
        let age = Duration::from_millis(crawl.driver.clock().wall_ms().saturating_sub(self.record.started_ms));
        spec.limits.max_duration.is_some_and(|most| age >= most).then_some(SkipReason::TimeLimit)
    }

    async fn end(self, crawl: &Crawl, spec: &ValidatedJob, totals: Counters) -> Result<Next, Unavailable> {
        let limit = if let JobPhase::Closing(reason) = self.record.phase { Some(reason) } else { None };
        let (phase, message) = outcome(spec, limit, &totals);
        let completed_ms = crawl.driver.clock().wall_ms();
        let ended = self.change(crawl, |record| JobRecord { phase, totals, message, completed_ms, ..record }).await?;
        Ok(if ended { Next::Finished } else { Next::LookAgain })
    }

    /// Changes the job's record unless it was changed meanwhile; whether it was done.
    async fn change(self, crawl: &Crawl, change: impl FnOnce(JobRecord) -> JobRecord) -> Result<bool, Unavailable> {
        let content = encode(&change(self.record));
        let key = Name::Job(self.job).key(job_partition(self.job));
        match crawl.driver.compare_and_set(key, self.version, content).await {
            Outcome::Done { .. } => Ok(true),
            Outcome::Conflict { .. } => Ok(false),
            Outcome::Indeterminate | Outcome::Unavailable => Err(Unavailable),
        }
    }
}

/// Whether a job may have ended, as one look shows it. Pages that are visited again are done all the while: a job with such
/// pages goes on until it is closed and no visit is under way.
fn may_have_ended(spec: &ValidatedJob, is_closing: bool, total: &Counters) -> bool {
    let goes_on = spec.recrawl.is_some() && (total.in_flight > 0 || (!is_closing && total.succeeded > 0));
    !goes_on && total.done() == total.discovered && (total.discovered > 0 || is_closing)
}

/// Whether more pages have failed than the job allows.
fn fails(spec: &ValidatedJob, total: &Counters) -> bool {
    spec.limits.max_failed.is_some_and(|most| total.failed > most)
}

/// How a job has ended, and a sentence about it if it has failed; `limit`: what made it end, if anything did.
fn outcome(spec: &ValidatedJob, limit: Option<SkipReason>, totals: &Counters) -> (JobPhase, Option<String>) {
    match limit {
        Some(SkipReason::JobStopped) => (JobPhase::Stopped, None),
        _ if fails(spec, totals) => {
            let (failed, most) = (totals.failed, spec.limits.max_failed.unwrap_or_default());
            let told = format!(
                "pages that failed: {failed}, backoffLimit: {most}; what was found is kept, and the list of skipped pages \
                 says why they failed"
            );
            (JobPhase::Failed(Some(SkipReason::BackoffLimitExceeded)), Some(told))
        }
        None if totals.succeeded == 0 => {
            let told = "not one page could be fetched; the list of skipped pages says why";
            (JobPhase::Failed(None), Some(told.to_owned()))
        }
        limit => (JobPhase::Completed(limit), None),
    }
}

fn seed_link(seed: &Seed) -> Link {
    let way = Way { kind: seed.kind, label: seed.label, priority: SEED_PRIORITY, ..Way::default() };
    Link { url: seed.url.clone(), depth: 0, way }
}

/// Tells every node what the job is to do, and gathers the reports of all partitions.
async fn wave(crawl: &Crawl, job: JobId, order: Order, confirmed: bool) -> Wave {
    let living = crawl.driver.living_nodes();
    let reports =
        futures::future::join_all(living.into_iter().map(|node| report_of(crawl, node, job, order, confirmed))).await;
    let mut wave = Wave::default();
    for (partition, token, counters) in reports.into_iter().flatten() {
        wave.report(partition, token, counters);
    }
    wave
}

async fn report_of(crawl: &Crawl, node: NodeId, job: JobId, order: Order, confirmed: bool) -> Vec<Report> {
    if node == crawl.driver.me() {
        return report(crawl, job, order, confirmed).await;
    }
    let (word, reason) = match order.control {
        Control::Hold => (v1::report_request::Control::Hold, ""),
        Control::Run => (v1::report_request::Control::Run, ""),
        Control::Close(reason) => (v1::report_request::Control::Close, reason.as_str()),
        Control::Revisit(reason) => (v1::report_request::Control::Revisit, reason.as_str()),
    };
    let request = v1::ReportRequest {
        header: crawl.driver.peers().header(),
        job: job.0.to_vec().into(),
        control: word.into(),
        confirm: confirmed,
        reason: reason.to_owned(),
        revision: order.revision,
    };
    let Some(mut frontier) = crawl.driver.peers().frontier(node) else { return Vec::new() };
    let Ok(reply) = frontier.report(request).await else { return Vec::new() };
    let read = |report: v1::report_reply::Partition| {
        let counters = report.counters.map(convert::counters).unwrap_or_default();
        Some((convert::partition(report.partition).ok()?, Token(report.token), counters))
    };
    reply.into_inner().partitions.into_iter().filter_map(read).collect()
}

/// This node's part of a wave.
pub(super) async fn report(crawl: &Crawl, job: JobId, order: Order, confirmed: bool) -> Vec<Report> {
    crawl.shards.tell(Command::Control(job, order)).await;
    let reports = crawl.shards.report(job).await;
    if !confirmed {
        return reports;
    }
    let confirmations = reports.into_iter().map(|report| async move {
        confirm(&crawl.driver, report.0, report.1).await.is_ok_and(|owner| owner).then_some(report)
    });
    futures::future::join_all(confirmations).await.into_iter().flatten().collect()
}

/// Removes everything of a job: the records of its pages first, its own last.
async fn delete(crawl: &Crawl, job: JobId, file: &str) -> Result<Next, Unavailable> {
    if !purge(crawl, job).await || !webhooks::forget(crawl, job).await? || !outputs::forget(crawl, job, file).await? {
        return Ok(Next::LookAgain);
    }
    let partition = job_partition(job);
    let keys = [Name::Budget(job), Name::Job(job)].map(|name| name.key(partition));
    Ok(if crawl.driver.remove_all(partition, keys).await { Next::Finished } else { Next::LookAgain })
}

/// Removes the records of a job's pages and of their contents everywhere; whether all are gone.
async fn purge(crawl: &Crawl, job: JobId) -> bool {
    let purged =
        futures::future::join_all(crawl.driver.nodes().into_iter().map(|node| purge_at(crawl, node, job))).await;
    let purged: BTreeSet<Partition> = purged.into_iter().flatten().collect();
    purged.len() == usize::from(PARTITIONS) && dedup::forget(crawl, job).await.unwrap_or(false)
}

async fn purge_at(crawl: &Crawl, node: NodeId, job: JobId) -> Vec<Partition> {
    if node == crawl.driver.me() {
        return crawl.shards.purge(job).await;
    }
    let request = v1::PurgeRequest { header: crawl.driver.peers().header(), job: job.0.to_vec().into() };
    let Some(mut frontier) = crawl.driver.peers().frontier(node) else { return Vec::new() };
    let Ok(reply) = frontier.purge(request).await else { return Vec::new() };
    reply.into_inner().partitions.into_iter().filter_map(|partition| convert::partition(partition).ok()).collect()
}

/// Stores a new job with this node, the owner of its partition; `false` if it is not.
pub(super) async fn submit(crawl: &Crawl, job: JobId, file: &str) -> Result<bool, Unavailable> {
    let partition = job_partition(job);
    let Some(token) = crawl.shards.owned(partition).await else { return Ok(false) };
    let Ok(loaded) = crate::job::load(file) else { return Err(Unavailable) };
    let record = JobRecord {
        file: file.to_owned(),
        accepted: None,
        revision: 0,
        seeded: 0,
        phase: JobPhase::Pending,
        suspended: loaded.file.spec.suspend,
        submitted_ms: crawl.driver.clock().wall_ms(),
        started_ms: 0,
        completed_ms: 0,
        totals: Counters::default(),
        message: None,
        errands: errands::has_any(&loaded.file.spec),
    };
    if let Some(pages) = loaded.job.limits.max_pages {
        // Before the job, so that no job is seen without its budget; a budget without its job harms nobody.
        create(crawl, Name::Budget(job).key(partition), encode(&BudgetRecord::new(pages))).await?;
    }
    create(crawl, Name::Job(job).key(partition), encode(&record)).await?;
    if !confirm(&crawl.driver, partition, token).await? {
        return Ok(false);
    }
    start(crawl, job, partition, token);
    Ok(true)
}

/// Sees to it that the register holds something; that it did before is just as well.
async fn create(crawl: &Crawl, key: Key, content: Bytes) -> Result<(), Unavailable> {
    match crawl.driver.change_one(key, Change::Create(content)).await {
        Outcome::Done { .. } | Outcome::Conflict { .. } => Ok(()),
        Outcome::Indeterminate | Outcome::Unavailable => Err(Unavailable),
    }
}

/// Brings a job to its coordinator, wherever that is; stays until one has taken it or `attempts` were made.
pub(super) async fn submit_anywhere(
    crawl: &Crawl,
    router: &Router,
    job: JobId,
    file: &str,
    attempts: usize,
) -> Result<(), Unavailable> {
    let partition = job_partition(job);
    for attempt in 0..attempts {
        let owner = router.owner(partition, attempt);
        let taken = if owner == crawl.driver.me() {
            submit(crawl, job, file).await.unwrap_or(false)
        } else {
            submit_at(crawl, owner, job, file).await
        };
        router.learn(partition, owner, taken);
        if taken {
            return Ok(());
        }
        if crawl.driver.disk().is_full() && attempt >= ATTEMPTS_ON_A_FULL_DISK {
            break;
        }
        tokio::time::sleep(TICK).await;
    }
    Err(Unavailable)
}

async fn submit_at(crawl: &Crawl, owner: NodeId, job: JobId, file: &str) -> bool {
    let request =
        v1::SubmitRequest { header: crawl.driver.peers().header(), job: job.0.to_vec().into(), file: file.to_owned() };
    let Some(mut frontier) = crawl.driver.peers().frontier(owner) else { return false };
    frontier.submit(request).await.is_ok_and(|reply| !reply.get_ref().not_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId([1; 16]);

    fn spec(recrawl: &str) -> ValidatedJob {
        let file = format!(
            "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {{name: test}}\nspec: {{seeds: [{{url: http://a.test}}]{recrawl}}}"
        );
        crate::job::load(&file).expect("a job").job
    }

    #[test]
    fn a_job_ends_when_all_is_done_and_one_that_visits_pages_again_only_when_it_is_closed_and_no_visit_is_under_way() {
        let (once, again) = (spec(""), spec(", recrawl: {}"));
        let done = Counters { discovered: 3, succeeded: 2, skipped: 1, ..Counters::default() };
        assert!(may_have_ended(&once, false, &done) && !may_have_ended(&again, false, &done));
        assert!(may_have_ended(&again, true, &done));
        assert!(!may_have_ended(&again, true, &Counters { in_flight: 1, ..done }), "a visit still lands");
        let nothing = Counters { succeeded: 0, failed: 2, ..done };
        assert!(may_have_ended(&again, false, &nothing), "there is no page to be visited again");
        assert!(!may_have_ended(&once, false, &Counters::default()), "its seeds are not there yet");
    }

    #[test]
    fn a_job_fails_with_one_failed_page_more_than_its_limit_and_not_before() {
        let limited = spec(", backoffLimit: 2");
        let with = |failed| Counters { discovered: 9, succeeded: 9 - failed, failed, ..Counters::default() };
        assert!(!fails(&limited, &with(2)) && fails(&limited, &with(3)) && !fails(&spec(""), &with(9)));
        let phase = |limit, failed| outcome(&limited, limit, &with(failed)).0;
        let failed = JobPhase::Failed(Some(SkipReason::BackoffLimitExceeded));
        assert_eq!(phase(None, 2), JobPhase::Completed(None));
        assert_eq!(phase(None, 3), failed, "the last pages may be those that fail");
        assert_eq!(phase(Some(SkipReason::BackoffLimitExceeded), 3), failed);
        assert_eq!(phase(Some(SkipReason::PageLimit), 3), failed, "whatever ended it first");
        assert_eq!(phase(Some(SkipReason::PageLimit), 1), JobPhase::Completed(Some(SkipReason::PageLimit)));
        assert_eq!(phase(Some(SkipReason::JobStopped), 3), JobPhase::Stopped, "that was its user's wish");
        assert_eq!(outcome(&spec(""), None, &with(9)).0, JobPhase::Failed(None));
        assert!(fails(&spec(", backoffLimit: 0"), &with(1)));
    }

    #[test]
    fn a_job_that_is_asked_for_while_its_task_ends_is_looked_at_once_more() {
        let coordinators = Coordinators::default();
        assert!(coordinators.enter(JOB, Token(1)));
        assert!(!coordinators.enter(JOB, Token(1)), "one task does it");
        assert!(!coordinators.leave(JOB, Token(1)), "it was asked for again");
        assert!(coordinators.leave(JOB, Token(1)) && coordinators.progress(JOB).is_none());
    }

    #[test]
    fn a_partition_that_comes_back_has_a_task_of_its_own_whatever_became_of_the_one_before() {
        let coordinators = Coordinators::default();
        assert!(coordinators.enter(JOB, Token(1)) && coordinators.enter(JOB, Token(2)));
        assert!(coordinators.leave(JOB, Token(1)), "the earlier task ends");
        assert!(coordinators.progress(JOB).is_some() && !coordinators.enter(JOB, Token(2)), "the later one goes on");
    }
}
