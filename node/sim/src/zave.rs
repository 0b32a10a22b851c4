//! Every reachable state of a small ring, under the very transitions that the node runs.
//!
//! What Zave proves for any size ("Reasoning about identifier spaces: how to make Chord correct", IEEE TSE
//! 43(12), 2017) is checked here for six identifiers without trust in the proof: whatever order the members
//! take their steps in, whoever joins, and whichever two die, at any moment and also both at once.
//!
//! A question and its answer are one step of the model. The node may do so because a member does not show its
//! state while a question of its own is open, and because a silence changes nothing. A notification waits in
//! its slot until the model lets the member rectify, so it may be as late as it likes. The circle has no
//! beginning, so of states that differ only by a turn of it one can stand for all.

mod properties;

use scrapering_core::ring::VirtualNode;
use scrapering_core::ring::virtual_node::{AtMost, Outcome, between};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Identifiers of the model.
pub const IDENTIFIERS: u8 = 6;
/// Smallest ring that is left after two of six have died: lists of three need one more (Zave's r + 1).
pub const SMALLEST_RING: usize = 4;
/// Members that die in one run.
pub const FAILURES: u8 = 2;

/// A small ring to be explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallRing {
    /// Entries of a successor list.
    pub list: usize,
    /// Whether members also propose their next living one, as the membership tells them.
    pub repair: bool,
    /// Whether one state stands for all that are a turn of it: a sixth of the states, but names change on a way.
    pub turned: bool,
}

/// The members by identifier, and how many may still die.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    members: [Option<VirtualNode<u8>>; IDENTIFIERS as usize],
    failures_left: u8,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.turned_key(0), self.failures_left).hash(state);
    }
}

/// One step of one member, or of fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The member asks its first successor for its state.
    Stabilize(u8),
    /// The member asks its candidate.
    AskCandidate(u8),
    /// The member looks at who notified it.
    Rectify(u8),
    /// The membership tells the member of its next living one.
    Repair(u8),
    /// The first joins right behind the second.
    Join(u8, u8),
    /// The member dies.
    Fail(u8),
}

impl State {
    fn whole(members: &[u8], rule: AtMost) -> Self {
        let mut state = Self { members: Default::default(), failures_left: FAILURES };
        for (index, me) in members.iter().enumerate() {
            let clockwise: Vec<u8> = members[index + 1..].iter().chain(&members[..index]).copied().collect();
            let before = clockwise.last().copied();
            state.members[usize::from(*me)] = Some(VirtualNode::genesis(*me, before, clockwise, &rule));
        }
        state
    }

    fn living(&self) -> impl Iterator<Item = &VirtualNode<u8>> {
        self.members.iter().flatten()
    }

    fn lives(&self, id: u8) -> bool {
        self.members[usize::from(id)].is_some()
    }

    /// What a question to `id` brings.
    fn ask(&self, id: u8) -> Outcome<u8> {
        self.members[usize::from(id)].as_ref().map_or(Outcome::Dead, |member| {
            Outcome::Answer(member.neighbours().expect("the model leaves no question open"))
        })
    }

    /// Lets `id` ask as `question` says, and delivers the notification that may follow.
    fn question(
        &mut self,
        id: u8,
        rule: AtMost,
        question: impl FnOnce(&mut VirtualNode<u8>) -> Option<u8>,
    ) -> Option<()> {
        let to = question(self.members[usize::from(id)].as_mut()?);
        let outcome = to.map(|to| self.ask(to));
        let notified = self.members[usize::from(id)].as_mut()?.handle_outcome(outcome?, &rule);
        if let Some(notified) = notified {
            let dead = self.dead();
            if let Some(member) = &mut self.members[usize::from(notified)] {
                member.handle_notify(id, dead);
            }
        }
        Some(())
    }

    fn dead(&self) -> impl Fn(u8) -> bool + use<> {
        let living: [bool; IDENTIFIERS as usize] = std::array::from_fn(|id| self.members[id].is_some());
        move |id| !living[usize::from(id)]
    }

    fn fail(&mut self, id: u8) {
        self.members[usize::from(id)] = None;
        self.failures_left -= 1;
    }

    /// Of this state and all that are a turn of it, the one that stands for them.
    fn representative(self) -> Self {
        let living = self.living().fold(0, |bits, member| bits | 1_u16 << member.position());
        // The living after a turn; where turns do not differ in that, the members decide.
        let bits = |turn: &u8| (living << turn | living >> (IDENTIFIERS - turn)) & ((1 << IDENTIFIERS) - 1);
        let least = (0..IDENTIFIERS).map(|turn| bits(&turn)).min();
        let mut turns = (0..IDENTIFIERS).filter(|turn| Some(bits(turn)) == least);
        let first = turns.next().expect("one of them is the least");
        let key = |turn: u8| (self.turned_key(turn), turn);
        let turn = match turns.next() {
            None => first,
            Some(second) => turns.chain([first, second]).map(key).min().map_or(first, |(_, turn)| turn),
        };
        if turn == 0 { self } else { self.turned(turn) }
    }

    fn turned(&self, turn: u8) -> Self {
        let mut members: [Option<VirtualNode<u8>>; IDENTIFIERS as usize] = Default::default();
        for member in self.living().map(|member| member.renamed(|id| turned(id, turn))) {
            let id = usize::from(member.position());
            members[id] = Some(member);
        }
        Self { members, failures_left: self.failures_left }
    }

