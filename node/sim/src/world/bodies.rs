//! Bodies: clients put them through any node, write records that refer to them, and look for what records refer to.
//!
//! A task asks as a node's driver does: each holder at most once, each with a limited patience.

use super::coordinator::{Machine, Owner, Task, Wish};
use super::{Event, World};
use crate::history::Action;
use crate::rules::{FetchBody, PutBody};
use bytes::Bytes;
use rand::Rng;
use scrapering_core::body::duty::candidates;
use scrapering_core::body::{BodyHash, BodyRef, PutOutcome};
use scrapering_core::id::NodeId;
use scrapering_core::store::{Batch, Table};
use scrapering_core::time::Instant;
use scrapering_core::view::View;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a node waits for another's answer about a body.
const PATIENCE: Duration = Duration::from_millis(300);
/// Share of bodies that somebody else may put as well.
const COMMON: f64 = 0.15;
/// Share of nodes about whose being up or down a coordinator is mistaken.
const MISTAKEN: f64 = 0.1;

/// A batch that waits for its body.
pub(super) struct Then {
    pub(super) view: View,
    pub(super) wishes: Vec<Wish>,
    pub(super) patience_us: u64,
}

/// A body on its way to its holders.
pub(super) struct Putting {
    pub(super) put: Box<dyn PutBody>,
    pub(super) body: BodyRef,
    pub(super) content: Bytes,
    /// By node that was asked: until when its answer is waited for.
    waiting: BTreeMap<NodeId, Instant>,
    then: Then,
}

impl Putting {
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<NodeId> {
        let node = self.put.poll_transmit()?;
        self.waiting.insert(node, now + PATIENCE);
        Some(node)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.values().min().copied()
    }

    pub(super) fn handle_reply(&mut self, from: NodeId, stored: bool) {
        self.waiting.remove(&from);
        self.put.handle_reply(from, stored);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let late: Vec<NodeId> =
            self.waiting.iter().filter(|(_, until)| **until <= now).map(|(node, _)| *node).collect();
        late.into_iter().for_each(|node| self.handle_reply(node, false));
    }
}

/// Bodies being looked for, one after the other.
pub(super) struct Fetching {
    fetch: Box<dyn FetchBody>,
    pub(super) body: BodyRef,
    /// Counts the nodes that were asked; an answer to an earlier question comes too late.
    pub(super) round: u64,
    /// Until when the present node's answer is waited for.
    waiting: Option<Instant>,
    /// What to look for next.
    more: Vec<BodyRef>,
}

impl Fetching {
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<NodeId> {
        if self.waiting.is_some() {
            return None;
        }
        let node = self.fetch.poll_transmit()?;
        (self.round, self.waiting) = (self.round + 1, Some(now + PATIENCE));
        Some(node)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting
    }

    pub(super) fn handle_reply(&mut self, round: u64, content: Option<Bytes>) {
        if self.round == round && self.waiting.take().is_some() {
            self.fetch.handle_reply(content);
        }
    }

    /// Nobody was asked that has not answered: with nobody left to ask, it is over.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_none()
    }
}

