//! Probing: directly, then through others, then suspicion (SWIM, section 3.1); round robin in random order, so
//! that a dead member is found within a bounded time (section 4.3).

use super::Membership;
use super::config::MAX_URGENT;
use super::learn::Source;
use super::message::{CallId, Gossip, Reply, Request, Transmit, Update};
use super::record::{Entry, Liveness};
use crate::id::NodeId;
use crate::time::Instant;
use std::time::Duration;

/// Own suspects that a node in a large ring probes again in every period.
const SUSPECTS_A_PERIOD: usize = 3;

/// What a call was made for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Probe { target: NodeId },
    Relay { target: NodeId, probe: u64 },
    Exchange,
    Announce { target: NodeId },
    Gossip,
}

/// A probe on its way.
#[derive(Debug)]
pub(super) struct Probe {
    number: u64,
    /// Helpers that have not answered yet.
    open: usize,
    /// Helpers that did not answer: not even that they did not reach the target.
    silent: usize,
}

impl Membership {
    /// The probes of a period.
    pub(super) fn begin_period(&mut self, now: Instant) {
        self.period_at = now + self.health.stretch(self.config.period);
        let candidates = self.candidates();
        if candidates.len() <= self.config.probe_all_up_to {
            candidates.into_iter().for_each(|node| self.probe(node, now));
            return;
        }
        let accused = |node: &&NodeId| self.suspicions.is_accused_by(**node, self.me);
        let own: Vec<NodeId> = candidates.iter().filter(accused).copied().collect();
        for node in self.dice.choose(own, SUSPECTS_A_PERIOD) {
            self.probe(node, now);
        }
        if let Some(node) = self.next_in_order() {
            self.probe(node, now);
        }
    }

    /// Whom to probe: whoever is neither down nor gone.
    fn candidates(&self) -> Vec<NodeId> {
        self.where_liveness(|liveness| liveness < Liveness::Down)
    }

    fn where_liveness(&self, wanted: impl Fn(Liveness) -> bool) -> Vec<NodeId> {
        let others = self.table.entries().filter(|entry| entry.member.node != self.me && wanted(entry.liveness));
        others.map(|entry| entry.member.node).collect()
    }

    /// Members that seem to live besides this one and `node`.
    pub(super) fn living_others(&self, node: NodeId) -> usize {
        let alive = |entry: &&Entry| entry.liveness == Liveness::Alive;
        self.table.entries().filter(alive).filter(|entry| ![node, self.me].contains(&entry.member.node)).count()
    }

    fn next_in_order(&mut self) -> Option<NodeId> {
        for _ in 0..2 {
            while let Some(node) = self.order.pop() {
                let candidate = self.table.liveness(node).is_some_and(|liveness| liveness < Liveness::Down);
                if candidate && !self.probes.contains_key(&node) {
                    return Some(node);
                }
            }
            self.order = self.dice.shuffle(self.candidates());
        }
        None
    }

    /// Probes out of turn, as many as may be on their way.
    pub(super) fn probe_urgent(&mut self, now: Instant) {
        while self.probes.len() < MAX_URGENT
            && let Some(node) = self.urgent.pop_first()
        {
            self.probe(node, now);
        }
    }

    fn probe(&mut self, target: NodeId, now: Instant) {
        let Some(record) = self.table.get_mut(target) else { return };
        if record.entry.liveness == Liveness::Left || self.probes.contains_key(&target) {
            return;
        }
        record.probed_at = Some(now);
        self.probes.insert(target, Probe { number: self.next_call, open: 0, silent: 0 });
        let (gossip, timeout) = (self.gossip_for(target), self.health.stretch(self.config.probe_timeout));
        self.call(target, Purpose::Probe { target }, Request::Ping(gossip), timeout);
    }

    /// The probe failed directly: others try (SWIM, section 3.1).
    fn ask_helpers(&mut self, target: NodeId, now: Instant) {
        let others = self.where_liveness(|liveness| liveness == Liveness::Alive);
        let others = others.into_iter().filter(|node| *node != target).collect();
        let helpers = self.dice.choose(others, self.config.helpers);
        let Some(probe) = self.probes.get_mut(&target) else { return };
        probe.open = helpers.len();
        let (number, timeout) = (probe.number, self.health.stretch(self.config.probe_timeout));
        if helpers.is_empty() {
            // Nobody is there to say who of the two is the slow one.
            self.health.worse(1);
            self.probes.remove(&target);
            return self.accuse(target, now);
        }
        for helper in helpers {
            let request = Request::PingReq { target, gossip: self.gossip_for(helper) };
            self.call(helper, Purpose::Relay { target, probe: number }, request, timeout);
        }
    }

    fn call(&mut self, to: NodeId, purpose: Purpose, request: Request, timeout: Duration) {
        let call = CallId(self.next_call);
        self.next_call += 1;
        self.calls.insert(call, purpose);
        self.transmits.push_back(Transmit { to, call, request, timeout });
    }

