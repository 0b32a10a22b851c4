//! Nodes come and go all the time, and clients lose nothing by it.
//!
//! `scrapering-sim churn` does the same with a hundred nodes for an hour and prints the account.

use scrapering_sim::churn::{Dials, run};

/// A ring in which a fifth of the nodes are others after a minute.
fn small() -> Dials {
    Dials { nodes: 20, minutes: 4, replaced_a_minute: 4, crashes_a_minute: 1, keys: 512, ..Dials::default() }
}

#[test]
fn nothing_is_lost_and_little_more_is_moved_than_must_be_while_nodes_come_and_go() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let account = run(seed, &small());
    assert_eq!(account.crashed, 4, "seed {seed}: {account:#?}");
    assert_eq!((account.lost, account.not_linearizable, account.unreadable), (0, 0, 0), "seed {seed}: {account:#?}");
    assert!(account.writes > 500 && account.ideal_copies > 100, "seed {seed}: {account:#?}");
    assert!(account.ratio() <= 1.3, "seed {seed}: {account:#?}");
    assert_eq!((account.misplaced, account.still_joining), (0, 0), "seed {seed}: {account:#?}");
}

#[test]
fn a_seed_runs_the_same_way_twice() {
    let dials = Dials { minutes: 1, ..small() };
    assert_eq!(run(7, &dials), run(7, &dials));
}
