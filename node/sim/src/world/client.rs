//! Clients: what they ask, of whom, and how soon again.

use super::bodies::{Then, writes};
use super::coordinator::{Owner, Wish};
use super::{Event, World};
use crate::history::Action;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use scrapering_core::id::Partition;
use scrapering_core::view::{Epoch, View};

/// Share of calls that carry all keys of a partition in one batch.
const BATCHES: f64 = 0.25;
/// Share of conditions on the version that was seen last (the others on a random one).
const INFORMED: f64 = 0.85;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    calls_left: u32,
}

impl Client {
    pub(super) fn new(calls: u32) -> Self {
        Self { calls_left: calls }
    }
}

impl World<'_> {
    pub(super) fn handle_client(&mut self, client: usize) {
        if self.quiet || self.clients[client].calls_left == 0 {
            return;
        }
        let up: Vec<usize> = self.nodes.iter().filter(|node| node.up).map(|node| node.index).collect();
        let Some(node) = up.choose(&mut self.dice).copied() else {
            return self.schedule(20_000, Event::Client { client });
        };
        self.clients[client].calls_left -= 1;
        let patience_us = self.dice.random_range(200_000..1_500_000);
        let key = if self.chance(self.dials.first_key) { 0 } else { self.dice.random_range(0..self.keys.len()) };
        let partition = self.keys[key].partition;
        if self.chance(self.dials.scans) {
            let limit = self.dice.random_range(1..=3);
            return self.start_scan(node, Owner::Client(client), partition, limit, patience_us);
        }
        let together: Vec<usize> =
            (0..self.keys.len()).filter(|other| self.keys[*other].partition == partition).collect();
        let keys = if self.chance(BATCHES) { together } else { vec![key] };
        let reads_only = keys.len() > 1 && self.chance(0.3);
        let wishes: Vec<Wish> =
            keys.into_iter().map(|key| (key, if reads_only { Action::Read } else { self.any_action(key) })).collect();
        let view = self.coordinators_view(node, partition);
        let written = self.dials.bodies > 0.0 && wishes.iter().any(|(_, action)| writes(*action));
        if written && self.chance(self.dials.bodies) {
            return self.start_put(node, Owner::Client(client), Then { view, wishes, patience_us });
        }
        self.start_batch(node, Owner::Client(client), view, &wishes, patience_us, None);
    }

    /// The newest view that `node` has heard of, or at times another, with members that are not those of an epoch
    /// that is served, or never were: acceptors must refuse it.
    fn coordinators_view(&mut self, node: usize, partition: Partition) -> View {
        let view = self.known_view(node, partition);
        if self.dice.random::<f64>() >= self.dials.strays {
            return self.rules.believed_view(&view, &self.ids, &mut self.dice);
        }
        if self.dials.move_every_us.is_some() && self.dice.random() {
            let views: Vec<&View> = self.views.views(partition).collect();
            return views.choose(&mut self.dice).map_or(view, |older| View::clone(older));
        }
        let mut members = self.ids.clone();
        members.shuffle(&mut self.dice);
        members.truncate(view.members.len());
        let epoch = match self.dials.move_every_us {
            Some(_) => self.dice.random_range(0..2) * 1_000_000,
            None => view.epoch.0 - 1 + 2 * self.dice.random_range(0..2),
        };
        View { epoch: Epoch(epoch), members, ..view }
    }

    fn any_action(&mut self, key: usize) -> Action {
        let rumour = self.rumours[key];
        let version = if self.chance(INFORMED) { rumour } else { self.dice.random_range(0..rumour + 3) };
        let total: u32 = self.dials.mix.iter().sum();
        let mut drawn = self.dice.random_range(0..total);
        let mut kind = 0;
        while drawn >= self.dials.mix[kind] {
            drawn -= self.dials.mix[kind];
            kind += 1;
        }
        match kind {
            0 => Action::Read,
            1 => Action::Put,
            2 => Action::Create,
            3 => Action::CompareAndSet { version },
            _ => Action::Delete { version: self.chance(0.5).then_some(version) },
        }
    }

    /// The owner's task is over: a client goes on after a pause, the epilogue with its next step.
    pub(super) fn continue_client(&mut self, owner: Owner) {
        match owner {
            Owner::Client(client) => {
                let pause_us = self.dice.random_range(0..self.dials.think_us);
                self.schedule(pause_us, Event::Client { client });
            }
            Owner::Judge { step } => self.schedule(1, Event::Epilogue { step: step + 1 }),
            Owner::Steward => {}
        }
    }
}
