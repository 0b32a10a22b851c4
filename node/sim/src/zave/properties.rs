//! What must hold in every state of a small ring (Zave, TSE 2017, section 4).

use super::{IDENTIFIERS, SMALLEST_RING, State, between};
use scrapering_core::ring::VirtualNode;

/// A member followed by its list.
fn extended(member: &VirtualNode<u8>) -> impl Iterator<Item = u8> + Clone + '_ {
    std::iter::once(member.position()).chain(member.successors().iter().copied())
}

/// Members that no list passes over.
pub(super) fn principals(state: &State) -> usize {
    principals_without(state, None)
}

fn principals_without(state: &State, gone: Option<u8>) -> usize {
    let living = || state.living().filter(move |member| Some(member.position()) != gone);
    let skips = |member: &VirtualNode<u8>, id: u8| {
        let mut pairs = extended(member).zip(extended(member).skip(1));
        pairs.any(|(start, end)| between(start, id, end))
    };
    living().filter(|one| !living().any(|member| skips(member, one.position()))).count()
}

/// Whether `id` may die: two may, at any moment, of a ring that has two more than it needs.
pub(super) fn may_fail(state: &State, id: u8) -> bool {
    principals_without(state, Some(id)) >= SMALLEST_RING
}

/// The first of its list that lives.
fn best_successor(state: &State, member: &VirtualNode<u8>) -> Option<u8> {
    member.successors().iter().copied().find(|id| state.lives(*id))
}

/// Where each member's best successors lead.
fn next(state: &State) -> [Option<u8>; IDENTIFIERS as usize] {
    std::array::from_fn(|id| state.members[id].as_ref().and_then(|member| best_successor(state, member)))
}

/// Members that come back to themselves, as bits.
fn ring_members(state: &State) -> u8 {
    let next = next(state);
    let returns = |id: &u8| {
        let mut at = next[usize::from(*id)];
        for _ in 0..IDENTIFIERS {
            match at {
                Some(here) if here == *id => return true,
                Some(here) => at = next[usize::from(here)],
                None => return false,
            }
        }
        false
    };
    (0..IDENTIFIERS).filter(returns).fold(0, |bits, id| bits | 1 << id)
}

pub(super) fn has_living_successors(state: &State) -> bool {
    state.living().all(|member| best_successor(state, member).is_some())
}

/// At least one ring, at most one, and its members follow each other clockwise.
pub(super) fn is_one_ordered_ring(state: &State) -> bool {
    let (next, ring) = (next(state), ring_members(state));
    let in_ring = |id: u8| ring >> id & 1 == 1;
    // If nobody is passed over on the way round, all are in one round.
    let ordered = |id: u8| {
        let successor = next[usize::from(id)].expect("who comes back to itself has a successor");
        (0..IDENTIFIERS).filter(|other| in_ring(*other)).all(|other| !between(id, other, successor))
    };
    ring != 0 && (0..IDENTIFIERS).filter(|id| in_ring(*id)).all(ordered)
}

/// From every member a way leads into the ring.
pub(super) fn is_connected(state: &State) -> bool {
    let (next, ring) = (next(state), ring_members(state));
    let leads = |member: &VirtualNode<u8>| {
        let mut at = Some(member.position());
        for _ in 0..=IDENTIFIERS {
            match at {
                Some(here) if ring >> here & 1 == 1 => return true,
                Some(here) => at = next[usize::from(here)],
                None => return false,
            }
        }
        false
    };
    state.living().all(leads)
}

pub(super) fn has_no_duplicates(state: &State) -> bool {
    state.living().all(|member| {
        let mut seen = 0_u8;
        extended(member).all(|id| {
            let new = seen >> id & 1 == 0;
            seen |= 1 << id;
            new
        })
    })
}

pub(super) fn is_ordered(state: &State) -> bool {
    let ordered = |member: &VirtualNode<u8>| {
        let list = || extended(member).enumerate();
        list().all(|(a, first)| {
            list().skip(a + 1).all(|(b, second)| list().skip(b + 1).all(|(_, third)| between(first, second, third)))
        })
    };
    state.living().all(ordered)
}