impl World<'_> {
    /// Stores a body through `node`, then writes records that refer to it.
    pub(super) fn start_put(&mut self, node: usize, owner: Owner, then: Then) {
        self.stats.bodies_put += 1;
        let content = self.any_content();
        let partition = self.keys[then.wishes[0].0].partition;
        let body = BodyRef { partition, hash: BodyHash::of(&content) };
        let put = self.rules.put_body(&self.holders(body), self.nodes.len());
        let putting = Putting { put, body, content, waiting: BTreeMap::new(), then };
        self.start_task(node, Task::new(owner, Vec::new(), Machine::Put(Box::new(putting))));
    }

    fn any_content(&mut self) -> Bytes {
        if self.chance(COMMON) {
            return Bytes::from(vec![0; self.dice.random_range(0..3)]);
        }
        let bytes = self.dice.random_range(1..48);
        (0..bytes).map(|_| self.dice.random::<u8>()).collect()
    }

    /// Whom to ask for a copy, by who seems to be alive.
    fn holders(&mut self, body: BodyRef) -> Vec<NodeId> {
        let seems_down: Vec<bool> =
            (0..self.nodes.len()).map(|node| self.nodes[node].up == self.chance(MISTAKEN)).collect();
        let alive = |asked| self.ids.iter().position(|id| *id == asked).is_some_and(|node| !seems_down[node]);
        candidates(&self.genesis[&body.partition], body.hash, self.ids.iter().copied(), alive)
    }

    /// Whether a put is over, or the rules do not wait for it.
    pub(super) fn put_outcome(&self, putting: &Putting) -> Option<PutOutcome> {
        if self.rules.record_waits_for_body() { putting.put.poll_outcome() } else { Some(PutOutcome::Stored) }
    }

    pub(super) fn finish_put(&mut self, node: usize, task: Task, outcome: PutOutcome) {
        let (owner, Machine::Put(putting)) = (task.owner, task.machine) else { return };
        self.trace.say(self.now_us, || format!("body {:?}: {outcome:?}", putting.body));
        if self.rules.record_waits_for_body() {
            let checked = self.bodies.handle_put(putting.body, outcome);
            self.check(checked);
        }
        if outcome == PutOutcome::Unavailable {
            return self.continue_client(owner);
        }
        self.stats.bodies_stored += 1;
        self.stats.bodies_short += u64::from(outcome == PutOutcome::Short);
        let Then { view, wishes, patience_us } = putting.then;
        self.start_batch(node, owner, view, &wishes, patience_us, Some(putting.body.hash));
    }

    /// Looks through `node` for all of `bodies`; goes on with the owner when there are no more.
    pub(super) fn start_fetch(&mut self, node: usize, owner: Owner, mut bodies: Vec<BodyRef>) {
        let Some(body) = bodies.pop() else { return self.continue_client(owner) };
        let holders = self.holders(body);
        let fetch = self.rules.fetch_body(body.hash, &holders);
        let fetching = Fetching { fetch, body, round: 0, waiting: None, more: bodies };
        self.start_task(node, Task::new(owner, Vec::new(), Machine::Fetch(Box::new(fetching))));
    }

    pub(super) fn finish_fetch(&mut self, node: usize, task: Task) {
        let (owner, Machine::Fetch(fetching)) = (task.owner, task.machine) else { return };
        let Fetching { fetch, body, more, .. } = *fetching;
        let found = fetch.into_found();
        self.trace.say(self.now_us, || format!("{body:?} looked for: {found:?}"));
        match &found {
            Some(content) => {
                self.stats.bodies_found += 1;
                let checked = self.bodies.handle_found(body.hash, content);
                self.check(checked);
            }
            None => self.stats.bodies_missed += 1,
        }
        if let Owner::Judge { .. } = owner {
            let checked = self.bodies.handle_looked_for(body, found.is_some());
            self.check(checked);
        }
        self.start_fetch(node, owner, more);
    }

    /// Damages one copy on one of the disks that rot.
    pub(super) fn rot(&mut self) {
        let node = self.rotten[self.dice.random_range(0..self.rotten.len())];
        let kept = self.nodes[node].kept_bodies();
        if !kept.is_empty() {
            let (name, content) = kept[self.dice.random_range(0..kept.len())].clone();
            self.damage(node, name, &content);
        }
    }

    /// Damages every copy on the disks that rot.
    pub(super) fn rot_all(&mut self) {
        for node in self.rotten.clone() {
            for (name, content) in self.nodes[node].kept_bodies() {
                self.damage(node, name, &content);
            }
        }
    }

    /// A copy is gone, or one of its bits is another.
    fn damage(&mut self, node: usize, name: Bytes, content: &Bytes) {
        self.stats.copies_damaged += 1;
        let mut batch = Batch::default();
        if self.chance(0.5) || content.is_empty() {
            batch.delete(Table::Bodies, name.to_vec());
        } else {
            let mut content = content.to_vec();
            let at = self.dice.random_range(0..content.len());
            content[at] ^= 1 << self.dice.random_range(0..8);
            batch.put(Table::Bodies, name.to_vec(), content);
        }
        self.trace.say(self.now_us, || format!("node {node} rots: {:?}", batch.writes));
        self.nodes[node].commit(&batch);
    }

    /// Faults of the disks, beside those of the processes and of the network.
    pub(super) fn handle_rot(&mut self) {
        if self.quiet || self.rotten.is_empty() {
            return;
        }
        self.rot();
        let after_us = self.dice.random_range(1..self.dials.fault_every_us);
        self.schedule(after_us, Event::Rot);
    }
}

/// Whether a record is written by `action`.
pub(super) fn writes(action: Action) -> bool {
    matches!(action, Action::Put | Action::Create | Action::CompareAndSet { .. })
}
