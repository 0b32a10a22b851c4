//! The end of a node's work while its process still runs: nothing is begun, and what was begun comes to its end.

use super::super::Crawl;
use super::super::claim;
use futures::stream::{self, StreamExt as _};
use scrapering_core::frontier::record::Token;
use scrapering_core::id::Partition;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::oneshot;

/// Partitions whose owner is asked for at once.
const QUESTIONS: usize = 32;
/// Pause before it is asked again who owns what.
const LOOK: Duration = Duration::from_millis(200);

/// Who waits for the end of the work, and what is not over yet.
#[derive(Default)]
pub(super) struct Drain {
    waiting: Vec<oneshot::Sender<Vec<(Partition, Token)>>>,
    /// Partitions with a batch of changes under way.
    committing: BTreeSet<Partition>,
    has_begun: bool,
}

impl Drain {
    /// Whether nothing is to be begun any more.
    pub(super) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    pub(super) fn handle_asked(&mut self, reply: oneshot::Sender<Vec<(Partition, Token)>>) {
        self.has_begun = true;
        self.waiting.push(reply);
    }

    pub(super) fn handle_commit_begun(&mut self, partition: Partition) {
        self.committing.insert(partition);
    }

    pub(super) fn handle_commit_over(&mut self, partition: Partition) {
        self.committing.remove(&partition);
    }

    /// Tells those who wait what this node owns, if all is over: nothing is fetched and nothing is written.
    pub(super) fn settle(&mut self, visits: usize, owned: impl Iterator<Item = (Partition, Token)>) {
        if self.waiting.is_empty() || visits > 0 || !self.committing.is_empty() {
            return;
        }
        let owned: Vec<(Partition, Token)> = owned.collect();
        // Who has stopped waiting needs no answer.
        self.waiting.drain(..).for_each(|reply| drop(reply.send(owned.clone())));
    }
}

impl Crawl {
    /// Begins nothing any more, for ever, and returns once what was begun has come to its end, after `limit` at the
    /// latest; says what this node owns, or `None` when the time was over before.
    pub async fn drain(&self, limit: Duration) -> Option<Vec<(Partition, Token)>> {
        tokio::time::timeout(limit, self.shards.drain()).await.ok()
    }

    /// Returns once others own everything that this node owned, after `limit` at the latest; how much is left. What
    /// nobody else could own, or nobody can tell about, is not waited for and counts as left.
    pub async fn taken_over(&self, owned: Vec<(Partition, Token)>, limit: Duration) -> usize {
        let deadline = tokio::time::Instant::now() + limit;
        let mut left = owned;
        loop {
            let asked = stream::iter(left.clone()).map(async |(partition, token)| {
                let is_mine = claim::confirm(&self.driver, partition, token).await;
                (is_mine != Ok(false)).then_some(((partition, token), is_mine.is_ok() && self.has_heir(partition)))
            });
            let still: Vec<_> = asked.buffer_unordered(QUESTIONS).filter_map(std::future::ready).collect().await;
            let is_hopeless = !still.iter().any(|(_, may_go)| *may_go);
            if is_hopeless || tokio::time::Instant::now() + LOOK >= deadline {
                return still.len();
            }
            left = still.into_iter().map(|(mine, _)| mine).collect();
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether another member of the partition's view lives.
    fn has_heir(&self, partition: Partition) -> bool {
        let (view, members) = (self.driver.view(partition), self.driver.members());
        view.members.iter().any(|node| *node != self.driver.me() && members.is_alive(*node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_over_when_nothing_is_fetched_and_nothing_is_written() {
        let mut drain = Drain::default();
        let owned = || [(Partition(7), Token(3))].into_iter();
        drain.handle_commit_begun(Partition(7));
        drain.settle(0, owned());
        assert!(!drain.has_begun(), "nobody has asked");
        let (reply, mut answer) = oneshot::channel();
        drain.handle_asked(reply);
        drain.settle(0, owned());
        assert!(drain.has_begun() && answer.try_recv().is_err(), "a batch is under way");
        drain.handle_commit_over(Partition(7));
        drain.settle(1, owned());
        assert!(answer.try_recv().is_err(), "a page is being fetched");
        drain.settle(0, owned());
        assert_eq!(answer.try_recv(), Ok(vec![(Partition(7), Token(3))]));
    }
}
