//! The acceptor's answers about views and copies: the node's side of a reconfiguration and of every transfer.

use super::super::message::{Envelope, MAX_REPLY_BYTES, Reply as RegisterReply};
use super::super::{Accepted, MAX_CONTENT_BYTES, Register, codec};
use super::{Partitioned, content_bytes, decode, load};
use crate::id::{Key, NodeId, Partition};
use crate::store::{ScanLimit, StoreError, Table, Transaction, page_is_full};
use crate::view::Standing;
use crate::view::message::{Guard, MAX_NAMES, Reply, Report, Request};
use bytes::Bytes;

/// Most bytes of registers that one request reads through for their names.
const LIST_BYTES: usize = 4 * 1024 * 1024;
/// Registers deleted by one [`Request::Retire`].
const RETIRE_ENTRIES: usize = 4096;
/// All entries of a copy, in pieces.
const SWEEP: ScanLimit = ScanLimit { entries: 1024, bytes: LIST_BYTES };

/// The replica of one partition on one node, inside a transaction.
pub(super) struct Copy<'a, 'store> {
    pub(super) node: NodeId,
    pub(super) partition: Partition,
    pub(super) slot: &'a mut Partitioned,
    pub(super) transaction: &'a mut Transaction<'store>,
}

impl Copy<'_, '_> {
    /// Answers `request`, which is well formed.
    pub(super) fn handle(&mut self, envelope: &Envelope, request: &Request) -> Result<RegisterReply, StoreError> {
        let (known, asked) = (self.slot.replica.view.epoch, envelope.epoch);
        // A former member still gives away what it holds of the epoch that is over.
        let is_whole = self.slot.replica.holds == Some(asked);
        let gives_away = is_whole && matches!(request, Request::List { .. } | Request::Fetch { .. });
        let any_epoch = matches!(request, Request::Install(_) | Request::Status);
        if !any_epoch && !gives_away && asked != known {
            let view = self.slot.replica.view.clone();
            return Ok(if asked < known { RegisterReply::Stale(view) } else { RegisterReply::NotReady });
        }
        if matches!(request, Request::Fetch { .. }) && !is_whole {
            // What is left of an older epoch, or half learned, must not come back through another copy.
            return Ok(RegisterReply::Refused);
        }
        let reply = match request {
            Request::Seal { ballot } => self.seal(*ballot),
            Request::Decide { ballot, next } => self.decide(*ballot, next.clone()),
            Request::Install(view) => {
                if self.slot.replica.install(self.node, view, self.slot.root.fingerprint) {
                    self.drop_tombstones()?;
                }
                Some(self.report())
            }
            Request::List { after, limit } => Some(self.list(after.as_deref(), *limit)?),
            Request::Fetch { names } => Some(Reply::Fetch(self.fetch(names)?)),
            Request::Adopt { guard, remove, entries } => self.adopt(*guard, remove, entries)?,
            Request::Finish => self.finish()?,
            Request::Status => Some(self.report()),
            Request::Retire => self.retire()?,
        };
        Ok(reply.map_or(RegisterReply::NotReady, RegisterReply::View))
    }

    fn standing(&self) -> Standing {
        self.slot.replica.standing(self.node)
    }

    fn report(&self) -> Reply {
        let view = self.slot.replica.view.clone();
        Reply::Report(Report { view, standing: self.standing(), root: self.slot.root })
    }

    fn seal(&mut self, ballot: super::Ballot) -> Option<Reply> {
        if !matches!(self.standing(), Standing::Active | Standing::Sealed) {
            return None;
        }
        let root = self.slot.root;
        Some(match self.slot.replica.promise(ballot) {
            Ok(accepted) => Reply::Sealed { accepted, root },
            Err(higher) => Reply::Denied(higher),
        })
    }

    fn decide(&mut self, ballot: super::Ballot, next: crate::view::message::Next) -> Option<Reply> {
        if !matches!(self.standing(), Standing::Active | Standing::Sealed) {
            return None;
        }
        if next.fingerprint != self.slot.root.fingerprint {
            return Some(self.report());
        }
        Some(match self.slot.replica.accept(ballot, next) {
            Ok(()) => Reply::Decided,
            Err(higher) => Reply::Denied(higher),
        })
    }

    /// Nothing of the old epoch is left beside the state that was decided; what is deleted there needs no mark.
    fn drop_tombstones(&mut self) -> Result<(), StoreError> {
        if self.slot.root.tombstones == 0 {
            return Ok(());
        }
        let mut after = None;
        loop {
            let (found, next) = self.registers(after.as_deref(), SWEEP)?;
            for (name, register) in found {
                if register.accepted.is_tombstone() {
                    let key = Key::new(self.partition, name);
                    self.slot.root.replace(&key, &register.accepted, &Accepted::default());
                    self.transaction.delete(Table::Registers, key.to_bytes());
                }
            }
            match next {
                Some(name) => after = Some(name),
                None => return Ok(()),
            }
        }
    }

    fn list(&mut self, after: Option<&[u8]>, limit: usize) -> Result<Reply, StoreError> {
        let limit = ScanLimit { entries: limit.clamp(1, MAX_NAMES), bytes: LIST_BYTES };
        let (found, next) = self.registers(after, limit)?;
        let accepted = found.into_iter().map(|(name, register)| (name, register.accepted.ballot));
        // A register that was only promised is not part of the copy.
        Ok(Reply::List { entries: accepted.filter(|(_, ballot)| ballot.is_usable()).collect(), next })
    }

