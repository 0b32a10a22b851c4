//! The register protocol as it is, under faults: no seed may show a violation.
//!
//! `scrapering-sim register` runs as many seeds as you like; these are the ones that every build runs.

use scrapering_sim::campaign::Plan;
use scrapering_sim::rules::Honest;
use scrapering_sim::world::Profile;

fn must_hold(profile: Profile, replicas: usize) {
    let plan =
        Plan { base: 2_026, seeds: 3_000, profiles: vec![profile], replicas: vec![replicas], stop_at_first: false };
    let totals = plan.run(&Honest, Some(1));
    assert_eq!(totals.runs, 3_000);
    assert!(totals.failures.is_empty(), "{:#?}", totals.failures);
    assert!(
        totals.stats.done > 0 && totals.stats.crashes > 0 && totals.stats.partitions > 0,
        "nothing happened: {:?}",
        totals.stats
    );
}

#[test]
fn registers_of_three_copies_are_linearizable_under_faults() {
    must_hold(Profile::Normal, 3);
}

#[test]
fn registers_of_five_copies_are_linearizable_under_faults() {
    must_hold(Profile::Normal, 5);
}

#[test]
fn three_copies_under_contention_and_slow_messages_are_linearizable() {
    must_hold(Profile::Hot, 3);
}

#[test]
fn five_copies_under_contention_and_slow_messages_are_linearizable() {
    must_hold(Profile::Hot, 5);
}
