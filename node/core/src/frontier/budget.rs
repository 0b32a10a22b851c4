//! An exact page limit: pages are handed out to partitions from one register, never more than there are.

use super::record::{BudgetRecord, Token};
use crate::id::Partition;

impl BudgetRecord {
    /// A budget of `pages` of which nothing is handed out.
    #[must_use]
    pub fn new(pages: u64) -> Self {
        Self { remaining: pages, ..Self::default() }
    }

    /// Claims the part of `partition` for the owner with `token`; returns the pages handed out to it so far.
    /// Every change for a partition begins with this, so that a deposed owner can no longer take or give back
    /// pages behind its successor's back.
    ///
    /// # Errors
    /// The token of a newer owner that has claimed it; nothing is changed.
    pub fn claim(&mut self, partition: Partition, token: Token) -> Result<u64, Token> {
        let newest = self.claimed.entry(partition.0).or_default();
        if token < *newest {
            return Err(*newest);
        }
        *newest = token;
        Ok(self.granted_to(partition))
    }

    /// Hands out up to `wanted` pages; returns how many.
    pub fn take(&mut self, partition: Partition, wanted: u64) -> u64 {
        let taken = wanted.min(self.remaining);
        self.remaining -= taken;
        *self.granted.entry(partition.0).or_default() += taken;
        taken
    }

    /// Takes back up to `unused` pages that were handed out and not admitted.
    pub fn give_back(&mut self, partition: Partition, unused: u64) {
        let granted = self.granted.entry(partition.0).or_default();
        let returned = unused.min(*granted);
        *granted -= returned;
        self.remaining += returned;
    }

    /// Pages handed out to a partition, in all.
    #[must_use]
    pub fn granted_to(&self, partition: Partition) -> u64 {
        self.granted.get(&partition.0).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_deposed_owner_cannot_touch_the_part_of_its_successor() {
        let mut budget = BudgetRecord::new(10);
        assert_eq!(budget.claim(Partition(3), Token(1)), Ok(0));
        assert_eq!(budget.take(Partition(3), 4), 4);
        assert_eq!(budget.claim(Partition(3), Token(2)), Ok(4));
        let claimed = budget.clone();
        assert_eq!(budget.claim(Partition(3), Token(1)), Err(Token(2)));
        assert_eq!(budget, claimed);
        assert_eq!(budget.claim(Partition(4), Token(1)), Ok(0), "each partition has its own owner");
    }

    proptest! {
        #[test]
        fn pages_are_neither_made_nor_lost(pages in 0_u64..500, moves in proptest::collection::vec((0_u16..8, 0_u64..40, any::<bool>()), 0..100)) {
            let mut budget = BudgetRecord::new(pages);
            for (partition, count, take) in moves {
                if take { budget.take(Partition(partition), count); } else { budget.give_back(Partition(partition), count) }
                prop_assert_eq!(budget.remaining + budget.granted.values().sum::<u64>(), pages);
            }
        }
    }
}
