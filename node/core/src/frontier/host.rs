//! One host: when it may be visited again, and which URLs of which job wait for that.
//!
//! The gap between two requests is counted from the *answer* to the first, not from its start: whatever the
//! network does to either, the host never sees them closer together than the delay.

pub(crate) mod backoff;
pub(crate) mod breaker;
mod fresh;
mod record;
mod status;
mod turns;

use fresh::Fresh;
pub use status::{Conduct, HostStatus, RobotsStatus};
use turns::{Pass, Turns};

use super::record::{HostLimits, JobId, ROBOTS_ASKED_KEPT, RobotsAsked, RobotsFile, UrlHash};
use crate::dice::Jitter;
use crate::job::robots::Robots;
use crate::job::{NormalizedUrl, Politeness};
use crate::job::{OverMax, SkipReason, ValidatedJob};
use crate::time::Instant;
use backoff::Backoff;
use breaker::{Breaker, Tripped};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How long a robots.txt is believed at most (RFC 9309, section 2.4); jobs may wish for a newer one.
pub const ROBOTS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Attempts at a robots.txt before the host counts as broken.
const ROBOTS_ATTEMPTS: u32 = 3;
/// Pause before another attempt at a robots.txt, doubled each time.
const ROBOTS_BACKOFF: Duration = Duration::from_millis(500);
/// How long a host whose robots.txt could not be had is not asked again: what is found of it meanwhile has the same fate.
const GIVEN_UP_FOR: Duration = Duration::from_secs(600);
/// Redirects of a robots.txt that are followed (RFC 9309, section 2.3.1.2: at least five); behind them there is none.
pub const ROBOTS_HOPS: u32 = 5;
/// A host that nothing waits for is forgotten this long after its last answer; its record is not.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// What the operator of the ring asks of every visit; jobs can only be gentler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Shortest delay at a host.
    pub min_delay: Duration,
    /// Most requests in flight to a host.
    pub max_per_host: Option<u32>,
    /// Shortest delay at an address.
    pub min_delay_per_ip: Duration,
    /// Most requests in flight to an address.
    pub max_per_ip: Option<u32>,
}

/// How a request went, as far as its host is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The host began to answer, and was said to have.
    pub answered: bool,
    /// From the request to the header of the answer.
    pub latency: Option<Duration>,
    /// What it says about the host.
    pub health: Health,
}

impl Exchange {
    /// A request that says nothing about the host: it was broken off, or never left.
    #[must_use]
    pub const fn untold(answered: bool) -> Self {
        Self { answered, latency: None, health: Health::Unknown }
    }
}

/// What a request says about its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers. `is_page`: with a page, and not with a redirect or an error, which are quickly made.
    Good {
        /// Whether there was a page.
        is_page: bool,
    },
    /// It says "later", and perhaps how much later.
    Busy(Option<Duration>),
    /// It fails.
    Bad,
    /// Nothing.
    Unknown,
}

/// What is known of a host's robots.txt.
#[derive(Clone, Debug)]
pub(super) enum RobotsState {
    /// Not asked for; not before `from` after `misses` failed attempts.
    Unknown { from: Instant, misses: u32 },
    /// Being fetched; the attempts that failed before.
    Asked { misses: u32 },
    /// Fetched then, milliseconds since 1970, and being stored.
    Fetched { at_ms: u64 },
    /// Known; the file is the host's.
    Known,
    /// It could not be had, and is not asked for again before `until`.
    GivenUp { unreached: Unreached, until: Instant },
}

/// Why a host could not be asked for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// From the closed list; `PrivateAddress` is final at once, anything else after some attempts.
    pub reason: SkipReason,
    /// The error, for people.
    pub detail: String,
}

