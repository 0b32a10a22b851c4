//! Taking in what others say: which of two accounts counts, who must refute what, and whom a new generation ends.

use super::config::MAX_TOMBSTONES;
use super::message::{Event, Gossip, Update};
use super::record::{Entry, Liveness};
use super::suspicion::Suspicion;
use super::{Membership, Phase};
use crate::id::NodeId;
use crate::time::Instant;

/// How an account came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// As news.
    Gossip,
    /// In an exchange of tables, where old beliefs are found too: after a partition each half holds the other
    /// for down. What an exchange says against a member that is alive here is told to the accused, who is
    /// probed at once; it is not believed.
    Exchange,
}

impl Membership {
    /// Takes in a message's gossip.
    pub(super) fn absorb(&mut self, gossip: Gossip, now: Instant) {
        self.learn(Update { entry: gossip.speaker, accuser: None }, Source::Gossip, now);
        for update in gossip.updates.into_iter().take(self.config.updates_per_message) {
            self.learn(update, Source::Gossip, now);
        }
    }

    pub(super) fn learn(&mut self, update: Update, source: Source, now: Instant) {
        let Update { mut entry, accuser } = update;
        let node = entry.member.node;
        if node == self.me {
            return self.learn_of_me(&entry);
        }
        // A disk that was replaced speaks no more: a higher generation of a name ends every lower one.
        if self.table.newest(&entry.member.name).is_some_and(|newest| entry.member.generation < newest) {
            entry.liveness = Liveness::Left;
        }
        // What a table teaches a newcomer, or of a founder that was not heard before, is news to nobody else: who
        // is new spreads the word himself.
        let unheard = self.table.get(node).is_some_and(|record| record.entry.incarnation == 0);
        let known_elsewhere = source == Source::Exchange && (unheard || !self.acquainted);
        self.take(node, entry, accuser, source, now);
        if known_elsewhere {
            self.rumours.forget(node);
        }
    }

    fn take(&mut self, node: NodeId, entry: Entry, accuser: Option<NodeId>, source: Source, now: Instant) {
        let Some(record) = self.table.get_mut(node) else { return self.take_in(entry, accuser, now) };
        let known = &record.entry;
        if entry.supersedes(known) {
            let accused = matches!(entry.liveness, Liveness::Suspect | Liveness::Down);
            if source == Source::Exchange && accused && known.liveness == Liveness::Alive {
                record.accusation = Some(Update { entry, accuser });
                self.urgent.insert(node);
                return;
            }
            // Leaving is final whoever says it, but an old record replaces no newer one.
            let old = entry.incarnation < known.incarnation;
            let entry = if old { Entry { liveness: entry.liveness, ..known.clone() } } else { entry };
            return self.replace(entry, accuser, now);
        }
        let same = (entry.incarnation, entry.liveness) == (known.incarnation, known.liveness);
        if let (true, Liveness::Suspect, Some(accuser)) = (same, entry.liveness, accuser) {
            self.confirm(node, accuser);
        }
    }

    /// Others' words about this node: it refutes what is bad (SWIM, section 4.2) and outgrows what its former
    /// process said; only being removed is final.
    fn learn_of_me(&mut self, said: &Entry) {
        if self.phase != Phase::Member {
            return;
        }
        if said.liveness == Liveness::Left {
            return self.removed();
        }
        let mine = self.own();
        let accused = said.incarnation == mine.incarnation && said.liveness != Liveness::Alive;
        if accused || said.incarnation > mine.incarnation {
            if said.liveness != Liveness::Alive {
                self.health.worse(1);
            }
            self.change_own(|own| own.incarnation = own.incarnation.max(said.incarnation).saturating_add(1));
        }
    }

    /// The others hold this node for gone, for good.
    fn removed(&mut self) {
        self.phase = Phase::Left;
        self.change_own(|own| own.liveness = Liveness::Left);
        self.events.push_back(Event::Removed);
        self.events.push_back(Event::Liveness { node: self.me, liveness: Liveness::Left });
    }

