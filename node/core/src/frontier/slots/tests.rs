//! Nodes and desks among messages that are late or lost, owners that change and nodes that die: the limit holds all the while.

use super::*;
use crate::dice::Dice;
use crate::frontier::{LEASE, LEASE_HOLD};

const JOB: JobId = JobId([7; 16]);
const STEP: Duration = Duration::from_millis(10);
/// A node waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

struct Node {
    id: NodeId,
    boot: u32,
    asked: u64,
    purse: Option<Purse>,
    /// When each of its fetches ends.
    running: Vec<Instant>,
    question: Option<(Ask, Instant)>,
    /// Nothing reaches it, and nothing it says is heard.
    cut_off_until: Instant,
    wanted: u32,
    fetched: u32,
}

impl Node {
    fn new(number: u8) -> Self {
        Self {
            id: NodeId([number; 20]),
            boot: 1,
            asked: 0,
            purse: None,
            running: Vec::new(),
            question: None,
            cut_off_until: Instant::default(),
            wanted: u32::MAX,
            fetched: 0,
        }
    }

    /// Ends and begins fetches, and looks after the purse; returns a question for the desk.
    fn act(&mut self, longest: Duration, dice: &mut Dice, now: Instant) -> Option<Ask> {
        let before = self.running.len();
        self.running.retain(|end| *end > now);
        let purse = self.purse.get_or_insert_with(|| Purse::new(0, now));
        (self.running.len()..before).for_each(|_| purse.handle_given_back(now));
        while (self.running.len() as u32) < self.wanted {
            if !purse.admits(now) {
                purse.handle_turned_away(now);
                break;
            }
            purse.handle_taken(now);
            self.running.push(now + STEP + longest.mul_f64(dice.below(1_000) as f64 / 1_000.0));
            self.fetched += 1;
        }
        if self.question.is_some_and(|(_, since)| now.since(since) >= PATIENCE)
            && let Some((ask, _)) = self.question.take()
        {
            purse.handle_answer(ask, None, now);
        }
        match purse.next(now) {
            Next::Lapse => {
                self.running.drain(..).for_each(|_| purse.handle_given_back(now));
                purse.handle_lapsed(now);
            }
            Next::Ask if self.question.is_none() => {
                self.asked += 1;
                let ask = purse.begin_ask((self.boot, self.asked), now);
                self.question = Some((ask, now));
                return Some(ask);
            }
            Next::End => self.purse = None,
            Next::Ask | Next::Look(_) => {}
        }
        None
    }

    fn answer(&mut self, ask: Ask, loan: Option<Loan>, now: Instant) {
        if self.question.is_some_and(|(open, _)| open == ask)
            && let Some(purse) = &mut self.purse
        {
            self.question = None;
            purse.handle_answer(ask, loan, now);
        }
    }

    fn die(&mut self) {
        self.boot += 1;
        (self.purse, self.question) = (None, None);
        self.running.clear();
    }
}

#[derive(Clone, Copy)]
enum Message {
    Ask(usize, Ask),
    Answer(usize, Ask, Option<Loan>),
}

struct World {
    nodes: Vec<Node>,
    /// Desks of owners, the newest last, and until when an earlier one's word counts.
    desks: Vec<(Desk, Instant)>,
    on_the_way: Vec<(Instant, Message)>,
    limit: u32,
    longest: Duration,
    dice: Dice,
    now: Instant,
}

impl World {
    fn new(seed: u64, nodes: u8, limit: u32, longest: Duration) -> Self {
        Self {
            nodes: (1..=nodes).map(Node::new).collect(),
            desks: vec![(Desk::new(Instant::default()), Instant::default())],
            on_the_way: Vec::new(),
            limit,
            longest,
            dice: Dice::new(seed),
            now: Instant::default(),
        }
    }

    fn in_flight(&self) -> usize {
        self.nodes.iter().map(|node| node.running.len()).sum()
    }

    fn send(&mut self, message: Message, faults: bool) {
        if faults && self.dice.below(20) == 0 {
            return;
        }
        let most = if faults && self.dice.below(10) == 0 { 3_000 } else { 20 };
        let copies = 1 + usize::from(faults && self.dice.below(20) == 0);
        for _ in 0..copies {
            let late = Duration::from_millis(self.dice.below(most) as u64);
            self.on_the_way.push((self.now + late, message));
        }
    }

    fn deliver(&mut self, faults: bool) {
        let now = self.now;
        let (due, later): (Vec<_>, Vec<_>) = self.on_the_way.drain(..).partition(|(at, _)| *at <= now);
        self.on_the_way = later;
        for (_, message) in due {
            let (Message::Ask(node, _) | Message::Answer(node, ..)) = message;
            if self.nodes[node].cut_off_until > now {
                continue;
            }
            match message {
                Message::Answer(node, ask, loan) => self.nodes[node].answer(ask, loan, now),
                Message::Ask(node, ask) => {
                    // Who has not heard of a new owner asks the one before.
                    let newest = self.desks.len() - 1;
                    let asked = newest - usize::from(faults && newest > 0 && self.dice.below(3) == 0);
                    let (desk, until) = &mut self.desks[asked];
                    let confirmed_ago = Duration::from_millis(self.dice.below(1_500) as u64);
                    let owned_until =
                        if asked == newest { Instant((now.0 + LEASE_HOLD) - confirmed_ago) } else { *until };
                    let heard = owned_until > now;
                    let loan = heard
                        .then(|| desk.handle_ask(JOB, self.nodes[node].id, ask, Some(self.limit), owned_until, now));
                    self.send(Message::Answer(node, ask, loan.flatten()), faults);
                }
            }
        }
    }

