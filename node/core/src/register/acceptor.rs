//! The side of a register that keeps promises: CASPaxos acceptors for every partition of a node.
//!
//! Every answer rests on what the transaction will make durable: the caller commits it first, then replies.
//!
//! Every answer is bounded. What a read would carry beyond [`MAX_REPLY_BYTES`] is refused, and the proposer goes
//! on with a prepare; of a prepare, the keys beyond the bound are denied without a promise, and the proposer asks
//! for them again when it is through with the others. So a batch may name large registers, and takes more rounds.

mod copy;

use super::message::{Envelope, MAX_KEYS, MAX_REPLY_BYTES, Reply, Request};
use super::{Accepted, Ballot, MAX_CONTENT_BYTES, Register, Versioned, codec};
use crate::id::{Key, NodeId, PARTITIONS, Partition};
use crate::store::{Batch, ScanLimit, Store, StoreError, Table, Transaction, page_is_full};
use crate::sync::Root;
use crate::view::{self, Replica, Standing, View};
use bytes::Bytes;
use copy::Copy;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Most bytes in one answer to a scan.
const SCAN_BYTES: usize = 2 * 1024 * 1024;

/// What a node keeps about one partition.
#[derive(Clone, Debug)]
pub struct Partitioned {
    /// Its part in the partition's views.
    pub replica: Replica,
    /// Its copy.
    pub root: Root,
}

/// The acceptors of one node, with its part in the views of every partition.
///
/// What [`Acceptor::handle`] changes is in the transaction as well: when that cannot be made durable, the memory of
/// it must go too ([`Acceptor::load`] again).
#[derive(Clone, Debug)]
pub struct Acceptor {
    node: NodeId,
    partitions: BTreeMap<Partition, Partitioned>,
}

impl Acceptor {
    /// Acceptors of `node` at the beginning of a ring with these views, when nothing was written yet.
    #[must_use]
    pub fn genesis(node: NodeId, views: &BTreeMap<Partition, View>) -> Self {
        let begin = |view: &View| Partitioned { replica: Replica::genesis(view.clone(), node), root: Root::default() };
        Self { node, partitions: views.iter().map(|(partition, view)| (*partition, begin(view))).collect() }
    }

    /// The acceptors of `node` as `store` has them; none in a store that is new.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read, or holds something else.
    pub fn load(node: NodeId, store: &dyn Store) -> Result<Self, StoreError> {
        let limit = ScanLimit { entries: usize::from(PARTITIONS) + 1, bytes: usize::MAX };
        let damaged = |table: Table| StoreError::Damaged { table: table.name() };
        let mut partitions = BTreeMap::new();
        for (key, bytes) in store.scan(Table::Views, &[], None, limit)? {
            let number = key.as_ref().try_into().map_err(|_| damaged(Table::Views))?;
            let replica = Replica::decode(&bytes).ok_or_else(|| damaged(Table::Views))?;
            let root = store.read(Table::Roots, &key)?.map_or(Some(Root::default()), Root::decode);
            let root = root.ok_or_else(|| damaged(Table::Roots))?;
            partitions.insert(Partition(u16::from_be_bytes(number)), Partitioned { replica, root });
        }
        Ok(Self { node, partitions })
    }

    /// Writes down everything: what a ring begins with.
    pub fn persist(&self, batch: &mut Batch) {
        for (partition, slot) in &self.partitions {
            let key = partition.0.to_be_bytes().to_vec();
            batch.put(Table::Views, key.clone(), slot.replica.encode());
            batch.put(Table::Roots, key, slot.root.encode());
        }
    }

    /// Whose acceptors these are.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// What the node keeps about `partition`.
    #[must_use]
    pub fn partition(&self, partition: Partition) -> Option<&Partitioned> {
        self.partitions.get(&partition)
    }

    /// As [`Acceptor::partition`], to be changed; what is changed so is not made durable.
    pub fn partition_mut(&mut self, partition: Partition) -> Option<&mut Partitioned> {
        self.partitions.get_mut(&partition)
    }

    /// Every partition of which the node has heard.
    pub fn partitions(&self) -> impl Iterator<Item = (Partition, &Partitioned)> {
        self.partitions.iter().map(|(partition, slot)| (*partition, slot))
    }

