//! Many seeds on all processors.

use crate::invariant::Violation;
use crate::rules::Rules;
use crate::world::{Profile, Setup, Stats, World};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is to be run: every seed in every combination of profile and replicas.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first seed; the others follow.
    pub base: u64,
    /// How many.
    pub seeds: u64,
    /// In which worlds.
    pub profiles: Vec<Profile>,
    /// With how many copies.
    pub replicas: Vec<usize>,
    /// Ends a combination's search at its first violation.
    pub stop_at_first: bool,
}

/// A run that showed a violation.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Replays it.
    pub setup: Setup,
    /// The first thing that was wrong.
    pub violation: Violation,
}

/// The sum of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Runs that ended.
    pub runs: u64,
    /// Runs whose history no single machine could have produced.
    pub bad_histories: u64,
    /// Runs in which an invariant broke, or that did not recover at the end.
    pub bad_states: u64,
    /// Counts over all runs.
    pub stats: Stats,
    /// The failures, lowest seed first, at most [`Totals::MAX_FAILURES`].
    pub failures: Vec<Failure>,
    /// On the wall.
    pub elapsed: Duration,
}

impl Totals {
    /// Failures kept.
    pub const MAX_FAILURES: usize = 20;

    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.bad_histories += other.bad_histories;
        self.bad_states += other.bad_states;
        self.stats.add(&other.stats);
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|failure| (failure.setup.seed, failure.setup.profile, failure.setup.replicas));
        self.failures.truncate(Self::MAX_FAILURES);
    }
}

impl Plan {
    fn runs(&self) -> u64 {
        self.seeds * (self.profiles.len() * self.replicas.len()) as u64
    }

    /// The setup of run `number`; worlds alternate so that all are met early.
    fn setup(&self, number: u64) -> Setup {
        let worlds = (self.profiles.len() * self.replicas.len()) as u64;
        let world = (number % worlds) as usize;
        Setup {
            seed: self.base.wrapping_add(number / worlds),
            profile: self.profiles[world % self.profiles.len()],
            replicas: self.replicas[world / self.profiles.len()],
        }
    }

    /// Runs the plan under `rules` on `threads` threads (all processors if `None`).
    #[must_use]
    pub fn run(&self, rules: &dyn Rules, threads: Option<usize>) -> Totals {
        let started = Instant::now();
        let next = AtomicU64::new(0);
        let threads = threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        let mut totals = Totals::default();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.work(rules, &next))).collect();
            for worker in workers {
                totals.add(worker.join().expect("runs catch their panics"));
            }
        });
        totals.elapsed = started.elapsed();
        totals
    }

    fn work(&self, rules: &dyn Rules, next: &AtomicU64) -> Totals {
        let mut totals = Totals::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.runs() {
                return totals;
            }
            let part = run_one(self.setup(number), rules);
            if self.stop_at_first && !part.failures.is_empty() {
                next.store(self.runs(), Ordering::Relaxed);
            }
            totals.add(part);
        }
    }
}

/// One run; a panic in a machine counts as a broken state.
fn run_one(setup: Setup, rules: &dyn Rules) -> Totals {
    let Ok(report) = catch_unwind(AssertUnwindSafe(|| World::new(setup, rules, false).run())) else {
        let violation = Violation { rule: "no machine panics", details: "its message is above".to_owned() };
        return Totals { runs: 1, bad_states: 1, failures: vec![Failure { setup, violation }], ..Totals::default() };
    };
    let failures = report.violation().map(|violation| Failure { setup, violation: violation.clone() });
    Totals {
        runs: 1,
        bad_histories: u64::from(!report.histories.is_empty()),
        bad_states: u64::from(!report.invariants.is_empty()),
        stats: report.stats,
        failures: failures.into_iter().collect(),
        elapsed: Duration::ZERO,
    }
}
