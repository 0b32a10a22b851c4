//! A node's own copies of bodies on its disk, and an index of them that is read without their contents.
//!
//! [`Table::Bodies`] holds contents, [`Table::BodyIndex`] a [`Label`] under the same key, and under the partition's
//! two bytes alone the [`Root`] of the partition: all change in one transaction. Reads go to the store directly, so
//! that they need not wait for the disk's writer.

use super::{BodyHash, BodyRef, MAX_BODY_BYTES};
use crate::id::Partition;
use crate::store::{ScanLimit, Store, StoreError, Table, Transaction, page_is_full};
use crate::sync::{EntryId, Fingerprint};
use bytes::{Buf, BufMut, Bytes, BytesMut};

const FORMAT: u8 = 1;
const LABEL_BYTES: usize = 1 + 8 + 4;
const ROOT_BYTES: usize = 1 + 32 + 8;
/// Most labels read at a time.
const PAGE: ScanLimit = ScanLimit { entries: 4096, bytes: 1 << 20 };

/// What is known of a copy without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// When the body was last put, milliseconds since 1970 by the wall clock of a node that took it then. A copy
    /// made for repair keeps the time of the copy it was made from.
    pub stored_ms: u64,
    /// Its length.
    pub bytes: u32,
}

impl Label {
    /// As stored: format, time, length (big endian).
    fn encode(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(LABEL_BYTES);
        bytes.put_u8(FORMAT);
        bytes.put_u64(self.stored_ms);
        bytes.put_u32(self.bytes);
        bytes.freeze()
    }

    fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() != LABEL_BYTES || bytes.get_u8() != FORMAT {
            return None;
        }
        Some(Self { stored_ms: bytes.get_u64(), bytes: bytes.get_u32() })
    }
}

/// What a node's bodies of a partition amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// The sum of their hashes.
    pub fingerprint: Fingerprint,
    /// How many they are.
    pub bodies: u64,
}

impl Root {
    /// As stored: format, sum, count (big endian).
    fn encode(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(ROOT_BYTES);
        bytes.put_u8(FORMAT);
        bytes.put_slice(&self.fingerprint.0);
        bytes.put_u64(self.bodies);
        bytes.freeze()
    }

    fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() != ROOT_BYTES || bytes.get_u8() != FORMAT {
            return None;
        }
        let mut fingerprint = Fingerprint::default();
        bytes.copy_to_slice(&mut fingerprint.0);
        Some(Self { fingerprint, bodies: bytes.get_u64() })
    }
}

/// Keeps `content` on this node; it is stored when the transaction is durable. A body that is there already is
/// written again, since what is there may be damaged, and has the later of both times.
///
/// Returns whether `content` has the hash of `body`; otherwise nothing is kept.
///
/// # Errors
/// [`StoreError`] if the store cannot be read; the transaction must then be dropped.
pub fn keep(
    body: BodyRef,
    content: Bytes,
    stored_ms: u64,
    transaction: &mut Transaction<'_>,
) -> Result<bool, StoreError> {
    let Some(bytes) = u32::try_from(content.len()).ok().filter(|_| content.len() <= MAX_BODY_BYTES) else {
        return Ok(false);
    };
    if BodyHash::of(&content) != body.hash {
        return Ok(false);
    }
    let before = label_in(body, transaction)?;
    let stored_ms = before.map_or(stored_ms, |before| before.stored_ms.max(stored_ms));
    let value = [&[FORMAT], content.as_ref()].concat();
    transaction.put(Table::Bodies, body.to_bytes(), value);
    transaction.put(Table::BodyIndex, body.to_bytes(), Label { stored_ms, bytes }.encode());
    if before.is_none() {
        change_root(body, transaction, |root, id| {
            root.fingerprint.add(id);
            root.bodies += 1;
        })?;
    }
    Ok(true)
}

/// This node keeps `body` no longer.
///
/// # Errors
/// [`StoreError`] if the store cannot be read; the transaction must then be dropped.
pub fn forget(body: BodyRef, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    if label_in(body, transaction)?.is_some() {
        change_root(body, transaction, |root, id| {
            root.fingerprint.subtract(id);
            root.bodies = root.bodies.saturating_sub(1);
        })?;
    }
    transaction.delete(Table::Bodies, body.to_bytes());
    transaction.delete(Table::BodyIndex, body.to_bytes());
    Ok(())
}

