//! What must hold after every event, whatever clients see. Each `invariant_<sentence>` is one rule.
//!
//! The watcher hears what every disk took over and of every outcome, and keeps what was ever accepted by whom.
//! A value counts as *chosen* once a majority of one epoch has had it on disk, be it only inside a group commit
//! that ended with a newer one, or once it belongs to the state with which an epoch begins.

pub mod body;
pub mod view;

use crate::history::State;
use scrapering_core::id::NodeId;
use scrapering_core::register::{Accepted, Ballot, ProposerId, Register, Versioned};
use scrapering_core::view::Epoch;
use std::collections::{BTreeMap, BTreeSet};

/// A sentence that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The name of the invariant.
    pub rule: &'static str,
    /// The particulars.
    pub details: String,
}

type Check = Result<(), Violation>;

fn ensure(holds: bool, rule: &'static str, details: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Violation { rule, details: details() }) }
}

/// The state in a register's value. A content that does not begin with its operation's number (behind it may
/// stand the hash of a body) becomes an operation that nobody ever started.
#[must_use]
pub fn state_of(value: Option<&Versioned>) -> State {
    value.map_or(State::default(), |value| {
        let named = value.operation.0 as u64;
        let genuine = value.content.as_ref().is_none_or(|content| content.starts_with(&named.to_be_bytes()));
        State {
            version: value.version,
            operation: if genuine { named } else { u64::MAX },
            present: value.content.is_some(),
        }
    })
}

#[derive(Clone, Copy, Default)]
struct Held {
    promised: Ballot,
    accepted: Ballot,
}

#[derive(Default)]
struct Proposed {
    state: State,
    /// By epoch: the members that have had it; none yet where the epoch began with it.
    holders: BTreeMap<Epoch, BTreeSet<usize>>,
}

#[derive(Default)]
struct Cell {
    proposed: BTreeMap<Ballot, Proposed>,
    chosen: BTreeMap<(Epoch, Ballot), State>,
    /// By epoch: what it began with.
    starts: BTreeMap<Epoch, Ballot>,
    /// By node: what its disk holds.
    held: BTreeMap<usize, Held>,
}

/// Watches a world.
#[derive(Default)]
pub struct Watcher {
    quorum: usize,
    /// Whether views move: then a copy is taken over and deleted as well.
    moves: bool,
    cells: BTreeMap<usize, Cell>,
    accepted: BTreeSet<u64>,
    refused: BTreeSet<u64>,
}

impl Watcher {
    /// A watcher of views in which `quorum` members are a majority.
    #[must_use]
    pub fn new(quorum: usize, moves: bool) -> Self {
        Self { quorum, moves, ..Self::default() }
    }

