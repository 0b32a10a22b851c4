//! Membership: who is in the ring, where, and alive, as far as this node can tell. SWIM with Lifeguard's health.
//!
//! The only writer of liveness; a failed call elsewhere is only a hint that brings the next question forward.
//! Wrong answers cost time, never data: views carry safety. An own machine rather than the `foca` crate: it has
//! Lifeguard's local health, whole records with a serving state in the table, final tombstones, and generations
//! that end each other. Sources: Das, Gupta, Motivala, SWIM, DSN 2002; Dadgar, Phillips, Currey, Lifeguard, 2018.
//!
//! Requests are drained by [`Membership::poll_transmit`]; each is answered once by [`Membership::handle_reply`].
//! Requests of others are answered by [`Membership::handle_ping`], [`Membership::handle_ping_req`] and
//! [`Membership::handle_exchange`]. Whether a message is of this ring is checked before it comes here.

pub mod config;
mod gossip;
mod health;
mod learn;
mod message;
mod probe;
mod record;
mod suspicion;
mod table;

pub use config::Config;
pub use message::{CallId, Event, Gossip, Reply, Request, Transmit, Update};
pub use record::{Entry, Liveness, Member, Serving};

use crate::dice::Dice;
use crate::id::NodeId;
use crate::time::Instant;
use config::{MAX_MEMBERS, MAX_TOMBSTONES};
use gossip::Rumours;
use health::LocalHealth;
use learn::Source;
use probe::{Probe, Purpose};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use suspicion::Suspicions;
use table::Table;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Member,
    Left,
    Ended,
}

/// One node's part in the membership, and its table.
#[derive(Debug)]
pub struct Membership {
    config: Config,
    me: NodeId,
    phase: Phase,
    table: Table,
    suspicions: Suspicions,
    rumours: Rumours,
    health: LocalHealth,
    dice: Dice,
    /// Who is still to be probed in this round.
    order: Vec<NodeId>,
    probes: BTreeMap<NodeId, Probe>,
    urgent: BTreeSet<NodeId>,
    calls: BTreeMap<CallId, Purpose>,
    next_call: u64,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    period_at: Instant,
    gossip_at: Instant,
    exchange_at: Instant,
    announce_at: Instant,
    /// Whether somebody has given this node the table.
    acquainted: bool,
}

impl Membership {
    /// A node that says `me` of itself and has heard of `known`: fellow members at genesis, and what it
    /// remembers of a former life, tombstones above all. Nobody of them counts as alive before it has spoken.
    ///
    /// `seed` is for random choices and differs from node to node.
    #[must_use]
    pub fn new(me: Entry, known: impl IntoIterator<Item = Entry>, config: Config, seed: u64, now: Instant) -> Self {
        let node = me.member.node;
        let mut membership = Self {
            config,
            me: node,
            phase: Phase::Member,
            table: Table::default(),
            suspicions: Suspicions::default(),
            rumours: Rumours::default(),
            health: LocalHealth::new(config.max_local_health),
            dice: Dice::new(seed),
            order: Vec::new(),
            probes: BTreeMap::new(),
            urgent: BTreeSet::new(),
            calls: BTreeMap::new(),
            next_call: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            period_at: now,
            gossip_at: now,
            exchange_at: now,
            announce_at: now,
            acquainted: false,
        };
        membership.table.insert(me, now);
        membership.change_own(|_| {});
        for entry in known {
            membership.remember(entry, now);
        }
        // What was known before is nobody's news.
        membership.events.clear();
        membership
    }

    /// Takes in what is known from elsewhere than the ring: who is not gone is unheard of.
    fn remember(&mut self, entry: Entry, now: Instant) {
        let gone = entry.liveness == Liveness::Left;
        let entry = if gone { entry } else { Entry { liveness: Liveness::Suspect, ..entry } };
        let node = entry.member.node;
        self.learn(Update { entry, accuser: None }, Source::Gossip, now);
        self.suspicions.unheard(node, &self.config);
        self.rumours.forget(node);
    }

