//! Registers: one linearizable value per key, by CASPaxos (Rystsov, arXiv 1802.07000) inside a view.
//!
//! [`acceptor`] is the side that keeps promises on disk; [`proposal`] carries one batch of changes or reads
//! through the members of a view; [`scan`] reads a range by quorum. Nobody leads: any node may propose.
//!
//! A change goes through two rounds, *prepare* and *accept*, each answered only after an fsync. A read needs
//! one round when a majority agrees; otherwise it writes back what it found.

pub mod acceptor;
pub mod codec;
pub mod message;
pub mod proposal;
pub mod scan;

pub use acceptor::Acceptor;
pub use message::{Accepted, Envelope, Reply, Request};
pub use proposal::{BallotClock, Change, Outcome, Proposal};

use crate::id::{NodeId, OperationId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A proposer in one life of its process. A restarted process is another proposer, so no ballot is used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProposerId {
    /// The node that proposes.
    pub node: NodeId,
    /// How often its process has started; durable before the first ballot.
    pub boot: u32,
}

/// Orders proposals for a key. The default is below every real ballot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Counts up; compared first.
    pub counter: u64,
    /// Breaks ties.
    pub proposer: ProposerId,
}

impl Ballot {
    /// Highest counter. No honest proposer comes near it; a peer that names a higher one cannot make clocks
    /// wrap around and use old ballots again, nor lock a register for ever.
    pub const MAX_COUNTER: u64 = 1 << 62;

    /// Whether a proposer may use the ballot.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        (1..=Self::MAX_COUNTER).contains(&self.counter)
    }
}

/// A value in a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Counts the changes to this register from 1; what compare-and-set compares.
    pub version: u64,
    /// The operation that wrote the value.
    pub operation: OperationId,
    /// The content; `None` is a tombstone.
    pub content: Option<Bytes>,
}

/// What a replica keeps for one key. The default is a register that nobody has touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// No lower ballot than this will be accepted.
    pub promised: Ballot,
    /// The newest accepted ballot and its value.
    pub accepted: Accepted,
}

/// Largest content of one register, bytes: a mebibyte of a user's and the record around it.
pub const MAX_CONTENT_BYTES: usize = 1024 * 1024 + 4096;