    /// Answers one request; what must be durable before the answer leaves is added to `transaction`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; the transaction must then be dropped.
    pub fn handle(&mut self, envelope: &Envelope, transaction: &mut Transaction<'_>) -> Result<Reply, StoreError> {
        if !well_formed(envelope) {
            return Ok(Reply::Refused);
        }
        let partition = envelope.partition;
        let slot = match (self.partitions.entry(partition), &envelope.request) {
            (Entry::Occupied(slot), _) => slot.into_mut(),
            (Entry::Vacant(empty), Request::View(view::message::Request::Install(view))) => {
                empty.insert(Partitioned { replica: Replica::outside(view.clone()), root: Root::default() })
            }
            (Entry::Vacant(_), _) => return Ok(Reply::NotReady),
        };
        let (name, root) = (partition.0.to_be_bytes(), slot.root);
        let reply = match &envelope.request {
            Request::View(request) => {
                let stored = transaction.read(Table::Views, &name)?;
                let reply = Copy { node: self.node, partition, slot, transaction }.handle(envelope, request)?;
                let replica = slot.replica.encode();
                if stored.as_ref() != Some(&replica) {
                    transaction.put(Table::Views, name.to_vec(), replica);
                }
                reply
            }
            _ => slot.handle_data(self.node, envelope, transaction)?,
        };
        if slot.root != root {
            transaction.put(Table::Roots, name.to_vec(), slot.root.encode());
        }
        Ok(reply)
    }
}

impl Partitioned {
    fn handle_data(
        &mut self,
        node: NodeId,
        envelope: &Envelope,
        transaction: &mut Transaction<'_>,
    ) -> Result<Reply, StoreError> {
        let view = &self.replica.view;
        if envelope.epoch < view.epoch {
            return Ok(Reply::Stale(view.clone()));
        }
        if envelope.epoch == view.epoch && !view.has(node) {
            return Ok(Reply::Refused);
        }
        if envelope.epoch > view.epoch || self.replica.standing(node) != Standing::Active {
            return Ok(Reply::NotReady);
        }
        match &envelope.request {
            Request::Read { keys } => handle_read(transaction, keys),
            Request::Prepare { ballot, keys } => handle_prepare(transaction, keys, *ballot),
            Request::Accept { ballot, writes } => writes
                .iter()
                .map(|(key, value)| handle_accept(transaction, &mut self.root, key, *ballot, value.clone()))
                .collect::<Result<_, _>>()
                .map(Reply::Accept),
            Request::Scan { prefix, after, limit } => {
                handle_scan(transaction, envelope.partition, prefix, after.as_deref(), *limit)
            }
            Request::View(_) => Ok(Reply::Refused),
        }
    }
}

/// Peers are not trusted to be well behaved, however well they are known.
fn well_formed(envelope: &Envelope) -> bool {
    let key_fits = |key: &Key| key.partition == envelope.partition && key.name.len() <= Key::MAX_NAME_BYTES;
    let content_fits = |value: &Option<Versioned>| {
        value.as_ref().and_then(|value| value.content.as_ref()).is_none_or(|content| content.len() <= MAX_CONTENT_BYTES)
    };
    match &envelope.request {
        Request::Read { keys } => keys.iter().all(key_fits) && are_distinct(keys.iter()),
        Request::Prepare { ballot, keys } => {
            ballot.is_usable() && keys.iter().all(key_fits) && are_distinct(keys.iter())
        }
        Request::Accept { ballot, writes } => {
            ballot.is_usable()
                && writes.iter().all(|(key, value)| key_fits(key) && content_fits(value))
                && are_distinct(writes.iter().map(|(key, _)| key))
        }
        Request::Scan { prefix, .. } => prefix.len() <= Key::MAX_NAME_BYTES,
        Request::View(request) => copy::is_well_formed(request),
    }
}

/// Whether there are at most [`MAX_KEYS`] keys, none of them twice: two answers about one key would not be one
/// answer about each of two.
fn are_distinct<'key>(keys: impl ExactSizeIterator<Item = &'key Key>) -> bool {
    let count = keys.len();
    count <= MAX_KEYS && keys.collect::<BTreeSet<_>>().len() == count
}

fn content_bytes(accepted: &Accepted) -> usize {
    accepted.value.as_ref().and_then(|value| value.content.as_ref()).map_or(0, Bytes::len)
}

