//! The large ring as it goes: time, messages, who comes and who goes, and who hears of it when.

mod client;
mod steward;

use super::Dials;
use super::ledger::{Account, Ideal};
use super::node::{Errand, Heard, Machine, Node, Task};
use crate::history::History;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use scrapering_core::id::{Key, NodeId, Partition};
use scrapering_core::membership::{Liveness, Serving};
use scrapering_core::register::proposal::Transmit;
use scrapering_core::register::{Acceptor, Envelope, Reply, Request};
use scrapering_core::time::Instant;
use scrapering_core::view::message::{Guard, Request as ViewRequest};
use scrapering_core::view::steward::REPLACE_AFTER;
use scrapering_core::view::{Placement, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const SECOND_US: u64 = 1_000_000;
/// How long the keys are written before anybody comes or goes.
const CALM: u64 = 60;
/// How long the ring may take to be whole again behind the last one.
const SETTLE: u64 = 180;
/// Share of messages that are lost.
const LOSS: f64 = 0.001;
/// When others hear of who comes or begins to leave, by gossip.
const GOSSIP_US: std::ops::Range<u64> = 300_000..3_000_000;
/// When others hold for down who is gone without a word (the tables of `scrapering-sim swim`).
const DETECTION_US: std::ops::Range<u64> = 3_000_000..9_000_000;
/// When whoever was replaced is taken off the list for good.
const REMOVED_AFTER_US: u64 = 180 * SECOND_US;
/// Placements kept for nodes that have heard of the same others.
const PLACEMENTS: usize = 64;
/// The task of what nobody waits for.
const NO_TASK: u64 = 0;

enum Event {
    Request {
        to: NodeId,
        from: NodeId,
        task: u64,
        round: u64,
        envelope: Envelope,
    },
    Answer {
        to: NodeId,
        task: u64,
        from: NodeId,
        round: u64,
        reply: Reply,
    },
    Alarm {
        node: NodeId,
        task: u64,
    },
    /// `node` hears of `about`.
    News {
        node: NodeId,
        about: NodeId,
        heard: Heard,
    },
    Look {
        node: NodeId,
    },
    Exchange {
        node: NodeId,
    },
    Call,
    Join,
    Leave,
    Crash,
    /// A crashed node has been down so long that it is replaced.
    GivenUp {
        node: NodeId,
    },
    Removed {
        node: NodeId,
    },
    Watch,
}

pub(super) struct World {
    dials: Dials,
    dice: SmallRng,
    now_us: u64,
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    nodes: BTreeMap<NodeId, Node>,
    born: usize,
    tasks: u64,
    placements: BTreeMap<Vec<NodeId>, Arc<Placement>>,
    /// What there is to be heard of everybody.
    news: BTreeMap<NodeId, Heard>,
    /// Who stays, as if everybody heard of everything at once.
    staying: BTreeSet<NodeId>,
    ideal: Ideal,
    /// The newest view of each partition that anybody has.
    newest: BTreeMap<Partition, View>,
    short_since_s: BTreeMap<Partition, u64>,
    whole_seconds: [u64; 2],
    keys: Vec<Key>,
    written: BTreeSet<usize>,
    /// By key, the version that was last told.
    told: Vec<u64>,
    history: History,
    final_reads: BTreeMap<usize, usize>,
    account: Account,
}

impl World {
    pub(super) fn new(seed: u64, dials: Dials) -> Self {
        let ids: Vec<NodeId> = (0..dials.nodes).map(|number| NodeId::new(&format!("ring-{number}"), 1)).collect();
        let placement = Placement::new(ids.iter().copied());
        let views = placement.genesis_views();
        let keys = (0..dials.keys).map(|number| {
            let name = format!("k{number}");
            Key::new(Partition::at(scrapering_core::id::Point::of(name.as_bytes())), name)
        });
        let mut world = Self {
            dials,
            dice: SmallRng::seed_from_u64(seed),
            now_us: 0,
            events: BTreeMap::new(),
            scheduled: 0,
            nodes: BTreeMap::new(),
            born: dials.nodes,
            tasks: NO_TASK,
            placements: BTreeMap::new(),
            news: BTreeMap::new(),
            staying: ids.iter().copied().collect(),
            ideal: Ideal::new(&placement),
            newest: views.clone(),
            short_since_s: BTreeMap::new(),
            whole_seconds: [0; 2],
            keys: keys.collect(),
            written: BTreeSet::new(),
            told: vec![0; dials.keys],
            history: History::default(),
            final_reads: BTreeMap::new(),
            account: Account { fewest_copies: usize::MAX, ..Account::default() },
        };
        let alive = Heard { liveness: Liveness::Alive, serving: Serving::Serving, down_since: None, number: 0 };
        world.news = ids.iter().map(|other| (*other, alive)).collect();
        for id in &ids {
            let mut node = Node::new(*id, Acceptor::genesis(*id, &views), Serving::Serving);
            node.heard = world.news.clone();
            world.nodes.insert(*id, node);
            world.start(*id);
        }
        world.plan();
        world
    }

    /// Everything that comes over the ring, at random moments of each minute.
    fn plan(&mut self) {
        let end_us = (CALM + self.dials.minutes * 60) * SECOND_US;
        for minute in 0..self.dials.minutes {
            let begin_us = (CALM + minute * 60) * SECOND_US;
            let crashes = self.dials.crashes_a_minute.min(self.dials.replaced_a_minute);
            for number in 0..self.dials.replaced_a_minute {
                let moments = [0, 1].map(|_| begin_us + self.dice.random_range(0..60 * SECOND_US));
                self.schedule_at(moments[0], Event::Join);
                self.schedule_at(moments[1], if number < crashes { Event::Crash } else { Event::Leave });
            }
        }
        let between_us = SECOND_US / self.dials.operations_a_second.max(1);
        (0..(end_us + SETTLE * SECOND_US / 2) / between_us)
            .for_each(|number| self.schedule_at(number * between_us, Event::Call));
        self.schedule_at(0, Event::Watch);
    }

    pub(super) fn run(mut self) -> Account {
        let end_us = (CALM + self.dials.minutes * 60 + SETTLE) * SECOND_US;
        self.run_until(end_us);
        self.account.simulated_s = end_us / SECOND_US;
        self.read_everything();
        self.conclude()
    }

    fn run_until(&mut self, end_us: u64) {
        while let Some(next) = self.events.first_entry().filter(|next| next.key().0 <= end_us) {
            let ((at_us, _), event) = next.remove_entry();
            self.now_us = at_us;
            self.handle(event);
        }
    }

    fn now(&self) -> Instant {
        Instant(Duration::from_micros(self.now_us))
    }

    fn schedule(&mut self, after_us: u64, event: Event) {
        self.schedule_at(self.now_us + after_us, event);
    }

    fn schedule_at(&mut self, at_us: u64, event: Event) {
        self.scheduled += 1;
        self.events.insert((at_us, self.scheduled), event);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request { to, from, task, round, envelope } => self.handle_request(to, from, task, round, &envelope),
            Event::Answer { to, task, from, round, reply } => self.handle_answer(to, task, from, round, reply),
            Event::Alarm { node, task } => self.handle_alarm(node, task),
            Event::News { node, about, heard } => self.handle_news(node, about, heard),
            Event::Look { node } => self.handle_look(node),
            Event::Exchange { node } => self.handle_exchange(node),
            Event::Call => self.handle_call(),
            Event::Join => self.handle_join(),
            Event::Leave => self.handle_leave(),
            Event::Crash => self.handle_crash(),
            Event::GivenUp { node } => self.stay_no_more(node),
            Event::Removed { node } => self.spread(node, Liveness::Left, Serving::Serving, GOSSIP_US),
            Event::Watch => self.handle_watch(),
        }
    }

    /// The routine of a node that is there.
    fn start(&mut self, node: NodeId) {
        let after_us = [0, 1].map(|_| self.dice.random_range(0..SECOND_US));
        self.schedule_look(node, after_us[0]);
        self.schedule(after_us[1], Event::Exchange { node });
    }

    fn handle_join(&mut self) {
        let id = NodeId::new(&format!("ring-{}", self.born), 1);
        self.born += 1;
        self.account.joined += 1;
        let mut node = Node::new(id, Acceptor::genesis(id, &BTreeMap::new()), Serving::Joining);
        // Whom it asks first gives it all that there is to be heard.
        node.heard = self.news.clone();
        self.nodes.insert(id, node);
        self.start(id);
        self.staying.insert(id);
        self.follow_ideal();
        self.spread(id, Liveness::Alive, Serving::Joining, GOSSIP_US);
    }

    fn handle_leave(&mut self) {
        let Some(id) = self.anybody(|_, _| true) else { return };
        self.nodes.get_mut(&id).expect("it was just chosen").serving = Serving::Leaving;
        self.stay_no_more(id);
        self.spread(id, Liveness::Alive, Serving::Leaving, GOSSIP_US);
    }

    /// Somebody goes without a word whom the ring can spare; a moment later, while there is nobody.
    fn handle_crash(&mut self) {
        let Some(id) = self.anybody(|world, node| world.can_spare(node)) else {
            return self.schedule(SECOND_US, Event::Crash);
        };
        self.account.crashed += 1;
        self.end(id);
        self.spread(id, Liveness::Down, Serving::Serving, DETECTION_US);
        let noticed_us = DETECTION_US.start + REPLACE_AFTER.as_micros() as u64;
        self.schedule(noticed_us, Event::GivenUp { node: id });
        self.schedule(REMOVED_AFTER_US, Event::Removed { node: id });
    }

    /// A node that serves and that `suits`.
    fn anybody(&mut self, suits: impl Fn(&Self, NodeId) -> bool) -> Option<NodeId> {
        let serving = self.nodes.values().filter(|node| node.serving == Serving::Serving && suits(self, node.id));
        let serving: Vec<NodeId> = serving.map(|node| node.id).collect();
        serving.choose(&mut self.dice).copied()
    }

    /// Whether a majority of each view is still there without `id`: the ring survives two deaths at a time, and a
    /// third as soon as it has replaced one of the two.
    fn can_spare(&self, id: NodeId) -> bool {
        self.newest.values().filter(|view| view.has(id)).all(|view| {
            let others = view.members.iter().filter(|member| **member != id && self.nodes.contains_key(*member));
            others.count() >= view.quorum()
        })
    }

    fn stay_no_more(&mut self, node: NodeId) {
        self.staying.remove(&node);
        self.follow_ideal();
    }

    fn follow_ideal(&mut self) {
        let mut bytes: BTreeMap<Partition, u64> = BTreeMap::new();
        for key in &self.written {
            *bytes.entry(self.keys[*key].partition).or_default() += self.dials.content_bytes as u64;
        }
        let placement = Placement::new(self.staying.iter().copied());
        self.ideal.follow(&placement, |partition| bytes.get(&partition).copied().unwrap_or(0), &mut self.account);
    }

    /// The process of `node` is gone, and its disk.
    fn end(&mut self, id: NodeId) {
        let Some(mut node) = self.nodes.remove(&id) else { return };
        for task in std::mem::take(&mut node.tasks).into_values() {
            if let Machine::Call(_, call) = task.machine {
                self.account.unknown += 1;
                self.history.answer(call, crate::history::Seen::Unknown);
            }
        }
    }

    /// Everybody hears of `about` in time, and itself at once.
    fn spread(&mut self, about: NodeId, liveness: Liveness, serving: Serving, when_us: std::ops::Range<u64>) {
        let down_since = (liveness == Liveness::Down).then_some(self.now());
        let heard = Heard { liveness, serving, down_since, number: self.scheduled };
        self.news.insert(about, heard);
        self.handle_news(about, about, heard);
        let others: Vec<NodeId> = self.nodes.keys().copied().filter(|node| *node != about).collect();
        for node in others {
            let after_us = self.dice.random_range(when_us.clone());
            self.schedule(after_us, Event::News { node, about, heard });
        }
    }

    fn handle_news(&mut self, node: NodeId, about: NodeId, heard: Heard) {
        let now = self.now();
        let Some(node) = self.nodes.get_mut(&node) else { return };
        if node.heard.get(&about).is_none_or(|before| before.number <= heard.number) {
            node.heard.insert(about, Heard { down_since: heard.down_since.map(|_| now), ..heard });
            node.staying = None;
        }
    }

    fn handle_request(&mut self, to: NodeId, from: NodeId, task: u64, round: u64, envelope: &Envelope) {
        let Some(node) = self.nodes.get_mut(&to) else { return };
        let before = node.own_epoch(envelope.partition);
        let reply = node.answer(envelope);
        let epoch = node.own_epoch(envelope.partition);
        if epoch > before {
            let view = View::clone(&scrapering_core::view::Outlook::view(node, envelope.partition));
            self.note_view(envelope.partition, view);
        }
        self.count_moved(envelope, &reply);
        if task == NO_TASK {
            return;
        }
        // The disk, then the way back.
        let after_us = self.dice.random_range(1_000..6_000);
        if to == from || !self.dice.random_bool(LOSS) {
            self.account.messages += 1;
            self.schedule(after_us, Event::Answer { to: from, task, from: to, round, reply });
        }
    }

    fn note_view(&mut self, partition: Partition, view: View) {
        let newest = self.newest.get(&partition).map(|view| view.epoch);
        if newest.is_none_or(|newest| newest < view.epoch) {
            self.account.views += 1;
            self.newest.insert(partition, view);
        }
    }

    fn count_moved(&mut self, envelope: &Envelope, reply: &Reply) {
        let Request::View(ViewRequest::Adopt { guard, entries, .. }) = &envelope.request else { return };
        let Reply::View(scrapering_core::view::message::Reply::Report(_)) = reply else { return };
        let content = |accepted: &scrapering_core::register::Accepted| {
            accepted.value.as_ref().and_then(|value| value.content.as_ref()).map_or(0, bytes::Bytes::len) as u64
        };
        let bytes: u64 = entries.iter().map(|(_, accepted)| content(accepted)).sum();
        self.account.moved_bytes += bytes;
        match guard {
            Guard::Learner => self.account.taught_bytes += bytes,
            Guard::Sealed(_) | Guard::Relay => self.account.aligned_bytes += bytes,
        }
    }

    /// Sends what a machine of `from` has to send.
    fn send(&mut self, from: NodeId, task: u64, transmit: Transmit) {
        let Transmit { to, round, envelope } = transmit;
        let after_us = if to == from { 50 } else { self.dice.random_range(300..3_000) };
        if to == from || !self.dice.random_bool(LOSS) {
            self.account.messages += 1;
            self.schedule(after_us, Event::Request { to, from, task, round, envelope });
        }
    }

    /// How many copies serve, once a second.
    fn handle_watch(&mut self) {
        let second = self.now_us / SECOND_US;
        for (partition, view) in &self.newest {
            let holds = |node: &&NodeId| self.nodes.get(*node).is_some_and(|node| node.holds(*partition, view));
            let copies = view.members.iter().filter(holds).count();
            self.account.fewest_copies = self.account.fewest_copies.min(copies);
            let is_whole = copies >= 5;
            self.whole_seconds[usize::from(is_whole)] += 1;
            if is_whole {
                self.short_since_s.remove(partition);
            } else {
                let since = *self.short_since_s.entry(*partition).or_insert(second);
                self.account.worst_short_s = self.account.worst_short_s.max(second - since + 1);
            }
        }
        self.schedule(SECOND_US, Event::Watch);
    }
}
