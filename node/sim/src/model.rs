//! Every reachable state of one register while its view changes, under the very machines that the node runs.
//!
//! stateright walks; every step of a model is one of `scrapering-core`: a client's [`Proposal`], a member's
//! [`Reconfiguration`], a late member's [`Recovery`] takes one answer or one silence, an [`Acceptor`] one request.
//!
//! **What is not bounded.** A request that was sent stays: it arrives late, after others, any number of times, or
//! never, so loss, delay, duplication and reordering are one thing. Whoever sent it may have stopped for ever: a
//! dead proposer is one that is not given another step. A node is its disk: acceptors are loaded from it for every
//! request, so that they may have crashed and come back between any two.
//!
//! **What is left out, and why nothing is lost by it.**
//! - An answer arrives at once or never. Machines count answers and do not mind their order; what an answer that
//!   came later would make them send is a request that may arrive just as late.
//! - Time is a choice: a machine waits in vain whenever it likes, and clocks stand still otherwise. A wait that only
//!   repeats requests is left out, since these never vanish.
//! - Sending without end is cut: a change or a reconfiguration takes at most [`Small::attempts`] ballots. More of
//!   them only repeat, under higher numbers, that a rival overtook it; with two, whoever was overtaken comes back.
//! - A client that has begun an operation waits for it to end. One that gives up and goes on is another client.
//! - A reconfiguration that has told of its decision is over: it would only tell of it again.
//! - Where there is one reconfiguration, what it does with its own copy is done at once: while that is sealed,
//!   nobody else can change it. Its promise and its acceptance are messages like all others.
//! - Copies of former members are not deleted, and copies are not compared while a view is served. Both are in the
//!   seeded world ([`crate::world`]), which has no bounds but time.
//!
//! [`Proposal`]: scrapering_core::register::Proposal
//! [`Reconfiguration`]: scrapering_core::view::Reconfiguration
//! [`Recovery`]: scrapering_core::view::Recovery
//! [`Acceptor`]: scrapering_core::register::Acceptor

mod library;
mod machine;
mod properties;
mod shelf;
pub mod worlds;

use crate::history::{Action as Asked, Seen};
use crate::rules::Rules;
use library::Library;
use machine::{End, Input};
use scrapering_core::register::Ballot;
use scrapering_core::view::Epoch;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// A small world: one key, members 0, 1 and 2 of the first view, clients, and at most one new view.
#[derive(Clone, Debug)]
pub struct Small {
    /// Nodes; those behind the members are no members at the beginning.
    pub nodes: usize,
    /// What each client asks for, one after the other.
    pub clients: Vec<Vec<Asked>>,
    /// Which members lead the view over, and to whom; each takes one try, whenever it likes.
    pub moves: Vec<(usize, Vec<usize>)>,
    /// Whether members 0 and 1 hold the first write of client 0, and member 2 does not, when everything begins.
    pub written: bool,
    /// Whether a member of the second view that lacks its state fetches it.
    pub late: bool,
    /// Ballots that one change, and one reconfiguration, takes at most.
    pub attempts: [usize; 2],
}

impl Small {
    /// Whether a reconfiguration asks this of its own node.
    fn is_own(&self, sent: Sent) -> bool {
        matches!(sent.role, Role::Move(number) if self.moves[usize::from(number)].0 == usize::from(sent.to))
    }

    fn attempts(&self, role: Role) -> usize {
        self.attempts[usize::from(matches!(role, Role::Move(_)))]
    }
}

/// Members of the first view.
pub const MEMBERS: usize = 3;

/// Whose machine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// An operation of a client: the number of the client, and the operation's among its own.
    Client(u8, u8),
    /// The reconfiguration of that number.
    Move(u8),
    /// The recovery of that node.
    Late(u8),
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    /// Operations that had been answered when it began, as bits; `None` before it began.
    after: Option<u16>,
    /// What its client was told.
    seen: Option<Seen>,
    /// The epoch and the ballot with which it had last asked for a value to be accepted.
    accept: Option<(Epoch, Ballot)>,
}

