//! Membership under everything at once: no seed may show a violation, and a seed runs the same way twice.
//!
//! `scrapering-sim swim` measures; these are the seeds that every build runs.

use scrapering_sim::swim::{chaos, measure};

#[test]
fn after_crashes_pauses_partitions_lost_disks_leaves_and_joins_all_tables_come_to_agree() {
    let mut faults = [0; 7];
    for seed in 0..300 {
        let report = chaos::run(seed);
        assert!(report.violation.is_none(), "seed {seed}: {:?}", report.violation);
        faults.iter_mut().zip(report.faults).for_each(|(sum, count)| *sum += count);
    }
    assert!(faults.iter().all(|count| *count > 100), "too little happened: {faults:?}");
}

#[test]
fn a_seed_runs_the_same_way_twice() {
    assert_eq!(chaos::run(7).verdicts, chaos::run(7).verdicts);
}

#[test]
fn a_crash_is_known_to_all_soon_and_nobody_else_is_suspected_for_long() {
    let crashes = measure::crashes(5, 2_026, 0.05, false, 20);
    assert_eq!(crashes.missed, 0);
    assert!(crashes.everybody.worst() < std::time::Duration::from_secs(10), "{crashes:?}");
    assert_eq!(crashes.false_downs, 0);
}
