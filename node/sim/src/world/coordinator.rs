//! Tasks in progress on their coordinators: batches and scans, driven as a node's driver would.

use super::bodies::{Fetching, Putting, writes};
use super::errand::Errand;
use super::node::Message;
use super::{Event, World};
use crate::history::Action;
use crate::rules::{Propose, Start};
use crate::wire::{Answer, Ask};
use rand::Rng;
use scrapering_core::body::BodyHash;
use scrapering_core::id::{NodeId, OperationId, Partition};
use scrapering_core::register::proposal::Item;
use scrapering_core::register::scan::Scan;
use scrapering_core::register::{Change, Reply};
use scrapering_core::time::Instant;
use scrapering_core::view::View;
use std::sync::Arc;
use std::time::Duration;

/// What the epilogue does through each node: read, write and scan the first partition, read the second, look for
/// every body.
pub(super) const JUDGE_PARTS: usize = 5;
/// The epilogue's patience for one step, microseconds.
pub(super) const JUDGE_US: u64 = 3_000_000;
/// The client number of the epilogue.
const JUDGE: usize = usize::MAX;
/// The client number of the stewards, which ask for nothing.
const STEWARD: usize = usize::MAX - 1;

/// Who waits for a task.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Client(usize),
    Judge {
        step: usize,
    },
    /// Nobody: it is done for the views.
    Steward,
}

impl Owner {
    pub(super) fn number(self) -> usize {
        match self {
            Self::Client(client) => client,
            Self::Judge { .. } => JUDGE,
            Self::Steward => STEWARD,
        }
    }
}

pub(super) struct Scanning {
    pub(super) scan: Scan,
    pub(super) partition: Partition,
    /// When the page was asked for.
    pub(super) asked: u64,
    pub(super) after: Option<Vec<u8>>,
    pub(super) limit: usize,
    pub(super) disputed: Vec<usize>,
    pub(super) deadline: Instant,
}

pub(super) enum Machine {
    Proposal(Box<dyn Propose>),
    Scan(Box<Scanning>),
    Put(Box<Putting>),
    Fetch(Box<Fetching>),
    Errand(Box<Errand>),
}

/// Something to be sent.
struct Sending {
    to: NodeId,
    round: u64,
    ask: Ask,
}

pub(super) struct Task {
    pub(super) owner: Owner,
    /// Places in the history, one an item.
    pub(super) calls: Vec<usize>,
    pub(super) machine: Machine,
    timer_at_us: u64,
}

impl Task {
    pub(super) fn new(owner: Owner, calls: Vec<usize>, machine: Machine) -> Self {
        Self { owner, calls, machine, timer_at_us: 0 }
    }

    /// When time alone changes something; `None` if it never will.
    fn poll_timeout(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Proposal(proposal) => Some(proposal.poll_timeout()),
            Machine::Scan(scanning) => Some(scanning.scan.poll_timeout().min(scanning.deadline)),
            Machine::Put(putting) => putting.poll_timeout(),
            Machine::Fetch(fetching) => fetching.poll_timeout(),
            Machine::Errand(errand) => Some(errand.machine.poll_timeout()),
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Sending> {
        let (to, round, ask) = match &mut self.machine {
            Machine::Proposal(proposal) => {
                let transmit = proposal.poll_transmit()?;
                (transmit.to, transmit.round, Ask::Register(transmit.envelope))
            }
            Machine::Scan(scanning) => {
                let (to, envelope) = scanning.scan.poll_transmit()?;
                (to, scanning.asked, Ask::Register(envelope))
            }
            Machine::Put(putting) => {
                let to = putting.poll_transmit(now)?;
                (to, 0, Ask::Keep(putting.body, putting.content.clone()))
            }
            Machine::Fetch(fetching) => {
                let to = fetching.poll_transmit(now)?;
                (to, fetching.round, Ask::Kept(fetching.body))
            }
            Machine::Errand(errand) => {
                let transmit = errand.machine.poll_transmit()?;
                (transmit.to, transmit.round, Ask::Register(transmit.envelope))
            }
        };
        Some(Sending { to, round, ask })
    }

    fn handle_answer(&mut self, from: NodeId, round: u64, answer: Answer, now: Instant) {
        match (&mut self.machine, answer) {
            (Machine::Proposal(proposal), Answer::Register(reply)) => proposal.handle_reply(from, round, reply, now),
            (Machine::Scan(scanning), Answer::Register(reply)) if scanning.asked == round => {
                scanning.scan.handle_reply(from, reply)
            }
            (Machine::Put(putting), Answer::Keep(stored)) => putting.handle_reply(from, stored),
            (Machine::Fetch(fetching), Answer::Kept(content)) => fetching.handle_reply(round, content),
            (Machine::Errand(errand), Answer::Register(reply)) => {
                errand.machine.handle_reply(from, round, reply, now);
            }
            // To an earlier page.
            _ => {}
        }
    }
}

/// One key of a batch.
pub(super) type Wish = (usize, Action);

impl World<'_> {
    /// Starts a batch on `node` on the members of `view`; what it writes refers to `body`.
    pub(super) fn start_batch(
        &mut self,
        node: usize,
        owner: Owner,
        view: View,
        wishes: &[Wish],
        patience_us: u64,
        body: Option<BodyHash>,
    ) {
        let partition = self.keys[wishes[0].0].partition;
        let calls: Vec<usize> =
            wishes.iter().map(|(key, action)| self.history.invoke(*key, owner.number(), *action)).collect();
        self.stats.calls += calls.len() as u64;
        if let Some(body) = body {
            let written = calls.iter().filter(|call| writes(self.history.calls[**call].action));
            self.references.extend(written.map(|call| (*call, body)));
        }
        let items = calls.iter().map(|call| self.item(*call)).collect();
        let now = self.now();
        let start = Start {
            view,
            partition,
            items,
            clock: Arc::clone(&self.nodes[node].clock),
            now,
            deadline: now + Duration::from_micros(patience_us),
            seed: self.dice.random(),
        };
        let machine = Machine::Proposal(self.rules.propose(start));
        self.start_task(node, Task::new(owner, calls, machine));
    }

