//! What must hold after every event, whatever clients see. Each `invariant_<sentence>` is one rule.
//!
//! The watcher hears what every disk took over and of every outcome, and keeps what was ever accepted by whom.
//! A value counts as *chosen* once a majority has had it on disk, be it only inside a group commit that ended
//! with a newer one.

pub mod body;

use crate::history::State;
use scrapering_core::register::{Accepted, Ballot, Register, Versioned};
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
    holders: BTreeSet<usize>,
}

#[derive(Default)]
struct Cell {
    proposed: BTreeMap<Ballot, Proposed>,
    chosen: BTreeMap<Ballot, State>,
    /// By node: what its disk holds.
    held: BTreeMap<usize, Held>,
}

/// Watches a world.
#[derive(Default)]
pub struct Watcher {
    quorum: usize,
    cells: BTreeMap<usize, Cell>,
    accepted: BTreeSet<u64>,
    refused: BTreeSet<u64>,
}

impl Watcher {
    /// A watcher of views in which `quorum` members are a majority.
    #[must_use]
    pub fn new(quorum: usize) -> Self {
        Self { quorum, ..Self::default() }
    }

    /// The disk of `node` has taken over `accepted` for `key`; what was accepted later may already cover it.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_accepted(&mut self, node: usize, key: usize, accepted: &Accepted) -> Check {
        let (cell, state) = (self.cells.entry(key).or_default(), state_of(accepted.value.as_ref()));
        self.accepted.insert(state.operation);
        let proposed =
            cell.proposed.entry(accepted.ballot).or_insert_with(|| Proposed { state, holders: BTreeSet::new() });
        proposed.holders.insert(node);
        invariant_a_ballot_has_one_value(proposed, state)?;
        invariant_what_was_refused_is_never_accepted(&self.refused, state.operation)?;
        if proposed.holders.len() < self.quorum {
            return Ok(());
        }
        cell.chosen.insert(accepted.ballot, state);
        invariant_versions_of_chosen_values_grow_with_their_ballots(cell, accepted.ballot)
    }

    /// The disk of `node` now holds `register` under `key`.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_durable(&mut self, node: usize, key: usize, register: &Register) -> Check {
        let cell = self.cells.entry(key).or_default();
        let now = Held { promised: register.promised, accepted: register.accepted.ballot };
        let before = cell.held.insert(node, now).unwrap_or_default();
        invariant_an_accepted_ballot_is_never_above_the_promise(now)?;
        invariant_a_promise_never_goes_back(before, now)?;
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

fn invariant_versions_of_chosen_values_grow_with_their_ballots(cell: &Cell, ballot: Ballot) -> Check {
    let Some(state) = cell.chosen.get(&ballot) else { return Ok(()) };
    let before = cell.chosen.range(..ballot).next_back().map(|(_, state)| *state).unwrap_or_default();
    let after = cell.chosen.range(ballot..).nth(1).map_or(*state, |(_, state)| *state);
    let grows = |low: State, high: State| low == high || low.version < high.version;
    ensure(grows(before, *state) && grows(*state, after), "versions of chosen values grow with their ballots", || {
        format!("{before:?}, then {state:?}, then {after:?}")
    })
}

fn invariant_what_is_chosen_stays_on_a_majority_of_disks(cell: &Cell, quorum: usize) -> Check {
    let Some((newest, state)) = cell.chosen.last_key_value() else { return Ok(()) };
    let holders = cell.held.values().filter(|held| held.accepted >= *newest).count();
    ensure(holders >= quorum, "what is chosen stays on a majority of disks", || format!("{state:?} is on {holders}"))
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
    use scrapering_core::register::ProposerId;

    fn register(counter: u64, version: u64, operation: u64) -> Register {
        let ballot = Ballot { counter, proposer: ProposerId::default() };
        let content = Some(operation.to_be_bytes().to_vec().into());
        let value = Some(Versioned { version, operation: OperationId(u128::from(operation)), content });
        Register { promised: ballot, accepted: Accepted { ballot, value } }
    }

    fn store(watcher: &mut Watcher, node: usize, register: &Register) -> Check {
        watcher.handle_accepted(node, 0, &register.accepted)?;
        watcher.handle_durable(node, 0, register)
    }

    fn broken(check: Check) -> &'static str {
        check.expect_err("the invariant should be broken").rule
    }

    #[test]
    fn two_values_of_one_ballot_are_noticed() {
        let mut watcher = Watcher::new(2);
        store(&mut watcher, 0, &register(5, 1, 1)).expect("the first value");
        assert_eq!(broken(store(&mut watcher, 1, &register(5, 1, 2))), "a ballot has one value");
    }

    #[test]
    fn a_disk_that_forgets_is_noticed() {
        let mut watcher = Watcher::new(2);
        for node in 0..2 {
            store(&mut watcher, node, &register(5, 1, 1)).expect("the first value");
        }
        assert_eq!(broken(store(&mut watcher, 1, &register(3, 1, 2))), "a promise never goes back");
    }

    #[test]
    fn a_newer_value_with_an_older_version_is_noticed() {
        let mut watcher = Watcher::new(1);
        store(&mut watcher, 0, &register(5, 7, 1)).expect("the first value");
        assert_eq!(
            broken(store(&mut watcher, 0, &register(6, 7, 2))),
            "versions of chosen values grow with their ballots"
        );
    }

    #[test]
    fn a_value_that_no_majority_holds_must_not_be_shown() {
        let mut watcher = Watcher::new(2);
        let state = State { version: 1, operation: 1, present: true };
        store(&mut watcher, 0, &register(5, 1, 1)).expect("on one disk");
        assert!(watcher.handle_shown(0, state).is_err());
        store(&mut watcher, 1, &register(5, 1, 1)).expect("on two disks");
        assert_eq!(watcher.handle_shown(0, state), Ok(()));
    }

    #[test]
    fn an_operation_is_refused_or_accepted_but_never_both() {
        let mut watcher = Watcher::new(2);
        watcher.handle_refused(1).expect("nothing was accepted");
        assert_eq!(broken(store(&mut watcher, 0, &register(5, 1, 1))), "what was refused is never accepted");
        assert_eq!(broken(watcher.handle_refused(1)), "what was accepted is never refused");
    }
}