    /// What rides on a message to `listener`: what is believed of it, if that is bad, before all other news
    /// (Lifeguard, buddy system).
    pub(super) fn gossip_for(&mut self, listener: NodeId) -> Gossip {
        let mut updates = Vec::new();
        if let Some(record) = self.table.get_mut(listener) {
            let bad = record.entry.liveness != Liveness::Alive;
            let belief = bad.then(|| Update { entry: record.entry.clone(), accuser: None });
            updates.extend(belief.or_else(|| record.accusation.take()));
        }
        let limit = self.spread_limit();
        updates.extend(self.rumours.take(self.config.updates_per_message - updates.len(), limit, listener));
        Gossip { speaker: self.own(), updates }
    }

    /// The answer to a call, or its absence.
    pub(super) fn settle_call(&mut self, purpose: Option<Purpose>, reply: Option<Reply>, now: Instant) {
        let answered = reply.is_some();
        let from = self.take_reply(reply, now);
        match purpose {
            Some(Purpose::Probe { target }) if self.probes.contains_key(&target) => {
                // Whoever answers for another, as a new generation for the old one, is not that other.
                if answered && from.is_none_or(|node| node == target) {
                    self.reached(target);
                } else {
                    self.ask_helpers(target, now);
                }
            }
            Some(Purpose::Relay { target, probe }) => self.relayed(target, probe, answered, from == Some(target), now),
            Some(Purpose::Exchange) if answered => {
                self.acquainted = true;
                // In a large ring that has just begun, tables spread the first words faster than gossip does.
                if self.table.entries().any(|entry| entry.incarnation == 0 && entry.liveness == Liveness::Suspect) {
                    self.exchange_at = self.exchange_at.min(now + self.config.period);
                }
            }
            Some(Purpose::Exchange) if !self.acquainted => self.exchange_at = now + self.config.period,
            Some(Purpose::Announce { target }) if answered => self.exchange_with(target),
            _ => {}
        }
    }

    /// Takes in what a reply says; returns who is shown to live by it, if that is named.
    fn take_reply(&mut self, reply: Option<Reply>, now: Instant) -> Option<NodeId> {
        match reply? {
            Reply::Ack(gossip) => {
                let gossip = gossip?;
                let speaker = gossip.speaker.member.node;
                self.absorb(gossip, now);
                Some(speaker)
            }
            Reply::Relayed(entry) => {
                let entry = entry?;
                let target = entry.member.node;
                self.learn(Update { entry, accuser: None }, Source::Gossip, now);
                Some(target)
            }
            Reply::Table(entries) => {
                self.learn_table(entries, now);
                None
            }
        }
    }

    fn relayed(&mut self, target: NodeId, number: u64, answered: bool, reached: bool, now: Instant) {
        let Some(probe) = self.probes.get_mut(&target).filter(|probe| probe.number == number) else { return };
        if reached {
            return self.reached(target);
        }
        probe.open -= 1;
        probe.silent += usize::from(!answered);
        if probe.open == 0 {
            let silent = probe.silent;
            self.health.worse(silent);
            self.probes.remove(&target);
            self.accuse(target, now);
        }
    }

    fn reached(&mut self, target: NodeId) {
        self.probes.remove(&target);
        self.health.better();
    }

    /// Tells the news to a few.
    pub(super) fn begin_gossip(&mut self, now: Instant) {
        self.gossip_at = now + self.config.gossip_period;
        for node in self.dice.choose(self.candidates(), self.config.gossip_fanout) {
            self.ping(node, Purpose::Gossip);
        }
    }

    pub(super) fn ping(&mut self, node: NodeId, purpose: Purpose) {
        let (gossip, timeout) = (self.gossip_for(node), self.health.stretch(self.config.probe_timeout));
        self.call(node, purpose, Request::Ping(gossip), timeout);
    }

    /// Exchanges tables with a random member; rather with one that seems to live.
    pub(super) fn begin_exchange(&mut self, now: Instant) {
        self.exchange_at = now + self.config.exchange_period;
        for wanted in [Liveness::Alive, Liveness::Suspect, Liveness::Down] {
            let partner = self.dice.choose(self.where_liveness(|liveness| liveness == wanted), 1);
            if let Some(partner) = partner.first() {
                return self.exchange_with(*partner);
            }
        }
    }

    fn exchange_with(&mut self, partner: NodeId) {
        let request = Request::Exchange(self.entries());
        self.call(partner, Purpose::Exchange, request, self.config.period);
    }

    /// Speaks to a member that is down. The whole ring does that about as often as eight members do, so that one
    /// dead address is not called by hundreds.
    pub(super) fn begin_announcement(&mut self, now: Instant) {
        let crowd = u32::try_from(self.table.members() / 8).unwrap_or(u32::MAX).max(1);
        self.announce_at = now + self.config.announce_period.saturating_mul(crowd);
        let down = self.where_liveness(|liveness| liveness == Liveness::Down);
        for target in self.dice.choose(down, 1) {
            self.ping(target, Purpose::Announce { target });
        }
    }

    /// Tells a few that this process ends.
    pub(super) fn say_farewell(&mut self) {
        let alive = self.where_liveness(|liveness| liveness == Liveness::Alive);
        for node in self.dice.choose(alive, super::config::MAX_FAREWELLS) {
            self.ping(node, Purpose::Gossip);
        }
    }
}
