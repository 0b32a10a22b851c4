//! Who should hold a body. Chord and membership say who is there; the partition's view says who is asked first.
//!
//! The *keepers* of a partition are the first [`COPIES`](super::COPIES) members of its view that are not gone. Keepers fetch what
//! they lack. Everybody else who has a copy passes it on and then drops it, but only when every keeper was seen to
//! hold it in the present epoch: a copy is dropped on the strength of three copies of members that come earlier in
//! the same view, and the first three never drop theirs, so however the nodes disagree about who is gone, three
//! copies stay.

use super::{BodyHash, copies};
use crate::id::NodeId;
use crate::view::View;

/// Whom to ask to take or to give the body `hash`, best first: the members of `view` that seem alive, then other
/// living nodes of the ring as a last resort, then those that do not seem alive. Nobody is left out: who seems dead
/// may be well, and may be the one that took the copy as a last resort.
#[must_use]
pub fn candidates(
    view: &View,
    hash: BodyHash,
    ring: impl IntoIterator<Item = NodeId>,
    alive: impl Fn(NodeId) -> bool,
) -> Vec<NodeId> {
    let mut others: Vec<NodeId> = ring.into_iter().filter(|node| !view.members.contains(node)).collect();
    // Every body begins elsewhere, so that no node is everybody's last resort.
    others.sort_unstable();
    let first = usize::from(hash.0[0]) % others.len().max(1);
    others.rotate_left(first);
    let in_order = view.members.iter().copied().chain(others);
    let (living, silent): (Vec<NodeId>, Vec<NodeId>) = in_order.partition(|node| alive(*node));
    living.into_iter().chain(silent).collect()
}

/// The nodes that should hold every body of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepers {
    /// In the order of the view.
    pub nodes: Vec<NodeId>,
    /// Whether they are as many as a body has copies.
    pub complete: bool,
}

impl Keepers {
    /// The keepers of the partition of `view` in a ring of `nodes`, as `me` sees it, given who is `gone`: down for so
    /// long that its copy does not count any more. Nobody takes itself for gone: it would rely on later members,
    /// who rely on it.
    #[must_use]
    pub fn of(me: NodeId, view: &View, nodes: usize, gone: impl Fn(NodeId) -> bool) -> Self {
        let count = copies(nodes);
        let here = view.members.iter().copied().filter(|node| *node == me || !gone(*node));
        let nodes: Vec<NodeId> = here.take(count).collect();
        Self { complete: nodes.len() == count, nodes }
    }

    /// Whether `node` is a keeper.
    #[must_use]
    pub fn has(&self, node: NodeId) -> bool {
        self.nodes.contains(&node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn node(number: u8) -> NodeId {
        NodeId([number; 20])
    }

    fn view(members: impl IntoIterator<Item = u8>) -> View {
        View::genesis(members.into_iter().map(node).collect())
    }

    #[test]
    fn living_members_come_first_then_other_living_nodes_then_the_silent_and_nobody_is_left_out() {
        let alive = |asked: NodeId| ![node(1), node(6)].contains(&asked);
        let found = candidates(&view([1, 2, 3]), BodyHash([1; 32]), (0..8).map(node), alive);
        assert_eq!(found, [2, 3, 4, 5, 7, 0, 1, 6].map(node));
    }

    #[test]
    fn the_next_member_keeps_a_body_when_an_earlier_one_is_gone() {
        let keepers =
            |gone: &[u8]| Keepers::of(node(4), &view(0..5), 5, |asked| gone.iter().any(|gone| node(*gone) == asked));
        assert_eq!(keepers(&[]).nodes, [0, 1, 2].map(node));
        assert_eq!(keepers(&[1]).nodes, [0, 2, 3].map(node));
        assert!(keepers(&[0, 1]).complete && !keepers(&[0, 1, 2]).complete);
        assert_eq!(Keepers::of(node(1), &view([4]), 2, |_| false).nodes, [node(4)]);
    }

    proptest! {
        /// Every member drops by its own belief about who is gone, one after the other, in any order.
        #[test]
        fn three_copies_stay_however_the_members_disagree_about_who_is_gone(
            beliefs in proptest::collection::vec(proptest::collection::btree_set(0..5_u8, 0..5), 5),
            order in Just((0..5_u8).collect::<Vec<_>>()).prop_shuffle(),
            held in proptest::collection::btree_set(0..5_u8, 3..=5),
        ) {
            let (view, mut holding) = (view(0..5), held);
            for me in order {
                let keepers = Keepers::of(node(me), &view, 5, |asked| beliefs[usize::from(me)].contains(&asked.0[0]));
                let all_hold = keepers.nodes.iter().all(|keeper| holding.contains(&keeper.0[0]));
                if keepers.complete && !keepers.has(node(me)) && all_hold {
                    holding.remove(&me);
                }
            }
            prop_assert!(holding.len() >= 3, "{holding:?}");
        }

        /// The same when all look at the same moment and act later.
        #[test]
        fn three_copies_stay_when_all_members_drop_at_once(
            beliefs in proptest::collection::vec(proptest::collection::btree_set(0..5_u8, 0..5), 5),
            held in proptest::collection::btree_set(0..5_u8, 3..=5),
        ) {
            let view = view(0..5);
            let drops = |me: u8| {
                let keepers = Keepers::of(node(me), &view, 5, |asked| beliefs[usize::from(me)].contains(&asked.0[0]));
                let all_hold = keepers.nodes.iter().all(|keeper| held.contains(&keeper.0[0]));
                keepers.complete && !keepers.has(node(me)) && all_hold
            };
            let left: BTreeSet<u8> = held.iter().copied().filter(|me| !drops(*me)).collect();
            prop_assert!(left.len() >= 3, "{left:?}");
        }
    }
}
