//! What may be done to a register, what comes of it, and the ballots to do it with.

use crate::id::OperationId;
use crate::register::{Ballot, ProposerId, Versioned};
use crate::view::Epoch;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is to be done to a register. A tombstone counts as absent; its version goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: only report the value.
    Read,
    /// Set the content whatever is there.
    Put(Bytes),
    /// Set the content if the register is absent.
    Create(Bytes),
    /// Set the content if the version is `version` (and the register is not absent).
    CompareAndSet {
        /// The version that was read.
        version: u64,
        /// The new content.
        content: Bytes,
    },
    /// Remove the content, if given only from this version.
    Delete {
        /// The version that was read; `None` deletes whatever is there.
        version: Option<u64>,
    },
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done and will not be lost. `value` is the register after it.
    Done {
        /// `None` if the register was never written.
        value: Option<Versioned>,
        /// Whether there was content before, as far as a change that is sent again can tell.
        replaced: bool,
    },
    /// The precondition failed; nothing was changed. `current` is what stood against it.
    Conflict {
        /// `None` if the register was never written.
        current: Option<Versioned>,
    },
    /// It may or may not have been done, now or later. Read and compare the operation id.
    Indeterminate,
    /// It was not done and will not be: no majority answered.
    Unavailable,
}

/// Gives every proposal of this process its own ballot.
#[derive(Debug)]
pub struct BallotClock {
    proposer: ProposerId,
    counter: AtomicU64,
}

impl BallotClock {
    /// A clock for one life of a process; `proposer` must never have been used before.
    #[must_use]
    pub fn new(proposer: ProposerId) -> Self {
        Self { proposer, counter: AtomicU64::new(0) }
    }

    /// A ballot above every ballot that was given out or witnessed.
    pub fn next(&self) -> Ballot {
        Ballot { counter: self.counter.fetch_add(1, Ordering::Relaxed) + 1, proposer: self.proposer }
    }

    /// Learns of a rival's ballot, so that the next one is above it.
    pub fn witness(&self, rival: Ballot) {
        if rival.is_usable() {
            self.counter.fetch_max(rival.counter, Ordering::Relaxed);
        }
    }
}

/// What a change makes of the value that was prepared.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    /// To be accepted.
    pub(super) value: Option<Versioned>,
    /// Whether `value` differs from what was there.
    pub(super) mutates: bool,
    replaced: bool,
    conflict: bool,
}

impl Decision {
    pub(super) fn outcome(&self) -> Outcome {
        let value = self.value.clone();
        if self.conflict {
            return Outcome::Conflict { current: value };
        }
        Outcome::Done { value, replaced: self.replaced }
    }
}

/// The version before the first one that a register which was never written gets in `epoch`: an epoch change drops
/// the marks of what was deleted, and yet no version comes twice in less than 2^32 changes an epoch.
pub(super) const fn floor(epoch: Epoch) -> u64 {
    epoch.0.saturating_sub(1) << 32
}

