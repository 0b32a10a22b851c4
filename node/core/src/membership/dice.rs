//! Random choices from a seed that the caller brings: the machine itself throws no dice.

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): enough to pick members, no use for secrets.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Up to `count` of `from`, each once, in random order.
    pub(super) fn choose<T>(&mut self, mut from: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(from.len());
        for index in 0..count {
            let other = index + self.below(from.len() - index);
            from.swap(index, other);
        }
        from.truncate(count);
        from
    }

    /// All of `from` in random order.
    pub(super) fn shuffle<T>(&mut self, from: Vec<T>) -> Vec<T> {
        let count = from.len();
        self.choose(from, count)
    }
}
