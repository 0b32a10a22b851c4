//! What is said about a partition's view and about the copies behind it.

use super::{Standing, View};
use crate::id::NodeId;
use crate::register::{Accepted, Ballot};
use crate::sync::{Fingerprint, Root};
use serde::{Deserialize, Serialize};

/// The value of the Synod that ends an epoch: who is next, and exactly what they begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Members of the next epoch, in order of preference.
    pub members: Vec<NodeId>,
    /// The state that they begin with.
    pub fingerprint: Fingerprint,
}

/// What is asked of a replica. Names are those of registers inside the envelope's partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Stop serving the envelope's epoch, promise to refuse lower ballots, and report.
    Seal {
        /// The ballot in the Synod that decides the next epoch.
        ballot: Ballot,
    },
    /// Accept what comes next; only a replica whose copy is exactly that state may.
    Decide {
        /// The ballot that was promised.
        ballot: Ballot,
        /// What comes next.
        next: Next,
    },
    /// This view is decided. A member that holds what it starts with begins to serve it.
    Install(View),
    /// Report what is held, by name.
    List {
        /// Names greater than this.
        after: Option<Vec<u8>>,
        /// At most so many entries.
        limit: usize,
    },
    /// Give the entries away.
    Fetch {
        /// At most [`MAX_NAMES`].
        names: Vec<Vec<u8>>,
    },
    /// Take entries over as another replica accepted them.
    Adopt {
        /// In which standing that may be done.
        guard: Guard,
        /// Names to be removed, at most [`MAX_NAMES`].
        remove: Vec<Vec<u8>>,
        /// Entries to be set, at most [`MAX_NAMES`].
        entries: Vec<(Vec<u8>, Accepted)>,
    },
    /// The whole state of the envelope's epoch was handed over: serve it.
    Finish,
    /// Report.
    Status,
    /// Delete the copy, some of it at a time; repeat until nothing is held.
    Retire,
}

/// Most names in one request or answer.
pub const MAX_NAMES: usize = 1024;

/// In which standing a replica may take over entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Sealed, and promised to this very ballot: its proposer makes the copies alike before it decides.
    Sealed(Ballot),
    /// Not serving: a learner, or a member that missed its installation.
    Learner,
    /// Serving: each entry under the acceptor's normal rule, and nothing is removed.
    Relay,
}

/// A replica's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Request::Seal`]: promised.
    Sealed {
        /// What was accepted in this Synod, and at which ballot.
        accepted: Option<(Ballot, Next)>,
        /// The copy.
        root: Root,
    },
    /// To [`Request::Seal`], [`Request::Decide`] and [`Request::Adopt`]: a higher ballot was promised.
    Denied(Ballot),
    /// To [`Request::Decide`]: accepted.
    Decided,
    /// To [`Request::List`]: ascending names with their ballots.
    List {
        /// Names and ballots.
        entries: Vec<(Vec<u8>, Ballot)>,
        /// Go on after this name; `None` at the end.
        next: Option<Vec<u8>>,
    },
    /// To [`Request::Fetch`]: the first of the entries asked for, as many as fit.
    Fetch(Vec<Accepted>),
    /// To everything else, and to a [`Request::Decide`] of another state.
    Report(Report),
}

/// How a replica stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The newest view that it knows.
    pub view: View,
    /// Its part in it.
    pub standing: Standing,
    /// Its copy.
    pub root: Root,
}
