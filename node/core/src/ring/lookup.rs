//! A lookup that asks node after node (Chord's iterative style), counts its hops and steps around the dead.

use super::{Finger, Step};
use crate::id::{NodeId, Point};
use std::collections::BTreeSet;

/// A node that was asked on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Whom.
    pub node: NodeId,
    /// Whether it answered.
    pub answered: bool,
}

/// Most nodes asked in one lookup; twice what 2^32 nodes would take.
const MAX_HOPS: usize = 64;

/// A lookup in progress: ask [`Lookup::poll_transmit`] whom to ask, feed what comes back.
#[derive(Debug)]
pub struct Lookup {
    target: Point,
    /// Nodes still worth asking, the closest to the target last.
    candidates: Vec<NodeId>,
    asked: BTreeSet<NodeId>,
    path: Vec<Hop>,
    found: Option<Finger>,
}

impl Lookup {
    /// Looks for the successor of `target`, beginning with what this node itself answers.
    #[must_use]
    pub fn new(target: Point, me: NodeId, own_step: Step) -> Self {
        let mut lookup =
            Self { target, candidates: Vec::new(), asked: BTreeSet::from([me]), path: Vec::new(), found: None };
        lookup.take(own_step);
        lookup
    }

    /// The point that is looked for.
    #[must_use]
    pub fn target(&self) -> Point {
        self.target
    }

    /// The node to ask next; `None` when the lookup has ended.
    pub fn poll_transmit(&mut self) -> Option<NodeId> {
        if self.found.is_some() || self.path.len() >= MAX_HOPS {
            return None;
        }
        while let Some(node) = self.candidates.pop() {
            if self.asked.insert(node) {
                return Some(node);
            }
        }
        None
    }

    /// What `node` answered; `None` if it did not.
    pub fn handle_reply(&mut self, node: NodeId, step: Option<Step>) {
        self.path.push(Hop { node, answered: step.is_some() });
        if let Some(step) = step {
            self.take(step);
        }
    }

    /// The successor of the target if it was found, and the nodes asked on the way, in order.
    #[must_use]
    pub fn into_outcome(self) -> (Option<Finger>, Vec<Hop>) {
        (self.found, self.path)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Successor(finger) => self.found = Some(finger),
            Step::Closer(closer) => self.candidates.extend(closer.into_iter().rev().map(|finger| finger.node)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Ring;
    use crate::view::Placement;
    use std::collections::BTreeMap;

    fn ring(size: u32) -> (Placement, BTreeMap<NodeId, Ring>) {
        let nodes: Vec<_> = (0..size).map(|i| NodeId::new(&format!("ring-{i}"), 1)).collect();
        let placement = Placement::new(nodes.iter().copied());
        let rings = nodes.iter().map(|node| (*node, Ring::genesis(*node, &placement))).collect();
        (placement, rings)
    }

    fn look_up(
        rings: &BTreeMap<NodeId, Ring>,
        from: NodeId,
        target: Point,
        dead: &BTreeSet<NodeId>,
    ) -> (Option<Finger>, Vec<Hop>) {
        let mut lookup = Lookup::new(target, from, rings[&from].step(target));
        while let Some(node) = lookup.poll_transmit() {
            let step = (!dead.contains(&node)).then(|| rings[&node].step(target));
            lookup.handle_reply(node, step);
        }
        lookup.into_outcome()
    }

    #[test]
    fn every_node_finds_the_same_successor_of_every_point() {
        let (placement, rings) = ring(16);
        for number in 0..200_u32 {
            let target = Point::of(&number.to_be_bytes());
            let expected = placement.successors(target, 1)[0];
            for from in rings.keys() {
                let (found, _) = look_up(&rings, *from, target, &BTreeSet::new());
                assert_eq!(found.map(|finger| finger.node), Some(expected));
            }
        }
    }

    #[test]
    fn a_lookup_takes_no_more_hops_than_the_logarithm_of_the_ring() {
        let (_, rings) = ring(64);
        let mut hops = Vec::new();
        for number in 0..500_u32 {
            let from = *rings.keys().nth(number as usize % 64).expect("64 nodes");
            let (found, path) = look_up(&rings, from, Point::of(&number.to_be_bytes()), &BTreeSet::new());
            assert!(found.is_some());
            hops.push(path.len());
        }
        let mean = hops.iter().sum::<usize>() as f64 / hops.len() as f64;
        assert!(mean <= 3.0, "half of log2 64 is 3, the mean path was {mean}");
    }

    #[test]
    fn two_dead_nodes_are_stepped_around() {
        let (_, rings) = ring(16);
        let dead: BTreeSet<NodeId> = rings.keys().copied().take(2).collect();
        for number in 0..200_u32 {
            let from = *rings.keys().last().expect("16 nodes");
            let (found, _) = look_up(&rings, from, Point::of(&number.to_be_bytes()), &dead);
            assert!(found.is_some());
        }
    }
}
