//! The table: one entry a node, the generations of each name, and since when who is down.

use super::config::{MAX_MEMBERS, MAX_TOMBSTONES};
use super::message::Update;
use super::record::{Entry, Liveness};
use crate::id::NodeId;
use crate::time::Instant;
use std::collections::BTreeMap;

/// What is kept of a node.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) entry: Entry,
    /// When this node learned that it is down.
    pub(super) down_since: Option<Instant>,
    /// When this node last began to probe it.
    pub(super) probed_at: Option<Instant>,
    /// What another believes of it, to be told at the next probe so that it can refute it.
    pub(super) accusation: Option<Update>,
}

/// All nodes that were heard of, this one too.
#[derive(Debug, Default)]
pub(super) struct Table {
    records: BTreeMap<NodeId, Record>,
    generations: BTreeMap<String, BTreeMap<u64, NodeId>>,
    members: usize,
}

impl Table {
    pub(super) fn get(&self, node: NodeId) -> Option<&Record> {
        self.records.get(&node)
    }

    pub(super) fn get_mut(&mut self, node: NodeId) -> Option<&mut Record> {
        self.records.get_mut(&node)
    }

    pub(super) fn liveness(&self, node: NodeId) -> Option<Liveness> {
        self.records.get(&node).map(|record| record.entry.liveness)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.records.values().map(|record| &record.entry)
    }

    /// How many have not left.
    pub(super) const fn members(&self) -> usize {
        self.members
    }

    /// The newest generation of `name`.
    pub(super) fn newest(&self, name: &str) -> Option<u64> {
        self.generations.get(name)?.last_key_value().map(|(generation, _)| *generation)
    }

    /// The nodes that had `name` before `generation` and have not left.
    pub(super) fn predecessors(&self, name: &str, generation: u64) -> Vec<NodeId> {
        let older = self.generations.get(name).into_iter().flat_map(|nodes| nodes.range(..generation));
        older.map(|(_, node)| *node).filter(|node| self.liveness(*node) != Some(Liveness::Left)).collect()
    }

    /// Takes in a node that is not there yet; `false` if there is no room for it.
    pub(super) fn insert(&mut self, entry: Entry, now: Instant) -> bool {
        let (name, generation, node) = (entry.member.name.clone(), entry.member.generation, entry.member.node);
        if self.generations.len() >= MAX_MEMBERS && !self.generations.contains_key(&name) {
            return false;
        }
        let generations = self.generations.entry(name).or_default();
        let newer = generations.range(generation..).count();
        if newer > MAX_TOMBSTONES {
            return false;
        }
        generations.insert(generation, node);
        // The newest and as many tombstones as are kept: the oldest goes.
        let oldest = if generations.len() > MAX_TOMBSTONES + 1 { generations.pop_first() } else { None };
        self.members += usize::from(entry.liveness != Liveness::Left);
        let down_since = (entry.liveness == Liveness::Down).then_some(now);
        self.records.insert(node, Record { entry, down_since, probed_at: None, accusation: None });
        if let Some((_, oldest)) = oldest
            && let Some(record) = self.records.remove(&oldest)
        {
            self.members -= usize::from(record.entry.liveness != Liveness::Left);
        }
        true
    }

    /// Replaces the entry of a node that is there; returns the one before.
    pub(super) fn replace(&mut self, entry: Entry, now: Instant) -> Option<Entry> {
        let record = self.records.get_mut(&entry.member.node)?;
        let down = entry.liveness == Liveness::Down;
        record.down_since = if down { record.down_since.or(Some(now)) } else { None };
        record.accusation = None;
        let left = usize::from(entry.liveness == Liveness::Left);
        let before = std::mem::replace(&mut record.entry, entry);
        self.members -= left - usize::from(before.liveness == Liveness::Left).min(left);
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Member, Serving};

    fn entry(generation: u64, liveness: Liveness) -> Entry {
        Entry { liveness, ..Entry::own(Member::new("ring-0", generation, "h:1"), 1, Serving::Serving) }
    }

    #[test]
    fn of_one_name_a_bounded_number_of_tombstones_is_kept() {
        let (mut table, now) = (Table::default(), Instant::default());
        for generation in (1..=20).rev() {
            let liveness = if generation == 20 { Liveness::Alive } else { Liveness::Left };
            assert_eq!(table.insert(entry(generation, liveness), now), generation >= 16);
        }
        assert_eq!((table.entries().count(), table.members()), (1 + MAX_TOMBSTONES, 1));
        assert!(table.insert(entry(21, Liveness::Alive), now));
        assert_eq!((table.entries().count(), table.newest("ring-0")), (1 + MAX_TOMBSTONES, Some(21)));
    }

    #[test]
    fn names_beyond_the_bound_are_not_taken_in() {
        let (mut table, now) = (Table::default(), Instant::default());
        for number in 0..MAX_MEMBERS + 1 {
            let member = Member::new(format!("ring-{number}"), 1, "h:1");
            assert_eq!(table.insert(Entry::own(member, 1, Serving::Serving), now), number < MAX_MEMBERS);
        }
        assert_eq!(table.members(), MAX_MEMBERS);
    }
}
