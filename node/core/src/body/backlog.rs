//! Bodies that are known to lack copies, each with the time of its next repair: a minute after a repair that came
//! to nothing, doubled up to 64 minutes (as Garage's resync queue does).
//!
//! It lives in memory and is bounded: what it forgets, the comparison of whole partitions finds again.

use super::BodyRef;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Pause after the first repair that failed; doubled with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause between repairs.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(64 * 60);
/// Most bodies remembered: about 10 MiB of memory.
pub const CAPACITY: usize = 100_000;

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Instant,
    failures: u32,
}

/// The bodies to be repaired.
#[derive(Debug, Default)]
pub struct Backlog {
    entries: BTreeMap<BodyRef, Entry>,
    schedule: BTreeSet<(Instant, BodyRef)>,
}

impl Backlog {
    /// A body lacks a copy: it is due at once, unless it is known already. Returns whether it is new.
    pub fn push(&mut self, body: BodyRef, now: Instant) -> bool {
        let is_new = self.entries.len() < CAPACITY && !self.entries.contains_key(&body);
        if is_new {
            self.entries.insert(body, Entry { at: now, failures: 0 });
            self.schedule.insert((now, body));
        }
        is_new
    }

    /// A body whose repair is due. It is not returned again before its outcome was reported, or a pause has passed
    /// in which it was not.
    pub fn poll(&mut self, now: Instant) -> Option<BodyRef> {
        let (at, body) = *self.schedule.first()?;
        if at > now {
            return None;
        }
        let failures = self.entries.get(&body)?.failures;
        self.reschedule(body, now + pause(failures), failures);
        Some(body)
    }

    /// When [`Backlog::poll`] has something; `None` when nothing is to be repaired.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// A repair is over; whether every copy is there now.
    pub fn handle_outcome(&mut self, body: BodyRef, is_whole: bool, now: Instant) {
        let Some(entry) = self.entries.get(&body).copied() else { return };
        if is_whole {
            self.entries.remove(&body);
            self.schedule.remove(&(entry.at, body));
        } else {
            self.reschedule(body, now + pause(entry.failures), entry.failures.saturating_add(1));
        }
    }

    /// How many bodies are to be repaired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is to be repaired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn reschedule(&mut self, body: BodyRef, at: Instant, failures: u32) {
        if let Some(before) = self.entries.insert(body, Entry { at, failures }) {
            self.schedule.remove(&(before.at, body));
        }
        self.schedule.insert((at, body));
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::super::BodyHash;
    use super::*;
    use crate::id::Partition;

    fn body(number: u8) -> BodyRef {
        BodyRef { partition: Partition(1), hash: BodyHash([number; 32]) }
    }

    fn at(seconds: u64) -> Instant {
        Instant(Duration::from_secs(seconds))
    }

    #[test]
    fn a_failed_repair_is_tried_again_ever_later_up_to_64_minutes() {
        let mut backlog = Backlog::default();
        assert!(backlog.push(body(1), at(0)) && !backlog.push(body(1), at(0)));
        let (mut now, mut pauses) = (at(0), Vec::new());
        for _ in 0..9 {
            assert_eq!(backlog.poll(now), Some(body(1)));
            assert_eq!(backlog.poll(now), None);
            backlog.handle_outcome(body(1), false, now);
            let next = backlog.poll_timeout().expect("still lacking");
            pauses.push(next.since(now).as_secs() / 60);
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        backlog.handle_outcome(body(1), true, now);
        assert_eq!((backlog.poll_timeout(), backlog.is_empty()), (None, true));
    }

    #[test]
    fn the_body_that_waits_longest_is_repaired_first() {
        let mut backlog = Backlog::default();
        for number in [3, 1, 2] {
            assert!(backlog.push(body(number), at(10 - u64::from(number))));
        }
        let order: Vec<_> = std::iter::from_fn(|| backlog.poll(at(10))).collect();
        assert_eq!(order, [3, 2, 1].map(body));
    }

    #[test]
    fn a_repair_whose_outcome_nobody_reports_is_due_again() {
        let mut backlog = Backlog::default();
        assert!(backlog.push(body(1), at(0)));
        assert_eq!(backlog.poll(at(0)), Some(body(1)));
        assert_eq!((backlog.poll(at(59)), backlog.poll(at(60))), (None, Some(body(1))));
    }

    #[test]
    fn there_is_a_bound() {
        let mut backlog = Backlog::default();
        let mut hash = [0; 32];
        for number in 0..=CAPACITY as u32 {
            hash[..4].copy_from_slice(&number.to_be_bytes());
            backlog.push(BodyRef { partition: Partition(0), hash: BodyHash(hash) }, at(0));
        }
        assert_eq!(backlog.len(), CAPACITY);
    }
}
