//! Placement: where nodes sit on the circle and whom that suggests as members. Only views decide.

use super::View;
use crate::id::{NodeId, Partition, Point};
use std::collections::{BTreeMap, BTreeSet};

/// Copies kept of each register in a ring of `nodes`: 5; in rings of three or four nodes 3, in smaller
/// ones one on each.
#[must_use]
pub const fn replicas(nodes: usize) -> usize {
    match nodes {
        0..=1 => 1,
        2 => 2,
        3..=4 => 3,
        _ => 5,
    }
}

/// Virtual nodes of a node of weight 1. Evens out the load (Chord, section 6.2).
pub const VIRTUAL_NODES: u32 = 32;

/// A node that may keep partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The node.
    pub node: NodeId,
    /// Nodes of one zone may fail together; empty if that is not known.
    pub zone: String,
    /// Multiplies [`VIRTUAL_NODES`].
    pub weight: u16,
}

impl From<NodeId> for Site {
    fn from(node: NodeId) -> Self {
        Self { node, zone: String::new(), weight: 1 }
    }
}

/// The virtual nodes of all members on the circle.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    tokens: BTreeMap<Point, NodeId>,
    zones: BTreeMap<NodeId, String>,
}

impl Placement {
    /// Places every node [`VIRTUAL_NODES`] times its weight: at SHA-1 of its id and the number of the virtual node.
    #[must_use]
    pub fn new<S: Into<Site>>(sites: impl IntoIterator<Item = S>) -> Self {
        let (mut tokens, mut zones) = (BTreeMap::new(), BTreeMap::new());
        for site in sites.into_iter().map(Into::into) {
            tokens.extend(virtual_nodes(site.node, site.weight).map(|point| (point, site.node)));
            zones.insert(site.node, site.zone);
        }
        Self { tokens, zones }
    }

    /// Every virtual node with its owner, clockwise from zero.
    pub fn tokens(&self) -> impl Iterator<Item = (Point, NodeId)> + '_ {
        self.tokens.iter().map(|(point, node)| (*point, *node))
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.zones.len()
    }

    /// The first `count` distinct nodes clockwise from `point` (included); fewer if there are fewer.
    #[must_use]
    pub fn successors(&self, point: Point, count: usize) -> Vec<NodeId> {
        self.clockwise(point).into_iter().take(count).collect()
    }

    /// Who should keep the partition that ends at `point`: the first distinct nodes clockwise, as many as
    /// [`replicas`] says, those for which `fit` holds before the others, and at most ceil(R / zones) of one zone.
    #[must_use]
    pub fn desired(&self, point: Point, fit: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let count = replicas(self.nodes());
        let mut candidates = self.clockwise(point);
        candidates.sort_by_key(|node| !fit(*node));
        let mut zones: Vec<&String> = self.zones.values().collect();
        zones.sort_unstable();
        zones.dedup();
        let cap = count.div_ceil(zones.len().max(1));
        let mut chosen: Vec<NodeId> = Vec::with_capacity(count);
        // Where the caps leave places open (zones of unequal size), the nodes passed over fill them.
        for capped in [true, false] {
            for node in &candidates {
                let in_zone = |other: &&NodeId| self.zones[*other] == self.zones[node];
                let has_room = !capped || chosen.iter().filter(in_zone).count() < cap;
                if chosen.len() < count && has_room && !chosen.contains(node) {
                    chosen.push(*node);
                }
            }
        }
        chosen
    }

    /// The first view of every partition: a pure function of the genesis members, so that all of them agree
    /// on it without a word.
    #[must_use]
    pub fn genesis_views(&self) -> BTreeMap<Partition, View> {
        let view = |partition: Partition| View::genesis(self.desired(partition.last_point(), |_| true));
        Partition::all().map(|partition| (partition, view(partition))).collect()
    }

    /// Every node once, in the order of its first virtual node clockwise from `point`.
    fn clockwise(&self, point: Point) -> Vec<NodeId> {
        let mut found = Vec::with_capacity(self.nodes());
        let mut seen = BTreeSet::new();
        for (_, node) in self.tokens.range(point..).chain(self.tokens.range(..point)) {
            if found.len() == self.nodes() {
                break;
            }
            if seen.insert(*node) {
                found.push(*node);
            }
        }
        found
    }
}

/// The points of the virtual nodes of a node of `weight`.
pub fn virtual_nodes(node: NodeId, weight: u16) -> impl Iterator<Item = Point> {
    (0..VIRTUAL_NODES * u32::from(weight)).map(move |number| {
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
        for (size, expected) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (9, 5)] {
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
        let new = NodeId::new("ring-8", 1);
        let after = Placement::new(nodes.iter().copied().chain([new]));
        for partition in Partition::all() {
            let [old, now] = [&before, &after].map(|p| p.desired(partition.last_point(), |_| true));
            let gone: Vec<_> = old.iter().filter(|node| !now.contains(node)).collect();
            assert!(gone.len() <= 1 && gone.is_empty() != now.contains(&new));
        }
    }

    #[test]
    fn no_zone_keeps_more_than_its_share_where_that_can_be() {
        let site = |number: usize, zone: usize| Site {
            zone: format!("zone-{zone}"),
            ..NodeId::new(&format!("ring-{number}"), 1).into()
        };
        let placement = Placement::new((0..9).map(|number| site(number, number % 3)));
        let lopsided = Placement::new((0..6).map(|number| site(number, usize::from(number == 0))));
        for partition in Partition::all() {
            let in_zone = |placement: &Placement, zone: &str| {
                let desired = placement.desired(partition.last_point(), |_| true);
                assert_eq!(desired.len(), 5);
                desired.iter().filter(|node| placement.zones[*node] == zone).count()
            };
            assert!(["zone-0", "zone-1", "zone-2"].iter().all(|zone| in_zone(&placement, zone) <= 2));
            assert_eq!(in_zone(&lopsided, "zone-1"), 1);
        }
    }

    #[test]
    fn who_is_not_fit_is_taken_only_when_nobody_else_is_left() {
        let (nodes, placement) = ring(7);
        let lost = [nodes[0], nodes[1]];
        for partition in Partition::all() {
            let desired = placement.desired(partition.last_point(), |node| !lost.contains(&node));
            assert!(desired.len() == 5 && lost.iter().all(|node| !desired.contains(node)));
            let desired = placement.desired(partition.last_point(), |node| node == nodes[0]);
            assert_eq!((desired.len(), desired[0]), (5, nodes[0]));
        }
    }

    #[test]
    fn a_heavier_node_has_more_virtual_nodes() {
        let nodes = [1, 3].map(|weight| Site { weight, ..NodeId::new(&format!("ring-{weight}"), 1).into() });
        let placement = Placement::new(nodes.clone());
        let tokens = |site: &Site| placement.tokens().filter(|(_, node)| *node == site.node).count();
        assert_eq!(nodes.each_ref().map(tokens), [32, 96]);
    }
}
