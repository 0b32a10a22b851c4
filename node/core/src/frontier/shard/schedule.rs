//! What is to be done next: which page of which job, when its host may be asked.

use super::commit::Pending;
use super::job::{Entry, JobShard, Stage};
use super::records::{READ_AHEAD, Records};
use super::{Event, Shard};
use crate::frontier::history::History;
use crate::frontier::host::{Host, Queue, ROBOTS_LIFETIME, RobotsState};
use crate::frontier::record::{JobId, PageResult, UrlHash, UrlRecord, Way};
use crate::frontier::{LEASE, LEASE_HOLD};
use crate::job::{NormalizedUrl, SkipReason, ValidatedJob};
use crate::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// Most pages of a job on a host that are admitted and not requested yet.
const ADMITTED_AHEAD: usize = 64;
/// Most pages asked of a budget at once.
const BUDGET_BLOCK: u64 = 64;

/// Something for the caller to do.
#[derive(Clone, Debug)]
pub enum Work {
    /// Request a page; the answer is [`Shard::handle_attempt`].
    Fetch {
        /// The job.
        job: JobId,
        /// How it is to be run.
        spec: Arc<ValidatedJob>,
        /// The page.
        url: NormalizedUrl,
        /// Its hash.
        hash: UrlHash,
        /// Links followed from a seed.
        depth: u32,
        /// How it was come upon.
        way: Way,
        /// Counts from 1.
        attempt: u32,
        /// What the host has given the job to be sent back.
        cookies: Option<Arc<str>>,
        /// What is remembered of an earlier visit.
        history: Option<Box<History>>,
    },
    /// Request a host's robots.txt; the answer is [`Shard::handle_robots`].
    Robots {
        /// The job whose user agent asks.
        job: JobId,
        /// How it is to be run.
        spec: Arc<ValidatedJob>,
        /// `scheme://host:port`.
        origin: String,
        /// Where it redirected to, if it did.
        moved: Option<NormalizedUrl>,
    },
    /// Read the record of a host that was forgotten; the answer is [`Shard::handle_host`].
    Host {
        /// `scheme://host:port`.
        origin: String,
    },
    /// Take pages from the job's budget; the answer is [`Shard::handle_budget`].
    Budget {
        /// The job.
        job: JobId,
        /// At most so many.
        wanted: u64,
    },
    /// Give pages back to the job's budget.
    GiveBack {
        /// The job.
        job: JobId,
        /// So many.
        pages: u64,
    },
    /// Ask by quorum whether this node is still the owner; the answer is [`Shard::handle_confirmed`].
    Confirm,
    /// Read the records of URLs; the answer is [`Shard::handle_read`].
    Read {
        /// The job.
        job: JobId,
        /// The URLs.
        urls: Vec<UrlHash>,
    },
    /// Find out how the job is to be run; the answer is [`Shard::handle_job`] or [`Shard::handle_job_gone`].
    Job(JobId),
}

/// What one host has to say.
enum Turn {
    Work(Work),
    /// Something was decided without work (a page was skipped): look again.
    Again,
    /// Nothing before then.
    Wait(Option<Instant>),
}

impl Shard {
    /// The next thing to do now; ask until `None`.
    pub fn poll_work(&mut self, now: Instant) -> Option<Work> {
        self.wake_at = None;
        self.turned_away.clear();
        self.told_at = now;
        if self.lost {
            return None;
        }
        if let Some(id) = self.unknown_job() {
            return Some(Work::Job(id));
        }
        if let Some(spare) = self.spare_budget() {
            return Some(spare);
        }
        if let Some(origin) = self.unread.pop_first() {
            return Some(Work::Host { origin: origin.to_string() });
        }
        if let Some(read) = self.read_for_chores() {
            return Some(read);
        }
        if let Some(read) = self.read_for_visits(now) {
            return Some(read);
        }
        self.wake_at = self.next_visit();
        self.forget_idle_hosts(now);
        let busy = self.hosts.values().any(|host| host.in_flight > 0 || self.host_has_work(host));
        if !busy {
            return None;
        }
        if now < self.fetch_from {
            self.wake_at = Some(self.fetch_from);
            return None;
        }
        if let Some(confirm) = self.keep_confirmed(now) {
            return Some(confirm);
        }
        if now >= self.confirmed_at + LEASE_HOLD {
            return None;
        }
        // Hosts take turns: begin behind the one that was served last.
        let origins: Vec<Arc<str>> = self.hosts.keys().cloned().collect();
        let start = self.last_host.as_ref().map_or(0, |last| origins.partition_point(|origin| origin <= last));
        for origin in origins[start..].iter().chain(&origins[..start]) {
            loop {
                match self.turn(origin, now) {
                    Turn::Again => {}
                    Turn::Work(work) => {
                        self.last_host = Some(origin.clone());
                        return Some(work);
                    }
                    Turn::Wait(until) => {
                        self.wake_at = [self.wake_at, until].into_iter().flatten().min();
                        break;
                    }
                }
            }
        }
        // What was just given up may have to be read first.
        self.read_for_chores()
    }

