//! [`Store`] on RocksDB: a column family per table, one synced write per batch, sealed values.
//!
//! Keys are stored as they are, because they are hashes and ids (see [`scrapering_core::id::Key`]); values
//! never touch the disk unsealed, neither in the write-ahead log nor in tables. Calls block on the disk: the
//! node makes them from its own thread.

use super::files::{self, FileError};
use super::keyring::Keyring;
use super::seal::SealError;
use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
};
use rocksdb::{Direction, ErrorKind, IteratorMode, LogLevel, Options, ReadOptions, WriteBatch, WriteOptions};
use scrapering_core::store::{Batch, Entry, ScanLimit, Store, StoreError, Table};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The database's name in a data folder.
pub const FOLDER: &str = "store";

/// What is kept of the tables in memory, over all tables.
const CACHE_BYTES: usize = 64 << 20;
/// One table's writes before they are sorted into a file; two such buffers a table at most.
const WRITE_BUFFER_BYTES: usize = 16 << 20;
/// All tables' writes together: with the cache, the engine stays near 128 MiB. After the disk was full the
/// engine takes writes again once about this much is free; it looks every five seconds.
const ALL_WRITE_BUFFERS_BYTES: usize = 64 << 20;
/// The log is replayed at start, so its length bounds the time to start.
const LOG_BYTES: u64 = 128 << 20;
/// File handles; containers often have 1,024, and the rest of the node needs sockets.
const OPEN_FILES: i32 = 256;
/// A body of at least this size is written once beside the tables and not rewritten by every compaction.
const SMALLEST_BLOB_BYTES: u64 = 4 << 10;

/// A node's tables on disk.
pub struct RocksStore {
    db: DB,
    keyring: Keyring,
}

/// Why the tables could not be opened. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder open.
    #[error(
        "the data folder {folder} is in use by another scrapering process; stop it, or give this node another folder"
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// The folder cannot be made.
    #[error("the data folder cannot be used")]
    Folder(#[from] FileError),
    /// The disk has no room left.
    #[error("the disk with the data folder {folder} is full; free space on it")]
    Full {
        /// The data folder.
        folder: PathBuf,
    },
    /// The files are damaged where acknowledged data may be.
    #[error(
        "the data folder {folder} is damaged; empty it, so that the node joins anew and gets its data from the ring"
    )]
    Damaged {
        /// The data folder.
        folder: PathBuf,
        /// What the engine said.
        #[source]
        source: rocksdb::Error,
    },
    /// The engine failed in another way.
    #[error("the data folder {folder} cannot be opened")]
    Engine {
        /// The data folder.
        folder: PathBuf,
        /// What the engine said.
        #[source]
        source: rocksdb::Error,
    },
}

impl RocksStore {
    /// Opens the tables in the data folder `folder`, made if absent; values are sealed with `keyring`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path, keyring: &Keyring) -> Result<Self, OpenError> {
        files::create_folder(folder)?;
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let tables = Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), table_options(table, &cache)));
        let db = DB::open_cf_descriptors(&engine_options(), folder.join(FOLDER), tables)
            .map_err(|source| open_error(folder, source))?;
        files::sync_folder(folder)?;
        Ok(Self { db, keyring: keyring.clone() })
    }

    fn family(&self, table: Table) -> Arc<BoundColumnFamily<'_>> {
        self.db.cf_handle(table.name()).expect("open() opens a column family for every table")
    }

    fn opened(&self, table: Table, key: &[u8], sealed: &[u8]) -> Result<Bytes, StoreError> {
        self.keyring.open(table.name(), key, sealed).map_err(|error| match error {
            SealError::UnknownFormat(found) => StoreError::UnknownFormat { table: table.name(), found },
            SealError::Damaged => StoreError::Damaged { table: table.name() },
        })
    }
}

