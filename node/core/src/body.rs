//! Bodies: immutable bytes named by their SHA-256, kept in three copies on distinct nodes.
//!
//! A body lives in the partition of the record that refers to it ([`BodyRef`]), so it moves with that record. A
//! record may refer to a body only after [`BodyPut`] has stored it there: every copy it counts was fsynced. Any
//! copy serves; [`BodyFetch`] checks the hash of what it is given. [`shelf`] is a node's own copies, [`duty`] says
//! who should hold one, [`backlog`] remembers which ones lack copies; [`crate::references`] tells which ones are needed.

pub mod backlog;
pub mod duty;
pub mod shelf;

use crate::id::{NodeId, Partition};
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

/// A body where it is kept: the same content in two partitions is two bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyRef {
    /// The partition of the record that refers to it.
    pub partition: Partition,
    /// Its content's hash.
    pub hash: BodyHash,
}

impl BodyRef {
    /// The bytes under which the body is stored: partition (2 bytes, big endian), then the hash (32 bytes).
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        [self.partition.0.to_be_bytes().as_slice(), &self.hash.0].concat()
    }

    /// The inverse of [`BodyRef::to_bytes`]; `None` for bytes of another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (partition, hash) = bytes.split_first_chunk::<2>()?;
        Some(Self { partition: Partition(u16::from_be_bytes(*partition)), hash: BodyHash(hash.try_into().ok()?) })
    }
}

/// Copies of a body in rings of three nodes or more.
pub const COPIES: usize = 3;
/// Largest body, bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Copies of each body in a ring of `nodes`, down or not: in rings below three nodes one, as of registers.
#[must_use]
pub const fn copies(nodes: usize) -> usize {
    if nodes < COPIES { 1 } else { COPIES }
}

/// Copies with which a put is content when nobody else takes one: a ring of three or four survives the loss of
/// one node, so two, and the third is made later; larger rings survive two, so all three.
#[must_use]
pub const fn least_copies(nodes: usize) -> usize {
    match nodes {
        0..=2 => 1,
        3..=4 => 2,
        _ => COPIES,
    }
}

/// What came of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// As many distinct nodes as [`copies`] says hold the body on disk.
    Stored,
    /// Nobody is left to ask, and [`least_copies`] hold it: a record may refer to it, and the missing copy is to
    /// be made as soon as there is a node for it.
    Short,
    /// Too few nodes took it. Copies that were made do no harm.
    Unavailable,
}

/// A body on its way to its holders.
#[derive(Debug)]
pub struct BodyPut {
    waiting: VecDeque<NodeId>,
    asked: BTreeSet<NodeId>,
    stored: BTreeSet<NodeId>,
    copies: usize,
    least: usize,
}

impl BodyPut {
    /// Puts to the first of `candidates` (best first, see [`duty::candidates`]) in a ring of `nodes`, one more for
    /// each that fails. A node that is named again is still one node.
    #[must_use]
    pub fn new(candidates: impl IntoIterator<Item = NodeId>, nodes: usize) -> Self {
        let mut named = BTreeSet::new();
        let waiting = candidates.into_iter().filter(|node| named.insert(*node)).collect();
        Self {
            waiting,
            asked: BTreeSet::new(),
            stored: BTreeSet::new(),
            copies: copies(nodes),
            least: least_copies(nodes),
        }
    }

    /// The next node to send the body to; ask until `None`.
    pub fn poll_transmit(&mut self) -> Option<NodeId> {
        if self.asked.len() + self.stored.len() >= self.copies {
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
        if self.stored.len() >= self.copies {
            return Some(PutOutcome::Stored);
        }
        if !self.asked.is_empty() || !self.waiting.is_empty() {
            return None;
        }
        Some(if self.stored.len() >= self.least { PutOutcome::Short } else { PutOutcome::Unavailable })
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

    /// Whether the body was found.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.found.is_some()
    }

    /// The body, if it was found.
    #[must_use]
    pub fn into_found(self) -> Option<Bytes> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId([number; 20])
    }

    #[test]
    fn a_body_is_stored_only_on_three_distinct_nodes() {
        let mut put = BodyPut::new((0..5).map(node), 5);
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

    /// What becomes of a put in a ring of `nodes` of which the first `living` answer.
    fn outcome(nodes: u8, living: u8) -> PutOutcome {
        let mut put = BodyPut::new((0..nodes).rev().map(node), usize::from(nodes));
        while let Some(asked) = put.poll_transmit() {
            put.handle_reply(asked, asked < node(living));
        }
        put.poll_outcome().expect("everybody has answered")
    }

    #[test]
    fn a_put_is_content_with_two_copies_only_in_a_small_ring_with_nobody_left_to_ask() {
        for nodes in [3, 4] {
            let outcomes = [3, 2, 1].map(|living| outcome(nodes, living));
            assert_eq!(outcomes, [PutOutcome::Stored, PutOutcome::Short, PutOutcome::Unavailable]);
        }
        for nodes in [5, 9] {
            assert_eq!([3, 2].map(|living| outcome(nodes, living)), [PutOutcome::Stored, PutOutcome::Unavailable]);
        }
        for nodes in [1, 2] {
            assert_eq!([1, 0].map(|living| outcome(nodes, living)), [PutOutcome::Stored, PutOutcome::Unavailable]);
        }
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
        let mut put = BodyPut::new([0, 0, 1, 0, 2].map(node), 5);
        let asked: Vec<_> = std::iter::from_fn(|| put.poll_transmit()).collect();
        assert_eq!(asked, [node(0), node(1), node(2)]);
        asked.iter().for_each(|node| put.handle_reply(*node, true));
        assert_eq!(put.poll_outcome(), Some(PutOutcome::Stored));
    }

    #[test]
    fn a_reference_is_read_back_from_its_bytes() {
        let reference = BodyRef { partition: Partition(0x0102), hash: BodyHash([9; 32]) };
        assert_eq!(BodyRef::from_bytes(&reference.to_bytes()), Some(reference));
        assert_eq!(BodyRef::from_bytes(&[0; 2]), None);
    }
}
