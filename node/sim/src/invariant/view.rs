//! What must hold for views: one decision an epoch, one epoch at a time, and nothing served but its state.

use super::{Check, ensure};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::Ballot;
use scrapering_core::sync::{Fingerprint, Root};
use scrapering_core::view::message::Next;
use scrapering_core::view::{Epoch, Replica, Standing, View};
use std::collections::{BTreeMap, BTreeSet};

/// Watches the views of a world.
#[derive(Debug, Default)]
pub struct ViewWatcher {
    /// By epoch: its members and its start state, as the first who knew had it.
    decided: BTreeMap<(Partition, Epoch), View>,
    /// By the epoch that it ends and by ballot: a decision, and who has accepted it.
    accepted: BTreeMap<(Partition, Epoch, Ballot), (Next, BTreeSet<NodeId>)>,
    /// What is on each node's disk.
    replicas: BTreeMap<(Partition, NodeId), Replica>,
    begun: BTreeSet<(Partition, Epoch)>,
}

impl ViewWatcher {
    /// The disk of `node` has `replica`.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_replica(&mut self, node: NodeId, partition: Partition, replica: &Replica) -> Check {
        self.replicas.insert((partition, node), replica.clone());
        self.handle_view(partition, &replica.view)?;
        invariant_no_two_epochs_are_served_by_majorities(&self.served(partition))
    }

    /// Somebody knows `view` as decided.
    fn handle_view(&mut self, partition: Partition, view: &View) -> Check {
        let known = self.decided.entry((partition, view.epoch)).or_insert_with(|| view.clone());
        invariant_an_epoch_has_one_list_of_members_and_one_start_state(known, view)
    }

    /// The disk of `node`, a member of `epoch`, has accepted `next` at `ballot`.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_decided(
        &mut self,
        node: NodeId,
        partition: Partition,
        epoch: Epoch,
        ballot: Ballot,
        next: &Next,
    ) -> Check {
        let (first, holders) =
            self.accepted.entry((partition, epoch, ballot)).or_insert_with(|| (next.clone(), BTreeSet::new()));
        holders.insert(node);
        invariant_a_ballot_decides_one_thing(first, next)?;
        let quorum = self.decided.get(&(partition, epoch)).map_or(usize::MAX, View::quorum);
        if holders.len() < quorum {
            return Ok(());
        }
        let Next { members, fingerprint } = next.clone();
        self.handle_view(partition, &View { epoch: epoch.next(), members, start: fingerprint })
    }

    /// The disk of a member has begun `view` with a copy that amounts to `held`. Returns whether it is the first.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_begun(&mut self, partition: Partition, view: &View, held: Root) -> Result<bool, super::Violation> {
        invariant_who_serves_from_the_installation_on_begins_with_exactly_the_start_state(view, held.fingerprint)?;
        Ok(self.begun.insert((partition, view.epoch)))
    }

    /// The disk of `node` has a root that should be what its registers amount to.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_root(&self, node: NodeId, partition: Partition, stored: Root, computed: Root) -> Check {
        invariant_a_stored_root_is_what_the_registers_amount_to(node, partition, stored, computed)
    }

    /// Views that were decided, oldest first.
    pub fn views(&self, partition: Partition) -> impl Iterator<Item = &View> {
        self.decided.range((partition, Epoch(0))..=(partition, Epoch(u64::MAX))).map(|(_, view)| view)
    }

    /// The epochs of which a majority of the members serves.
    fn served(&self, partition: Partition) -> Vec<Epoch> {
        let mut serving: BTreeMap<Epoch, usize> = BTreeMap::new();
        for ((_, node), replica) in
            self.replicas.range((partition, NodeId([0; 20]))..=(partition, NodeId([u8::MAX; 20])))
        {
            if replica.standing(*node) == Standing::Active {
                *serving.entry(replica.view.epoch).or_default() += 1;
            }
        }
        let quorum = |epoch: Epoch| self.decided.get(&(partition, epoch)).map_or(usize::MAX, View::quorum);
        serving.into_iter().filter(|(epoch, members)| *members >= quorum(*epoch)).map(|(epoch, _)| epoch).collect()
    }
}

