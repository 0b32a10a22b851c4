//! How a node answers: messages gather while the disk is busy, one fsync serves the group, answers leave after it.

use super::node::{Answered, Flush, Message};
use super::note::{Note, root_of, roots};
use super::{Event, World};
use crate::invariant::Violation;
use rand::Rng;
use scrapering_core::body::BodyRef;
use scrapering_core::id::{Key, Partition};
use scrapering_core::register::{Register, codec};
use scrapering_core::store::Table;
use scrapering_core::view::Replica;
use std::collections::BTreeSet;

impl World<'_> {
    pub(super) fn handle_request(&mut self, to: usize, message: Message) {
        if self.nodes[to].up {
            self.nodes[to].inbox.push(message);
            self.serve(to);
        }
    }

    /// Handles what waits, unless the disk is busy: then it waits for the next group.
    fn serve(&mut self, node: usize) {
        if self.nodes[node].flush.is_some() || self.nodes[node].inbox.is_empty() {
            return;
        }
        let mut flush = match self.nodes[node].handle_inbox(self.rules) {
            Ok(flush) => flush,
            Err(error) => return self.violated("a store is always readable", error.to_string()),
        };
        if flush.batch.is_empty() {
            return self.reply(node, flush.answers);
        }
        self.stats.fsyncs += 1;
        self.stats.shared_fsyncs += u64::from(flush.answers.len() > 1);
        let rules = self.rules;
        let (waiting, early) = flush.answers.into_iter().partition(|(_, answer)| rules.waits_for_disk(answer));
        flush.answers = waiting;
        self.reply(node, early);
        let life = self.nodes[node].life;
        self.nodes[node].flush = Some(flush);
        let slow = !self.quiet && self.chance(self.dials.slow_fsync);
        let after_us = if slow { self.dice.random_range(20_000..200_000) } else { self.dice.random_range(500..5_000) };
        self.schedule(after_us, Event::Disk { node, life });
    }

    pub(super) fn handle_disk(&mut self, node: usize, life: u32) {
        if self.nodes[node].life != life || !self.nodes[node].up {
            return;
        }
        let Some(mut flush) = self.nodes[node].flush.take() else { return };
        let failed = !self.quiet && self.chance(self.dials.failed_commits);
        // When the engine fails, the batch may be on disk all the same.
        if !failed || self.chance(0.5) {
            self.nodes[node].commit(&flush.batch);
            self.observe(node, &flush);
        }
        if failed {
            self.stats.disk_failures += 1;
            self.nodes[node].reload();
            flush.answers.iter_mut().for_each(|(_, answer)| *answer = answer.failed());
        }
        self.reply(node, flush.answers);
        self.serve(node);
    }

    fn reply(&mut self, node: usize, answers: Vec<Answered>) {
        let from = self.nodes[node].id;
        for (message, answer) in answers {
            self.stats.messages += 1;
            let arrivals = self.network.route(node, message.from, &self.dials, self.quiet, &mut self.dice);
            for after_us in arrivals.into_iter().flatten() {
                let (to, life, task, round) = (message.from, message.life, message.task, message.round);
                self.schedule(after_us, Event::Answer { to, life, task, from, round, answer: answer.clone() });
            }
        }
    }

    /// Shows the watchers what a disk now holds.
    pub(super) fn observe(&mut self, node: usize, flush: &Flush) {
        let mut replaced = BTreeSet::new();
        for note in &flush.notes {
            match note {
                Note::Replaced { key } => drop(replaced.insert(key.clone())),
                // What was promised for a register that nobody has written goes as well.
                Note::Began { partition, .. } => {
                    replaced.extend(self.keys.iter().filter(|key| key.partition == *partition).cloned());
                }
                _ => {}
            }
            let checked = self.observe_note(node, note);
            self.check(checked);
        }
        let mut moved = BTreeSet::new();
        for ((table, name), bytes) in &flush.batch.writes {
            match (table, bytes) {
                (Table::Bodies, _) => {
                    BodyRef::from_bytes(name).into_iter().for_each(|body| self.bodies.handle_kept(node, body));
                }
                (Table::Registers, bytes) => {
                    let Some(key) = Key::from_bytes(name) else { continue };
                    moved.insert(key.partition);
                    let is_replaced = bytes.is_none() || replaced.contains(&key);
                    let Some(key) = self.key_number(&key) else { continue };
                    let register = bytes.as_ref().map_or(Ok(Register::default()), |bytes| codec::decode(bytes.clone()));
                    let checked = match register {
                        Ok(register) => self.watcher.handle_durable(node, key, &register, is_replaced),
                        Err(error) => return self.violated("what is written can be read", error.to_string()),
                    };
                    self.check(checked);
                }
                (Table::Views, Some(bytes)) => {
                    let partition = name.as_slice().try_into().map(|number| Partition(u16::from_be_bytes(number)));
                    let (Ok(partition), Some(replica)) = (partition, Replica::decode(bytes)) else {
                        return self.violated("what is written can be read", format!("view {name:?}"));
                    };
                    let checked = self.views.handle_replica(self.ids[node], partition, &replica);
                    self.check(checked);
                }
                _ => {}
            }
        }
        self.nodes[node].learn_from_disk();
        // Now and then, by the clock rather than by dice.
        if self.now_us.is_multiple_of(8) {
            moved.into_iter().for_each(|partition| self.observe_root(node, partition));
        }
    }

    /// Shows the watchers with what a disk begins.
    pub(super) fn observe_beginning(&mut self, node: usize) {
        let begun = self.nodes[node].acceptor.partitions().map(|(partition, slot)| (partition, slot.replica.clone()));
        for (partition, replica) in begun.collect::<Vec<_>>() {
            let checked = self.views.handle_replica(self.ids[node], partition, &replica);
            self.check(checked);
        }
    }

    /// Compares what every disk says of its copies with what is there.
    pub(super) fn observe_all(&mut self) {
        for node in 0..self.nodes.len() {
            for partition in self.genesis.keys().copied().collect::<Vec<_>>() {
                self.observe_root(node, partition);
            }
        }
    }

    fn observe_note(&mut self, node: usize, note: &Note) -> Result<(), Violation> {
        match note {
            Note::Accepted { epoch, key, accepted, relayed } => {
                let Some(key) = self.key_number(key) else { return Ok(()) };
                match relayed {
                    true => self.watcher.handle_copied(*epoch, node, key, accepted),
                    false => self.watcher.handle_accepted(*epoch, node, key, accepted),
                }
            }
            Note::Replaced { .. } => Ok(()),
            Note::Decided { partition, epoch, ballot, next } => {
                self.views.handle_decided(self.ids[node], *partition, *epoch, *ballot, next)
            }
            Note::Began { partition, view, entries, is_late: true } => {
                let of_partition = self.keys.iter().enumerate().filter(|(_, key)| key.partition == *partition);
                let mut copy = of_partition.map(|(number, key)| (number, entries.get(key)));
                copy.try_for_each(|(key, accepted)| self.watcher.handle_late(view.epoch, node, key, accepted))
            }
            Note::Began { partition, view, entries, is_late: false } => {
                let is_first = self.views.handle_begun(*partition, view, root_of(entries))?;
                if !is_first {
                    return Ok(());
                }
                self.stats.views += 1;
                let of_partition = self.keys.iter().enumerate().filter(|(_, key)| key.partition == *partition);
                let mut start = of_partition.map(|(number, key)| (number, entries.get(key)));
                start.try_for_each(|(key, accepted)| self.watcher.handle_start(view.epoch, key, accepted))
            }
        }
    }

    /// Compares what the disk of `node` says of its copy with what is there.
    pub(super) fn observe_root(&mut self, node: usize, partition: Partition) {
        let checked = match roots(&self.nodes[node].store, partition) {
            Ok([stored, computed]) => self.views.handle_root(self.ids[node], partition, stored, computed),
            Err(error) => return self.violated("a store is always readable", error.to_string()),
        };
        self.check(checked);
    }
}
