//! The memory twin of the node's disk: the same contract, gone with the process.

use super::{Batch, Entry, ScanLimit, Store, StoreError, Table};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

/// Ordered tables in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: RwLock<BTreeMap<(Table, Vec<u8>), Bytes>>,
}

impl Store for MemoryStore {
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        Ok(tables.get(&(table, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: ScanLimit,
    ) -> Result<Vec<Entry>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.to_vec())),
            _ => Bound::Included((table, prefix.to_vec())),
        };
        let mut entries = Vec::new();
        let mut bytes = 0;
        for ((_, key), value) in
            tables.range((start, Bound::Unbounded)).take_while(|((t, key), _)| *t == table && key.starts_with(prefix))
        {
            bytes += key.len() + value.len();
            entries.push((Bytes::copy_from_slice(key), value.clone()));
            if limit.is_reached(entries.len(), bytes) {
                break;
            }
        }
        Ok(entries)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in &batch.writes {
            match value {
                Some(value) => tables.insert(key.clone(), value.clone()),
                None => tables.remove(key),
            };
        }
        Ok(())
    }
}