    /// Pages of a budget that no URL of this partition needs.
    fn spare_budget(&mut self) -> Option<Work> {
        let waits = |id: &JobId| {
            self.hosts.values().any(|host| host.queues.get(id).is_some_and(|queue| !queue.fresh.is_empty()))
        };
        let (id, shard) = self.jobs.iter_mut().find(|(id, shard)| {
            shard.budget.available > 0
                && shard.budget.fencing == 0
                && !shard.budget.asked
                && shard.job.is_some()
                && !waits(id)
        })?;
        let pages = std::mem::take(&mut shard.budget.available);
        Some(Work::GiveBack { job: *id, pages })
    }

    fn unknown_job(&mut self) -> Option<JobId> {
        let (id, shard) = self.jobs.iter_mut().find(|(_, shard)| shard.job.is_none() && !shard.asked_for)?;
        shard.asked_for = true;
        Some(*id)
    }

    fn host_has_work(&self, host: &Host) -> bool {
        let runs =
            |id: &JobId| self.jobs.get(id).is_some_and(|shard| shard.control.makes_requests() && shard.job.is_some());
        host.queues.iter().any(|(id, queue)| !queue.is_empty() && runs(id))
    }

    /// Asks for a confirmation in good time before the present one is too old.
    fn keep_confirmed(&mut self, now: Instant) -> Option<Work> {
        let due = self.confirmed_at + LEASE_HOLD / 2;
        if now >= due && !self.confirming {
            self.confirming = true;
            return Some(Work::Confirm);
        }
        let lapses = self.confirmed_at + LEASE;
        if now >= lapses && !self.lapsed {
            self.lapsed = true;
            self.events.push_back(Event::Lapsed);
        }
        let next = if self.confirming { Some(lapses).filter(|_| !self.lapsed) } else { Some(due) };
        self.wake_at = [self.wake_at, next].into_iter().flatten().min();
        None
    }

    fn turn(&mut self, origin: &str, now: Instant) -> Turn {
        if self.leave_alone(origin) {
            return Turn::Wait(None);
        }
        let Some(host) = self.hosts.get_mut(origin) else { return Turn::Wait(None) };
        let running: Vec<(JobId, Arc<ValidatedJob>)> = host
            .in_turn()
            .into_iter()
            .filter_map(|id| {
                self.jobs
                    .get(&id)
                    .filter(|shard| shard.control.makes_requests())
                    .and_then(|shard| Some((id, shard.job.clone()?)))
            })
            .collect();
        for (id, job) in &running {
            host.rules(*id, job);
        }
        // The gentlest wish of all jobs at work here counts for each of them.
        let policy = self.policy;
        match latest(running.iter().map(|(_, job)| host.open_at(job, &policy))) {
            Some(opens) if opens <= now => {}
            closed => return Turn::Wait(closed),
        }
        let obeying = running.iter().filter(|(_, job)| job.politeness.obey_robots);
        let lifetime = obeying.map(|(_, job)| job.politeness.robots_lifetime).min().unwrap_or(ROBOTS_LIFETIME);
        let mut wait = None;
        for (id, job) in running {
            match self.job_turn(origin, id, &job, lifetime, now) {
                Turn::Wait(until) => wait = [wait, until].into_iter().flatten().min(),
                decided => return decided,
            }
        }
        Turn::Wait(wait)
    }

