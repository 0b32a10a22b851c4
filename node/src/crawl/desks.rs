//! Desks: where the owner of a partition decides, in memory, about something that all nodes share.
//!
//! What a desk says counts only while its node owns the partition, so the ownership is confirmed again and again; a
//! successor opens its own desk when everything that the one before may have said is over.

use super::Crawl;
use super::claim;
use scrapering_core::frontier::LEASE_HOLD;
use scrapering_core::frontier::record::Token;
use scrapering_core::id::Partition;
use scrapering_core::time::Instant;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A desk's ownership is confirmed again after this.
const CONFIRMED_FOR: Duration = Duration::from_millis(1_500);

/// The desks of one kind that this node keeps. A cheap clone.
pub(super) struct Desks<D>(Arc<Mutex<BTreeMap<Partition, Open<D>>>>);

struct Open<D> {
    token: Token,
    confirmed_at: Instant,
    desk: D,
}

impl<D> Clone for Desks<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D> Default for Desks<D> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<D> Desks<D> {
    /// What the desk of `partition` says when it is asked with the moment until which its word counts, and now; `None` if
    /// the partition is not this node's. `open` makes a desk that begins at a moment.
    pub(super) async fn ask<T>(
        &self,
        crawl: &Crawl,
        partition: Partition,
        open: impl Fn(Instant) -> D,
        ask: impl FnOnce(&mut D, Instant, Instant) -> T,
    ) -> Option<T> {
        let (token, opens_at) = crawl.shards.standing(partition).await?;
        let now = crawl.driver.clock().now();
        let known = self.open().get(&partition).filter(|open| open.token == token).map(|open| open.confirmed_at);
        let confirmed_at = match known.filter(|at| now.since(*at) < CONFIRMED_FOR) {
            Some(at) => at,
            None => claim::confirm(&crawl.driver, partition, token).await.ok().filter(|owner| *owner).map(|_| now)?,
        };
        let mut all = self.open();
        let fresh = || Open { token, confirmed_at, desk: open(opens_at) };
        let open = all.entry(partition).or_insert_with(fresh);
        match open.token.cmp(&token) {
            Ordering::Less => *open = fresh(),
            Ordering::Equal => {}
            // The partition was lost and claimed anew while this was on its way.
            Ordering::Greater => return None,
        }
        open.confirmed_at = open.confirmed_at.max(confirmed_at);
        let (now, owned_until) = (crawl.driver.clock().now(), open.confirmed_at + LEASE_HOLD);
        (now + LEASE_HOLD / 4 <= owned_until).then(|| ask(&mut open.desk, owned_until, now))
    }

    /// Tells the desk of `partition` something, if it is open.
    pub(super) fn tell(&self, partition: Partition, tell: impl FnOnce(&mut D)) {
        if let Some(open) = self.open().get_mut(&partition) {
            tell(&mut open.desk);
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Partition, Open<D>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
