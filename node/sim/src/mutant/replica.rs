//! Replicas that forget a rule about views: what the real acceptor is asked, or believes of itself, is doctored just
//! before it answers, and put right again behind it.

use super::Mutant;
use scrapering_core::id::{Key, Partition};
use scrapering_core::register::acceptor::Partitioned;
use scrapering_core::register::{Accepted, Acceptor, Envelope, Reply, Request, codec};
use scrapering_core::store::{ScanLimit, StoreError, Table, Transaction};
use scrapering_core::view::message::{Guard, Reply as ViewReply, Request as ViewRequest};
use scrapering_core::view::{Epoch, Standing};

type Answer = Result<Reply, StoreError>;

/// The answer of a replica without the rule of `mutant`, which is one about views.
pub(super) fn answer(
    mutant: Mutant,
    acceptor: &mut Acceptor,
    envelope: &Envelope,
    transaction: &mut Transaction<'_>,
) -> Answer {
    let partition = envelope.partition;
    match (mutant, &envelope.request) {
        (_, Request::View(request)) => answer_about_view(mutant, request, acceptor, envelope, transaction),
        (Mutant::EpochIgnored, _) => {
            let epoch = acceptor.partition(partition).map_or(envelope.epoch, |slot| slot.replica.view.epoch);
            acceptor.handle(&Envelope { epoch, ..envelope.clone() }, transaction)
        }
        (Mutant::NoSeal, _) => {
            let seal = acceptor.partition_mut(partition).and_then(|slot| slot.replica.seal.take());
            let reply = acceptor.handle(envelope, transaction);
            acceptor.partition_mut(partition).into_iter().for_each(|slot| slot.replica.seal = seal.clone());
            reply
        }
        (Mutant::VoteBeforeInstall, _) => {
            let holds = acceptor.partition(partition).and_then(|slot| slot.replica.holds);
            let epoch = acceptor.partition(partition).map(|slot| slot.replica.view.epoch);
            set_holds(acceptor, partition, epoch);
            let reply = acceptor.handle(envelope, transaction);
            set_holds(acceptor, partition, holds);
            reply
        }
        _ => acceptor.handle(envelope, transaction),
    }
}

