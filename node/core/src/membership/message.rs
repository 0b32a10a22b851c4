//! What members say to each other. Every request has one answer, as calls have.

use super::record::{Entry, Liveness};
use crate::id::NodeId;
use std::time::Duration;

/// News about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// What is said of it.
    pub entry: Entry,
    /// Who could not reach it; only with a suspicion. Distinct accusers confirm each other.
    pub accuser: Option<NodeId>,
}

/// What rides on every probe and every answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gossip {
    /// What the speaker says of itself.
    pub speaker: Entry,
    /// News of others, and what the speaker believes of the listener if that is bad (Lifeguard, buddy system).
    /// At most `Config::updates_per_message`.
    pub updates: Vec<Update>,
}

/// A question to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// PING: are you there? Answered by [`Reply::Ack`].
    Ping(Gossip),
    /// PING-REQ: is that other one there? Answered by [`Reply::Relayed`].
    PingReq {
        /// Whom to probe.
        target: NodeId,
        /// What rides along.
        gossip: Gossip,
    },
    /// Here is my whole table, give me yours. Answered by [`Reply::Table`].
    Exchange(Vec<Entry>),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// I am here. Without gossip if the answer bore none; it still shows that the member lives.
    Ack(Option<Gossip>),
    /// What the target of a PING-REQ said of itself; `None` if it did not answer the helper.
    Relayed(Option<Entry>),
    /// The whole table.
    Table(Vec<Entry>),
}

/// Names a request until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: NodeId,
    /// Its name for [`super::Membership::handle_reply`].
    pub call: CallId,
    /// What is asked.
    pub request: Request,
    /// How long the answer may take; then `None` is reported as the reply.
    pub timeout: Duration,
}

/// What happened to the table. Ask for the entry itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A member is new, or its liveness changed.
    Liveness {
        /// The member.
        node: NodeId,
        /// What it is now.
        liveness: Liveness,
    },
    /// A member is new, or its record or what it does changed.
    Record {
        /// The member.
        node: NodeId,
    },
    /// The others hold this node as left: it must stop taking part.
    Removed,
    /// This process stood still: the others may have changed their minds about it.
    StoodStill,
}
