//! Files that the ring writes for a job: how far each output is, as it stands in a register of the job's partition.
//!
//! A part is put under its name before it is noted here, and noted together with the place in the job's results behind
//! it. Whoever goes on notes first that it does, so that nobody before it can note anything more; it begins at that place
//! and gives the next part the next name. A part that was put and not noted is written over, and a request of the writer
//! before that comes late is refused by the store, because it asks for what stood there when it was sent. So what stands
//! in the store is what is noted here, and each result in one part.

use super::delivery::pause;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Attempts before an output is given up; the pauses between them add up to about nine hours.
pub const MOST_ATTEMPTS: u32 = super::delivery::MOST_ATTEMPTS;
/// Parts that one output can have: their names must fit a register.
pub const MOST_PARTS: usize = 5_000;
/// Longest text of a fault, characters.
const FAULT_CHARS: usize = 400;

/// How far an output is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Of which run of the job everything is written: when it began, milliseconds since 1970. A job whose failed pages are
    /// opened again runs again, and what it finds is added.
    pub done: Option<u64>,
    /// Whether it was given up, and for which run.
    pub given_up: Option<u64>,
    /// The last result of each partition that stands in a part.
    pub after: BTreeMap<u16, u64>,
    /// The number of the next part of each kind.
    pub numbers: BTreeMap<String, u32>,
    /// What stands there, in the order in which it was put.
    pub parts: Vec<PartRecord>,
    /// Attempts in a row that failed.
    pub tries: u32,
    /// When the next attempt is made, milliseconds since 1970.
    pub retry_ms: u64,
    /// What was wrong with the last attempt.
    pub fault: Option<String>,
}

/// A part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Below the output's prefix and the job's id.
    pub name: String,
    /// Items or pages in it.
    pub entries: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl OutputRecord {
    /// Whether nothing is left to be written of the run that began at `run_ms`.
    #[must_use]
    pub fn is_settled(&self, run_ms: u64) -> bool {
        self.done == Some(run_ms) || self.given_up == Some(run_ms)
    }

    /// Something was written: what failed before does not count any more.
    pub fn handle_progress(&mut self) {
        self.tries = 0;
        self.retry_ms = 0;
        self.fault = None;
    }

    /// An attempt failed. `dice`: 0 to 1.
    pub fn handle_failure(&mut self, fault: &str, run_ms: u64, now_ms: u64, dice: f64) {
        if self.given_up.take().is_some() {
            // That was another run; this one begins anew.
            self.tries = 0;
        }
        self.tries += 1;
        self.fault = Some(fault.chars().take(FAULT_CHARS).collect());
        if self.tries >= MOST_ATTEMPTS {
            self.given_up = Some(run_ms);
            return;
        }
        self.retry_ms = now_ms + u64::try_from(pause(self.tries, dice).as_millis()).unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_fails_is_tried_less_and_less_often_and_given_up_for_this_run_only() {
        let mut record = OutputRecord::default();
        record.handle_failure("no such bucket", 5, 1_000, 0.5);
        assert_eq!((record.retry_ms, record.fault.as_deref()), (3_000, Some("no such bucket")));
        record.handle_progress();
        assert_eq!((record.tries, record.retry_ms, record.fault.clone()), (0, 0, None));
        for _ in 0..MOST_ATTEMPTS {
            assert!(!record.is_settled(5));
            record.handle_failure(&"x".repeat(1_000), 5, 1_000, 0.5);
        }
        assert!(record.is_settled(5) && !record.is_settled(6));
        assert_eq!(record.fault.as_ref().map(String::len), Some(FAULT_CHARS));
        record.handle_failure("busy", 6, 1_000, 0.5);
        assert_eq!((record.is_settled(6), record.tries), (false, 1), "another run begins anew");
    }
}