    /// `lifetime`: what a robots.txt has that all jobs here agree with.
    fn job_turn(&mut self, origin: &str, id: JobId, job: &Arc<ValidatedJob>, lifetime: Duration, now: Instant) -> Turn {
        let Some(host) = self.hosts.get_mut(origin) else { return Turn::Wait(None) };
        if host.queues.get(&id).is_none_or(Queue::is_empty) {
            return Turn::Wait(None);
        }
        if self.barred.contains(&id) {
            self.turned_away.insert(id);
            return Turn::Wait(None);
        }
        if job.politeness.obey_robots && !host.knows_robots(lifetime, now) {
            return self.robots_turn(origin, id, job, now);
        }
        let Some(queue) = host.queues.get_mut(&id) else { return Turn::Wait(None) };
        if let Some(turn) = read_first(&mut self.records, self.jobs.get(&id), id, queue, now) {
            return turn;
        }
        if let Some((due, hash)) = queue.retries.first().copied()
            && due <= now
        {
            queue.retries.pop_first();
            return self.request_if_allowed(origin, id, job, hash);
        }
        if let Some(hash) = queue.ready.pop_front() {
            return self.request_if_allowed(origin, id, job, hash);
        }
        let retry_at = queue.retries.first().map(|(due, _)| *due);
        match queue.fresh.front().copied() {
            Some(hash) => self.look_at(origin, id, job, hash, now),
            None => Turn::Wait(retry_at),
        }
    }

    fn robots_turn(&mut self, origin: &str, id: JobId, job: &Arc<ValidatedJob>, now: Instant) -> Turn {
        let Some(host) = self.hosts.get_mut(origin) else { return Turn::Wait(None) };
        let misses = match &host.robots {
            RobotsState::Asked { .. } | RobotsState::Fetched { .. } => return Turn::Wait(None),
            RobotsState::Unknown { from, .. } if *from > now => return Turn::Wait(Some(*from)),
            RobotsState::GivenUp { unreached, until } if *until > now => {
                let unreached = unreached.clone();
                self.give_up(origin, id, &unreached);
                return Turn::Again;
            }
            RobotsState::Unknown { misses, .. } => *misses,
            RobotsState::Known | RobotsState::GivenUp { .. } => 0,
        };
        host.robots = RobotsState::Asked { misses };
        host.handle_request();
        let moved = host.robots_target().cloned();
        Turn::Work(Work::Robots { job: id, spec: job.clone(), origin: origin.to_owned(), moved })
    }

    /// Decides about the next URL that nobody has looked at: skipped, admitted or requested.
    fn look_at(&mut self, origin: &str, id: JobId, job: &Arc<ValidatedJob>, hash: UrlHash, now: Instant) -> Turn {
        let (Some(host), Some(shard)) = (self.hosts.get_mut(origin), self.jobs.get_mut(&id)) else {
            return Turn::Wait(None);
        };
        let waiting = shard.urls.get(&hash).filter(|entry| entry.stage == Stage::Waiting);
        let record = waiting.and_then(|_| self.records.get(id, hash));
        let Some(url) = record.and_then(|record| NormalizedUrl::parse(&record.url).ok()) else {
            host.queues.entry(id).or_default().fresh.pop_front();
            return Turn::Again;
        };
        let is_counted = |entry: &Entry| entry.admitted || entry.is_again();
        let admitted = !job.limits.are_admitted() || waiting.is_some_and(is_counted);
        if admitted || host.allows(id, job, url.path_and_query()).is_err() {
            host.queues.entry(id).or_default().fresh.pop_front();
            return self.request_if_allowed(origin, id, job, hash);
        }
        let queue = host.queues.entry(id).or_default();
        if job.limits.max_pages_per_host.is_some_and(|most| queue.taken + queue.admitting as u64 >= most) {
            if queue.admitting > 0 {
                return Turn::Wait(None);
            }
            queue.fresh.pop_front();
            self.close(id, hash, PageResult::Skipped { reason: SkipReason::HostPageLimit, detail: None });
            return Turn::Again;
        }
        if shard.budget.fencing > 0 || queue.admitting >= ADMITTED_AHEAD {
            return Turn::Wait(None);
        }
        let is_budgeted = job.limits.max_pages.is_some();
        if is_budgeted && shard.budget.available == 0 {
            if shard.budget.asked {
                return Turn::Wait(None);
            }
            if shard.budget.ask_again_at > now {
                return Turn::Wait(Some(shard.budget.ask_again_at));
            }
            shard.budget.asked = true;
            return Turn::Work(Work::Budget { job: id, wanted: (queue.fresh.len() as u64).min(BUDGET_BLOCK) });
        }
        queue.fresh.pop_front();
        let (Some(entry), Some(record)) = (shard.urls.get_mut(&hash), self.records.take(id, hash)) else {
            return Turn::Again;
        };
        queue.admitting += 1;
        shard.budget.available -= u64::from(is_budgeted);
        entry.stage = Stage::Admitting;
        self.pipeline.push(Pending::admit(id, hash, record, entry.version));
        Turn::Again
    }

