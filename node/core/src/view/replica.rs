//! A node's part in the views of one partition: what it knows, holds, and has promised.
//!
//! The next view is one decision of a Synod (Lamport, The Part-Time Parliament) among the members of the present
//! one. Its value holds the exact start state, so the rules are:
//! - a promise *seals*: the replica answers nothing more in this epoch;
//! - it accepts only a decision that begins with exactly its own copy;
//! - it serves the next epoch only when it holds exactly that state, and nothing of its own beside it.

use super::message::{Guard, Next};
use super::{Epoch, View};
use crate::id::NodeId;
use crate::register::Ballot;
use crate::sync::Fingerprint;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A replica's part in the newest view that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member that serves.
    Active,
    /// A member that has promised to end the epoch.
    Sealed,
    /// A member that does not hold the epoch's state yet.
    Pending,
    /// No member (any more), and the copy is the whole state of an older epoch.
    Former,
    /// No member; what it holds, if anything, is a learner's copy.
    Outside,
}

/// The promises of a sealed replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// No lower ballot will be accepted.
    pub promised: Ballot,
    /// The newest accepted decision.
    pub accepted: Option<(Ballot, Next)>,
}

/// What a node keeps on disk about one partition, beside the registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// The newest decided view that the node knows.
    pub view: View,
    /// The epoch whose whole state the copy holds.
    pub holds: Option<Epoch>,
    /// Set while the node, a member that holds the epoch's state, has promised to end it.
    pub seal: Option<Seal>,
}

const FORMAT: u8 = 2;

impl Replica {
    /// A replica that has heard of `view` and holds nothing.
    #[must_use]
    pub fn outside(view: View) -> Self {
        Self { view, holds: None, seal: None }
    }

    /// The replica of a ring at its beginning: nothing was written, so nothing is missing.
    #[must_use]
    pub fn genesis(view: View, node: NodeId) -> Self {
        let holds = view.has(node).then_some(view.epoch);
        Self { view, holds, seal: None }
    }

    /// The part of `node`, whose replica this is.
    #[must_use]
    pub fn standing(&self, node: NodeId) -> Standing {
        let is_whole = self.holds == Some(self.view.epoch);
        match (self.view.has(node), is_whole, &self.seal) {
            (true, true, None) => Standing::Active,
            (true, true, Some(_)) => Standing::Sealed,
            (true, false, _) => Standing::Pending,
            (false, _, _) if self.holds.is_some() => Standing::Former,
            (false, _, _) => Standing::Outside,
        }
    }

    /// Promises `ballot` and seals; or the ballot that forbids it.
    ///
    /// The same ballot again is the same proposer's message again.
    pub(crate) fn promise(&mut self, ballot: Ballot) -> Result<Option<(Ballot, Next)>, Ballot> {
        let promised = self.seal.as_ref().map(|seal| seal.promised).unwrap_or_default();
        if ballot < promised {
            return Err(promised);
        }
        let accepted = self.seal.take().and_then(|seal| seal.accepted);
        self.seal = Some(Seal { promised: ballot, accepted: accepted.clone() });
        Ok(accepted)
    }

    /// Accepts `next` (which the caller has compared with the copy); or the ballot that forbids it.
    pub(crate) fn accept(&mut self, ballot: Ballot, next: Next) -> Result<(), Ballot> {
        let promised = self.seal.as_ref().map(|seal| seal.promised).unwrap_or_default();
        if ballot < promised {
            return Err(promised);
        }
        self.seal = Some(Seal { promised: ballot, accepted: Some((ballot, next)) });
        Ok(())
    }

    /// Takes note that `view` is decided; whether the copy, which is `held`, is what it begins with and is
    /// served from now on.
    pub(crate) fn install(&mut self, node: NodeId, view: &View, held: Fingerprint) -> bool {
        if view.epoch < self.view.epoch {
            return false;
        }
        if view.epoch > self.view.epoch {
            self.view = view.clone();
            self.seal = None;
        }
        let begins = self.standing(node) == Standing::Pending && self.view.start == held;
        if begins {
            self.holds = Some(self.view.epoch);
        }
        begins
    }

    /// Whether entries may be taken over under `guard`, by `node` whose replica this is; prepares for it.
    pub(crate) fn admits(&mut self, node: NodeId, guard: Guard) -> bool {
        match (guard, self.standing(node), &mut self.seal) {
            (Guard::Relay, Standing::Active, _) => true,
            (Guard::Sealed(ballot), Standing::Sealed, Some(seal)) if seal.promised == ballot => {
                let older = seal.accepted.as_ref().is_some_and(|(accepted, _)| *accepted < ballot);
                let settled = seal.accepted.is_some() && !older;
                if older {
                    // The proposer has a majority's promises and spreads another state: what was accepted here
                    // was not chosen, never will be, and its state is gone with this copy.
                    seal.accepted = None;
                }
                !settled
            }
            (Guard::Learner, Standing::Pending | Standing::Former | Standing::Outside, _) => {
                self.holds = None;
                true
            }
            _ => false,
        }
    }