fn handle_read(transaction: &Transaction<'_>, keys: &[Key]) -> Result<Reply, StoreError> {
    let (mut answers, mut bytes) = (Vec::with_capacity(keys.len()), 0);
    for key in keys {
        let accepted = load(transaction, key)?.accepted;
        bytes += content_bytes(&accepted);
        if bytes > MAX_REPLY_BYTES {
            return Ok(Reply::Refused);
        }
        answers.push(accepted);
    }
    Ok(Reply::Read(answers))
}

fn handle_prepare(transaction: &mut Transaction<'_>, keys: &[Key], ballot: Ballot) -> Result<Reply, StoreError> {
    let (mut answers, mut bytes) = (Vec::with_capacity(keys.len()), 0);
    for key in keys {
        let answer = prepare(transaction, key, ballot, MAX_REPLY_BYTES - bytes)?;
        bytes += answer.as_ref().map_or(0, content_bytes);
        answers.push(answer);
    }
    Ok(Reply::Prepare(answers))
}

/// Promises, unless a higher ballot forbids it or the answer would carry more than `room` bytes.
fn prepare(
    transaction: &mut Transaction<'_>,
    key: &Key,
    ballot: Ballot,
    room: usize,
) -> Result<Result<Accepted, Ballot>, StoreError> {
    let mut register = load(transaction, key)?;
    let too_large = content_bytes(&register.accepted) > room;
    // The same ballot again is the same proposer's message again: nobody else can use it.
    if too_large || ballot < register.promised || ballot <= register.accepted.ballot {
        return Ok(Err(register.promised.max(register.accepted.ballot)));
    }
    register.promised = ballot;
    transaction.put(Table::Registers, key.to_bytes(), codec::encode(&register));
    Ok(Ok(register.accepted))
}

fn handle_accept(
    transaction: &mut Transaction<'_>,
    root: &mut Root,
    key: &Key,
    ballot: Ballot,
    value: Option<Versioned>,
) -> Result<Result<(), Ballot>, StoreError> {
    let register = load(transaction, key)?;
    if ballot < register.promised || ballot < register.accepted.ballot {
        return Ok(Err(register.promised.max(register.accepted.ballot)));
    }
    let before = register.accepted;
    let register = Register { promised: ballot, accepted: Accepted { ballot, value } };
    root.replace(key, &before, &register.accepted);
    transaction.put(Table::Registers, key.to_bytes(), codec::encode(&register));
    Ok(Ok(()))
}

fn handle_scan(
    transaction: &Transaction<'_>,
    partition: Partition,
    prefix: &[u8],
    after: Option<&[u8]>,
    entries: usize,
) -> Result<Reply, StoreError> {
    let in_partition = |name: &[u8]| Key::new(partition, name).to_bytes();
    let limit = ScanLimit { entries: entries.clamp(1, MAX_KEYS), bytes: SCAN_BYTES };
    let found = transaction.scan(Table::Registers, &in_partition(prefix), after.map(in_partition).as_deref(), limit)?;
    let complete = !page_is_full(&found, limit);
    let entries = found
        .into_iter()
        .map(|(key, bytes)| Ok((key[2..].to_vec(), decode(bytes)?.accepted)))
        .collect::<Result<_, StoreError>>()?;
    Ok(Reply::Scan { entries, complete })
}

fn load(transaction: &Transaction<'_>, key: &Key) -> Result<Register, StoreError> {
    transaction.read(Table::Registers, &key.to_bytes())?.map_or_else(|| Ok(Register::default()), decode)
}

/// What `store` holds for `key`, whatever the part of its node in any view: a copy that may be old.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn copy(store: &dyn Store, key: &Key) -> Result<Option<Versioned>, StoreError> {
    Ok(store.read(Table::Registers, &key.to_bytes())?.map(decode).transpose()?.and_then(|found| found.accepted.value))
}

