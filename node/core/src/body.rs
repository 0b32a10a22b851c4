//! Bodies: immutable bytes named by their SHA-256, kept in three copies on distinct nodes.
//!
//! A record may refer to a body only after [`BodyPut`] has [`Stored`](PutOutcome::Stored) it: every copy it
//! counts was fsynced. Any copy serves; [`BodyFetch`] checks the hash of what it is given.

use crate::id::NodeId;
use crate::store::{StoreError, Table, Transaction};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;

/// SHA-256 of a body's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BodyHash(pub [u8; 32]);

impl BodyHash {
    /// The hash of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }
}

impl fmt::Debug for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Copies of a body in rings of three nodes or more.
pub const COPIES: usize = 3;
/// Largest body, bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What came of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// As many distinct nodes as the ring allows, at most [`COPIES`], hold the body on disk.
    Stored,
    /// Too few nodes took it. Copies that were made do no harm.
    Unavailable,
}

/// A body on its way to its holders.
#[derive(Debug)]
pub struct BodyPut {
    waiting: VecDeque<NodeId>,
    asked: BTreeSet<NodeId>,
    stored: BTreeSet<NodeId>,
    needed: usize,
}

impl BodyPut {
    /// Puts to the first of `candidates` (best first), one more for each that fails. A node that is named again
    /// is still one node.
    #[must_use]
    pub fn new(candidates: impl IntoIterator<Item = NodeId>) -> Self {
        let mut named = BTreeSet::new();
        let waiting: VecDeque<NodeId> = candidates.into_iter().filter(|node| named.insert(*node)).collect();
        let needed = waiting.len().clamp(1, COPIES);
        Self { waiting, asked: BTreeSet::new(), stored: BTreeSet::new(), needed }
    }

    /// The next node to send the body to; ask until `None`.
    pub fn poll_transmit(&mut self) -> Option<NodeId> {
        if self.asked.len() + self.stored.len() >= self.needed {
            return None;
        }
        let node = self.waiting.pop_front()?;
        self.asked.insert(node);
        Some(node)
    }

    /// A node that was asked has the body on disk, or failed.
    pub fn handle_reply(&mut self, from: NodeId, stored: bool) {
        if self.asked.remove(&from) && stored {
            self.stored.insert(from);
        }
    }

    /// The outcome, as soon as it is known.
    #[must_use]
    pub fn poll_outcome(&self) -> Option<PutOutcome> {
        if self.stored.len() >= self.needed {
            return Some(PutOutcome::Stored);
        }
        (self.asked.is_empty() && self.waiting.is_empty()).then_some(PutOutcome::Unavailable)
    }
}

/// A body being looked for among its holders, one after the other.
#[derive(Debug)]
pub struct BodyFetch {
    hash: BodyHash,
    waiting: VecDeque<NodeId>,
    found: Option<Bytes>,
}

impl BodyFetch {
    /// Looks for `hash` at `candidates`, best first.
    #[must_use]
    pub fn new(hash: BodyHash, candidates: impl IntoIterator<Item = NodeId>) -> Self {
        Self { hash, waiting: candidates.into_iter().collect(), found: None }
    }

    /// The node to ask next; `None` when the body was found or nobody is left.
    pub fn poll_transmit(&mut self) -> Option<NodeId> {
        if self.found.is_some() { None } else { self.waiting.pop_front() }
    }

    /// What a node answered; content with another hash is damaged and not taken.
    pub fn handle_reply(&mut self, content: Option<Bytes>) {
        self.found = self.found.take().or_else(|| content.filter(|content| BodyHash::of(content) == self.hash));
    }

    /// The body, if it was found.
    #[must_use]
    pub fn into_found(self) -> Option<Bytes> {
        self.found
    }
}

/// Keeps `content` on this node; it is stored when the transaction is durable.
///
/// Returns whether `content` has the hash `hash`; otherwise nothing is kept.
pub fn keep(hash: BodyHash, content: Bytes, transaction: &mut Transaction<'_>) -> bool {
    let sound = content.len() <= MAX_BODY_BYTES && BodyHash::of(&content) == hash;
    if sound {
        transaction.put(Table::Bodies, hash.0.to_vec(), content);
    }
    sound
}

/// The body `hash` if this node keeps it. A copy that the store finds damaged is no copy: the other holders have
/// theirs, and whatever shares the transaction goes on.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn kept(hash: BodyHash, transaction: &Transaction<'_>) -> Result<Option<Bytes>, StoreError> {
    match transaction.read(Table::Bodies, &hash.0) {
        Err(StoreError::Damaged { .. }) => Ok(None),
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Entry, ScanLimit, Store};

    fn node(number: u8) -> NodeId {
        NodeId([number; 20])
    }

    #[test]
    fn a_body_is_stored_only_on_three_distinct_nodes() {
        let mut put = BodyPut::new((0..5).map(node));
        let asked: Vec<_> = std::iter::from_fn(|| put.poll_transmit()).collect();
        assert_eq!(asked, [node(0), node(1), node(2)]);
        put.handle_reply(node(0), true);
        put.handle_reply(node(0), true);
        put.handle_reply(node(1), false);
        assert_eq!((put.poll_outcome(), put.poll_transmit()), (None, Some(node(3))));
        put.handle_reply(node(2), true);
        put.handle_reply(node(3), true);
        assert_eq!(put.poll_outcome(), Some(PutOutcome::Stored));
    }

    #[test]
    fn a_put_fails_when_too_few_nodes_are_left() {
        let mut put = BodyPut::new((0..3).map(node));
        while let Some(asked) = put.poll_transmit() {
            put.handle_reply(asked, asked != node(1));
        }
        assert_eq!(put.poll_outcome(), Some(PutOutcome::Unavailable));
    }

    #[test]
    fn a_damaged_copy_is_passed_over() {
        let good = Bytes::from_static(b"good");
        let mut fetch = BodyFetch::new(BodyHash::of(&good), [node(0), node(1)]);
        assert_eq!(fetch.poll_transmit(), Some(node(0)));
        fetch.handle_reply(Some(Bytes::from_static(b"bad")));
        assert_eq!(fetch.poll_transmit(), Some(node(1)));
        fetch.handle_reply(Some(good.clone()));
        assert_eq!((fetch.poll_transmit(), fetch.into_found()), (None, Some(good)));
    }

    #[test]
    fn a_node_that_is_named_twice_is_asked_once_and_counts_once() {
        let mut put = BodyPut::new([0, 0, 1, 0, 2].map(node));
        let asked: Vec<_> = std::iter::from_fn(|| put.poll_transmit()).collect();
        assert_eq!(asked, [node(0), node(1), node(2)]);
        asked.iter().for_each(|node| put.handle_reply(*node, true));
        assert_eq!(put.poll_outcome(), Some(PutOutcome::Stored));
    }

    /// A disk that notices that it has rotted.
    struct Rotten;

    impl Store for Rotten {
        fn read(&self, table: Table, _: &[u8]) -> Result<Option<Bytes>, StoreError> {
            Err(StoreError::Damaged { table: table.name() })
        }
        fn scan(&self, table: Table, _: &[u8], _: Option<&[u8]>, _: ScanLimit) -> Result<Vec<Entry>, StoreError> {
            Err(StoreError::Damaged { table: table.name() })
        }
        fn commit(&self, _: &Batch) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn a_copy_that_the_store_finds_damaged_is_no_copy() {
        assert!(matches!(kept(BodyHash::of(b"body"), &Transaction::new(&Rotten)), Ok(None)));
    }
}
