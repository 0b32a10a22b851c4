//! Tasks in progress on their coordinators: batches and scans, driven as a node's driver would.

use super::node::Message;
use super::{Event, World};
use crate::history::{Action, Seen};
use crate::invariant::state_of;
use crate::rules::{Propose, Start};
use rand::Rng;
use scrapering_core::id::{NodeId, OperationId, Partition};
use scrapering_core::register::proposal::{Item, Transmit};
use scrapering_core::register::scan::{Page, Scan};
use scrapering_core::register::{Change, Outcome, Reply};
use scrapering_core::time::Instant;
use scrapering_core::view::View;
use std::sync::Arc;
use std::time::Duration;

/// What the epilogue does through each node: read, write and scan the first partition, read the second.
pub(super) const JUDGE_PARTS: usize = 4;
/// The epilogue's patience for one step, microseconds.
const JUDGE_US: u64 = 3_000_000;
/// The client number of the epilogue.
const JUDGE: usize = usize::MAX;

/// Who waits for a task.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Client(usize),
    Judge { step: usize },
}

impl Owner {
    fn number(self) -> usize {
        match self {
            Self::Client(client) => client,
            Self::Judge { .. } => JUDGE,
        }
    }
}

pub(super) struct Scanning {
    scan: Scan,
    partition: Partition,
    /// When the page was asked for.
    asked: u64,
    after: Option<Vec<u8>>,
    limit: usize,
    disputed: Vec<usize>,
    deadline: Instant,
}

pub(super) enum Machine {
    Proposal(Box<dyn Propose>),
    Scan(Box<Scanning>),
}

pub(super) struct Task {
    pub(super) owner: Owner,
    /// Places in the history, one an item.
    pub(super) calls: Vec<usize>,
    machine: Machine,
    timer_at_us: u64,
}

impl Task {
    fn poll_timeout(&self) -> Instant {
        match &self.machine {
            Machine::Proposal(proposal) => proposal.poll_timeout(),
            Machine::Scan(scanning) => scanning.scan.poll_timeout().min(scanning.deadline),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match &mut self.machine {
            Machine::Proposal(proposal) => proposal.poll_transmit(),
            Machine::Scan(scanning) => {
                scanning.scan.poll_transmit().map(|(to, envelope)| Transmit { to, round: scanning.asked, envelope })
            }
        }
    }
}

/// One key of a batch.
pub(super) type Wish = (usize, Action);

impl World<'_> {
    /// Starts a batch on `node` on the members of `view`.
    pub(super) fn start_batch(&mut self, node: usize, owner: Owner, view: View, wishes: &[Wish], patience_us: u64) {
        let partition = self.keys[wishes[0].0].partition;
        let calls: Vec<usize> =
            wishes.iter().map(|(key, action)| self.history.invoke(*key, owner.number(), *action)).collect();
        self.stats.calls += calls.len() as u64;
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
        self.start_task(node, Task { owner, calls, machine, timer_at_us: 0 });
    }

    fn item(&self, call: usize) -> Item {
        let call = &self.history.calls[call];
        let content = call.operation.to_be_bytes().to_vec().into();
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
        let scanning = self.next_page(partition, None, limit, Vec::new(), deadline);
        self.start_task(
            node,
            Task { owner, calls: Vec::new(), machine: Machine::Scan(Box::new(scanning)), timer_at_us: 0 },
        );
    }

    fn next_page(
        &mut self,
        partition: Partition,
        after: Option<Vec<u8>>,
        limit: usize,
        disputed: Vec<usize>,
        deadline: Instant,
    ) -> Scanning {
        let view = self.rules.scanned_view(&self.views[&partition], &mut self.dice);
        let scan = Scan::new(view, partition, b"k".to_vec(), after.clone(), limit, self.now());
        Scanning { scan, partition, asked: self.history.tick(), after, limit, disputed, deadline }
    }

    /// Starts a step of the epilogue; `false` if there is nothing to do in it.
    pub(super) fn start_judge(&mut self, node: usize, part: usize, step: usize) -> bool {
        let owner = Owner::Judge { step };
        let partition = if part < 3 { self.keys[0].partition } else { self.keys[self.keys.len() - 1].partition };
        if part == 3 && partition == self.keys[0].partition {
            return false;
        }
        let view = self.views[&partition].clone();
        let action = if part == 1 { Action::Put } else { Action::Read };
        let wishes: Vec<Wish> = (0..self.keys.len())
            .filter(|key| self.keys[*key].partition == partition)
            .map(|key| (key, action))
            .collect();
        match part {
            2 => self.start_scan(node, owner, partition, 2, JUDGE_US),
            _ => self.start_batch(node, owner, view, &wishes, JUDGE_US),
        }
        true
    }

    fn start_task(&mut self, node: usize, task: Task) {
        self.tasks_started += 1;
        self.pump(node, self.tasks_started, task);
    }

