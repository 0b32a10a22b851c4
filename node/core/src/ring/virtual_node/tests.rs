//! One test for each rule of Zave's corrected Chord (TSE 43(12), 2017), on a circle of a hundred points.

use super::*;

const RULE: AtMost = AtMost(3);

fn member(me: u8, predecessor: u8, successors: &[u8]) -> VirtualNode<u8> {
    VirtualNode::genesis(me, Some(predecessor), successors.to_vec(), &RULE)
}

fn answer(predecessor: u8, successors: &[u8]) -> Outcome<u8> {
    Outcome::Answer(Neighbours { predecessor: Some(predecessor), successors: successors.to_vec() })
}

fn nobody_is_dead(_: u8) -> bool {
    false
}

#[test]
fn a_join_takes_over_the_whole_list_and_its_giver_as_predecessor_zave_join() {
    let given = Neighbours { predecessor: Some(90), successors: vec![30, 40, 50] };
    let joined = VirtualNode::join(20, 10, given, &RULE).expect("20 belongs between 10 and 30");
    assert_eq!((joined.predecessor(), joined.successors()), (Some(10), &[30, 40, 50][..]));
}

#[test]
fn who_does_not_belong_right_behind_the_giver_looks_again_zave_join() {
    for me in [35, 5, 30] {
        let given = Neighbours { predecessor: Some(90), successors: vec![30, 40, 50] };
        assert_eq!(VirtualNode::join(me, 10, given, &RULE), None);
    }
}

#[test]
fn only_a_ring_of_one_gives_itself_as_the_only_successor_zave_join() {
    let alone = Neighbours { predecessor: None, successors: vec![] };
    let joined = VirtualNode::join(20, 10, alone, &RULE).expect("10 is all there is");
    assert_eq!(joined.successors(), [10]);
    let lost = Neighbours { predecessor: Some(5), successors: vec![] };
    assert_eq!(VirtualNode::join(20, 10, lost, &RULE), None);
}

#[test]
fn an_answer_brings_the_successor_and_its_list_together_zave_stabilize_from_successor() {
    let mut node = member(10, 90, &[20, 70, 80]);
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!(node.successors(), [20, 70, 80], "nothing is adopted before the answer");
    assert_eq!(node.handle_outcome(answer(90, &[30, 40, 50]), &RULE), Some(20));
    assert_eq!(node.successors(), [20, 30, 40]);
}

#[test]
fn a_successor_that_knows_its_predecessor_is_not_notified() {
    let mut node = member(10, 90, &[20, 30, 40]);
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!(node.handle_outcome(answer(10, &[30, 40, 50]), &RULE), None);
}

#[test]
fn dead_successors_are_dropped_one_at_a_time_and_the_next_is_notified_zave_stabilize_from_successor() {
    let mut node = member(10, 90, &[20, 30, 40]);
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!(node.handle_outcome(Outcome::Dead, &RULE), Some(30));
    assert_eq!(node.successors(), [30, 40]);
}

#[test]
fn a_silence_changes_nothing() {
    let mut node = member(10, 90, &[20, 30, 40]);
    let before = node.clone();
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!(node.handle_outcome(Outcome::Silence, &RULE), None);
    assert_eq!(node, before);
}

#[test]
fn a_closer_successor_is_adopted_only_from_its_own_answer_zave_stabilize_from_predecessor() {
    let mut node = member(10, 90, &[20, 30, 40]);
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!(node.handle_outcome(answer(15, &[30, 40, 50]), &RULE), None, "15 comes first");
    assert_eq!(node.successors(), [20, 30, 40]);
    assert_eq!(node.ask_candidate(), Some(15));
    assert_eq!(node.handle_outcome(answer(5, &[20, 30, 40]), &RULE), Some(15));
    assert_eq!(node.successors(), [15, 20, 30]);
}

#[test]
fn a_dead_candidate_leaves_the_list_as_it_is_zave_stabilize_from_predecessor() {
    let mut node = member(10, 90, &[20, 30, 40]);
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!(node.handle_outcome(answer(15, &[30, 40, 50]), &RULE), None);
    assert_eq!(node.ask_candidate(), Some(15));
    assert_eq!(node.handle_outcome(Outcome::Dead, &RULE), Some(20));
    assert_eq!(node.successors(), [20, 30, 40]);
    assert_eq!(node.ask_candidate(), None);
}

