//! Judges a recorded history: was every key like one register on one machine, and is everything acknowledged still there?
//!
//! Each key is held by itself to the simulator's model of a register, by both of its checkers. Beside that stands a
//! count that needs no theory: acknowledged writes that are newer than what the last reads have shown.

use super::history::{self, Action, History, Outcome};
use scrapering_sim::checker::{Verdict, wgl, zones};
use scrapering_sim::history::{Action as Asked, Call, Seen, State};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Steps after which the search in one key's history gives up, which counts as failure.
const BUDGET: u64 = 20_000_000;
/// Stands for what the answer did not tell.
const UNTOLD: u64 = u64::MAX;
/// How many calls before the one that cannot be explained are shown.
const SHOWN_CALLS: usize = 12;

/// What the judge has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// Calls by outcome.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Keys that were judged.
    pub keys: usize,
    /// Keys whose history could not have happened on one machine, with the first answer that cannot be explained.
    pub violations: Vec<Violation>,
    /// Keys whose search ran out of steps.
    pub gave_up: Vec<String>,
    /// Acknowledged changes that are newer than what was read in the end.
    pub lost: Vec<String>,
    /// Versions that two different contents of a key have had, so that `If-Match` cannot tell them apart.
    pub repeated: Vec<String>,
    /// Answers that no client should get.
    pub oddities: Vec<String>,
}

/// A key whose history cannot be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: String,
    /// The calls that ended last before the contradiction was complete, the last one first.
    pub calls: Vec<history::Call>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not linearizable; the last answer of these cannot be explained:", self.key)?;
        for call in self.calls.iter().rev() {
            write!(f, "\n    {call:?}")?;
        }
        Ok(())
    }
}

impl Judgement {
    /// Whether there is nothing to say against the history.
    pub fn is_good(&self) -> bool {
        let Self { violations, gave_up, lost, repeated, oddities, .. } = self;
        violations.is_empty() && gave_up.is_empty() && lost.is_empty() && repeated.is_empty() && oddities.is_empty()
    }
}

/// Judges a whole history.
pub fn judge(history: &History) -> Judgement {
    let mut judgement = Judgement::default();
    let mut keys: BTreeMap<&str, Vec<&history::Call>> = BTreeMap::new();
    for call in &history.calls {
        *judgement.outcomes.entry(call.outcome).or_default() += 1;
        keys.entry(&call.key).or_default().push(call);
        judgement.oddities.extend(call.oddity.iter().map(|oddity| format!("{}: {oddity}", call.node)));
    }
    judgement.keys = keys.len();
    for (key, calls) in keys {
        match verdict(&calls) {
            Verdict::Linearizable => {}
            Verdict::Violation => {
                judgement.violations.push(Violation { key: key.to_owned(), calls: first_contradiction(&calls) });
            }
            Verdict::GaveUp => judgement.gave_up.push(key.to_owned()),
        }
        judgement.lost.extend(lost(&calls));
        judgement.repeated.extend(repeated(&calls));
    }
    judgement
}

/// Both checkers on the calls on one key. What zones refuses, the other must refuse too.
fn verdict(calls: &[&history::Call]) -> Verdict {
    let told = versions(calls);
    let calls = model(calls);
    let names_its_value = |call: &&Call| !matches!(call.seen, Seen::Conflict(state) if state.operation == UNTOLD);
    let by_value: Vec<Call> = calls.iter().filter(names_its_value).copied().collect();
    if !zones::check(&by_value) {
        return Verdict::Violation;
    }
    wgl::check_with(&calls, BUDGET, |state, call| step(state, call, &told))
}

/// The version of each operation's content, as far as any answer has told it.
fn versions(calls: &[&history::Call]) -> BTreeMap<u64, u64> {
    let shown = calls.iter().filter_map(|call| call.shown);
    shown.filter_map(|shown| shown.operation.zip(shown.version)).collect()
}

