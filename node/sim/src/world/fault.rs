//! What goes wrong: crashes, splits, frozen processes, disks that fail; and how it ends.

use super::coordinator::{JUDGE_PARTS, Owner, Task};
use super::node::Node;
use super::{Event, World};
use rand::Rng;
use rand::seq::IndexedRandom;
use scrapering_core::register::Ballot;

/// From the end of the faults until the last task of the workload must be over, microseconds.
const SETTLE_US: u64 = 4_000_000;

impl World<'_> {
    pub(super) fn handle_fault(&mut self) {
        if self.quiet {
            return;
        }
        match self.dice.random_range(0..100) {
            0..40 => self.crash_one_of_a_minority(),
            40..45 => self.crash_many(),
            45..75 => self.split(),
            _ => self.pause(),
        }
        let span_us = 2 * self.dials.fault_every_us;
        let after_us = self.dice.random_range(1..span_us);
        self.schedule(after_us, Event::Fault);
    }

    fn crash_one_of_a_minority(&mut self) {
        let down = self.nodes.iter().filter(|node| !node.up).count();
        let node = self.victim();
        if down < (self.dials.replicas - 1) / 2 && self.nodes[node].up {
            let longest_us = if self.chance(0.5) { 30_000 } else { 600_000 };
            let after_us = self.dice.random_range(1_000..longest_us);
            self.crash(node, after_us);
        }
    }

    /// Preferably a node that is in the middle of a write: that is where rules about disks show.
    fn victim(&mut self) -> usize {
        let writing: Vec<usize> =
            self.nodes.iter().filter(|node| node.flush.is_some()).map(|node| node.index).collect();
        let preferred = if self.chance(0.6) { writing.choose(&mut self.dice).copied() } else { None };
        preferred.unwrap_or_else(|| self.dice.random_range(0..self.nodes.len()))
    }

    /// More than a minority at once: nothing need work, but nothing may be wrong either.
    fn crash_many(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].up && self.chance(0.7) {
                let after_us = self.dice.random_range(1_000..100_000);
                self.crash(node, after_us);
            }
        }
    }

    fn crash(&mut self, node: usize, restart_after_us: u64) {
        self.stats.crashes += 1;
        self.trace.say(self.now_us, || format!("node {node} crashes"));
        let durable = self.chance(0.5);
        let (written, tasks) = self.nodes[node].crash(durable);
        if let Some(flush) = written {
            self.observe(node, &flush);
        }
        for task in tasks {
            self.abandon(task);
        }
        self.schedule(restart_after_us, Event::Restart { node });
    }

    pub(super) fn restart(&mut self, node: usize) {
        if self.nodes[node].up {
            return;
        }
        let boot = self.rules.next_boot(self.nodes[node].boot());
        let newest = self.nodes[node].clock.next();
        let counter = self.rules.remembered_counter(newest.counter, &mut self.dice);
        if !self.rules.disk_survives(&mut self.dice) {
            self.trace.say(self.now_us, || format!("node {node} has lost its disk"));
            let acceptor = self.rules.acceptor(self.ids[node], &self.genesis, &self.ids);
            self.nodes[node].forget(acceptor);
            self.observe_beginning(node);
        }
        self.nodes[node].start(boot);
        self.nodes[node].clock.witness(Ballot { counter, ..newest });
    }

    fn split(&mut self) {
        if !self.network.is_split() {
            self.stats.partitions += 1;
            self.network.split(&mut self.dice);
            let after_us = self.dice.random_range(20_000..700_000);
            self.schedule(after_us, Event::Heal);
        }
    }

    /// A process is frozen and goes on later with what it believed before.
    fn pause(&mut self) {
        let node = self.dice.random_range(0..self.nodes.len());
        if self.nodes[node].up {
            self.stats.pauses += 1;
            self.nodes[node].paused_until_us = self.now_us + self.dice.random_range(20_000..600_000);
        }
    }

    /// Faults and clients stop; everybody comes back.
    pub(super) fn handle_quiet(&mut self) {
        self.quiet = true;
        self.rot_all();
        self.network.heal();
        for node in 0..self.nodes.len() {
            self.restart(node);
            self.nodes[node].paused_until_us = 0;
        }
        self.schedule(SETTLE_US, Event::Epilogue { step: 0 });
    }

    /// Through every node in turn: reads each partition's keys, writes one of them, scans, and looks for
    /// every body.
    pub(super) fn handle_epilogue(&mut self, step: usize) {
        let waits = |node: &Node| node.tasks.values().any(|task| !matches!(task.owner, Owner::Steward));
        if step == 0 && self.nodes.iter().any(waits) {
            self.violated("every task ends at its deadline", "a task outlived its deadline".to_owned());
        }
        let (node, part) = (step / JUDGE_PARTS, step % JUDGE_PARTS);
        if node == self.nodes.len() {
            self.over = true;
            self.observe_all();
        } else if !self.start_judge(node, part, step) {
            self.schedule(1, Event::Epilogue { step: step + 1 });
        }
    }

    /// The task's process is gone: what it asked for may happen or not, and nobody will say.
    fn abandon(&mut self, task: Task) {
        self.stats.indeterminate += task.calls.len() as u64;
        self.continue_client(task.owner);
    }
}