fn decode(bytes: Bytes) -> Result<Register, StoreError> {
    codec::decode(bytes).map_err(|_| StoreError::Damaged { table: Table::Registers.name() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::OperationId;
    use crate::register::ProposerId;
    use crate::store::memory::MemoryStore;
    use crate::view::Epoch;

    const PARTITION: Partition = Partition(7);

    fn alone() -> (NodeId, Acceptor) {
        let node = NodeId::new("ring-0", 1);
        let view = View::genesis(vec![node]);
        (node, Acceptor::genesis(node, &BTreeMap::from([(PARTITION, view)])))
    }

    fn ballot(counter: u64) -> Ballot {
        Ballot { counter, proposer: ProposerId { node: alone().0, boot: 1 } }
    }

    /// A node's only acceptor in the middle of a transaction.
    struct Busy<'store>(Acceptor, Transaction<'store>);

    impl<'store> Busy<'store> {
        fn over(store: &'store MemoryStore) -> Self {
            Self(alone().1, Transaction::new(store))
        }
    }

    fn ask(busy: &mut Busy<'_>, request: Request) -> Reply {
        let envelope = Envelope { partition: PARTITION, epoch: Epoch(1), request };
        busy.0.handle(&envelope, &mut busy.1).expect("memory does not fail")
    }

    fn answer_to(counter: u64) -> [Reply; 2] {
        let (ballot, key) = (ballot(counter), Key::new(PARTITION, *b"key"));
        let store = MemoryStore::default();
        let mut transaction = Busy::over(&store);
        let requests = [
            Request::Prepare { ballot, keys: vec![key.clone()] },
            Request::Accept { ballot, writes: vec![(key, None)] },
        ];
        requests.map(|request| ask(&mut transaction, request))
    }

    #[test]
    fn a_ballot_that_no_proposer_may_use_is_refused() {
        assert_eq!(answer_to(1), [Reply::Prepare(vec![Ok(Accepted::default())]), Reply::Accept(vec![Ok(())])]);
        for counter in [0, Ballot::MAX_COUNTER + 1, u64::MAX] {
            assert_eq!(answer_to(counter), [Reply::Refused, Reply::Refused]);
        }
    }

    #[test]
    fn a_request_that_names_a_key_twice_is_refused() {
        let (ballot, store) = (ballot(1), MemoryStore::default());
        let keys = |names: [&str; 2]| names.map(|name| Key::new(PARTITION, name)).to_vec();
        let requests = |names| {
            let writes = keys(names).into_iter().map(|key| (key, None)).collect();
            [
                Request::Read { keys: keys(names) },
                Request::Prepare { ballot, keys: keys(names) },
                Request::Accept { ballot, writes },
            ]
        };
        let mut transaction = Busy::over(&store);
        for request in requests(["a", "b"]) {
            assert_ne!(ask(&mut transaction, request), Reply::Refused);
        }
        for request in requests(["a", "a"]) {
            assert_eq!(ask(&mut transaction, request), Reply::Refused);
        }
    }

    #[test]
    fn an_answer_never_carries_more_than_its_bound() {
        let store = MemoryStore::default();
        let mut transaction = Busy::over(&store);
        let fitting = MAX_REPLY_BYTES / MAX_CONTENT_BYTES;
        let keys: Vec<Key> = (0..=fitting as u8).map(|number| Key::new(PARTITION, [number])).collect();
        let content = Bytes::from(vec![7; MAX_CONTENT_BYTES]);
        for key in &keys {
            let value = Versioned { version: 1, operation: OperationId(1), content: Some(content.clone()) };
            let writes = vec![(key.clone(), Some(value))];
            assert_eq!(
                ask(&mut transaction, Request::Accept { ballot: ballot(1), writes }),
                Reply::Accept(vec![Ok(())])
            );
        }
        let read = |count: usize| Request::Read { keys: keys[..count].to_vec() };
        assert!(matches!(ask(&mut transaction, read(fitting)), Reply::Read(answers) if answers.len() == fitting));
        assert_eq!(ask(&mut transaction, read(fitting + 1)), Reply::Refused);
        let Reply::Prepare(answers) = ask(&mut transaction, Request::Prepare { ballot: ballot(5), keys: keys.clone() })
        else {
            panic!("a prepare is answered key by key")
        };
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), fitting);
        assert_eq!(answers[fitting], Err(ballot(1)));
        // What was denied was not promised either.
        let writes = vec![(keys[fitting].clone(), None)];
        assert_eq!(ask(&mut transaction, Request::Accept { ballot: ballot(2), writes }), Reply::Accept(vec![Ok(())]));
    }
}
