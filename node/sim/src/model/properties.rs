//! What must hold in every state of a small world, and what must come about in some.

use super::{Exploring, State, Told};
use crate::checker::{Verdict, forgetful, wgl};
use crate::history::{Action, Call, Seen};
use scrapering_core::view::Epoch;

/// Steps of a search that nobody needs for a handful of operations.
const BUDGET: u64 = 100_000;
/// Events between two moments of a history: more than there are operations.
const BETWEEN: u64 = 64;

pub(super) fn is_linearizable(model: &Exploring, state: &State) -> bool {
    let judge = |told: &Vec<Told>| {
        let calls = calls(model, told);
        wgl::check_with(&calls, BUDGET, forgetful::step_of(&calls)) == Verdict::Linearizable
    };
    model.library.verdicts.answer(state.told.clone(), judge)
}

/// The history of a state. Operations that had been answered when another began are known to be before it; of the
/// others nothing is known, and nothing need be: these overlap.
fn calls(model: &Exploring, told: &[Told]) -> Vec<Call> {
    let asked =
        model.small.clients.iter().enumerate().flat_map(|(client, script)| script.iter().map(move |a| (client, *a)));
    let rank = |after: u16| u64::from(after.count_ones());
    let mut calls = Vec::new();
    for (index, ((client, action), one)) in asked.zip(told).enumerate() {
        let Some(after) = one.after else { continue };
        let place = index as u64;
        // Whoever began after its answer knows of it; the first of them began last before anybody else did.
        let seen_by = told.iter().filter_map(|other| other.after).filter(|other| other >> index & 1 == 1);
        let returned = seen_by.map(rank).min().map(|first| first * BETWEEN - BETWEEN / 2 + place);
        let seen = one.seen.unwrap_or(Seen::Unknown);
        let answered = if seen == Seen::Unknown { u64::MAX } else { returned.unwrap_or(1_000 * BETWEEN + place) };
        let invoked = rank(after) * BETWEEN + place;
        let call = Call { key: 0, client, operation: place + 1, action, invoked, returned: answered, seen };
        calls.extend(call.counts().then_some(call));
    }
    calls
}

pub(super) fn is_decided_once(state: &State) -> bool {
    state.decided.len() < 2
}

/// Every write that was acknowledged in the first epoch is in the state with which the second begins, or a later one.
pub(super) fn keeps_what_was_acknowledged(model: &Exploring, state: &State) -> bool {
    state.decided.iter().all(|view| {
        let start = model.library.ballot_in(model.library.view(*view).start, &state.sent);
        let asked = model.small.clients.iter().flatten();
        let acknowledged = asked
            .zip(&state.told)
            .filter(|(action, told)| **action != Action::Read && matches!(told.seen, Some(Seen::Done(_))));
        let mut accepted = acknowledged.filter_map(|(_, told)| told.accept).filter(|(epoch, _)| *epoch == Epoch(1));
        start.is_some_and(|start| accepted.all(|(_, ballot)| ballot <= start))
    })
}

/// Every client has its answers, and the members of the last view serve it.
pub(super) fn is_over(model: &Exploring, state: &State) -> bool {
    let answered = state.told.iter().all(|told| matches!(told.seen, Some(Seen::Done(_) | Seen::Conflict(_))));
    let last = state.decided.first().copied().unwrap_or_else(|| model.library.first_view());
    let is_led_over = state.decided.is_empty() == model.small.moves.is_empty();
    let serving = model.library.parts(state).filter(|part| part.serves && part.view == last).count();
    answered && is_led_over && serving == super::MEMBERS
}

pub(super) fn has_latecomer(model: &Exploring, state: &State) -> bool {
    model.library.parts(state).any(|part| part.pending)
}