/// A job's URLs on one host.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Not looked at yet.
    pub(super) fresh: Fresh,
    /// Allowed and admitted: may be requested.
    pub(super) ready: VecDeque<UrlHash>,
    /// Waiting for another attempt.
    pub(super) retries: BTreeSet<(Instant, UrlHash)>,
    /// Being admitted under the page limit.
    pub(super) admitting: usize,
    /// Admitted so far.
    pub(super) taken: u64,
    /// The job's rules in the host's robots.txt.
    pub(super) rules: Option<Robots>,
    /// The job's place among those that wait for the host.
    pass: Pass,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.ready.is_empty() && self.retries.is_empty() && self.admitting == 0
    }

    /// Whether a URL waits that is not on its way to be admitted.
    pub(super) fn has_waiting(&self) -> bool {
        !self.fresh.is_empty() || !self.ready.is_empty() || !self.retries.is_empty()
    }

    /// The URLs whose turn comes next; of those that wait for another attempt, the ones that are due.
    pub(super) fn upcoming(&self, now: Instant) -> impl Iterator<Item = UrlHash> + '_ {
        let due = self.retries.iter().take_while(move |(at, _)| *at <= now).map(|(_, url)| url);
        due.chain(&self.ready).chain(self.fresh.iter()).copied()
    }

    /// Every URL that waits, in no particular order.
    pub(super) fn drain(&mut self) -> Vec<UrlHash> {
        let retries = std::mem::take(&mut self.retries).into_iter().map(|(_, url)| url);
        self.fresh.drain().chain(self.ready.drain(..)).chain(retries).collect()
    }
}

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    /// Its name, without scheme and port.
    name: Box<str>,
    pub(super) robots: RobotsState,
    /// Where its robots.txt redirects to, after how many redirects.
    pub(super) robots_moved: Option<(NormalizedUrl, u32)>,
    /// Its robots.txt, and when it was fetched, milliseconds since 1970.
    file: Option<(RobotsFile, u64)>,
    /// The file is a day old then.
    believed_until: Instant,
    /// A newer file could not be had, and is not asked for again before.
    spared_until: Instant,
    pub(super) in_flight: u32,
    next_at: Instant,
    /// When the host last began to answer: what is asked of it later may ask for a longer gap.
    answered_at: Option<Instant>,
    /// A request was sent and not answered: until it is, the gap to the next one cannot be told.
    unanswered: u32,
    backoff: Backoff,
    breaker: Breaker,
    /// What AutoThrottle has come to.
    throttle: Duration,
    /// What the operator asks for this host alone.
    limits: HostLimits,
    /// Until when the operator keeps everybody away.
    blocked_until: Instant,
    /// The host's owner does not want it to be visited.
    pub(super) opted_out: bool,
    /// Requests for its robots.txt, the oldest first.
    asked: Vec<RobotsAsked>,
    /// The address is busy with other hosts until then.
    deferred_until: Instant,
    /// Its record is being read again.
    reading: bool,
    /// Version of its record, 0 without one.
    pub(super) version: u64,
    /// Writes of its record that are on their way.
    pub(super) writes: u32,
    /// Since when this owner may send; an earlier one may have sent until just before.
    resumed_at: Option<Instant>,
    pub(super) queues: BTreeMap<JobId, Queue>,
    turns: Turns,
    conduct: Conduct,
}

impl Host {
    /// `resumed_at`: when the present owner may begin, if another one may have visited the host before.
    pub(super) fn new(origin: &str, resumed_at: Option<Instant>) -> Self {
        let now = Instant::default();
        Self {
            name: host_of(origin).into(),
            robots: RobotsState::Unknown { from: now, misses: 0 },
            robots_moved: None,
            file: None,
            believed_until: now,
            spared_until: now,
            in_flight: 0,
            next_at: now,
            answered_at: None,
            unanswered: 0,
            backoff: Backoff::default(),
            breaker: Breaker::default(),
            throttle: Duration::ZERO,
            limits: HostLimits::default(),
            blocked_until: now,
            opted_out: false,
            asked: Vec::new(),
            deferred_until: now,
            reading: false,
            version: 0,
            writes: 0,
            resumed_at,
            queues: BTreeMap::new(),
            turns: Turns::default(),
            conduct: Conduct::default(),
        }
    }

