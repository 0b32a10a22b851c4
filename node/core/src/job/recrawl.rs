//! When a page is visited again: the rule of Nutch's `AdaptiveFetchSchedule` and of StormCrawler's adaptive scheduler.

use std::time::Duration;

/// How a job visits its pages again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recrawl {
    /// Whether a host is told what is known already (RFC 9110, section 13), so that it need not send it again.
    pub conditional: bool,
    /// Shortest time from one visit to the next, and the first one.
    pub min: Duration,
    /// Longest.
    pub max: Duration,
    /// By so many thousandths the time grows when nothing has changed.
    pub incr_permille: u32,
    /// By so many thousandths it shrinks when something has.
    pub decr_permille: u32,
    /// What a visit adds to the results.
    pub emit: Emit,
}

/// What a visit adds to the results of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emit {
    /// The page's items, whether they have changed or not.
    #[default]
    All,
    /// The page's items if they have changed.
    Changed,
}

impl Recrawl {
    /// The time to the next visit, after one that came `interval` after the one before.
    #[must_use]
    pub fn interval_after(&self, interval: Duration, changed: bool) -> Duration {
        let permille = if changed {
            1_000_u32.saturating_sub(self.decr_permille)
        } else {
            1_000_u32.saturating_add(self.incr_permille)
        };
        // Far below what a duration can hold, as long as the bounds are those of a job.
        let next = interval.saturating_mul(permille) / 1_000;
        next.clamp(self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const RECRAWL: Recrawl = Recrawl {
        conditional: true,
        min: HOUR,
        max: Duration::from_secs(8 * 3_600),
        incr_permille: 500,
        decr_permille: 500,
        emit: Emit::All,
    };

    #[test]
    fn the_interval_grows_while_nothing_changes_shrinks_when_something_does_and_stays_in_its_bounds() {
        let mut interval = HOUR;
        let mut seen = Vec::new();
        for changed in [false, false, false, false, false, false, true, true, true, true] {
            interval = RECRAWL.interval_after(interval, changed);
            seen.push(interval.as_secs() / 60);
        }
        assert_eq!(seen, [90, 135, 202, 303, 455, 480, 240, 120, 60, 60]);
    }

    #[test]
    fn no_interval_is_too_long_to_be_reckoned_with() {
        let endless = Recrawl { max: Duration::MAX, incr_permille: 10_000, ..RECRAWL };
        assert!(endless.interval_after(Duration::MAX, false) > HOUR);
        assert_eq!(Recrawl { decr_permille: 1_000, ..RECRAWL }.interval_after(HOUR, true), HOUR);
    }
}
