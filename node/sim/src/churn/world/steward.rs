//! What the nodes of a large ring do without being asked: the duties of their stewards, and asking for views.

use super::{Errand, Event, Machine, NO_TASK, SECOND_US, Task, World};
use crate::lesson::Lesson;
use crate::rules::{Carry, Ended};
use rand::Rng;
use rand::seq::IndexedRandom;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::membership::{Liveness, Serving};
use scrapering_core::register::proposal::Transmit;
use scrapering_core::register::{Envelope, Reply, Request};
use scrapering_core::view::message::Request as ViewRequest;
use scrapering_core::view::reconfiguration::Plan;
use scrapering_core::view::steward::has_arrived;
use scrapering_core::view::{Duty, Outlook, Placement, Reconfiguration, Recovery, Retirement, Standing, View};
use std::sync::Arc;
use std::time::Duration;

/// Duties carried out at a time.
const AT_ONCE: usize = 8;
/// How long after a look that found nothing to do.
const LOOK_AGAIN_US: u64 = SECOND_US;
/// How often a random node is asked for newer views.
const EXCHANGE_US: u64 = 5 * SECOND_US;
/// The same while not every view is known.
const WHILE_JOINING_US: u64 = 300_000;
/// How long a reconfiguration may take before it is left to the next attempt.
const RECONFIGURE: Duration = Duration::from_secs(30);

impl World {
    /// Who stays in the ring, as `id` has heard, and where they sit.
    fn placement_of(&mut self, id: NodeId) -> Option<Arc<Placement>> {
        let node = self.nodes.get_mut(&id)?;
        let heard = &node.heard;
        let staying = node.staying.get_or_insert_with(|| {
            let stays =
                heard.iter().filter(|(_, heard)| heard.liveness != Liveness::Left && heard.serving != Serving::Leaving);
            stays.map(|(node, _)| *node).collect()
        });
        if !self.placements.contains_key(staying) {
            if self.placements.len() >= super::PLACEMENTS {
                self.placements.clear();
            }
            self.placements.insert(staying.clone(), Arc::new(Placement::new(staying.iter().copied())));
        }
        self.placements.get(staying).cloned()
    }

    /// `id` looks for duties after so long, unless it will do so anyway.
    pub(super) fn schedule_look(&mut self, id: NodeId, after_us: u64) {
        if let Some(node) = self.nodes.get_mut(&id)
            && !std::mem::replace(&mut node.will_look, true)
        {
            self.schedule(after_us, Event::Look { node: id });
        }
    }

    pub(super) fn handle_look(&mut self, id: NodeId) {
        let Some(placement) = self.placement_of(id) else { return };
        let now = self.now();
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let serving = node.serving;
        node.will_look = false;
        if !node.errands.is_empty() {
            return;
        }
        if serving == Serving::Leaving && !node.keeps_something() {
            self.account.left += 1;
            self.end(id);
            return self.spread(id, Liveness::Left, Serving::Leaving, super::GOSSIP_US);
        }
        let mut steward = std::mem::take(&mut node.steward);
        let duties = steward.duties(&*node, &placement, now);
        node.steward = steward;
        let knows_all = node.known.iter().all(|view| !view.members.is_empty());
        let arrived = serving == Serving::Joining && knows_all && has_arrived(&*node, &placement, now);
        node.did_something = false;
        if arrived {
            node.serving = Serving::Serving;
            self.spread(id, Liveness::Alive, Serving::Serving, super::GOSSIP_US);
        }
        if duties.is_empty() {
            return self.schedule_look(id, LOOK_AGAIN_US);
        }
        duties.into_iter().take(AT_ONCE).for_each(|duty| self.begin_duty(id, duty));
        self.look_when_done(id);
    }

    /// Looks again when no duty is left.
    fn look_when_done(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        if node.errands.is_empty() {
            let after_us = if node.did_something { 1_000 } else { LOOK_AGAIN_US };
            self.schedule_look(id, after_us);
        }
    }

    fn begin_duty(&mut self, id: NodeId, duty: Duty) {
        let now = self.now();
        let Some(node) = self.nodes.get(&id) else { return };
        let (partition, desired) = match duty {
            Duty::Move { partition, desired } => (partition, Some(desired)),
            Duty::Fetch { partition } | Duty::Retire { partition } => (partition, None),
        };
        let view = View::clone(&node.view(partition));
        let standing = node.standing(partition);
        let mut parts: Vec<Box<dyn Carry>> = Vec::new();
        match (&desired, standing) {
            (Some(desired), Some(Standing::Active)) => {
                let newcomers = desired.iter().filter(|other| !view.has(**other));
                parts.extend(
                    newcomers
                        .map(|other| -> Box<dyn Carry> { Box::new(Lesson::new(partition, &view, id, *other, now)) }),
                );
            }
            (None, Some(Standing::Pending)) => {
                let others = node.living().into_iter().filter(|other| !view.has(*other));
                let is_alive = |other: &NodeId| node.liveness(*other) == Liveness::Alive;
                let sources: Vec<NodeId> = view.members.iter().copied().chain(others).filter(is_alive).collect();
                parts.push(Box::new(Recovery::new(id, partition, view.clone(), sources, now)));
            }
            (None, _) => parts.push(Box::new(Retirement::new(id, partition, view.clone(), now))),
            _ => {}
        }
        self.tasks += 1;
        let errand = self.tasks;
        let count = parts.len();
        let begun = Errand { partition, view, desired, parts: count, failed: false };
        if let Some(node) = self.nodes.get_mut(&id) {
            node.errands.insert(errand, begun);
        }
        parts.into_iter().for_each(|part| self.start_task(id, Machine::Part(part, errand)));
        if count == 0 {
            self.go_on(id, errand);
        }
    }