    fn item(&self, place: usize) -> Item {
        let call = &self.history.calls[place];
        let mut content = call.operation.to_be_bytes().to_vec();
        content.extend(self.references.get(&place).into_iter().flat_map(|hash| hash.0));
        let content = content.into();
        let change = match call.action {
            Action::Read => Change::Read,
            Action::Put => Change::Put(content),
            Action::Create => Change::Create(content),
            Action::CompareAndSet { version } => Change::CompareAndSet { version, content },
            Action::Delete { version } => Change::Delete { version },
        };
        Item { key: self.keys[call.key].clone(), change, operation: OperationId(u128::from(call.operation)) }
    }

    /// Starts reading all keys of `partition` on `node`, at most `limit` entries a page.
    pub(super) fn start_scan(
        &mut self,
        node: usize,
        owner: Owner,
        partition: Partition,
        limit: usize,
        patience_us: u64,
    ) {
        self.stats.scans += 1;
        let deadline = self.now() + Duration::from_micros(patience_us);
        let scanning = self.next_page(node, partition, None, limit, Vec::new(), deadline);
        self.start_task(node, Task::new(owner, Vec::new(), Machine::Scan(Box::new(scanning))));
    }

    pub(super) fn next_page(
        &mut self,
        node: usize,
        partition: Partition,
        after: Option<Vec<u8>>,
        limit: usize,
        disputed: Vec<usize>,
        deadline: Instant,
    ) -> Scanning {
        let known = self.known_view(node, partition);
        let view = self.rules.scanned_view(&known, &mut self.dice);
        let scan = Scan::new(view, partition, b"k".to_vec(), after.clone(), limit, self.now());
        Scanning { scan, partition, asked: self.history.tick(), after, limit, disputed, deadline }
    }

    /// Starts a step of the epilogue; `false` if there is nothing to do in it.
    pub(super) fn start_judge(&mut self, node: usize, part: usize, step: usize) -> bool {
        let owner = Owner::Judge { step };
        if part == 4 {
            self.start_fetch(node, owner, self.bodies.referred());
            return true;
        }
        let partition = if part < 3 { self.keys[0].partition } else { self.keys[self.keys.len() - 1].partition };
        if part == 3 && partition == self.keys[0].partition {
            return false;
        }
        let view = self.known_view(node, partition);
        let action = if part == 1 { Action::Put } else { Action::Read };
        let wishes: Vec<Wish> = (0..self.keys.len())
            .filter(|key| self.keys[*key].partition == partition)
            .map(|key| (key, action))
            .collect();
        match part {
            2 => self.start_scan(node, owner, partition, 2, JUDGE_US),
            _ => self.start_batch(node, owner, view, &wishes, JUDGE_US, None),
        }
        true
    }

    pub(super) fn start_task(&mut self, node: usize, task: Task) {
        self.tasks_started += 1;
        self.pump(node, self.tasks_started, task);
    }