#[test]
fn a_predecessor_of_the_successor_that_is_not_between_is_no_candidate_zave_stabilize_from_successor() {
    let mut node = member(10, 90, &[20, 30, 40]);
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!(node.handle_outcome(answer(5, &[30, 40, 50]), &RULE), Some(20));
    assert_eq!(node.ask_candidate(), None);
}

#[test]
fn the_state_is_not_shown_while_a_question_is_open_zave_section_3() {
    let mut node = member(10, 90, &[20, 30, 40]);
    assert!(node.neighbours().is_some());
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!((node.neighbours(), node.ask_successor(), node.ask_candidate()), (None, None, None));
    assert_eq!(node.handle_outcome(answer(10, &[30, 40, 50]), &RULE), None);
    assert!(node.neighbours().is_some());
}

#[test]
fn a_notification_waits_until_no_question_is_open_zave_rectify() {
    let mut node = member(10, 70, &[20, 30, 40]);
    assert_eq!(node.ask_successor(), Some(20));
    node.handle_notify(80, nobody_is_dead);
    node.rectify(nobody_is_dead);
    assert_eq!(node.predecessor(), Some(70));
    assert_eq!(node.handle_outcome(answer(10, &[30, 40, 50]), &RULE), None);
    node.rectify(nobody_is_dead);
    assert_eq!(node.predecessor(), Some(80));
}

#[test]
fn a_closer_notifier_becomes_predecessor_and_a_farther_one_only_of_a_dead_one_zave_rectify() {
    let mut node = member(10, 80, &[20, 30, 40]);
    node.handle_notify(70, nobody_is_dead);
    node.rectify(nobody_is_dead);
    assert_eq!(node.predecessor(), Some(80));
    node.handle_notify(90, nobody_is_dead);
    node.rectify(nobody_is_dead);
    assert_eq!(node.predecessor(), Some(90));
    node.handle_notify(70, nobody_is_dead);
    node.rectify(|id| id == 90);
    assert_eq!(node.predecessor(), Some(70));
}

#[test]
fn the_one_slot_keeps_the_closest_living_notifier_zave_rectify() {
    let mut node = member(10, 50, &[20, 30, 40]);
    for from in [80, 90, 70] {
        node.handle_notify(from, nobody_is_dead);
    }
    assert_eq!(node.notifier(), Some(90));
    node.handle_notify(60, |id| id == 90);
    assert_eq!(node.notifier(), Some(60));
}

#[test]
fn a_dead_predecessor_stays_until_somebody_replaces_it_zave_rectify() {
    let mut node = member(10, 90, &[20, 30, 40]);
    node.rectify(|id| id == 90);
    assert_eq!(node.predecessor(), Some(90));
}

#[test]
fn a_list_that_is_used_up_stays_empty_and_never_names_its_owner() {
    let mut node = member(10, 90, &[20]);
    assert_eq!(node.ask_successor(), Some(20));
    assert_eq!(node.handle_outcome(Outcome::Dead, &RULE), None);
    assert!(node.successors().is_empty());
    assert_eq!(node.ask_successor(), None);
    node.propose(10);
    node.handle_notify(10, nobody_is_dead);
    assert_eq!((node.ask_candidate(), node.notifier()), (None, None));
    node.propose(60);
    assert_eq!(node.ask_candidate(), Some(60));
    assert_eq!(node.handle_outcome(answer(50, &[70, 80, 90]), &RULE), Some(60));
    assert_eq!(node.successors(), [60, 70, 80]);
}

#[test]
fn of_several_proposals_the_closest_is_asked_and_none_that_is_farther_than_the_successor() {
    let mut node = member(10, 90, &[40, 50, 60]);
    for proposed in [30, 20, 25, 45] {
        node.propose(proposed);
    }
    assert_eq!(node.ask_candidate(), Some(20));
}

#[test]
fn an_arc_wraps_around_the_end_of_the_circle_and_from_a_point_to_itself_is_everything_else() {
    assert!(between(90, 95, 10) && between(90, 5, 10) && !between(90, 50, 10));
    assert!(between(10, 15, 20) && !between(10, 50, 20) && !between(10, 20, 20) && !between(10, 10, 20));
    assert!(between(10, 50, 10) && !between(10, 10, 10));
}
