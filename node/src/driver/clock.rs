//! The process's clock, as the core counts time.

use scrapering_core::time::Instant;
use std::time::{SystemTime, UNIX_EPOCH};

/// A monotonic clock that began with the process's ring.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant(self.start.elapsed())
    }

    /// When `instant` is, for tokio's timers.
    #[must_use]
    pub fn deadline(&self, instant: Instant) -> tokio::time::Instant {
        self.start + instant.0
    }

    /// Milliseconds since 1970 by the wall clock; for people and ages in days, never for ordering.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
