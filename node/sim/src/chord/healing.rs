//! A small ring in which two nodes die at once, again and again, while others join: what its members then say,
//! and whether they find together again.
//!
//! Every message of the ring's maintenance travels, is delayed, lost or overtaken. The membership is not run but
//! imitated: each node hears of each death and each arrival at a moment of its own, and now and then of a
//! death that is none.

mod judge;
mod world;

pub use judge::{Lookups, Verdict};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::ops::RangeInclusive;

/// How rough a run is. All times in ms.
#[derive(Clone, Debug)]
pub struct Dials {
    /// Nodes at the start.
    pub nodes: RangeInclusive<usize>,
    /// Virtual nodes of each node, one of these.
    pub virtual_nodes: Vec<u32>,
    /// Times that two die.
    pub bursts: usize,
    /// Between two bursts.
    pub pause_ms: RangeInclusive<u64>,
    /// Nodes that are left alive at least.
    pub least: usize,
    /// A message takes so long.
    pub delay_ms: RangeInclusive<u64>,
    /// Of a thousand messages so many are slow ...
    pub slow_per_mille: u32,
    /// ... and take so long.
    pub slow_ms: RangeInclusive<u64>,
    /// Of a thousand messages so many are lost.
    pub lost_per_mille: u32,
    /// A node hears that another is suspected.
    pub suspected_after_ms: RangeInclusive<u64>,
    /// It hears that it is down, so long after that.
    pub down_after_ms: RangeInclusive<u64>,
    /// It hears of a new or returned one.
    pub heard_after_ms: RangeInclusive<u64>,
    /// Of a hundred bursts so many bring a false death, too.
    pub false_deaths_percent: u32,
    /// Between two lookups.
    pub lookup_every_ms: RangeInclusive<u64>,
    /// After the last burst a ring that is not whole counts as not healed.
    pub patience_ms: u64,
}

impl Default for Dials {
    fn default() -> Self {
        Self {
            nodes: 6..=10,
            virtual_nodes: vec![1, 2, 4, 8],
            bursts: 5,
            pause_ms: 1_000..=12_000,
            least: 4,
            delay_ms: 1..=40,
            slow_per_mille: 30,
            slow_ms: 100..=1_500,
            lost_per_mille: 20,
            suspected_after_ms: 300..=2_500,
            down_after_ms: 500..=4_000,
            heard_after_ms: 50..=2_000,
            false_deaths_percent: 20,
            lookup_every_ms: 20..=200,
            patience_ms: 120_000,
        }
    }
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, dials: &Dials) -> Verdict {
    let mut dice = SmallRng::seed_from_u64(seed);
    let nodes = dice.random_range(dials.nodes.clone());
    let virtual_nodes = dials.virtual_nodes[dice.random_range(0..dials.virtual_nodes.len())];
    world::World::new(seed, dials, nodes, virtual_nodes, dice).run()
}