    /// The disk of `node` has taken over `accepted` for `key`, in `epoch`; what was accepted later may already
    /// cover it.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_accepted(&mut self, epoch: Epoch, node: usize, key: usize, accepted: &Accepted) -> Check {
        let (cell, state) = (self.cells.entry(key).or_default(), state_of(accepted.value.as_ref()));
        self.accepted.insert(state.operation);
        let proposed =
            cell.proposed.entry(accepted.ballot).or_insert_with(|| Proposed { state, holders: BTreeMap::new() });
        let holders = proposed.holders.entry(epoch).or_default();
        holders.insert(node);
        let enough = holders.len() >= self.quorum;
        invariant_a_ballot_has_one_value(proposed, state)?;
        invariant_what_was_refused_is_never_accepted(&self.refused, state.operation)?;
        if !enough {
            return Ok(());
        }
        cell.chosen.insert((epoch, accepted.ballot), state);
        invariant_versions_of_chosen_values_grow_with_their_ballots(cell, (epoch, accepted.ballot))
    }

    /// A member has taken over `accepted` for `key` from another copy, to serve it in `epoch`.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_copied(&mut self, epoch: Epoch, node: usize, key: usize, accepted: &Accepted) -> Check {
        invariant_a_member_takes_over_only_what_its_epoch_has(self.cells.get(&key), epoch, accepted)?;
        self.handle_accepted(epoch, node, key, accepted)
    }

    /// A member begins to serve `epoch` late, with `accepted` under `key` or with nothing.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_late(&mut self, epoch: Epoch, node: usize, key: usize, accepted: Option<&Accepted>) -> Check {
        let ballot = accepted.map_or(Ballot::default(), |accepted| accepted.ballot);
        invariant_who_begins_late_has_all_that_the_epoch_began_with(self.cells.get(&key), epoch, ballot)?;
        accepted.map_or(Ok(()), |accepted| self.handle_copied(epoch, node, key, accepted))
    }

    /// `epoch` begins with `accepted` under `key`, or with nothing.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_start(&mut self, epoch: Epoch, key: usize, accepted: Option<&Accepted>) -> Check {
        let cell = self.cells.entry(key).or_default();
        let before = Epoch(epoch.0 - 1);
        let ballot = accepted.map_or(Ballot::default(), |accepted| accepted.ballot);
        invariant_an_epoch_begins_with_all_that_was_chosen_in_the_one_before(cell, before, ballot)?;
        let Some(accepted) = accepted else { return Ok(()) };
        let state = state_of(accepted.value.as_ref());
        let proposed = cell.proposed.entry(ballot).or_insert_with(|| Proposed { state, holders: BTreeMap::new() });
        invariant_a_ballot_has_one_value(proposed, state)?;
        cell.chosen.insert((before, ballot), state);
        if !accepted.is_tombstone() {
            proposed.holders.entry(epoch).or_default();
            cell.starts.insert(epoch, ballot);
            cell.chosen.insert((epoch, ballot), state);
        }
        invariant_versions_of_chosen_values_grow_with_their_ballots(cell, (before, ballot))
    }

    /// The disk of `node` now holds `register` under `key`; `is_replaced` if not under the acceptor's rule alone.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_durable(&mut self, node: usize, key: usize, register: &Register, is_replaced: bool) -> Check {
        let cell = self.cells.entry(key).or_default();
        let now = Held { promised: register.promised, accepted: register.accepted.ballot };
        let before = cell.held.insert(node, now).unwrap_or_default();
        invariant_an_accepted_ballot_is_never_above_the_promise(now)?;
        if !is_replaced {
            invariant_a_promise_never_goes_back(before, now)?;
        }
        if self.moves {
            return Ok(());
        }
        invariant_what_is_chosen_stays_on_a_majority_of_disks(cell, self.quorum)
    }

    /// A client was told that the register of `key` is or became `state`.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_shown(&self, key: usize, state: State) -> Check {
        invariant_only_chosen_values_are_shown(self.cells.get(&key), state)
    }

    /// A client was told that `operation` was not and will never be done.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_refused(&mut self, operation: u64) -> Check {
        self.refused.insert(operation);
        invariant_what_was_accepted_is_never_refused(&self.accepted, operation)
    }
}

fn invariant_an_accepted_ballot_is_never_above_the_promise(held: Held) -> Check {
    ensure(held.accepted <= held.promised, "an accepted ballot is never above the promise", || {
        format!("accepted {:?}, promised {:?}", held.accepted, held.promised)
    })
}

fn invariant_a_promise_never_goes_back(before: Held, now: Held) -> Check {
    let kept = before.promised <= now.promised && before.accepted <= now.accepted;
    ensure(kept, "a promise never goes back", || format!("from {:?} to {:?}", before.promised, now.promised))
}

fn invariant_a_ballot_has_one_value(proposed: &Proposed, state: State) -> Check {
    ensure(proposed.state == state, "a ballot has one value", || format!("{:?} and {state:?}", proposed.state))
}