    /// When the host may be asked for something by `job`, as far as pace, pauses and the breaker go; `None` while an
    /// answer is awaited.
    pub(super) fn open_at(&self, job: &ValidatedJob, policy: &Policy) -> Option<Instant> {
        let full = self.in_flight >= self.concurrency(job, policy);
        if full { None } else { self.gap_over_at(job, policy) }
    }

    fn concurrency(&self, job: &ValidatedJob, policy: &Policy) -> u32 {
        let Politeness { breaker, .. } = job.politeness;
        let limits = [policy.max_per_host, self.limits.concurrent_requests, self.breaker.limit(breaker)];
        limits.into_iter().flatten().fold(job.politeness.concurrency_at(&self.name), u32::min)
    }

    /// When the gap to the last request is over; `None` while its answer is awaited.
    pub(super) fn gap_over_at(&self, job: &ValidatedJob, policy: &Policy) -> Option<Instant> {
        let delay = self.delay(job, policy);
        if self.reading || self.limits.closed || (self.unanswered > 0 && !delay.is_zero()) {
            return None;
        }
        let gap_over =
            [self.resumed_at, self.answered_at].into_iter().flatten().max().map_or(Instant::default(), |at| at + delay);
        let pauses = [self.next_at, self.backoff.until, self.breaker.until, self.deferred_until, self.blocked_until];
        Some(pauses.into_iter().fold(gap_over, Instant::max))
    }

    /// The jobs that have or had URLs here, the one whose turn it is first.
    pub(super) fn in_turn(&self) -> Vec<JobId> {
        let mut jobs: Vec<(Pass, JobId)> =
            self.queues.iter().map(|(id, queue)| (self.turns.place(queue.pass), *id)).collect();
        jobs.sort_unstable();
        jobs.into_iter().map(|(_, id)| id).collect()
    }

