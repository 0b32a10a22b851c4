//! The last resort: going on without a majority that will never come back. What only the lost nodes held is lost.

use super::Driver;
use super::steward::desired;
use futures::StreamExt;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::time::Instant;
use scrapering_core::view::View;
use scrapering_core::view::message::Request;
use scrapering_core::view::reconfiguration::Outcome;
use std::collections::BTreeSet;
use std::time::Duration;

/// Partitions that are led over at the same time.
const AT_ONCE: usize = 16;
/// How long a node goes on with new partitions before it answers, well within the time of a call.
const TURN: Duration = Duration::from_secs(5);

/// What came of it, in partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Served again, with what the living members held.
    pub recovered: usize,
    /// Served again, but empty: no member was left.
    pub emptied: usize,
    /// Still not served; ask again.
    pub unfinished: usize,
}

impl Recovered {
    /// Adds another node's part.
    pub fn add(&mut self, other: Self) {
        self.recovered += other.recovered;
        self.emptied += other.emptied;
        self.unfinished += other.unfinished;
    }
}

impl Driver {
    /// The partitions whose views have no living majority, and the members of those that do not live.
    #[must_use]
    pub fn without_majority(&self) -> (Vec<Partition>, BTreeSet<NodeId>) {
        let alive = |node: &&NodeId| self.members().is_alive(**node);
        let has_none = |partition: &Partition| {
            let view = self.view(*partition);
            view.members.iter().filter(alive).count() < view.quorum()
        };
        let partitions: Vec<Partition> = Partition::all().filter(has_none).collect();
        let views: Vec<_> = partitions.iter().map(|partition| self.view(*partition)).collect();
        let lost = views.iter().flat_map(|view| view.members.iter().filter(|node| !alive(node)));
        let lost = lost.copied().collect();
        (partitions, lost)
    }

    /// Leads every partition of which this node is the first living member, and whose majority is among `lost`, over
    /// to a view of the living. The lost must have been removed from the membership: they may never serve again.
    /// Answers after a few seconds; what is unfinished then may be asked for again.
    pub async fn give_up(&self, lost: &BTreeSet<NodeId>) -> Recovered {
        let until = self.clock().now() + TURN;
        let outcomes = futures::stream::iter(Partition::all())
            .map(async |partition| self.give_up_one(partition, lost, until).await)
            .buffer_unordered(AT_ONCE);
        outcomes
            .fold(Recovered::default(), async |mut all, part| {
                all.add(part);
                all
            })
            .await
    }

    async fn give_up_one(&self, partition: Partition, lost: &BTreeSet<NodeId>, until: Instant) -> Recovered {
        let view = View::clone(&self.view(partition));
        let left: Vec<NodeId> = view.members.iter().copied().filter(|node| !lost.contains(node)).collect();
        if left.len() >= view.quorum() || view.primary(|node| left.contains(&node)) != Some(self.me()) {
            return Recovered::default();
        }
        let unfinished = Recovered { unfinished: 1, ..Recovered::default() };
        if self.clock().now() >= until {
            return unfinished;
        }
        let wanted = desired(self, &self.placement(), partition);
        match self.reconfigure(partition, view, wanted, left.len()).await {
            Outcome::Installed(_) | Outcome::Superseded(_) => Recovered { recovered: 1, ..Recovered::default() },
            Outcome::Unfinished => unfinished,
        }
    }

    /// Begins every partition of which all members are among `lost` anew, with nothing in it.
    pub async fn begin_anew(&self, lost: &BTreeSet<NodeId>) -> Recovered {
        let mut recovered = Recovered::default();
        for partition in Partition::all() {
            let view = self.view(partition);
            if !view.members.iter().all(|node| lost.contains(node)) {
                continue;
            }
            let members = desired(self, &self.placement(), partition);
            let empty = View { epoch: view.epoch.next(), ..View::genesis(members.clone()) };
            let told = members
                .into_iter()
                .map(|node| self.ask_view(node, partition, empty.epoch, Request::Install(empty.clone())));
            let told = futures::future::join_all(told).await;
            self.views().learn(partition, &empty);
            if told.iter().all(Option::is_some) { recovered.emptied += 1 } else { recovered.unfinished += 1 }
        }
        recovered
    }
}