    fn take_in(&mut self, entry: Entry, accuser: Option<NodeId>, now: Instant) {
        let (node, liveness, generation) = (entry.member.node, entry.liveness, entry.member.generation);
        let name = entry.member.name.clone();
        let ended = self.table.predecessors(&name, generation);
        debug_assert!(ended.len() <= MAX_TOMBSTONES + 1);
        if !self.table.insert(entry, now) {
            return;
        }
        self.events.push_back(Event::Record { node });
        self.events.push_back(Event::Liveness { node, liveness });
        self.settle(node, liveness, accuser, now);
        let place = self.dice.below(self.order.len() + 1);
        self.order.insert(place, node);
        for node in ended {
            self.end(node, now);
        }
    }

    /// `node` has left, whoever says so.
    pub(super) fn end(&mut self, node: NodeId, now: Instant) {
        if node == self.me {
            if self.phase == Phase::Member {
                self.removed();
            }
        } else if let Some(record) = self.table.get(node)
            && record.entry.liveness != Liveness::Left
        {
            let entry = Entry { liveness: Liveness::Left, ..record.entry.clone() };
            self.replace(entry, None, now);
        }
    }

    /// A newer account of a node that is there.
    pub(super) fn replace(&mut self, entry: Entry, accuser: Option<NodeId>, now: Instant) {
        let (node, liveness) = (entry.member.node, entry.liveness);
        let said = (entry.member.clone(), entry.serving);
        let Some(before) = self.table.replace(entry, now) else { return };
        if said != (before.member, before.serving) {
            self.events.push_back(Event::Record { node });
        }
        if liveness != before.liveness {
            self.events.push_back(Event::Liveness { node, liveness });
        }
        self.settle(node, liveness, accuser, now);
    }

    /// What follows from an account that was taken in: it is told on, and a suspicion begins or ends.
    fn settle(&mut self, node: NodeId, liveness: Liveness, accuser: Option<NodeId>, now: Instant) {
        self.suspicions.end(node);
        if liveness == Liveness::Suspect {
            let (members, witnesses) = (self.table.members(), self.living_others(node));
            self.suspicions.begin(node, Suspicion::new(&self.config, members, witnesses, accuser, now));
            let called = members > self.config.probe_all_up_to + 1 && accuser != Some(self.me);
            if called && self.dice.below(members) < self.config.witnesses {
                self.urgent.insert(node);
            }
        }
        self.tell(node, accuser);
    }

    /// This node could not reach `node`, not even through others.
    pub(super) fn accuse(&mut self, node: NodeId, now: Instant) {
        let Some(record) = self.table.get(node) else { return };
        match record.entry.liveness {
            Liveness::Alive => {
                let entry = Entry { liveness: Liveness::Suspect, ..record.entry.clone() };
                self.replace(entry, Some(self.me), now);
            }
            Liveness::Suspect => self.confirm(node, self.me),
            Liveness::Down | Liveness::Left => {}
        }
    }

    /// Another accuser of a suspect: what shortens the suspicion is told on (Lifeguard, LHA-Suspicion).
    fn confirm(&mut self, node: NodeId, accuser: NodeId) {
        if self.suspicions.confirm(node, accuser) {
            self.tell(node, Some(accuser));
        }
    }

    /// Suspects whose time is over are down.
    pub(super) fn expire_suspicions(&mut self, now: Instant) {
        while let Some(node) = self.suspicions.take_over(now) {
            if let Some(record) = self.table.get(node) {
                let entry = Entry { liveness: Liveness::Down, ..record.entry.clone() };
                self.replace(entry, None, now);
            }
        }
    }

    fn tell(&mut self, node: NodeId, accuser: Option<NodeId>) {
        if let Some(record) = self.table.get(node) {
            self.rumours.tell(Update { entry: record.entry.clone(), accuser });
        }
    }

    /// Changes what this node says of itself, and spreads it.
    pub(super) fn change_own(&mut self, change: impl FnOnce(&mut Entry)) {
        if let Some(record) = self.table.get_mut(self.me) {
            let mut entry = record.entry.clone();
            change(&mut entry);
            // Its own liveness never makes this node suspect or down, so no time is needed.
            self.table.replace(entry, Instant::default());
        }
        self.tell(self.me, None);
    }
}
