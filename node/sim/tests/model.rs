//! Every state of small worlds in which a view changes: the protocol holds, and a missing rule is found.
//!
//! `scrapering-sim model` does the same at length and prints the way to what a missing rule leads to.

use scrapering_sim::model::{Exploring, worlds};
use scrapering_sim::mutant::Mutant;
use scrapering_sim::rules::Honest;
use std::num::NonZeroUsize;

/// Steps of a few seconds.
const MOST: usize = 3_000_000;

#[test]
fn in_no_state_of_a_small_world_is_a_history_not_linearizable_or_an_epoch_decided_twice() {
    for (name, _, small) in worlds::ALL.iter().filter(|(_, is_quick, _)| *is_quick) {
        let found = Exploring::new(small(), &Honest).explore(NonZeroUsize::MIN, MOST);
        assert!(found.counterexample.is_none(), "{name}: {:#?}", found.counterexample);
        assert!(found.complete && found.unseen.is_empty(), "{name}: {found:?}");
    }
}

#[test]
fn a_member_that_serves_on_after_its_promise_to_end_an_epoch_is_found() {
    let small = worlds::named("a write and a read").expect("it is one of the worlds");
    let found = Exploring::new(small, &Mutant::NoSeal).explore(NonZeroUsize::MIN, MOST);
    let counterexample = found.counterexample.expect("the rule matters");
    assert_eq!(counterexample.property, "the next view begins with all that was acknowledged");
    assert!(counterexample.steps.iter().any(|step| step.contains("Seal")), "{counterexample:#?}");
}
