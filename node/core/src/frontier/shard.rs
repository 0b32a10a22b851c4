//! One partition's part of the frontier, as its owner holds it.
//!
//! Inputs are `handle_*`; after each, drain [`Shard::poll_commit`], [`Shard::poll_work`] and
//! [`Shard::poll_event`]. The shard is rebuilt from registers by [`Shard::open`] and [`Shard::load`] for each.

mod agenda;
mod chores;
mod commit;
mod cookies;
mod hosts;
mod job;
mod load;
mod records;
mod reopen;
mod revisit;
mod schedule;
#[cfg(test)]
mod tests;

pub use commit::Write;
pub use job::{Control, ResultKind};
pub use load::Previous;
pub use reopen::Reopened;
pub use schedule::Work;

pub use super::host::{Conduct, Exchange, Health, HostStatus, Policy, RobotsStatus, Unreached};

use super::history::History;
use super::host::Host;
use super::opt_out::OptOuts;
use super::record::{AttemptRecord, Counters, JobId, PageResult, Token, UrlHash, UrlRecord, Way};
use crate::dice::Jitter;
use crate::id::Partition;
use crate::job::{NormalizedUrl, SkipReason, ValidatedJob};
use crate::time::Instant;
use chores::Chore;
use commit::{Pending, Pipeline};
use job::{JobShard, Stage};
use records::Records;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Names a request that waits for its acknowledgement; chosen by the caller, unique in the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiter(pub u64);

/// A link to be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// In scope, and of this partition.
    pub url: NormalizedUrl,
    /// Links followed from a seed.
    pub depth: u32,
    /// How it was come upon.
    pub way: Way,
}

/// What is told to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What this waiter asked for is durable and known to every later owner.
    Acknowledged(Waiter),
    /// No quorum has confirmed the ownership for a [`LEASE`](super::LEASE): another owner may be about to fetch, and
    /// what is being requested must be broken off.
    Lapsed,
    /// The partition has another owner: this shard is void, and whoever waits must turn to that one.
    Lost,
}

/// One attempt at a page.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The job.
    pub job: JobId,
    /// The page.
    pub url: UrlHash,
    /// Its host, `scheme://host:port`.
    pub origin: &'a str,
    /// The request, if one was made.
    pub made: Option<AttemptRecord>,
}

/// What came of one attempt at a page.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// The page is closed. Its links are acknowledged by their owners already.
    Closed(PageResult),
    /// What was there before is there still; what is remembered of the page from now on.
    Unchanged(Box<History>),
    /// It may go better another time.
    Failed {
        /// From the closed list.
        reason: SkipReason,
        /// Status or error.
        detail: String,
    },
    /// Nothing was learned (the node is stopping): the page is as it was.
    Abandoned,
}

/// One partition's part of the frontier.
#[derive(Debug)]
pub struct Shard {
    partition: Partition,
    token: Token,
    jobs: BTreeMap<JobId, JobShard>,
    hosts: BTreeMap<Arc<str>, Host>,
    records: Records,
    chores: VecDeque<Chore>,
    pipeline: Pipeline,
    events: VecDeque<Event>,
    claimed_at: Instant,
    fetch_from: Instant,
    /// When this owner may begin, if another one came before.
    resumed_at: Option<Instant>,
    confirmed_at: Instant,
    confirming: bool,
    lapsed: bool,
    lost: bool,
    wake_at: Option<Instant>,
    last_host: Option<Arc<str>>,
    policy: Policy,
    dice: Jitter,
    /// A moment, and the wall clock then, milliseconds since 1970.
    wall: (Instant, u64),
    swept_at: Instant,
    /// Whether a host was forgotten: one that is not known here may have a record.
    has_forgotten: bool,
    /// Hosts whose records are to be read again.
    unread: BTreeSet<Arc<str>>,
    /// Hosts that are not to be visited.
    opt_outs: Arc<OptOuts>,
    /// Jobs for which there is no place now.
    barred: BTreeSet<JobId>,
    /// Of these, the ones that would have had something to fetch.
    turned_away: BTreeSet<JobId>,
    /// The moment of the last question or answer.
    told_at: Instant,
}

