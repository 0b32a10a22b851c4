//! What a message did to a replica, noted while it is handled: the watchers hear of it when it is on disk.

use scrapering_core::id::{Key, Partition};
use scrapering_core::register::{Accepted, Acceptor, Ballot, Envelope, Reply, Request, codec};
use scrapering_core::store::{ScanLimit, Store, StoreError, Table, Transaction};
use scrapering_core::sync::Root;
use scrapering_core::view::message::{Guard, Next, Reply as ViewReply, Request as ViewRequest};
use scrapering_core::view::{Epoch, View};
use std::collections::BTreeMap;

/// The entries of a copy.
pub(super) type Entries = BTreeMap<Key, Accepted>;

/// Something that a message did.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// Accepted under the acceptor's rule: from a proposer, or relayed by another member.
    Accepted { epoch: Epoch, key: Key, accepted: Accepted, relayed: bool },
    /// Written or deleted under no rule but that of copies.
    Replaced { key: Key },
    /// Accepted as the next view.
    Decided { partition: Partition, epoch: Epoch, ballot: Ballot, next: Next },
    /// The view is served from now on; the copy held these entries.
    Began { partition: Partition, view: View, entries: Entries, is_late: bool },
}

/// A replica before a message.
pub(super) struct Before {
    holds: Option<Epoch>,
    /// Of requests that may begin a view or delete the copy.
    entries: Entries,
}

impl Before {
    pub(super) fn of(
        acceptor: &Acceptor,
        envelope: &Envelope,
        transaction: &Transaction<'_>,
    ) -> Result<Self, StoreError> {
        let holds = acceptor.partition(envelope.partition).and_then(|slot| slot.replica.holds);
        let whole = matches!(
            envelope.request,
            Request::View(
                ViewRequest::Install(_) | ViewRequest::Finish | ViewRequest::Retire | ViewRequest::Seal { .. }
            )
        );
        let entries = if whole { entries_in(transaction, envelope.partition)? } else { Entries::new() };
        Ok(Self { holds, entries })
    }

    /// What the message did, given the replica after it.
    pub(super) fn notes(
        self,
        acceptor: &Acceptor,
        envelope: &Envelope,
        reply: &Reply,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<Note>, StoreError> {
        let (partition, epoch) = (envelope.partition, envelope.epoch);
        let key = |name: &Vec<u8>| Key::new(partition, name.clone());
        let request = match (&envelope.request, reply) {
            (Request::Accept { ballot, writes }, Reply::Accept(answers)) => {
                let granted = writes.iter().zip(answers).filter(|(_, answer)| answer.is_ok());
                let note = |((key, value), _): (&(Key, _), _)| {
                    let accepted = Accepted { ballot: *ballot, value: Option::clone(value) };
                    Note::Accepted { epoch, key: key.clone(), accepted, relayed: false }
                };
                return Ok(granted.map(note).collect());
            }
            (Request::View(request), Reply::View(_)) => request,
            _ => return Ok(Vec::new()),
        };
        let mut notes = Vec::new();
        match request {
            ViewRequest::Decide { ballot, next } if *reply == Reply::View(ViewReply::Decided) => {
                notes.push(Note::Decided { partition, epoch, ballot: *ballot, next: next.clone() });
            }
            ViewRequest::Adopt { guard: Guard::Relay, entries, .. } => {
                for (name, accepted) in entries {
                    if accepted_under(transaction, &key(name))?.ballot == accepted.ballot {
                        let (key, accepted) = (key(name), accepted.clone());
                        notes.push(Note::Accepted { epoch, key, accepted, relayed: true });
                    }
                }
            }
            ViewRequest::Adopt { remove, entries, .. } => {
                let names = remove.iter().chain(entries.iter().map(|(name, _)| name));
                notes.extend(names.map(|name| Note::Replaced { key: key(name) }));
            }
            ViewRequest::Install(_) | ViewRequest::Finish => {
                let slot = acceptor.partition(partition);
                if let Some(slot) = slot.filter(|slot| slot.replica.holds.is_some() && slot.replica.holds != self.holds)
                {
                    let view = slot.replica.view.clone();
                    let is_late = *request == ViewRequest::Finish;
                    let marks = self.entries.iter().filter(|(_, accepted)| accepted.is_tombstone());
                    notes.extend(marks.map(|(key, _)| Note::Replaced { key: key.clone() }));
                    notes.push(Note::Began { partition, view, entries: self.entries, is_late });
                }
            }
            ViewRequest::Retire => notes.extend(self.entries.into_keys().map(|key| Note::Replaced { key })),
            _ => {}
        }
        Ok(notes)
    }
}

fn accepted_under(transaction: &Transaction<'_>, key: &Key) -> Result<Accepted, StoreError> {
    transaction.read(Table::Registers, &key.to_bytes())?.map_or_else(|| Ok(Accepted::default()), decode)
}

fn decode(bytes: bytes::Bytes) -> Result<Accepted, StoreError> {
    let register = codec::decode(bytes).map_err(|_| StoreError::Damaged { table: Table::Registers.name() })?;
    Ok(register.accepted)
}

const EVERYTHING: ScanLimit = ScanLimit { entries: usize::MAX, bytes: usize::MAX };

/// What is accepted in `partition`, the transaction's own writes included.
fn entries_in(transaction: &Transaction<'_>, partition: Partition) -> Result<Entries, StoreError> {
    entries_of(transaction.scan(Table::Registers, &partition.0.to_be_bytes(), None, EVERYTHING)?)
}

fn entries_of(found: Vec<scrapering_core::store::Entry>) -> Result<Entries, StoreError> {
    let mut entries = Entries::new();
    for (key, bytes) in found {
        let accepted = decode(bytes)?;
        if let Some(key) = Key::from_bytes(&key).filter(|_| accepted.ballot.is_usable()) {
            entries.insert(key, accepted);
        }
    }
    Ok(entries)
}

/// What `entries` amount to.
pub(super) fn root_of(entries: &Entries) -> Root {
    let mut root = Root::default();
    entries.iter().for_each(|(key, accepted)| root.replace(key, &Accepted::default(), accepted));
    root
}

/// The root that `store` has for `partition`, and the one that its registers amount to.
pub(super) fn roots(store: &dyn Store, partition: Partition) -> Result<[Root; 2], StoreError> {
    let name = partition.0.to_be_bytes();
    let damaged = || StoreError::Damaged { table: Table::Roots.name() };
    let stored = store
        .read(Table::Roots, &name)?
        .map_or(Ok(Root::default()), |bytes| Root::decode(bytes).ok_or_else(damaged))?;
    Ok([stored, root_of(&entries_of(store.scan(Table::Registers, &name, None, EVERYTHING)?)?)])
}
