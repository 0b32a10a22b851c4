//! What two copies of a set differ in, found by comparing ranges (Meyer, arXiv 2212.13567; the `negentropy` protocol).
//!
//! The [`Initiator`] asks and learns both differences; the responder is [`respond`]: it remembers nothing between
//! messages, so its set may change meanwhile, and each finding is true of a moment during the exchange. The same
//! machines serve register entries and bodies ([`Place`]). Messages, rounds and findings are bounded.

use super::EntryId;
use crate::body::BodyHash;
use crate::id::Key;
use crate::register::Ballot;
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Largest message, bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Most questions of one comparison: at a message's size each, enough for 65,536 findings.
pub const MAX_ROUNDS: u32 = 64;
/// Findings after which a comparison ends early; the next one finds the rest.
pub const MAX_FINDINGS: usize = 16_384;

/// Why a comparison cannot go on: the peer sent something that the protocol does not know. Nothing changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// Longer than [`MAX_MESSAGE_BYTES`].
    #[error("a message of {found} bytes, where {MAX_MESSAGE_BYTES} are the most")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not of this protocol.
    #[error("a malformed message")]
    Malformed(#[source] negentropy::Error),
}

/// An element of a set and where it lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    order: u64,
    id: EntryId,
}

impl Place {
    /// A register's entry. It lies where its name's hash says, so that both copies' versions of it lie together.
    #[must_use]
    pub fn of_entry(key: &Key, ballot: Ballot) -> Self {
        Self::new(Sha256::digest(&key.name).into(), EntryId::new(key, ballot))
    }

    /// A body.
    #[must_use]
    pub fn of_body(hash: BodyHash) -> Self {
        Self::new(hash.0, EntryId(hash.0))
    }

    /// The element's name.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }

    fn new(hash: [u8; 32], id: EntryId) -> Self {
        let [first, ..] = hash.as_chunks::<8>().0 else { unreachable!("32 bytes are four times eight") };
        // The protocol keeps the largest number for "behind everything".
        Self { order: u64::from_be_bytes(*first) >> 1, id }
    }
}

/// A copy of a set as it was at one moment.
#[derive(Debug)]
pub struct Set(NegentropyStorageVector);

impl Set {
    /// The set of `places`, in any order.
    #[must_use]
    pub fn new(places: impl IntoIterator<Item = Place>) -> Self {
        let mut storage = NegentropyStorageVector::new();
        for place in places {
            storage.insert(place.order, Id::from_byte_array(place.id.0)).expect("the set is not sealed yet");
        }
        storage.seal().expect("the set is not sealed yet");
        Self(storage)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What the initiator has and the responder lacks.
    pub ours: BTreeSet<EntryId>,
    /// What the responder has and the initiator lacks.
    pub theirs: BTreeSet<EntryId>,
    /// Whether that is all: what is in neither is on both sides. Otherwise a bound was reached.
    pub is_complete: bool,
}

/// The side that asks.
#[derive(Debug)]
pub struct Initiator {
    negentropy: Negentropy<'static, NegentropyStorageVector>,
    outbox: Option<Vec<u8>>,
    rounds: u32,
    difference: Difference,
}

impl Initiator {
    /// Begins to compare `set`.
    #[must_use]
    pub fn new(set: Set) -> Self {
        let limit = MAX_MESSAGE_BYTES as u64;
        let mut negentropy = Negentropy::owned(set.0, limit).expect("the limit is above the protocol's least");
        let first = negentropy.initiate().expect("a sealed set can be read, and this is its first message");
        Self { negentropy, outbox: Some(first), rounds: 0, difference: Difference::default() }
    }

    /// The next question; `None` when the comparison is over or an answer is outstanding.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let message = self.outbox.take()?;
        self.rounds += 1;
        Some(message)
    }

    /// The responder's answer.
    ///
    /// # Errors
    /// [`ReconcileError`]: the responder is at fault; what was found before is true.
    pub fn handle_reply(&mut self, message: &[u8]) -> Result<(), ReconcileError> {
        check_length(message)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let next =
            self.negentropy.reconcile_with_ids(message, &mut ours, &mut theirs).map_err(ReconcileError::Malformed)?;
        let ids = |found: Vec<Id>| found.into_iter().map(|id| EntryId(id.to_bytes()));
        self.difference.ours.extend(ids(ours));
        self.difference.theirs.extend(ids(theirs));
        self.difference.is_complete = next.is_none();
        let findings = self.difference.ours.len() + self.difference.theirs.len();
        if self.rounds < MAX_ROUNDS && findings < MAX_FINDINGS {
            self.outbox = next;
        }
        Ok(())
    }

    /// What was found.
    #[must_use]
    pub fn into_difference(self) -> Difference {
        self.difference
    }
}

/// The answer to an initiator's question about `set`.
///
/// # Errors
/// [`ReconcileError`]: the initiator is at fault.
pub fn respond(set: &Set, message: &[u8]) -> Result<Vec<u8>, ReconcileError> {
    check_length(message)?;
    let limit = MAX_MESSAGE_BYTES as u64;
    let mut negentropy = Negentropy::borrowed(&set.0, limit).expect("the limit is above the protocol's least");
    negentropy.reconcile(message).map_err(ReconcileError::Malformed)
}

fn check_length(message: &[u8]) -> Result<(), ReconcileError> {
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(ReconcileError::TooLong { found: message.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
