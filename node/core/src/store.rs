//! What a node's disk offers: tables of ordered keys, atomic and durable batches.
//!
//! The node keeps the tables in RocksDB; [`memory`] is the twin held to the same property tests. A
//! [`Transaction`] lets several messages be handled against one batch that is made durable once (group commit).

pub mod memory;

use bytes::Bytes;
use std::collections::BTreeMap;

/// A named, ordered set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Registers by [`crate::id::Key`].
    Registers,
    /// Contents of immutable bodies by [`crate::body::BodyRef`].
    Bodies,
    /// A node's part in the views of each partition.
    Views,
    /// What a node's copy of each partition amounts to.
    Roots,
    /// Facts about this node: identity, boots.
    Meta,
    /// What is known of each body in [`Table::Bodies`] without reading its content; and one sum a partition.
    BodyIndex,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] = [Self::Registers, Self::Bodies, Self::Views, Self::Roots, Self::Meta, Self::BodyIndex];

    /// The table's name on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registers => "registers",
            Self::Bodies => "bodies",
            Self::Views => "views",
            Self::Roots => "roots",
            Self::Meta => "meta",
            Self::BodyIndex => "body-index",
        }
    }
}

/// Why a store could not do what was asked. The caller is never at fault; nothing of a failed batch is visible.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. Nothing is visible; as after any failed commit the batch may be there, whole, after a
    /// restart. Later commits fail alike until there is room, then succeed without a restart.
    #[error("the disk is full; free some room where the data folder is, 100 MiB at least")]
    Full,
    /// What was read is not what was written: damaged, swapped or sealed with another key.
    #[error("a value in table {table} is damaged or was sealed with another key")]
    Damaged {
        /// Where.
        table: &'static str,
    },
    /// Written by another version of this program.
    #[error(
        "a value in table {table} has format {found}, which this version of scrapering does not know; use the version that wrote it"
    )]
    UnknownFormat {
        /// Where.
        table: &'static str,
        /// Its format version.
        found: u8,
    },
    /// The storage engine failed.
    #[error("the storage engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How much one scan returns at most; whichever is reached first ends it.
#[derive(Clone, Copy, Debug)]
pub struct ScanLimit {
    /// Entries.
    pub entries: usize,
    /// Bytes of keys and values; at least one entry is returned however large.
    pub bytes: usize,
}

impl ScanLimit {
    /// Whether a scan ends with the entry it has just found, the `entries`-th, at `bytes` in all.
    #[must_use]
    pub const fn is_reached(self, entries: usize, bytes: usize) -> bool {
        entries >= self.entries || bytes >= self.bytes
    }
}

/// A key and its value, as a scan returns them.
pub type Entry = (Bytes, Bytes);

/// Ordered tables with atomic, durable writes.
pub trait Store: Send + Sync {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`StoreError`]; nothing changed.
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Entries whose key begins with `prefix` and is greater than `after`, ascending.
    ///
    /// # Errors
    /// [`StoreError`]; nothing changed.
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: ScanLimit,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Applies the whole batch or nothing, and returns only when it would survive a power cut.
    ///
    /// # Errors
    /// [`StoreError`]; the batch may or may not be on disk when the engine failed, and never in part.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;
}

/// Changes that become visible and durable together. `None` deletes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The last write to each key.
    pub writes: BTreeMap<(Table, Vec<u8>), Option<Bytes>>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: Vec<u8>, value: impl Into<Bytes>) {
        self.writes.insert((table, key), Some(value.into()));
    }

    /// Removes `key`.
    pub fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.writes.insert((table, key), None);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// A store seen through a batch that is not durable yet: reads see the batch's own writes.
pub struct Transaction<'store> {
    store: &'store dyn Store,
    batch: Batch,
}

impl<'store> Transaction<'store> {
    /// An empty transaction over `store`.
    #[must_use]
    pub fn new(store: &'store dyn Store) -> Self {
        Self { store, batch: Batch::default() }
    }

