//! Who keeps the views going: rivals that move them, and a steward on every node that opens again, fetches, deletes.

use super::coordinator::{Machine, Owner, Task};
use super::errand::{Errand, Purpose, Step};
use super::node::Message;
use super::{Event, World};
use crate::lesson::Lesson;
use crate::rules::{Carry, Ended, Move};
use crate::wire::Ask;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::{Envelope, Request};
use scrapering_core::sync::transfer::{Mode, Side, Transfer};
use scrapering_core::view::message::{Guard, Request as ViewRequest};
use scrapering_core::view::reconfiguration::Plan;
use scrapering_core::view::{Epoch, Retirement, Standing, View};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long the first member leaves a replica sealed; the second twice as long, and so on.
const REOPEN_AFTER_US: u64 = 300_000;
/// Share of moves that only end the epoch, for the same members.
const SAME_MEMBERS: f64 = 0.2;
/// Share of moves before which those who come in are given the copy.
const TAUGHT: f64 = 0.4;
/// The task number of what nobody waits for.
const NO_TASK: u64 = 0;

impl World<'_> {
    /// Up to three members of a partition lead it over to different groups at once.
    pub(super) fn handle_move(&mut self) {
        let Some(every_us) = self.dials.move_every_us.filter(|_| !self.quiet) else { return };
        let key = self.dice.random_range(0..self.keys.len());
        let partition = self.keys[key].partition;
        let mut members: Vec<usize> = (0..self.nodes.len()).filter(|node| self.may_move(*node, partition)).collect();
        members.shuffle(&mut self.dice);
        let rivals = self.dice.random_range(1..=3);
        for node in members.into_iter().take(rivals) {
            let desired = if self.chance(SAME_MEMBERS) { None } else { Some(self.any_group()) };
            self.start_move(node, partition, desired);
        }
        let after_us = self.dice.random_range(1..2 * every_us);
        self.schedule(after_us, Event::Move);
    }

    fn may_move(&self, node: usize, partition: Partition) -> bool {
        let serves = matches!(self.standing(node, partition), Some(Standing::Active | Standing::Sealed));
        self.nodes[node].up && serves && !self.is_busy(node, partition)
    }

    fn standing(&self, node: usize, partition: Partition) -> Option<Standing> {
        let node = &self.nodes[node];
        node.acceptor.partition(partition).map(|slot| slot.replica.standing(node.id))
    }

    fn is_busy(&self, node: usize, partition: Partition) -> bool {
        let busy = |task: &Task| matches!(&task.machine, Machine::Errand(errand) if errand.partition == partition);
        self.nodes[node].tasks.values().any(busy)
    }

    fn any_group(&mut self) -> Vec<NodeId> {
        let mut group = self.ids.clone();
        group.shuffle(&mut self.dice);
        group.truncate(self.dials.replicas);
        group
    }

    /// Starts to lead the view of `node`'s replica over to `desired`, or to the members that it has.
    fn start_move(&mut self, node: usize, partition: Partition, desired: Option<Vec<NodeId>>) {
        let Some(slot) = self.nodes[node].acceptor.partition(partition) else { return };
        let (view, is_active) = (slot.replica.view.clone(), slot.replica.seal.is_none());
        let desired = desired.unwrap_or_else(|| view.members.clone());
        let mut steps = VecDeque::new();
        if is_active && self.chance(TAUGHT) {
            steps.extend(desired.iter().filter(|other| !view.has(**other)).map(|other| Step::Teach(*other)));
        }
        steps.push_back(Step::Move(desired));
        self.start_step(node, partition, view, steps);
    }

    fn start_step(&mut self, node: usize, partition: Partition, view: View, mut then: VecDeque<Step>) {
        let Some(step) = then.pop_front() else { return };
        let (now, me) = (self.now(), self.ids[node]);
        let machine: Box<dyn Carry> = match step {
            Step::Teach(learner) => Box::new(Lesson::new(partition, &view, me, learner, now)),
            Step::Move(desired) => {
                self.stats.moves += 1;
                let start = Move {
                    plan: Plan { me, partition, needed: view.quorum(), view: view.clone(), desired },
                    clock: Arc::clone(&self.nodes[node].clock),
                    now,
                    deadline: now + Duration::from_millis(self.dice.random_range(500..4_000)),
                    seed: self.dice.random(),
                };
                self.rules.reconfigure(start)
            }
        };
        self.start_errand(node, Errand { partition, purpose: Purpose::Move, view, machine, then });
    }

    fn start_errand(&mut self, node: usize, errand: Errand) {
        self.start_task(node, Task::new(Owner::Steward, Vec::new(), Machine::Errand(Box::new(errand))));
    }

    /// A machine of `node` has ended: the next one begins, or the errand is over.
    pub(super) fn finish_errand(&mut self, node: usize, task: Task, ended: Ended) {
        let Machine::Errand(errand) = task.machine else { return };
        let Errand { partition, purpose, view, then, .. } = *errand;
        self.trace.say(self.now_us, || format!("node {node} {partition:?} {purpose:?} in {:?}: {ended:?}", view.epoch));
        if let Some(view) = &ended.view {
            self.nodes[node].learn(partition, view);
        }
        match purpose {
            Purpose::Move => {}
            Purpose::Recovery => self.stats.recoveries += u64::from(ended.done),
            Purpose::Retirement => self.stats.retirements += u64::from(ended.done),
            Purpose::Relay => self.stats.relays += u64::from(ended.done),
        }
        self.start_step(node, partition, view, then);
    }

    /// A look at what there is to do on `node`.
    pub(super) fn handle_steward(&mut self, node: usize) {
        if self.nodes[node].up {
            let partitions: Vec<Partition> =
                self.nodes[node].acceptor.partitions().map(|(partition, _)| partition).collect();
            for partition in partitions {
                self.pass_on(node, partition);
                if !self.is_busy(node, partition) {
                    self.tend(node, partition);
                }
            }
            self.ask_for_views(node);
        }
        let after_us = self.dice.random_range(150_000..300_000);
        self.schedule(after_us, Event::Steward { node });
    }

    /// What the node has heard reaches its own replica.
    fn pass_on(&mut self, node: usize, partition: Partition) {
        let own = self.nodes[node].acceptor.partition(partition).map_or(Epoch(0), |slot| slot.replica.view.epoch);
        let known = self.nodes[node].known.get(&partition).filter(|view| view.epoch > own).cloned();
        if let Some(view) = known {
            let (epoch, request) = (view.epoch, Request::View(ViewRequest::Install(view)));
            self.tell(node, node, Ask::Register(Envelope { partition, epoch, request }));
        }
    }

    fn ask_for_views(&mut self, node: usize) {
        if self.chance(0.5) {
            let to = self.dice.random_range(0..self.nodes.len());
            let epochs = self.nodes[node].epochs();
            self.tell(node, to, Ask::Views(epochs));
        }
    }

    /// Asks what no task waits for.
    fn tell(&mut self, node: usize, to: usize, ask: Ask) {
        let message = Message { from: node, life: self.nodes[node].life, task: NO_TASK, round: 0, ask };
        self.transmit(to, message);
    }

    fn tend(&mut self, node: usize, partition: Partition) {
        let (now_us, id) = (self.now_us, self.ids[node]);
        let Some(slot) = self.nodes[node].acceptor.partition(partition) else { return };
        let (view, standing) = (slot.replica.view.clone(), slot.replica.standing(id));
        let holds_something = slot.replica.holds.is_some() || slot.root.entries > 0;
        if standing != Standing::Sealed {
            self.nodes[node].sealed_since_us.remove(&partition);
        }
        match standing {
            Standing::Sealed => {
                let since_us = *self.nodes[node].sealed_since_us.entry(partition).or_insert(now_us);
                let rank = view.members.iter().take_while(|member| **member != id).count() as u64;
                if now_us - since_us >= REOPEN_AFTER_US * (rank + 1) {
                    self.nodes[node].sealed_since_us.insert(partition, now_us);
                    let desired = if !self.quiet && self.chance(0.3) { Some(self.any_group()) } else { None };
                    self.start_move(node, partition, desired);
                }
            }
            Standing::Pending => self.start_recovery(node, partition, view),
            Standing::Former | Standing::Outside if holds_something && self.chance(0.3) => {
                let machine = Retirement::new(id, partition, view.clone(), self.now());
                let (purpose, then) = (Purpose::Retirement, VecDeque::new());
                self.start_errand(node, Errand { partition, purpose, view, machine: Box::new(machine), then });
            }
            Standing::Active if self.chance(0.1) => self.start_relay(node, partition, view),
            _ => {}
        }
    }

    /// Others than members may hold the state with which the view begins.
    fn start_recovery(&mut self, node: usize, partition: Partition, view: View) {
        let mut sources = view.members.clone();
        sources.shuffle(&mut self.dice);
        let mut others: Vec<NodeId> = self.ids.iter().copied().filter(|other| !view.has(*other)).collect();
        others.shuffle(&mut self.dice);
        sources.extend(others);
        let machine = self.rules.recover(self.ids[node], partition, &view, sources, self.now());
        let (purpose, then) = (Purpose::Recovery, VecDeque::new());
        self.start_errand(node, Errand { partition, purpose, view, machine, then });
    }

    /// Brings one member up to another, as the comparison of copies does.
    fn start_relay(&mut self, node: usize, partition: Partition, view: View) {
        let two: Vec<NodeId> = view.members.choose_multiple(&mut self.dice, 2).copied().collect();
        let &[source, target] = &two[..] else { return };
        let side = |node| Side { node, epoch: view.epoch };
        let machine = Transfer::new(partition, side(source), side(target), Mode::Newer, Guard::Relay, self.now());
        let (purpose, then) = (Purpose::Relay, VecDeque::new());
        self.start_errand(node, Errand { partition, purpose, view, machine: Box::new(machine), then });
    }
}
