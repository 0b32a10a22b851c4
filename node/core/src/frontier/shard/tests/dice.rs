//! Seeded numbers, so that a failing seed replays exactly.

pub(super) struct Dice(crate::dice::Dice);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(crate::dice::Dice::new(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}
