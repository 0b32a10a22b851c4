//! One partition's part of the frontier, as its owner holds it.
//!
//! Inputs are `handle_*`; after each, drain [`Shard::poll_commit`], [`Shard::poll_work`] and
//! [`Shard::poll_event`]. The shard is rebuilt from registers by [`Shard::open`] and [`Shard::load`] for each.

mod commit;
mod job;
mod load;
mod schedule;
#[cfg(test)]
mod tests;

pub use commit::Write;
pub use job::{Control, ResultKind};
pub use load::Previous;
pub use schedule::Work;

pub use super::host::Unreached;

use super::host::{Host, RobotsState};
use super::record::{Counters, HostRecord, JobId, PageResult, RobotsFile, Token, UrlHash};
use crate::id::Partition;
use crate::job::{NormalizedUrl, SkipReason, ValidatedJob};
use crate::time::Instant;
use commit::{Effect, Pending, Pipeline};
use job::{JobShard, Stage};
use std::collections::{BTreeMap, VecDeque};
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
    /// Redirects in a row that led here.
    pub redirects: u32,
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
}

/// What came of one attempt at a page.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// The page is closed. Its links are acknowledged by their owners already.
    Closed(PageResult),
    /// It may go better another time.
    Failed {
        /// From the closed list.
        reason: SkipReason,
        /// Status or error.
        detail: String,
        /// The host asked for this pause (`Retry-After`).
        retry_after: Option<Duration>,
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
    pipeline: Pipeline,
    events: VecDeque<Event>,
    fetch_from: Instant,
    /// When this owner may begin, if another one came before.
    resumed_at: Option<Instant>,
    confirmed_at: Instant,
    confirming: bool,
    lapsed: bool,
    lost: bool,
    wake_at: Option<Instant>,
    last_host: Option<Arc<str>>,
}

impl Shard {
    /// The fencing token under which this shard was opened.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
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