impl Shard {
    /// The fencing token under which this shard was opened.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// From when on turns at an address may be given out: those that an earlier owner gave are over then.
    #[must_use]
    pub fn gives_turns_from(&self) -> Instant {
        self.resumed_at.map_or(self.claimed_at, |_| self.claimed_at + super::LEASE)
    }

    /// Whether another owner took over.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// The next event; ask until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to ask [`Shard::poll_work`] again if nothing happens before; known after it has answered `None`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wake_at
    }

    /// Nothing is requested for these jobs until told otherwise: the node has no place for them.
    pub fn handle_barred(&mut self, jobs: BTreeSet<JobId>) {
        self.barred = jobs;
    }

    /// Jobs that were barred and would have had something to request now; known after [`Shard::poll_work`] has
    /// answered `None`.
    pub fn turned_away(&self) -> impl Iterator<Item = JobId> + '_ {
        self.turned_away.iter().copied()
    }

    /// This partition's part of the job's counters. A page is in flight until its result is committed.
    #[must_use]
    pub fn counters(&self, job: JobId) -> Counters {
        let Some(shard) = self.jobs.get(&job) else { return Counters::default() };
        let next_visit_ms =
            shard.agenda.first().filter(|_| shard.visits_again()).map(|second| u64::from(second) * 1_000);
        Counters { in_flight: shard.counters.in_flight + self.pipeline.closing(job), next_visit_ms, ..shard.counters }
    }

    /// Committed results of `job` of the `wanted` kinds with a sequence above `after`, ascending, at most `limit`.
    ///
    /// A reader that always goes on after the last sequence it saw sees each result exactly once, also across a
    /// takeover. Only if the new owner is deposed too before it has settled what its predecessor had in flight,
    /// results of that one batch may be seen twice or passed over; from the beginning, each is seen once.
    pub fn results(
        &self,
        job: JobId,
        after: u64,
        limit: usize,
        wanted: impl Fn(ResultKind) -> bool,
    ) -> Vec<(u64, ResultKind, UrlHash)> {
        self.jobs.get(&job).map(|shard| shard.visible_results(after, limit, wanted)).unwrap_or_default()
    }

    /// Jobs that have records here.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.keys().copied()
    }

    /// The answer to [`Work::Job`]: how `job` is to be run. `granted` is this partition's part of the page budget.
    pub fn handle_job(&mut self, id: JobId, job: Arc<ValidatedJob>, granted: u64) {
        let shard = self.jobs.entry(id).or_default();
        if shard.job.is_none() {
            shard.budget.available = granted.saturating_sub(shard.counters.admitted);
            let is_late = shard.budget.available > 0 && self.resumed_at.is_some();
            shard.job = Some(job);
            if is_late {
                self.fence(id);
            }
        }
    }

    /// The job was changed by its user: `job` is how it is to be run from now on.
    pub fn handle_revised(&mut self, id: JobId, job: Arc<ValidatedJob>) {
        let Some(shard) = self.jobs.get_mut(&id).filter(|shard| shard.job.is_some()) else { return };
        shard.job = Some(job);
    }

    /// The answer to [`Work::Job`] if there is no such job any more: its records are removed.
    pub fn handle_job_gone(&mut self, id: JobId) {
        self.purge(id, None);
    }

    /// The job is to run, to pause, or to come to an end.
    pub fn handle_control(&mut self, id: JobId, control: Control) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        if shard.control == control {
            return;
        }
        shard.control = control;
        let (Control::Close(reason) | Control::Revisit(reason)) = control else { return };
        let queues = self.hosts.values_mut().filter_map(|host| host.queues.get_mut(&id));
        let waiting: Vec<UrlHash> = queues.flat_map(|queue| queue.drain()).collect();
        let (again, open): (Vec<UrlHash>, Vec<UrlHash>) = waiting.into_iter().partition(|url| self.is_again(id, *url));
        again.into_iter().for_each(|url| self.sleep(id, url));
        self.close_all(id, open, PageResult::Skipped { reason, detail: None });
    }

    /// Links of `job` to be followed; `waiter` is told when all of them are durable.
    pub fn handle_links(&mut self, id: JobId, links: Vec<Link>, waiter: Waiter) {
        let mut last_ticket = None;
        for link in links {
            let hash = UrlHash::of(&link.url);
            let shard = self.jobs.entry(id).or_default();
            if let Some(entry) = shard.urls.get(&hash) {
                if entry.stage == Stage::Creating {
                    last_ticket = Some(self.pipeline.last_ticket());
                }
                continue;
            }
            let admits = match &shard.job {
                Some(job) if link.depth > 0 => shard.variants.admits(&link.url, &job.url_rules),
                _ => {
                    shard.variants.count(&link.url);
                    true
                }
            };
            if !admits {
                last_ticket = self.record_unfollowed(id, &link.url, SkipReason::Trap).or(last_ticket);
                continue;
            }
            shard.urls.insert(hash, job::Entry::creating());
            last_ticket = Some(self.pipeline.push(Pending::create(id, hash, &link)));
        }
        match last_ticket {
            Some(ticket) => self.pipeline.wait(ticket, waiter),
            None => self.events.push_back(Event::Acknowledged(waiter)),
        }
    }

    /// What came of a page whose request ended ([`Shard::handle_fetched`]). `unfollowed` are links of the page that
    /// the job does not follow.
    pub fn handle_outcome(
        &mut self,
        visit: &Visit<'_>,
        attempt: Attempt,
        unfollowed: Vec<(NormalizedUrl, SkipReason)>,
        now: Instant,
    ) {
        let Visit { job: id, url, origin, made } = *visit;
        self.told_at = now;
        let Some(job) = self.spec(id) else { return };
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        shard.counters.in_flight = shard.counters.in_flight.saturating_sub(1);
        let Some(entry) = shard.urls.get_mut(&url).filter(|entry| entry.stage == Stage::Fetching) else { return };
        if let (Some(made), Some(record)) = (made, self.records.get_mut(id, url)) {
            record.attempts.push(made);
        }
        match attempt {
            Attempt::Closed(result) => {
                let last_link = self.record_all_unfollowed(id, &unfollowed);
                self.close_after(last_link, id, url, result);
            }
            Attempt::Unchanged(history) if entry.is_again() => {
                let last_link = self.record_all_unfollowed(id, &unfollowed);
                self.handle_unchanged(last_link, id, url, history);
            }
            Attempt::Failed { reason, detail } => {
                entry.attempts += 1;
                if u32::from(entry.attempts) > job.retry.max_retries {
                    self.close(id, url, PageResult::Failed { reason, detail });
                } else {
                    let pause = job.retry.pause(entry.attempts.into(), self.dice.next());
                    self.note(id, url, now, pause);
                }
            }
            // Nothing was asked that could be answered so.
            Attempt::Abandoned | Attempt::Unchanged(_) => {
                entry.stage = Stage::Waiting;
                self.requeue(id, url, origin, |queue| queue.ready.push_front(url));
            }
        }
    }

    /// Writes down what was tried; the page waits for another attempt afterwards.
    fn note(&mut self, id: JobId, url: UrlHash, now: Instant, pause: Duration) {
        let Some(entry) = self.jobs.get_mut(&id).and_then(|shard| shard.urls.get_mut(&url)) else { return };
        let Some(mut record) = self.records.take(id, url) else { return };
        entry.stage = Stage::Noting;
        record.admitted = entry.admitted;
        record.attempts.failed = entry.attempts.into();
        record.attempts.pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.pipeline.push(Pending::note(id, url, record.replacing_itself(), entry.version, now + pause));
    }

    /// A page whose request did not leave waits again, in front.
    fn put_back(&mut self, id: JobId, url: UrlHash, origin: &str) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        shard.counters.in_flight = shard.counters.in_flight.saturating_sub(1);
        let Some(entry) = shard.urls.get_mut(&url).filter(|entry| entry.stage == Stage::Fetching) else { return };
        entry.stage = Stage::Waiting;
        self.requeue(id, url, origin, |queue| queue.ready.push_front(url));
    }

    /// The answer to [`Work::Budget`].
    pub fn handle_budget(&mut self, id: JobId, granted: u64, now: Instant) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        shard.budget.available += granted;
        shard.budget.asked = false;
        if granted == 0 {
            shard.budget.ask_again_at = now + job::BUDGET_RETRY;
        }
    }

    /// The answer to [`Work::Confirm`]: whether this node was still the owner when asked at `began`.
    pub fn handle_confirmed(&mut self, owner: Option<bool>, began: Instant) {
        self.confirming = false;
        match owner {
            Some(true) => self.confirm(began),
            Some(false) => self.lose(),
            None => {}
        }
    }

    /// Removes every record of `job`; `waiter` is told when they are gone.
    pub fn handle_purge(&mut self, id: JobId, waiter: Waiter) {
        self.purge(id, Some(waiter));
    }

    fn purge(&mut self, id: JobId, waiter: Option<Waiter>) {
        self.hosts.values_mut().for_each(|host| {
            host.queues.remove(&id);
        });
        let shard = self.jobs.remove(&id).unwrap_or_default();
        self.remove_all(id, shard, waiter);
    }

    /// How `job` is to be run, if that is known.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<Arc<ValidatedJob>> {
        self.spec(id)
    }

    /// Whether `job` has a limit of pages fetched at once.
    #[must_use]
    pub fn is_limited(&self, id: JobId) -> bool {
        self.jobs.get(&id).and_then(|shard| shard.job.as_ref()).is_some_and(|job| job.parallelism.is_some())
    }

    fn spec(&self, id: JobId) -> Option<Arc<ValidatedJob>> {
        self.jobs.get(&id)?.job.clone()
    }

    fn confirm(&mut self, began: Instant) {
        self.confirmed_at = self.confirmed_at.max(began);
        self.lapsed = false;
    }

    fn lose(&mut self) {
        self.lost = true;
        self.events.push_back(Event::Lost);
    }

    /// Puts a URL where `place` says, unless the job does not go on with such URLs.
    fn requeue(&mut self, id: JobId, url: UrlHash, origin: &str, place: impl FnOnce(&mut super::host::Queue)) {
        let (again, control) = (self.is_again(id, url), self.jobs.get(&id).map(|shard| shard.control));
        match control {
            Some(Control::Close(_)) if again => self.sleep(id, url),
            Some(Control::Close(reason) | Control::Revisit(reason)) if !again => {
                self.close(id, url, PageResult::Skipped { reason, detail: None });
            }
            _ => place(self.host(origin).queues.entry(id).or_default()),
        }
    }

    fn close(&mut self, id: JobId, url: UrlHash, result: PageResult) {
        self.close_after(None, id, url, result);
    }

    /// Closes a URL whose record is here, if given after the change with this ticket: whoever sees a closed page sees
    /// its links.
    fn close_after(&mut self, ticket: Option<u64>, id: JobId, url: UrlHash, result: PageResult) {
        if self.is_again(id, url) {
            return self.end_visit(ticket, id, url, result);
        }
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let (Some(entry), Some(record)) = (shard.urls.get_mut(&url), self.records.take(id, url)) else { return };
        entry.stage = Stage::Closing;
        let record = UrlRecord { admitted: entry.admitted, ..record };
        let pending = Pending::close(id, url, record, entry.version, result);
        match ticket {
            Some(ticket) => self.pipeline.push_after(ticket, pending),
            None => _ = self.pipeline.push(pending),
        }
    }

    /// The ticket of the last one that is new.
    fn record_all_unfollowed(&mut self, id: JobId, links: &[(NormalizedUrl, SkipReason)]) -> Option<u64> {
        links.iter().filter_map(|(link, reason)| self.record_unfollowed(id, link, *reason)).last()
    }

    fn record_unfollowed(&mut self, id: JobId, link: &NormalizedUrl, reason: SkipReason) -> Option<u64> {
        let hash = UrlHash::of(link);
        let is_new = self.jobs.get_mut(&id)?.links.insert(hash);
        is_new.then(|| self.pipeline.push(Pending::link(id, hash, link, reason)))
    }
}
