//! RocksDB and the memory twin are given the same random histories and must answer the same.

use super::RocksStore;
use super::keyring::tests::ring_of;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scrapering_core::store::memory::MemoryStore;
use scrapering_core::store::{Batch, ScanLimit, Store, Table};

/// One thing done to both stores.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(Table, Vec<u8>, Option<Vec<u8>>)>),
    Read(Table, Vec<u8>),
    Scan { table: Table, prefix: Vec<u8>, after: Option<Vec<u8>>, limit: ScanLimit },
    Reopen,
}

/// Few and short keys around the borders of prefixes, so that histories meet themselves.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(select(vec![0x00, 0x01, b'a', 0xfe, 0xff]), 0..4)
}

fn table() -> impl Strategy<Value = Table> {
    select(Table::ALL.to_vec())
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 5_000..6_000)]
}

fn step() -> impl Strategy<Value = Step> {
    let limit = (0..6_usize, 0..120_usize).prop_map(|(entries, bytes)| ScanLimit { entries, bytes });
    let all = ScanLimit { entries: usize::MAX, bytes: usize::MAX };
    let write = (table(), key(), proptest::option::weighted(0.7, value()));
    prop_oneof![
        8 => vec(write, 0..6).prop_map(Step::Commit),
        4 => (table(), key()).prop_map(|(table, key)| Step::Read(table, key)),
        8 => (table(), key(), proptest::option::of(key()), prop_oneof![limit, Just(all)])
            .prop_map(|(table, prefix, after, limit)| Step::Scan { table, prefix, after, limit }),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn both_stores_answer_every_history_alike_also_after_opening_again(steps in vec(step(), 1..60)) {
        let folder = tempfile::tempdir().expect("folder");
        let keyring = ring_of(&[1]);
        let memory = MemoryStore::default();
        let mut disk = RocksStore::open(folder.path(), &keyring).expect("open");
        for step in steps.into_iter().chain([Step::Reopen]) {
            match step {
                Step::Commit(writes) => {
                    let mut batch = Batch::default();
                    for (table, key, value) in writes {
                        batch.writes.insert((table, key), value.map(Bytes::from));
                    }
                    memory.commit(&batch).expect("memory");
                    disk.commit(&batch).expect("disk");
                }
                Step::Read(table, key) => {
                    prop_assert_eq!(disk.read(table, &key).expect("disk"), memory.read(table, &key).expect("memory"));
                }
                Step::Scan { table, prefix, after, limit } => {
                    let found = disk.scan(table, &prefix, after.as_deref(), limit).expect("disk");
                    prop_assert_eq!(found, memory.scan(table, &prefix, after.as_deref(), limit).expect("memory"));
                }
                Step::Reopen => {
                    drop(disk);
                    disk = RocksStore::open(folder.path(), &keyring).expect("open again");
                }
            }
        }
        let all = ScanLimit { entries: usize::MAX, bytes: usize::MAX };
        for table in Table::ALL {
            prop_assert_eq!(disk.scan(table, b"", None, all).expect("disk"), memory.scan(table, b"", None, all).expect("memory"));
        }
    }
}
