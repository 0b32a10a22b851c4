//! Acceptors that forget a rule: the register on disk is doctored just before the real acceptor looks at it.

use scrapering_core::id::Key;
use scrapering_core::register::{Ballot, Envelope, Request, codec};
use scrapering_core::store::{StoreError, Table, Transaction};

pub(super) fn forget_promises_before_accept(
    envelope: &Envelope,
    transaction: &mut Transaction<'_>,
) -> Result<(), StoreError> {
    match &envelope.request {
        Request::Accept { ballot, writes } => {
            writes.iter().try_for_each(|(key, _)| forget_promise(transaction, key, *ballot))
        }
        _ => Ok(()),
    }
}

pub(super) fn forget_promises_before_prepare(
    envelope: &Envelope,
    transaction: &mut Transaction<'_>,
) -> Result<(), StoreError> {
    match &envelope.request {
        Request::Prepare { ballot, keys } => keys.iter().try_for_each(|key| forget_promise(transaction, key, *ballot)),
        _ => Ok(()),
    }
}

/// Lowers a promise that stands against `ballot` to what is accepted.
fn forget_promise(transaction: &mut Transaction<'_>, key: &Key, ballot: Ballot) -> Result<(), StoreError> {
    let Some(bytes) = transaction.read(Table::Registers, &key.to_bytes())? else { return Ok(()) };
    let mut register = codec::decode(bytes).map_err(|_| StoreError::Damaged { table: Table::Registers.name() })?;
    if ballot < register.promised && ballot > register.accepted.ballot {
        register.promised = register.accepted.ballot;
        transaction.put(Table::Registers, key.to_bytes(), codec::encode(&register));
    }
    Ok(())
}
