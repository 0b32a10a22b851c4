//! Judges whether a history could have happened on one machine (linearizability, Herlihy and Wing 1990).
//!
//! Two independent methods: [`wgl`] searches for an order that the full register model allows; [`zones`] decides
//! the weaker question about values alone in O(n log n). What zones refuses, WGL must refuse as well.

pub mod forgetful;
pub mod wgl;
pub mod zones;

use crate::history::{Action, Call, Seen, State};

/// What a checker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An order exists.
    Linearizable,
    /// No order exists.
    Violation,
    /// The budget of steps ran out; counts as failure.
    GaveUp,
}

/// What `call` makes of `state` if it takes effect now; `None` if that contradicts what its client was told.
#[must_use]
pub fn step(state: State, call: &Call) -> Option<State> {
    let set = |present| State { version: state.version + 1, operation: call.operation, present };
    let (next, conflict) = effect(state, call.action, |expected| expected != state.version, set);
    let fits = match call.seen {
        Seen::Done(seen) => !conflict && seen == next,
        Seen::Conflict(seen) => conflict && seen == state,
        Seen::Absent => !next.present,
        Seen::Unknown => next != state,
        Seen::Refused => false,
    };
    fits.then_some(next)
}

/// What `action` makes of `state`, and whether its precondition failed: the register's rules, whichever way versions
/// are compared and given.
fn effect(
    state: State,
    action: Action,
    other_version: impl Fn(u64) -> bool,
    mut set: impl FnMut(bool) -> State,
) -> (State, bool) {
    match action {
        Action::Read => (state, false),
        Action::Put => (set(true), false),
        Action::Create if state.present => (state, true),
        Action::Create => (set(true), false),
        Action::CompareAndSet { version } if !state.present || other_version(version) => (state, true),
        Action::CompareAndSet { .. } => (set(true), false),
        Action::Delete { .. } if !state.present => (state, false),
        Action::Delete { version } if version.is_some_and(other_version) => (state, true),
        Action::Delete { .. } => (set(false), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    const NEVER: u64 = u64::MAX;

    fn state(version: u64, operation: u64) -> State {
        State { version, operation, present: true }
    }

    fn call(operation: u64, action: Action, [invoked, returned]: [u64; 2], seen: Seen) -> Call {
        Call { key: 0, client: 0, operation, action, invoked, returned, seen }
    }

    fn verdict(calls: &[Call]) -> Verdict {
        wgl::check(calls, 100_000)
    }

    #[test]
    fn a_read_may_be_placed_on_either_side_of_a_concurrent_put() {
        for seen in [State::default(), state(1, 1)] {
            let calls = [
                call(1, Action::Put, [1, 4], Seen::Done(state(1, 1))),
                call(2, Action::Read, [2, 3], Seen::Done(seen)),
            ];
            assert_eq!((verdict(&calls), zones::check(&calls)), (Verdict::Linearizable, true));
        }
    }

    #[test]
    fn a_read_that_misses_an_acknowledged_put_is_refused() {
        let calls = [
            call(1, Action::Put, [1, 2], Seen::Done(state(1, 1))),
            call(2, Action::Read, [3, 4], Seen::Done(State::default())),
        ];
        assert_eq!((verdict(&calls), zones::check(&calls)), (Verdict::Violation, false));
    }

    #[test]
    fn a_read_that_goes_back_behind_another_read_is_refused() {
        let calls = [
            call(1, Action::Put, [1, NEVER], Seen::Unknown),
            call(2, Action::Read, [2, 3], Seen::Done(state(1, 1))),
            call(3, Action::Read, [4, 5], Seen::Done(State::default())),
        ];
        assert_eq!((verdict(&calls), zones::check(&calls)), (Verdict::Violation, false));
    }

    #[test]
    fn an_unanswered_put_may_take_effect_late_or_never() {
        let put = call(1, Action::Put, [1, NEVER], Seen::Unknown);
        let before = call(2, Action::Read, [2, 3], Seen::Done(State::default()));
        let after = call(3, Action::Read, [4, 5], Seen::Done(state(1, 1)));
        for calls in [vec![put, before], vec![put, before, after], vec![put]] {
            assert_eq!((verdict(&calls), zones::check(&calls)), (Verdict::Linearizable, true));
        }
    }

    #[test]
    fn an_unanswered_put_takes_effect_once_at_most() {
        let calls = [
            call(1, Action::Put, [1, NEVER], Seen::Unknown),
            call(2, Action::Put, [2, 3], Seen::Done(state(2, 2))),
            call(3, Action::Read, [4, 5], Seen::Done(state(3, 1))),
        ];
        assert_eq!(verdict(&calls), Verdict::Violation);
    }

    #[test]
    fn two_compare_and_sets_from_one_version_cannot_both_win() {
        let cas = Action::CompareAndSet { version: 1 };
        let calls = [
            call(1, Action::Put, [1, 2], Seen::Done(state(1, 1))),
            call(2, cas, [3, 6], Seen::Done(state(2, 2))),
            call(3, cas, [4, 5], Seen::Done(state(2, 3))),
        ];
        assert_eq!(verdict(&calls), Verdict::Violation);
        let lost = [calls[0], calls[1], call(3, cas, [4, 5], Seen::Conflict(state(2, 2)))];
        assert_eq!(verdict(&lost), Verdict::Linearizable);
    }

    #[test]
    fn a_value_that_nobody_wrote_is_refused() {
        let calls =
            [call(1, Action::Put, [1, 2], Seen::Refused), call(2, Action::Read, [3, 4], Seen::Done(state(1, 1)))];
        assert_eq!((verdict(&calls[1..]), zones::check(&calls)), (Verdict::Violation, false));
    }

    #[test]
    fn a_scan_that_shows_nothing_needs_a_moment_without_content() {
        let put = call(1, Action::Put, [1, 2], Seen::Done(state(1, 1)));
        let tombstone = State { version: 2, operation: 2, present: false };
        let delete = call(2, Action::Delete { version: None }, [3, 6], Seen::Done(tombstone));
        assert_eq!(verdict(&[put, delete, call(3, Action::Read, [4, 5], Seen::Absent)]), Verdict::Linearizable);
        assert_eq!(verdict(&[put, call(3, Action::Read, [4, 5], Seen::Absent)]), Verdict::Violation);
    }

    #[test]
    fn running_out_of_steps_is_not_a_pass() {
        let calls = [call(1, Action::Put, [1, 2], Seen::Done(state(1, 1)))];
        assert_eq!(wgl::check(&calls, 1), Verdict::GaveUp);
    }

    /// Puts and reads that overlap at random, with answers from one register or, at times, not.
    fn random_history(dice: &mut SmallRng) -> Vec<Call> {
        let mut effects: Vec<(u64, Call)> = (1..=dice.random_range(2..14))
            .map(|operation| {
                let effect = dice.random_range(100..900);
                let times = [effect - dice.random_range(1..90), effect + dice.random_range(1..90)];
                let action = if dice.random() { Action::Put } else { Action::Read };
                (effect, call(operation, action, times.map(|time| time * 64 + operation), Seen::Unknown))
            })
            .collect();
        effects.sort_by_key(|(effect, call)| (*effect, call.operation));
        let mut current = State::default();
        for (_, call) in &mut effects {
            if call.action == Action::Put {
                current = state(0, call.operation);
            }
            call.seen = Seen::Done(current);
            if call.action == Action::Put && dice.random_range(0..6) == 0 {
                (call.seen, call.returned) = (Seen::Unknown, NEVER);
            }
        }
        let calls = effects.len() as u64;
        for (_, call) in effects.iter_mut().filter(|(_, call)| call.action == Action::Read) {
            if dice.random_range(0..8) == 0 {
                call.seen = Seen::Done(state(0, dice.random_range(1..=calls)));
            }
        }
        effects.into_iter().map(|(_, call)| call).collect()
    }

    /// A register without versions, as zones see it.
    fn step_of_values(current: State, call: &Call) -> Option<State> {
        match (call.action, call.seen) {
            (Action::Put, _) => Some(state(0, call.operation)),
            (_, Seen::Done(seen)) => (seen.operation == current.operation).then_some(current),
            _ => None,
        }
    }

    #[test]
    fn both_checkers_agree_on_random_histories() {
        let mut dice = SmallRng::seed_from_u64(1997);
        let mut verdicts = [0_u32; 2];
        for _ in 0..20_000 {
            let calls = random_history(&mut dice);
            let zones = zones::check(&calls);
            let expected = if zones { Verdict::Linearizable } else { Verdict::Violation };
            assert_eq!(wgl::check_with(&calls, 1_000_000, step_of_values), expected, "{calls:#?}");
            verdicts[usize::from(zones)] += 1;
        }
        assert!(verdicts.iter().all(|count| *count > 2_000), "{verdicts:?}");
    }
}
