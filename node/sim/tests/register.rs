//! The register protocol as it is, under faults and while views move: no seed may show a violation.
//!
//! Every build draws fresh seeds and prints the first of them; `scrapering-sim register` runs as many as you like.
#![allow(clippy::print_stdout, reason = "a seed that is not printed cannot be run again")]

use scrapering_sim::campaign::Plan;
use scrapering_sim::rules::Honest;
use scrapering_sim::world::Profile;

const SEEDS: u64 = 500;

fn must_hold(profile: Profile, replicas: usize) {
    let base = rand::random();
    println!("base seed {base}");
    let plan = Plan { base, seeds: SEEDS, profiles: vec![profile], replicas: vec![replicas], stop_at_first: false };
    let totals = plan.run(&Honest, Some(1));
    assert_eq!(totals.runs, SEEDS);
    assert!(totals.failures.is_empty(), "base seed {base}: {:#?}", totals.failures);
    let stats = &totals.stats;
    let counts =
        [stats.done, stats.crashes, stats.partitions, stats.views, stats.recoveries, stats.retirements, stats.relays];
    assert!(counts.iter().all(|count| *count > 0), "too little happened: {stats:?}");
}

#[test]
fn registers_of_three_copies_are_linearizable_while_views_move_under_faults() {
    must_hold(Profile::Normal, 3);
}

#[test]
fn registers_of_five_copies_are_linearizable_while_views_move_under_faults() {
    must_hold(Profile::Normal, 5);
}

#[test]
fn three_copies_under_contention_and_slow_messages_are_linearizable_while_views_move() {
    must_hold(Profile::Hot, 3);
}

#[test]
fn five_copies_under_contention_and_slow_messages_are_linearizable_while_views_move() {
    must_hold(Profile::Hot, 5);
}