fn invariant_an_epoch_has_one_list_of_members_and_one_start_state(known: &View, view: &View) -> Check {
    ensure(known == view, "an epoch has one list of members and one start state", || format!("{known:?} and {view:?}"))
}

fn invariant_a_ballot_decides_one_thing(first: &Next, next: &Next) -> Check {
    ensure(first == next, "a ballot decides one thing", || format!("{first:?} and {next:?}"))
}

fn invariant_no_two_epochs_are_served_by_majorities(served: &[Epoch]) -> Check {
    ensure(served.len() < 2, "no two epochs are served by majorities of theirs at the same time", || {
        format!("{served:?}")
    })
}

fn invariant_who_serves_from_the_installation_on_begins_with_exactly_the_start_state(
    view: &View,
    held: Fingerprint,
) -> Check {
    ensure(view.start == held, "who serves from the installation on begins with exactly the start state", || {
        format!("{held:?} in {view:?}")
    })
}

fn invariant_a_stored_root_is_what_the_registers_amount_to(
    node: NodeId,
    partition: Partition,
    stored: Root,
    computed: Root,
) -> Check {
    ensure(stored == computed, "a stored root is what the registers amount to", || {
        format!("{node:?} {partition:?}: {stored:?}, computed {computed:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_core::register::ProposerId;

    const PARTITION: Partition = Partition(7);

    fn node(number: u8) -> NodeId {
        NodeId([number; 20])
    }

    fn view(epoch: u64, members: [u8; 3]) -> View {
        View { epoch: Epoch(epoch), ..View::genesis(members.map(node).to_vec()) }
    }

    fn serving(view: &View) -> Replica {
        Replica { view: view.clone(), holds: Some(view.epoch), seal: None }
    }

    #[test]
    fn two_lists_of_members_under_one_epoch_are_noticed() {
        let mut watcher = ViewWatcher::default();
        assert_eq!(watcher.handle_replica(node(1), PARTITION, &serving(&view(2, [1, 2, 3]))), Ok(()));
        assert_eq!(watcher.handle_replica(node(1), Partition(8), &serving(&view(2, [1, 2, 4]))), Ok(()));
        assert!(watcher.handle_replica(node(2), PARTITION, &serving(&view(2, [1, 2, 4]))).is_err());
    }

    #[test]
    fn a_decision_of_a_majority_that_nobody_has_heard_of_counts() {
        let mut watcher = ViewWatcher::default();
        watcher.handle_replica(node(1), PARTITION, &serving(&view(1, [1, 2, 3]))).expect("the first view");
        let decide = |watcher: &mut ViewWatcher, number, counter, first| {
            let ballot = Ballot { counter, proposer: ProposerId::default() };
            let next = Next { members: [first, 2, 3].map(node).to_vec(), fingerprint: Fingerprint::default() };
            watcher.handle_decided(node(number), PARTITION, Epoch(1), ballot, &next)
        };
        assert_eq!(decide(&mut watcher, 1, 1, 4), Ok(()));
        assert_eq!(decide(&mut watcher, 2, 2, 5), Ok(()));
        assert_eq!(decide(&mut watcher, 3, 2, 5), Ok(()));
        assert_eq!(decide(&mut watcher, 3, 3, 6), Ok(()));
        assert!(decide(&mut watcher, 2, 3, 6).is_err());
    }

    #[test]
    fn majorities_of_two_epochs_are_noticed_and_minorities_are_fine() {
        let mut watcher = ViewWatcher::default();
        let [old, new] = [view(1, [1, 2, 3]), view(2, [3, 4, 5])];
        for (number, view) in [(1, &old), (2, &old), (3, &new)] {
            assert_eq!(watcher.handle_replica(node(number), PARTITION, &serving(view)), Ok(()));
        }
        assert!(watcher.handle_replica(node(4), PARTITION, &serving(&new)).is_err());
    }
}