    /// The value under `key`, the batch's own write first.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.batch.writes.get(&(table, key.to_vec())) {
            Some(written) => Ok(written.clone()),
            None => self.store.read(table, key),
        }
    }

    /// As [`Store::scan`], with the batch's own writes merged in.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: ScanLimit,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut page = Vec::new();
        let mut bytes = 0;
        let mut after = after.map(Bytes::copy_from_slice);
        loop {
            let stored = self.store.scan(table, prefix, after.as_deref(), limit)?;
            // Beyond the last stored entry of a page that was cut short there may be stored keys not seen yet.
            let horizon = if page_is_full(&stored, limit) { stored.last().map(|(key, _)| key.clone()) } else { None };
            for (key, value) in self.merged(table, prefix, after.as_deref(), horizon.as_deref(), stored) {
                bytes += key.len() + value.len();
                page.push((key, value));
                if limit.is_reached(page.len(), bytes) {
                    return Ok(page);
                }
            }
            if horizon.is_none() {
                return Ok(page);
            }
            after = horizon;
        }
    }

    /// The stored entries after `after` and up to `horizon`, with the batch's own writes in that range.
    fn merged(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        horizon: Option<&[u8]>,
        stored: Vec<Entry>,
    ) -> BTreeMap<Bytes, Bytes> {
        let mut merged: BTreeMap<Bytes, Bytes> = stored.into_iter().collect();
        let own = self.batch.writes.range((table, prefix.to_vec())..);
        for ((_, key), value) in own.take_while(|((own, key), _)| *own == table && key.starts_with(prefix)) {
            if horizon.is_some_and(|last| key.as_slice() > last) {
                break;
            }
            if after.is_some_and(|after| key.as_slice() <= after) {
                continue;
            }
            match value {
                Some(value) => merged.insert(Bytes::copy_from_slice(key), value.clone()),
                None => merged.remove(key.as_slice()),
            };
        }
        merged
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: Vec<u8>, value: impl Into<Bytes>) {
        self.batch.put(table, key, value);
    }

    /// Removes `key`.
    pub fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.batch.delete(table, key);
    }

    /// What is to be made durable before anything that was decided here may leave the node.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        self.batch
    }
}

/// Whether a scan stopped because of `limit`, so that more entries may follow.
#[must_use]
pub fn page_is_full(entries: &[Entry], limit: ScanLimit) -> bool {
    let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
    limit.is_reached(entries.len(), bytes)
}

#[cfg(test)]
mod tests {
    use super::memory::MemoryStore;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    type Writes = Vec<(usize, Vec<u8>, Option<Vec<u8>>)>;

    fn writes() -> impl Strategy<Value = Writes> {
        vec((0..Table::ALL.len(), vec(0..3_u8, 0..3), proptest::option::of(vec(any::<u8>(), 0..8))), 0..20)
    }

    fn batch_of(writes: Writes) -> Batch {
        Batch {
            writes: writes
                .into_iter()
                .map(|(table, key, value)| ((Table::ALL[table], key), value.map(Bytes::from)))
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn a_transaction_scans_what_the_store_will_scan_once_it_is_committed(
            before in writes(), own in writes(), prefix in vec(0..3_u8, 0..2),
            after in proptest::option::of(vec(0..3_u8, 0..3)), entries in 0..5_usize, bytes in 0..40_usize,
        ) {
            let store = MemoryStore::default();
            store.commit(&batch_of(before)).expect("memory");
            let transaction = Transaction { store: &store, batch: batch_of(own) };
            let limit = ScanLimit { entries, bytes };
            let early = Table::ALL.map(|table| transaction.scan(table, &prefix, after.as_deref(), limit).expect("memory"));
            let own = transaction.into_batch();
            store.commit(&own).expect("memory");
            let late = Table::ALL.map(|table| store.scan(table, &prefix, after.as_deref(), limit).expect("memory"));
            prop_assert_eq!(early, late);
        }
    }
}
