//! Chord as the node runs it, judged by the figures of its papers and healed from whatever chance does to it.
//!
//! [`paths`] draws the tables of Stoica et al. anew on the node's own [`scrapering_core::ring::Ring`] and
//! lookups; [`healing`] is a world in which nodes die two at a time while others join.

pub mod healing;
pub mod paths;
pub mod seeds;

use scrapering_core::id::{NodeId, Point};
use scrapering_core::ring::{Config, Finger, Ring};
use scrapering_core::time::Instant;
use scrapering_core::view::virtual_nodes;
use std::collections::BTreeSet;

/// The points of a node's first `count` virtual nodes; up to 32.
pub fn points(node: NodeId, count: u32) -> impl Iterator<Item = Point> {
    virtual_nodes(node, 1).take(count as usize)
}

/// All virtual nodes of `nodes`, clockwise.
#[must_use]
pub fn tokens(nodes: &[NodeId], virtual_nodes: u32) -> BTreeSet<Finger> {
    let of_node = |node: &NodeId| {
        let node = *node;
        points(node, virtual_nodes).map(move |point| Finger { point, node })
    };
    nodes.iter().flat_map(of_node).collect()
}

/// The node `number` of a ring without names.
#[must_use]
pub fn node(number: usize) -> NodeId {
    NodeId::new(&format!("ring-{number}"), 1)
}

/// A whole ring, as at genesis.
#[must_use]
pub fn whole(nodes: &[NodeId], virtual_nodes: u32, successor_nodes: usize) -> Vec<Ring> {
    let tokens = tokens(nodes, virtual_nodes);
    let config = |me| Config { me, virtual_nodes, successor_nodes, first_number: 0 };
    nodes.iter().map(|me| Ring::genesis(config(*me), &tokens, Instant::default())).collect()
}