    fn fetch(&self, names: &[Vec<u8>]) -> Result<Vec<Accepted>, StoreError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for name in names {
            let accepted = load(self.transaction, &Key::new(self.partition, name.clone()))?.accepted;
            bytes += content_bytes(&accepted);
            if bytes > MAX_REPLY_BYTES {
                break;
            }
            found.push(accepted);
        }
        Ok(found)
    }

    fn adopt(
        &mut self,
        guard: Guard,
        remove: &[Vec<u8>],
        entries: &[(Vec<u8>, Accepted)],
    ) -> Result<Option<Reply>, StoreError> {
        if !self.slot.replica.admits(self.node, guard) {
            return Ok(match (guard, &self.slot.replica.seal) {
                // A sealed copy that has settled is what it was asked to become.
                (Guard::Sealed(ballot), Some(seal)) if seal.promised == ballot => Some(self.report()),
                (Guard::Sealed(ballot), Some(seal)) if seal.promised > ballot => Some(Reply::Denied(seal.promised)),
                _ => None,
            });
        }
        let exact = !matches!(guard, Guard::Relay);
        for name in remove.iter().filter(|_| exact) {
            self.put(name, &Accepted::default(), true)?;
        }
        for (name, accepted) in entries {
            self.put(name, accepted, exact)?;
        }
        Ok(Some(self.report()))
    }

    /// Takes `accepted` over: as it is (`exact`), or under the acceptor's normal rule.
    fn put(&mut self, name: &[u8], accepted: &Accepted, exact: bool) -> Result<(), StoreError> {
        let key = Key::new(self.partition, name);
        let register = load(self.transaction, &key)?;
        let stands = register.promised.max(register.accepted.ballot);
        if register.accepted.ballot == accepted.ballot || (!exact && accepted.ballot < stands) {
            return Ok(());
        }
        self.slot.root.replace(&key, &register.accepted, accepted);
        if accepted.ballot.is_usable() {
            let promised = register.promised.max(accepted.ballot);
            let register = Register { promised, accepted: accepted.clone() };
            self.transaction.put(Table::Registers, key.to_bytes(), codec::encode(&register));
        } else {
            self.transaction.delete(Table::Registers, key.to_bytes());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Reply>, StoreError> {
        if self.standing() == Standing::Pending {
            self.slot.replica.holds = Some(self.slot.replica.view.epoch);
        }
        Ok(matches!(self.standing(), Standing::Active | Standing::Sealed).then(|| self.report()))
    }

    fn retire(&mut self) -> Result<Option<Reply>, StoreError> {
        if !matches!(self.standing(), Standing::Former | Standing::Outside) {
            return Ok(None);
        }
        self.slot.replica.holds = None;
        let limit = ScanLimit { entries: RETIRE_ENTRIES, bytes: LIST_BYTES };
        for (name, register) in self.registers(None, limit)?.0 {
            let key = Key::new(self.partition, name);
            self.slot.root.replace(&key, &register.accepted, &Accepted::default());
            self.transaction.delete(Table::Registers, key.to_bytes());
        }
        Ok(Some(self.report()))
    }

    /// A page of the copy's registers, by name, and where the next one begins.
    #[allow(clippy::type_complexity, reason = "a page and its end; a type of its own would say no more")]
    fn registers(
        &self,
        after: Option<&[u8]>,
        limit: ScanLimit,
    ) -> Result<(Vec<(Vec<u8>, Register)>, Option<Vec<u8>>), StoreError> {
        let prefix = self.partition.0.to_be_bytes();
        let after = after.map(|name| Key::new(self.partition, name).to_bytes());
        let found = self.transaction.scan(Table::Registers, &prefix, after.as_deref(), limit)?;
        let next = page_is_full(&found, limit).then(|| found.last().map(|(key, _)| key[2..].to_vec())).flatten();
        let read = |(key, bytes): (Bytes, Bytes)| Ok((key[2..].to_vec(), decode(bytes)?));
        Ok((found.into_iter().map(read).collect::<Result<_, StoreError>>()?, next))
    }
}

/// Whether `request` keeps its bounds.
pub(super) fn is_well_formed(request: &Request) -> bool {
    let fits = |name: &[u8]| name.len() <= Key::MAX_NAME_BYTES;
    let sound = |accepted: &Accepted| accepted.ballot.is_usable() && content_bytes(accepted) <= MAX_CONTENT_BYTES;
    match request {
        Request::Seal { ballot } => ballot.is_usable(),
        Request::Decide { ballot, next } => ballot.is_usable() && is_member_list(&next.members),
        Request::Install(view) => is_member_list(&view.members),
        Request::List { after, .. } => after.as_deref().is_none_or(fits),
        Request::Fetch { names } => names.len() <= MAX_NAMES && names.iter().all(|name| fits(name)),
        Request::Adopt { remove, entries, .. } => {
            remove.len() <= MAX_NAMES
                && entries.len() <= MAX_NAMES
                && remove.iter().all(|name| fits(name))
                && entries.iter().all(|(name, accepted)| fits(name) && sound(accepted))
        }
        Request::Finish | Request::Status | Request::Retire => true,
    }
}

/// Most members of a view.
const MAX_MEMBERS: usize = 9;

fn is_member_list(members: &[NodeId]) -> bool {
    let distinct: std::collections::BTreeSet<_> = members.iter().collect();
    (1..=MAX_MEMBERS).contains(&members.len()) && distinct.len() == members.len()
}
