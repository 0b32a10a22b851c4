//! Drives the core: messages to and from peers, the disk, the clock. Everything above asks it for registers,
//! bodies, lookups and liveness.

pub mod bodies;
pub mod chord;
pub mod clock;
pub mod copies;
pub mod disk;
pub mod lookup;
pub mod members;
pub mod recover;
pub mod registers;
pub mod repairs;
pub mod steward;
pub mod transfers;
pub mod views;

use crate::metrics::Metrics;
use crate::rpc::Peers;
use chord::Chord;
use clock::Clock;
use disk::Disk;
use members::Members;
use repairs::Repairs;
use scrapering_core::id::{NodeId, Partition, RingId};
use scrapering_core::membership::{Liveness, Serving};
use scrapering_core::register::BallotClock;
use scrapering_core::view::{Placement, Site, View};
use std::sync::Arc;
use views::Views;

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
    chord: Chord,
    views: Views,
    ballots: Arc<BallotClock>,
    repairs: Repairs,
    metrics: Metrics,
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
    /// Where the founders' virtual nodes sit.
    pub founders: Placement,
    /// What is known of views.
    pub views: Views,
    /// Where lookups are counted.
    pub metrics: Metrics,
}

impl Driver {
    /// A driver of `parts`.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { ring_id, me, boot, clock, disk, peers, members, founders, views, metrics } = parts;
        let chord = Chord::new(boot, &founders, members.clone(), peers.clone(), clock);
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
                chord,
                views,
                ballots,
                repairs: Repairs::new(clock),
                metrics,
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

    /// Bodies that are known to lack copies.
    #[must_use]
    pub fn repairs(&self) -> &Repairs {
        &self.inner.repairs
    }

    /// The node's disk.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    /// Every node that may keep a partition: all that have not left for good.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        let entries = self.members().entries().into_iter();
        entries.filter(|entry| entry.liveness != Liveness::Left).map(|entry| entry.member.node).collect()
    }

    /// Those of [`Driver::nodes`] that answer.
    #[must_use]
    pub fn living_nodes(&self) -> Vec<NodeId> {
        let mut nodes = self.nodes();
        nodes.retain(|node| self.members().is_alive(*node));
        nodes
    }

    /// What is known of views.
    #[must_use]
    pub fn views(&self) -> &Views {
        &self.inner.views
    }

    /// Who keeps `partition`, as far as this node knows; nobody, in epoch 0, while it has heard of no view.
    #[must_use]
    pub fn view(&self, partition: Partition) -> Arc<View> {
        self.inner.views.view(partition)
    }

    /// Where the virtual nodes sit of all that stay in the ring.
    #[must_use]
    pub fn placement(&self) -> Placement {
        let stays = |serving, liveness| liveness != Liveness::Left && serving != Serving::Leaving;
        let entries = self.members().entries().into_iter();
        let staying = entries.filter(|entry| stays(entry.serving, entry.liveness));
        Placement::new(staying.map(|entry| Site {
            node: entry.member.node,
            zone: entry.member.zone,
            weight: entry.member.weight,
        }))
    }
}
