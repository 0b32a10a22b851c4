//! Chord: where on the circle to look (Stoica et al., SIGCOMM 2001, section 4).
//!
//! Every node keeps, for each of its virtual nodes, a finger table and a successor list; a lookup asks node
//! after node, each closer to the point, until one names the point's successor. What comes out is a hint:
//! the view of the partition decides.

pub mod lookup;

pub use lookup::{Hop, Lookup};

use crate::id::{NodeId, Point};
use crate::view::{Placement, virtual_nodes};
use std::collections::{BTreeMap, BTreeSet};

/// A virtual node and the node that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finger {
    /// Where it sits.
    pub point: Point,
    /// Whose it is.
    pub node: NodeId,
}

/// A successor list is cut at so many distinct other nodes, never at a number of virtual nodes: one crash
/// takes all virtual nodes of a node at once.
pub const SUCCESSOR_NODES: usize = 4;

/// The routing state of one node.
#[derive(Clone, Debug)]
pub struct Ring {
    node: NodeId,
    tables: BTreeMap<Point, Table>,
}

/// The routing state of one virtual node.
#[derive(Clone, Debug)]
struct Table {
    /// Never empty: the ring's next virtual nodes clockwise.
    successors: Vec<Finger>,
    /// Distinct fingers by point.
    fingers: BTreeSet<Finger>,
}

/// One node's answer to "who is the successor of this point?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is this virtual node.
    Successor(Finger),
    /// Ask one of these; the closest comes first.
    Closer(Vec<Finger>),
}

/// Most alternatives in one answer.
const ALTERNATIVES: usize = 3;

impl Ring {
    /// The state of `node` in a ring whose members are all known, as at genesis. `node` is one of them.
    #[must_use]
    pub fn genesis(node: NodeId, placement: &Placement) -> Self {
        let ring: BTreeMap<Point, NodeId> = placement.tokens().collect();
        let tables = virtual_nodes(node).map(|point| (point, Table::new(point, node, &ring))).collect();
        Self { node, tables }
    }

    /// Answers a lookup of `target` from this node's own tables.
    #[must_use]
    pub fn step(&self, target: Point) -> Step {
        for (point, table) in &self.tables {
            let mut start = *point;
            for successor in &table.successors {
                if target.in_half_open_arc(start, successor.point) {
                    return Step::Successor(*successor);
                }
                start = successor.point;
            }
        }
        let mut closer: Vec<Finger> =
            self.tables.iter().filter_map(|(point, table)| table.closest_preceding(*point, target)).collect();
        // The one with the shortest way left to the target comes first.
        closer.sort_by_key(|finger| finger.point.distance_to(target));
        closer.retain(|finger| finger.node != self.node);
        let mut nodes = BTreeSet::new();
        closer.retain(|finger| nodes.insert(finger.node));
        closer.truncate(ALTERNATIVES);
        Step::Closer(closer)
    }
}

impl Table {
    fn new(point: Point, node: NodeId, ring: &BTreeMap<Point, NodeId>) -> Self {
        let successor = |from: Point| {
            let (point, node) =
                ring.range(from..).chain(ring.range(..from)).next().expect("a ring holds at least its own node");
            Finger { point: *point, node: *node }
        };
        let fingers = (0..160).map(|exponent| successor(point.plus_power_of_two(exponent))).collect();
        let mut successors = Vec::new();
        let mut others = BTreeSet::new();
        let mut next = successor(point.plus_power_of_two(0));
        while successors.len() < ring.len() {
            successors.push(next);
            if next.node != node {
                others.insert(next.node);
            }
            if others.len() >= SUCCESSOR_NODES {
                break;
            }
            next = successor(next.point.plus_power_of_two(0));
        }
        Self { successors, fingers }
    }

    /// Chord's `closest_preceding_finger`: the last finger strictly between the virtual node and `target`.
    fn closest_preceding(&self, point: Point, target: Point) -> Option<Finger> {
        let between = |finger: &&Finger| finger.point.in_open_arc(point, target);
        self.fingers
            .iter()
            .chain(&self.successors)
            .filter(between)
            .min_by_key(|finger| finger.point.distance_to(target))
            .copied()
    }
}
