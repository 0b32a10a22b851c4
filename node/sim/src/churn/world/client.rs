//! Who writes into a large ring and reads from it, and what is made of it in the end.

use super::{Machine, World};
use crate::history::{Action, Seen, State};
use crate::invariant::state_of;
use crate::world::judge;
use rand::Rng;
use scrapering_core::id::{NodeId, OperationId};
use scrapering_core::register::proposal::{Item, Proposal};
use scrapering_core::register::{Change, Outcome};
use scrapering_core::view::{Outlook, View};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last reads may take.
const LAST_READS_US: u64 = 20 * super::SECOND_US;

impl World {
    pub(super) fn handle_call(&mut self) {
        let Some(node) = self.anybody(|_, _| true) else { return };
        let unwritten = (0..self.keys.len()).find(|key| !self.written.contains(key));
        let key = unwritten.unwrap_or_else(|| self.dice.random_range(0..self.keys.len()));
        let action = match (unwritten, self.dice.random_range(0..10)) {
            (Some(_), _) | (None, 0..6) => Action::Put,
            (None, 6..8) => Action::CompareAndSet { version: self.told[key] },
            _ => Action::Read,
        };
        self.written.insert(key);
        self.call(node, key, action);
    }

    /// Returns the operation's place in the history.
    fn call(&mut self, id: NodeId, key: usize, action: Action) -> usize {
        let call = self.history.invoke(key, 0, action);
        let number = self.history.calls[call].operation;
        let mut content = number.to_be_bytes().to_vec();
        content.resize(self.dials.content_bytes.max(content.len()), 0);
        let content = bytes::Bytes::from(content);
        let change = match action {
            Action::Read => Change::Read,
            Action::CompareAndSet { version } => Change::CompareAndSet { version, content },
            Action::Delete { version } => Change::Delete { version },
            Action::Put | Action::Create => Change::Put(content),
        };
        let key = self.keys[key].clone();
        let (now, seed, partition) = (self.now(), self.dice.random(), key.partition);
        let node = &self.nodes[&id];
        let view = View::clone(&node.view(partition));
        let item = Item { key, change, operation: OperationId(u128::from(number)) };
        let clock = Arc::clone(&node.clock);
        let proposal = Proposal::new(view, partition, vec![item], clock, now, now + PATIENCE, seed);
        self.start_task(id, Machine::Call(Box::new(proposal), call));
        call
    }

    pub(super) fn finish_call(&mut self, call: usize, outcome: &Outcome) {
        let seen = match outcome {
            Outcome::Done { value, .. } => Seen::Done(state_of(value.as_ref())),
            Outcome::Conflict { current } => Seen::Conflict(state_of(current.as_ref())),
            Outcome::Indeterminate => Seen::Unknown,
            Outcome::Unavailable => Seen::Refused,
        };
        let place = &self.history.calls[call];
        match seen {
            Seen::Done(state) | Seen::Conflict(state) => {
                self.account.acknowledged += 1;
                self.account.writes += u64::from(place.action != Action::Read && matches!(seen, Seen::Done(_)));
                self.told[place.key] = self.told[place.key].max(state.version);
            }
            Seen::Unknown => self.account.unknown += 1,
            Seen::Refused | Seen::Absent => self.account.unavailable += 1,
        }
        self.history.answer(call, seen);
    }

    /// Reads every key, each from some node.
    pub(super) fn read_everything(&mut self) {
        for key in 0..self.keys.len() {
            let Some(node) = self.anybody(|_, _| true) else { return };
            let call = self.call(node, key, Action::Read);
            self.final_reads.insert(key, call);
        }
        let end_us = self.now_us + LAST_READS_US;
        self.run_until(end_us);
    }

    /// What it all came to.
    pub(super) fn conclude(mut self) -> super::Account {
        use scrapering_core::membership::Serving;
        for (key, call) in &self.final_reads {
            match self.history.calls[*call].seen {
                Seen::Done(State { version, .. }) => self.account.lost += u64::from(version < self.told[*key]),
                _ => self.account.unreadable += 1,
            }
        }
        self.account.not_linearizable = judge(&self.history, self.keys.len(), true).len() as u64;
        let stage = |serving: Serving| self.nodes.values().filter(|node| node.serving == serving).count() as u64;
        self.account.still_joining = stage(Serving::Joining);
        self.account.still_leaving = stage(Serving::Leaving);
        let misplaced = self.newest.iter().filter(|(partition, view)| {
            let wanted: BTreeSet<&NodeId> = self.ideal.wanted(**partition).iter().collect();
            wanted != view.members.iter().collect()
        });
        self.account.misplaced = misplaced.count() as u64;
        let [short, whole] = self.whole_seconds;
        self.account.whole_share = whole as f64 / (short + whole).max(1) as f64;
        self.account
    }
}
