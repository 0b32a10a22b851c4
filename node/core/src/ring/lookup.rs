//! A lookup that asks node after node (Chord's iterative style), counts its hops and steps around the dead.

use super::{Finger, Health, Step};
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

/// A lookup in progress: ask [`Lookup::poll_transmit`] whom to ask, feed what comes back. It neither asks nor
/// names a node that the asker knows to be dead, and asks a suspected one only when nobody else is left.
#[derive(Clone, Debug)]
pub struct Lookup {
    target: Point,
    /// Nodes still worth asking, the closest to the target last.
    candidates: Vec<NodeId>,
    asked: BTreeSet<NodeId>,
    path: Vec<Hop>,
    found: Option<Found>,
}

/// Where a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The target's successor and those behind it, without any that the asker knows to be dead. Never empty.
    pub successors: Vec<Finger>,
    /// The members before the target, according to the node that answered last: the closest first, never empty.
    pub before: Vec<Finger>,
}

impl Found {
    /// The target's successor.
    #[must_use]
    pub fn successor(&self) -> Finger {
        self.successors[0]
    }
}

impl Lookup {
    /// Looks for the successor of `target`, beginning with what this node itself answers.
    #[must_use]
    pub fn new(target: Point, me: NodeId, own_step: Step, health: impl Fn(NodeId) -> Health) -> Self {
        let mut lookup = Self::empty(target);
        lookup.asked.insert(me);
        lookup.take(own_step, health);
        lookup
    }

    /// Looks for the successor of `target` through `through` only, without what this node itself knows: shows
    /// a node whose ring has come apart what the others believe.
    #[must_use]
    pub fn through(target: Point, me: NodeId, through: impl IntoIterator<Item = NodeId>) -> Self {
        let mut lookup = Self::empty(target);
        lookup.asked.insert(me);
        lookup.candidates.extend(through);
        lookup
    }

    fn empty(target: Point) -> Self {
        Self { target, candidates: Vec::new(), asked: BTreeSet::new(), path: Vec::new(), found: None }
    }

    /// The point that is looked for.
    #[must_use]
    pub fn target(&self) -> Point {
        self.target
    }

    /// The node to ask next; `None` when the lookup has ended.
    pub fn poll_transmit(&mut self, health: impl Fn(NodeId) -> Health) -> Option<NodeId> {
        if self.found.is_some() || self.path.len() >= MAX_HOPS {
            return None;
        }
        let Self { candidates, asked, .. } = self;
        candidates.retain(|node| !asked.contains(node) && health(*node) != Health::Dead);
        let healthy = candidates.iter().rposition(|node| health(*node) == Health::Alive);
        let index = healthy.or(candidates.len().checked_sub(1))?;
        let node = candidates.remove(index);
        asked.insert(node);
        Some(node)
    }

    /// What `node` answered; `None` if it did not.
    pub fn handle_reply(&mut self, node: NodeId, step: Option<Step>, health: impl Fn(NodeId) -> Health) {
        self.path.push(Hop { node, answered: step.is_some() });
        if let Some(step) = step {
            self.take(step, health);
        }
    }

    /// Where it ended, if the target was found, and the nodes asked on the way, in order.
    #[must_use]
    pub fn into_outcome(self) -> (Option<Found>, Vec<Hop>) {
        (self.found, self.path)
    }

    /// None of the successors that were found answers, as `health` now says: goes on through those before them.
    pub fn handle_dead_successors(&mut self, health: impl Fn(NodeId) -> Health) {
        if let Some(Found { before, mut successors }) = self.found.take() {
            successors.retain(|finger| health(finger.node) != Health::Dead);
            self.found = (!successors.is_empty()).then_some(Found { successors, before });
        }
    }

    /// What has been found so far.
    #[must_use]
    pub fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    fn take(&mut self, step: Step, health: impl Fn(NodeId) -> Health) {
        let closer = match step {
            Step::Successors { before, mut successors } => {
                successors.retain(|finger| health(finger.node) != Health::Dead);
                let closer = before.clone();
                self.found = (!successors.is_empty() && !before.is_empty()).then_some(Found { successors, before });
                closer
            }
            Step::Closer(closer) => closer,
        };
        self.candidates.extend(closer.into_iter().rev().map(|finger| finger.node));
    }
}