    /// As stored: a format byte, then postcard.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let bytes = postcard::to_extend(self, vec![FORMAT]).expect("a replica has nothing that cannot be written");
        bytes.into()
    }

    /// The inverse of [`Replica::encode`]; `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, bytes) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        postcard::from_bytes(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::ProposerId;

    fn node(number: u8) -> NodeId {
        NodeId([number; 20])
    }

    fn view(epoch: u64, members: &[u8]) -> View {
        starting(epoch, members, Fingerprint::default())
    }

    fn starting(epoch: u64, members: &[u8], start: Fingerprint) -> View {
        View { epoch: Epoch(epoch), members: members.iter().copied().map(node).collect(), start }
    }

    fn ballot(counter: u64) -> Ballot {
        Ballot { counter, proposer: ProposerId { node: node(1), boot: 1 } }
    }

    fn next(fingerprint: u8) -> Next {
        Next { members: vec![node(1)], fingerprint: Fingerprint([fingerprint; 32]) }
    }

    #[test]
    fn a_promise_ends_the_service_and_stands_against_lower_ballots() {
        let mut replica = Replica::genesis(view(1, &[1, 2, 3]), node(1));
        assert_eq!(replica.standing(node(1)), Standing::Active);
        assert_eq!(replica.promise(ballot(5)), Ok(None));
        assert_eq!(replica.standing(node(1)), Standing::Sealed);
        assert_eq!((replica.promise(ballot(4)), replica.accept(ballot(4), next(0))), (Err(ballot(5)), Err(ballot(5))));
        assert_eq!(replica.accept(ballot(5), next(7)), Ok(()));
        assert_eq!(replica.promise(ballot(6)), Ok(Some((ballot(5), next(7)))));
    }

    #[test]
    fn a_member_serves_the_next_epoch_only_with_exactly_its_state() {
        let (held, other) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let mut replica = Replica::genesis(view(1, &[1, 2, 3]), node(1));
        let next = starting(2, &[1, 2], held);
        assert!(!replica.install(node(1), &next, other));
        assert_eq!(replica.standing(node(1)), Standing::Pending);
        assert!(replica.install(node(1), &next, held));
        assert_eq!(replica.standing(node(1)), Standing::Active);
        assert!(!replica.install(node(1), &view(1, &[1, 2, 3]), held));
        assert_eq!((replica.view.epoch, replica.standing(node(1))), (Epoch(2), Standing::Active));
    }

    #[test]
    fn who_is_no_member_any_more_keeps_its_copy_until_it_becomes_a_learner() {
        let mut replica = Replica::genesis(view(1, &[1, 2, 3]), node(3));
        replica.install(node(3), &view(2, &[1, 2]), Fingerprint::default());
        assert_eq!(replica.standing(node(3)), Standing::Former);
        assert!(replica.admits(node(3), Guard::Learner));
        assert_eq!(replica.standing(node(3)), Standing::Outside);
    }

    #[test]
    fn a_sealed_copy_is_changed_only_by_the_proposer_it_was_promised_to() {
        let mut replica = Replica::genesis(view(1, &[1, 2, 3]), node(1));
        assert!(!replica.admits(node(1), Guard::Sealed(ballot(1))));
        replica.promise(ballot(5)).expect("the first promise");
        assert!(replica.admits(node(1), Guard::Sealed(ballot(5))));
        assert!(!replica.admits(node(1), Guard::Sealed(ballot(4))) && !replica.admits(node(1), Guard::Relay));
        replica.accept(ballot(5), next(7)).expect("accepted");
        assert!(!replica.admits(node(1), Guard::Sealed(ballot(5))));
        replica.promise(ballot(6)).expect("a higher ballot");
        // Another state is spread: the one that was accepted here is given up with it.
        assert!(replica.admits(node(1), Guard::Sealed(ballot(6))));
        assert_eq!(replica.promise(ballot(7)), Ok(None));
    }

    #[test]
    fn a_stored_replica_is_read_as_it_was_written() {
        let mut replica = Replica::genesis(view(3, &[1, 2, 3]), node(1));
        replica.accept(ballot(5), next(7)).expect("accepted");
        assert_eq!(Replica::decode(&replica.encode()), Some(replica));
        assert_eq!((Replica::decode(&[]), Replica::decode(&[9, 9])), (None, None));
    }
}
