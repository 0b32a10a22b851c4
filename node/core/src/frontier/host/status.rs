//! A host as its users see it: what it may be asked for, and when, and how it has behaved.

use super::{Exchange, Health, Host, RobotsState};
use crate::frontier::record::{HostLimits, RobotsFile};
use crate::time::Instant;
use std::time::Duration;

/// How a host has behaved towards its present owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Requests that ended, robots.txt among them.
    pub requests: u64,
    /// Of these, answered with "later".
    pub busy: u64,
    /// Of these, failed.
    pub failed: u64,
    /// How long the last answer took to begin.
    pub last_latency: Option<Duration>,
}

impl Conduct {
    pub(super) fn note(&mut self, exchange: &Exchange) {
        self.requests += 1;
        self.busy += u64::from(matches!(exchange.health, Health::Busy(_)));
        self.failed += u64::from(exchange.health == Health::Bad);
        self.last_latency = exchange.latency.or(self.last_latency);
    }
}

/// What is known of a robots.txt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotsStatus {
    /// It has not been asked for, or is being fetched.
    Unknown,
    /// There is none: everything is allowed.
    AllowAll,
    /// Nothing is allowed.
    DisallowAll,
    /// It has so many bytes.
    Text(usize),
    /// It could not be had.
    GivenUp,
}

/// A host as its owner sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// What is known of its robots.txt.
    pub robots: RobotsStatus,
    /// Requests in flight.
    pub in_flight: u32,
    /// URLs that wait, of all jobs.
    pub waiting: u64,
    /// How long the host is left alone because it said "later".
    pub paused_for: Duration,
    /// How long it is left alone because it failed.
    pub open_for: Duration,
    /// How long the operator keeps everybody away.
    pub blocked_for: Duration,
    /// Whether the host's owner does not want it to be visited.
    pub opted_out: bool,
    /// Whether the breaker is open or half-open.
    pub is_tripped: bool,
    /// Failures in a row.
    pub failures: u32,
    /// The delay that AutoThrottle has come to.
    pub throttle: Duration,
    /// What the operator asks for this host.
    pub limits: HostLimits,
    /// How it has behaved.
    pub conduct: Conduct,
}

impl Host {
    /// The host now.
    pub(in crate::frontier) fn status(&self, now: Instant) -> HostStatus {
        let robots = match (&self.robots, &self.file) {
            (RobotsState::GivenUp { .. }, _) => RobotsStatus::GivenUp,
            (RobotsState::Known, Some((RobotsFile::AllowAll, _))) => RobotsStatus::AllowAll,
            (RobotsState::Known, Some((RobotsFile::DisallowAll, _))) => RobotsStatus::DisallowAll,
            (RobotsState::Known, Some((RobotsFile::Text(text), _))) => RobotsStatus::Text(text.len()),
            _ => RobotsStatus::Unknown,
        };
        let waiting = self
            .queues
            .values()
            .map(|queue| queue.fresh.len() + queue.ready.len() + queue.retries.len())
            .sum::<usize>();
        HostStatus {
            robots,
            in_flight: self.in_flight,
            waiting: waiting as u64,
            paused_for: self.backoff.until.since(now),
            open_for: self.breaker.until.since(now),
            blocked_for: self.blocked_until.since(now),
            opted_out: self.opted_out,
            is_tripped: self.breaker.opens > 0,
            failures: self.breaker.failures,
            throttle: self.throttle,
            limits: self.limits,
            conduct: self.conduct,
        }
    }
}
