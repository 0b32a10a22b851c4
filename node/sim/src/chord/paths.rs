//! The figures of the Chord papers, measured on the node's own rings and lookups.

use super::{node, tokens, whole};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use scrapering_core::id::{NodeId, Point};
use scrapering_core::ring::{Finger, Found, Health, Ring};
use std::collections::{BTreeMap, BTreeSet};

/// How far lookups went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Paths {
    /// Mean number of nodes asked.
    pub mean: f64,
    /// Most nodes asked.
    pub longest: usize,
    /// Mean number of nodes that were asked, or named at the end, and were dead.
    pub timeouts: f64,
    /// Share of lookups that did not end at the target's first living successor.
    pub failed: f64,
}

/// Lookups in one ring.
pub struct Circle {
    rings: BTreeMap<NodeId, Ring>,
    tokens: BTreeSet<Finger>,
    dice: SmallRng,
}

impl Circle {
    /// A whole ring.
    #[must_use]
    pub fn new(nodes: usize, virtual_nodes: u32, successor_nodes: usize, seed: u64) -> Self {
        let ids: Vec<NodeId> = (0..nodes).map(node).collect();
        let rings = whole(&ids, virtual_nodes, successor_nodes);
        Self {
            rings: rings.into_iter().map(|ring| (ring.me(), ring)).collect(),
            tokens: tokens(&ids, virtual_nodes),
            dice: SmallRng::seed_from_u64(seed),
        }
    }

    /// `count` lookups of random points from random living nodes, while every node is dead with probability
    /// `dead` and nobody has heard of it (Chord, section 6.4; ToN 2003, section VI-D).
    #[must_use]
    pub fn measure(&mut self, count: usize, dead: f64) -> Paths {
        let Self { rings, tokens, dice } = self;
        let living: Vec<NodeId> = rings.keys().copied().filter(|_| !dice.random_bool(dead)).collect();
        let alive: BTreeSet<NodeId> = living.iter().copied().collect();
        let owners: BTreeSet<Finger> = tokens.iter().copied().filter(|finger| alive.contains(&finger.node)).collect();
        let (mut asked, mut longest, mut timeouts, mut failed) = (0, 0, 0, 0);
        for _ in 0..count {
            let from = *living.choose(dice).expect("some are alive");
            let target = Point(dice.random());
            let (owner, path, dead) = look_up(rings, &alive, from, target);
            let first = Finger { point: target, node: NodeId::default() };
            let right = owners.range(first..).next().or(owners.first());
            asked += path;
            longest = longest.max(path);
            timeouts += dead;
            failed += usize::from(owner.as_ref() != right);
        }
        let share = |number: usize| number as f64 / count as f64;
        Paths { mean: share(asked), longest, timeouts: share(timeouts), failed: share(failed) }
    }
}

/// Who was found and answers, how many nodes were asked on the way, and how many were met that are dead.
fn look_up(
    rings: &BTreeMap<NodeId, Ring>,
    alive: &BTreeSet<NodeId>,
    from: NodeId,
    target: Point,
) -> (Option<Finger>, usize, usize) {
    let mut met_dead = BTreeSet::new();
    let mut lookup = rings[&from].lookup(target);
    loop {
        let health = |node: NodeId| if met_dead.contains(&node) { Health::Dead } else { Health::Alive };
        if let Some(node) = lookup.poll_transmit(health) {
            let step = alive.contains(&node).then(|| rings[&node].step(target));
            lookup.handle_reply(node, step, health);
            if !alive.contains(&node) {
                met_dead.insert(node);
            }
        } else if let Some(successor) = lookup.found().map(Found::successor).filter(|it| !alive.contains(&it.node)) {
            met_dead.insert(successor.node);
            lookup.handle_dead_successors(|node| if met_dead.contains(&node) { Health::Dead } else { Health::Alive });
        } else {
            let (found, path) = lookup.into_outcome();
            let answered = path.iter().filter(|hop| hop.answered).count();
            return (found.map(|found| found.successor()), answered, met_dead.len());
        }
    }
}

/// How evenly keys fall on nodes, relative to the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Of a hundred nodes one has less.
    pub first_percentile: f64,
    /// Of a hundred nodes one has more.
    pub last_percentile: f64,
}

/// The load of `nodes` nodes with so many virtual nodes each, under `keys` random keys (Chord, section 6.2).
#[must_use]
pub fn load(nodes: usize, virtual_nodes: u32, keys: usize, seed: u64) -> Load {
    let ids: Vec<NodeId> = (0..nodes).map(node).collect();
    let tokens: Vec<Finger> = tokens(&ids, virtual_nodes).into_iter().collect();
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut of_node: BTreeMap<NodeId, usize> = ids.iter().map(|id| (*id, 0)).collect();
    for _ in 0..keys {
        let key = Point(dice.random());
        let index = tokens.partition_point(|finger| finger.point < key) % tokens.len();
        *of_node.get_mut(&tokens[index].node).expect("every node is counted") += 1;
    }
    let mut loads: Vec<usize> = of_node.into_values().collect();
    loads.sort_unstable();
    let mean = keys as f64 / nodes as f64;
    let relative = |index: usize| loads[index] as f64 / mean;
    Load { first_percentile: relative(nodes / 100), last_percentile: relative(nodes - 1 - nodes / 100) }
}