    fn fail_somewhere(&mut self) {
        match self.dice.below(2_000) {
            0 => {
                // The owner was confirmed a moment ago, and its successor claims now.
                let confirmed_ago = Duration::from_millis(self.dice.below(1_500) as u64);
                let newest = self.desks.len() - 1;
                self.desks[newest].1 = Instant((self.now.0 + LEASE_HOLD).saturating_sub(confirmed_ago));
                self.desks.push((Desk::new(self.now + LEASE), Instant::default()));
            }
            1 => {
                let node = self.dice.below(self.nodes.len());
                self.nodes[node].die();
            }
            2 => {
                let node = self.dice.below(self.nodes.len());
                let long = Duration::from_millis(self.dice.below(12_000) as u64);
                self.nodes[node].cut_off_until = self.now + long;
            }
            3..=40 => {
                // Its hosts are at rest, or have more to be fetched.
                let node = self.dice.below(self.nodes.len());
                self.nodes[node].wanted = [0, 1, 3, u32::MAX][self.dice.below(4)];
            }
            _ => {}
        }
    }

    fn step(&mut self, faults: bool) {
        self.now = self.now + STEP;
        if faults {
            self.fail_somewhere();
        }
        self.deliver(faults);
        for node in 0..self.nodes.len() {
            if let Some(ask) = self.nodes[node].act(self.longest, &mut self.dice, self.now) {
                self.send(Message::Ask(node, ask), faults);
            }
        }
    }

    fn run(&mut self, time: Duration, faults: bool, mut check: impl FnMut(&Self)) {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.step(faults);
            check(self);
        }
    }
}

#[test]
fn no_more_is_fetched_at_once_than_the_limit_whatever_is_late_lost_or_dead() {
    for seed in 0..150 {
        let limit = [1, 2, 3, 7, 40][seed as usize % 5];
        let mut world = World::new(seed, 5, limit, Duration::from_secs(if seed % 2 == 0 { 8 } else { 1 }));
        world.run(Duration::from_secs(60), true, |world| {
            assert!(world.in_flight() <= limit as usize, "seed {seed}: {} of {limit}", world.in_flight());
        });
        // Whatever has died holds nothing for ever.
        let before: u32 = world.nodes.iter().map(|node| node.fetched).sum();
        for node in &mut world.nodes {
            (node.cut_off_until, node.wanted) = (Instant::default(), u32::MAX);
        }
        world.longest = Duration::from_millis(200);
        world.run(Duration::from_secs(20), false, |_| {});
        let fetched = world.nodes.iter().map(|node| node.fetched).sum::<u32>() - before;
        assert!(fetched > 20 * limit, "seed {seed}: only {fetched} with {limit} slots");
    }
}

#[test]
fn fewer_slots_than_nodes_go_round_and_are_seldom_idle() {
    let mut world = World::new(1, 3, 1, Duration::from_millis(100));
    let mut busy = 0;
    world.run(Duration::from_secs(60), false, |world| busy += world.in_flight());
    assert!(busy > 4_200, "a fetch was under way in only {busy} of 6000 steps");
    let all: u32 = world.nodes.iter().map(|node| node.fetched).sum();
    for node in &world.nodes {
        assert!(node.fetched * 5 > all, "{} of {all}", node.fetched);
    }
}

#[test]
fn what_one_node_does_not_need_the_others_have() {
    let mut world = World::new(2, 3, 9, Duration::from_millis(300));
    world.nodes[0].wanted = 1;
    world.run(Duration::from_secs(10), false, |_| {});
    let mut most = [0; 3];
    world.run(Duration::from_secs(20), false, |world| {
        for (most, node) in most.iter_mut().zip(&world.nodes) {
            *most = node.running.len().max(*most);
        }
    });
    assert!(most[0] == 1 && most[1] >= 4 && most[2] >= 4, "{most:?}");
}

#[test]
fn a_limit_that_is_changed_holds_as_soon_as_what_is_under_way_has_ended() {
    let mut world = World::new(3, 3, 12, Duration::from_millis(500));
    world.run(Duration::from_secs(10), false, |_| {});
    assert!(world.in_flight() > 8, "{}", world.in_flight());
    world.limit = 2;
    world.run(Duration::from_secs(5), false, |_| {});
    world.run(Duration::from_secs(10), false, |world| assert!(world.in_flight() <= 2));
    world.limit = 30;
    world.run(Duration::from_secs(10), false, |_| {});
    assert!(world.in_flight() > 20, "{}", world.in_flight());
}

#[test]
fn a_purse_that_nobody_uses_is_given_up_and_leaves_nothing_behind() {
    let mut world = World::new(4, 2, 3, Duration::from_millis(50));
    world.run(Duration::from_secs(5), false, |_| {});
    world.nodes.iter_mut().for_each(|node| node.wanted = 0);
    let purse = |world: &World| world.nodes[0].purse.as_ref().is_some_and(|purse| purse.taken() > 0);
    world.run(Duration::from_secs(10), false, |_| {});
    assert!(!purse(&world) && !world.nodes[1].purse.as_ref().is_some_and(Purse::is_hungry));
    let now = world.now;
    let ask = Purse::farewell((9, 9));
    let desk = &mut world.desks[0].0;
    assert!(desk.handle_ask(JOB, NodeId([1; 20]), ask, Some(3), now + LEASE_HOLD, now).is_some());
    assert!(desk.jobs.values().all(|seats| seats.is_empty()), "{desk:?}");
}