    /// The members after a turn, as a number: equal for equal states only.
    fn turned_key(&self, turn: u8) -> u128 {
        let digit = |id: Option<u8>| u128::from(id.map_or(7, |id| turned(id, turn)));
        let member = |member: &VirtualNode<u8>| {
            let pointers = [member.predecessor(), member.candidate(), member.notifier()];
            let list = member.successors().iter().copied().map(Some);
            let digits = pointers.into_iter().chain(list).fold(1, |key, id| key << 3 | digit(id));
            digits << (20 * turned(member.position(), turn))
        };
        self.living().map(member).fold(0, |key, member| key | member)
    }

    /// The next living member clockwise.
    fn next_living(&self, id: u8) -> Option<u8> {
        (1..IDENTIFIERS).map(|step| (id + step) % IDENTIFIERS).find(|next| self.lives(*next))
    }
}

const fn turned(id: u8, turn: u8) -> u8 {
    (id + turn) % IDENTIFIERS
}

impl SmallRing {
    const fn rule(self) -> AtMost {
        AtMost(self.list)
    }

    fn apply(self, state: &mut State, action: Action) -> Option<()> {
        let rule = self.rule();
        match action {
            Action::Stabilize(id) => state.question(id, rule, VirtualNode::ask_successor),
            Action::AskCandidate(id) => state.question(id, rule, VirtualNode::ask_candidate),
            Action::Rectify(id) => {
                let dead = state.dead();
                state.members[usize::from(id)].as_mut()?.rectify(dead);
                Some(())
            }
            Action::Repair(id) => {
                let next = state.next_living(id)?;
                state.members[usize::from(id)].as_mut()?.propose(next);
                Some(())
            }
            Action::Join(id, before) => {
                let Outcome::Answer(answer) = state.ask(before) else { return None };
                state.members[usize::from(id)] = Some(VirtualNode::join(id, before, answer, &rule)?);
                Some(())
            }
            Action::Fail(id) => {
                state.fail(id);
                Some(())
            }
        }
    }

    fn stand_in(self, state: State) -> State {
        if self.turned { state.representative() } else { state }
    }

    /// Explores everything on `threads` threads.
    #[must_use]
    pub fn explore(self, threads: NonZeroUsize) -> Exploration {
        let started = Instant::now();
        let checker = self.checker().threads(threads.get()).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let found = checker.discoveries().into_iter().map(|(property, path)| (property, path.into_vec()));
        let shortest = found.min_by_key(|(property, steps)| (steps.len(), *property));
        let counterexample = shortest.map(|(property, steps)| Counterexample { property, steps });
        Exploration {
            ring: self,
            states: checker.unique_state_count(),
            transitions: checker.state_count(),
            depth: checker.max_depth(),
            counterexample,
            elapsed: started.elapsed(),
        }
    }
}

impl Model for SmallRing {
    type State = State;
    type Action = Action;

    /// Every whole ring of [`SMALLEST_RING`] or more members.
    fn init_states(&self) -> Vec<State> {
        let subsets = (0..1_u8 << IDENTIFIERS).map(|bits| (0..IDENTIFIERS).filter(move |id| bits >> id & 1 == 1));
        let subsets = subsets.map(Iterator::collect).filter(|subset: &Vec<u8>| subset.len() >= SMALLEST_RING);
        let whole = subsets.map(|subset| self.stand_in(State::whole(&subset, self.rule())));
        let distinct: BTreeMap<u128, State> = whole.map(|state| (state.turned_key(0), state)).collect();
        distinct.into_values().collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for id in 0..IDENTIFIERS {
            if let Some(member) = &state.members[usize::from(id)] {
                actions.push(Action::Stabilize(id));
                actions.extend(member.candidate().map(|_| Action::AskCandidate(id)));
                actions.extend(member.notifier().map(|_| Action::Rectify(id)));
                if self.repair {
                    actions.push(Action::Repair(id));
                }
                if state.failures_left > 0 && properties::may_fail(state, id) {
                    actions.push(Action::Fail(id));
                }
            } else {
                actions.extend((0..IDENTIFIERS).filter(|before| state.lives(*before)).map(|b| Action::Join(id, b)));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        self.apply(&mut next, action)?;
        (next != *last).then(|| self.stand_in(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every member has a living successor", |_, state| {
                properties::has_living_successors(state)
            }),
            Property::always("four members or more are principals", |_, state| {
                properties::principals(state) >= SMALLEST_RING
            }),
            Property::always("there is one ring, and it is in order", |_, state| {
                properties::is_one_ordered_ring(state)
            }),
            Property::always("every member leads into the ring", |_, state| properties::is_connected(state)),
            Property::always("no list names a member twice", |_, state| properties::has_no_duplicates(state)),
            Property::always("every list is in order", |_, state| properties::is_ordered(state)),
        ]
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// The ring.
    pub ring: SmallRing,
    /// Distinct states.
    pub states: usize,
    /// Steps taken, also into known states.
    pub transitions: usize,
    /// Longest of the shortest ways to a state, in states.
    pub depth: usize,
    /// A way to a state that is wrong, with which the search ends.
    pub counterexample: Option<Counterexample>,
    /// On the wall.
    pub elapsed: Duration,
}

/// A way from a whole ring to a state in which a property does not hold.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// Which.
    pub property: &'static str,
    /// The states on the way, each with the step that leaves it.
    pub steps: Vec<(State, Option<Action>)>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, member) in self.living().enumerate() {
            let predecessor = member.predecessor().map_or("-".to_owned(), |id| id.to_string());
            let space = if index == 0 { "" } else { "  " };
            write!(f, "{space}{predecessor}<{}>", member.position())?;
            member.successors().iter().try_for_each(|id| write!(f, "{id}"))?;
        }
        Ok(())
    }
}
