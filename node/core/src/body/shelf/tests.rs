//! Copies that come, are renewed, rot and go, on the memory twin of the disk.

use super::*;
use crate::store::memory::MemoryStore;
use crate::store::{Batch, Entry};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn body(partition: u16, content: &[u8]) -> BodyRef {
    BodyRef { partition: Partition(partition), hash: BodyHash::of(content) }
}

fn write<T>(store: &MemoryStore, act: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
    let mut transaction = Transaction::new(store);
    let result = act(&mut transaction);
    store.commit(&transaction.into_batch()).expect("memory");
    result
}

fn put(store: &MemoryStore, partition: u16, content: &'static [u8], stored_ms: u64) -> BodyRef {
    let body = body(partition, content);
    let kept = write(store, |transaction| keep(body, Bytes::from_static(content), stored_ms, transaction));
    assert!(kept.expect("memory"));
    body
}

#[test]
fn a_copy_is_read_back_with_its_time() {
    let store = MemoryStore::default();
    let body = put(&store, 3, b"body", 1000);
    let copy = Found::Copy { content: Bytes::from_static(b"body"), stored_ms: 1000 };
    assert_eq!(read(body, &store).expect("memory"), copy);
    assert_eq!(label(body, &store).expect("memory"), Some(Label { stored_ms: 1000, bytes: 4 }));
    let elsewhere = BodyRef { partition: Partition(4), ..body };
    assert_eq!(read(elsewhere, &store).expect("memory"), Found::Absent);
}

#[test]
fn content_with_another_hash_or_too_long_is_not_kept() {
    let store = MemoryStore::default();
    let large = Bytes::from(vec![0; MAX_BODY_BYTES + 1]);
    let keep_it = |body, content: Bytes| write(&store, |transaction| keep(body, content, 0, transaction));
    assert!(!keep_it(body(1, b"body"), Bytes::from_static(b"bodx")).expect("memory"));
    assert!(!keep_it(body(1, &large), large).expect("memory"));
    assert_eq!(list(Partition(1), &store).expect("memory"), []);
}

#[test]
fn a_body_that_is_put_again_is_as_young_as_its_last_put() {
    let store = MemoryStore::default();
    for (stored_ms, expected) in [(1000, 1000), (5000, 5000), (2000, 5000)] {
        let body = put(&store, 3, b"body", stored_ms);
        assert_eq!(label(body, &store).expect("memory").expect("kept").stored_ms, expected);
    }
    assert_eq!(root(Partition(3), &store).expect("memory").bodies, 1);
}

#[test]
fn a_body_that_was_put_again_meanwhile_is_not_swept() {
    let store = MemoryStore::default();
    let body = put(&store, 3, b"body", 1000);
    let swept = |before_ms| write(&store, |transaction| sweep(body, before_ms, transaction)).expect("memory");
    assert!(!swept(1000));
    put(&store, 3, b"body", 2000);
    assert!(!swept(1001) && swept(2001) && !swept(2001));
    assert_eq!(read(body, &store).expect("memory"), Found::Absent);
    assert_eq!(root(Partition(3), &store).expect("memory"), Root::default());
}

#[test]
fn half_a_copy_is_a_damaged_one() {
    for table in [Table::Bodies, Table::BodyIndex] {
        let store = MemoryStore::default();
        let body = put(&store, 3, b"body", 1000);
        let mut batch = Batch::default();
        batch.delete(table, body.to_bytes());
        store.commit(&batch).expect("memory");
        assert_eq!(read(body, &store).expect("memory"), Found::Damaged);
        write(&store, |transaction| forget(body, transaction)).expect("memory");
        assert_eq!(read(body, &store).expect("memory"), Found::Absent);
    }
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
fn a_rotten_disk_does_not_stop_whatever_shares_the_transaction() {
    let body = body(3, b"body");
    assert_eq!(read(body, &Rotten).expect("no reason to fail"), Found::Damaged);
    let mut transaction = Transaction::new(&Rotten);
    forget(body, &mut transaction).expect("no reason to fail");
    assert!(keep(body, Bytes::from_static(b"body"), 1, &mut transaction).expect("no reason to fail"));
}

proptest! {
    #[test]
    fn the_list_and_the_root_tell_what_is_there_and_nothing_of_how_it_came_there(
        steps in proptest::collection::vec((0..3_u16, 0..6_u8, any::<bool>()), 0..60)
    ) {
        let (store, mut model) = (MemoryStore::default(), BTreeMap::new());
        for (at, (partition, number, keeps)) in (1..).zip(steps) {
            let (body, content) = (body(partition, &[number]), Bytes::from(vec![number]));
            if keeps {
                prop_assert!(write(&store, |transaction| keep(body, content, at, transaction)).expect("memory"));
                model.insert(body, Label { stored_ms: at, bytes: 1 });
            } else {
                write(&store, |transaction| forget(body, transaction)).expect("memory");
                model.remove(&body);
            }
        }
        for partition in (0..3).map(Partition) {
            let here: Vec<_> = model.iter().filter(|(body, _)| body.partition == partition).collect();
            let expected: Vec<_> = here.iter().map(|(body, label)| (body.hash, **label)).collect();
            prop_assert_eq!(list(partition, &store).expect("memory"), expected);
            let mut sum = Root::default();
            for (body, _) in here {
                sum.fingerprint.add(EntryId(body.hash.0));
                sum.bodies += 1;
            }
            prop_assert_eq!(root(partition, &store).expect("memory"), sum);
        }
    }
}