/// What `call` makes of `state` if it takes effect now; `None` if that contradicts what its client was told.
///
/// The simulator's model, but for what a client of the gateway cannot know: the version of a tombstone, the version
/// that a key begins with when there is nothing (a tombstone may be gone and its version with it), and who wrote what
/// stood against a condition.
fn step(state: State, call: &Call, told: &BTreeMap<u64, u64>) -> Option<State> {
    let written = || match told.get(&call.operation) {
        _ if state.present && state.version != UNTOLD => state.version + 1,
        Some(version) => *version,
        None => UNTOLD,
    };
    let set = || State { version: written(), operation: call.operation, present: true };
    let removed = State { version: UNTOLD, operation: call.operation, present: false };
    let (next, conflict) = match call.action {
        Asked::Read => (state, false),
        Asked::Put => (set(), false),
        Asked::Create if state.present => (state, true),
        Asked::Create => (set(), false),
        Asked::CompareAndSet { version } if !state.present || state.version != version => (state, true),
        Asked::CompareAndSet { .. } => (set(), false),
        Asked::Delete { .. } if !state.present => (state, false),
        Asked::Delete { version } if version.is_some_and(|version| version != state.version) => (state, true),
        Asked::Delete { .. } => (removed, false),
    };
    let agrees = |told, held| told == held || told == UNTOLD || held == UNTOLD;
    let fits = match call.seen {
        Seen::Done(seen) => !conflict && seen == next,
        Seen::Conflict(seen) => {
            let same = agrees(seen.version, state.version) && agrees(seen.operation, state.operation);
            conflict && seen.present == state.present && (same || !seen.present)
        }
        Seen::Absent => !conflict && !next.present,
        Seen::Unknown => next != state,
        Seen::Refused => false,
    };
    // What nobody had told so far, the next answers must agree with.
    let learnt = match call.seen {
        Seen::Conflict(seen) if seen.present && state.version == UNTOLD => State { version: seen.version, ..next },
        _ => next,
    };
    fits.then_some(learnt)
}

/// The calls as the checkers know them, with moments instead of nanoseconds.
fn model(calls: &[&history::Call]) -> Vec<Call> {
    let mut ends: Vec<(u64, bool, usize)> = Vec::with_capacity(calls.len() * 2);
    for (index, call) in calls.iter().enumerate() {
        // Where an answer and a question fall on the same nanosecond, they overlap.
        ends.push((call.start_ns, false, index));
        ends.push((call.end_ns, true, index));
    }
    ends.sort_unstable();
    let mut moments = vec![[0, u64::MAX]; calls.len()];
    for (moment, (_, is_end, index)) in ends.into_iter().enumerate() {
        moments[index][usize::from(is_end)] = moment as u64 + 1;
    }
    let call = |(call, [invoked, returned]): (&&history::Call, [u64; 2])| {
        let seen = seen(call);
        let returned = if seen == Seen::Unknown { u64::MAX } else { returned };
        Call {
            key: 0,
            client: call.client,
            operation: call.operation,
            action: asked(call.action),
            invoked,
            returned,
            seen,
        }
    };
    calls.iter().zip(moments).map(call).filter(Call::counts).collect()
}

fn asked(action: Action) -> Asked {
    match action {
        Action::Get => Asked::Read,
        Action::Put => Asked::Put,
        Action::Create => Asked::Create,
        Action::CompareAndSet { version } => Asked::CompareAndSet { version },
        Action::Delete { version } => Asked::Delete { version },
    }
}

fn seen(call: &history::Call) -> Seen {
    let state = call.shown.map(|shown| State {
        version: shown.version.unwrap_or(UNTOLD),
        operation: shown.operation.unwrap_or(UNTOLD),
        present: shown.present,
    });
    match (call.outcome, state) {
        (Outcome::Done, Some(state)) if state.present => Seen::Done(state),
        (Outcome::Done, Some(_)) => Seen::Absent,
        (Outcome::Conflict, Some(state)) => Seen::Conflict(state),
        (Outcome::Unavailable, _) => Seen::Refused,
        (Outcome::Done | Outcome::Conflict, None) | (Outcome::Unknown, _) => Seen::Unknown,
    }
}