    pub(super) fn handle_answer(&mut self, to: usize, life: u32, id: u64, from: NodeId, round: u64, answer: Answer) {
        if self.nodes[to].life != life {
            return;
        }
        let now = self.now();
        if let Answer::Views(views) = &answer {
            views.iter().for_each(|(partition, view)| self.nodes[to].learn(*partition, view));
        }
        let Some(mut task) = self.nodes[to].tasks.remove(&id) else { return };
        if let Answer::Register(Reply::Stale(view)) = &answer
            && let Some(partition) = self.partition_of(&task)
        {
            self.nodes[to].learn(partition, view);
        }
        task.handle_answer(from, round, answer, now);
        self.pump(to, id, task);
    }

    pub(super) fn handle_timer(&mut self, node: usize, life: u32, id: u64) {
        let due = self.nodes[node].tasks.get(&id).is_some_and(|task| task.timer_at_us <= self.now_us);
        if self.nodes[node].life != life || !due {
            return;
        }
        let now = self.now();
        let Some(mut task) = self.nodes[node].tasks.remove(&id) else { return };
        task.timer_at_us = 0;
        match &mut task.machine {
            Machine::Proposal(proposal) => proposal.handle_timeout(now),
            Machine::Scan(scanning) if now < scanning.deadline => scanning.scan.handle_timeout(now),
            Machine::Scan(_) => return self.finish_unsuccessful_scan(task.owner),
            Machine::Put(putting) => putting.handle_timeout(now),
            Machine::Fetch(fetching) => fetching.handle_reply(fetching.round, None),
            Machine::Errand(errand) => errand.machine.handle_timeout(now),
        }
        self.pump(node, id, task);
    }

    /// The partition whose registers `task` asks for.
    fn partition_of(&self, task: &Task) -> Option<Partition> {
        match &task.machine {
            Machine::Errand(errand) => Some(errand.partition),
            Machine::Scan(scanning) => Some(scanning.partition),
            _ => task.calls.first().map(|call| self.keys[self.history.calls[*call].key].partition),
        }
    }

    /// The newest view of `partition` that `node` has heard of.
    pub(super) fn known_view(&self, node: usize, partition: Partition) -> View {
        self.nodes[node].known.get(&partition).unwrap_or(&self.genesis[&partition]).clone()
    }

    /// Sends what the task has to send and sees whether it is over; if not, waits for its timer.
    pub(super) fn pump(&mut self, node: usize, id: u64, mut task: Task) {
        while let Some(sending) = task.poll_transmit(self.now()) {
            self.send(node, id, sending);
        }
        match &mut task.machine {
            Machine::Proposal(proposal) => {
                if let Some(outcomes) = proposal.poll_outcomes() {
                    return self.finish_batch(node, &task, outcomes);
                }
            }
            Machine::Put(putting) => {
                if let Some(outcome) = self.put_outcome(putting) {
                    return self.finish_put(node, task, outcome);
                }
            }
            Machine::Fetch(fetching) => {
                if fetching.is_idle() {
                    return self.finish_fetch(node, task);
                }
            }
            Machine::Errand(errand) => {
                if let Some(ended) = errand.machine.poll_ended() {
                    return self.finish_errand(node, task, ended);
                }
            }
            Machine::Scan(scanning) => {
                if scanning.scan.newer_view().is_some() {
                    return self.start_page_over(node, id, task);
                }
                if scanning.scan.is_refused() {
                    return self.finish_unsuccessful_scan(task.owner);
                }
                if let Some(page) = scanning.scan.poll_page() {
                    return self.finish_page(node, id, task, page);
                }
            }
        }
        if let Some(timeout) = task.poll_timeout() {
            let due = timeout.0.as_nanos().div_ceil(1_000);
            let due_us = u64::try_from(due).unwrap_or(u64::MAX).max(self.now_us + 1);
            if task.timer_at_us != due_us {
                task.timer_at_us = due_us;
                let life = self.nodes[node].life;
                self.schedule(due_us - self.now_us, Event::Timer { node, life, task: id });
            }
        }
        self.nodes[node].tasks.insert(id, task);
    }

    fn send(&mut self, node: usize, task: u64, sending: Sending) {
        let Some(to) = self.ids.iter().position(|id| *id == sending.to) else { return };
        let message = Message { from: node, life: self.nodes[node].life, task, round: sending.round, ask: sending.ask };
        self.transmit(to, message);
    }

    pub(super) fn transmit(&mut self, to: usize, message: Message) {
        self.stats.messages += 1;
        let arrivals = self.network.route(message.from, to, &self.dials, self.quiet, &mut self.dice);
        for after_us in arrivals.into_iter().flatten() {
            self.schedule(after_us, Event::Request { to, message: message.clone() });
        }
    }
}
