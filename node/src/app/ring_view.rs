//! What the gateway shows of the ring.

mod map;

use super::config::Member;
use super::control::{LeaveError, RingControl};
use crate::background::{Background, TaskStatus};
use crate::crawl::jobs::JobsError;
use crate::driver::Driver;
use crate::driver::recover::Recovered;
use crate::driver::steward::desired;
use crate::gateway::{
    self, BackgroundStatus, Liveness, Lookup, NodeStatus, Recovery, RingMap, RingStatus, RingView, ViewCounts,
};
use futures::future::BoxFuture;
use scrapering_core::frontier::keys::host_partition;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::job::NormalizedUrl;
use scrapering_core::membership::{self, Entry, Serving};
use scrapering_core::view::{Standing, View, replicas};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A node's picture of its ring.
pub(super) struct NodeView {
    driver: Driver,
    own: Member,
    control: RingControl,
    background: Background,
}

impl NodeView {
    pub(super) fn new(driver: Driver, own: &Member, control: RingControl, background: Background) -> Self {
        Self { driver, own: own.clone(), control, background }
    }

    fn name(&self, node: NodeId) -> String {
        self.driver.members().entry(node).map_or_else(|| node.to_string(), |entry| entry.member.name)
    }

    /// Everybody who has not left for good.
    fn present(&self) -> Vec<Entry> {
        let entries = self.driver.members().entries().into_iter();
        entries.filter(|entry| entry.liveness != membership::Liveness::Left).collect()
    }

    /// Everybody who is known to have left for good, in order.
    fn left(&self) -> Vec<gateway::NodeIdentity> {
        let entries = self.driver.members().entries();
        let mut left: Vec<_> = entries
            .iter()
            .filter(|entry| entry.liveness == membership::Liveness::Left)
            .map(|entry| identity(&entry.member))
            .collect();
        left.sort();
        left
    }

    fn view_counts(&self, views: &[(Partition, Arc<View>)], copies: usize) -> ViewCounts {
        let placement = self.driver.placement();
        let mut counts = ViewCounts { count: views.len(), ..ViewCounts::default() };
        for (partition, view) in views {
            let wanted = desired(&self.driver, &placement, *partition);
            let living = view.members.iter().filter(|node| self.driver.members().is_alive(**node)).count();
            counts.moving += usize::from(map::moves(view, &wanted));
            counts.sealed += usize::from(self.driver.views().standing(*partition) == Some(Standing::Sealed));
            counts.under_replicated += usize::from(living < copies);
            counts.unavailable += usize::from(living < view.quorum());
        }
        counts
    }

    fn background_status(&self, task: TaskStatus) -> BackgroundStatus {
        BackgroundStatus {
            node: self.own.name.clone(),
            name: task.name.to_owned(),
            state: task.state.word().to_owned(),
            done: task.progress.done,
            remaining: task.progress.remaining,
            text: task.progress.text,
            last_failure: task.last_failure,
        }
    }

    /// The partition of a URL's host, or of any other key.
    fn partition(key: &str) -> Partition {
        NormalizedUrl::parse(key).map_or_else(|_| Partition::of(key.as_bytes()), |url| host_partition(&url.origin()))
    }

    async fn find(&self, key: &str) -> Result<Lookup, JobsError> {
        let partition = Self::partition(key);
        let target = partition.last_point();
        let (successor, path) = self.driver.lookup(target).await;
        if successor.is_none() {
            return Err(JobsError::Unavailable);
        }
        Ok(Lookup {
            key: key.to_owned(),
            point: target.to_string(),
            partition: u32::from(partition.0),
            owners: self.driver.view(partition).members.iter().map(|node| self.name(*node)).collect(),
            path: path.into_iter().map(|hop| self.name(hop.node)).collect(),
        })
    }
}

