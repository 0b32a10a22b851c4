//! Reads a node's copies for a comparison, past the disk's writer: epoch first, so that what is read afterwards is
//! not older than it.

use super::reconcile::Place;
use super::{EntryId, Fingerprint, Root};
use crate::body::shelf;
use crate::id::{Key, NodeId, Partition};
use crate::register::{Ballot, codec};
use crate::store::{ScanLimit, Store, StoreError, Table, page_is_full};
use crate::view::{Epoch, Replica, Standing};
use std::collections::BTreeMap;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Registers.
    Registers,
    /// Bodies.
    Bodies,
}

/// Most registers read at a time.
const PAGE: ScanLimit = ScanLimit { entries: 512, bytes: 4 << 20 };

/// What `node`'s copy of `partition` amounts to, if the node may compare it in `epoch`: registers only as an active
/// member, bodies also when they are left over from an earlier view. `None` if it may not.
///
/// # Errors
/// [`StoreError`].
pub fn root(
    subject: Subject,
    node: NodeId,
    partition: Partition,
    epoch: Epoch,
    store: &dyn Store,
) -> Result<Option<Fingerprint>, StoreError> {
    let name = partition.0.to_be_bytes();
    let damaged = |table: Table| StoreError::Damaged { table: table.name() };
    let Some(replica) = store.read(Table::Views, &name)? else { return Ok(None) };
    let replica = Replica::decode(&replica).ok_or_else(|| damaged(Table::Views))?;
    if replica.view.epoch != epoch {
        return Ok(None);
    }
    match subject {
        Subject::Bodies => Ok(Some(shelf::root(partition, store)?.fingerprint)),
        Subject::Registers if replica.standing(node) != Standing::Active => Ok(None),
        Subject::Registers => {
            let stored = store.read(Table::Roots, &name)?;
            let root = stored.map_or(Some(Root::default()), Root::decode).ok_or_else(|| damaged(Table::Roots))?;
            Ok(Some(root.fingerprint))
        }
    }
}

/// The elements of the copy of `partition`.
///
/// # Errors
/// [`StoreError`].
pub fn places(subject: Subject, partition: Partition, store: &dyn Store) -> Result<Vec<Place>, StoreError> {
    match subject {
        Subject::Bodies => {
            Ok(shelf::list(partition, store)?.into_iter().map(|(hash, _)| Place::of_body(hash)).collect())
        }
        Subject::Registers => {
            let mut places = Vec::new();
            read_entries(partition, store, |key, ballot| places.push(Place::of_entry(&key, ballot)))?;
            Ok(places)
        }
    }
}

/// The names of the register entries of `partition`, by what they are called in a comparison.
///
/// # Errors
/// [`StoreError`].
pub fn names(partition: Partition, store: &dyn Store) -> Result<BTreeMap<EntryId, Vec<u8>>, StoreError> {
    let mut names = BTreeMap::new();
    read_entries(partition, store, |key, ballot| {
        names.insert(EntryId::new(&key, ballot), key.name);
    })?;
    Ok(names)
}

/// Registers that were only promised are no entries.
fn read_entries(partition: Partition, store: &dyn Store, mut each: impl FnMut(Key, Ballot)) -> Result<(), StoreError> {
    let damaged = || StoreError::Damaged { table: Table::Registers.name() };
    let (prefix, mut after) = (partition.0.to_be_bytes(), None);
    loop {
        let page = store.scan(Table::Registers, &prefix, after.as_deref(), PAGE)?;
        for (key, value) in &page {
            let key = Key::from_bytes(key).ok_or_else(damaged)?;
            let accepted = codec::decode(value.clone()).map_err(|_| damaged())?.accepted;
            if accepted.ballot != Ballot::default() {
                each(key, accepted.ballot);
            }
        }
        match page.last() {
            Some((last, _)) if page_is_full(&page, PAGE) => after = Some(last.to_vec()),
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::{Accepted, ProposerId, Register};
    use crate::store::Batch;
    use crate::store::memory::MemoryStore;
    use crate::view::View;

    const PARTITION: Partition = Partition(3);

    fn ballot(counter: u64) -> Ballot {
        Ballot { counter, proposer: ProposerId { node: NodeId([1; 20]), boot: 1 } }
    }

    fn register(number: u64) -> Key {
        Key::new(PARTITION, number.to_be_bytes())
    }

    #[test]
    fn every_accepted_entry_is_read_and_no_promise_is() {
        let (store, mut batch) = (MemoryStore::default(), Batch::default());
        for number in 1..1500 {
            let accepted = Accepted { ballot: ballot(number), value: None };
            let stored = Register { promised: ballot(number), accepted };
            batch.put(Table::Registers, register(number).to_bytes(), codec::encode(&stored));
        }
        let promised = Register { promised: ballot(9), accepted: Accepted::default() };
        batch.put(Table::Registers, Key::new(PARTITION, *b"promised").to_bytes(), codec::encode(&promised));
        batch.put(Table::Registers, Key::new(Partition(4), *b"else").to_bytes(), codec::encode(&promised));
        store.commit(&batch).expect("memory");
        let expected: BTreeMap<_, _> =
            (1..1500).map(|number| (EntryId::new(&register(number), ballot(number)), register(number).name)).collect();
        assert_eq!(names(PARTITION, &store).expect("memory"), expected);
        let read = places(Subject::Registers, PARTITION, &store).expect("memory");
        assert_eq!(
            read.iter().map(Place::id).collect::<std::collections::BTreeSet<_>>(),
            expected.into_keys().collect()
        );
    }

    #[test]
    fn a_copy_is_compared_only_in_its_own_epoch_and_registers_only_by_an_active_member() {
        let (store, member) = (MemoryStore::default(), NodeId([1; 20]));
        let view = View { epoch: Epoch(4), ..View::genesis(vec![member]) };
        let mut batch = Batch::default();
        batch.put(Table::Views, PARTITION.0.to_be_bytes().to_vec(), Replica::genesis(view, member).encode());
        store.commit(&batch).expect("memory");
        let compared = |subject, node, partition, epoch| {
            root(subject, node, partition, Epoch(epoch), &store).expect("memory").is_some()
        };
        assert!(compared(Subject::Registers, member, PARTITION, 4) && compared(Subject::Bodies, member, PARTITION, 4));
        assert!(
            !compared(Subject::Registers, member, PARTITION, 3) && !compared(Subject::Bodies, member, PARTITION, 5)
        );
        let stranger = NodeId([2; 20]);
        assert!(
            !compared(Subject::Registers, stranger, PARTITION, 4) && compared(Subject::Bodies, stranger, PARTITION, 4)
        );
        assert!(!compared(Subject::Bodies, member, Partition(9), 4));
    }
}
