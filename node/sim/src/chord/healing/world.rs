//! The nodes, what travels between them, and chance.

use super::Dials;
use super::judge::{self, Lookups, Verdict};
use crate::chord;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use scrapering_core::id::{NodeId, Point};
use scrapering_core::ring::{Config, Health, Known, Lookup, Message, Ring, SUCCESSOR_NODES, Step};
use scrapering_core::time::Instant;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What one node has heard of another: the later life overrules the earlier, the worse news the better.
type News = (u32, Health);

struct Node {
    ring: Ring,
    heard: BTreeMap<NodeId, News>,
    wakes_at: u64,
}

enum Event {
    Deliver { from: NodeId, to: NodeId, life: u32, messages: Vec<Message> },
    Unreachable { asker: NodeId, life: u32, node: NodeId },
    Wake { node: NodeId, life: u32 },
    Hear { observer: NodeId, about: NodeId, news: News },
    Burst,
    Join,
    Lookup,
    Asked { lookup: u64, node: NodeId },
    Answered { lookup: u64, node: NodeId, step: Option<Step> },
}

struct Running {
    asker: NodeId,
    life: u32,
    lookup: Lookup,
}

/// How long a lookup waits for a node, ms.
const LOOKUP_TIMEOUT_MS: u64 = 2_500;
/// How often it is looked whether the ring is whole, ms.
const LOOK_EVERY_MS: u64 = 250;