    /// A job of this weight has had its turn.
    pub(super) fn handle_served(&mut self, id: JobId, weight: u32) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.pass = self.turns.serve(queue.pass, weight);
        }
    }

    /// A request leaves.
    pub(super) fn handle_request(&mut self) {
        self.in_flight += 1;
        self.unanswered += 1;
    }

    /// A request did not leave after all: its address is busy until then.
    pub(super) fn handle_deferred(&mut self, until: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.unanswered = self.unanswered.saturating_sub(1);
        self.deferred_until = self.deferred_until.max(until);
    }

    /// The host began to answer a request of `job`, which may be gone by now.
    pub(super) fn handle_answer(&mut self, job: Option<&ValidatedJob>, policy: &Policy, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.answered_at = self.answered_at.max(Some(now));
        let delay = job.map_or(policy.min_delay, |job| self.delay(job, policy));
        self.next_at = self.next_at.max(now + delay);
    }

    /// A request of `job` ended, answered before or not at all; returns what is to be made of it.
    pub(super) fn handle_end(
        &mut self,
        job: Option<&ValidatedJob>,
        exchange: &Exchange,
        policy: &Policy,
        dice: &mut Jitter,
        now: Instant,
    ) -> Ended {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.conduct.note(exchange);
        let mut ended = Ended::default();
        match exchange.health {
            Health::Good { is_page } => {
                ended.persist = self.breaker.handle_good();
                if let (Some(latency), Some(job)) = (exchange.latency, job) {
                    self.throttle(job, latency, is_page);
                }
            }
            Health::Busy(asked) => {
                let before = self.backoff;
                self.backoff.handle_busy(asked, dice, now);
                ended.persist = self.backoff != before;
            }
            Health::Bad => {
                let tripped = job.map_or(Tripped::No, |job| self.breaker.handle_bad(job.politeness.breaker, now));
                ended = Ended { persist: tripped != Tripped::No, given_up: tripped == Tripped::GivenUp };
            }
            Health::Unknown => {}
        }
        if !exchange.answered {
            self.handle_answer(job, policy, now);
        }
        ended
    }

    fn throttle(&mut self, job: &ValidatedJob, latency: Duration, is_page: bool) {
        let Some(rule) = job.politeness.auto_throttle else { return };
        let floor = job.politeness.delay_at(&self.name);
        self.throttle = rule.next_delay(self.throttle.max(floor), latency, is_page, floor);
    }

    /// The host was forgotten: nothing is asked of it before its record is read.
    pub(super) fn handle_forgotten(&mut self) {
        self.reading = true;
    }

    /// Its record was read, if there is one.
    pub(super) fn handle_read(&mut self) {
        self.reading = false;
    }

    /// Where the host's robots.txt is to be fetched, if it has moved.
    pub(super) fn robots_target(&self) -> Option<&NormalizedUrl> {
        self.robots_moved.as_ref().map(|(target, _)| target)
    }

    /// The host's robots.txt redirects; returns whether that was once too often.
    pub(super) fn handle_robots_moved(&mut self, target: NormalizedUrl, now: Instant) -> bool {
        let hops = self.robots_moved.as_ref().map_or(0, |(_, hops)| *hops) + 1;
        if hops > ROBOTS_HOPS {
            return true;
        }
        self.robots_moved = Some((target, hops));
        self.robots = RobotsState::Unknown { from: now, misses: 0 };
        false
    }

    /// The host's robots.txt was fetched; it counts when its record is stored.
    pub(super) fn handle_robots(&mut self, file: RobotsFile, wall_ms: u64) {
        self.robots_moved = None;
        self.file = Some((file, wall_ms));
        self.robots = RobotsState::Fetched { at_ms: wall_ms };
    }

    /// A record with the robots.txt of this moment is stored.
    pub(super) fn handle_robots_stored(&mut self, fetched_ms: u64, now: Instant) {
        if matches!(self.robots, RobotsState::Fetched { at_ms } if at_ms == fetched_ms) {
            self.queues.values_mut().for_each(|queue| queue.rules = None);
            self.robots = RobotsState::Known;
            self.believed_until = now + ROBOTS_LIFETIME;
        }
    }

    /// The host's robots.txt could not be fetched; returns whether the host is given up. It is not as long as a file may
    /// be believed that is only older than the jobs wish.
    pub(super) fn handle_unreached(&mut self, unreached: &Unreached, now: Instant) -> bool {
        let RobotsState::Asked { misses } = self.robots else { return false };
        self.robots_moved = None;
        let is_final = unreached.reason == SkipReason::PrivateAddress;
        let given_up = misses + 1 >= ROBOTS_ATTEMPTS || is_final;
        if given_up && !is_final && self.file.is_some() && self.believed_until > now {
            self.robots = RobotsState::Known;
            self.spared_until = now + GIVEN_UP_FOR;
            return false;
        }
        self.robots = if given_up {
            RobotsState::GivenUp { unreached: unreached.clone(), until: now + GIVEN_UP_FOR }
        } else {
            RobotsState::Unknown { from: now + ROBOTS_BACKOFF * (1 << misses), misses: misses + 1 }
        };
        given_up
    }

    /// Whether the robots.txt is known and not older than `lifetime`.
    pub(super) fn knows_robots(&self, lifetime: Duration, now: Instant) -> bool {
        // The moment at which it was fetched may lie before the clock began.
        let is_young = self.believed_until > now + ROBOTS_LIFETIME.saturating_sub(lifetime);
        let is_spared = self.spared_until > now && self.believed_until > now;
        matches!(self.robots, RobotsState::Known) && (is_young || is_spared)
    }

    /// Whether `job` may request `path_and_query`; the host's robots.txt is known.
    ///
    /// # Errors
    /// [`SkipReason::RobotsTxt`] or [`SkipReason::CrawlDelay`].
    pub(super) fn allows(&mut self, id: JobId, job: &ValidatedJob, path_and_query: &str) -> Result<(), SkipReason> {
        if !job.politeness.obey_robots {
            return Ok(());
        }
        let Some(rules) = self.rules(id, job) else { return Err(SkipReason::RobotsTxt) };
        let asked = rules.crawl_delay().unwrap_or_default();
        if asked > job.politeness.max_crawl_delay && job.politeness.over_max_crawl_delay == OverMax::Skip {
            return Err(SkipReason::CrawlDelay);
        }
        if rules.allows(path_and_query) { Ok(()) } else { Err(SkipReason::RobotsTxt) }
    }

    /// The job's rules, once the host's robots.txt is known.
    pub(super) fn rules(&mut self, id: JobId, job: &ValidatedJob) -> Option<&Robots> {
        let RobotsState::Known = &self.robots else { return None };
        let (file, _) = self.file.as_ref()?;
        let queue = self.queues.entry(id).or_default();
        Some(queue.rules.get_or_insert_with(|| match file {
            RobotsFile::AllowAll => Robots::allow_all(),
            RobotsFile::DisallowAll => Robots::disallow_all(),
            RobotsFile::Text(text) => Robots::parse(text.as_bytes(), &job.politeness.user_agent_token),
        }))
    }

    /// The longest of the job's own delay, the host's `Crawl-delay`, AutoThrottle's, and the operator's.
    fn delay(&self, job: &ValidatedJob, policy: &Policy) -> Duration {
        let asked =
            self.queues.values().filter_map(|queue| queue.rules.as_ref()?.crawl_delay()).max().unwrap_or_default();
        let own = job.politeness.delay_at(&self.name).max(asked.min(job.politeness.max_crawl_delay));
        let throttle = job.politeness.auto_throttle.map_or(Duration::ZERO, |_| self.throttle);
        [throttle, policy.min_delay, self.limits.delay()].into_iter().fold(own, Duration::max)
    }

    /// The operator's wishes for this host. `wall_ms`: milliseconds since 1970 at `now`.
    pub(super) fn handle_limits(&mut self, limits: HostLimits, now: Instant, wall_ms: u64) {
        self.limits = limits;
        self.blocked_until = now + Duration::from_millis(limits.block_until_ms.saturating_sub(wall_ms));
    }

    /// The operator thinks that the host works again: what failed is forgotten, what the host asked for is not.
    pub(super) fn handle_breaker_reset(&mut self) {
        self.breaker = Breaker::default();
    }

    /// A request for its robots.txt was made.
    pub(super) fn note_asked(&mut self, asked: RobotsAsked) {
        if self.asked.len() >= ROBOTS_ASKED_KEPT {
            self.asked.remove(0);
        }
        self.asked.push(asked);
    }

    /// Its name, without scheme and port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The operator thinks that the host works again: pauses that the ring had decided by itself are over.
    pub(super) fn handle_forgiven(&mut self) {
        self.breaker = Breaker::default();
        self.backoff = Backoff::default();
    }

    /// Whether nothing would be lost if the host were forgotten: what is worth keeping stands in its record.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let idle = self.queues.values().all(|queue| queue.is_empty() && queue.taken == 0)
            && self.in_flight == 0
            && self.writes == 0;
        let settled = matches!(self.robots, RobotsState::Unknown { .. } | RobotsState::Known);
        let quiet = self.answered_at.is_none_or(|at| now.since(at) >= FORGOTTEN_AFTER);
        idle && settled && quiet && [self.next_at, self.backoff.until, self.breaker.until].iter().all(|at| *at <= now)
    }
}

/// What is to be made of the end of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// The host's record has changed: the next owner must know.
    pub(super) persist: bool,
    /// The host's pages are to be given up.
    pub(super) given_up: bool,
}

/// The host in `scheme://host:port`.
fn host_of(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}
