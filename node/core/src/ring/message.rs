//! What nodes tell each other to keep the ring: one-way messages, batched per node.

use super::virtual_node::Neighbours;
use super::{Finger, Step};
use crate::id::Point;

/// A message to another node. Numbers pair questions with answers; the asker chooses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What are the predecessor and the successors of the virtual node at `to`?
    Query {
        /// Chosen by the asker.
        number: u64,
        /// Who is asked.
        to: Point,
        /// Who asks.
        from: Finger,
    },
    /// Answers a query, perhaps later: not before the asked one's own question has ended.
    Answer {
        /// The query's.
        number: u64,
        /// `None`: there is no such member of the ring.
        neighbours: Option<Neighbours<Finger>>,
    },
    /// `from` believes that the virtual node at `to` is its successor (Chord, figure 6).
    Notify {
        /// The successor.
        to: Point,
        /// Its predecessor, perhaps.
        from: Finger,
    },
    /// One step of a lookup.
    Find {
        /// Chosen by the asker.
        number: u64,
        /// What is looked for.
        target: Point,
    },
    /// Answers it.
    Found {
        /// The question's.
        number: u64,
        /// The next step.
        step: Step,
    },
}
