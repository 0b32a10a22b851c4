//! What is counted, and when a ring is whole.

use crate::chord::points;
use scrapering_core::id::{NodeId, Point};
use scrapering_core::ring::{Finger, Ring};
use std::collections::{BTreeMap, BTreeSet};

/// What lookups brought while the ring healed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Ended.
    pub ended: u64,
    /// Brought nobody.
    pub nobody: u64,
    /// Named another virtual node than the first living one: the partition's view corrects that.
    pub mistaken: u64,
    /// Of these, named one that had died, which the asker could not know yet.
    pub died_unheard: u64,
    /// Named one that the asker knew to be down: must be none.
    pub known_down: u64,
    /// Asked one that the asker knew to be down: must be none.
    pub asked_down: u64,
    /// Nodes asked.
    pub hops: u64,
    /// Nodes that did not answer.
    pub timeouts: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Replays it.
    pub seed: u64,
    /// Nodes at the start.
    pub nodes: usize,
    /// Virtual nodes of each.
    pub virtual_nodes: u32,
    /// When the ring was whole again, ms after the last death, arrival or news; `None`: not within the patience.
    pub healed_after_ms: Option<u64>,
    /// What was wrong at the end, if it was not whole.
    pub wrong: Option<String>,
    /// Nodes that died.
    pub deaths: u64,
    /// Nodes that joined or came back.
    pub joins: u64,
    /// Batches of messages sent.
    pub batches: u64,
    /// Simulated, ms.
    pub simulated_ms: u64,
    /// Lookups all the time, until the ring was whole.
    pub lookups: Lookups,
}

impl Lookups {
    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        let Self { ended, nobody, mistaken, died_unheard, known_down, asked_down, hops, timeouts } = *other;
        self.ended += ended;
        self.nobody += nobody;
        self.mistaken += mistaken;
        self.died_unheard += died_unheard;
        self.known_down += known_down;
        self.asked_down += asked_down;
        self.hops += hops;
        self.timeouts += timeouts;
    }
}

/// The first living virtual node from `target` on. A virtual node that has not joined owns nothing yet.
pub(super) fn owner(living: &BTreeMap<NodeId, &Ring>, target: Point) -> Option<Finger> {
    let joined: BTreeSet<Finger> =
        living.values().flat_map(|ring| ring.members()).map(|member| member.position()).collect();
    joined.iter().find(|finger| finger.point >= target).or(joined.first()).copied()
}

/// Why the rings of the living nodes are not the ideal ring; `None` if they are: every virtual node is a member, its
/// list names exactly those that follow it, and its predecessor is the one before it.
pub(super) fn wrong(living: &BTreeMap<NodeId, &Ring>, virtual_nodes: u32, successor_nodes: usize) -> Option<String> {
    let finger = |node: NodeId| points(node, virtual_nodes).map(move |point| Finger { point, node });
    let clockwise: Vec<Finger> =
        living.keys().flat_map(|node| finger(*node)).collect::<BTreeSet<_>>().into_iter().collect();
    let distinct = successor_nodes.min(living.len() - 1);
    for (index, own) in clockwise.iter().enumerate() {
        let ring = living[&own.node];
        let Some(member) = ring.members().find(|member| member.position() == *own) else {
            return Some(format!("{own:?} has not joined"));
        };
        let others = || clockwise[index + 1..].iter().chain(&clockwise[..index]).copied();
        let (mut list, mut nodes) = (Vec::new(), BTreeSet::new());
        for next in others() {
            if nodes.len() >= distinct {
                break;
            }
            list.push(next);
            if next.node != own.node {
                nodes.insert(next.node);
            }
        }
        if member.successors() != list {
            let known = member.successors();
            let same = known.iter().zip(&list).take_while(|(known, right)| known == right).count();
            let (known, right) = (known.get(same), list.get(same));
            return Some(format!("{own:?} has {known:?} as successor number {same} instead of {right:?}"));
        }
        if member.predecessor() != others().next_back() {
            return Some(format!("{own:?} has the predecessor {:?}", member.predecessor()));
        }
    }
    None
}
