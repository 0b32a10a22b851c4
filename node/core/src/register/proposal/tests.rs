//! Single proposals, answered by hand: when they wait, go on, settle, and give up.

use super::*;
use crate::register::message::MAX_REPLY_BYTES;
use crate::register::{Accepted, Acceptor, Ballot, MAX_CONTENT_BYTES, ProposerId, Versioned};
use crate::store::Transaction;
use crate::store::memory::MemoryStore;
use bytes::Bytes;
use std::collections::BTreeMap;

const START: Instant = Instant(Duration::ZERO);

fn put(members: usize) -> Proposal {
    let members: Vec<NodeId> = (0..members).map(|index| NodeId::new(&format!("ring-{index}"), 1)).collect();
    let clock = Arc::new(BallotClock::new(ProposerId { node: members[0], boot: 1 }));
    let key = Key::new(Partition(7), *b"key");
    let items = vec![Item { key, change: Change::Put(b"content".as_slice().into()), operation: OperationId(1) }];
    Proposal::new(View::genesis(members), Partition(7), items, clock, START, START + Duration::from_secs(1), 1)
}

/// The members that are asked now, with the round.
fn asked(proposal: &mut Proposal) -> Vec<(NodeId, u64)> {
    std::iter::from_fn(|| proposal.poll_transmit()).map(|transmit| (transmit.to, transmit.round)).collect()
}

#[test]
fn a_proposal_that_is_settled_asks_nobody_anything_more() {
    let mut proposal = put(1);
    for reply in [Reply::Prepare(vec![Ok(Default::default())]), Reply::Accept(vec![Ok(())])] {
        let [(member, round)] = asked(&mut proposal)[..] else { panic!("one member is asked") };
        proposal.handle_reply(member, round, reply, START);
    }
    assert!(matches!(proposal.poll_outcomes().as_deref(), Some([Outcome::Done { .. }])));
    proposal.handle_timeout(START + RESEND_AFTER);
    assert_eq!(asked(&mut proposal), []);
}

/// Answers the round that is asked now: each member as `answer` says.
fn answer(proposal: &mut Proposal, answer: impl Fn(usize) -> Reply) {
    let asked = asked(proposal);
    let round = proposal.rounds;
    for (index, (member, _)) in asked.into_iter().filter(|(_, asked)| *asked == round).enumerate() {
        proposal.handle_reply(member, round, answer(index), START);
    }
}

/// The change is prepared on nothing and sent, and loses to a rival on all but one member.
fn lost_race() -> Proposal {
    let mut proposal = put(3);
    answer(&mut proposal, |_| Reply::Prepare(vec![Ok(Default::default())]));
    let rival = Ballot { counter: 9, ..Ballot::default() };
    answer(&mut proposal, |index| Reply::Accept(vec![if index == 0 { Ok(()) } else { Err(rival) }]));
    assert_eq!(proposal.poll_outcomes(), None, "it is looked at again");
    proposal.handle_timeout(proposal.poll_timeout());
    proposal
}

fn held(counter: u64, version: u64, operation: u128) -> Reply {
    let value = Versioned { version, operation: OperationId(operation), content: Some(b"x".as_slice().into()) };
    let ballot = Ballot { counter, ..Ballot::default() };
    Reply::Prepare(vec![Ok(Accepted { ballot, value: Some(value) })])
}

#[test]
fn a_change_that_lost_to_a_rival_is_made_after_it_as_the_register_shows_that_it_was_not_done() {
    let mut proposal = lost_race();
    answer(&mut proposal, |_| held(9, 1, 7));
    answer(&mut proposal, |_| Reply::Accept(vec![Ok(())]));
    let done = proposal.poll_outcomes();
    assert!(
        matches!(done.as_deref(), Some([Outcome::Done { value: Some(value), .. }]) if value.version == 2),
        "{done:?}"
    );
}

#[test]
fn a_change_that_lost_and_yet_stands_in_the_register_was_done_once() {
    let mut proposal = lost_race();
    answer(&mut proposal, |_| held(9, 1, 1));
    answer(&mut proposal, |_| Reply::Accept(vec![Ok(())]));
    let done = proposal.poll_outcomes();
    assert!(
        matches!(done.as_deref(), Some([Outcome::Done { value: Some(value), .. }]) if value.version == 1),
        "{done:?}"
    );
}

#[test]
fn a_change_that_lost_is_unknown_when_others_have_changed_the_register_twice() {
    let mut proposal = lost_race();
    answer(&mut proposal, |_| held(9, 2, 7));
    assert_eq!(proposal.poll_outcomes(), Some(vec![Outcome::Indeterminate]));
    assert_eq!(asked(&mut proposal), [], "nothing is written under an unknown name");
}

#[test]
fn a_change_that_loses_again_is_measured_by_what_was_chosen_since_or_else_by_the_first_time() {
    for (is_chosen, is_settled) in [(true, true), (false, false)] {
        let mut proposal = lost_race();
        // The rival's value is above what was sent; a majority holds it, or one member only.
        answer(&mut proposal, |index| if is_chosen || index == 0 { held(9, 1, 7) } else { empty() });
        let rival = Ballot { counter: 30, ..Ballot::default() };
        answer(&mut proposal, |_| Reply::Accept(vec![Err(rival)]));
        proposal.handle_timeout(proposal.poll_timeout());
        answer(&mut proposal, |_| held(30, 2, 8));
        answer(&mut proposal, |_| Reply::Accept(vec![Ok(())]));
        let outcomes = proposal.poll_outcomes().expect("settled, or unknown");
        assert_eq!(matches!(outcomes[0], Outcome::Done { .. }), is_settled, "{outcomes:?}");
    }
}

fn empty() -> Reply {
    Reply::Prepare(vec![Ok(Default::default())])
}

#[test]
fn a_batch_of_more_than_one_answer_may_carry_is_done_in_pieces() {
    let mut proposal = put(1);
    let (view, partition, clock) = (proposal.view.clone(), proposal.partition, proposal.clock.clone());
    let mut acceptor = Acceptor::genesis(view.members[0], &BTreeMap::from([(partition, view.clone())]));
    let store = MemoryStore::default();
    let mut transaction = Transaction::new(&store);
    let mut now = START;
    let content = Bytes::from(vec![7; MAX_CONTENT_BYTES]);
    let count = 2 * (MAX_REPLY_BYTES / MAX_CONTENT_BYTES) + 1;
    for change in [Change::Put(content.clone()), Change::Put(content.clone()), Change::Read] {
        let item = |number: usize| {
            let key = Key::new(partition, (number as u16).to_be_bytes());
            Item { key, change: change.clone(), operation: OperationId(number as u128) }
        };
        let deadline = now + Duration::from_secs(5);
        let items = (0..count).map(item).collect();
        proposal = Proposal::new(view.clone(), partition, items, clock.clone(), now, deadline, 1);
        while proposal.poll_outcomes().is_none() {
            while let Some(transmit) = proposal.poll_transmit() {
                let reply = acceptor.handle(&transmit.envelope, &mut transaction).expect("memory does not fail");
                proposal.handle_reply(transmit.to, transmit.round, reply, now);
            }
            now = now.max(proposal.poll_timeout());
            proposal.handle_timeout(now);
        }
        let outcomes = proposal.poll_outcomes().expect("the loop waits for them");
        let has_content = |value: &Option<Versioned>| value.as_ref().is_some_and(|value| value.content.is_some());
        let done = |outcome: &&Outcome| matches!(outcome, Outcome::Done { value, .. } if has_content(value));
        assert_eq!((outcomes.len(), outcomes.iter().filter(done).count()), (count, count));
    }
}