/// A request on its way, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Sent {
    number: u32,
    to: u8,
    role: Role,
}

/// Everything by number: disks, requests and machines are in the model's library.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    disks: Vec<u32>,
    /// Requests, ascending.
    sent: Vec<Sent>,
    /// Views of the second epoch of which anybody was told, ascending.
    decided: Vec<u32>,
    /// Machines by role, ascending; `None` is over.
    running: Vec<(Role, Option<u32>)>,
    told: Vec<Told>,
}

/// One step of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It begins, with the view of that number.
    Begin(Role, u32),
    /// A request arrives; its answer does so too, or is lost.
    Deliver {
        /// Its place among those sent.
        place: u8,
        /// Whether the answer arrives.
        answered: bool,
    },
    /// It has waited in vain.
    Wait(Role),
    /// It has waited for a very long time in vain.
    WaitLong(Role),
}

/// A small world under some rules, to be explored.
pub struct Exploring {
    small: Small,
    library: Library,
    /// The first operation of each client in [`State::told`].
    first: Vec<usize>,
}

impl Exploring {
    /// `small` under `rules`.
    #[must_use]
    pub fn new(small: Small, rules: &'static dyn Rules) -> Self {
        let first = (0..small.clients.len()).map(|client| small.clients[..client].iter().map(Vec::len).sum()).collect();
        let library = Library::new(&small, rules);
        Self { small, library, first }
    }