    /// Requests a URL that is in no queue any more, or closes it: robots.txt may be a newer one than when it was
    /// looked at before.
    fn request_if_allowed(&mut self, origin: &str, id: JobId, spec: &Arc<ValidatedJob>, hash: UrlHash) -> Turn {
        let (Some(host), Some(shard)) = (self.hosts.get_mut(origin), self.jobs.get_mut(&id)) else {
            return Turn::Wait(None);
        };
        let Some(entry) = shard.urls.get_mut(&hash).filter(|entry| entry.stage == Stage::Waiting) else {
            return Turn::Again;
        };
        let Some(record) = self.records.get(id, hash) else { return Turn::Again };
        let Ok(url) = NormalizedUrl::parse(&record.url) else { return Turn::Again };
        let is_seed = record.depth == 0 && !record.way.is_listed();
        let excluded = !is_seed && spec.scope.excludes(&url);
        let verdict = if excluded { Err(SkipReason::OutOfScope) } else { host.allows(id, spec, url.path_and_query()) };
        if let Err(reason) = verdict {
            self.close(id, hash, PageResult::Skipped { reason, detail: None });
            return Turn::Again;
        }
        entry.stage = Stage::Fetching;
        shard.counters.in_flight += 1;
        host.handle_request();
        host.handle_served(id, spec.weight);
        let UrlRecord { depth, way, .. } = *record;
        let attempt = u32::from(entry.attempts) + 1;
        let history = record.history().cloned().map(Box::new);
        let cookies = self.cookies(id, origin);
        Turn::Work(Work::Fetch { job: id, spec: spec.clone(), url, hash, depth, way, attempt, cookies, history })
    }
}

/// What has to be read before the first URL of `queue` can be looked at; `None` if that can be done now.
fn read_first(
    records: &mut Records,
    shard: Option<&JobShard>,
    job: JobId,
    queue: &Queue,
    now: Instant,
) -> Option<Turn> {
    let entry = |hash: &UrlHash| shard.and_then(|shard| shard.urls.get(hash));
    let waits = |hash: &UrlHash| entry(hash).is_some_and(|entry| entry.stage == Stage::Waiting);
    let first = queue.upcoming(now).next().filter(waits)?;
    if records.get(job, first).is_some() {
        return None;
    }
    // Records of pages that are visited again hold their results: they are read one by one.
    let is_small = |hash: &UrlHash| *hash == first || !entry(hash).is_some_and(Entry::is_again);
    let ahead = queue.upcoming(now).take(READ_AHEAD).filter(|hash| waits(hash) && is_small(hash));
    Some(records.read(job, ahead).map_or(Turn::Wait(None), Turn::Work))
}

/// The latest of all moments; `None` if there are none, or if one of them cannot be told yet.
fn latest(moments: impl Iterator<Item = Option<Instant>>) -> Option<Instant> {
    moments.reduce(|a, b| Some(a?.max(b?))).flatten()
}
