//! The search of Wing and Gong (1993) with Lowe's memory of visited configurations (2017), on one key.

use super::Verdict;
use crate::history::{Call, Seen, State};
use std::collections::HashSet;

/// Steps after which a search gives up: a few seconds.
pub const BUDGET: u64 = 5_000_000;

/// Judges the calls on one key against the register model [`super::step`].
#[must_use]
pub fn check(calls: &[Call], budget: u64) -> Verdict {
    check_with(calls, budget, super::step)
}

/// As [`check`] with another model: the state after the call, or `None` if the call cannot come here.
pub fn check_with(calls: &[Call], budget: u64, step: impl Fn(State, &Call) -> Option<State>) -> Verdict {
    Search::new(calls).run(budget, step)
}

struct Search {
    /// Answered calls by invocation.
    known: Vec<Call>,
    /// Unanswered calls by invocation; each may be placed or left out.
    unknown: Vec<Call>,
    placed: Vec<bool>,
    /// By unknown call: the place of an earlier one that could always stand in for it.
    twin: Vec<Option<usize>>,
    /// Everything before this place in `known` is placed.
    low: usize,
    state: State,
    /// Zobrist hash of the placed calls.
    hash: u128,
    visited: HashSet<u128>,
    /// The way back: what was placed, and `low` and `state` before it.
    path: Vec<(usize, usize, State)>,
}

impl Search {
    fn new(calls: &[Call]) -> Self {
        let (mut unknown, mut known): (Vec<Call>, Vec<Call>) =
            calls.iter().copied().partition(|call| call.seen == Seen::Unknown);
        known.sort_by_key(|call| call.invoked);
        unknown.sort_by_key(|call| call.invoked);
        let (placed, twin) = (vec![false; calls.len()], twins(&known, &unknown));
        Self {
            known,
            unknown,
            placed,
            twin,
            low: 0,
            state: State::default(),
            hash: 0,
            visited: HashSet::new(),
            path: Vec::new(),
        }
    }

    fn call(&self, place: usize) -> &Call {
        if place < self.known.len() { &self.known[place] } else { &self.unknown[place - self.known.len()] }
    }

    fn run(&mut self, budget: u64, step: impl Fn(State, &Call) -> Option<State>) -> Verdict {
        let mut from = 0;
        for _ in 0..budget {
            if self.low == self.known.len() {
                return Verdict::Linearizable;
            }
            match self.next_placeable(from, &step) {
                Some((place, next)) => {
                    self.place(place, next);
                    from = self.low;
                }
                None => match self.path.pop() {
                    Some((place, low, state)) => {
                        self.placed[place] = false;
                        self.hash ^= zobrist(place as u64);
                        (self.low, self.state) = (low, state);
                        from = place + 1;
                    }
                    None => return Verdict::Violation,
                },
            }
        }
        Verdict::GaveUp
    }

    /// The first call from place `from` on that may come next and leads to a configuration not seen yet.
    fn next_placeable(&mut self, from: usize, step: &impl Fn(State, &Call) -> Option<State>) -> Option<(usize, State)> {
        let horizon = self.horizon();
        let mut place = from.max(self.low);
        while place < self.placed.len() {
            if self.call(place).invoked > horizon {
                if place >= self.known.len() {
                    return None;
                }
                place = self.known.len();
                continue;
            }
            if !self.placed[place]
                && !self.waits_for_twin(place)
                && let Some(next) = step(self.state, self.call(place))
                && self.visited.insert(self.hash ^ zobrist(place as u64) ^ fingerprint(next))
            {
                return Some((place, next));
            }
            place += 1;
        }
        None
    }

    fn waits_for_twin(&self, place: usize) -> bool {
        let twin = place.checked_sub(self.known.len()).and_then(|unknown| self.twin[unknown]);
        twin.is_some_and(|twin| !self.placed[twin])
    }

    /// The first answer among the calls not placed: what was asked later cannot come before that call.
    fn horizon(&self) -> u64 {
        let mut earliest = u64::MAX;
        for (call, placed) in self.known[self.low..].iter().zip(&self.placed[self.low..]) {
            if call.invoked > earliest {
                break;
            }
            if !placed {
                earliest = earliest.min(call.returned);
            }
        }
        earliest
    }

    fn place(&mut self, place: usize, next: State) {
        self.path.push((place, self.low, self.state));
        self.placed[place] = true;
        self.hash ^= zobrist(place as u64);
        self.state = next;
        while self.low < self.known.len() && self.placed[self.low] {
            self.low += 1;
        }
    }
}

/// Unanswered calls that ask for the same and that nobody saw can take each other's place, the earlier one
/// anywhere that the later one can be: placing them in the order of asking loses no history.
fn twins(known: &[Call], unknown: &[Call]) -> Vec<Option<usize>> {
    let shown = |call: &Call| match call.seen {
        Seen::Done(state) | Seen::Conflict(state) => Some(state.operation),
        Seen::Absent | Seen::Unknown | Seen::Refused => None,
    };
    let shown: HashSet<u64> = known.iter().filter_map(shown).collect();
    let unseen = |call: &Call| !shown.contains(&call.operation);
    let twin = |place: usize, call: &Call| {
        unknown[..place].iter().rposition(|earlier| earlier.action == call.action && unseen(earlier))
    };
    let place_of = |place: usize, call: &Call| if unseen(call) { twin(place, call) } else { None };
    unknown.iter().enumerate().map(|(place, call)| place_of(place, call).map(|twin| known.len() + twin)).collect()
}

fn zobrist(place: u64) -> u128 {
    let low = mix(place.wrapping_mul(2).wrapping_add(1));
    let high = mix(low ^ 0x9e37_79b9_7f4a_7c15);
    (u128::from(high) << 64) | u128::from(low)
}

fn fingerprint(state: State) -> u128 {
    let word = mix(state.version ^ mix(state.operation ^ mix(0x5ca1_ab1e + u64::from(state.present))));
    (u128::from(mix(word ^ 0xfeed)) << 64) | u128::from(word)
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
