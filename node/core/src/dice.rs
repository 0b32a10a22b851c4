//! Random choices from a seed that the caller brings: the machines throw no dice of their own.

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): enough to pick members, no use for secrets.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Up to `count` of `from`, each once, in random order.
    pub(crate) fn choose<T>(&mut self, mut from: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(from.len());
        for index in 0..count {
            let other = index + self.below(from.len() - index);
            from.swap(index, other);
        }
        from.truncate(count);
        from
    }

    /// All of `from` in random order.
    pub(crate) fn shuffle<T>(&mut self, from: Vec<T>) -> Vec<T> {
        let count = from.len();
        self.choose(from, count)
    }
}

/// Spreads the pauses of rivals: xorshift64 (Marsaglia 2003).
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    /// From any seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number in [0, 1).
    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
