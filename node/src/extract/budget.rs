//! What one page may cost: processor time, nodes, depth, output.
//!
//! Parsing HTML is quadratic for some inputs and selectors are quadratic for others, so work is done in small steps and the clock is read in between.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::ExtractError;

/// Processor time for one page, from its bytes to its items. Time the thread spends waiting for a processor does not count, so that a busy node
/// does not take honest pages for hostile ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuBudget(pub Duration);

impl Default for CpuBudget {
    /// Half a second; an ordinary page takes a hundredth.
    fn default() -> Self {
        Self(Duration::from_millis(500))
    }
}

/// Most bytes of values and links one page may yield: nested elements repeat each other's text, so the sum can outgrow the page by far.
pub(super) const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;

/// Small steps between two looks at the clock.
const STEPS_PER_CHECK: u32 = 16;

/// Counts what a page has cost so far.
pub(super) struct Meter {
    budget: Duration,
    started: Instant,
    started_cpu: Duration,
    steps: u32,
    output_left_bytes: usize,
}

impl Meter {
    pub(super) fn start(budget: CpuBudget) -> Self {
        Self {
            budget: budget.0,
            started: Instant::now(),
            started_cpu: thread_cpu_time(),
            steps: 0,
            output_left_bytes: MAX_OUTPUT_BYTES,
        }
    }

    /// Fails once the budget is spent.
    pub(super) fn check(&self) -> Result<(), ExtractError> {
        // The thread cannot have computed longer than the wall clock ran, and the wall clock is the cheaper one to read.
        let spent =
            self.started.elapsed() > self.budget && thread_cpu_time().saturating_sub(self.started_cpu) > self.budget;
        if spent {
            return Err(ExtractError::BudgetExceeded { budget: self.budget });
        }
        Ok(())
    }

    /// Counts one small step, such as looking at an element.
    pub(super) fn step(&mut self) -> Result<(), ExtractError> {
        self.steps += 1;
        if self.steps < STEPS_PER_CHECK {
            return Ok(());
        }
        self.steps = 0;
        self.check()
    }

    /// Counts output.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), ExtractError> {
        self.output_left_bytes = self
            .output_left_bytes
            .checked_sub(bytes)
            .ok_or(ExtractError::TooMuchOutput { limit_bytes: MAX_OUTPUT_BYTES })?;
        self.check()
    }
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}
