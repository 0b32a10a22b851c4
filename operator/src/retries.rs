//! How long to wait before a failed object is tried again: doubling, because the controller keeps no count of its own.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
/// One second doubled until five minutes are passed.
const MAX_DOUBLINGS: u32 = 9;
const LONGEST: Duration = Duration::from_secs(300);

/// Failures in a row per object. One that succeeds, or is gone, is forgotten.
#[derive(Default)]
pub(crate) struct Retries(Mutex<BTreeMap<String, u32>>);

impl Retries {
    /// Counts a failure and returns the pause before the next try.
    pub(crate) fn failed(&self, key: &str) -> Duration {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.to_owned()).or_default();
        let pause = (FIRST * 2_u32.pow(*count)).min(LONGEST);
        *count = (*count + 1).min(MAX_DOUBLINGS);
        pause
    }

    /// Forgets the failures of an object.
    pub(crate) fn succeeded(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_five_minutes_and_starts_again_after_a_success() {
        let retries = Retries::default();
        let pauses: Vec<u64> = (0..11).map(|_| retries.failed("default/main").as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(retries.failed("default/other").as_secs(), 1);
        retries.succeeded("default/main");
        assert_eq!(retries.failed("default/main").as_secs(), 1);
    }
}
