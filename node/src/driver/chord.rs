//! Runs Chord: carries the messages of this node's virtual nodes, tells them who is alive, and looks things up.

use super::clock::Clock;
use super::members::Members;
use crate::background::{Failure, Next, Progress, Task};
use crate::rpc::{Peers, ring as rpc};
use scrapering_core::formation::GENESIS_GENERATION;
use scrapering_core::id::{NodeId, Point};
use scrapering_core::membership::{Entry, Liveness};
use scrapering_core::ring::{Config, Finger, Health, Hop, Known, Message, Ring, Step};
use scrapering_core::view::{Placement, VIRTUAL_NODES};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// This node's part of the ring. A cheap clone.
#[derive(Clone)]
pub struct Chord {
    inner: Arc<Inner>,
}

struct Inner {
    ring: Mutex<Ring>,
    members: Members,
    peers: Peers,
    clock: Clock,
    wake: Notify,
    told: AtomicU64,
}

impl Chord {
    /// The ring as it was founded, for one of its founders; all others join it. `boot` counts the starts of this
    /// node.
    #[must_use]
    pub fn new(boot: u32, founders: &Placement, members: Members, peers: Peers, clock: Clock) -> Self {
        let own = members.own();
        let me = own.member.node;
        let config = Config::new(me, own.member.weight, boot);
        let tokens: BTreeSet<Finger> = founders.tokens().map(|(point, node)| Finger { point, node }).collect();
        let founder = tokens.iter().any(|finger| finger.node == me);
        let ring =
            if founder { Ring::genesis(config, &tokens, clock.now()) } else { Ring::joining(config, clock.now()) };
        let (wake, told) = (Notify::new(), AtomicU64::new(0));
        let chord = Self { inner: Arc::new(Inner { ring: Mutex::new(ring), members, peers, clock, wake, told }) };
        chord.refresh();
        chord
    }

    /// Messages from `from`; what can be answered at once.
    #[must_use]
    pub fn handle(&self, from: NodeId, messages: Vec<Message>) -> Vec<Message> {
        let now = self.inner.clock.now();
        let mut ring = self.lock();
        messages.into_iter().for_each(|message| ring.handle_message(from, message, now));
        let answers = ring.take_for(from);
        drop(ring);
        self.inner.wake.notify_one();
        answers
    }

    /// This node's own step of a lookup.
    #[must_use]
    pub fn step(&self, target: Point) -> Step {
        self.lock().step(target)
    }

    /// Whether all virtual nodes of this node are in the ring.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.lock().has_joined()
    }

    /// The successor of `target`, found by asking from node to node, and the nodes that were asked.
    pub async fn lookup(&self, target: Point) -> (Option<Finger>, Vec<Hop>) {
        let health = |node| health(self.inner.members.liveness(node));
        let mut lookup = self.lock().lookup(target);
        while let Some(node) = lookup.poll_transmit(health) {
            let step = rpc::step(&self.inner.peers, node, target).await;
            if step.is_none() {
                self.inner.members.hint(node);
            }
            lookup.handle_reply(node, step, health);
        }
        let (found, path) = lookup.into_outcome();
        (found.map(|found| found.successor()), path)
    }

    /// The background task that keeps the ring.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        let changes = self.inner.members.changes();
        Keeper { chord: self.clone(), changes, calls: JoinSet::new(), ended: None }
    }

    /// Takes over what the membership says now.
    fn refresh(&self) {
        let me = self.inner.members.own().member.node;
        let entries = self.inner.members.entries();
        let first = |entry: &&Entry| entry.member.generation == GENESIS_GENERATION;
        let names: BTreeSet<&str> = entries.iter().filter(first).map(|entry| entry.member.name.as_str()).collect();
        let lives = |entry: &&Entry| entry.liveness < Liveness::Down && entry.member.node != me;
        let named = |entry: &&Entry| names.contains(entry.member.name.as_str());
        let landmarks = entries.iter().filter(lives).filter(named).map(|entry| entry.member.node).collect();
        let known = |entry: &Entry| Known {
            health: health(entry.liveness),
            virtual_nodes: VIRTUAL_NODES * u32::from(entry.member.weight),
        };
        let others = entries.iter().filter(|entry| entry.member.node != me);
        let known: BTreeMap<NodeId, Known> = others.map(|entry| (entry.member.node, known(entry))).collect();
        let mut ring = self.lock();
        ring.set_landmarks(landmarks);
        ring.handle_members(known, self.inner.clock.now());
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.inner.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn health(liveness: Liveness) -> Health {
    match liveness {
        Liveness::Alive => Health::Alive,
        Liveness::Suspect => Health::Suspect,
        Liveness::Down | Liveness::Left => Health::Dead,
    }
}

type Ended = (NodeId, Option<Vec<Message>>);

/// Keeps the ring in order; see [`Chord::keeper`].
pub struct Keeper {
    chord: Chord,
    changes: watch::Receiver<u64>,
    calls: JoinSet<Ended>,
    ended: Option<Ended>,
}

impl Task for Keeper {
    fn name(&self) -> &'static str {
        "chord"
    }

    fn progress(&self) -> Progress {
        let (joined, all) = self.chord.lock().joined();
        Progress {
            done: self.chord.inner.told.load(Ordering::Relaxed),
            remaining: Some((all - joined) as u64),
            text: format!("{joined} of {all} virtual nodes are in the ring"),
        }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        let Inner { clock, peers, members, told, .. } = &*self.chord.inner;
        if self.changes.has_changed().unwrap_or(false) {
            self.changes.borrow_and_update();
            self.chord.refresh();
        }
        let now = clock.now();
        let mut ring = self.chord.lock();
        match self.ended.take() {
            Some((node, Some(answers))) => {
                answers.into_iter().for_each(|answer| ring.handle_message(node, answer, now));
            }
            Some((node, None)) => {
                ring.handle_unreachable(node, now);
                members.hint(node);
            }
            None => {}
        }
        if ring.poll_timeout() <= now {
            ring.handle_timeout(now);
        }
        while let Some((node, messages)) = ring.poll_transmit() {
            told.fetch_add(messages.len() as u64, Ordering::Relaxed);
            let peers = peers.clone();
            self.calls.spawn(async move { (node, rpc::tell(&peers, node, messages).await) });
        }
        Ok(Next::Wait(ring.poll_timeout().since(now)))
    }

    async fn woken(&mut self) {
        let Self { chord, changes, calls, ended } = self;
        tokio::select! {
            () = chord.inner.wake.notified() => {}
            Ok(()) = changes.changed() => chord.refresh(),
            Some(Ok(call)) = calls.join_next() => *ended = Some(call),
        }
    }
}
