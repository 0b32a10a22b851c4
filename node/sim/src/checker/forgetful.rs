//! The register model where epochs change: what was deleted may be forgotten, version and all, at any time after.
//!
//! Whether a register is deleted or was never written makes no difference then. A change that finds nothing takes
//! the next version, or the first one of a later epoch.

use crate::history::{Call, Seen, State};
use std::collections::BTreeMap;

/// The version of a change of which nobody has told, and whose epoch is not known.
const ANY: u64 = u64::MAX;

/// As [`super::step`] for one of `calls`, all of one key.
pub fn step_of(calls: &[Call]) -> impl Fn(State, &Call) -> Option<State> + use<> {
    let told = |call: &Call| match call.seen {
        Seen::Done(state) | Seen::Conflict(state) => Some((state.operation, state.version)),
        Seen::Absent | Seen::Unknown | Seen::Refused => None,
    };
    let versions: BTreeMap<u64, u64> = calls.iter().filter_map(told).collect();
    move |state, call| step(state, call, versions.get(&call.operation).copied())
}

/// `calls` without what was told of absent registers: it need not be the same twice.
#[must_use]
pub fn without_absence(calls: &[Call]) -> Vec<Call> {
    let absent = |call: &&Call| match call.seen {
        Seen::Done(state) | Seen::Conflict(state) => state == State::default(),
        _ => false,
    };
    calls.iter().filter(|call| !absent(call)).copied().collect()
}

/// What `call` makes of `state`; `version` is what anybody was told of the value that it wrote.
fn step(state: State, call: &Call, version: Option<u64>) -> Option<State> {
    let mut fits = true;
    let set = |present| {
        let version = version.unwrap_or(if state.present && state.version != ANY { state.version + 1 } else { ANY });
        fits = follows(state, version);
        State { version, operation: call.operation, present }
    };
    let other_version = |expected: u64| state.version != ANY && expected != state.version;
    let (next, conflict) = super::effect(state, call.action, other_version, set);
    let shows = |seen: State, state: State| seen == state || (seen == State::default() && !state.present);
    let told = match call.seen {
        Seen::Done(seen) => !conflict && shows(seen, next),
        Seen::Conflict(seen) => conflict && shows(seen, state),
        Seen::Absent => !next.present,
        Seen::Unknown => next != state,
        Seen::Refused => false,
    };
    (fits && told).then_some(next)
}

/// Whether a change of `state` may have made `version`.
fn follows(state: State, version: u64) -> bool {
    let first_of_an_epoch = version > state.version && version & u64::from(u32::MAX) == 1;
    state.version == ANY || version == ANY || version == state.version + 1 || (!state.present && first_of_an_epoch)
}

#[cfg(test)]
mod tests {
    use super::super::{Verdict, wgl};
    use super::*;
    use crate::history::Action;

    const EPOCH: u64 = 1 << 32;

    fn state(version: u64, operation: u64, present: bool) -> Seen {
        Seen::Done(State { version, operation, present })
    }

    fn call(operation: u64, action: Action, seen: Seen) -> Call {
        let invoked = operation * 2;
        let returned = if seen == Seen::Unknown { u64::MAX } else { invoked + 1 };
        Call { key: 0, client: 0, operation, action, invoked, returned, seen }
    }

    fn holds(calls: &[Call]) -> bool {
        wgl::check_with(calls, 100_000, step_of(calls)) == Verdict::Linearizable
    }

    #[test]
    fn what_was_deleted_may_be_forgotten_and_written_in_a_later_epoch() {
        let delete = Action::Delete { version: None };
        let mut calls = vec![
            call(1, Action::Put, state(1, 1, true)),
            call(2, delete, state(2, 2, false)),
            call(3, Action::Read, Seen::Done(State::default())),
            call(4, Action::Put, state(EPOCH + 1, 4, true)),
        ];
        assert!(holds(&calls));
        calls[3] = call(4, Action::Put, state(1, 4, true));
        assert!(!holds(&calls));
        calls.truncate(3);
        calls.remove(1);
        assert!(!holds(&calls));
    }

    #[test]
    fn a_value_that_is_there_is_neither_forgotten_nor_counted_anew() {
        let calls = [call(1, Action::Put, state(1, 1, true)), call(2, Action::Put, state(EPOCH + 1, 2, true))];
        assert!(!holds(&calls));
        let calls = [call(1, Action::Put, state(1, 1, true)), call(2, Action::Read, Seen::Done(State::default()))];
        assert!(!holds(&calls));
    }

    #[test]
    fn an_unanswered_change_of_an_unknown_version_may_lie_between() {
        let calls = [
            call(1, Action::Put, Seen::Unknown),
            call(2, Action::Put, state(EPOCH + 2, 2, true)),
            call(3, Action::Read, state(EPOCH + 2, 2, true)),
        ];
        assert!(holds(&calls));
        assert!(!holds(&calls[1..]));
    }
}
