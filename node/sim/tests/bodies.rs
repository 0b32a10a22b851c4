//! Bodies and the registers that refer to them, under faults and with two rotten disks: no seed may show a violation.

use scrapering_sim::campaign::Plan;
use scrapering_sim::rules::Honest;
use scrapering_sim::world::Profile;

fn must_hold(replicas: usize) {
    let profiles = vec![Profile::Bodies];
    let plan = Plan { base: 2_026, seeds: 2_000, profiles, replicas: vec![replicas], stop_at_first: false };
    let totals = plan.run(&Honest, Some(1));
    assert_eq!(totals.runs, 2_000);
    assert!(totals.failures.is_empty(), "{:#?}", totals.failures);
    let stats = &totals.stats;
    assert!(stats.bodies_stored > 0 && stats.copies_damaged > 0 && stats.crashes > 0, "nothing happened: {stats:?}");
}

#[test]
fn bodies_in_a_ring_of_four_survive_two_rotten_disks() {
    must_hold(3);
}

#[test]
fn bodies_in_a_ring_of_six_survive_two_rotten_disks() {
    must_hold(5);
}
