//! Keeping copies alike: what a copy of a partition is made of, and how one is brought up to another.
//!
//! A ballot has one value, so the key and the ballot name an entry: two copies with the same names hold the same
//! bytes. The sum of the names is the copy's [`Fingerprint`], kept up to date in the same write as the entries.

pub mod reading;
pub mod reconcile;
pub mod transfer;

pub use reading::Subject;
pub use transfer::{Mode, Transfer};

use crate::id::Key;
use crate::register::{Accepted, Ballot};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Names what a copy holds under a key: SHA-256 of the key's bytes and the accepted ballot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 32]);

impl EntryId {
    /// The name of what was accepted at `ballot` under `key`.
    #[must_use]
    pub fn new(key: &Key, ballot: Ballot) -> Self {
        let hash = Sha256::new()
            .chain_update(key.partition.0.to_be_bytes())
            .chain_update(&key.name)
            .chain_update(ballot.counter.to_be_bytes())
            .chain_update(ballot.proposer.node.0)
            .chain_update(ballot.proposer.boot.to_be_bytes());
        Self(hash.finalize().into())
    }
}

/// The sum, modulo 2^256, of the names of all entries of a copy (as Negentropy's, but kept, not computed).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    pub(crate) fn add(&mut self, id: EntryId) {
        let mut carry = 0;
        for (sum, byte) in self.0.iter_mut().zip(id.0).rev() {
            carry += u16::from(*sum) + u16::from(byte);
            *sum = carry.to_be_bytes()[1];
            carry >>= 8;
        }
    }

    pub(crate) fn subtract(&mut self, id: EntryId) {
        let mut borrow = 0;
        for (sum, byte) in self.0.iter_mut().zip(id.0).rev() {
            let difference = i16::from(*sum) - i16::from(byte) - borrow;
            borrow = i16::from(difference < 0);
            *sum = difference.rem_euclid(256).to_be_bytes()[1];
        }
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a copy of a partition amounts to. Registers that were only promised are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Root {
    /// The sum of the entries' names.
    pub fingerprint: Fingerprint,
    /// Entries, tombstones among them.
    pub entries: u64,
    /// Tombstones and registers accepted as never written: what an epoch change leaves behind.
    pub tombstones: u64,
}

const FORMAT: u8 = 1;
const ENCODED_BYTES: usize = 1 + 32 + 8 + 8;

impl Root {
    /// The entry under `key` changes from `before` to `after`.
    pub fn replace(&mut self, key: &Key, before: &Accepted, after: &Accepted) {
        if before.ballot != Ballot::default() {
            self.fingerprint.subtract(EntryId::new(key, before.ballot));
            self.entries -= 1;
            self.tombstones -= u64::from(before.is_tombstone());
        }
        if after.ballot != Ballot::default() {
            self.fingerprint.add(EntryId::new(key, after.ballot));
            self.entries += 1;
            self.tombstones += u64::from(after.is_tombstone());
        }
    }

    /// As stored: format, fingerprint, entries, tombstones (big endian).
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(ENCODED_BYTES);
        bytes.put_u8(FORMAT);
        bytes.put_slice(&self.fingerprint.0);
        bytes.put_u64(self.entries);
        bytes.put_u64(self.tombstones);
        bytes.freeze()
    }

    /// The inverse of [`Root::encode`]; `None` for anything else.
    #[must_use]
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() != ENCODED_BYTES || bytes.get_u8() != FORMAT {
            return None;
        }
        let mut fingerprint = Fingerprint::default();
        bytes.copy_to_slice(&mut fingerprint.0);
        Some(Self { fingerprint, entries: bytes.get_u64(), tombstones: bytes.get_u64() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{NodeId, OperationId, Partition};
    use crate::register::{ProposerId, Versioned};
    use proptest::prelude::*;

    fn accepted(counter: u64, content: bool) -> Accepted {
        let ballot = Ballot { counter, proposer: ProposerId { node: NodeId([1; 20]), boot: 1 } };
        let content = content.then(|| Bytes::from_static(b"content"));
        Accepted { ballot, value: Some(Versioned { version: counter, operation: OperationId(1), content }) }
    }

    proptest! {
        #[test]
        fn the_root_depends_on_what_is_there_and_not_on_how_it_came_there(
            writes in proptest::collection::vec((0..5_u8, 1..100_u64, any::<bool>()), 0..60)
        ) {
            let (mut root, mut copy) = (Root::default(), std::collections::BTreeMap::new());
            for (name, counter, content) in writes {
                let (key, after) = (Key::new(Partition(3), [name]), accepted(counter, content));
                let before = copy.insert(key.clone(), after.clone()).unwrap_or_default();
                root.replace(&key, &before, &after);
            }
            let mut other = Root::default();
            copy.iter().rev().for_each(|(key, entry)| other.replace(key, &Accepted::default(), entry));
            prop_assert_eq!(root, other);
            prop_assert_eq!(root.entries, copy.len() as u64);
            prop_assert_eq!(root.tombstones, copy.values().filter(|entry| entry.is_tombstone()).count() as u64);
            prop_assert_eq!(Root::decode(root.encode()), Some(root));
            copy.iter().for_each(|(key, entry)| root.replace(key, entry, &Accepted::default()));
            prop_assert_eq!(root, Root::default());
        }
    }

    #[test]
    fn another_ballot_is_another_entry() {
        let key = Key::new(Partition(3), *b"name");
        let [first, second] = [1, 2].map(|counter| {
            let mut root = Root::default();
            root.replace(&key, &Accepted::default(), &accepted(counter, true));
            root.fingerprint
        });
        assert_ne!(first, second);
    }
}
