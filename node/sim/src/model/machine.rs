//! A machine of the core in a model: what it began with and what it was given, so that it can be built again.
//!
//! Machines are not copied: two of them would count ballots with one clock. Two are the same if they print the same.

use super::{Role, Sent, Small};
use crate::history::{Action as Asked, Seen};
use crate::invariant::state_of;
use crate::rules::{Carry, Ended, Move, Propose, Rules, Start};
use scrapering_core::id::{Key, NodeId, OperationId, Partition};
use scrapering_core::register::proposal::{Item, Transmit};
use scrapering_core::register::{Ballot, BallotClock, Change, Outcome, ProposerId, Reply};
use scrapering_core::time::Instant;
use scrapering_core::view::View;
use scrapering_core::view::reconfiguration::Plan;
use std::sync::Arc;
use std::time::Duration;

/// The partition of the key.
pub(super) const PARTITION: Partition = Partition(0);
/// When everything is that is no wait.
const NOW: Instant = Instant(Duration::ZERO);
/// Nobody waits so long.
const NEVER: Instant = Instant(Duration::from_secs(1 << 40));
/// Longer than any stage of a reconfiguration may take.
const LONG: Duration = Duration::from_secs(60);

/// The key.
pub(super) fn key() -> Key {
    Key::new(PARTITION, b"k".to_vec())
}

/// What a machine is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    /// The answer of that number to the request of that number.
    Answer { request: u32, reply: u32 },
    /// Its time-out.
    Waited,
    /// A time-out long after every other.
    WaitedLong,
}

/// As [`Input`], with what the numbers stand for.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Answer { from: NodeId, round: u64, reply: Reply },
    Waited,
    WaitedLong,
}

/// What came of a step.
#[derive(Clone, Debug)]
pub(super) struct Stepped {
    pub(super) machine: u32,
    pub(super) sent: Vec<Sent>,
    /// Whether a ballot is among them that was not there before.
    pub(super) takes_ballot: bool,
    /// Views of the second epoch that they tell of.
    pub(super) decided: Vec<u32>,
    pub(super) ended: Option<End>,
}

/// How a machine ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Told(Seen),
    Carried,
}

/// Everything from which a machine can be built.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) role: Role,
    pub(super) view: View,
    /// The clock of its process has given out ballots up to here.
    pub(super) counter: u64,
    pub(super) given: Vec<Given>,
}

#[derive(Debug)]
pub(super) enum Machine {
    Client(Box<dyn Propose>),
    Carrier(Box<dyn Carry>),
}

impl Script {
    /// The machine after all that it was given.
    pub(super) fn play(&self, small: &Small, nodes: &[NodeId], rules: &dyn Rules) -> Machine {
        let mut machine = self.begin(small, nodes, rules);
        while machine.poll_transmit().is_some() {}
        for given in &self.given {
            machine.take(given);
            while machine.poll_transmit().is_some() {}
        }
        machine
    }

    /// The machine at its beginning.
    pub(super) fn begin(&self, small: &Small, nodes: &[NodeId], rules: &dyn Rules) -> Machine {
        let view = self.view.clone();
        match self.role {
            Role::Client(client, operation) => {
                let number = operation_number(small, client, operation);
                let change = change(small.clients[usize::from(client)][usize::from(operation)], number);
                let item = Item { key: key(), change, operation: OperationId(u128::from(number)) };
                let clock = self.clock(NodeId::new(&format!("client-{client}"), 1), u32::from(operation));
                let (partition, items) = (PARTITION, vec![item]);
                let start = Start { view, partition, items, clock, now: NOW, deadline: NEVER, seed: 1 };
                Machine::Client(rules.propose(start))
            }
            Role::Move(number) => {
                let (by, to) = &small.moves[usize::from(number)];
                let desired = to.iter().map(|node| nodes[*node]).collect();
                let (me, needed) = (nodes[*by], view.quorum());
                let plan = Plan { me, partition: PARTITION, view, desired, needed };
                let clock = self.clock(me, u32::from(number));
                Machine::Carrier(rules.reconfigure(Move { plan, clock, now: NOW, deadline: NEVER, seed: 1 }))
            }
            Role::Late(node) => {
                let me = nodes[usize::from(node)];
                let members = view.members.iter().chain(nodes.iter().filter(|node| !view.has(**node)));
                let sources = members.copied().collect();
                Machine::Carrier(rules.recover(me, PARTITION, &view, sources, NOW))
            }
        }
    }

    fn clock(&self, node: NodeId, boot: u32) -> Arc<BallotClock> {
        let clock = BallotClock::new(ProposerId { node, boot });
        clock.witness(Ballot { counter: self.counter, proposer: ProposerId { node, boot } });
        Arc::new(clock)
    }
}

/// Counts operations from 1 over all clients.
pub(super) fn operation_number(small: &Small, client: u8, operation: u8) -> u64 {
    let before: usize = small.clients[..usize::from(client)].iter().map(Vec::len).sum();
    before as u64 + u64::from(operation) + 1
}

fn change(asked: Asked, number: u64) -> Change {
    let content = number.to_be_bytes().to_vec().into();
    match asked {
        Asked::Read => Change::Read,
        Asked::Put => Change::Put(content),
        Asked::Create => Change::Create(content),
        Asked::CompareAndSet { version } => Change::CompareAndSet { version, content },
        Asked::Delete { version } => Change::Delete { version },
    }
}

impl Machine {
    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Client(machine) => machine.poll_transmit(),
            Self::Carrier(machine) => machine.poll_transmit(),
        }
    }

    pub(super) fn ended(&self) -> Option<End> {
        match self {
            Self::Client(machine) => machine.poll_outcomes().map(|outcomes| End::Told(seen(&outcomes[0]))),
            Self::Carrier(machine) => machine.poll_ended().map(|Ended { .. }| End::Carried),
        }
    }

    pub(super) fn take(&mut self, given: &Given) {
        let due = match self {
            Self::Client(machine) => machine.poll_timeout(),
            Self::Carrier(machine) => machine.poll_timeout(),
        };
        match (self, given) {
            (Self::Client(machine), Given::Answer { from, round, reply }) => {
                machine.handle_reply(*from, *round, reply.clone(), NOW);
            }
            (Self::Carrier(machine), Given::Answer { from, round, reply }) => {
                machine.handle_reply(*from, *round, reply.clone(), NOW);
            }
            (Self::Client(machine), Given::Waited) => machine.handle_timeout(due),
            (Self::Carrier(machine), Given::Waited) => machine.handle_timeout(due),
            (Self::Client(machine), Given::WaitedLong) => machine.handle_timeout(due + LONG),
            (Self::Carrier(machine), Given::WaitedLong) => machine.handle_timeout(due + LONG),
        }
    }
}

fn seen(outcome: &Outcome) -> Seen {
    match outcome {
        Outcome::Done { value, .. } => Seen::Done(state_of(value.as_ref())),
        Outcome::Conflict { current } => Seen::Conflict(state_of(current.as_ref())),
        Outcome::Indeterminate => Seen::Unknown,
        Outcome::Unavailable => Seen::Refused,
    }
}
