//! What comes of the tasks of clients and of the epilogue: told to the history, the watchers and whoever waits.

use super::World;
use super::coordinator::{JUDGE_US, Machine, Owner, Task, Wish};
use crate::history::{Action, Seen};
use crate::invariant::body::reference_of;
use crate::invariant::state_of;
use scrapering_core::body::BodyRef;
use scrapering_core::register::scan::Page;
use scrapering_core::register::{Outcome, Versioned};

impl World<'_> {
    pub(super) fn finish_batch(&mut self, node: usize, task: &Task, outcomes: Vec<Outcome>) {
        if let Owner::Judge { .. } = task.owner
            && !outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. }))
        {
            self.violated("after the faults every node can read and write", format!("{outcomes:?}"));
        }
        let mut bodies = Vec::new();
        for (call, outcome) in task.calls.iter().zip(outcomes) {
            bodies.extend(self.finish_call(*call, &outcome));
        }
        match task.owner {
            Owner::Client(_) => self.start_fetch(node, task.owner, bodies),
            Owner::Judge { .. } | Owner::Steward => self.continue_client(task.owner),
        }
    }

    /// Returns the body that is to be looked for, if the call has read a record that refers to one.
    fn finish_call(&mut self, place: usize, outcome: &Outcome) -> Option<BodyRef> {
        let call = self.history.calls[place];
        let seen = match outcome {
            Outcome::Done { value, .. } => Seen::Done(state_of(value.as_ref())),
            Outcome::Conflict { current } => Seen::Conflict(state_of(current.as_ref())),
            Outcome::Indeterminate => Seen::Unknown,
            Outcome::Unavailable => Seen::Refused,
        };
        self.trace.say(self.now_us, || {
            format!("client {} key {} operation {} {:?}: {seen:?}", call.client, call.key, call.operation, call.action)
        });
        self.stats.count(seen);
        self.history.answer(place, seen);
        if let Seen::Done(state) | Seen::Conflict(state) = seen {
            self.rumours[call.key] = state.version;
            let shown = self.watcher.handle_shown(call.key, state);
            self.check(shown);
        }
        if let Seen::Conflict(_) | Seen::Refused = seen {
            let refused = self.watcher.handle_refused(call.operation);
            self.check(refused);
        }
        let (Outcome::Done { value: shown, .. } | Outcome::Conflict { current: shown }) = outcome else { return None };
        self.finish_reference(call.key, shown.as_ref()).filter(|_| call.action == Action::Read)
    }

    /// A client was shown `value` of a key: the body to which it refers must be stored.
    fn finish_reference(&mut self, key: usize, value: Option<&Versioned>) -> Option<BodyRef> {
        let body = reference_of(&self.keys[key], value)?;
        let referred = self.bodies.handle_referred(body);
        self.check(referred);
        Some(body)
    }

    /// Every key of the page's range was read: as agreed, or as absent, or is still to be read one by one.
    pub(super) fn finish_page(&mut self, node: usize, id: u64, mut task: Task, page: Page) {
        let Machine::Scan(scanning) = &mut task.machine else { return };
        let (partition, after, asked) = (scanning.partition, scanning.after.take(), scanning.asked);
        let mut disputed = std::mem::take(&mut scanning.disputed);
        let (limit, deadline) = (scanning.limit, scanning.deadline);
        for number in 0..self.keys.len() {
            let key = &self.keys[number];
            let before = after.as_ref().is_some_and(|after| key.name <= *after);
            let beyond = page.next.as_ref().is_some_and(|next| key.name > *next);
            if key.partition != partition || before || beyond {
                continue;
            }
            if page.disputed.contains(key) {
                disputed.push(number);
                continue;
            }
            let value = page.agreed.iter().find(|(other, _)| other == key).map(|(_, value)| value);
            let agreed = value.map(|value| state_of(Some(value)));
            self.finish_reference(number, value);
            self.trace.say(self.now_us, || {
                format!("client {} key {number} scanned since {asked}: {agreed:?}", task.owner.number())
            });
            self.history.show(number, task.owner.number(), asked, agreed.map_or(Seen::Absent, Seen::Done));
            if let Some(state) = agreed {
                let shown = self.watcher.handle_shown(number, state);
                self.check(shown);
            }
        }
        if page.next.is_some() {
            let scanning = self.next_page(node, partition, page.next, limit, disputed, deadline);
            task.machine = Machine::Scan(Box::new(scanning));
            return self.pump(node, id, task);
        }
        self.stats.disputed += disputed.len() as u64;
        if disputed.is_empty() {
            return self.continue_client(task.owner);
        }
        let wishes: Vec<Wish> = disputed.into_iter().map(|key| (key, Action::Read)).collect();
        let view = self.known_view(node, partition);
        self.start_batch(node, task.owner, view, &wishes, JUDGE_US, None);
    }

    /// A member knows a newer view: the page is read there.
    pub(super) fn start_page_over(&mut self, node: usize, id: u64, mut task: Task) {
        let Machine::Scan(scanning) = &mut task.machine else { return };
        let (partition, after, limit) = (scanning.partition, scanning.after.take(), scanning.limit);
        let (disputed, deadline) = (std::mem::take(&mut scanning.disputed), scanning.deadline);
        let newer = scanning.scan.newer_view().cloned();
        newer.into_iter().for_each(|view| self.nodes[node].learn(partition, &view));
        let scanning = self.next_page(node, partition, after, limit, disputed, deadline);
        task.machine = Machine::Scan(Box::new(scanning));
        self.pump(node, id, task);
    }

    pub(super) fn finish_unsuccessful_scan(&mut self, owner: Owner) {
        if let Owner::Judge { .. } = owner {
            self.violated("after the faults every node can scan", "no page came".to_owned());
        }
        self.continue_client(owner);
    }
}
