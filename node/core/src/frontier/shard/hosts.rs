//! The hosts of a shard: what requests and robots.txt say about them, and what of it is written down.

use super::commit::Pending;
use super::{Shard, Work};
use crate::frontier::host::{Exchange, Host, HostStatus, RobotsState, Unreached};
use crate::frontier::opt_out::OptOuts;
use crate::frontier::record::{HostLimits, HostRecord, JobId, PageResult, RobotsAsked, RobotsFile, UrlHash};
use crate::job::{NormalizedUrl, SkipReason};
use crate::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// How often hosts that nothing waits for are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Shard {
    /// The host began to answer the request of `job`.
    pub fn handle_answered(&mut self, id: JobId, origin: &str, now: Instant) {
        let (job, policy) = (self.spec(id), self.policy);
        if let Some(host) = self.hosts.get_mut(origin) {
            host.handle_answer(job.as_deref(), &policy, now);
        }
    }

    /// A request of `job` ended, for a page or for robots.txt, whatever came of it: its place at the host is free. If
    /// it was for a page, that is still open. From here on no request leaves before the host's pauses are over.
    pub fn handle_fetched(&mut self, id: JobId, origin: &str, exchange: &Exchange, now: Instant) {
        let (job, policy) = (self.spec(id), self.policy);
        let Some(host) = self.hosts.get_mut(origin) else { return };
        let ended = host.handle_end(job.as_deref(), exchange, &policy, &mut self.dice, now);
        if ended.persist {
            self.persist(origin, now);
        }
        if ended.given_up {
            let detail = "the host failed again each time it was tried".to_owned();
            self.give_up_all(origin, &Unreached { reason: SkipReason::HostBroken, detail }, |_| true);
        }
    }

    /// A request of `job` for `page`, or for robots.txt, was not made: the host's address is busy until then.
    pub fn handle_deferred(&mut self, id: JobId, origin: &str, page: Option<UrlHash>, until: Instant) {
        if let Some(host) = self.hosts.get_mut(origin) {
            host.handle_deferred(until);
            if page.is_none()
                && let RobotsState::Asked { misses } = host.robots
            {
                host.robots = RobotsState::Unknown { from: until, misses };
            }
        }
        if let Some(url) = page {
            self.put_back(id, url, origin);
        }
    }

    /// What came of [`Work::Robots`], after [`Shard::handle_fetched`]. `wall_ms`: milliseconds since 1970.
    pub fn handle_robots(
        &mut self,
        id: JobId,
        origin: &str,
        result: Result<RobotsFile, Unreached>,
        now: Instant,
        wall_ms: u64,
    ) {
        self.wall = (now, wall_ms);
        let Some(host) = self.hosts.get_mut(origin) else { return };
        match result {
            Ok(file) => {
                host.handle_robots(file, wall_ms);
                self.persist(origin, now);
            }
            Err(unreached) => {
                let is_given_up = host.handle_unreached(&unreached, now);
                self.persist(origin, now);
                if is_given_up {
                    self.give_up(origin, id, &unreached);
                }
            }
        }
    }

    /// [`Work::Robots`] was answered with a redirect.
    pub fn handle_robots_moved(&mut self, origin: &str, target: NormalizedUrl, now: Instant, wall_ms: u64) {
        let Some(host) = self.hosts.get_mut(origin) else { return };
        if host.handle_robots_moved(target, now) {
            host.handle_robots(RobotsFile::AllowAll, wall_ms);
            self.wall = (now, wall_ms);
            self.persist(origin, now);
        }
    }

    /// The answer to [`Work::Host`]: the record of the host and its version, if it has one.
    pub fn handle_host(&mut self, origin: &str, record: Option<(HostRecord, u64)>, now: Instant, wall_ms: u64) {
        self.wall = (now, wall_ms);
        let Some(host) = self.hosts.get_mut(origin) else { return };
        host.handle_read();
        if let Some((record, version)) = record {
            host.version = version;
            host.adopt(&record, now, wall_ms);
        }
    }

    /// What the operator asks for a host from now on. `forgive`: pauses that the ring decided by itself are over.
    /// `wall_ms`: milliseconds since 1970.
    pub fn handle_limits(&mut self, origin: &str, limits: HostLimits, forgive: bool, now: Instant, wall_ms: u64) {
        self.wall = (now, wall_ms);
        let host = self.host(origin);
        host.handle_limits(limits, now, wall_ms);
        if forgive {
            host.handle_forgiven();
        }
        self.persist(origin, now);
    }

    /// The operator thinks that a host works again: it is tried as if it had not failed.
    pub fn handle_breaker_reset(&mut self, origin: &str, now: Instant) {
        self.host(origin).handle_breaker_reset();
        self.persist(origin, now);
    }

    /// A request for a host's robots.txt was made; it is written down with what came of it.
    pub fn handle_robots_asked(&mut self, origin: &str, asked: RobotsAsked) {
        if let Some(host) = self.hosts.get_mut(origin) {
            host.note_asked(asked);
        }
    }

    /// These hosts are not to be visited from now on, whoever asks.
    pub fn handle_opt_outs(&mut self, opt_outs: Arc<OptOuts>) {
        for host in self.hosts.values_mut() {
            host.opted_out = opt_outs.covering(host.name()).is_some();
        }
        self.opt_outs = opt_outs;
    }

    /// Skips what waits for a host that is not to be visited; returns whether that was so.
    pub(super) fn leave_alone(&mut self, origin: &str) -> bool {
        let Some(host) = self.hosts.get(origin).filter(|host| host.opted_out) else { return false };
        if host.queues.values().any(|queue| queue.has_waiting()) {
            let reason = SkipReason::OptedOut;
            let detail = "the owner of the host does not want it to be visited".to_owned();
            self.give_up_all(origin, &Unreached { reason, detail }, |_| true);
        }
        true
    }

    /// The hosts that are known here, and how they are.
    pub fn host_statuses(&self, now: Instant) -> impl Iterator<Item = (Arc<str>, HostStatus)> + '_ {
        self.hosts.iter().map(move |(origin, host)| (Arc::clone(origin), host.status(now)))
    }

    /// A host as it is now; `None` if it is not known here, or forgotten.
    #[must_use]
    pub fn host_status(&self, origin: &str, now: Instant) -> Option<HostStatus> {
        self.hosts.get(origin).map(|host| host.status(now))
    }

    /// The wall clock at `now`, milliseconds since 1970.
    pub(super) fn wall_ms(&self, now: Instant) -> u64 {
        let (then, wall_ms) = self.wall;
        wall_ms.saturating_add(u64::try_from(now.since(then).as_millis()).unwrap_or(u64::MAX))
    }

    /// Writes down what the next owner must know of a host.
    fn persist(&mut self, origin: &str, now: Instant) {
        let (wall_ms, token) = (self.wall_ms(now), self.token);
        let Some(host) = self.hosts.get_mut(origin) else { return };
        host.writes += 1;
        let record = host.record(origin, token, now, wall_ms);
        self.pipeline.push(Pending::host(record));
    }

    /// Closes what a host that cannot be reached owes to the jobs that obey its robots.txt, that of `asking` first.
    pub(super) fn give_up(&mut self, origin: &str, asking: JobId, unreached: &Unreached) {
        let jobs = &self.jobs;
        let obeys = |id: &JobId| {
            jobs.get(id).and_then(|shard| shard.job.as_ref()).is_some_and(|job| job.politeness.obey_robots)
        };
        let Some(host) = self.hosts.get(origin) else { return };
        let concerned: Vec<JobId> = host.queues.keys().copied().filter(|id| *id == asking || obeys(id)).collect();
        self.give_up_all(origin, unreached, |id| concerned.contains(id));
    }

    fn give_up_all(&mut self, origin: &str, unreached: &Unreached, concerns: impl Fn(&JobId) -> bool) {
        let Some(host) = self.hosts.get_mut(origin) else { return };
        let queues = host.queues.iter_mut().filter(|(id, _)| concerns(id));
        let waiting: Vec<(JobId, Vec<UrlHash>)> = queues.map(|(id, queue)| (*id, queue.drain())).collect();
        let Unreached { reason, detail } = unreached.clone();
        let result = match reason {
            SkipReason::PrivateAddress | SkipReason::RobotsTxt | SkipReason::OptedOut => {
                PageResult::Skipped { reason, detail: Some(detail) }
            }
            reason => PageResult::Failed { reason, detail },
        };
        for (id, urls) in waiting {
            self.close_all(id, urls, result.clone());
        }
    }

    /// The host; one that was forgotten is read again before anything is asked of it.
    pub(super) fn host(&mut self, origin: &str) -> &mut Host {
        if !self.hosts.contains_key(origin) {
            let mut host = Host::new(origin, self.resumed_at);
            host.opted_out = self.opt_outs.covering(host.name()).is_some();
            let origin: Arc<str> = origin.into();
            if self.has_forgotten {
                host.handle_forgotten();
                self.unread.insert(origin.clone());
            }
            self.hosts.insert(origin, host);
        }
        self.hosts.get_mut(origin).expect("inserted above")
    }

    /// Forgets hosts that nothing waits for; their records stay.
    pub(super) fn forget_idle_hosts(&mut self, now: Instant) {
        if now.since(self.swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = now;
        let before = self.hosts.len();
        self.hosts.retain(|_, host| !host.is_forgettable(now));
        self.has_forgotten |= self.hosts.len() < before;
    }
}

impl Work {
    /// Whether it is a request to a host.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self, Self::Fetch { .. } | Self::Robots { .. })
    }
}
