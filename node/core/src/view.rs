//! Views: who owns a partition. The only layer that carries safety.
//!
//! Chord and membership propose; the view decides (Riak's and Dynamo's fixed partitions, CATS' consistent
//! quorums). Every message about a register carries its view's epoch, and a replica answers only in its own.

pub mod message;
pub mod placement;
pub mod reconfiguration;
pub mod recovery;
pub mod replica;
pub mod retirement;
pub mod steward;

pub use placement::{Placement, Site, VIRTUAL_NODES, replicas, virtual_nodes};
pub use reconfiguration::Reconfiguration;
pub use recovery::Recovery;
pub use replica::{Replica, Standing};
pub use retirement::Retirement;
pub use steward::{Duty, Outlook, Steward};

use crate::id::NodeId;
use crate::sync::Fingerprint;
use serde::{Deserialize, Serialize};

/// Numbers the views of one partition, from 1 at genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that a reconfiguration of this one leads to.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The members that keep one partition in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The view's number.
    pub epoch: Epoch,
    /// Distinct nodes in order of preference: the first that is alive is the primary.
    pub members: Vec<NodeId>,
    /// The state with which the view begins.
    pub start: Fingerprint,
}

impl View {
    /// The first view of a ring, which begins with nothing.
    #[must_use]
    pub fn genesis(members: Vec<NodeId>) -> Self {
        Self { epoch: Epoch(1), members, start: Fingerprint::default() }
    }

    /// How many members make a majority.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Whether `node` is a member.
    #[must_use]
    pub fn has(&self, node: NodeId) -> bool {
        self.members.contains(&node)
    }

    /// The first member for which `alive` holds.
    pub fn primary(&self, alive: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        self.members.iter().copied().find(|member| alive(*member))
    }
}
