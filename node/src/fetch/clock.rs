//! The clocks of one fetch: the total, and what is left of it for each step.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{FetchError, Phase};

/// Longer waits than this mean "for ever", and must not overflow the clock.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// When the whole fetch must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// `total` from now, a day at most.
    pub(super) fn after(total: Duration) -> Self {
        Self(Instant::now() + total.min(LONGEST))
    }

    /// Waits for `step` until `patience` or the total runs out, whichever is first.
    ///
    /// # Errors
    /// [`FetchError::Timeout`] with the clock that ran out.
    pub(super) async fn limit<T>(
        self,
        patience: Duration,
        phase: Phase,
        step: impl Future<Output = T>,
    ) -> Result<T, FetchError> {
        let own = Instant::now() + patience.min(LONGEST);
        let (until, phase) = if self.0 < own { (self.0, Phase::Total) } else { (own, phase) };
        tokio::time::timeout_at(until, step).await.map_err(|_| FetchError::Timeout { phase })
    }
}