    /// Every part of the errand is over: the view is changed, or the errand is done.
    fn go_on(&mut self, id: NodeId, number: u64) {
        let (now, seed) = (self.now(), self.dice.random());
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(errand) = node.errands.get_mut(&number) else { return };
        match errand.desired.take().filter(|_| !errand.failed) {
            Some(desired) => {
                let (view, partition) = (errand.view.clone(), errand.partition);
                errand.parts = 1;
                let plan = Plan { me: id, partition, needed: view.quorum(), view, desired };
                let clock = Arc::clone(&node.clock);
                let machine = Reconfiguration::new(plan, clock, now, now + RECONFIGURE, seed);
                self.start_task(id, Machine::Part(Box::new(machine), number));
            }
            None => {
                node.did_something |= !errand.failed;
                node.errands.remove(&number);
                self.look_when_done(id);
            }
        }
    }

    fn finish_part(&mut self, id: NodeId, number: u64, ended: &Ended) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(errand) = node.errands.get_mut(&number) else { return };
        errand.parts -= 1;
        errand.failed |= !ended.done;
        let (partition, is_over) = (errand.partition, errand.parts == 0);
        if let Some(view) = &ended.view {
            self.learn(id, partition, view);
        }
        if is_over {
            self.go_on(id, number);
        }
    }

    /// `id` hears of a view, and so does its own copy.
    pub(super) fn learn(&mut self, id: NodeId, partition: Partition, view: &View) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.learn(partition, view) && node.own_epoch(partition) < view.epoch {
            let request = Request::View(ViewRequest::Install(view.clone()));
            let envelope = Envelope { partition, epoch: view.epoch, request };
            self.send(id, NO_TASK, Transmit { to: id, round: 0, envelope });
        }
    }

    /// Asks a random node for newer views.
    pub(super) fn handle_exchange(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let after_us = if node.serving == Serving::Joining { WHILE_JOINING_US } else { EXCHANGE_US };
        let asked = node.living().choose(&mut self.dice).and_then(|other| self.nodes.get(other));
        let newer: Vec<(Partition, View)> = asked.map_or(Vec::new(), |other| {
            let both = Partition::all().zip(other.known.iter().zip(&node.known));
            both.filter(|(_, (theirs, mine))| theirs.epoch > mine.epoch)
                .map(|(partition, (theirs, _))| (partition, View::clone(theirs)))
                .collect()
        });
        self.account.messages += 2;
        newer.iter().for_each(|(partition, view)| self.learn(id, *partition, view));
        self.schedule(after_us, Event::Exchange { node: id });
    }

    pub(super) fn start_task(&mut self, id: NodeId, machine: Machine) {
        self.tasks += 1;
        let task = self.tasks;
        self.pump(id, task, Task { machine, alarm_us: 0 });
    }

    pub(super) fn handle_answer(&mut self, to: NodeId, number: u64, from: NodeId, round: u64, reply: Reply) {
        let now = self.now();
        let Some(mut task) = self.nodes.get_mut(&to).and_then(|node| node.tasks.remove(&number)) else { return };
        if let Reply::Stale(view) = &reply {
            let partition = self.partition_of(to, &task);
            partition.into_iter().for_each(|partition| self.learn(to, partition, view));
        }
        match &mut task.machine {
            Machine::Call(proposal, _) => proposal.handle_reply(from, round, reply, now),
            Machine::Part(machine, _) => machine.handle_reply(from, round, reply, now),
        }
        self.pump(to, number, task);
    }

    fn partition_of(&self, id: NodeId, task: &Task) -> Option<Partition> {
        match &task.machine {
            Machine::Call(_, call) => Some(self.keys[self.history.calls[*call].key].partition),
            Machine::Part(_, errand) => self.nodes[&id].errands.get(errand).map(|errand| errand.partition),
        }
    }

    pub(super) fn handle_alarm(&mut self, id: NodeId, number: u64) {
        let (now, now_us) = (self.now(), self.now_us);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.tasks.get(&number).is_none_or(|task| task.alarm_us != now_us) {
            return;
        }
        let Some(mut task) = node.tasks.remove(&number) else { return };
        task.alarm_us = 0;
        match &mut task.machine {
            Machine::Call(proposal, _) => proposal.handle_timeout(now),
            Machine::Part(machine, _) => machine.handle_timeout(now),
        }
        self.pump(id, number, task);
    }

    /// Sends what the machine has to send, and sees whether it is over; if not, waits for its alarm.
    fn pump(&mut self, id: NodeId, number: u64, mut task: Task) {
        loop {
            let transmit = match &mut task.machine {
                Machine::Call(proposal, _) => proposal.poll_transmit(),
                Machine::Part(machine, _) => machine.poll_transmit(),
            };
            let Some(transmit) = transmit else { break };
            self.send(id, number, transmit);
        }
        let due = match &task.machine {
            Machine::Call(proposal, call) => {
                if let Some(outcomes) = proposal.poll_outcomes() {
                    return self.finish_call(*call, &outcomes[0]);
                }
                proposal.poll_timeout()
            }
            Machine::Part(machine, errand) => {
                if let Some(ended) = machine.poll_ended() {
                    return self.finish_part(id, *errand, &ended);
                }
                machine.poll_timeout()
            }
        };
        let due_us = u64::try_from(due.0.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX).max(self.now_us + 1);
        if task.alarm_us != due_us {
            task.alarm_us = due_us;
            self.schedule_at(due_us, Event::Alarm { node: id, task: number });
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.tasks.insert(number, task);
        }
    }
}