impl RingView for NodeView {
    fn ready(&self) -> Result<(), String> {
        if self.control.makes_way() {
            return Err("this node is about to be stopped; use another".to_owned());
        }
        let own = self.driver.members().own();
        match (own.liveness, own.serving) {
            (membership::Liveness::Left, _) => {
                return Err("this node has left the ring; use another".to_owned());
            }
            (_, Serving::Joining) => return Err("this node still takes over what it shall keep".to_owned()),
            (_, Serving::Leaving) => return Err("this node leaves the ring; use another".to_owned()),
            (_, Serving::Serving) => {}
        }
        if self.driver.disk().is_full() {
            return Err(
                "the disk of this node is full; free some room where its data folder is, 100 MiB at least".to_owned()
            );
        }
        let present = self.present();
        let quorum = replicas(present.len()) / 2 + 1;
        let living = living(&present);
        if living >= quorum { Ok(()) } else { Err(format!("{living} nodes answer, and {quorum} are needed")) }
    }

    fn status(&self) -> RingStatus {
        let present = self.present();
        let views: Vec<(Partition, Arc<View>)> =
            Partition::all().map(|partition| (partition, self.driver.view(partition))).collect();
        let mut nodes: Vec<NodeStatus> = present.iter().map(|entry| node_status(entry, &views)).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let living = |view: &View| view.members.iter().filter(|node| self.driver.members().is_alive(**node)).count();
        let spare = views.iter().map(|(_, view)| living(view).saturating_sub(view.quorum())).min();
        RingStatus {
            ring_id: self.driver.ring_id().to_string(),
            node: self.own.name.clone(),
            own: Some(own_status(&self.driver.members().own())),
            nodes,
            left: self.left(),
            tolerates: spare.unwrap_or_default(),
            views: self.view_counts(&views, replicas(present.len())),
            background: self.background.statuses().into_iter().map(|task| self.background_status(task)).collect(),
        }
    }

    fn map(&self) -> RingMap {
        self.drawn()
    }

    fn leave<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), gateway::LeaveError>> {
        Box::pin(async move {
            self.control.leave(name).await.map_err(|error| match error {
                LeaveError::NoSuchNode { .. } => gateway::LeaveError::NoSuchNode(error.to_string()),
                LeaveError::LastNode { .. } | LeaveError::Refused { .. } => {
                    gateway::LeaveError::Refused(error.to_string())
                }
                LeaveError::Unreachable { .. } => gateway::LeaveError::Unreachable(error.to_string()),
            })
        })
    }

    fn recover<'a>(&'a self, names: &'a BTreeSet<String>) -> BoxFuture<'a, Result<Recovery, String>> {
        Box::pin(async move {
            let Recovered { recovered, emptied, unfinished } =
                self.control.recover(names).await.map_err(|error| error.to_string())?;
            Ok(Recovery { recovered, emptied, unfinished })
        })
    }

    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Lookup, JobsError>> {
        Box::pin(self.find(key))
    }
}

fn living(entries: &[Entry]) -> usize {
    entries.iter().filter(|entry| entry.liveness == membership::Liveness::Alive).count()
}

fn identity(member: &membership::Member) -> gateway::NodeIdentity {
    gateway::NodeIdentity { name: member.name.clone(), id: member.node.to_string(), generation: member.generation }
}

fn own_status(own: &Entry) -> gateway::OwnStatus {
    let left = own.liveness == membership::Liveness::Left;
    gateway::OwnStatus { identity: identity(&own.member), serving: serving(own.serving), left }
}

const fn serving(serving: Serving) -> gateway::Serving {
    match serving {
        Serving::Joining => gateway::Serving::Joining,
        Serving::Serving => gateway::Serving::Serving,
        Serving::Leaving => gateway::Serving::Leaving,
    }
}

fn node_status(entry: &Entry, views: &[(Partition, Arc<View>)]) -> NodeStatus {
    let node = entry.member.node;
    let first = views.iter().filter(|(_, view)| view.members.first() == Some(&node)).count();
    NodeStatus {
        name: entry.member.name.clone(),
        id: entry.member.node.to_string(),
        generation: entry.member.generation,
        address: entry.member.address.clone(),
        zone: entry.member.zone.clone(),
        weight: entry.member.weight,
        liveness: match entry.liveness {
            membership::Liveness::Alive => Liveness::Alive,
            membership::Liveness::Suspect => Liveness::Suspect,
            membership::Liveness::Down | membership::Liveness::Left => Liveness::Dead,
        },
        serving: serving(entry.serving),
        share: first as f64 / views.len().max(1) as f64,
        copies: views.iter().filter(|(_, view)| view.has(node)).count(),
        gateway: entry.member.gateway.clone(),
    }
}
