//! Answers a lookup from one node's own tables (Chord, figure 5: `find_successor`, `closest_preceding_node`).

use super::{Finger, Found, Health, Lookup, Ring, Step, VirtualNode};
use crate::id::{NodeId, Point};
use std::collections::BTreeSet;

/// Most alternatives in one answer: enough to step around the dead before anybody has noticed them.
const ALTERNATIVES: usize = 16;
/// Most successors in one answer: no list of ours is longer but where a few virtual nodes stand side by side.
const MAX_SUCCESSORS: usize = 24;

impl Ring {
    /// Answers a lookup of `target` from this node's own tables.
    #[must_use]
    pub fn step(&self, target: Point) -> Step {
        // Anticlockwise from the target: the closest virtual node knows best.
        let anticlockwise = self.slots.range(..target).rev().chain(self.slots.range(target..).rev());
        for member in anticlockwise.filter_map(|(_, slot)| slot.member.as_ref()) {
            if let Some(step) = self.successors_of(member, target) {
                return step;
            }
        }
        Step::Closer(self.closer(target))
    }

    /// A lookup of `target` that begins at this node.
    #[must_use]
    pub fn lookup(&self, target: Point) -> Lookup {
        Lookup::new(target, self.config.me, self.step(target), |node| self.health(node))
    }

    /// The successors of `target` if it lies on the arc that `member` knows.
    fn successors_of(&self, member: &VirtualNode<Finger>, target: Point) -> Option<Step> {
        let own = member.position();
        let living = member.successors().iter().copied().filter(|finger| self.health(finger.node) != Health::Dead);
        let mut clockwise: Vec<Finger> = std::iter::once(own).chain(living).collect();
        if self.slots.len() == 1 && member.successors().is_empty() && member.predecessor().is_none() {
            // A ring of one.
            return Some(Step::Successors { before: vec![own], successors: vec![own] });
        }
        let reaches = |pair: &[Finger]| target.in_half_open_arc(pair[0].point, pair[1].point);
        let split = clockwise.windows(2).position(reaches)? + 1;
        let mut successors = clockwise.split_off(split);
        successors.truncate(MAX_SUCCESSORS);
        clockwise.reverse();
        clockwise.truncate(ALTERNATIVES);
        Some(Step::Successors { before: clockwise, successors })
    }

    /// Nodes that come closer to `target`, the closest first; suspected ones after all others.
    fn closer(&self, target: Point) -> Vec<Finger> {
        let mut closer: Vec<Finger> =
            self.members().flat_map(|member| self.closest_preceding(member, target)).collect();
        closer.retain(|finger| finger.node != self.config.me && self.health(finger.node) != Health::Dead);
        if closer.is_empty() {
            // Nobody is known from the ring itself: it has not been joined, or has come apart.
            closer.extend(self.census.clockwise(target).filter(|finger| finger.node != self.config.me));
        } else {
            closer.sort_by_cached_key(|finger| (self.health(finger.node), finger.point.distance_to(target)));
        }
        let mut nodes = BTreeSet::<NodeId>::new();
        closer.retain(|finger| nodes.len() < ALTERNATIVES && nodes.insert(finger.node));
        closer
    }

    fn closest_preceding(&self, member: &VirtualNode<Finger>, target: Point) -> impl Iterator<Item = Finger> {
        let point = member.position().point;
        let successors = member.successors().iter().rev().copied();
        let successors = successors.filter(move |finger| finger.point.in_open_arc(point, target)).take(ALTERNATIVES);
        self.fingers.closest_preceding(point, target).take(ALTERNATIVES).chain(successors)
    }

    /// What a lookup found is worth knowing.
    pub(super) fn learn(&mut self, finger: Finger) {
        if finger.node != self.config.me && self.health(finger.node) != Health::Dead {
            self.fingers.learn(self.slots.keys().copied(), finger);
        }
    }

    /// As [`Ring::learn`], of all that a lookup named.
    pub(super) fn learn_found(&mut self, found: &Found) {
        found.successors.iter().chain(&found.before).for_each(|finger| self.learn(*finger));
    }
}
