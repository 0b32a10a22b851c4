//! One host: when it may be visited again, and which URLs of which job wait for that.
//!
//! The gap between two requests is counted from the *answer* to the first, not from its start: whatever the
//! network does to either, the host never sees them closer together than the delay.

use super::record::{JobId, RobotsFile, UrlHash};
use crate::job::robots::Robots;
use crate::job::{SkipReason, ValidatedJob};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How long a robots.txt is believed (RFC 9309, section 2.4).
pub const ROBOTS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Attempts at a robots.txt before the host counts as broken.
const ROBOTS_ATTEMPTS: u32 = 3;
/// Pause before another attempt at a robots.txt, doubled each time.
const ROBOTS_BACKOFF: Duration = Duration::from_millis(500);

/// What is known of a host's robots.txt.
#[derive(Clone, Debug)]
pub(super) enum RobotsState {
    /// Not asked for; not before `from` after `misses` failed attempts.
    Unknown { from: Instant, misses: u32 },
    /// Being fetched or stored; the attempts that failed before.
    Asked { misses: u32 },
    /// Known until then.
    Known { file: RobotsFile, until: Instant },
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
    /// Not looked at yet, in the order of discovery.
    pub(super) fresh: VecDeque<UrlHash>,
    /// Allowed and admitted: may be requested.
    pub(super) ready: VecDeque<UrlHash>,
    /// Waiting for another attempt.
    pub(super) retries: BTreeSet<(Instant, UrlHash)>,
    /// Being admitted under the page limit.
    pub(super) admitting: usize,
    /// The job's rules in the host's robots.txt.
    pub(super) rules: Option<Robots>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.ready.is_empty() && self.retries.is_empty() && self.admitting == 0
    }

    /// Every URL that waits, in no particular order.
    pub(super) fn drain(&mut self) -> Vec<UrlHash> {
        let retries = std::mem::take(&mut self.retries).into_iter().map(|(_, url)| url);
        self.fresh.drain(..).chain(self.ready.drain(..)).chain(retries).collect()
    }
}

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) robots: RobotsState,
    pub(super) in_flight: u32,
    next_at: Instant,
    /// When the host last began to answer: what is asked of it later may ask for a longer gap.
    answered_at: Option<Instant>,
    /// A request was sent and not answered: until it is, the gap to the next one cannot be told.
    unanswered: u32,
    blocked_until: Instant,
    /// Since when this owner may send; an earlier one may have sent until just before.
    resumed_at: Option<Instant>,
    pub(super) queues: BTreeMap<JobId, Queue>,
    pub(super) last_served: Option<JobId>,
}

impl Host {
    /// `resumed_at`: when the present owner may begin, if another one may have visited the host before.
    pub(super) fn new(resumed_at: Option<Instant>) -> Self {
        let now = Instant::default();
        Self {
            robots: RobotsState::Unknown { from: now, misses: 0 },
            in_flight: 0,
            next_at: now,
            answered_at: None,
            unanswered: 0,
            blocked_until: now,
            resumed_at,
            queues: BTreeMap::new(),
            last_served: None,
        }
    }

    /// When the host may be asked for something by `job`, as far as pace and `Retry-After` go; `None` while
    /// an answer is awaited.
    pub(super) fn open_at(&self, job: &ValidatedJob) -> Option<Instant> {
        let full = self.in_flight >= job.politeness.concurrent_requests_per_host;
        if full { None } else { self.gap_over_at(job) }
    }

    /// When the gap to the last request is over; `None` while its answer is awaited.
    pub(super) fn gap_over_at(&self, job: &ValidatedJob) -> Option<Instant> {
        let delay = self.delay(job);
        if self.unanswered > 0 && !delay.is_zero() {
            return None;
        }
        let gap_over =
            [self.resumed_at, self.answered_at].into_iter().flatten().max().map_or(Instant::default(), |at| at + delay);
        Some(self.next_at.max(self.blocked_until).max(gap_over))
    }

    /// A request leaves.
    pub(super) fn handle_request(&mut self) {
        self.in_flight += 1;
        self.unanswered += 1;
    }

    /// The host began to answer a request of `job`, which may be gone by now.
    pub(super) fn handle_answer(&mut self, job: Option<&ValidatedJob>, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.answered_at = self.answered_at.max(Some(now));
        self.next_at = self.next_at.max(now + job.map_or(Duration::ZERO, |job| self.delay(job)));
    }

    /// A request of `job` ended, answered before or not at all.
    pub(super) fn handle_end(&mut self, job: Option<&ValidatedJob>, answered: bool, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if !answered {
            self.handle_answer(job, now);
        }
    }

    /// The host asked to be left alone.
    pub(super) fn handle_block(&mut self, until: Instant) {
        self.blocked_until = self.blocked_until.max(until);
    }

    /// The host's robots.txt was fetched and is stored.
    pub(super) fn handle_robots(&mut self, file: RobotsFile, until: Instant) {
        self.queues.values_mut().for_each(|queue| queue.rules = None);
        self.robots = RobotsState::Known { file, until };
    }

    /// The host's robots.txt could not be fetched; returns whether the host is given up.
    pub(super) fn handle_unreached(&mut self, unreached: &Unreached, now: Instant) -> bool {
        let RobotsState::Asked { misses } = self.robots else { return false };
        let given_up = misses + 1 >= ROBOTS_ATTEMPTS || unreached.reason == SkipReason::PrivateAddress;
        self.robots = if given_up {
            RobotsState::Unknown { from: now, misses: 0 }
        } else {
            RobotsState::Unknown { from: now + ROBOTS_BACKOFF * (1 << misses), misses: misses + 1 }
        };
        given_up
    }

    /// Whether `job` may request `path_and_query`; the host's robots.txt is known.
    pub(super) fn allows(&mut self, id: JobId, job: &ValidatedJob, path_and_query: &str) -> bool {
        if !job.politeness.obey_robots {
            return true;
        }
        self.rules(id, job).is_some_and(|rules| rules.allows(path_and_query))
    }

    /// The job's rules, once the host's robots.txt is known.
    pub(super) fn rules(&mut self, id: JobId, job: &ValidatedJob) -> Option<&Robots> {
        let RobotsState::Known { file, .. } = &self.robots else { return None };
        let queue = self.queues.entry(id).or_default();
        Some(queue.rules.get_or_insert_with(|| match file {
            RobotsFile::AllowAll => Robots::allow_all(),
            RobotsFile::DisallowAll => Robots::disallow_all(),
            RobotsFile::Text(text) => Robots::parse(text.as_bytes(), &job.politeness.user_agent_token),
        }))
    }

    /// The job's own delay or the host's `Crawl-delay`, whichever is longer.
    fn delay(&self, job: &ValidatedJob) -> Duration {
        let asked =
            self.queues.values().filter_map(|queue| queue.rules.as_ref()?.crawl_delay()).max().unwrap_or_default();
        job.politeness.delay.max(asked.min(job.politeness.max_crawl_delay))
    }
}
