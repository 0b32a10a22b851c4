//! When a job has ended: never early, never missed.
//!
//! `done` and `discovered` only grow and `done <= discovered` in every partition; a page is closed only after
//! its links are acknowledged, so new URLs come only from open pages. Add up `done` over all partitions
//! first (D), and `discovered` only after that (C). At the moment in between, done >= D and discovered <= C.
//! If D = C, then discovered = done held at that moment: nothing was open, and nothing can follow.

use super::record::{Counters, Token};
use crate::id::{PARTITIONS, Partition};
use std::collections::BTreeMap;

/// One round of reports, at most one a partition.
#[derive(Clone, Debug, Default)]
pub struct Wave {
    reports: BTreeMap<Partition, (Token, Counters)>,
}

impl Wave {
    /// Adds the report of a partition's owner; of two owners the one with the newer token counts.
    pub fn report(&mut self, partition: Partition, token: Token, counters: Counters) {
        let newest = self.reports.entry(partition).or_insert((token, counters));
        if token >= newest.0 {
            *newest = (token, counters);
        }
    }

    /// Whether every partition has reported.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.reports.len() == usize::from(PARTITIONS)
    }

    /// The sum of all reports.
    #[must_use]
    pub fn total(&self) -> Counters {
        let mut total = Counters::default();
        self.reports.values().for_each(|(_, counters)| total.add(counters));
        total
    }
}

/// Whether the job has ended, given two complete waves of *confirmed* reports, the second begun after the
/// first had ended.
#[must_use]
pub fn has_ended(first: &Wave, second: &Wave) -> bool {
    first.is_complete() && second.is_complete() && first.total().done() == second.total().discovered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(discovered: u64, done: u64) -> Wave {
        let mut wave = Wave::default();
        Partition::all().for_each(|partition| wave.report(partition, Token(1), Counters::default()));
        wave.report(Partition(0), Token(2), Counters { discovered, succeeded: done, ..Counters::default() });
        wave
    }

    #[test]
    fn a_job_ends_only_when_what_was_done_first_equals_what_is_discovered_later() {
        assert!(has_ended(&wave(10, 10), &wave(10, 10)));
        assert!(!has_ended(&wave(10, 10), &wave(11, 11)), "a page was found between the waves");
        assert!(!has_ended(&wave(10, 9), &wave(10, 10)), "the last page was open during the first wave");
        assert!(!has_ended(&Wave::default(), &Wave::default()), "no owner has reported");
    }

    #[test]
    fn the_report_of_a_deposed_owner_does_not_count() {
        let mut wave = wave(10, 10);
        wave.report(Partition(0), Token(1), Counters { discovered: 3, ..Counters::default() });
        assert_eq!(wave.total().discovered, 10);
    }
}
