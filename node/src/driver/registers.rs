//! Registers for the rest of the node: runs proposals and scans to their end.

use super::Driver;
use crate::traces::TARGET;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use scrapering_core::id::{Key, NodeId, OperationId, Partition};
use scrapering_core::register::message::{Envelope, MAX_KEYS, Reply};
use scrapering_core::register::proposal::Item;
use scrapering_core::register::scan::Scan;
use scrapering_core::register::{Change, Outcome, Proposal, Versioned};
use scrapering_core::view::View;
use std::time::Duration;
use tracing::Instrument;

/// How long a change or read may take before it is given up.
const DEADLINE: Duration = Duration::from_secs(5);
/// Entries in one page of a scan.
const SCAN_PAGE: usize = 512;

/// How often a change is asked for again while its outcome is unknown.
const SETTLE_ATTEMPTS: usize = 8;

/// Makes a change that names the version it is for, and makes it again under the same name while its outcome is unknown.
///
/// [`Outcome::Indeterminate`] if that did not settle it, or somebody has changed the register since.
pub async fn settled<F: Future<Output = Outcome>>(change: impl Fn(OperationId) -> F) -> Outcome {
    let (operation, mut sent) = (OperationId(rand::random()), false);
    for _ in 0..SETTLE_ATTEMPTS {
        match change(operation).await {
            Outcome::Indeterminate => sent = true,
            Outcome::Conflict { .. } | Outcome::Unavailable if sent => return Outcome::Indeterminate,
            settled => return settled,
        }
    }
    Outcome::Indeterminate
}

/// No majority of a view answered in time. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too few nodes of the ring answer")]
pub struct Unavailable;

/// One page of a partition's registers.
#[derive(Clone, Debug)]
pub struct Page {
    /// Live entries, ascending within what was agreed; keys that had to be read one by one come last.
    pub entries: Vec<(Key, Versioned)>,
    /// Go on after this name; `None` at the end.
    pub next: Option<Vec<u8>>,
}

impl Driver {
    /// Makes changes in one partition, at most [`MAX_KEYS`], to distinct keys; one outcome each.
    ///
    /// Members refuse a batch that names a key twice: every outcome is then [`Outcome::Unavailable`]. New contents
    /// must fit one message together; what is read may be larger and then takes more rounds.
    pub async fn change(&self, partition: Partition, changes: Vec<(Key, Change)>) -> Vec<Outcome> {
        debug_assert!(changes.len() <= MAX_KEYS);
        let item = |(key, change)| Item { key, change, operation: OperationId(rand::random()) };
        self.propose(partition, changes.into_iter().map(item).collect()).await
    }

    /// Makes one change under the caller's name for it: sent again under the same name, it is not done twice.
    pub async fn change_as(&self, key: Key, change: Change, operation: OperationId) -> Outcome {
        let outcomes = self.propose(key.partition, vec![Item { key, change, operation }]).await;
        outcomes.into_iter().next().unwrap_or(Outcome::Unavailable)
    }

    /// Sets a register's content if it still has `version`, and asks again under the same name while a rival's ballot
    /// leaves the outcome unknown: the version sees to it that it is not done twice.
    ///
    /// [`Outcome::Indeterminate`] if that did not settle it, or somebody has changed the register since.
    pub async fn compare_and_set(&self, key: Key, version: u64, content: Bytes) -> Outcome {
        let write = Change::CompareAndSet { version, content };
        settled(|operation| self.change_as(key.clone(), write.clone(), operation)).await
    }

    async fn propose(&self, partition: Partition, items: Vec<Item>) -> Vec<Outcome> {
        if items.is_empty() {
            return Vec::new();
        }
        let span = tracing::trace_span!(
            target: TARGET, "propose", node = %self.me(), partition = partition.0, keys = items.len()
        );
        self.carry_out(partition, items).instrument(span).await
    }

    async fn carry_out(&self, partition: Partition, items: Vec<Item>) -> Vec<Outcome> {
        let now = self.clock().now();
        let view = View::clone(&self.view(partition));
        let mut proposal =
            Proposal::new(view, partition, items, self.inner.ballots.clone(), now, now + DEADLINE, rand::random());
        let mut calls = FuturesUnordered::new();
        loop {
            while let Some(transmit) = proposal.poll_transmit() {
                calls
                    .push(async move { (transmit.to, transmit.round, self.ask(transmit.to, transmit.envelope).await) });
            }
            if let Some(outcomes) = proposal.poll_outcomes() {
                self.views().learn(partition, proposal.view());
                return outcomes;
            }
            let timeout = self.clock().deadline(proposal.poll_timeout());
            tokio::select! {
                Some((from, round, reply)) = calls.next() => {
                    if let Some(reply) = reply {
                        proposal.handle_reply(from, round, reply, self.clock().now());
                    }
                }
                () = tokio::time::sleep_until(timeout) => proposal.handle_timeout(self.clock().now()),
            }
        }
    }