    /// Explores everything on `threads` threads, or until something is wrong; at most `most` states, 0 for all.
    #[must_use]
    pub fn explore(self, threads: NonZeroUsize, most: usize) -> Exploration {
        let started = Instant::now();
        let names: Vec<(&'static str, bool)> = self
            .properties()
            .iter()
            .map(|property| (property.name, matches!(property.expectation, stateright::Expectation::Always)))
            .collect();
        let builder = self.checker().threads(threads.get()).finish_when(HasDiscoveries::AnyFailures);
        let builder = if most > 0 { builder.target_state_count(most) } else { builder };
        let checker = builder.spawn_bfs().join();
        let found = checker.discoveries();
        let is_always = |name: &str| names.iter().any(|(other, always)| *other == name && *always);
        let shortest = found
            .iter()
            .filter(|(property, _)| is_always(property))
            .map(|(property, path)| (*property, path.clone().into_vec()))
            .min_by_key(|(property, steps)| (steps.len(), *property));
        let counterexample =
            shortest.map(|(property, steps)| Counterexample { property, steps: checker.model().story(&steps) });
        let unseen = names.iter().filter(|(name, always)| !always && !found.contains_key(name)).map(|(name, _)| *name);
        let unseen = unseen.collect();
        Exploration {
            states: checker.unique_state_count(),
            transitions: checker.state_count(),
            depth: checker.max_depth(),
            complete: checker.is_done() && (most == 0 || checker.state_count() < most),
            counterexample,
            unseen,
            elapsed: started.elapsed(),
        }
    }

    fn operation(&self, role: Role) -> Option<usize> {
        match role {
            Role::Client(client, operation) => Some(self.first[usize::from(client)] + usize::from(operation)),
            Role::Move(_) | Role::Late(_) => None,
        }
    }

    /// Who may begin, with which view.
    fn beginnings(&self, state: &State, actions: &mut Vec<Action>) {
        for (client, script) in self.small.clients.iter().enumerate() {
            let told = &state.told[self.first[client]..][..script.len()];
            let next = told.iter().position(|told| told.seen.is_none());
            if let Some(next) = next.filter(|next| told[*next].after.is_none()) {
                let role = Role::Client(client as u8, next as u8);
                actions.extend(self.known_views(state).into_iter().map(|view| Action::Begin(role, view)));
            }
        }
        let is_new = |role: Role| state.running.binary_search_by_key(&role, |(role, _)| *role).is_err();
        for node in (0..self.small.nodes).filter(|_| self.small.late) {
            let (role, replica) = (Role::Late(node as u8), self.library.replica(node, state.disks[node]));
            actions.extend((replica.pending && is_new(role)).then_some(Action::Begin(role, replica.view)));
        }
    }

    /// The views that some node serves or is to serve.
    fn known_views(&self, state: &State) -> Vec<u32> {
        let mut views: Vec<u32> = self.library.parts(state).map(|part| part.view).collect();
        views.push(self.library.first_view());
        views.sort_unstable();
        views.dedup();
        views
    }

    fn begin(&self, last: &State, role: Role, view: u32) -> Option<State> {
        let mut next = last.clone();
        let begun = self.library.begin(role, view, &last.sent);
        if let Some(operation) = self.operation(role) {
            let answered = last.told.iter().enumerate().filter(|(_, told)| told.seen.is_some());
            next.told[operation].after = Some(answered.fold(0, |bits, (index, _)| bits | 1 << index));
        }
        let place = next.running.binary_search_by_key(&role, |(role, _)| *role).err()?;
        next.running.insert(place, (role, Some(begun.machine)));
        self.follow(&mut next, role, &begun)?;
        Some(next)
    }

    fn deliver(&self, last: &State, sent: Sent, answered: bool) -> Option<State> {
        let Sent { number: request, to, role } = sent;
        let to = usize::from(to);
        let (disk, reply) = self.library.answer(last.disks[to], request);
        if !answered {
            // What a node asks of itself is not lost.
            let is_own = self.small.is_own(sent) && machine_of(last, role).is_some();
            return (disk != last.disks[to] && !is_own).then(|| {
                let mut next = last.clone();
                next.disks[to] = disk;
                next
            });
        }
        let machine = machine_of(last, role)?;
        let stepped = self.library.step(machine, Input::Answer { request, reply });
        if stepped.machine == machine && stepped.ended.is_none() {
            // As if the answer had been lost.
            return None;
        }
        let mut next = last.clone();
        next.disks[to] = disk;
        self.follow(&mut next, role, &stepped)?;
        Some(next)
    }

    fn wait(&self, last: &State, role: Role, input: Input) -> Option<State> {
        let machine = machine_of(last, role)?;
        let stepped = self.library.step(machine, input);
        let repeats = !stepped.sent.is_empty() && stepped.sent.iter().all(|sent| last.sent.binary_search(sent).is_ok());
        if stepped.ended.is_none() && (repeats || stepped.machine == machine) {
            return None;
        }
        let mut next = last.clone();
        self.follow(&mut next, role, &stepped)?;
        Some(next)
    }

    /// What a machine has done; `None` if it has taken more ballots than it may.
    fn follow(&self, state: &mut State, role: Role, stepped: &machine::Stepped) -> Option<()> {
        for sent in &stepped.sent {
            if let Err(place) = state.sent.binary_search(sent) {
                state.sent.insert(place, *sent);
            }
        }
        if stepped.takes_ballot && self.library.ballots(role, &state.sent) > self.small.attempts(role) {
            return None;
        }
        for view in &stepped.decided {
            if let Err(place) = state.decided.binary_search(view) {
                state.decided.insert(place, *view);
            }
        }
        let slot = state.running.binary_search_by_key(&role, |(role, _)| *role).ok()?;
        state.running[slot].1 = stepped.ended.is_none().then_some(stepped.machine);
        if let Some(End::Told(seen)) = stepped.ended {
            let told = &mut state.told[self.operation(role)?];
            told.seen = Some(seen);
            told.accept = self.library.last_accept(role, &state.sent);
        }
        // A lone reconfiguration is the only one to change a sealed copy: what it asks of its own is done at once.
        let is_done_at_once = |sent: &&Sent| {
            self.small.moves.len() == 1 && self.small.is_own(**sent) && self.library.is_about_own_copy(sent.number)
        };
        for own in stepped.sent.iter().filter(is_done_at_once) {
            if let Some(next) = self.deliver(state, *own, true) {
                *state = next;
            }
        }
        Some(())
    }

    /// The first operation of client 0 is done, by members 0 and 1.
    fn after_first_write(&self, state: State) -> State {
        let begun = self.begin(&state, Role::Client(0, 0), self.library.first_view());
        let mut state = begun.unwrap_or(state);
        while state.told.first().is_some_and(|told| told.seen.is_none()) {
            let near = state.sent.iter().filter(|sent| sent.to < 2);
            let Some(next) = near.copied().find_map(|sent| self.deliver(&state, sent, true)) else { break };
            state = next;
        }
        state
    }

    /// The steps of a way in words.
    fn story(&self, steps: &[(State, Option<Action>)]) -> Vec<String> {
        let mut lines = Vec::new();
        for pair in steps.windows(2) {
            let ((last, action), (next, _)) = (&pair[0], &pair[1]);
            let Some(action) = action else { continue };
            lines.push(self.library.describe(last, *action));
            for (operation, (before, after)) in last.told.iter().zip(&next.told).enumerate() {
                if let (None, Some(seen)) = (before.seen, after.seen) {
                    lines.push(format!("    operation {} is told {seen:?}", operation + 1));
                }
            }
        }
        lines
    }
}

fn machine_of(state: &State, role: Role) -> Option<u32> {
    let slot = state.running.binary_search_by_key(&role, |(role, _)| *role).ok()?;
    state.running[slot].1
}

impl Model for Exploring {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let operations = self.small.clients.iter().map(Vec::len).sum();
        let told = vec![Told { after: None, seen: None, accept: None }; operations];
        let disks = self.library.first_disks();
        let nobody = State { disks, sent: Vec::new(), decided: Vec::new(), running: Vec::new(), told };
        let nobody = if self.small.written { self.after_first_write(nobody) } else { nobody };
        // A reconfiguration whose requests have not arrived anywhere is one that has not begun.
        let begun = (0..self.small.moves.len())
            .try_fold(nobody, |state, number| self.begin(&state, Role::Move(number as u8), self.library.first_view()));
        begun.into_iter().collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.beginnings(state, actions);
        for place in 0..state.sent.len() as u8 {
            actions.push(Action::Deliver { place, answered: false });
            actions.push(Action::Deliver { place, answered: true });
        }
        for (role, _) in state.running.iter().filter(|(_, machine)| machine.is_some()) {
            actions.push(Action::Wait(*role));
            if let Role::Move(_) = role {
                actions.push(Action::WaitLong(*role));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        match action {
            Action::Begin(role, view) => self.begin(last, role, view),
            Action::Deliver { place, answered } => self.deliver(last, *last.sent.get(usize::from(place))?, answered),
            Action::Wait(role) => self.wait(last, role, Input::Waited),
            Action::WaitLong(role) => self.wait(last, role, Input::WaitedLong),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("the history is linearizable", properties::is_linearizable),
            Property::sometimes(
                "every client has its answers, and every member serves the last view",
                properties::is_over,
            ),
        ];
        if !self.small.moves.is_empty() {
            properties.extend([
                Property::always("an epoch is decided once", |_, state| properties::is_decided_once(state)),
                Property::always("the next view begins with all that was acknowledged", |model, state| {
                    properties::keeps_what_was_acknowledged(model, state)
                }),
            ]);
        }
        if self.small.late {
            properties.push(Property::sometimes("a member misses its view's beginning", |model, state| {
                properties::has_latecomer(model, state)
            }));
        }
        properties
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// Distinct states.
    pub states: usize,
    /// Steps taken, also into known states.
    pub transitions: usize,
    /// Longest of the shortest ways to a state, in states.
    pub depth: usize,
    /// Whether nothing is left to be explored.
    pub complete: bool,
    /// A way to a state that is wrong, with which the search ends.
    pub counterexample: Option<Counterexample>,
    /// What should happen on some way and does on none.
    pub unseen: Vec<&'static str>,
    /// On the wall.
    pub elapsed: Duration,
}

/// A way from the beginning to a state in which a property does not hold.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// Which.
    pub property: &'static str,
    /// The steps on the way, and what clients were told.
    pub steps: Vec<String>,
}