/// The shortest beginning of the history that contradicts itself: its last calls, the last one first.
fn first_contradiction(calls: &[&history::Call]) -> Vec<history::Call> {
    let mut by_end = calls.to_vec();
    by_end.sort_by_key(|call| call.end_ns);
    let contradicts = |known: usize| {
        let until = by_end[..known].last().map_or(0, |call| call.end_ns);
        let open = by_end[known..].iter().filter(|call| call.start_ns <= until).map(|call| history::Call {
            outcome: Outcome::Unknown,
            shown: None,
            ..(*call).clone()
        });
        let open: Vec<history::Call> = open.collect();
        let beginning: Vec<&history::Call> = by_end[..known].iter().copied().chain(&open).collect();
        verdict(&beginning) != Verdict::Linearizable
    };
    let (mut fine, mut bad) = (0, by_end.len());
    while bad - fine > 1 {
        let middle = fine.midpoint(bad);
        if contradicts(middle) { bad = middle } else { fine = middle }
    }
    by_end[..bad].iter().rev().take(SHOWN_CALLS).map(|call| (*call).clone()).collect()
}

/// Acknowledged changes of one key that the last read does not know of.
fn lost(calls: &[&history::Call]) -> Option<String> {
    let shown = |call: &&&history::Call| call.outcome == Outcome::Done && call.shown.is_some();
    let last = calls.iter().filter(|call| call.action == Action::Get).filter(shown).max_by_key(|call| call.start_ns)?;
    let version = |call: &history::Call| call.shown.and_then(|shown| shown.version);
    let changes = calls.iter().filter(|call| call.action.is_change() && call.end_ns < last.start_ns).filter(shown);
    let newest = changes.filter(|call| version(call).is_some()).max_by_key(|call| version(call))?;
    // After a removal that was not over before the write began, anything may be there, under any version.
    let is_removed = calls.iter().any(|call| {
        matches!(call.action, Action::Delete { .. })
            && match call.outcome {
                Outcome::Done => call.end_ns > newest.start_ns,
                Outcome::Unknown => true,
                Outcome::Conflict | Outcome::Unavailable => false,
            }
    });
    let is_lost = !is_removed && version(last) < version(newest);
    is_lost.then(|| {
        format!(
            "{}: operation {} was acknowledged by {} as version {:?}, and {} read version {:?} in the end",
            last.key,
            newest.operation,
            newest.node,
            version(newest),
            last.node,
            version(last)
        )
    })
}