impl Store for RocksStore {
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let sealed = self.db.get_pinned_cf(&self.family(table), key).map_err(|error| store_error(table, error))?;
        sealed.map(|sealed| self.opened(table, key, &sealed)).transpose()
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: ScanLimit,
    ) -> Result<Vec<Entry>, StoreError> {
        let start = match after {
            Some(after) if after >= prefix => [after, &[0]].concat(),
            _ => prefix.to_vec(),
        };
        let mut options = ReadOptions::default();
        if let Some(end) = end_of(prefix) {
            options.set_iterate_upper_bound(end);
        }
        let mut entries = Vec::new();
        let mut bytes = 0;
        for entry in
            self.db.iterator_cf_opt(&self.family(table), options, IteratorMode::From(&start, Direction::Forward))
        {
            let (key, sealed) = entry.map_err(|error| store_error(table, error))?;
            let value = self.opened(table, &key, &sealed)?;
            bytes += key.len() + value.len();
            entries.push((Bytes::from(key), value));
            if limit.is_reached(entries.len(), bytes) {
                break;
            }
        }
        Ok(entries)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let Some(((table, _), _)) = batch.writes.first_key_value() else { return Ok(()) };
        let families = Table::ALL.map(|table| self.family(table));
        let mut writes = WriteBatch::default();
        for ((table, key), value) in &batch.writes {
            let family = &families[*table as usize];
            match value {
                Some(value) => writes.put_cf(family, key, self.keyring.seal(table.name(), key, value)),
                None => writes.delete_cf(family, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(writes, &options).map_err(|error| store_error(*table, error))
    }
}

/// The first key after every key that begins with `prefix`; `None` when there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn engine_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // The default mode drops everything after the first damaged log record in silence, and with it
    // promises that were answered. A torn last record was never answered; any other damage must be loud.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_manual_wal_flush(false);
    options.set_max_total_wal_size(LOG_BYTES);
    options.set_db_write_buffer_size(ALL_WRITE_BUFFERS_BYTES);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(1 << 20);
    options.set_keep_log_file_num(2);
    options
}

fn table_options(table: Table, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_bloom_filter(10.0, false);
    // Filters and indexes count against the cache's bound, or memory would grow with the data.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_paranoid_checks(true);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_write_buffer_number(2);
    // Sealed values look random and do not shrink.
    options.set_compression_type(DBCompressionType::None);
    if table == Table::Bodies {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(SMALLEST_BLOB_BYTES);
        options.set_enable_blob_gc(true);
        options.set_blob_compression_type(DBCompressionType::None);
    }
    options
}

fn disk_is_full(error: &rocksdb::Error) -> bool {
    let text: &str = error.as_ref();
    text.contains("No space left") || text.contains("Disk quota exceeded")
}

fn open_error(folder: &Path, source: rocksdb::Error) -> OpenError {
    let folder = folder.to_owned();
    let text: &str = source.as_ref();
    let lock =
        text.contains("/LOCK") && (text.contains("lock hold by current process") || text.contains("While lock file"));
    match source.kind() {
        ErrorKind::IOError if lock => OpenError::InUse { folder },
        _ if disk_is_full(&source) => OpenError::Full { folder },
        ErrorKind::Corruption => OpenError::Damaged { folder, source },
        _ => OpenError::Engine { folder, source },
    }
}

fn store_error(table: Table, error: rocksdb::Error) -> StoreError {
    match error.kind() {
        _ if disk_is_full(&error) => StoreError::Full,
        ErrorKind::Corruption => StoreError::Damaged { table: table.name() },
        _ => StoreError::Engine(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::keyring::tests::ring_of;
    use std::fs;

    const CANARY: &[u8] = b"canary-3f1c-plaintext-of-a-page";

    fn one(table: Table, key: &[u8], value: &[u8]) -> Batch {
        let mut batch = Batch::default();
        batch.put(table, key.to_vec(), value.to_vec());
        batch
    }

    fn files_below(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder)
            .expect("folder")
            .map(|entry| entry.expect("entry").path())
            .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
            .collect()
    }

    fn write_raw(store: &RocksStore, table: Table, key: &[u8], sealed: &[u8]) {
        store.db.put_cf(&store.family(table), key, sealed).expect("raw write");
    }

    fn raw(store: &RocksStore, table: Table, key: &[u8]) -> Vec<u8> {
        store.db.get_cf(&store.family(table), key).expect("raw read").expect("there")
    }

    #[test]
    fn no_file_of_the_folder_shows_a_value_in_the_log_the_tables_or_the_blobs() {
        let folder = tempfile::tempdir().expect("folder");
        let store = RocksStore::open(folder.path(), &ring_of(&[1])).expect("open");
        let large = CANARY.repeat(2_000);
        for table in Table::ALL {
            store.commit(&one(table, b"small", CANARY)).expect("commit");
            store.commit(&one(table, b"large", &large)).expect("commit");
        }
        let shown = |when: &str| {
            for file in files_below(folder.path()) {
                let bytes = fs::read(&file).expect("file");
                assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY), "{when}: {}", file.display());
            }
        };
        shown("in the log");
        for table in Table::ALL {
            store.db.flush_cf(&store.family(table)).expect("flush");
        }
        assert!(files_below(folder.path()).iter().any(|file| file.extension().is_some_and(|kind| kind == "blob")));
        shown("in the tables");
        drop(store);
        shown("after closing");
        let store = RocksStore::open(folder.path(), &ring_of(&[1])).expect("open again");
        assert_eq!(store.read(Table::Bodies, b"large").expect("read").expect("there"), large);
    }

    #[test]
    fn every_flipped_byte_of_a_stored_value_is_reported_by_read_and_scan() {
        let folder = tempfile::tempdir().expect("folder");
        let store = RocksStore::open(folder.path(), &ring_of(&[1])).expect("open");
        store.commit(&one(Table::Registers, b"key", CANARY)).expect("commit");
        let sealed = raw(&store, Table::Registers, b"key");
        let everything = ScanLimit { entries: 10, bytes: 1000 };
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 0x55;
            write_raw(&store, Table::Registers, b"key", &damaged);
            let seen =
                [store.read(Table::Registers, b"key").err(), store.scan(Table::Registers, b"", None, everything).err()];
            for error in seen {
                match error.expect("noticed") {
                    StoreError::UnknownFormat { table: "registers", found } if at == 0 => assert_eq!(found, damaged[0]),
                    StoreError::Damaged { table: "registers" } if at > 0 => {}
                    other => panic!("byte {at}: {other}"),
                }
            }
        }
    }

    #[test]
    fn values_swapped_between_keys_or_tables_are_reported() {
        let folder = tempfile::tempdir().expect("folder");
        let store = RocksStore::open(folder.path(), &ring_of(&[1])).expect("open");
        store.commit(&one(Table::Registers, b"a", b"of a")).expect("commit");
        store.commit(&one(Table::Registers, b"b", b"of b")).expect("commit");
        let [of_a, of_b] = [raw(&store, Table::Registers, b"a"), raw(&store, Table::Registers, b"b")];
        write_raw(&store, Table::Registers, b"a", &of_b);
        write_raw(&store, Table::Registers, b"b", &of_a);
        write_raw(&store, Table::Views, b"a", &of_a);
        for (table, key) in [(Table::Registers, b"a"), (Table::Registers, b"b"), (Table::Views, b"a")] {
            assert!(
                matches!(store.read(table, key), Err(StoreError::Damaged { table: found }) if found == table.name())
            );
        }
    }

    #[test]
    fn a_keyring_without_the_key_of_a_value_reports_it_damaged() {
        let folder = tempfile::tempdir().expect("folder");
        let store = RocksStore::open(folder.path(), &ring_of(&[1])).expect("open");
        store.commit(&one(Table::Meta, b"key", b"value")).expect("commit");
        drop(store);
        let store = RocksStore::open(folder.path(), &ring_of(&[2])).expect("open");
        assert!(matches!(store.read(Table::Meta, b"key"), Err(StoreError::Damaged { table: "meta" })));
    }

    #[test]
    fn a_folder_that_is_open_elsewhere_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().expect("folder");
        let _open = RocksStore::open(folder.path(), &ring_of(&[1])).expect("open");
        let error = RocksStore::open(folder.path(), &ring_of(&[1])).err().expect("refused");
        assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
        assert!(error.to_string().contains("is in use by another scrapering process"));
    }

    fn the_log(folder: &Path) -> PathBuf {
        let logs = files_below(folder).into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "log"));
        logs.max_by_key(|file| fs::metadata(file).expect("log").len()).expect("a log")
    }

    /// A folder as a power cut leaves it: copied while the store is open, so that the log was never replayed.
    fn copy_of_running_store(writes: u8) -> tempfile::TempDir {
        let [folder, copy] = [(); 2].map(|()| tempfile::tempdir().expect("folder"));
        let store = RocksStore::open(folder.path(), &ring_of(&[1])).expect("open");
        for key in 0..writes {
            store.commit(&one(Table::Registers, &[key], &[key; 100])).expect("commit");
        }
        fs::create_dir(copy.path().join(FOLDER)).expect("copy");
        for file in files_below(folder.path()) {
            let name = file.file_name().expect("a file");
            fs::copy(&file, copy.path().join(FOLDER).join(name)).expect("copied");
        }
        copy
    }

    #[test]
    fn a_torn_last_record_of_the_log_costs_that_record_alone() {
        let folder = copy_of_running_store(10);
        let log = fs::OpenOptions::new().write(true).open(the_log(folder.path())).expect("log");
        let length = log.metadata().expect("length").len();
        log.set_len(length - 5).expect("cut");
        let store = RocksStore::open(folder.path(), &ring_of(&[1])).expect("open");
        let found = store.scan(Table::Registers, b"", None, ScanLimit { entries: 100, bytes: 100_000 }).expect("scan");
        assert_eq!(found.len(), 9);
    }

    #[test]
    fn damage_in_the_middle_of_the_log_is_loud_and_not_a_silent_loss() {
        let folder = copy_of_running_store(10);
        let path = the_log(folder.path());
        let mut log = fs::read(&path).expect("log");
        let middle = log.len() / 2;
        log[middle] ^= 0xff;
        fs::write(&path, log).expect("damage");
        let refused = RocksStore::open(folder.path(), &ring_of(&[1])).err();
        assert!(matches!(refused, Some(OpenError::Damaged { .. })), "{refused:?}");
    }

    #[test]
    fn a_full_disk_is_told_apart_from_a_broken_engine() {
        let full = StoreError::Full.to_string();
        assert!(full.contains("free some room"));
        assert_eq!(end_of(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of(b"\xff\xff"), None);
        assert_eq!(end_of(b""), None);
    }
}