    pub(super) fn handle_answer(&mut self, to: usize, life: u32, id: u64, from: NodeId, round: u64, reply: Reply) {
        if self.nodes[to].life != life {
            return;
        }
        let now = self.now();
        let Some(mut task) = self.nodes[to].tasks.remove(&id) else { return };
        match &mut task.machine {
            Machine::Proposal(proposal) => proposal.handle_reply(from, round, reply, now),
            Machine::Scan(scanning) if scanning.asked == round => scanning.scan.handle_reply(from, reply),
            Machine::Scan(_) => {}
        }
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
        }
        self.pump(node, id, task);
    }

    /// Sends what the task has to send and sees whether it is over; if not, waits for its timer.
    fn pump(&mut self, node: usize, id: u64, mut task: Task) {
        while let Some(transmit) = task.poll_transmit() {
            self.send(node, id, transmit);
        }
        match &mut task.machine {
            Machine::Proposal(proposal) => {
                if let Some(outcomes) = proposal.poll_outcomes() {
                    return self.finish_batch(&task, outcomes);
                }
            }
            Machine::Scan(scanning) => {
                if scanning.scan.is_refused() {
                    return self.finish_unsuccessful_scan(task.owner);
                }
                if let Some(page) = scanning.scan.poll_page() {
                    return self.finish_page(node, id, task, page);
                }
            }
        }
        let due_us =
            u64::try_from(task.poll_timeout().0.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX).max(self.now_us + 1);
        if task.timer_at_us != due_us {
            task.timer_at_us = due_us;
            let life = self.nodes[node].life;
            self.schedule(due_us - self.now_us, Event::Timer { node, life, task: id });
        }
        self.nodes[node].tasks.insert(id, task);
    }

    fn send(&mut self, node: usize, task: u64, transmit: Transmit) {
        let Some(to) = self.ids.iter().position(|id| *id == transmit.to) else { return };
        self.stats.messages += 1;
        let message = Message {
            from: node,
            life: self.nodes[node].life,
            task,
            round: transmit.round,
            envelope: transmit.envelope,
        };
        let arrivals = self.network.route(node, to, &self.dials, self.quiet, &mut self.dice);
        for after_us in arrivals.into_iter().flatten() {
            self.schedule(after_us, Event::Request { to, message: message.clone() });
        }
    }

    fn finish_batch(&mut self, task: &Task, outcomes: Vec<Outcome>) {
        if let Owner::Judge { .. } = task.owner
            && !outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. }))
        {
            self.violated("after the faults every node can read and write", format!("{outcomes:?}"));
        }
        for (call, outcome) in task.calls.iter().zip(outcomes) {
            self.finish_call(*call, &outcome);
        }
        self.continue_client(task.owner);
    }

    fn finish_call(&mut self, place: usize, outcome: &Outcome) {
        let call = self.history.calls[place];
        let seen = match outcome {
            Outcome::Done { value } => Seen::Done(state_of(value.as_ref())),
            Outcome::Conflict { current } => Seen::Conflict(state_of(current.as_ref())),
            Outcome::Indeterminate => Seen::Unknown,
            Outcome::Unavailable => Seen::Refused,
        };
        self.trace.say(self.now_us, || {
            format!("client {} key {} operation {} {:?}: {seen:?}", call.client, call.key, call.operation, call.action)
        });
        self.stats.count(seen);
        self.history.answer(place, seen);
        if let Seen::Done(state) | Seen::Conflict(state) = seen {
            self.rumours[call.key] = state.version;
            let shown = self.watcher.handle_shown(call.key, state);
            self.check(shown);
        }
        if let Seen::Conflict(_) | Seen::Refused = seen {
            let refused = self.watcher.handle_refused(call.operation);
            self.check(refused);
        }
    }

    /// Every key of the page's range was read: as agreed, or as absent, or is still to be read one by one.
    fn finish_page(&mut self, node: usize, id: u64, mut task: Task, page: Page) {
        let Machine::Scan(scanning) = &mut task.machine else { return };
        let (partition, after, asked) = (scanning.partition, scanning.after.take(), scanning.asked);
        let mut disputed = std::mem::take(&mut scanning.disputed);
        let (limit, deadline) = (scanning.limit, scanning.deadline);
        for number in 0..self.keys.len() {
            let key = &self.keys[number];
            let before = after.as_ref().is_some_and(|after| key.name <= *after);
            let beyond = page.next.as_ref().is_some_and(|next| key.name > *next);
            if key.partition != partition || before || beyond {
                continue;
            }
            if page.disputed.contains(key) {
                disputed.push(number);
                continue;
            }
            let agreed = page.agreed.iter().find(|(other, _)| other == key).map(|(_, value)| state_of(Some(value)));
            self.trace.say(self.now_us, || {
                format!("client {} key {number} scanned since {asked}: {agreed:?}", task.owner.number())
            });
            self.history.show(number, task.owner.number(), asked, agreed.map_or(Seen::Absent, Seen::Done));
            if let Some(state) = agreed {
                let shown = self.watcher.handle_shown(number, state);
                self.check(shown);
            }
        }
        if page.next.is_some() {
            let scanning = self.next_page(partition, page.next, limit, disputed, deadline);
            task.machine = Machine::Scan(Box::new(scanning));
            return self.pump(node, id, task);
        }
        self.stats.disputed += disputed.len() as u64;
        if disputed.is_empty() {
            return self.continue_client(task.owner);
        }
        let wishes: Vec<Wish> = disputed.into_iter().map(|key| (key, Action::Read)).collect();
        let view = self.views[&partition].clone();
        self.start_batch(node, task.owner, view, &wishes, JUDGE_US);
    }

    fn finish_unsuccessful_scan(&mut self, owner: Owner) {
        if let Owner::Judge { .. } = owner {
            self.violated("after the faults every node can scan", "no page came".to_owned());
        }
        self.continue_client(owner);
    }
}
