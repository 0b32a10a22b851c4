//! Chord: where on the circle to look (Stoica et al., SIGCOMM 2001), kept in order by Zave's corrected rules.
//!
//! Every node keeps, for each of its virtual nodes, a finger table, a successor list and a predecessor; a
//! lookup asks node after node, each closer to the point, until one names the point's successors. What comes
//! out is a hint: the view of the partition decides. Who is dead is the membership's word; a silence here is
//! only a reason to ask it.
//!
//! [`VirtualNode`] is the protocol of one member. [`Ring`] is all of a node: it takes messages, the table of
//! members and the time, and is drained by [`Ring::poll_transmit`] and [`Ring::poll_timeout`].

mod census;
mod errand;
mod fingers;
pub mod lookup;
mod maintenance;
pub mod message;
mod routing;
pub mod virtual_node;

pub use census::{Health, Known};
pub use lookup::{Found, Hop, Lookup};
pub use message::Message;
pub use virtual_node::{Neighbours, VirtualNode};

use crate::id::{NodeId, Point};
use crate::time::Instant;
use crate::view::VIRTUAL_NODES;
use census::{Census, DistinctNodes};
use errand::Errand;
use fingers::Fingers;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A virtual node and the node that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finger {
    /// Where it sits.
    pub point: Point,
    /// Whose it is.
    pub node: NodeId,
}

/// A successor list is cut at so many distinct other nodes, never at a number of virtual nodes: one crash
/// takes all virtual nodes of a node at once.
pub const SUCCESSOR_NODES: usize = 4;

/// Every virtual node stabilizes this often.
pub const PERIOD: Duration = Duration::from_secs(1);
/// A question that is not answered by then is given up; its node is not dead for that.
pub const QUERY_TIMEOUT: Duration = Duration::from_millis(2500);
/// Rounds of stabilize between two looks of a node at itself through somebody else.
const SELF_LOOKUP_ROUNDS: u64 = 8;
/// How long a virtual node that was said not to be a member is not proposed again.
const ABSENT_FOR: Duration = Duration::from_secs(3);
/// No list that a node sends is longer, however many virtual nodes of one node stand side by side.
pub const MAX_LIST: usize = 512;
/// Most questions that wait for one virtual node: more than it has neighbours.
const MAX_WAITING: usize = 256;

/// What a ring is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// How many virtual nodes it has.
    pub virtual_nodes: u32,
    /// How many distinct other nodes a successor list names.
    pub successor_nodes: usize,
    /// Distinguishes questions of this life of the node from those of former ones: anything that grows with
    /// each start, such as the boot number in the upper half.
    pub first_number: u64,
}

impl Config {
    /// A node of `weight` in its `boot`th life.
    #[must_use]
    pub fn new(me: NodeId, weight: u16, boot: u32) -> Self {
        let virtual_nodes = VIRTUAL_NODES * u32::from(weight);
        Self { me, virtual_nodes, successor_nodes: SUCCESSOR_NODES, first_number: u64::from(boot) << 32 }
    }
}

/// One node's answer to "who is the successor of this point?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These, the closest first.
    Successors {
        /// The members before the point. Never empty: behind the first a new member at the point would join.
        before: Vec<Finger>,
        /// The point's successor and those behind it. Never empty.
        successors: Vec<Finger>,
    },
    /// Ask one of these; the closest comes first.
    Closer(Vec<Finger>),
}

/// A virtual node of this node.
#[derive(Clone, Debug)]
struct Slot {
    /// `None` while it is on its way into the ring.
    member: Option<VirtualNode<Finger>>,
    /// Who asked while the virtual node had a question open.
    waiting: Vec<(NodeId, u64)>,
}

/// A question to another virtual node.
#[derive(Clone, Copy, Debug)]
struct Query {
    asker: Point,
    to: Finger,
    /// Whether it begins a round of stabilize.
    first_half: bool,
    deadline: Instant,
}

/// The ring as one node keeps it.
#[derive(Clone, Debug)]
pub struct Ring {
    config: Config,
    slots: BTreeMap<Point, Slot>,
    fingers: Fingers,
    census: Census,
    landmarks: Vec<NodeId>,
    /// Virtual nodes that were said not to be members, and until when that is believed.
    absent: BTreeMap<Point, Instant>,
    queries: BTreeMap<u64, Query>,
    errands: BTreeMap<u64, Errand>,
    next_number: u64,
    round: u64,
    next_round: Instant,
    /// Where the refreshing of fingers goes on.
    next_finger: (usize, u32),
    outbox: BTreeMap<NodeId, Vec<Message>>,
}

impl Ring {
    /// A member of a ring whose virtual nodes are all known, as at genesis: every list is right from the
    /// start. `tokens` are the virtual nodes of all nodes, this one among them.
    #[must_use]
    pub fn genesis(config: Config, tokens: &BTreeSet<Finger>, now: Instant) -> Self {
        let mut ring = Self::joining(config, now);
        let Self { config, slots, fingers, census, .. } = &mut ring;
        let rule = DistinctNodes::new(config.me, config.successor_nodes, census);
        let from = |finger: Finger| tokens.range(finger..).chain(tokens.range(..finger)).copied();
        for (point, slot) in slots {
            let own = Finger { point: *point, node: config.me };
            let others = || from(own).filter(|finger| *finger != own);
            let before = others().next_back();
            slot.member = Some(VirtualNode::genesis(own, before, others().take(MAX_LIST).collect(), &rule));
            for exponent in 0..160 {
                let start = Finger { point: point.plus_power_of_two(exponent), node: NodeId::default() };
                from(start).next().into_iter().for_each(|finger| fingers.learn([*point], finger));
            }
        }
        ring
    }

    /// A node that is not yet in the ring; it joins through whom [`Ring::handle_members`] names.
    #[must_use]
    pub fn joining(config: Config, now: Instant) -> Self {
        let slot = |point| (point, Slot { member: None, waiting: Vec::new() });
        Self {
            slots: census::points(config.me, config.virtual_nodes).map(slot).collect(),
            fingers: Fingers::default(),
            census: Census::default(),
            landmarks: Vec::new(),
            absent: BTreeMap::new(),
            queries: BTreeMap::new(),
            errands: BTreeMap::new(),
            next_number: config.first_number,
            round: 0,
            next_round: now,
            next_finger: (0, 0),
            outbox: BTreeMap::new(),
            config,
        }
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.config.me
    }

    /// Its virtual nodes that are members of the ring.
    pub fn members(&self) -> impl Iterator<Item = &VirtualNode<Finger>> {
        self.slots.values().filter_map(|slot| slot.member.as_ref())
    }

    /// How many of its virtual nodes are members of the ring, and how many there are.
    #[must_use]
    pub fn joined(&self) -> (usize, usize) {
        (self.members().count(), self.slots.len())
    }

    /// Whether all its virtual nodes are members of the ring.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        let (joined, all) = self.joined();
        joined == all
    }

    fn member_mut(&mut self, point: Point) -> Option<&mut VirtualNode<Finger>> {
        self.slots.get_mut(&point)?.member.as_mut()
    }

    /// How alive `node` is; this node is.
    #[must_use]
    pub fn health(&self, node: NodeId) -> Health {
        if node == self.config.me { Health::Alive } else { self.census.health(node) }
    }
}

#[cfg(test)]
mod tests;
