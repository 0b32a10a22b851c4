//! A host that says "later" (429, 503) is left alone: for as long as it asks, or for longer each time.

use crate::dice::Jitter;
use crate::time::Instant;
use std::time::Duration;

/// The longest pause, whatever a host asks for.
const CAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The first pause when a host does not say how long; doubled each time.
const FIRST: Duration = Duration::from_secs(60);
/// After so long without another "later" the doubling begins anew.
const FORGIVEN_AFTER: Duration = Duration::from_secs(30 * 60);
/// A pause is longer or shorter by up to this part of it, so that hosts of one server do not come back at once.
const JITTER: f64 = 0.1;
/// Doublings beyond this reach the cap.
const LEVEL_MAX: u32 = 11;

/// Until when a host is left alone, and how often in a row it had to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) until: Instant,
    /// Pauses in a row that the host gave no length for.
    pub(crate) level: u32,
}

impl Backoff {
    /// The host said "later"; `asked` is the length of its `Retry-After`.
    pub(crate) fn handle_busy(&mut self, asked: Option<Duration>, dice: &mut Jitter, now: Instant) {
        if let Some(asked) = asked {
            self.until = self.until.max(now + asked.min(CAP));
            return;
        }
        // Several requests may have been under way when the host had enough: that is one "later".
        if now < self.until {
            return;
        }
        if now.since(self.until) >= FORGIVEN_AFTER {
            self.level = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.level.min(LEVEL_MAX)).min(CAP);
        let spread = 1.0 - JITTER + 2.0 * JITTER * dice.next();
        self.level = (self.level + 1).min(LEVEL_MAX);
        self.until = now + pause.mul_f64(spread).min(CAP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> Instant {
        Instant(Duration::from_secs(seconds))
    }

    #[test]
    fn a_host_without_retry_after_is_left_alone_twice_as_long_each_time_up_to_a_day() {
        let (mut backoff, mut dice, mut now) = (Backoff::default(), Jitter::new(7), after(0));
        for expected in [60.0, 120.0, 240.0, 480.0, 960.0] {
            backoff.handle_busy(None, &mut dice, now);
            let pause = backoff.until.since(now).as_secs_f64();
            assert!((pause / expected - 1.0).abs() <= JITTER, "{pause} instead of {expected}");
            now = backoff.until;
        }
        for _ in 0..20 {
            backoff.handle_busy(None, &mut dice, now);
            now = backoff.until;
        }
        let before = now;
        backoff.handle_busy(None, &mut dice, now);
        assert!(backoff.until.since(before) <= CAP && backoff.until.since(before) >= CAP.mul_f64(0.9));
    }

    #[test]
    fn thirty_quiet_minutes_forgive() {
        let (mut backoff, mut dice) = (Backoff::default(), Jitter::new(7));
        backoff.handle_busy(None, &mut dice, after(0));
        let later = backoff.until + FORGIVEN_AFTER;
        backoff.handle_busy(None, &mut dice, later);
        assert!(backoff.until.since(later) <= Duration::from_secs(66), "{backoff:?}");
    }

    #[test]
    fn what_was_under_way_when_the_host_had_enough_counts_once() {
        let (mut backoff, mut dice) = (Backoff::default(), Jitter::new(7));
        backoff.handle_busy(None, &mut dice, after(0));
        let once = backoff;
        backoff.handle_busy(None, &mut dice, after(1));
        assert_eq!(backoff, once);
    }

    #[test]
    fn retry_after_is_kept_to_the_moment_and_never_shortened() {
        let (mut backoff, mut dice) = (Backoff::default(), Jitter::new(7));
        backoff.handle_busy(Some(Duration::from_secs(90)), &mut dice, after(10));
        assert_eq!(backoff.until, after(100));
        backoff.handle_busy(Some(Duration::from_secs(1)), &mut dice, after(11));
        assert_eq!(backoff.until, after(100));
        backoff.handle_busy(Some(Duration::MAX), &mut dice, after(12));
        assert_eq!(backoff.until, after(12) + CAP);
    }
}