fn invariant_versions_of_chosen_values_grow_with_their_ballots(cell: &Cell, at: (Epoch, Ballot)) -> Check {
    let Some(state) = cell.chosen.get(&at) else { return Ok(()) };
    let before = cell.chosen.range(..at).next_back().map(|(_, state)| *state).unwrap_or_default();
    let after = cell.chosen.range(at..).nth(1).map_or(*state, |(_, state)| *state);
    // Where an epoch has dropped its mark, a register that was deleted is as one that was never written.
    let is_forgotten = |low: State, high: State| !low.present && high == State::default();
    let grows = |low: State, high: State| low == high || low.version < high.version || is_forgotten(low, high);
    ensure(grows(before, *state) && grows(*state, after), "versions of chosen values grow with their ballots", || {
        format!("{before:?}, then {state:?}, then {after:?}")
    })
}

fn invariant_what_is_chosen_stays_on_a_majority_of_disks(cell: &Cell, quorum: usize) -> Check {
    let Some(((_, newest), state)) = cell.chosen.last_key_value() else { return Ok(()) };
    let holders = cell.held.values().filter(|held| held.accepted >= *newest).count();
    ensure(holders >= quorum, "what is chosen stays on a majority of disks", || format!("{state:?} is on {holders}"))
}

fn invariant_an_epoch_begins_with_all_that_was_chosen_in_the_one_before(
    cell: &Cell,
    before: Epoch,
    ballot: Ballot,
) -> Check {
    let newest = cell.chosen.range((before, Ballot::default())..=(before, LAST)).next_back();
    let kept = newest.is_none_or(|((_, chosen), _)| *chosen <= ballot);
    ensure(kept, "an epoch begins with all that was chosen in the one before", || {
        format!("{newest:?} was chosen, {ballot:?} is there after {before:?}")
    })
}

/// Above every ballot.
const LAST: Ballot = Ballot { counter: u64::MAX, proposer: ProposerId { node: NodeId([u8::MAX; 20]), boot: u32::MAX } };

fn invariant_who_begins_late_has_all_that_the_epoch_began_with(
    cell: Option<&Cell>,
    epoch: Epoch,
    ballot: Ballot,
) -> Check {
    let start = cell.and_then(|cell| cell.starts.get(&epoch)).copied().unwrap_or_default();
    ensure(ballot >= start, "who begins late has all that the epoch began with", || {
        format!("{ballot:?} is there, {epoch:?} began with {start:?}")
    })
}

fn invariant_a_member_takes_over_only_what_its_epoch_has(
    cell: Option<&Cell>,
    epoch: Epoch,
    accepted: &Accepted,
) -> Check {
    let proposed = cell.and_then(|cell| cell.proposed.get(&accepted.ballot));
    let is_there = proposed.is_some_and(|proposed| proposed.holders.contains_key(&epoch));
    ensure(is_there, "a member takes over only what its epoch has", || format!("{accepted:?} in {epoch:?}"))
}

fn invariant_only_chosen_values_are_shown(cell: Option<&Cell>, state: State) -> Check {
    let chosen =
        state == State::default() || cell.is_some_and(|cell| cell.chosen.values().any(|other| *other == state));
    ensure(chosen, "only chosen values are shown, and acknowledged when a majority of disks has them", || {
        format!("{state:?}")
    })
}

fn invariant_what_was_refused_is_never_accepted(refused: &BTreeSet<u64>, operation: u64) -> Check {
    ensure(!refused.contains(&operation), "what was refused is never accepted", || format!("operation {operation}"))
}

