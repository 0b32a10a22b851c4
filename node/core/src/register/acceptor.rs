//! The side of a register that keeps promises: CASPaxos acceptors for every partition of a node.
//!
//! Every answer rests on what the transaction will make durable: the caller commits it first, then replies.

use super::message::{Envelope, MAX_KEYS, Reply, Request};
use super::{Accepted, Ballot, MAX_CONTENT_BYTES, Register, Versioned, codec};
use crate::id::{Key, NodeId, Partition};
use crate::store::{ScanLimit, StoreError, Table, Transaction, page_is_full};
use crate::view::View;
use bytes::Bytes;
use std::collections::BTreeMap;

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
            Request::Read { keys } => keys.iter().map(|key| Ok(load(transaction, key)?.accepted)).collect::<Result<_, _>>().map(Reply::Read),
            Request::Prepare { ballot, keys } => {
                keys.iter().map(|key| handle_prepare(transaction, key, *ballot)).collect::<Result<_, _>>().map(Reply::Prepare)
            }
            Request::Accept { ballot, writes } => writes
                .iter()
                .map(|(key, value)| handle_accept(transaction, key, *ballot, value.clone()))
                .collect::<Result<_, _>>()
                .map(Reply::Accept),
            Request::Scan { prefix, after, limit } => handle_scan(transaction, envelope.partition, prefix, after.as_deref(), *limit),
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
        Request::Read { keys } => keys.len() <= MAX_KEYS && keys.iter().all(key_fits),
        Request::Prepare { ballot, keys } => ballot.is_usable() && keys.len() <= MAX_KEYS && keys.iter().all(key_fits),
        Request::Accept { ballot, writes } => {
            ballot.is_usable() && writes.len() <= MAX_KEYS && writes.iter().all(|(key, value)| key_fits(key) && content_fits(value))
        }
        Request::Scan { prefix, .. } => prefix.len() <= Key::MAX_NAME_BYTES,
    }
}

fn handle_prepare(transaction: &mut Transaction<'_>, key: &Key, ballot: Ballot) -> Result<Result<Accepted, Ballot>, StoreError> {
    let mut register = load(transaction, key)?;
    // The same ballot again is the same proposer's message again: nobody else can use it.
    if ballot < register.promised || ballot <= register.accepted.ballot {
        return Ok(Err(register.promised.max(register.accepted.ballot)));
    }
    register.promised = ballot;
    transaction.put(Table::Registers, key.to_bytes(), codec::encode(&register));
    Ok(Ok(register.accepted))
}

fn handle_accept(transaction: &mut Transaction<'_>, key: &Key, ballot: Ballot, value: Option<Versioned>) -> Result<Result<(), Ballot>, StoreError> {
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
    let entries = found.into_iter().map(|(key, bytes)| Ok((key[2..].to_vec(), decode(bytes)?.accepted))).collect::<Result<_, StoreError>>()?;
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
    use crate::register::ProposerId;
    use crate::store::memory::MemoryStore;
    use crate::view::Epoch;

    fn answer_to(counter: u64) -> [Reply; 2] {
        let node = NodeId::new("ring-0", 1);
        let (partition, epoch) = (Partition(7), Epoch(1));
        let acceptor = Acceptor::new(node, BTreeMap::from([(partition, View { epoch, members: vec![node] })]));
        let ballot = Ballot { counter, proposer: ProposerId { node, boot: 1 } };
        let key = Key::new(partition, *b"key");
        let store = MemoryStore::default();
        let mut transaction = Transaction::new(&store);
        let requests = [Request::Prepare { ballot, keys: vec![key.clone()] }, Request::Accept { ballot, writes: vec![(key, None)] }];
        requests.map(|request| acceptor.handle(&Envelope { partition, epoch, request }, &mut transaction).expect("memory does not fail"))
    }

    #[test]
    fn a_ballot_that_no_proposer_may_use_is_refused() {
        assert_eq!(answer_to(1), [Reply::Prepare(vec![Ok(Accepted::default())]), Reply::Accept(vec![Ok(())])]);
        for counter in [0, Ballot::MAX_COUNTER + 1, u64::MAX] {
            assert_eq!(answer_to(counter), [Reply::Refused, Reply::Refused]);
        }
    }
}
