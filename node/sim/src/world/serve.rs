//! How a node answers: messages gather while the disk is busy, one fsync serves the group, answers leave after it.

use super::node::{Answered, Flush, Message};
use super::{Event, World};
use rand::Rng;
use scrapering_core::body::BodyHash;
use scrapering_core::id::Key;
use scrapering_core::register::codec;
use scrapering_core::store::Table;

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

    /// Shows the watcher what a disk now holds.
    pub(super) fn observe(&mut self, node: usize, flush: &Flush) {
        for (key, accepted) in &flush.accepted {
            let Some(key) = self.key_number(key) else { continue };
            let checked = self.watcher.handle_accepted(node, key, accepted);
            self.check(checked);
        }
        for ((table, name), bytes) in &flush.batch.writes {
            if let (Table::Bodies, Ok(hash)) = (*table, name.as_slice().try_into()) {
                self.bodies.handle_kept(node, BodyHash(hash));
            }
            let (Table::Registers, Some(bytes)) = (*table, bytes) else { continue };
            let Some(key) = Key::from_bytes(name).and_then(|key| self.key_number(&key)) else { continue };
            let checked = match codec::decode(bytes.clone()) {
                Ok(register) => self.watcher.handle_durable(node, key, &register),
                Err(error) => return self.violated("what is written can be read", error.to_string()),
            };
            self.check(checked);
        }
    }
}
