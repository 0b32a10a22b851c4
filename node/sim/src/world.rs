//! One seeded run: nodes with disks, a network that loses, clients that ask, faults that come and go.
//!
//! Time is a queue of events in microseconds; nothing else decides what comes next, so a seed replays exactly.
//! After the workload the faults stop, everybody restarts, and an epilogue demands that every node can read
//! and write every key.

mod bodies;
mod client;
mod coordinator;
mod dials;
mod errand;
mod fault;
mod network;
mod node;
mod note;
mod outcome;
mod report;
mod serve;
mod steward;
mod trace;

pub use dials::{Dials, Profile, Setup};
pub use report::{Report, Stats, judge};

use crate::history::History;
use crate::invariant::body::BodyWatcher;
use crate::invariant::view::ViewWatcher;
use crate::invariant::{Violation, Watcher};
use crate::rules::Rules;
use crate::wire::Answer;
use client::Client;
use network::Network;
use node::{Message, Node};
use rand::rngs::SmallRng;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use scrapering_core::body::BodyHash;
use scrapering_core::id::{Key, NodeId, Partition};
use scrapering_core::time::Instant;
use scrapering_core::view::{Placement, View};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;
use trace::Trace;

/// No run needs more events; reaching it counts as a violation (livelock).
const MAX_EVENTS: u64 = 400_000;

/// What may happen next.
#[derive(Debug)]
enum Event {
    Request { to: usize, message: Message },
    Answer { to: usize, life: u32, task: u64, from: NodeId, round: u64, answer: Answer },
    Disk { node: usize, life: u32 },
    Timer { node: usize, life: u32, task: u64 },
    Client { client: usize },
    Fault,
    Rot,
    Move,
    Steward { node: usize },
    Restart { node: usize },
    Heal,
    Quiet,
    Epilogue { step: usize },
}

impl Event {
    /// The node whose process must be running for this to be noticed.
    fn process(&self) -> Option<usize> {
        match self {
            Self::Request { to, .. } | Self::Answer { to, .. } => Some(*to),
            Self::Disk { node, .. } | Self::Timer { node, .. } | Self::Steward { node } => Some(*node),
            _ => None,
        }
    }
}

struct Scheduled {
    at_us: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_us, self.sequence).cmp(&(other.at_us, other.sequence))
    }
}

/// A run in progress.
pub struct World<'rules> {
    rules: &'rules dyn Rules,
    dials: Dials,
    dice: SmallRng,
    now_us: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    sequence: u64,
    ids: Vec<NodeId>,
    nodes: Vec<Node>,
    /// The views with which the ring begins, of the partitions of the keys.
    genesis: BTreeMap<Partition, View>,
    keys: Vec<Key>,
    /// By key: the newest version that any client saw.
    rumours: Vec<u64>,
    network: Network,
    clients: Vec<Client>,
    tasks_started: u64,
    quiet: bool,
    over: bool,
    history: History,
    /// By call: the body to which what it writes refers.
    references: BTreeMap<usize, BodyHash>,
    /// Nodes on whose disks bodies rot.
    rotten: Vec<usize>,
    watcher: Watcher,
    views: ViewWatcher,
    bodies: BodyWatcher,
    violations: Vec<Violation>,
    stats: Stats,
    trace: Trace,
}

impl<'rules> World<'rules> {
    /// A world at its beginning. `verbose` keeps a line for every event.
    #[must_use]
    pub fn new(setup: Setup, rules: &'rules dyn Rules, verbose: bool) -> Self {
        let dials = Dials::of(setup);
        let mut dice = SmallRng::seed_from_u64(setup.seed);
        let ids: Vec<NodeId> = (0..dials.nodes).map(|index| NodeId::new(&format!("ring-{index}"), 1)).collect();
        let keys = dials.keys(&mut dice);
        let placement = Placement::new(ids.iter().copied());
        let first_view = |key: &Key| {
            let members = placement.successors(key.partition.last_point(), setup.replicas);
            (key.partition, View::genesis(members))
        };
        let genesis: BTreeMap<Partition, View> = keys.iter().map(first_view).collect();
        let node = |(index, id): (usize, &NodeId)| Node::new(index, *id, rules.acceptor(*id, &genesis, &ids));
        let nodes = ids.iter().enumerate().map(node).collect();
        let clients = (0..dials.clients).map(|_| Client::new(dials.calls_per_client)).collect();
        let mut world = Self {
            rules,
            network: Network::new(dials.nodes),
            rumours: vec![0; keys.len()],
            watcher: Watcher::new(setup.replicas / 2 + 1, dials.move_every_us.is_some()),
            views: ViewWatcher::default(),
            bodies: BodyWatcher::new(dials.nodes),
            references: BTreeMap::new(),
            rotten: sample(&mut dice, dials.nodes, dials.rotten_disks).into_vec(),
            trace: Trace::new(verbose),
            dials,
            dice,
            now_us: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
            ids,
            nodes,
            genesis,
            keys,
            clients,
            tasks_started: 0,
            quiet: false,
            over: false,
            history: History::default(),
            violations: Vec::new(),
            stats: Stats::default(),
        };
        for client in 0..world.clients.len() {
            let pause_us = world.dice.random_range(0..5_000);
            world.schedule(pause_us, Event::Client { client });
        }
        world.schedule(50_000, Event::Fault);
        world.schedule(50_000, Event::Rot);
        world.schedule(world.dials.workload_us, Event::Quiet);
        (0..world.nodes.len()).for_each(|node| world.observe_beginning(node));
        if let Some(every_us) = world.dials.move_every_us {
            world.schedule(every_us, Event::Move);
            for node in 0..world.nodes.len() {
                let after_us = world.dice.random_range(0..300_000);
                world.schedule(after_us, Event::Steward { node });
            }
        }
        world
    }

