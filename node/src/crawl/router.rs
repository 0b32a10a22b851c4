//! Brings links to the owners of their hosts, and stays until they are acknowledged.

use crate::driver::Driver;
use crate::rpc::convert;
use scrapering_core::frontier::keys::url_partition;
use scrapering_core::frontier::record::{JobId, UrlHash};
use scrapering_core::frontier::shard::Link;
use scrapering_core::id::{NodeId, Partition};
use scrapering_proto::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Pause before an owner is looked for again.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Acknowledged links that are remembered, in each of two generations.
const REMEMBERED: usize = 200_000;
/// Most links of this node on their way to the owners of their hosts: each is in memory many times over, here, there
/// and with whoever keeps a copy.
const MOST_ON_THEIR_WAY: usize = 4_096;
/// Links that travel together; a sitemap may name many times as many.
const TOGETHER: usize = 1_024;

/// Knows where partitions are owned, as far as it has learned. A cheap clone.
#[derive(Clone)]
pub(super) struct Router {
    driver: Driver,
    owners: Arc<Mutex<BTreeMap<Partition, NodeId>>>,
    acknowledged: Arc<Mutex<Acknowledged>>,
    /// A place for each link on its way.
    places: Arc<Semaphore>,
}

/// Links that are known to be in the frontier: most links of a site lead to the same pages.
#[derive(Default)]
struct Acknowledged {
    young: BTreeSet<(JobId, UrlHash)>,
    old: BTreeSet<(JobId, UrlHash)>,
}

impl Acknowledged {
    fn contains(&self, link: &(JobId, UrlHash)) -> bool {
        self.young.contains(link) || self.old.contains(link)
    }

    fn insert(&mut self, link: (JobId, UrlHash)) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(link);
    }
}

impl Router {
    pub(super) fn new(driver: Driver) -> Self {
        let places = Arc::new(Semaphore::new(MOST_ON_THEIR_WAY));
        Self { driver, owners: Arc::default(), acknowledged: Arc::default(), places }
    }

    /// The node that probably owns `partition`; another guess for each further `attempt`.
    pub(super) fn owner(&self, partition: Partition, attempt: usize) -> NodeId {
        let view = self.driver.view(partition);
        let known = self
            .owners()
            .get(&partition)
            .copied()
            .filter(|owner| attempt == 0 && self.driver.members().is_alive(*owner));
        let living: Vec<NodeId> =
            view.members.iter().copied().filter(|member| self.driver.members().is_alive(*member)).collect();
        known
            .or_else(|| living.get(attempt % living.len().max(1)).copied())
            .or(view.members.first().copied())
            .unwrap_or(self.driver.me())
    }

    /// `owner` said that `partition` is, or is not, its own.
    pub(super) fn learn(&self, partition: Partition, owner: NodeId, owns: bool) {
        let mut owners = self.owners();
        if owns {
            owners.insert(partition, owner);
        } else if owners.get(&partition) == Some(&owner) {
            owners.remove(&partition);
        }
    }

    /// Returns when every link is durable with the owner of its host. Links that are known to be are not sent.
    pub(super) async fn follow(&self, crawl: &super::Crawl, job: JobId, mut links: Vec<Link>) {
        links.retain(|link| !self.acknowledged().contains(&(job, UrlHash::of(&link.url))));
        let mut parts = Vec::with_capacity(links.len().div_ceil(TOGETHER));
        while !links.is_empty() {
            let rest = links.split_off(links.len().min(TOGETHER));
            parts.push(std::mem::replace(&mut links, rest));
        }
        let parts = parts.into_iter().map(|part| self.follow_together(crawl, job, part));
        futures::future::join_all(parts).await;
    }

    /// As [`Router::follow`], at most [`TOGETHER`].
    async fn follow_together(&self, crawl: &super::Crawl, job: JobId, links: Vec<Link>) {
        let places = u32::try_from(links.len()).unwrap_or(u32::MAX);
        // It is never closed.
        let _places = self.places.acquire_many(places).await.ok();
        let mut open: BTreeMap<Partition, Vec<Link>> = BTreeMap::new();
        for link in links {
            open.entry(url_partition(&link.url)).or_default().push(link);
        }
        let mut attempt = 0;
        while !open.is_empty() {
            if attempt > 0 {
                tokio::time::sleep(RETRY_AFTER).await;
            }
            let mut by_owner: BTreeMap<NodeId, Vec<Partition>> = BTreeMap::new();
            for partition in open.keys() {
                by_owner.entry(self.owner(*partition, attempt)).or_default().push(*partition);
            }
            let calls = by_owner.into_iter().map(|(owner, partitions)| {
                let links = partitions
                    .iter()
                    .flat_map(|partition| open[partition].iter().map(|link| (*partition, link.clone())))
                    .collect();
                async move { (owner, partitions, self.follow_at(crawl, owner, job, links).await) }
            });
            for (owner, partitions, refused) in futures::future::join_all(calls.collect::<Vec<_>>()).await {
                for partition in partitions {
                    let owns = refused.as_ref().is_some_and(|refused| !refused.contains(&partition));
                    self.learn(partition, owner, owns);
                    if owns && let Some(links) = open.remove(&partition) {
                        let mut acknowledged = self.acknowledged();
                        links.iter().for_each(|link| acknowledged.insert((job, UrlHash::of(&link.url))));
                    }
                }
            }
            attempt += 1;
        }
    }

    /// Partitions that `owner` does not own; `None` if it did not answer.
    async fn follow_at(
        &self,
        crawl: &super::Crawl,
        owner: NodeId,
        job: JobId,
        links: Vec<(Partition, Link)>,
    ) -> Option<BTreeSet<Partition>> {
        if owner == self.driver.me() {
            return Some(crawl.shards.links(job, links).await);
        }
        let links =
            links.into_iter().map(|(partition, link)| convert::frontier::link_to_wire(partition, &link)).collect();
        let request = v1::FollowRequest { header: self.driver.peers().header(), job: job.0.to_vec().into(), links };
        match self.driver.peers().frontier(owner)?.follow(request).await {
            Ok(reply) => Some(
                reply
                    .into_inner()
                    .not_owned
                    .into_iter()
                    .filter_map(|partition| convert::partition(partition).ok())
                    .collect(),
            ),
            Err(_) => {
                self.driver.members().hint(owner);
                None
            }
        }
    }

    fn owners(&self) -> std::sync::MutexGuard<'_, BTreeMap<Partition, NodeId>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self) -> std::sync::MutexGuard<'_, Acknowledged> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
