//! How much of the node a background task may take: after each unit of work it rests in proportion to it.
//!
//! A task that slows down because the disk or a peer is busy thereby rests longer, without anybody measuring load.

use std::time::Duration;

/// Longest rest after one unit of work: a unit that hung for a minute does not stop a task for many.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// A task's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    rest_factor: u32,
}

impl Throttle {
    /// Does not rest: for work that somebody waits for.
    pub const NONE: Self = Self::new(0);
    /// Rests four times as long as it works, so takes a fifth of one core, disk or peer at most: for repair.
    pub const REPAIR: Self = Self::new(4);
    /// Rests nineteen times as long as it works, a twentieth: for what has hours to finish.
    pub const IDLE: Self = Self::new(19);

    /// Rests `rest_factor` times as long as it works.
    #[must_use]
    pub const fn new(rest_factor: u32) -> Self {
        Self { rest_factor }
    }

    /// How long to rest after working for `worked`.
    #[must_use]
    pub fn rest(self, worked: Duration) -> Duration {
        worked.saturating_mul(self.rest_factor).min(LONGEST_REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_in_proportion_to_the_work_and_bounded() {
        assert_eq!(Throttle::REPAIR.rest(Duration::from_millis(50)), Duration::from_millis(200));
        assert_eq!(Throttle::NONE.rest(Duration::from_secs(9)), Duration::ZERO);
        assert_eq!(Throttle::IDLE.rest(Duration::MAX), LONGEST_REST);
    }
}