    /// This node.
    #[must_use]
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// The whole table by node id, this node and tombstones too.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.table.entries().cloned().collect()
    }

    /// The entry of `node`.
    #[must_use]
    pub fn entry(&self, node: NodeId) -> Option<&Entry> {
        self.table.get(node).map(|record| &record.entry)
    }

    /// What this node says of itself.
    #[must_use]
    pub fn own(&self) -> Entry {
        self.entry(self.me).expect("this node is in its table from the start and never taken out").clone()
    }

    /// What is believed of `node`; a node that was never heard of is down.
    #[must_use]
    pub fn liveness(&self, node: NodeId) -> Liveness {
        self.table.liveness(node).unwrap_or(Liveness::Down)
    }

    /// When this node learned that `node` is down; `None` if it is not.
    #[must_use]
    pub fn down_since(&self, node: NodeId) -> Option<Instant> {
        self.table.get(node)?.down_since
    }

    /// Zero if this node seems well to itself; its periods are stretched by one for each step.
    #[must_use]
    pub const fn local_health(&self) -> u32 {
        self.health.steps()
    }

    /// The next request to send; ask after every `handle_*` until `None`.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event; ask after every `handle_*` until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Membership::handle_timeout`]; ask after every `handle_*`. `None` once there is no more to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let gossip = (!self.rumours.is_empty()).then_some(self.gossip_at);
        match self.phase {
            Phase::Member => {
                let timers = [self.period_at, self.exchange_at, self.announce_at];
                timers.into_iter().chain(gossip).chain(self.suspicions.next_end()).min()
            }
            Phase::Left => gossip,
            Phase::Ended => None,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.notice(now);
        if self.phase == Phase::Member {
            self.expire_suspicions(now);
            if self.exchange_at <= now {
                self.begin_exchange(now);
            }
            if self.announce_at <= now {
                self.begin_announcement(now);
            }
            if self.period_at <= now {
                self.begin_period(now);
            }
            self.probe_urgent(now);
        }
        if self.phase != Phase::Ended && !self.rumours.is_empty() && self.gossip_at <= now {
            self.begin_gossip(now);
        }
    }

    /// The answer to a request, or `None` if it failed or did not come within its timeout.
    pub fn handle_reply(&mut self, call: CallId, reply: Option<Reply>, now: Instant) {
        self.notice(now);
        let purpose = self.calls.remove(&call);
        self.settle_call(purpose, reply, now);
        self.probe_urgent(now);
    }

    /// A probe of this node; returns what rides on the answer.
    pub fn handle_ping(&mut self, gossip: Gossip, now: Instant) -> Gossip {
        self.notice(now);
        let speaker = gossip.speaker.member.node;
        self.absorb(gossip, now);
        self.probe_urgent(now);
        self.gossip_for(speaker)
    }

    /// Another asks to probe `target` in its stead: returns what rides on that probe, whose outcome goes to
    /// [`Membership::handle_relay`] after `Config::relay_timeout` at most. `None` if the target is not known.
    pub fn handle_ping_req(&mut self, target: NodeId, gossip: Gossip, now: Instant) -> Option<Gossip> {
        self.notice(now);
        self.absorb(gossip, now);
        self.table.get(target)?;
        Some(self.gossip_for(target))
    }

    /// The outcome of a probe in another's stead; returns what to answer.
    pub fn handle_relay(&mut self, target: NodeId, reply: Option<Reply>, now: Instant) -> Reply {
        self.notice(now);
        let speaker = match reply {
            Some(Reply::Ack(Some(gossip))) => {
                let speaker = gossip.speaker.member.node;
                self.absorb(gossip, now);
                Some(speaker)
            }
            Some(Reply::Ack(None)) => Some(target),
            _ => None,
        };
        let reached = speaker == Some(target);
        Reply::Relayed(self.entry(target).filter(|_| reached).cloned())
    }

    /// Another's whole table; returns this node's.
    pub fn handle_exchange(&mut self, table: Vec<Entry>, now: Instant) -> Vec<Entry> {
        self.notice(now);
        self.learn_table(table, now);
        self.probe_urgent(now);
        self.entries()
    }

    /// What another answered to this node's table outside of [`Membership::poll_transmit`], as when joining.
    pub fn handle_table(&mut self, table: Vec<Entry>, now: Instant) {
        self.notice(now);
        self.learn_table(table, now);
        self.acquainted = true;
        self.probe_urgent(now);
    }

    fn learn_table(&mut self, table: Vec<Entry>, now: Instant) {
        for entry in table.into_iter().take(MAX_MEMBERS * (1 + MAX_TOMBSTONES)) {
            self.learn(Update { entry, accuser: None }, Source::Exchange, now);
        }
    }

    /// A call to `node` failed elsewhere: it is probed at once if it seemed to live. Says nothing of its liveness.
    pub fn handle_hint(&mut self, node: NodeId, now: Instant) {
        self.notice(now);
        let pause = self.config.hint_pause;
        let due = |probed: Option<Instant>| probed.is_none_or(|probed| now.since(probed) >= pause);
        if let Some(record) = self.table.get(node)
            && record.entry.liveness == Liveness::Alive
            && due(record.probed_at)
            && self.phase == Phase::Member
            && node != self.me
        {
            self.urgent.insert(node);
            self.probe_urgent(now);
        }
    }

    /// This node does something else from now on.
    pub fn set_serving(&mut self, serving: Serving, now: Instant) {
        self.notice(now);
        if self.phase == Phase::Member && self.own().serving != serving {
            self.change_own(|own| {
                own.serving = serving;
                own.incarnation = own.incarnation.saturating_add(1);
            });
            self.events.push_back(Event::Record { node: self.me });
        }
    }

    /// This node leaves for good, after it has handed over. It still answers, and spreads the word.
    pub fn leave(&mut self, now: Instant) {
        self.notice(now);
        if self.phase == Phase::Member {
            self.phase = Phase::Left;
            self.change_own(|own| {
                own.liveness = Liveness::Left;
                own.serving = Serving::Leaving;
            });
            self.events.push_back(Event::Liveness { node: self.me, liveness: Liveness::Left });
        }
    }

    /// `node` is gone for good, as an administrator says: it cannot come back under this id.
    pub fn remove(&mut self, node: NodeId, now: Instant) {
        self.notice(now);
        self.end(node, now);
    }

    /// This process ends and may come back: a few are told, so that nobody has to find out.
    pub fn handle_stop(&mut self, now: Instant) {
        self.notice(now);
        if self.phase == Phase::Member {
            self.change_own(|own| own.liveness = Liveness::Down);
            self.say_farewell();
        }
        self.phase = Phase::Ended;
    }

    fn spread_limit(&self) -> usize {
        (self.config.spread as f64 * config::scale(self.table.members())).ceil() as usize
    }

    /// A machine whose timers come much too late was not running: what it waited for may have come meanwhile,
    /// so that it judges nobody by it.
    fn notice(&mut self, now: Instant) {
        if self.rumours.is_empty() {
            // This timer runs only while there is something to tell.
            self.gossip_at = self.gossip_at.max(now);
        }
        if self.poll_timeout().is_none_or(|due| now.since(due) <= self.config.standstill) {
            return;
        }
        self.calls.clear();
        self.probes.clear();
        self.suspicions.restart(now);
        for timer in [&mut self.period_at, &mut self.gossip_at, &mut self.exchange_at, &mut self.announce_at] {
            *timer = now;
        }
        self.events.push_back(Event::StoodStill);
    }
}

#[cfg(test)]
mod tests;
