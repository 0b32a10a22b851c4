//! Draws the map of the ring: virtual nodes on the circle, and the views of all partitions.

use super::NodeView;
use crate::driver::steward::desired;
use crate::gateway::{NodePoints, PartitionView, RingMap};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::view::{Standing, View, virtual_nodes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl NodeView {
    /// The map as this node knows it.
    pub(super) fn drawn(&self) -> RingMap {
        let placement = self.driver.placement();
        let views: Vec<(Partition, Arc<View>, Vec<NodeId>)> = Partition::all()
            .map(|partition| (partition, self.driver.view(partition), desired(&self.driver, &placement, partition)))
            .collect();
        let mut named: BTreeMap<String, NodeId> =
            self.present().into_iter().map(|entry| (entry.member.name, entry.member.node)).collect();
        let known: BTreeSet<NodeId> = named.values().copied().collect();
        for (_, view, wanted) in &views {
            for node in view.members.iter().chain(wanted).filter(|node| !known.contains(node)) {
                named.insert(node.to_string(), *node);
            }
        }
        let places: BTreeMap<NodeId, usize> = named.values().copied().zip(0..).collect();
        let nodes = named.into_iter().map(|(name, node)| self.points(name, node)).collect();
        let partitions = views.iter().map(|(partition, view, wanted)| PartitionView {
            epoch: view.epoch.0,
            members: in_places(&view.members, &places),
            moving_to: moves(view, wanted).then(|| in_places(wanted, &places)),
            sealed: self.driver.views().standing(*partition) == Some(Standing::Sealed),
        });
        RingMap { nodes, partitions: partitions.collect() }
    }

    fn points(&self, name: String, node: NodeId) -> NodePoints {
        let weight = self.driver.members().entry(node).map_or(0, |entry| entry.member.weight);
        NodePoints { name, points: virtual_nodes(node, weight).map(|point| point.to_string()).collect() }
    }
}

/// Whether others should keep a partition than do.
pub(super) fn moves(view: &View, wanted: &[NodeId]) -> bool {
    wanted.len() != view.members.len() || !wanted.iter().all(|node| view.has(*node))
}

fn in_places(nodes: &[NodeId], places: &BTreeMap<NodeId, usize>) -> Vec<usize> {
    nodes.iter().filter_map(|node| places.get(node).copied()).collect()
}
