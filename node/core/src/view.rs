//! Views: who owns a partition. The only layer that carries safety.
//!
//! Chord and membership propose; the view decides (Riak's and Dynamo's fixed partitions, CATS' consistent
//! quorums). Every message about a register carries its view's epoch, and a replica answers only in its own.

use crate::id::{NodeId, Partition, Point};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers the views of one partition, from 1 at genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// The members that keep one partition in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The view's number.
    pub epoch: Epoch,
    /// Distinct nodes in order of preference: the first that is alive is the primary.
    pub members: Vec<NodeId>,
}

impl View {
    /// How many members make a majority.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// The first member for which `alive` holds.
    pub fn primary(&self, alive: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        self.members.iter().copied().find(|member| alive(*member))
    }
}

/// Copies kept of each register in a ring of `nodes`: 5, in rings below five nodes 3, in rings below three 1.
#[must_use]
pub const fn replicas(nodes: usize) -> usize {
    match nodes {
        0..=2 => 1,
        3..=4 => 3,
        _ => 5,
    }
}

/// Virtual nodes of a node of weight 1. Evens out the load (Chord, section 6.2).
pub const VIRTUAL_NODES: u32 = 32;

/// The virtual nodes of all members on the circle.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    tokens: BTreeMap<Point, NodeId>,
    nodes: usize,
}

impl Placement {
    /// Places every node [`VIRTUAL_NODES`] times: at SHA-1 of its id and the number of the virtual node.
    #[must_use]
    pub fn new(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let nodes: BTreeSet<NodeId> = nodes.into_iter().collect();
        let tokens = nodes.iter().flat_map(|node| virtual_nodes(*node).map(|point| (point, *node))).collect();
        Self { tokens, nodes: nodes.len() }
    }

    /// Every virtual node with its owner, clockwise from zero.
    pub fn tokens(&self) -> impl Iterator<Item = (Point, NodeId)> + '_ {
        self.tokens.iter().map(|(point, node)| (*point, *node))
    }

    /// The first `count` distinct nodes clockwise from `point` (included); fewer if there are fewer.
    #[must_use]
    pub fn successors(&self, point: Point, count: usize) -> Vec<NodeId> {
        let clockwise = self.tokens.range(point..).chain(self.tokens.range(..point));
        let mut found = Vec::new();
        for (_, node) in clockwise {
            if found.len() >= count.min(self.nodes) {
                break;
            }
            if !found.contains(node) {
                found.push(*node);
            }
        }
        found
    }

    /// The first view of every partition: a pure function of the genesis members, so that all of them agree
    /// on it without a word.
    #[must_use]
    pub fn genesis_views(&self) -> BTreeMap<Partition, View> {
        let count = replicas(self.nodes);
        let view =
            |partition: Partition| View { epoch: Epoch(1), members: self.successors(partition.last_point(), count) };
        Partition::all().map(|partition| (partition, view(partition))).collect()
    }
}

/// The points of a node's virtual nodes.
pub fn virtual_nodes(node: NodeId) -> impl Iterator<Item = Point> {
    (0..VIRTUAL_NODES).map(move |number| {
        let mut bytes = node.0.to_vec();
        bytes.extend_from_slice(&number.to_be_bytes());
        Point::of(&bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(size: usize) -> (Vec<NodeId>, Placement) {
        let nodes: Vec<_> = (0..size).map(|i| NodeId::new(&format!("ring-{i}"), 1)).collect();
        (nodes.clone(), Placement::new(nodes))
    }

    #[test]
    fn every_partition_has_as_many_distinct_members_as_the_ring_size_allows() {
        for (size, expected) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (9, 5)] {
            let (_, placement) = ring(size);
            for view in placement.genesis_views().values() {
                let distinct: BTreeSet<_> = view.members.iter().collect();
                assert_eq!((view.members.len(), distinct.len()), (expected, expected));
            }
        }
    }

    #[test]
    fn the_primary_is_the_first_live_member() {
        let (_, placement) = ring(5);
        let view = &placement.genesis_views()[&Partition(7)];
        assert_eq!(view.primary(|_| true), Some(view.members[0]));
        assert_eq!(view.primary(|node| node != view.members[0]), Some(view.members[1]));
        assert_eq!(view.primary(|_| false), None);
    }

    #[test]
    fn a_join_moves_only_what_the_new_node_takes() {
        let (nodes, before) = ring(8);
        let after = Placement::new(nodes.iter().copied().chain([NodeId::new("ring-8", 1)]));
        let new = NodeId::new("ring-8", 1);
        for partition in Partition::all() {
            let [old, now] = [&before, &after].map(|p| p.successors(partition.last_point(), 1)[0]);
            assert!(old == now || now == new);
        }
    }
}