/// Versions of one key that stand for more than one content.
fn repeated(calls: &[&history::Call]) -> Vec<String> {
    let mut writers: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for shown in calls.iter().filter_map(|call| call.shown) {
        if let (Some(version), Some(operation)) = (shown.version, shown.operation) {
            writers.entry(version).or_default().insert(operation);
        }
    }
    let repeated = writers.into_iter().filter(|(_, operations)| operations.len() > 1);
    let key = calls.first().map_or("", |call| &call.key);
    repeated.map(|(version, operations)| format!("{key}: version {version} was written by {operations:?}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::history::{Run, Shown};
    use super::*;

    fn shown(version: Option<u64>, operation: Option<u64>) -> Option<Shown> {
        Some(Shown { present: version.is_some(), version, operation })
    }

    fn call(operation: u64, action: Action, times: [u64; 2], outcome: Outcome, shown: Option<Shown>) -> history::Call {
        history::Call {
            client: 0,
            operation,
            key: "k".to_owned(),
            action,
            node: "ring-0".to_owned(),
            start_ns: times[0],
            end_ns: times[1],
            outcome,
            status: None,
            shown,
            oddity: None,
        }
    }

    /// A put, a compare-and-set that meets it, one that comes too late, a delete, a put that nobody answered, reads.
    fn good() -> Vec<history::Call> {
        vec![
            call(1, Action::Put, [0, 10], Outcome::Done, shown(Some(1), Some(1))),
            call(2, Action::CompareAndSet { version: 1 }, [20, 30], Outcome::Done, shown(Some(2), Some(2))),
            call(3, Action::CompareAndSet { version: 1 }, [25, 40], Outcome::Conflict, shown(Some(2), None)),
            call(4, Action::Create, [41, 45], Outcome::Conflict, shown(Some(2), None)),
            call(5, Action::Delete { version: None }, [50, 60], Outcome::Done, shown(None, None)),
            call(6, Action::CompareAndSet { version: 2 }, [61, 65], Outcome::Conflict, shown(None, None)),
            call(7, Action::Put, [70, 75], Outcome::Unknown, None),
            call(8, Action::Put, [76, 77], Outcome::Unavailable, None),
            call(9, Action::Get, [78, 79], Outcome::Done, shown(None, None)),
            call(10, Action::Get, [80, 90], Outcome::Done, shown(Some(4), Some(7))),
            call(11, Action::Put, [91, 99], Outcome::Done, shown(Some(5), Some(11))),
            call(12, Action::Get, [100, 110], Outcome::Done, shown(Some(5), Some(11))),
        ]
    }

    fn judged(calls: Vec<history::Call>) -> Judgement {
        judge(&History { run: Run { seed: 1, run: 1, began_unix_ms: 0 }, calls, faults: Vec::new() })
    }

    #[test]
    fn a_history_of_one_register_is_good() {
        let judgement = judged(good());
        assert!(judgement.is_good(), "{judgement:?}");
        assert_eq!(judgement.outcomes[&Outcome::Done], 7);
    }

    #[test]
    fn an_acknowledged_write_that_is_gone_is_a_violation_and_is_counted_as_lost() {
        let mut calls = good();
        let put = calls.remove(10);
        calls.pop();
        calls.push(put);
        calls.push(call(12, Action::Get, [100, 110], Outcome::Done, shown(Some(4), Some(7))));
        let judgement = judged(calls);
        assert_eq!(judgement.violations[0].calls[0].operation, 12, "{judgement:?}");
        assert_eq!(judgement.lost.len(), 1, "{judgement:?}");
    }

    #[test]
    fn whatever_acknowledged_write_is_struck_from_the_history_the_judge_notices() {
        for (place, struck) in good().iter().enumerate() {
            let is_seen = struck.outcome == Outcome::Done && struck.action.is_change() && struck.operation != 5;
            if is_seen {
                let mut calls = good();
                calls.remove(place);
                assert_eq!(judged(calls).violations.len(), 1, "without {struck:?}");
            }
        }
    }

    #[test]
    fn an_acknowledged_write_that_vanishes_without_a_removal_is_lost() {
        let calls = vec![
            call(1, Action::Put, [0, 10], Outcome::Done, shown(Some(1), Some(1))),
            call(2, Action::Get, [20, 30], Outcome::Done, shown(None, None)),
        ];
        let judgement = judged(calls);
        assert_eq!((judgement.violations.len(), judgement.lost.len()), (1, 1), "{judgement:?}");
    }

    #[test]
    fn a_refused_write_that_shows_up_is_a_violation() {
        let mut calls = good();
        calls[6].outcome = Outcome::Unavailable;
        assert_eq!(judged(calls).violations.len(), 1);
    }

    #[test]
    fn a_version_that_comes_again_after_a_removal_is_named_and_a_new_one_is_fine() {
        let again = |version| {
            judged(vec![
                call(1, Action::Put, [0, 10], Outcome::Done, shown(Some(1), Some(1))),
                call(2, Action::Delete { version: Some(1) }, [20, 30], Outcome::Done, shown(None, None)),
                call(3, Action::Put, [40, 50], Outcome::Done, shown(Some(version), Some(3))),
                call(4, Action::Get, [60, 70], Outcome::Done, shown(Some(version), Some(3))),
            ])
        };
        assert!(again(3).is_good() && again(9).is_good(), "{:?}", again(3));
        let judgement = again(1);
        assert_eq!((judgement.violations.len(), judgement.repeated.len()), (0, 1), "{judgement:?}");
    }

    #[test]
    fn the_version_of_an_unanswered_write_is_learnt_from_the_first_conflict_and_holds_from_then_on() {
        let cas = Action::CompareAndSet { version: 4 };
        let until = |second| {
            judged(vec![
                call(1, Action::Put, [0, 10], Outcome::Unknown, None),
                call(2, cas, [20, 30], Outcome::Conflict, shown(Some(77), None)),
                call(3, cas, [40, 50], Outcome::Conflict, shown(Some(second), None)),
            ])
        };
        assert!(until(77).is_good(), "{:?}", until(77));
        assert_eq!(until(78).violations.len(), 1);
    }

    #[test]
    fn an_answer_that_no_client_should_get_is_no_pass() {
        let mut calls = good();
        calls[6].oddity = Some("500".to_owned());
        assert!(!judged(calls).is_good());
    }
}
