//! A network that loses, repeats, delays and splits.

use super::Dials;
use rand::Rng;
use rand::rngs::SmallRng;

/// Who can reach whom.
#[derive(Debug)]
pub(super) struct Network {
    /// By node: on which side of the split it is.
    side: Vec<bool>,
    /// Whether the second side can still speak to the first.
    one_way: bool,
    split: bool,
}

impl Network {
    pub(super) fn new(nodes: usize) -> Self {
        Self { side: vec![false; nodes], one_way: false, split: false }
    }

    pub(super) fn is_split(&self) -> bool {
        self.split
    }

    /// Cuts the nodes into two random sides.
    pub(super) fn split(&mut self, dice: &mut SmallRng) {
        self.side.iter_mut().for_each(|side| *side = dice.random());
        self.one_way = dice.random_range(0..5) == 0;
        self.split = true;
    }

    pub(super) fn heal(&mut self) {
        self.split = false;
    }

    /// When copies of a message arrive, microseconds from now: none, one or two.
    pub(super) fn route(
        &self,
        from: usize,
        to: usize,
        dials: &Dials,
        quiet: bool,
        dice: &mut SmallRng,
    ) -> [Option<u64>; 2] {
        if from == to {
            return [Some(dice.random_range(20..200)), None];
        }
        if quiet {
            return [Some(dice.random_range(200..10_000)), None];
        }
        let cut = self.split && self.side[from] != self.side[to] && !(self.one_way && self.side[from]);
        if cut || dice.random::<f64>() < dials.loss {
            return [None, None];
        }
        let again = dice.random::<f64>() < dials.duplicates;
        [Some(delay(dials, dice)), again.then(|| delay(dials, dice))]
    }
}

fn delay(dials: &Dials, dice: &mut SmallRng) -> u64 {
    if dice.random::<f64>() < dials.slow { dice.random_range(50_000..350_000) } else { dice.random_range(200..10_000) }
}
