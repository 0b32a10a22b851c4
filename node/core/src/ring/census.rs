//! What the ring takes from the membership: who is alive, and where the virtual nodes of the living sit.

use super::Finger;
use super::virtual_node::{ListRule, between};
use crate::id::{NodeId, Point};
use crate::view::{VIRTUAL_NODES, virtual_nodes};
use std::collections::{BTreeMap, BTreeSet};

/// How alive a node is, as far as the ring cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It answers.
    Alive,
    /// Not asked while somebody else can be, and kept in lists. Whom the membership does not know is suspect.
    Suspect,
    /// Down or gone: neither asked nor named.
    Dead,
}

/// What the membership says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How alive it is.
    pub health: Health,
    /// How many virtual nodes it has.
    pub virtual_nodes: u32,
}

/// The points of the first `count` virtual nodes of `node`.
pub(super) fn points(node: NodeId, count: u32) -> impl Iterator<Item = Point> {
    let weight = u16::try_from(count.div_ceil(VIRTUAL_NODES)).unwrap_or(u16::MAX);
    virtual_nodes(node, weight).take(count as usize)
}

/// The membership as the ring sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    known: BTreeMap<NodeId, Known>,
    living: BTreeMap<Point, NodeId>,
}

impl Census {
    /// Takes the whole table; whether anything differs from before.
    pub(super) fn replace(&mut self, known: BTreeMap<NodeId, Known>) -> bool {
        if self.known == known {
            return false;
        }
        let count = |known: Option<&Known>| known.filter(|k| k.health != Health::Dead).map_or(0, |k| k.virtual_nodes);
        let nodes: BTreeSet<NodeId> = known.keys().chain(self.known.keys()).copied().collect();
        for node in nodes {
            let (before, after) = (count(self.known.get(&node)), count(known.get(&node)));
            if before != after {
                for point in points(node, before) {
                    self.living.remove(&point);
                }
                self.living.extend(points(node, after).map(|point| (point, node)));
            }
        }
        self.known = known;
        true
    }

    pub(super) fn knows(&self, node: NodeId) -> bool {
        self.known.contains_key(&node)
    }

    pub(super) fn health(&self, node: NodeId) -> Health {
        self.known.get(&node).map_or(Health::Suspect, |known| known.health)
    }

    /// Nodes other than `me` that are not known to be dead.
    pub(super) fn others(&self, me: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.known
            .iter()
            .filter(move |(node, known)| **node != me && known.health != Health::Dead)
            .map(|(node, _)| *node)
    }

    /// The virtual nodes of the living, clockwise, beginning behind `point`.
    pub(super) fn clockwise(&self, point: Point) -> impl Iterator<Item = Finger> + '_ {
        let behind = self.living.range(point..).chain(self.living.range(..point));
        behind.map(|(point, node)| Finger { point: *point, node: *node }).filter(move |finger| finger.point != point)
    }
}

/// The shortest list that names so many distinct other nodes not known to be dead: one crash takes all virtual
/// nodes of a node at once, so their number says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct DistinctNodes<'a> {
    count: usize,
    census: &'a Census,
}

impl<'a> DistinctNodes<'a> {
    /// `count` others, or all if there are fewer.
    pub(super) fn new(me: NodeId, count: usize, census: &'a Census) -> Self {
        let others = census.others(me).take(count).count();
        Self { count: if others == 0 { count } else { others }, census }
    }
}

impl ListRule<Finger> for DistinctNodes<'_> {
    fn cut(&self, me: Finger, list: &mut Vec<Finger>) {
        let mut others = BTreeSet::new();
        let (mut last, mut kept) = (me, 0);
        for finger in &*list {
            // A small ring's list has gone all the way round.
            if others.len() >= self.count || !between(last, *finger, me) {
                break;
            }
            if finger.node != me.node && self.census.health(finger.node) != Health::Dead {
                others.insert(finger.node);
            }
            (last, kept) = (*finger, kept + 1);
        }
        list.truncate(kept);
    }
}
