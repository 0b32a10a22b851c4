//! Drives the core: messages to and from peers, the disk, the clock. Everything above asks it for registers,
//! bodies, lookups and liveness.

pub mod bodies;
pub mod clock;
pub mod disk;
pub mod lookup;
pub mod members;
pub mod registers;

use crate::rpc::Peers;
use clock::Clock;
use disk::Disk;
use members::Members;
use scrapering_core::id::{NodeId, Partition, RingId};
use scrapering_core::register::BallotClock;
use scrapering_core::ring::Ring;
use scrapering_core::view::{Placement, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A node's access to its ring. A cheap clone.
#[derive(Clone)]
pub struct Driver {
    inner: Arc<Inner>,
}

struct Inner {
    ring_id: RingId,
    me: NodeId,
    boot: u32,
    clock: Clock,
    disk: Disk,
    peers: Peers,
    members: Members,
    placement: Placement,
    routing: Ring,
    views: BTreeMap<Partition, View>,
    nodes: BTreeSet<NodeId>,
    ballots: Arc<BallotClock>,
}

/// What a driver is made of.
pub struct Parts {
    /// The ring.
    pub ring_id: RingId,
    /// This node.
    pub me: NodeId,
    /// How often its process has started.
    pub boot: u32,
    /// The process's clock.
    pub clock: Clock,
    /// The node's disk.
    pub disk: Disk,
    /// The other nodes.
    pub peers: Peers,
    /// Who is alive.
    pub members: Members,
    /// Where virtual nodes sit.
    pub placement: Placement,
    /// The view of every partition.
    pub views: BTreeMap<Partition, View>,
}

impl Driver {
    /// A driver of `parts`.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { ring_id, me, boot, clock, disk, peers, members, placement, views } = parts;
        let nodes = views.values().flat_map(|view| view.members.iter().copied()).collect();
        let routing = Ring::genesis(me, &placement);
        let ballots = Arc::new(BallotClock::new(scrapering_core::register::ProposerId { node: me, boot }));
        Self {
            inner: Arc::new(Inner {
                ring_id,
                me,
                boot,
                clock,
                disk,
                peers,
                members,
                placement,
                routing,
                views,
                nodes,
                ballots,
            }),
        }
    }

    /// The ring's id.
    #[must_use]
    pub fn ring_id(&self) -> RingId {
        self.inner.ring_id
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.inner.me
    }

    /// How often this node's process has started.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.inner.boot
    }

    /// The process's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// Who is alive.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.inner.members
    }

    /// The other nodes.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    /// The node's disk.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    /// Every node that keeps a partition.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.inner.nodes.iter().copied()
    }

    /// Those of [`Driver::nodes`] that answer.
    pub fn living_nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes().filter(|node| self.members().is_alive(*node))
    }

    /// Who keeps `partition`.
    #[must_use]
    pub fn view(&self, partition: Partition) -> &View {
        self.inner.views.get(&partition).expect("every partition has a view from genesis on")
    }
}
