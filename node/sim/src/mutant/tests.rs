//! Every rule that is taken out is missed by somebody.

use super::Mutant;
use crate::campaign::Plan;
use crate::world::{Profile, Setup, World};

/// Takes the rule out and demands that a run shows it.
fn must_be_caught(mutant: Mutant, seeds: u64) {
    let profiles = mutant.profiles().to_vec();
    let plan = Plan { base: 1, seeds, profiles, replicas: vec![3, 5], stop_at_first: true };
    let totals = plan.run(&mutant, Some(1));
    assert!(
        !totals.failures.is_empty(),
        "nobody noticed in {} runs that this rule is gone: {}",
        totals.runs,
        mutant.rule()
    );
}

/// Takes the rule out and demands that a run breaks just the invariant that rests on it.
fn must_break(mutant: Mutant, invariant: &str, seeds: u64) {
    let broken = |(seed, replicas)| {
        let report = World::new(Setup { seed, profile: Profile::Bodies, replicas }, &mutant, false).run();
        report.invariants.iter().any(|violation| violation.rule == invariant)
    };
    let caught = (1..=seeds).flat_map(|seed| [(seed, 3), (seed, 5)]).any(broken);
    assert!(caught, "{invariant:?} held in all runs although this rule is gone: {}", mutant.rule());
}

macro_rules! caught {
    ($($sentence:ident: $mutant:ident within $seeds:literal $(breaks $invariant:literal)*;)+) => {$(
        #[test]
        fn $sentence() {
            must_be_caught(Mutant::$mutant, $seeds);
            $(must_break(Mutant::$mutant, $invariant, $seeds);)*
        }
    )+

        #[test]
        fn every_mutant_has_its_test() {
            assert_eq!(Mutant::ALL, [$(Mutant::$mutant),+]);
        }
    };
}

caught! {
    a_change_that_is_repeated_after_its_accept_was_sent_is_caught: RetryAfterAccept within 100;
    a_node_that_speaks_for_a_disk_it_lost_is_caught: Amnesia within 100;
    a_failed_compare_and_set_that_does_not_write_back_is_caught: FailedCasWithoutAccept within 100;
    a_read_of_the_newest_of_a_majority_is_caught: ReadMax within 100;
    an_answer_that_leaves_before_its_fsync_is_caught: ReplyBeforeFsync within 100;
    a_promise_that_leaves_before_its_fsync_is_caught: PromiseBeforeFsync within 3000;
    an_acceptor_that_accepts_below_its_promise_is_caught: AcceptBelowPromise within 100;
    an_acceptor_that_promises_below_its_promise_is_caught: PromiseBelowPromise within 100;
    a_process_that_uses_the_ballots_of_its_last_life_is_caught: BallotReuse within 500;
    a_process_that_goes_on_from_a_stale_counter_is_caught: StaleCounter within 500;
    coordinators_with_member_lists_of_their_own_are_caught: OwnMemberList within 100;
    a_replica_that_answers_in_another_epoch_is_caught: EpochIgnored within 200;
    a_read_that_does_not_write_back_what_members_differ_on_is_caught: ReadWithoutWriteBack within 100;
    a_quorum_of_half_the_members_is_caught: HalfQuorum within 100;
    a_scan_of_less_than_a_majority_is_caught: ScanOfOne within 100;
    a_member_that_is_counted_twice_is_caught: CountTwice within 100;
    an_answer_to_an_earlier_round_that_is_counted_is_caught: LateAnswers within 500;
    an_unknown_outcome_reported_as_not_done_is_caught: UnknownAsRefused within 100;
    a_sealed_replica_that_goes_on_serving_is_caught: NoSeal within 100;
    a_copy_that_is_merged_with_leftovers_is_caught: MergeLeftovers within 300;
    a_member_that_serves_without_its_state_is_caught: VoteBeforeInstall within 100;
    a_start_state_that_is_not_part_of_the_decision_is_caught: StateOutsideDecision within 100;
    a_promise_that_does_not_report_what_was_accepted_is_caught: DecisionForgotten within 500;
    a_mark_of_deletion_that_is_dropped_too_early_is_caught: TombstonesDroppedEarly within 100;
    a_promise_to_end_an_epoch_that_leaves_before_its_fsync_is_caught: SealBeforeFsync within 3000;
    a_replica_that_promises_below_its_seal_is_caught: SealBelowSeal within 500;
    a_replica_that_decides_below_its_seal_is_caught: DecideBelowSeal within 500;
    an_epoch_that_ends_with_less_than_a_majority_is_caught: SealedMinority within 100;
    an_overtaken_proposer_that_goes_on_is_caught: OvertakenAdopts within 1000;
    leftovers_that_are_given_away_are_caught: LeftoversGivenAway within 1000;
    a_late_member_that_has_fetched_nothing_is_caught: FinishBeforeState within 100;
    a_replica_that_goes_back_to_an_older_view_is_caught: OlderViewInstalled within 1500;
    a_copy_that_counts_before_its_fsync_is_caught: CopyBeforeFsync within 200
        breaks "a body is on enough disks when a record that refers to it is acknowledged";
    a_node_that_counts_as_two_copies_is_caught: CopyTwice within 200
        breaks "a body is on enough disks when a record that refers to it is acknowledged";
    two_copies_are_caught_when_two_disks_are_lost: TwoCopies within 100
        breaks "a body is on enough disks when a record that refers to it is acknowledged"
        breaks "after the faults every body that a record refers to is found";
    content_that_is_taken_without_its_hash_is_caught: UncheckedFetch within 100
        breaks "a damaged copy is never returned";
    a_record_that_is_written_before_its_body_is_stored_is_caught: RecordBeforeBody within 100
        breaks "a body is on enough disks when a record that refers to it is acknowledged";
}