pub(super) struct World<'a> {
    dials: &'a Dials,
    dice: SmallRng,
    virtual_nodes: u32,
    started_with: usize,
    now: u64,
    sequence: u64,
    events: BTreeMap<(u64, u64), Event>,
    living: BTreeMap<NodeId, Node>,
    /// The life that each node is in or was in, of all that ever were.
    lives: BTreeMap<NodeId, u32>,
    /// What the latest news of each node is numbered.
    incarnations: BTreeMap<NodeId, u32>,
    running: BTreeMap<u64, Running>,
    /// Faults are over.
    calm: bool,
    /// When somebody last died, came or heard something.
    changed_at: u64,
    verdict: Verdict,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, dials: &'a Dials, nodes: usize, virtual_nodes: u32, dice: SmallRng) -> Self {
        let verdict = Verdict {
            seed,
            nodes,
            virtual_nodes,
            healed_after_ms: None,
            wrong: None,
            deaths: 0,
            joins: 0,
            batches: 0,
            simulated_ms: 0,
            lookups: Lookups::default(),
        };
        let mut world = Self {
            dials,
            dice,
            virtual_nodes,
            started_with: nodes,
            now: 0,
            sequence: 0,
            events: BTreeMap::new(),
            living: BTreeMap::new(),
            lives: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            running: BTreeMap::new(),
            calm: false,
            changed_at: 0,
            verdict,
        };
        let ids: Vec<NodeId> = (0..nodes).map(chord::node).collect();
        let heard: BTreeMap<NodeId, News> = ids.iter().map(|id| (*id, (1, Health::Alive))).collect();
        for ring in chord::whole(&ids, virtual_nodes, SUCCESSOR_NODES) {
            let id = ring.me();
            world.lives.insert(id, 1);
            world.incarnations.insert(id, 1);
            world.living.insert(id, Node { ring, heard: heard.clone(), wakes_at: u64::MAX });
            world.tell_members(id);
        }
        world
    }

    pub(super) fn run(mut self) -> Verdict {
        let mut at = 2_000;
        for _ in 0..self.dials.bursts {
            at += self.roll(self.dials.pause_ms.clone());
            self.schedule(at, Event::Burst);
        }
        self.schedule(1_000, Event::Lookup);
        self.run_until(at);
        self.calm = true;
        let (mut wrong, mut look_at) = (None, at);
        while look_at - at < self.dials.patience_ms {
            look_at += LOOK_EVERY_MS;
            self.run_until(look_at);
            let rings = self.living.iter().map(|(id, node)| (*id, &node.ring)).collect();
            wrong = judge::wrong(&rings, self.virtual_nodes, SUCCESSOR_NODES);
            let to_come = |event: &Event| matches!(event, Event::Join | Event::Hear { .. });
            if wrong.is_none() && !self.events.values().any(to_come) {
                self.verdict.healed_after_ms = Some(look_at - self.changed_at);
                break;
            }
        }
        Verdict { wrong, simulated_ms: self.now, ..self.verdict }
    }

    fn run_until(&mut self, until: u64) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            self.happen(event);
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, life, messages } => self.deliver(from, to, life, messages),
            Event::Unreachable { asker, life, node } => {
                self.with_ring(asker, life, |ring, now| ring.handle_unreachable(node, now));
            }
            Event::Wake { node, life } => {
                if let Some(known) = self.living.get_mut(&node) {
                    known.wakes_at = u64::MAX;
                }
                self.with_ring(node, life, Ring::handle_timeout);
            }
            Event::Hear { observer, about, news } => self.hear(observer, about, news),
            Event::Burst => self.burst(),
            Event::Join => self.join(),
            Event::Lookup => self.look_up(),
            Event::Asked { lookup, node } => {
                let target = self.running[&lookup].lookup.target();
                if let Some(known) = self.living.get(&node) {
                    let (step, delay) = (Some(known.ring.step(target)), self.delay());
                    self.schedule(self.now + delay, Event::Answered { lookup, node, step });
                }
            }
            Event::Answered { lookup, node, step } => self.answered(lookup, node, step),
        }
    }

    fn instant(&self) -> Instant {
        Instant(Duration::from_millis(self.now))
    }

    /// Gives the ring of `node`, if it still is in that life, an input, and carries what it then sends.
    fn with_ring(&mut self, node: NodeId, life: u32, input: impl FnOnce(&mut Ring, Instant)) {
        let now = self.instant();
        if self.lives[&node] != life {
            return;
        }
        let Some(known) = self.living.get_mut(&node) else { return };
        input(&mut known.ring, now);
        let mut batches = Vec::new();
        while let Some(batch) = known.ring.poll_transmit() {
            batches.push(batch);
        }
        let wake = (known.ring.poll_timeout().0.as_millis() as u64).max(self.now + 1);
        if wake < known.wakes_at {
            known.wakes_at = wake;
            self.schedule(wake, Event::Wake { node, life });
        }
        for (to, messages) in batches {
            self.send(node, to, messages);
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, messages: Vec<Message>) {
        self.verdict.batches += 1;
        let (life, lost) = (self.lives[&from], self.is_lost());
        if !lost && self.living.contains_key(&to) {
            let life = self.lives[&to];
            let at = self.now + self.delay();
            return self.schedule(at, Event::Deliver { from, to, life, messages });
        }
        // A port that nobody listens on says so at once, a machine that is gone says nothing.
        if !lost && self.dice.random_bool(0.5) {
            let at = self.now + self.delay();
            self.schedule(at, Event::Unreachable { asker: from, life, node: to });
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, life: u32, messages: Vec<Message>) {
        self.with_ring(to, life, |ring, now| {
            messages.into_iter().for_each(|message| ring.handle_message(from, message, now));
        });
    }

    fn hear(&mut self, observer: NodeId, about: NodeId, news: News) {
        let Some(node) = self.living.get_mut(&observer) else { return };
        let known = node.heard.get(&about).copied();
        if known.is_none_or(|known| known < news) {
            node.heard.insert(about, news);
            self.changed_at = self.now;
            self.tell_members(observer);
        }
    }

    /// Tells the ring of `id` what its node has heard.
    fn tell_members(&mut self, id: NodeId) {
        let virtual_nodes = self.virtual_nodes;
        let heard = self.living[&id].heard.iter().filter(|(node, _)| **node != id);
        let known: BTreeMap<NodeId, Known> =
            heard.map(|(node, (_, health))| (*node, Known { health: *health, virtual_nodes })).collect();
        let landmarks = (0..self.started_with).map(chord::node).collect();
        self.with_ring(id, self.lives[&id], |ring, now| {
            ring.set_landmarks(landmarks);
            ring.handle_members(known, now);
        });
    }

    /// Everybody hears that `about` is `health`, each at a moment of its own after `from_ms`.
    fn spread(&mut self, about: NodeId, news: News, from_ms: u64, after: &RangeInclusive<u64>) {
        for observer in self.living.keys().copied().filter(|id| *id != about).collect::<Vec<_>>() {
            let at = self.now + from_ms + self.roll(after.clone());
            self.schedule(at, Event::Hear { observer, about, news });
        }
    }

    fn burst(&mut self) {
        self.changed_at = self.now;
        let mortal = self.living.len().saturating_sub(self.dials.least).min(2);
        for id in self.living.keys().copied().choose_multiple(&mut self.dice, mortal) {
            self.living.remove(&id);
            self.verdict.deaths += 1;
            self.spread_death(id, self.incarnations[&id]);
            let at = self.now + self.roll(self.dials.pause_ms.clone());
            self.schedule(at, Event::Join);
        }
        if self.dice.random_ratio(self.dials.false_deaths_percent, 100)
            && let Some(id) = self.living.keys().copied().choose(&mut self.dice)
        {
            // It lives, hears of its death and contradicts.
            self.spread_death(id, self.incarnations[&id]);
            let latest = *self.dials.suspected_after_ms.end() + *self.dials.down_after_ms.end();
            let contradiction = self.next_incarnation(id);
            self.spread(id, (contradiction, Health::Alive), latest, &self.dials.heard_after_ms);
        }
    }

    fn next_incarnation(&mut self, id: NodeId) -> u32 {
        let incarnation = self.incarnations.entry(id).or_default();
        *incarnation += 1;
        *incarnation
    }

    fn spread_death(&mut self, id: NodeId, incarnation: u32) {
        for observer in self.living.keys().copied().filter(|other| *other != id).collect::<Vec<_>>() {
            let suspected = self.now + self.roll(self.dials.suspected_after_ms.clone());
            let down = suspected + self.roll(self.dials.down_after_ms.clone());
            self.schedule(suspected, Event::Hear { observer, about: id, news: (incarnation, Health::Suspect) });
            self.schedule(down, Event::Hear { observer, about: id, news: (incarnation, Health::Dead) });
        }
    }

    /// A new node joins, or one that died comes back without having kept anything.
    fn join(&mut self) {
        let dead = self.lives.keys().copied().filter(|id| !self.living.contains_key(id)).choose(&mut self.dice);
        let id = dead.filter(|_| self.dice.random_bool(0.5)).unwrap_or_else(|| chord::node(self.lives.len()));
        let life = self.lives.get(&id).map_or(1, |life| life + 1);
        self.lives.insert(id, life);
        let incarnation = self.next_incarnation(id);
        self.verdict.joins += 1;
        self.changed_at = self.now;
        let contacts: Vec<NodeId> = self.living.keys().copied().collect();
        let contact = *contacts.choose(&mut self.dice).expect("some are left alive");
        let mut heard = self.living[&contact].heard.clone();
        heard.insert(contact, (self.incarnations[&contact], Health::Alive));
        let config = Config {
            me: id,
            virtual_nodes: self.virtual_nodes,
            successor_nodes: SUCCESSOR_NODES,
            first_number: u64::from(life) << 32,
        };
        // The process of a founder may have lost nothing but time: it starts from the list it was founded with.
        let founders: Vec<NodeId> = (0..self.started_with).map(chord::node).collect();
        let ring = if founders.contains(&id) && self.dice.random_bool(0.5) {
            Ring::genesis(config, &chord::tokens(&founders, self.virtual_nodes), self.instant())
        } else {
            Ring::joining(config, self.instant())
        };
        self.living.insert(id, Node { ring, heard, wakes_at: u64::MAX });
        self.tell_members(id);
        self.spread(id, (incarnation, Health::Alive), 0, &self.dials.heard_after_ms);
        // Its contact's own news goes on to it.
        for (about, known) in self.incarnations.clone() {
            let health = if self.living.contains_key(&about) { Health::Alive } else { Health::Dead };
            if about != id {
                let latest = *self.dials.suspected_after_ms.end() + *self.dials.down_after_ms.end();
                let at = self.now + latest + self.roll(self.dials.heard_after_ms.clone());
                self.schedule(at, Event::Hear { observer: id, about, news: (known, health) });
            }
        }
    }

    fn look_up(&mut self) {
        let every = self.roll(self.dials.lookup_every_ms.clone());
        self.schedule(self.now + every, Event::Lookup);
        let asker = self.living.keys().copied().choose(&mut self.dice).expect("some are left alive");
        let target = Point(self.dice.random());
        let lookup = self.living[&asker].ring.lookup(target);
        let number = self.sequence;
        self.running.insert(number, Running { asker, life: self.lives[&asker], lookup });
        self.go_on(number);
    }

    fn answered(&mut self, number: u64, node: NodeId, step: Option<Step>) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let Some(asker) = self.living.get(&running.asker).filter(|_| self.lives[&running.asker] == running.life) else {
            self.running.remove(&number);
            return;
        };
        running.lookup.handle_reply(node, step, |node| asker.ring.health(node));
        self.go_on(number);
    }

    fn go_on(&mut self, number: u64) {
        let running = self.running.get_mut(&number).expect("it runs");
        let ring = &self.living[&running.asker].ring;
        let counts = &mut self.verdict.lookups;
        if let Some(node) = running.lookup.poll_transmit(|node| ring.health(node)) {
            counts.hops += 1;
            counts.asked_down += u64::from(ring.health(node) == Health::Dead);
            let (lost, asked_at) = (self.is_lost(), self.now + self.delay());
            if lost || !self.living.contains_key(&node) {
                self.verdict.lookups.timeouts += 1;
                let at = self.now + LOOKUP_TIMEOUT_MS;
                return self.schedule(at, Event::Answered { lookup: number, node, step: None });
            }
            return self.schedule(asked_at, Event::Asked { lookup: number, node });
        }
        let Running { asker, lookup, .. } = self.running.remove(&number).expect("it runs");
        let target = lookup.target();
        counts.ended += 1;
        let (Some(found), _) = lookup.into_outcome() else {
            counts.nobody += 1;
            return;
        };
        let named = found.successor();
        counts.known_down += u64::from(self.living[&asker].ring.health(named.node) == Health::Dead);
        let rings = self.living.iter().map(|(id, node)| (*id, &node.ring)).collect();
        counts.mistaken += u64::from(judge::owner(&rings, target) != Some(named));
        counts.died_unheard += u64::from(!self.living.contains_key(&named.node));
    }

    fn is_lost(&mut self) -> bool {
        !self.calm && self.dice.random_ratio(self.dials.lost_per_mille, 1000)
    }

    fn delay(&mut self) -> u64 {
        let slow = !self.calm && self.dice.random_ratio(self.dials.slow_per_mille, 1000);
        self.roll(if slow { self.dials.slow_ms.clone() } else { self.dials.delay_ms.clone() })
    }

    fn roll(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.dice.random_range(range)
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }
}
