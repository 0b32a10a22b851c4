//! What the gateway shows of the ring.

use super::config::Member;
use crate::crawl::jobs::JobsError;
use crate::driver::Driver;
use crate::gateway::{Liveness, Lookup, NodeStatus, RingStatus, RingView};
use futures::future::BoxFuture;
use scrapering_core::frontier::keys::host_partition;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::job::NormalizedUrl;
use scrapering_core::membership;
use scrapering_core::view::replicas;
use std::collections::BTreeMap;

/// A node's picture of its ring.
pub(super) struct NodeView {
    driver: Driver,
    names: BTreeMap<NodeId, (String, Option<String>)>,
}

impl NodeView {
    pub(super) fn new(driver: Driver, members: &[Member]) -> Self {
        let name = |member: &Member| (member.node_id(), (member.name.clone(), member.gateway.clone()));
        Self { driver, names: members.iter().map(name).collect() }
    }

    fn name(&self, node: NodeId) -> String {
        self.names.get(&node).map_or_else(|| node.to_string(), |(name, _)| name.clone())
    }

    fn living(&self) -> usize {
        self.names.keys().filter(|node| self.driver.members().is_alive(**node)).count()
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
        let quorum = replicas(self.names.len()) / 2 + 1;
        let living = self.living();
        if self.driver.disk().is_full() {
            return Err(
                "the disk of this node is full; free some room where its data folder is, 100 MiB at least".to_owned()
            );
        }
        if living >= quorum { Ok(()) } else { Err(format!("{living} nodes answer, and {quorum} are needed")) }
    }

    fn status(&self) -> RingStatus {
        let node = |(id, (name, gateway)): (&NodeId, &(String, Option<String>))| NodeStatus {
            name: name.clone(),
            id: id.to_string(),
            liveness: match self.driver.members().liveness(*id) {
                membership::Liveness::Alive => Liveness::Alive,
                membership::Liveness::Suspect => Liveness::Suspect,
                membership::Liveness::Down => Liveness::Dead,
            },
            gateway: gateway.clone(),
        };
        let mut nodes: Vec<NodeStatus> = self.names.iter().map(node).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let copies = replicas(self.names.len());
        let dead = self.names.len() - self.living();
        RingStatus {
            ring_id: self.driver.ring_id().to_string(),
            node: self.name(self.driver.me()),
            nodes,
            tolerates: (copies / 2).saturating_sub(dead),
        }
    }

    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Lookup, JobsError>> {
        Box::pin(self.find(key))
    }
}
