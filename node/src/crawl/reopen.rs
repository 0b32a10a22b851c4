//! Opens the failed pages of a job that has ended again, in all partitions.

use super::Crawl;
use super::coordinator::{self, Order};
use crate::driver::registers::Unavailable;
use crate::rpc::convert;
use scrapering_core::frontier::keys::Name;
use scrapering_core::frontier::record::{JobId, PageResult, UrlState, decode};
use scrapering_core::frontier::shard::{Control, Reopened};
use scrapering_core::id::{NodeId, Partition};
use scrapering_proto::v1;
use std::collections::BTreeSet;

/// Asks every node; returns the partitions that hold no failed page any more.
pub(super) async fn everywhere(crawl: &Crawl, job: JobId) -> BTreeSet<Partition> {
    let calls = crawl.driver.living_nodes().into_iter().map(|node| at(crawl, node, job));
    futures::future::join_all(calls).await.into_iter().flatten().collect()
}

async fn at(crawl: &Crawl, node: NodeId, job: JobId) -> Vec<Partition> {
    if node == crawl.driver.me() {
        return here(crawl, job).await;
    }
    let request = v1::ReopenRequest { header: crawl.driver.peers().header(), job: job.0.to_vec().into() };
    let Some(mut frontier) = crawl.driver.peers().frontier(node) else { return Vec::new() };
    let Ok(reply) = frontier.reopen(request).await else { return Vec::new() };
    reply.into_inner().partitions.into_iter().filter_map(|partition| convert::partition(partition).ok()).collect()
}

/// This node's part.
pub(super) async fn here(crawl: &Crawl, job: JobId) -> Vec<Partition> {
    let hold = Order { control: Control::Hold, revision: 0 };
    let mut reopened = Vec::new();
    for (partition, _, counters) in coordinator::report(crawl, job, hold, true).await {
        if counters.failed == 0 || partition_of(crawl, partition, job).await.unwrap_or(false) {
            reopened.push(partition);
        }
    }
    reopened
}

/// Opens the failed pages of one partition; whether all of them are.
async fn partition_of(crawl: &Crawl, partition: Partition, job: JobId) -> Result<bool, Unavailable> {
    let mut after = None;
    loop {
        let page = crawl.driver.scan(partition, Name::urls_prefix(job), after).await?;
        let failed = page.entries.iter().filter_map(|(key, value)| {
            let Some(Name::Url(_, hash)) = Name::parse(key) else { return None };
            let record: scrapering_core::frontier::record::UrlRecord = decode(value.content.as_deref()?).ok()?;
            let is_failed = matches!(record.state, UrlState::Closed { result: PageResult::Failed { .. }, .. });
            is_failed.then_some(Reopened { hash, record, version: value.version })
        });
        if !crawl.shards.reopen(job, partition, failed.collect()).await {
            return Ok(false);
        }
        after = page.next;
        if after.is_none() {
            return Ok(true);
        }
    }
}