fn invariant_what_was_accepted_is_never_refused(accepted: &BTreeSet<u64>, operation: u64) -> Check {
    ensure(!accepted.contains(&operation), "what was accepted is never refused", || format!("operation {operation}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_core::id::OperationId;

    fn register(counter: u64, version: u64, operation: u64) -> Register {
        let ballot = Ballot { counter, proposer: ProposerId::default() };
        let content = Some(operation.to_be_bytes().to_vec().into());
        let value = Some(Versioned { version, operation: OperationId(u128::from(operation)), content });
        Register { promised: ballot, accepted: Accepted { ballot, value } }
    }

    fn store(watcher: &mut Watcher, node: usize, register: &Register) -> Check {
        watcher.handle_accepted(Epoch(1), node, 0, &register.accepted)?;
        watcher.handle_durable(node, 0, register, false)
    }

    fn broken(check: Check) -> &'static str {
        check.expect_err("the invariant should be broken").rule
    }

    #[test]
    fn two_values_of_one_ballot_are_noticed() {
        let mut watcher = Watcher::new(2, false);
        store(&mut watcher, 0, &register(5, 1, 1)).expect("the first value");
        assert_eq!(broken(store(&mut watcher, 1, &register(5, 1, 2))), "a ballot has one value");
    }

    #[test]
    fn a_disk_that_forgets_is_noticed() {
        let mut watcher = Watcher::new(2, false);
        for node in 0..2 {
            store(&mut watcher, node, &register(5, 1, 1)).expect("the first value");
        }
        assert_eq!(broken(store(&mut watcher, 1, &register(3, 1, 2))), "a promise never goes back");
    }

    #[test]
    fn a_newer_value_with_an_older_version_is_noticed() {
        let mut watcher = Watcher::new(1, false);
        store(&mut watcher, 0, &register(5, 7, 1)).expect("the first value");
        assert_eq!(
            broken(store(&mut watcher, 0, &register(6, 7, 2))),
            "versions of chosen values grow with their ballots"
        );
    }

    #[test]
    fn a_value_that_no_majority_holds_must_not_be_shown() {
        let mut watcher = Watcher::new(2, false);
        let state = State { version: 1, operation: 1, present: true };
        store(&mut watcher, 0, &register(5, 1, 1)).expect("on one disk");
        assert!(watcher.handle_shown(0, state).is_err());
        store(&mut watcher, 1, &register(5, 1, 1)).expect("on two disks");
        assert_eq!(watcher.handle_shown(0, state), Ok(()));
    }

    #[test]
    fn an_operation_is_refused_or_accepted_but_never_both() {
        let mut watcher = Watcher::new(2, false);
        watcher.handle_refused(1).expect("nothing was accepted");
        assert_eq!(broken(store(&mut watcher, 0, &register(5, 1, 1))), "what was refused is never accepted");
        assert_eq!(broken(watcher.handle_refused(1)), "what was accepted is never refused");
    }

    #[test]
    fn an_epoch_that_begins_without_what_was_chosen_is_noticed() {
        let mut watcher = Watcher::new(2, true);
        let [old, new] = [register(5, 1, 1), register(6, 2, 2)];
        store(&mut watcher, 0, &old).expect("on one disk");
        store(&mut watcher, 1, &old).expect("on two disks");
        let rule = "an epoch begins with all that was chosen in the one before";
        assert_eq!(broken(watcher.handle_start(Epoch(2), 0, None)), rule);
        watcher.handle_start(Epoch(2), 0, Some(&new.accepted)).expect("a newer value");
        assert_eq!(broken(watcher.handle_start(Epoch(3), 0, Some(&old.accepted))), rule);
    }

    #[test]
    fn a_member_that_takes_over_what_an_older_epoch_left_behind_is_noticed() {
        let mut watcher = Watcher::new(2, true);
        let [left, kept] = [register(5, 1, 1), register(6, 2, 2)];
        store(&mut watcher, 0, &left).expect("on one disk");
        watcher.handle_start(Epoch(2), 0, Some(&kept.accepted)).expect("what epoch 2 begins with");
        assert_eq!(watcher.handle_copied(Epoch(2), 1, 0, &kept.accepted), Ok(()));
        assert_eq!(
            broken(watcher.handle_copied(Epoch(2), 1, 0, &left.accepted)),
            "a member takes over only what its epoch has"
        );
    }
}
