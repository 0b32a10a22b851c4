//! What of a host outlives its owner: robots.txt, pauses, the breaker, the operator's wishes.

use super::{Backoff, Breaker, Host, ROBOTS_LIFETIME, RobotsState};
use crate::frontier::record::{HostRecord, Token};
use crate::time::Instant;
use std::time::Duration;

impl Host {
    /// The host as its record. `wall_ms`: milliseconds since 1970 at `now`.
    pub(in crate::frontier) fn record(&self, origin: &str, token: Token, now: Instant, wall_ms: u64) -> HostRecord {
        let moment = |at: Instant| {
            if at <= now { 0 } else { wall_ms.saturating_add(millis(at.since(now))) }
        };
        HostRecord {
            origin: origin.to_owned(),
            token,
            robots: self.file.clone(),
            paused_until_ms: moment(self.backoff.until),
            pauses: self.backoff.level,
            open_until_ms: moment(self.breaker.until),
            opens: self.breaker.opens,
            failures: self.breaker.failures,
            throttle_ms: millis(self.throttle),
            limits: self.limits,
            asked: self.asked.clone(),
        }
    }

    /// Takes over what an earlier owner knew; pauses only get longer by it.
    pub(in crate::frontier) fn adopt(&mut self, record: &HostRecord, now: Instant, wall_ms: u64) {
        let moment = |at_ms: u64| {
            if at_ms == 0 { Instant::default() } else { now + Duration::from_millis(at_ms.saturating_sub(wall_ms)) }
        };
        self.backoff = Backoff {
            until: self.backoff.until.max(moment(record.paused_until_ms)),
            level: self.backoff.level.max(record.pauses),
        };
        self.breaker = Breaker {
            failures: self.breaker.failures.max(record.failures),
            opens: self.breaker.opens.max(record.opens),
            until: self.breaker.until.max(moment(record.open_until_ms)),
        };
        self.throttle = self.throttle.max(Duration::from_millis(record.throttle_ms));
        self.handle_limits(self.limits.or(record.limits), now, wall_ms);
        if self.asked.is_empty() {
            self.asked.clone_from(&record.asked);
        }
        let Some((file, fetched_ms)) = &record.robots else { return };
        let age = Duration::from_millis(wall_ms.saturating_sub(*fetched_ms));
        if let Some(left) = ROBOTS_LIFETIME.checked_sub(age)
            && self.file.is_none()
        {
            self.file = Some((file.clone(), *fetched_ms));
            self.robots = RobotsState::Known;
            self.believed_until = now + left;
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