/// [`forget`], unless `body` was put again at `before_ms` or later: then a record that refers to it may be on its way.
///
/// # Errors
/// As [`forget`].
pub fn sweep(body: BodyRef, before_ms: u64, transaction: &mut Transaction<'_>) -> Result<bool, StoreError> {
    let is_old = label_in(body, transaction)?.is_some_and(|label| label.stored_ms < before_ms);
    if is_old {
        forget(body, transaction)?;
    }
    Ok(is_old)
}

/// A copy that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The content, not checked against its hash, and when it was put.
    Copy {
        /// The bytes.
        content: Bytes,
        /// As [`Label::stored_ms`].
        stored_ms: u64,
    },
    /// The store finds it damaged, or half of it is gone: [`forget`] it, then another holder's copy can take its place.
    Damaged,
    /// This node has none.
    Absent,
}

impl Found {
    /// The content, if there is one.
    #[must_use]
    pub fn into_content(self) -> Option<Bytes> {
        match self {
            Self::Copy { content, .. } => Some(content),
            Self::Damaged | Self::Absent => None,
        }
    }
}

/// The copy of `body` on this node.
///
/// # Errors
/// [`StoreError`] if the store cannot be read for another reason than damage to this copy.
pub fn read(body: BodyRef, store: &dyn Store) -> Result<Found, StoreError> {
    let key = body.to_bytes();
    let (label, content) = (store.read(Table::BodyIndex, &key), store.read(Table::Bodies, &key));
    let (label, content) = match (label, content) {
        (Err(StoreError::Damaged { .. }), _) | (_, Err(StoreError::Damaged { .. })) => return Ok(Found::Damaged),
        (label, content) => (label?, content?),
    };
    Ok(match (label, content) {
        (None, None) => Found::Absent,
        (Some(label), Some(mut content)) if content.first() == Some(&FORMAT) => match Label::decode(label) {
            Some(label) => Found::Copy { content: content.split_off(1), stored_ms: label.stored_ms },
            None => Found::Damaged,
        },
        _ => Found::Damaged,
    })
}

/// What is known of the copy of `body` on this node; `None` if there is none.
///
/// # Errors
/// [`StoreError`].
pub fn label(body: BodyRef, store: &dyn Store) -> Result<Option<Label>, StoreError> {
    Ok(store.read(Table::BodyIndex, &body.to_bytes())?.and_then(Label::decode))
}

/// What this node's bodies of `partition` amount to.
///
/// # Errors
/// [`StoreError`].
pub fn root(partition: Partition, store: &dyn Store) -> Result<Root, StoreError> {
    let stored = store.read(Table::BodyIndex, &partition.0.to_be_bytes())?;
    Ok(stored.and_then(Root::decode).unwrap_or_default())
}

/// Every body of `partition` on this node, by hash.
///
/// # Errors
/// [`StoreError`].
pub fn list(partition: Partition, store: &dyn Store) -> Result<Vec<(BodyHash, Label)>, StoreError> {
    let prefix = partition.0.to_be_bytes();
    // The root lies under the prefix itself.
    let (mut found, mut after) = (Vec::new(), prefix.to_vec());
    loop {
        let page = store.scan(Table::BodyIndex, &prefix, Some(&after), PAGE)?;
        let labels = page
            .iter()
            .filter_map(|(key, value)| Some((BodyRef::from_bytes(key)?.hash, Label::decode(value.clone())?)));
        found.extend(labels);
        match page.last() {
            Some((last, _)) if page_is_full(&page, PAGE) => after = last.to_vec(),
            _ => return Ok(found),
        }
    }
}

/// A label that cannot be read is no label: its body is written anew or goes away.
fn label_in(body: BodyRef, transaction: &Transaction<'_>) -> Result<Option<Label>, StoreError> {
    match transaction.read(Table::BodyIndex, &body.to_bytes()) {
        Err(StoreError::Damaged { .. }) => Ok(None),
        read => Ok(read?.and_then(Label::decode)),
    }
}

fn change_root(
    body: BodyRef,
    transaction: &mut Transaction<'_>,
    change: impl FnOnce(&mut Root, EntryId),
) -> Result<(), StoreError> {
    let key = body.partition.0.to_be_bytes();
    let stored = match transaction.read(Table::BodyIndex, &key) {
        Err(StoreError::Damaged { .. }) => None,
        read => read?,
    };
    let mut root = stored.and_then(Root::decode).unwrap_or_default();
    change(&mut root, EntryId(body.hash.0));
    transaction.put(Table::BodyIndex, key.to_vec(), root.encode());
    Ok(())
}

#[cfg(test)]
mod tests;