pub(super) fn decide(change: &Change, operation: OperationId, current: Option<&Versioned>, epoch: Epoch) -> Decision {
    let version = current.map_or(floor(epoch), |value| value.version);
    let present = current.is_some_and(|value| value.content.is_some());
    let set = |content: Option<&Bytes>| Decision {
        value: Some(Versioned { version: version + 1, operation, content: content.cloned() }),
        mutates: true,
        replaced: present,
        conflict: false,
    };
    // The first version of all replaced nothing.
    let replaced = version & u64::from(u32::MAX) > 1;
    let keep = |conflict| Decision { value: current.cloned(), mutates: false, replaced, conflict };
    if current.is_some_and(|value| value.operation == operation) {
        // The same operation sent again: it is done already, and is not done twice.
        return keep(false);
    }
    match change {
        Change::Read => keep(false),
        Change::Put(content) => set(Some(content)),
        Change::Create(_) if present => keep(true),
        Change::Create(content) => set(Some(content)),
        Change::CompareAndSet { version: expected, content } if present && *expected == version => set(Some(content)),
        Change::CompareAndSet { .. } => keep(true),
        Change::Delete { version: Some(expected) } if present && *expected != version => keep(true),
        Change::Delete { .. } if present => set(None),
        Change::Delete { .. } => keep(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(version: u64, content: Option<&'static [u8]>) -> Versioned {
        Versioned { version, operation: OperationId(1), content: content.map(Bytes::from_static) }
    }

    #[test]
    fn a_change_does_what_its_precondition_allows() {
        let new = Bytes::from_static(b"new");
        let [present, tombstone] = [value(4, Some(b"old")), value(5, None)];
        let cas = |version| Change::CompareAndSet { version, content: new.clone() };
        let written =
            |change: &Change, current: Option<&Versioned>| match decide(change, OperationId(2), current, Epoch(1))
                .outcome()
            {
                Outcome::Done { value, .. } => Ok(value.map(|value| (value.version, value.content.is_some()))),
                _ => Err("conflict"),
            };
        for (change, current, expected) in [
            (Change::Read, None, Ok(None)),
            (Change::Read, Some(&present), Ok(Some((4, true)))),
            (Change::Put(new.clone()), None, Ok(Some((1, true)))),
            (Change::Put(new.clone()), Some(&present), Ok(Some((5, true)))),
            (Change::Create(new.clone()), Some(&present), Err("conflict")),
            (Change::Create(new.clone()), Some(&tombstone), Ok(Some((6, true)))),
            (cas(4), Some(&present), Ok(Some((5, true)))),
            (cas(3), Some(&present), Err("conflict")),
            (cas(5), Some(&tombstone), Err("conflict")),
            (cas(0), None, Err("conflict")),
            (Change::Delete { version: None }, Some(&present), Ok(Some((5, false)))),
            (Change::Delete { version: Some(3) }, Some(&present), Err("conflict")),
            (Change::Delete { version: None }, None, Ok(None)),
        ] {
            assert_eq!(written(&change, current), expected, "{change:?} on {current:?}");
        }
    }

    #[test]
    fn an_operation_that_is_sent_again_is_settled_instead_of_done_twice() {
        let [present, tombstone] = [value(4, Some(b"mine")), value(5, None)];
        let content = Bytes::from_static(b"mine");
        for (change, current) in [
            (Change::Put(content.clone()), &present),
            (Change::Create(content.clone()), &present),
            (Change::CompareAndSet { version: 3, content }, &present),
            (Change::Delete { version: Some(4) }, &tombstone),
        ] {
            let decision = decide(&change, OperationId(1), Some(current), Epoch(1));
            assert!(!decision.mutates, "{change:?}");
            assert!(
                matches!(decision.outcome(), Outcome::Done { value, .. } if value.as_ref() == Some(current)),
                "{change:?}"
            );
        }
    }

    #[test]
    fn a_register_that_an_epoch_change_forgot_does_not_count_from_the_beginning_again() {
        let put = Change::Put(Bytes::from_static(b"new"));
        let version = |epoch| match decide(&put, OperationId(2), None, Epoch(epoch)).outcome() {
            Outcome::Done { value, .. } => value.map(|value| value.version),
            _ => None,
        };
        assert_eq!([1, 2, 3].map(version), [Some(1), Some((1 << 32) + 1), Some((2 << 32) + 1)]);
    }

    #[test]
    fn what_was_put_over_a_tombstone_replaced_nothing() {
        let put = Change::Put(Bytes::from_static(b"new"));
        for (current, expected) in [(None, false), (Some(value(4, Some(b"old"))), true), (Some(value(5, None)), false)]
        {
            let outcome = decide(&put, OperationId(2), current.as_ref(), Epoch(1)).outcome();
            assert!(matches!(outcome, Outcome::Done { replaced, .. } if replaced == expected), "{current:?}");
        }
        let again = decide(&put, OperationId(1), Some(&value(1, Some(b"mine"))), Epoch(1)).outcome();
        assert!(matches!(again, Outcome::Done { replaced: false, .. }));
    }

    #[test]
    fn a_ballot_is_above_all_that_were_witnessed() {
        let clock = BallotClock::new(ProposerId::default());
        let first = clock.next();
        clock.witness(Ballot { counter: 41, ..first });
        assert!(clock.next().counter == 42 && first.counter == 1);
    }

    #[test]
    fn a_lying_peer_cannot_make_the_clock_wrap_around() {
        let clock = BallotClock::new(ProposerId::default());
        let first = clock.next();
        clock.witness(Ballot { counter: u64::MAX, ..first });
        assert_eq!(clock.next().counter, 2);
    }
}