    /// Makes one change.
    pub async fn change_one(&self, key: Key, change: Change) -> Outcome {
        let outcomes = self.change(key.partition, vec![(key, change)]).await;
        outcomes.into_iter().next().unwrap_or(Outcome::Unavailable)
    }

    /// Reads registers of one partition, in the order of `keys`; a tombstone reads as `None`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn read(&self, partition: Partition, keys: Vec<Key>) -> Result<Vec<Option<Versioned>>, Unavailable> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            let reads = keys.iter().map(|key| (key.clone(), Change::Read)).collect();
            for outcome in self.change(partition, reads).await {
                let Outcome::Done { value, .. } = outcome else { return Err(Unavailable) };
                values.push(value.filter(|value| value.content.is_some()));
            }
        }
        Ok(values)
    }

    /// Reads one register; a tombstone reads as `None`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn read_one(&self, key: Key) -> Result<Option<Versioned>, Unavailable> {
        Ok(self.read(key.partition, vec![key]).await?.into_iter().next().flatten())
    }

    /// Reads a page of the partition's registers whose names begin with `prefix` by quorum, after the name `after`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn scan(
        &self,
        partition: Partition,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
    ) -> Result<Page, Unavailable> {
        let deadline = self.clock().now() + DEADLINE;
        let start = |view: &View| {
            Scan::new(view.clone(), partition, prefix.clone(), after.clone(), SCAN_PAGE, self.clock().now())
        };
        let mut scan = start(&self.view(partition));
        let mut calls = FuturesUnordered::new();
        let page = loop {
            while let Some((to, envelope)) = scan.poll_transmit() {
                calls.push(async move { (to, self.ask(to, envelope).await) });
            }
            if let Some(page) = scan.poll_page() {
                break page;
            }
            if let Some(newer) = scan.newer_view() {
                self.views().learn(partition, newer);
                calls.clear();
                scan = start(&self.view(partition));
                continue;
            }
            if scan.is_refused() || self.clock().now() >= deadline {
                return Err(Unavailable);
            }
            tokio::select! {
                Some((from, reply)) = calls.next() => if let Some(reply) = reply { scan.handle_reply(from, reply) },
                () = tokio::time::sleep_until(self.clock().deadline(scan.poll_timeout())) => scan.handle_timeout(self.clock().now()),
            }
        };
        drop(calls);
        let mut entries = page.agreed;
        let values = self.read(partition, page.disputed.clone()).await?;
        entries.extend(page.disputed.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))));
        Ok(Page { entries, next: page.next })
    }

    /// All of the partition's registers whose names begin with `prefix`, as `take` reads them.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn scan_all<T>(
        &self,
        partition: Partition,
        prefix: Vec<u8>,
        take: impl Fn(&Key, &Versioned) -> Option<T>,
    ) -> Result<Vec<T>, Unavailable> {
        let (mut taken, mut after) = (Vec::new(), None);
        loop {
            let page = self.scan(partition, prefix.clone(), after).await?;
            taken.extend(page.entries.iter().filter_map(|(key, value)| take(key, value)));
            after = page.next;
            if after.is_none() {
                return Ok(taken);
            }
        }
    }

    /// Removes registers of one partition, whatever they hold; whether all of them are gone.
    pub async fn remove_all(&self, partition: Partition, keys: impl IntoIterator<Item = Key>) -> bool {
        let removals: Vec<_> = keys.into_iter().map(|key| (key, Change::Delete { version: None })).collect();
        for some in removals.chunks(MAX_KEYS) {
            let outcomes = self.change(partition, some.to_vec()).await;
            if !outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. })) {
                return false;
            }
        }
        true
    }

    /// Asks the acceptors of `to`, this node's own without a detour.
    pub(super) async fn ask(&self, to: NodeId, envelope: Envelope) -> Option<Reply> {
        if to == self.me() {
            return Some(self.disk().handle(envelope).await);
        }
        let partition = envelope.partition;
        let span = tracing::trace_span!(target: TARGET, "exchange", otel.kind = "client", to = %to);
        let reply = self.peers().exchange(to, envelope).instrument(span).await;
        match &reply {
            None => self.members().hint(to),
            Some(Reply::Stale(view)) => self.views().learn(partition, view),
            Some(_) => {}
        }
        reply
    }
}
