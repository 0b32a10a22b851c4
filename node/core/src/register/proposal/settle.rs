//! Whether a change may be made again whose accept lost to a rival: the register shows it, if not too much has happened.
//!
//! Versions of a register count one by one, so a change that was sent as version `v` is either what stands at `v`, or not
//! in what led to the present value at all. The present value is known by a majority's promises to a higher ballot: what
//! is not part of it then can only come back while nothing above it is chosen.

use super::change::{Decision, floor};
use crate::id::OperationId;
use crate::register::{Ballot, Versioned};
use crate::view::Epoch;

/// What one change has asked to be accepted so far, in one view, without a majority that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The lowest version that it may still become part of the register as.
    version: u64,
    /// The highest ballot that it was sent with.
    ballot: Ballot,
}

impl Sent {
    /// Adds what was sent with `ballot` to what was sent before.
    pub(super) fn add(sent: &mut Option<Self>, value: Option<&Versioned>, ballot: Ballot) {
        let version = value.map_or(0, |value| value.version);
        let (lowest, highest) = sent.map_or((version, ballot), |sent| (sent.version, sent.ballot));
        *sent = Some(Self { version: version.min(lowest), ballot: ballot.max(highest) });
    }

    /// Whether `decision` about `current` may be sent, which a majority has prepared; otherwise the change may be done
    /// already. `chosen` is the ballot with which a majority holds the same value, if one does.
    ///
    /// A change that was sent is never said to have been refused: whoever took it might show it for a moment.
    pub(super) fn allows(
        &mut self,
        decision: &Decision,
        operation: OperationId,
        current: Option<&Versioned>,
        chosen: Option<Ballot>,
        epoch: Epoch,
    ) -> bool {
        if current.is_some_and(|value| value.operation == operation) {
            return true;
        }
        let version = current.map_or(floor(epoch), |value| value.version);
        if version > self.version || !decision.mutates {
            return false;
        }
        if chosen.is_some_and(|chosen| chosen > self.ballot) {
            // Nothing that was sent can come back from below what is chosen.
            self.version = u64::MAX;
        }
        true
    }
}