    /// Runs to the end and hands over everything that was seen.
    #[must_use]
    pub fn run(mut self) -> Report {
        for _ in 0..MAX_EVENTS {
            let Some(Reverse(scheduled)) = self.queue.pop() else { break };
            self.now_us = scheduled.at_us;
            self.handle(scheduled.event);
            if self.over {
                break;
            }
        }
        if !self.over {
            self.violated("every run comes to its end", "the epilogue was not reached".to_owned());
        }
        self.into_report()
    }

    fn handle(&mut self, event: Event) {
        if let Some(node) = event.process() {
            let wake_us = self.nodes[node].paused_until_us;
            if wake_us > self.now_us {
                return self.schedule(wake_us - self.now_us, event);
            }
        }
        self.trace.note(self.now_us, &event);
        match event {
            Event::Request { to, message } => self.handle_request(to, message),
            Event::Answer { to, life, task, from, round, answer } => {
                self.handle_answer(to, life, task, from, round, answer)
            }
            Event::Disk { node, life } => self.handle_disk(node, life),
            Event::Timer { node, life, task } => self.handle_timer(node, life, task),
            Event::Client { client } => self.handle_client(client),
            Event::Fault => self.handle_fault(),
            Event::Rot => self.handle_rot(),
            Event::Move => self.handle_move(),
            Event::Steward { node } => self.handle_steward(node),
            Event::Restart { node } => self.restart(node),
            Event::Heal => self.network.heal(),
            Event::Quiet => self.handle_quiet(),
            Event::Epilogue { step } => self.handle_epilogue(step),
        }
    }

    fn schedule(&mut self, after_us: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse(Scheduled { at_us: self.now_us + after_us, sequence: self.sequence, event }));
    }

    fn now(&self) -> Instant {
        Instant(Duration::from_micros(self.now_us))
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.dice.random::<f64>() < probability
    }

    fn violated(&mut self, rule: &'static str, details: String) {
        self.trace.say(self.now_us, || format!("VIOLATION {rule}: {details}"));
        self.violations.push(Violation { rule, details });
    }

    fn check(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.violated(violation.rule, violation.details);
        }
    }

    fn key_number(&self, key: &Key) -> Option<usize> {
        self.keys.iter().position(|other| other == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Honest;

    fn report(seed: u64, profile: Profile, verbose: bool) -> Report {
        World::new(Setup { seed, profile, replicas: 3 }, &Honest, verbose).run()
    }

    #[test]
    fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
        for profile in [Profile::Normal, Profile::Hot, Profile::Bodies] {
            let [once, again, other] = [7, 7, 8].map(|seed| report(seed, profile, true));
            assert_eq!((once.trace_hash, &once.lines), (again.trace_hash, &again.lines));
            assert_ne!(once.trace_hash, other.trace_hash);
        }
    }

    #[test]
    fn writing_the_trace_down_changes_nothing() {
        assert_eq!(report(9, Profile::Hot, true).trace_hash, report(9, Profile::Hot, false).trace_hash);
    }

    #[test]
    fn every_kind_of_fault_and_of_outcome_comes_up() {
        let mut stats = Stats::default();
        for seed in 0..60 {
            stats.add(&report(seed, Profile::Normal, false).stats);
        }
        for seed in 0..60 {
            let setup = Setup { seed, profile: Profile::Bodies, replicas: if seed < 20 { 3 } else { 5 } };
            stats.add(&World::new(setup, &Honest, false).run().stats);
        }
        let seen = [
            stats.bodies_put - stats.bodies_stored,
            stats.bodies_stored,
            stats.bodies_short,
            stats.bodies_found,
            stats.bodies_missed,
            stats.copies_damaged,
            stats.done,
            stats.conflicts,
            stats.indeterminate,
            stats.unavailable,
            stats.scans,
            stats.disputed,
            stats.crashes,
            stats.partitions,
            stats.pauses,
            stats.disk_failures,
            stats.shared_fsyncs,
            stats.moves - stats.views,
            stats.views,
            stats.recoveries,
            stats.retirements,
            stats.relays,
        ];
        assert!(seen.iter().all(|count| *count > 0), "{stats:?}");
    }
}
