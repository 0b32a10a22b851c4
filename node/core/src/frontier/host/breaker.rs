//! A host that fails again and again is left alone for a while, then tried with a few requests (a circuit breaker).
//!
//! Closed: everything passes. Open: nothing does, until a moment. Half-open: that moment is over, and a few requests
//! decide which of the two it is again.

use crate::job::BreakerRules;
use crate::time::Instant;

/// The breaker of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    /// Failures in a row while it is closed.
    pub(crate) failures: u32,
    /// Times in a row that it opened; 0 while it is closed.
    pub(crate) opens: u32,
    pub(crate) until: Instant,
}

/// What a failure led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tripped {
    No,
    Opened,
    /// It has opened too often: the host's pages are to be given up.
    GivenUp,
}

impl Breaker {
    /// Most requests that may be in flight now, if the breaker limits them.
    pub(crate) fn limit(&self, rules: BreakerRules) -> Option<u32> {
        (self.opens > 0).then_some(rules.half_open_probes)
    }

    /// The host works.
    pub(crate) fn handle_good(&mut self) -> bool {
        let was_open = self.opens > 0;
        *self = Self::default();
        was_open
    }

    /// The host failed.
    pub(crate) fn handle_bad(&mut self, rules: BreakerRules, now: Instant) -> Tripped {
        // What was under way when it opened says nothing new.
        if self.opens > 0 && now < self.until {
            return Tripped::No;
        }
        self.failures = self.failures.saturating_add(1);
        if self.opens == 0 && self.failures < rules.consecutive_failures {
            return Tripped::No;
        }
        self.opens = self.opens.saturating_add(1);
        self.until = now + rules.open_for;
        if self.opens >= rules.max_opens { Tripped::GivenUp } else { Tripped::Opened }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RULES: BreakerRules =
        BreakerRules { consecutive_failures: 3, open_for: Duration::from_secs(60), half_open_probes: 2, max_opens: 3 };

    fn after(seconds: u64) -> Instant {
        Instant(Duration::from_secs(seconds))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_a_success_between_starts_the_count_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..2 {
            assert_eq!(breaker.handle_bad(RULES, after(0)), Tripped::No);
            assert_eq!(breaker.handle_bad(RULES, after(0)), Tripped::No);
            assert!(!breaker.handle_good());
        }
        breaker.handle_bad(RULES, after(0));
        breaker.handle_bad(RULES, after(0));
        assert_eq!(breaker.handle_bad(RULES, after(5)), Tripped::Opened);
        assert_eq!((breaker.until, breaker.limit(RULES)), (after(65), Some(2)));
    }

    #[test]
    fn what_was_under_way_when_it_opened_does_not_open_it_again() {
        let mut breaker = Breaker { failures: 3, opens: 1, until: after(60) };
        assert_eq!(breaker.handle_bad(RULES, after(1)), Tripped::No);
        assert_eq!(breaker.opens, 1);
    }

    #[test]
    fn a_probe_closes_it_or_opens_it_again_until_the_host_is_given_up() {
        let open = Breaker { failures: 3, opens: 1, until: after(60) };
        let mut mended = open;
        assert!(mended.handle_good());
        assert_eq!(mended.limit(RULES), None);
        let mut broken = open;
        assert_eq!(broken.handle_bad(RULES, after(60)), Tripped::Opened);
        assert_eq!(broken.handle_bad(RULES, after(120)), Tripped::GivenUp);
    }
}
