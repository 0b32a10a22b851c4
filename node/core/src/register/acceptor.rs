//! The side of a register that keeps promises: CASPaxos acceptors for every partition of a node.
//!
//! Every answer rests on what the transaction will make durable: the caller commits it first, then replies.
//!
//! Every answer is bounded. What a read would carry beyond [`MAX_REPLY_BYTES`] is refused, and the proposer goes
//! on with a prepare; of a prepare, the keys beyond the bound are denied without a promise, and the proposer asks
//! for them again when it is through with the others. So a batch may name large registers, and takes more rounds.

use super::message::{Envelope, MAX_KEYS, MAX_REPLY_BYTES, Reply, Request};
use super::{Accepted, Ballot, MAX_CONTENT_BYTES, Register, Versioned, codec};
use crate::id::{Key, NodeId, Partition};
use crate::store::{ScanLimit, StoreError, Table, Transaction, page_is_full};
use crate::view::View;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Most bytes in one answer to a scan.
const SCAN_BYTES: usize = 2 * 1024 * 1024;

/// The acceptors of one node.
#[derive(Clone, Debug)]
pub struct Acceptor {
    node: NodeId,
    views: BTreeMap<Partition, View>,
}

impl Acceptor {
    /// Acceptors of `node` in `views`; partitions that are not listed are refused.
    #[must_use]
    pub fn new(node: NodeId, views: BTreeMap<Partition, View>) -> Self {
        Self { node, views }
    }

    /// Answers one request; what must be durable before the answer leaves is added to `transaction`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; the transaction must then be dropped.
    pub fn handle(&self, envelope: &Envelope, transaction: &mut Transaction<'_>) -> Result<Reply, StoreError> {
        let Some(view) = self.views.get(&envelope.partition) else { return Ok(Reply::Refused) };
        if !view.members.contains(&self.node) || !well_formed(envelope) {
            return Ok(Reply::Refused);
        }
        if view.epoch != envelope.epoch {
            return Ok(Reply::Stale(view.clone()));
        }
        match &envelope.request {
            Request::Read { keys } => handle_read(transaction, keys),
            Request::Prepare { ballot, keys } => handle_prepare(transaction, keys, *ballot),
            Request::Accept { ballot, writes } => writes
                .iter()
                .map(|(key, value)| handle_accept(transaction, key, *ballot, value.clone()))
                .collect::<Result<_, _>>()
                .map(Reply::Accept),
            Request::Scan { prefix, after, limit } => {
                handle_scan(transaction, envelope.partition, prefix, after.as_deref(), *limit)
            }
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
    key: &Key,
    ballot: Ballot,
    value: Option<Versioned>,
) -> Result<Result<(), Ballot>, StoreError> {
    let register = load(transaction, key)?;
    if ballot < register.promised || ballot < register.accepted.ballot {
        return Ok(Err(register.promised.max(register.accepted.ballot)));
    }
    let register = Register { promised: ballot, accepted: Accepted { ballot, value } };
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
        let view = View { epoch: Epoch(1), members: vec![node] };
        (node, Acceptor::new(node, BTreeMap::from([(PARTITION, view)])))
    }

    fn ballot(counter: u64) -> Ballot {
        Ballot { counter, proposer: ProposerId { node: alone().0, boot: 1 } }
    }

    fn ask(transaction: &mut Transaction<'_>, request: Request) -> Reply {
        let envelope = Envelope { partition: PARTITION, epoch: Epoch(1), request };
        alone().1.handle(&envelope, transaction).expect("memory does not fail")
    }

    fn answer_to(counter: u64) -> [Reply; 2] {
        let (ballot, key) = (ballot(counter), Key::new(PARTITION, *b"key"));
        let store = MemoryStore::default();
        let mut transaction = Transaction::new(&store);
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
        let mut transaction = Transaction::new(&store);
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
        let mut transaction = Transaction::new(&store);
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