    /// This partition's part of the job's counters. A page is in flight until its result is committed.
    #[must_use]
    pub fn counters(&self, job: JobId) -> Counters {
        let Some(shard) = self.jobs.get(&job) else { return Counters::default() };
        Counters { in_flight: shard.counters.in_flight + self.pipeline.closing(job), ..shard.counters }
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
            if shard.budget.available > 0 && self.resumed_at.is_some() {
                self.pipeline.fence(id, shard);
            }
            shard.job = Some(job);
        }
    }

    /// The answer to [`Work::Job`] if there is no such job any more: its records are removed.
    pub fn handle_job_gone(&mut self, id: JobId) {
        self.purge(id);
    }

    /// The job is to run, to pause, or to come to an end.
    pub fn handle_control(&mut self, id: JobId, control: Control) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        if shard.control == control {
            return;
        }
        shard.control = control;
        if let Control::Close(reason) = control {
            let waiting: Vec<UrlHash> = self
                .hosts
                .values_mut()
                .filter_map(|host| host.queues.get_mut(&id))
                .flat_map(|queue| queue.drain())
                .collect();
            for url in waiting {
                self.close(id, url, PageResult::Skipped { reason, detail: None });
            }
        }
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
            shard.urls.insert(hash, job::Entry::creating(&link));
            last_ticket = Some(self.pipeline.push(Pending::create(id, hash, &link)));
        }
        match last_ticket {
            Some(ticket) => self.pipeline.wait(ticket, waiter),
            None => self.events.push_back(Event::Acknowledged(waiter)),
        }
    }

    /// The host began to answer the request of `job`.
    pub fn handle_answered(&mut self, id: JobId, origin: &str, now: Instant) {
        let job = self.spec(id);
        if let Some(host) = self.hosts.get_mut(origin) {
            host.handle_answer(job.as_deref(), now);
        }
    }

    /// A request of `job` ended, whatever came of it: its place at the host is free. The page is still open.
    /// `answered`: [`Shard::handle_answered`] was called for it.
    pub fn handle_fetched(&mut self, id: JobId, origin: &str, answered: bool, now: Instant) {
        let job = self.spec(id);
        if let Some(host) = self.hosts.get_mut(origin) {
            host.handle_end(job.as_deref(), answered, now);
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
        let Visit { job: id, url, origin } = *visit;
        let Some(job) = self.spec(id) else { return };
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        shard.counters.in_flight = shard.counters.in_flight.saturating_sub(1);
        let Some(entry) = shard.urls.get_mut(&url).filter(|entry| entry.stage == Stage::Fetching) else { return };
        match attempt {
            Attempt::Closed(result) => {
                let last_link =
                    unfollowed.iter().filter_map(|(link, reason)| self.record_unfollowed(id, link, *reason)).last();
                self.close_after(last_link, id, url, result);
            }
            Attempt::Failed { reason, detail, retry_after } => {
                if let (Some(pause), Some(host)) = (retry_after, self.hosts.get_mut(origin)) {
                    host.handle_block(now + pause);
                }
                entry.attempts += 1;
                if entry.attempts > job.retry.max_retries {
                    self.close(id, url, PageResult::Failed { reason, detail });
                } else {
                    let pause =
                        job.retry.backoff.saturating_mul(1 << (entry.attempts - 1).min(16)).min(job.retry.max_backoff);
                    entry.stage = Stage::Waiting;
                    self.requeue(id, url, origin, |queue| {
                        queue.retries.insert((now + pause, url));
                    });
                }
            }
            Attempt::Abandoned => {
                entry.stage = Stage::Waiting;
                self.requeue(id, url, origin, |queue| queue.ready.push_front(url));
            }
        }
    }

    /// What came of [`Work::Robots`]. `wall_ms`: milliseconds since 1970.
    pub fn handle_robots(
        &mut self,
        id: JobId,
        origin: &str,
        result: Result<RobotsFile, Unreached>,
        now: Instant,
        wall_ms: u64,
    ) {
        let job = self.spec(id);
        let Some(host) = self.hosts.get_mut(origin) else { return };
        host.handle_end(job.as_deref(), false, now);
        match result {
            Ok(robots) => {
                let record = HostRecord { origin: origin.to_owned(), robots, fetched_ms: wall_ms };
                self.pipeline.push(Pending::host(record));
            }
            Err(unreached) if host.handle_unreached(&unreached, now) => self.give_up_host(origin, &unreached),
            Err(_) => {}
        }
    }

    /// Closes everything that waits for the robots.txt of a host that cannot be reached.
    fn give_up_host(&mut self, origin: &str, unreached: &Unreached) {
        let Some(host) = self.hosts.get_mut(origin) else { return };
        let obeys = |id: &JobId| {
            self.jobs.get(id).and_then(|shard| shard.job.as_ref()).is_some_and(|job| job.politeness.obey_robots)
        };
        let queues = host.queues.iter_mut().filter(|(id, _)| obeys(id));
        let waiting: Vec<(JobId, UrlHash)> =
            queues.flat_map(|(id, queue)| queue.drain().into_iter().map(|url| (*id, url))).collect();
        for (id, url) in waiting {
            let Unreached { reason, detail } = unreached.clone();
            let result = match reason {
                SkipReason::PrivateAddress => PageResult::Skipped { reason, detail: Some(detail) },
                reason => PageResult::Failed { reason, detail },
            };
            self.close(id, url, result);
        }
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
        match self.purge(id) {
            Some(ticket) => self.pipeline.wait(ticket, waiter),
            None => self.events.push_back(Event::Acknowledged(waiter)),
        }
    }

    fn purge(&mut self, id: JobId) -> Option<u64> {
        let mut shard = self.jobs.remove(&id)?;
        self.hosts.values_mut().for_each(|host| {
            host.queues.remove(&id);
        });
        let urls = std::mem::take(&mut shard.urls).into_keys().map(|hash| Effect::RemoveUrl(id, hash));
        let links = std::mem::take(&mut shard.links).into_iter().map(|hash| Effect::RemoveLink(id, hash));
        urls.chain(links).map(|effect| self.pipeline.push(Pending::remove(effect))).last()
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

    /// Puts a URL where `place` says, or closes it if the job is coming to an end.
    fn requeue(&mut self, id: JobId, url: UrlHash, origin: &str, place: impl FnOnce(&mut super::host::Queue)) {
        let control = self.jobs.get(&id).map(|shard| shard.control);
        if let Some(Control::Close(reason)) = control {
            self.close(id, url, PageResult::Skipped { reason, detail: None });
            return;
        }
        place(self.host(origin).queues.entry(id).or_default());
    }

    fn host(&mut self, origin: &str) -> &mut Host {
        let resumed_at = self.resumed_at;
        self.hosts.entry(origin.into()).or_insert_with(|| Host::new(resumed_at))
    }

    fn close(&mut self, id: JobId, url: UrlHash, result: PageResult) {
        self.close_after(None, id, url, result);
    }

    /// Closes a URL, if given after the change with this ticket: whoever sees a closed page sees its links.
    fn close_after(&mut self, ticket: Option<u64>, id: JobId, url: UrlHash, result: PageResult) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let Some(entry) = shard.urls.get_mut(&url) else { return };
        if let Some(pending) = Pending::close(id, url, entry, result) {
            entry.stage = Stage::Closing;
            match ticket {
                Some(ticket) => self.pipeline.push_after(ticket, pending),
                None => _ = self.pipeline.push(pending),
            }
        }
    }

    fn record_unfollowed(&mut self, id: JobId, link: &NormalizedUrl, reason: SkipReason) -> Option<u64> {
        let hash = UrlHash::of(link);
        let is_new = self.jobs.get_mut(&id)?.links.insert(hash);
        is_new.then(|| self.pipeline.push(Pending::link(id, hash, link, reason)))
    }

    fn robots_known(host: &Host, now: Instant) -> bool {
        matches!(&host.robots, RobotsState::Known { until, .. } if *until > now)
    }
}
