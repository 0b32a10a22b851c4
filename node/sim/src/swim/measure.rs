//! Measures: how soon a crash is known, how often somebody is wrong, what it costs.

use super::world::{Dials, Verdict, World};
use rand::Rng;
use scrapering_core::id::NodeId;
use scrapering_core::membership::{Entry, Liveness};
use scrapering_core::time::Instant;
use std::time::Duration;

/// The start of a ring is over after this.
const WARM_UP: Duration = Duration::from_secs(15);
/// Nobody waits longer than this for something to be known.
const MOST: Duration = Duration::from_secs(180);

/// Times that something took.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    fn push(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    /// The time that the share `part` of all did not exceed; zero if there are none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = (self.0.len() as f64 * part).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The longest.
    #[must_use]
    pub fn worst(&self) -> Duration {
        self.quantile(1.0)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// How crashes were seen.
#[derive(Clone, Debug, Default)]
pub struct Crashes {
    /// From the crash until the first held it for down.
    pub first: Times,
    /// Until all did.
    pub everybody: Times,
    /// Until all held it for alive again after its process had started anew.
    pub back: Times,
    /// Crashes or returns that somebody did not know of after three minutes.
    pub missed: usize,
    /// Living nodes that were held for down meanwhile, once for each who did.
    pub false_downs: usize,
}

/// Crashes one node after the other of a ring of `nodes` and lets it return, `count` times.
#[must_use]
pub fn crashes(nodes: usize, seed: u64, loss: f64, refuses: bool, count: usize) -> Crashes {
    let mut world = World::new(seed, nodes, Dials { loss, refuses });
    world.run(WARM_UP);
    let mut seen = Crashes::default();
    for _ in 0..count {
        // At any moment of a period.
        let offset = world.dice.random_range(0..2_000);
        world.run(Duration::from_millis(offset));
        let victim = world.dice.random_range(0..nodes);
        let (before, subject) = (world.verdicts.len(), world.nodes[victim].member.node);
        let begin = world.now;
        world.crash(victim);
        let known = world.run_until(MOST, |world| all_hold(world, subject, Liveness::Down));
        let downs = down_times(&world.verdicts[before..], subject, begin);
        seen.false_downs += downs_of_others(&world.verdicts[before..], subject);
        match (known, downs.first(), downs.last()) {
            (Some(_), Some(first), Some(last)) => {
                seen.first.push(*first);
                seen.everybody.push(*last);
            }
            _ => seen.missed += 1,
        }
        let known = unheard(&world, victim);
        world.restart(victim, known);
        match world.run_until(MOST, |world| all_hold(world, subject, Liveness::Alive)) {
            Some(back) => seen.back.push(back),
            None => seen.missed += 1,
        }
        world.verdicts.clear();
    }
    seen
}

/// What a process that starts is told: the names of its ring.
fn unheard(world: &World, besides: usize) -> Vec<Entry> {
    let others = world.nodes.iter().enumerate().filter(|(number, _)| *number != besides);
    others.map(|(_, node)| Entry::unheard(node.member.clone())).collect()
}

fn all_hold(world: &World, subject: NodeId, liveness: Liveness) -> bool {
    let working = (0..world.nodes.len()).filter(|number| world.works(*number));
    working.map(|number| &world.nodes[number].machine).all(|machine| machine.liveness(subject) == liveness)
}

fn down_times(verdicts: &[Verdict], subject: NodeId, begin: Instant) -> Vec<Duration> {
    let downs = verdicts.iter().filter(|it| it.subject == subject && it.liveness == Liveness::Down);
    downs.map(|it| it.at.since(begin)).collect()
}

fn downs_of_others(verdicts: &[Verdict], subject: NodeId) -> usize {
    verdicts.iter().filter(|it| it.subject != subject && it.liveness == Liveness::Down).count()
}

/// A ring in which nobody fails.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// Hours of all nodes together.
    pub node_hours: f64,
    /// Living nodes held for down, once for each who did.
    pub false_downs: usize,
    /// Suspicions of living nodes, once for each who had it.
    pub suspicions: usize,
    /// Requests and answers that a node sent in a second.
    pub messages: f64,
}

/// Lets a ring of `nodes` be for `span`.
#[must_use]
pub fn steady(nodes: usize, seed: u64, loss: f64, span: Duration) -> Steady {
    let mut world = World::new(seed, nodes, Dials { loss, refuses: false });
    world.run(WARM_UP + WARM_UP);
    world.verdicts.clear();
    let messages = world.messages;
    world.run(span);
    let of = |liveness| world.verdicts.iter().filter(|it| it.liveness == liveness).count();
    let seconds = span.as_secs_f64();
    Steady {
        node_hours: nodes as f64 * seconds / 3600.0,
        false_downs: of(Liveness::Down),
        suspicions: of(Liveness::Suspect),
        messages: (world.messages - messages) as f64 / nodes as f64 / seconds,
    }
}

/// How pauses were seen.
#[derive(Clone, Debug, Default)]
pub struct Pauses {
    /// Pauses in which the paused node was held for down by all, as it should be.
    pub noticed: usize,
    /// Living nodes held for down by others than the paused one, once for each who did.
    pub by_others: usize,
    /// Living nodes held for down by the paused one after it went on.
    pub by_paused: usize,
    /// From its going on until all held it for alive again.
    pub back: Times,
    /// Returns that somebody did not know of after three minutes.
    pub missed: usize,
}

/// Pauses one node of a ring of `nodes` for `span`, `count` times.
#[must_use]
pub fn pauses(nodes: usize, seed: u64, loss: f64, span: Duration, count: usize) -> Pauses {
    let mut world = World::new(seed, nodes, Dials { loss, refuses: false });
    world.run(WARM_UP);
    let mut seen = Pauses::default();
    for _ in 0..count {
        let offset = world.dice.random_range(0..5_000);
        world.run(Duration::from_millis(offset));
        world.verdicts.clear();
        let sleeper = world.dice.random_range(0..nodes);
        let subject = world.nodes[sleeper].member.node;
        world.pause(sleeper);
        world.run(span);
        seen.noticed += usize::from(all_hold(&world, subject, Liveness::Down));
        world.resume(sleeper);
        match world.run_until(MOST, |world| all_hold(world, subject, Liveness::Alive)) {
            Some(back) => seen.back.push(back),
            None => seen.missed += 1,
        }
        // What the sleeper believes in its first seconds counts too.
        world.run(WARM_UP);
        let wrong = |it: &&Verdict| it.liveness == Liveness::Down && it.subject != subject;
        let (of_sleeper, of_others): (Vec<&Verdict>, Vec<&Verdict>) =
            world.verdicts.iter().filter(wrong).partition(|it| it.observer == sleeper);
        seen.by_paused += of_sleeper.len();
        seen.by_others += of_others.len();
    }
    seen
}

/// Cuts a ring of `nodes` into halves for a minute, `count` times: how long after the healing all held all for
/// alive; who missed that in three minutes is left out, so compare the count.
#[must_use]
pub fn partitions(nodes: usize, seed: u64, loss: f64, count: usize) -> Times {
    let mut world = World::new(seed, nodes, Dials { loss, refuses: false });
    world.run(WARM_UP);
    let mut times = Times::default();
    for _ in 0..count {
        world.partition((0..nodes / 2).collect());
        world.run(Duration::from_secs(60));
        world.partition(std::collections::BTreeSet::new());
        let all = |world: &World| world.nodes.iter().all(|node| all_hold(world, node.member.node, Liveness::Alive));
        if let Some(time) = world.run_until(MOST, all) {
            times.push(time);
        }
    }
    times
}
