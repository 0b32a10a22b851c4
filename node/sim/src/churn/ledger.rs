//! The account of a run: what came and went, what was moved, and what had to be.

use scrapering_core::id::{NodeId, Partition};
use scrapering_core::view::Placement;
use std::collections::BTreeMap;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Nodes that came.
    pub joined: u64,
    /// Nodes that went after they had handed over.
    pub left: u64,
    /// Nodes that went without a word.
    pub crashed: u64,
    /// Nodes that had begun to leave and had not handed over at the end.
    pub still_leaving: u64,
    /// Nodes that had come and did not serve at the end.
    pub still_joining: u64,
    /// Views that began.
    pub views: u64,
    /// Copies of a partition that placement wanted where there was none, in all.
    pub ideal_copies: u64,
    /// Bytes of contents in these, at the moment when they began to be wanted.
    pub ideal_bytes: u64,
    /// Bytes of contents that copies took over from others.
    pub moved_bytes: u64,
    /// Of these: before a view was changed, by those who were to come in.
    pub taught_bytes: u64,
    /// Of these: while it was changed, so that copies were alike.
    pub aligned_bytes: u64,
    /// Operations that were acknowledged, writes among them; whose outcome is unknown; that were not done.
    pub acknowledged: u64,
    /// Writes among them.
    pub writes: u64,
    /// Operations of which nobody knows whether they were done.
    pub unknown: u64,
    /// Operations that were not done.
    pub unavailable: u64,
    /// Keys whose last read shows less than what was acknowledged.
    pub lost: u64,
    /// Keys whose history no single machine could have produced.
    pub not_linearizable: u64,
    /// Keys that could not be read at the end.
    pub unreadable: u64,
    /// Longest time for which a partition had fewer than five copies that serve, seconds.
    pub worst_short_s: u64,
    /// Fewest copies of a partition that anybody saw.
    pub fewest_copies: usize,
    /// Partition-seconds with five copies, as a share of all.
    pub whole_share: f64,
    /// Partitions that others keep than placement wants, at the end.
    pub misplaced: u64,
    /// Messages.
    pub messages: u64,
    /// Simulated seconds.
    pub simulated_s: u64,
}

impl Account {
    /// What was moved in parts of what had to be.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.moved_bytes as f64 / self.ideal_bytes.max(1) as f64
    }
}

/// What placement wants, as somebody would see it who hears of everything at once.
pub(super) struct Ideal {
    wanted: BTreeMap<Partition, Vec<NodeId>>,
}

impl Ideal {
    pub(super) fn new(placement: &Placement) -> Self {
        Self { wanted: wanted(placement) }
    }

    /// Others stay than before: counts the copies that must be made now.
    pub(super) fn follow(&mut self, placement: &Placement, bytes_of: impl Fn(Partition) -> u64, account: &mut Account) {
        for (partition, nodes) in wanted(placement) {
            let before = self.wanted.insert(partition, nodes.clone()).unwrap_or_default();
            let copies = nodes.iter().filter(|node| !before.contains(node)).count() as u64;
            account.ideal_copies += copies;
            account.ideal_bytes += copies * bytes_of(partition);
        }
    }

    pub(super) fn wanted(&self, partition: Partition) -> &[NodeId] {
        self.wanted.get(&partition).map_or(&[], Vec::as_slice)
    }
}

fn wanted(placement: &Placement) -> BTreeMap<Partition, Vec<NodeId>> {
    Partition::all().map(|partition| (partition, placement.desired(partition.last_point(), |_| true))).collect()
}
