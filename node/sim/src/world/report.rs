//! What is left of a run: its history with the checkers' verdicts, what the watcher noticed, and counts.

use super::World;
use crate::checker::{Verdict, forgetful, wgl, zones};
use crate::history::{History, Seen};
use crate::invariant::Violation;

/// Counts over one run, or many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Operations asked for, one a key.
    pub calls: u64,
    /// Answered: done.
    pub done: u64,
    /// Answered: the precondition failed.
    pub conflicts: u64,
    /// Not answered, or answered: unknown.
    pub indeterminate: u64,
    /// Answered: not done.
    pub unavailable: u64,
    /// Scans asked for.
    pub scans: u64,
    /// Keys on which a scan's members differed.
    pub disputed: u64,
    /// Messages sent.
    pub messages: u64,
    /// Group commits.
    pub fsyncs: u64,
    /// Group commits of more than one message.
    pub shared_fsyncs: u64,
    /// Group commits that failed.
    pub disk_failures: u64,
    /// Processes killed.
    pub crashes: u64,
    /// Splits of the network.
    pub partitions: u64,
    /// Processes frozen for a while.
    pub pauses: u64,
    /// Bodies that clients put.
    pub bodies_put: u64,
    /// Of these, stored.
    pub bodies_stored: u64,
    /// Bodies that were looked for and found.
    pub bodies_found: u64,
    /// Of the bodies stored, those with fewer copies than they are to have.
    pub bodies_short: u64,
    /// Bodies that were looked for while their holders could not be reached, and not found.
    pub bodies_missed: u64,
    /// Copies of bodies that rotted.
    pub copies_damaged: u64,
    /// Reconfigurations started.
    pub moves: u64,
    /// Views that began.
    pub views: u64,
    /// Copies that were brought to the state of a view after it had begun.
    pub recoveries: u64,
    /// Copies that were deleted.
    pub retirements: u64,
    /// Copies that were brought up to another one's inside a view.
    pub relays: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Histories of one key that the checkers judged.
    pub histories: u64,
}

impl Stats {
    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.done += other.done;
        self.conflicts += other.conflicts;
        self.indeterminate += other.indeterminate;
        self.unavailable += other.unavailable;
        self.scans += other.scans;
        self.disputed += other.disputed;
        self.messages += other.messages;
        self.fsyncs += other.fsyncs;
        self.shared_fsyncs += other.shared_fsyncs;
        self.disk_failures += other.disk_failures;
        self.crashes += other.crashes;
        self.partitions += other.partitions;
        self.pauses += other.pauses;
        self.bodies_put += other.bodies_put;
        self.bodies_stored += other.bodies_stored;
        self.bodies_found += other.bodies_found;
        self.bodies_short += other.bodies_short;
        self.bodies_missed += other.bodies_missed;
        self.copies_damaged += other.copies_damaged;
        self.moves += other.moves;
        self.views += other.views;
        self.recoveries += other.recoveries;
        self.retirements += other.retirements;
        self.relays += other.relays;
        self.simulated_ms += other.simulated_ms;
        self.histories += other.histories;
    }

    pub(super) fn count(&mut self, seen: Seen) {
        match seen {
            Seen::Done(_) | Seen::Absent => self.done += 1,
            Seen::Conflict(_) => self.conflicts += 1,
            Seen::Unknown => self.indeterminate += 1,
            Seen::Refused => self.unavailable += 1,
        }
    }
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Report {
    /// Two runs of one setup have the same.
    pub trace_hash: u64,
    /// Every event in words, if the world was verbose.
    pub lines: Vec<String>,
    /// What clients asked and were told.
    pub history: History,
    /// Broken invariants, in the order of time.
    pub invariants: Vec<Violation>,
    /// Histories that no single machine could have produced.
    pub histories: Vec<Violation>,
    /// Counts.
    pub stats: Stats,
}

impl Report {
    /// The first thing that was wrong.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.invariants.first().or(self.histories.first())
    }
}

/// Judges the history of each of `keys` keys by both checkers, which must know whether views have `moved`.
#[must_use]
pub fn judge(history: &History, keys: usize, moved: bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    for key in 0..keys {
        let calls = history.of_key(key);
        let verdict = if moved {
            wgl::check_with(&calls, wgl::BUDGET, forgetful::step_of(&calls))
        } else {
            wgl::check(&calls, wgl::BUDGET)
        };
        let values_fit = if moved { zones::check(&forgetful::without_absence(&calls)) } else { zones::check(&calls) };
        let rule = match verdict {
            Verdict::Linearizable if values_fit => continue,
            Verdict::Linearizable => "what zones refuses is refused by the full search",
            Verdict::Violation => "every history is linearizable",
            Verdict::GaveUp => "every history can be judged within the budget",
        };
        violations.push(Violation { rule, details: format!("key {key}, {} calls", calls.len()) });
    }
    violations
}

impl World<'_> {
    pub(super) fn into_report(mut self) -> Report {
        self.stats.simulated_ms = self.now_us / 1_000;
        self.stats.histories = self.keys.len() as u64;
        let histories = judge(&self.history, self.keys.len(), self.dials.move_every_us.is_some());
        for violation in &histories {
            self.trace.say(self.now_us, || format!("VIOLATION {}: {}", violation.rule, violation.details));
        }
        let (trace_hash, lines) = self.trace.finish();
        Report { trace_hash, lines, history: self.history, invariants: self.violations, histories, stats: self.stats }
    }
}