fn answer_about_view(
    mutant: Mutant,
    request: &ViewRequest,
    acceptor: &mut Acceptor,
    envelope: &Envelope,
    transaction: &mut Transaction<'_>,
) -> Answer {
    let (partition, node) = (envelope.partition, acceptor.node());
    match (mutant, request) {
        (Mutant::MergeLeftovers, ViewRequest::Adopt { guard: Guard::Learner, entries, .. }) => {
            let mut newer = Vec::new();
            for (name, accepted) in entries {
                if accepted_in(transaction, &Key::new(partition, name.clone()))?.ballot < accepted.ballot {
                    newer.push((name.clone(), accepted.clone()));
                }
            }
            let request = ViewRequest::Adopt { guard: Guard::Learner, remove: Vec::new(), entries: newer };
            acceptor.handle(&Envelope { request: Request::View(request), ..envelope.clone() }, transaction)
        }
        (Mutant::StateOutsideDecision, ViewRequest::Decide { next, .. }) => {
            let Some(slot) = acceptor.partition_mut(partition) else { return acceptor.handle(envelope, transaction) };
            let held = std::mem::replace(&mut slot.root.fingerprint, next.fingerprint);
            let reply = acceptor.handle(envelope, transaction);
            acceptor.partition_mut(partition).into_iter().for_each(|slot| slot.root.fingerprint = held);
            reply
        }
        (Mutant::StateOutsideDecision, ViewRequest::Install(_)) => {
            let reply = acceptor.handle(envelope, transaction)?;
            let begins = |slot: &&mut Partitioned| slot.replica.standing(node) == Standing::Pending;
            if let Some(slot) = acceptor.partition_mut(partition).filter(begins) {
                slot.replica.holds = Some(slot.replica.view.epoch);
                transaction.put(Table::Views, name(partition), slot.replica.encode());
            }
            Ok(reply)
        }
        (Mutant::DecisionForgotten, ViewRequest::Seal { .. }) => {
            let forget = |reply| match reply {
                Reply::View(ViewReply::Sealed { root, .. }) => Reply::View(ViewReply::Sealed { accepted: None, root }),
                other => other,
            };
            acceptor.handle(envelope, transaction).map(forget)
        }
        (Mutant::TombstonesDroppedEarly, ViewRequest::Seal { .. }) => {
            if let Some(slot) = acceptor.partition_mut(partition) {
                drop_tombstones(slot, partition, transaction)?;
            }
            acceptor.handle(envelope, transaction)
        }
        (Mutant::SealBelowSeal, ViewRequest::Seal { ballot })
        | (Mutant::DecideBelowSeal, ViewRequest::Decide { ballot, .. }) => {
            let seal = acceptor.partition_mut(partition).and_then(|slot| slot.replica.seal.as_mut());
            seal.into_iter().for_each(|seal| seal.promised = seal.promised.min(*ballot));
            acceptor.handle(envelope, transaction)
        }
        (Mutant::OvertakenAdopts, ViewRequest::Adopt { guard: Guard::Sealed(_), .. }) => {
            // What was overtaken is answered as if it had been done.
            let reply = acceptor.handle(envelope, transaction)?;
            let denied = matches!(reply, Reply::View(ViewReply::Denied(_)));
            let status = Envelope { request: Request::View(ViewRequest::Status), ..envelope.clone() };
            if denied { acceptor.handle(&status, transaction) } else { Ok(reply) }
        }
        (Mutant::LeftoversGivenAway, ViewRequest::Fetch { .. }) => {
            let holds = acceptor.partition(partition).and_then(|slot| slot.replica.holds);
            set_holds(acceptor, partition, Some(envelope.epoch));
            let reply = acceptor.handle(envelope, transaction);
            set_holds(acceptor, partition, holds);
            let slot = acceptor.partition(partition);
            slot.into_iter().for_each(|slot| transaction.put(Table::Views, name(partition), slot.replica.encode()));
            reply
        }
        (Mutant::OlderViewInstalled, ViewRequest::Install(view)) => {
            if let Some(slot) = acceptor.partition_mut(partition)
                && view.epoch < slot.replica.view.epoch
            {
                slot.replica.view = view.clone();
            }
            acceptor.handle(envelope, transaction)
        }
        _ => acceptor.handle(envelope, transaction),
    }
}

fn set_holds(acceptor: &mut Acceptor, partition: Partition, holds: Option<Epoch>) {
    acceptor.partition_mut(partition).into_iter().for_each(|slot| slot.replica.holds = holds);
}

fn name(partition: Partition) -> Vec<u8> {
    partition.0.to_be_bytes().to_vec()
}

fn accepted_in(transaction: &Transaction<'_>, key: &Key) -> Result<Accepted, StoreError> {
    let Some(bytes) = transaction.read(Table::Registers, &key.to_bytes())? else { return Ok(Accepted::default()) };
    let register = codec::decode(bytes).map_err(|_| StoreError::Damaged { table: Table::Registers.name() })?;
    Ok(register.accepted)
}

/// Deletes what is marked as deleted; the copy's root stays right.
fn drop_tombstones(
    slot: &mut Partitioned,
    partition: Partition,
    transaction: &mut Transaction<'_>,
) -> Result<(), StoreError> {
    let everything = ScanLimit { entries: usize::MAX, bytes: usize::MAX };
    for (bytes, _) in transaction.scan(Table::Registers, &name(partition), None, everything)? {
        let Some(key) = Key::from_bytes(&bytes) else { continue };
        let accepted = accepted_in(transaction, &key)?;
        if accepted.ballot.is_usable() && accepted.is_tombstone() {
            slot.root.replace(&key, &accepted, &Accepted::default());
            transaction.delete(Table::Registers, bytes.to_vec());
            transaction.put(Table::Roots, name(partition), slot.root.encode());
        }
    }
    Ok(())
}
