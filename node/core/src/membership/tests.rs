//! The rules of SWIM and Lifeguard, one by one, and what this ring adds to them.

mod gossip;
mod lifeguard;
mod ring;
mod swim;

use super::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn member(number: usize) -> Member {
    Member::new(format!("ring-{number}"), 1, format!("ring-{number}:7443"))
}

fn node(number: usize) -> NodeId {
    member(number).node
}

fn alive(number: usize, incarnation: u64) -> Entry {
    Entry::own(member(number), incarnation, Serving::Serving)
}

fn with(number: usize, incarnation: u64, liveness: Liveness) -> Entry {
    Entry { liveness, ..alive(number, incarnation) }
}

fn says(speaker: Entry, updates: impl IntoIterator<Item = Update>) -> Gossip {
    Gossip { speaker, updates: updates.into_iter().collect() }
}

fn news(entry: Entry) -> Update {
    Update { entry, accuser: None }
}

/// One machine, number 0, and what it sends.
struct Bench {
    now: Instant,
    it: Membership,
}

impl Bench {
    /// A machine that has heard of `others` more members in their incarnation 1; the start's requests are drained.
    fn of(others: usize) -> Self {
        let now = Instant::default();
        let mut it = Membership::new(alive(0, 1), [], Config::default(), 7, now);
        for number in 1..=others {
            let _ack = it.handle_ping(says(alive(number, 1), []), now);
        }
        let mut bench = Self { now, it };
        // News of the start dies out before anything is looked at.
        bench.answer_everything(Duration::from_secs(20));
        while bench.it.poll_event().is_some() {}
        bench
    }

    /// Lets time pass up to the next timer.
    fn tick(&mut self) -> Vec<Transmit> {
        let due = self.it.poll_timeout().expect("a member always has a timer");
        self.now = self.now.max(due);
        self.it.handle_timeout(self.now);
        self.sent()
    }

    fn sent(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.it.poll_transmit()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.it.poll_event()).collect()
    }

    fn reply(&mut self, transmit: &Transmit, reply: Option<Reply>) {
        self.it.handle_reply(transmit.call, reply, self.now);
    }

    /// What a healthy member answers.
    fn sound_reply(&self, transmit: &Transmit) -> Reply {
        let speaker = |node: NodeId| {
            let entry = self.it.entry(node).expect("a member").clone();
            let refuted = u64::from(entry.liveness != Liveness::Alive);
            Entry { liveness: Liveness::Alive, incarnation: entry.incarnation + refuted, ..entry }
        };
        match &transmit.request {
            Request::Ping(_) => Reply::Ack(Some(says(speaker(transmit.to), []))),
            Request::PingReq { target, .. } => Reply::Relayed(Some(speaker(*target))),
            Request::Exchange(_) => Reply::Table(Vec::new()),
        }
    }

    /// Everybody is well for `span`.
    fn answer_everything(&mut self, span: Duration) {
        self.run(span, |_| true);
    }

    /// Whoever `answers` is well for `span`; the others are silent, also towards helpers.
    fn run(&mut self, span: Duration, answers: impl Fn(NodeId) -> bool) {
        let end = self.now + span;
        while self.it.poll_timeout().is_some_and(|due| due <= end) {
            let mut waiting = self.tick();
            while let Some(transmit) = waiting.pop() {
                let target = match &transmit.request {
                    Request::PingReq { target, .. } => *target,
                    Request::Ping(_) | Request::Exchange(_) => transmit.to,
                };
                let reply = match (answers(transmit.to), answers(target)) {
                    (false, _) => None,
                    (true, false) => Some(Reply::Relayed(None)),
                    (true, true) => Some(self.sound_reply(&transmit)),
                };
                self.reply(&transmit, reply);
                waiting.extend(self.sent());
            }
        }
        self.now = self.now.max(end);
    }

    /// Ticks until a probe goes to `target`; everything else is answered.
    fn probe_of(&mut self, target: NodeId) -> Transmit {
        for _ in 0..1_000 {
            for transmit in self.tick() {
                if transmit.to == target && matches!(transmit.request, Request::Ping(_)) {
                    return transmit;
                }
                let reply = self.sound_reply(&transmit);
                self.reply(&transmit, Some(reply));
            }
        }
        panic!("nobody probes {target}");
    }
}

fn to_whom(transmits: &[Transmit]) -> BTreeSet<NodeId> {
    transmits.iter().map(|transmit| transmit.to).collect()
}

fn liveness_events(events: &[Event], of: NodeId) -> Vec<Liveness> {
    let of = |event: &Event| match event {
        Event::Liveness { node, liveness } if *node == of => Some(*liveness),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}
