//! What proposers and acceptors say to each other.

use super::{Ballot, Versioned};
use crate::id::{Key, Partition};
use crate::view::{self, Epoch, View};

/// A request to one member of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The partition of every key inside.
    pub partition: Partition,
    /// The epoch of the view that the sender believes in.
    pub epoch: Epoch,
    /// What is asked.
    pub request: Request,
}

/// What is asked of an acceptor. Keys are distinct and belong to the envelope's partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Report what is accepted; nothing is promised.
    Read {
        /// At most [`MAX_KEYS`].
        keys: Vec<Key>,
    },
    /// Promise to refuse lower ballots and report what is accepted.
    Prepare {
        /// The proposer's ballot.
        ballot: Ballot,
        /// At most [`MAX_KEYS`].
        keys: Vec<Key>,
    },
    /// Accept these values.
    Accept {
        /// The ballot that was promised.
        ballot: Ballot,
        /// At most [`MAX_KEYS`]. `None` accepts that the register holds nothing.
        writes: Vec<(Key, Option<Versioned>)>,
    },
    /// Report what is accepted under a prefix.
    Scan {
        /// Names that begin with this.
        prefix: Vec<u8>,
        /// Names greater than this.
        after: Option<Vec<u8>>,
        /// At most so many entries.
        limit: usize,
    },
    /// Something about the partition's view or its copies.
    View(view::message::Request),
}

/// Most keys in one request.
pub const MAX_KEYS: usize = 1024;
/// Most bytes of contents in one answer to a read or a prepare. Many times [`super::MAX_CONTENT_BYTES`], so that
/// every register can be asked for, and a fraction of what a message between nodes may hold.
pub const MAX_REPLY_BYTES: usize = 8 * super::MAX_CONTENT_BYTES;

/// What a replica last accepted for a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The ballot; the default if nothing was ever accepted.
    pub ballot: Ballot,
    /// The value.
    pub value: Option<Versioned>,
}

impl Accepted {
    /// Whether nothing is there: deleted, or never written.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.value.as_ref().is_none_or(|value| value.content.is_none())
    }
}

/// An acceptor's answer. Lists follow the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Request::Read`].
    Read(Vec<Accepted>),
    /// To [`Request::Prepare`]: a promise, or the ballot that forbids it or stood when there was no more room for
    /// what is accepted ([`MAX_REPLY_BYTES`]): nothing was promised.
    Prepare(Vec<Result<Accepted, Ballot>>),
    /// To [`Request::Accept`]: done, or the higher ballot that forbids it.
    Accept(Vec<Result<(), Ballot>>),
    /// To [`Request::Scan`]: ascending names.
    Scan {
        /// Name and accepted value.
        entries: Vec<(Vec<u8>, Accepted)>,
        /// Whether no more entries follow.
        complete: bool,
    },
    /// To [`Request::View`].
    View(view::message::Reply),
    /// The envelope's epoch is over; here is the newest view that the replica knows.
    Stale(View),
    /// The replica does not serve the envelope's epoch now, and may soon: its view is about to change, or it has
    /// not heard of that epoch, or does not hold its state yet. Nothing was done.
    NotReady,
    /// The replica is not a member of the partition, the request is malformed (a key twice, too many keys), what a
    /// read asks for is more than [`MAX_REPLY_BYTES`], or the disk failed: nothing was done.
    Refused,
}
