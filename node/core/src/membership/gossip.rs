//! What is to be told, and how often it was: each update spreads like an infection and dies out
//! (SWIM, section 4.1).

use super::message::Update;
use crate::id::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Updates on their way, one a member: the newest.
#[derive(Debug, Default)]
pub(super) struct Rumours {
    told: BTreeMap<NodeId, (usize, Update)>,
    /// The same by how often they were told.
    order: BTreeSet<(usize, NodeId)>,
}

impl Rumours {
    /// News about a member: it replaces what was said before.
    pub(super) fn tell(&mut self, update: Update) {
        let node = update.entry.member.node;
        self.forget(node);
        self.order.insert((0, node));
        self.told.insert(node, (0, update));
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        if let Some((times, _)) = self.told.remove(&node) {
            self.order.remove(&(times, node));
        }
    }

    /// The updates told least so far, at most `count` and none about `skip`; each goes out `limit` times in all.
    pub(super) fn take(&mut self, count: usize, limit: usize, skip: NodeId) -> Vec<Update> {
        let least = self.order.iter().map(|(_, node)| *node).filter(|node| *node != skip).take(count);
        least.collect::<Vec<_>>().into_iter().filter_map(|node| self.tell_once(node, limit)).collect()
    }

    fn tell_once(&mut self, node: NodeId, limit: usize) -> Option<Update> {
        let (times, update) = self.told.get_mut(&node)?;
        self.order.remove(&(*times, node));
        *times += 1;
        let update = update.clone();
        if *times < limit {
            self.order.insert((*times, node));
        } else {
            self.told.remove(&node);
        }
        Some(update)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Entry, Member, Serving};

    fn update(number: u64, incarnation: u64) -> Update {
        let entry = Entry::own(Member::new(format!("ring-{number}"), 1, "h:1"), incarnation, Serving::Serving);
        Update { entry, accuser: None }
    }

    #[test]
    fn an_update_is_told_a_bounded_number_of_times_the_least_told_first_swim_4_1() {
        let mut rumours = Rumours::default();
        (0..4).for_each(|number| rumours.tell(update(number, 1)));
        let mut times = BTreeMap::new();
        let mut messages = 0;
        while !rumours.is_empty() {
            let taken = rumours.take(3, 5, NodeId::default());
            assert!(taken.len() <= 3);
            taken.iter().for_each(|update| *times.entry(update.entry.member.node).or_insert(0) += 1);
            messages += 1;
            assert!(messages < 100, "updates die out");
        }
        assert_eq!(times.values().copied().collect::<Vec<_>>(), [5; 4]);
    }

    #[test]
    fn news_of_a_member_replaces_what_was_told_of_it() {
        let mut rumours = Rumours::default();
        rumours.tell(update(0, 1));
        rumours.tell(update(0, 2));
        assert_eq!(rumours.take(6, 1, NodeId::default()), [update(0, 2)]);
        assert!(rumours.is_empty());
        rumours.tell(update(0, 3));
        assert!(rumours.take(6, 1, update(0, 3).entry.member.node).is_empty(), "nobody is told about himself");
    }
}
