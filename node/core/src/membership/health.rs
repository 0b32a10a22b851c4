//! Local health: a node that hears little may itself be the slow one, and judges others more slowly then
//! (Dadgar, Phillips, Currey: Lifeguard, 2018, LHA-Probe).

use std::time::Duration;

/// Zero is well; each step stretches periods and timeouts by one more.
#[derive(Debug)]
pub(super) struct LocalHealth {
    steps: u32,
    worst: u32,
}

impl LocalHealth {
    pub(super) const fn new(worst: u32) -> Self {
        Self { steps: 0, worst }
    }

    /// A probe was answered.
    pub(super) fn better(&mut self) {
        self.steps = self.steps.saturating_sub(1);
    }

    /// So many signs that this node is slow: answers of helpers that did not come, or a suspicion of itself.
    pub(super) fn worse(&mut self, steps: usize) {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.steps = self.steps.saturating_add(steps).min(self.worst);
    }

    pub(super) const fn steps(&self) -> u32 {
        self.steps
    }

    pub(super) fn stretch(&self, duration: Duration) -> Duration {
        duration.saturating_mul(self.steps + 1)
    }
}
