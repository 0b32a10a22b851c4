//! Bodies for the rest of the node: copies on put, any sound copy on get, and who should hold one.

use super::Driver;
use super::disk::BodyWrite;
use super::registers::Unavailable;
use crate::rpc::copies;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use scrapering_core::body::duty::{self, Keepers};
use scrapering_core::body::shelf::{self, Found};
use scrapering_core::body::{BodyFetch, BodyHash, BodyPut, BodyRef, PutOutcome};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::membership::{Entry, Liveness, Serving};
use scrapering_core::store::{Store, StoreError};
use scrapering_core::view::View;
use std::time::Duration;

/// A member that is down for longer than this is gone: its copies do not count, and the next member keeps bodies in
/// its place. Longer than it takes to replace it in the view, so that copies are not made twice.
const GONE_AFTER: Duration = Duration::from_secs(120);

/// A copy of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The bytes; of another node's copy not checked against the hash.
    pub content: Bytes,
    /// When it was put, milliseconds since 1970.
    pub stored_ms: u64,
}

impl Driver {
    /// Stores `content` in `partition`; when this returns the hash, a record of that partition may refer to it.
    ///
    /// # Errors
    /// [`Unavailable`] if too few nodes took it.
    pub async fn put_body(&self, partition: Partition, content: Bytes) -> Result<BodyHash, Unavailable> {
        let body = BodyRef { partition, hash: BodyHash::of(&content) };
        let mut put = BodyPut::new(self.takers(body), self.ring_size());
        let mut calls = FuturesUnordered::new();
        let outcome = loop {
            while let Some(node) = put.poll_transmit() {
                let content = content.clone();
                calls.push(async move { (node, self.put_body_at(node, body, content, None).await) });
            }
            if let Some(outcome) = put.poll_outcome() {
                break outcome;
            }
            if let Some((node, stored)) = calls.next().await {
                put.handle_reply(node, stored);
            }
        };
        match outcome {
            PutOutcome::Stored => {}
            PutOutcome::Short => self.repairs().queue(body),
            PutOutcome::Unavailable => return Err(Unavailable),
        }
        Ok(body.hash)
    }

    /// The body `hash` of `partition` from any node that holds a sound copy.
    pub async fn body(&self, partition: Partition, hash: BodyHash) -> Option<Bytes> {
        self.find_body(BodyRef { partition, hash }).await.map(|copy| copy.content)
    }

    /// As [`Driver::body`], with the copy's time. A copy that should be there and is not is queued for repair.
    pub async fn find_body(&self, body: BodyRef) -> Option<Copy> {
        let (_, keepers) = self.keepers(body.partition);
        let (mut fetch, mut stored_ms, mut lacking) = (BodyFetch::new(body.hash, self.givers(body)), 0, false);
        while let Some(node) = fetch.poll_transmit() {
            let copy = self.body_at(node, body).await;
            stored_ms = copy.as_ref().map_or(0, |copy| copy.stored_ms);
            fetch.handle_reply(copy.map(|copy| copy.content));
            lacking |= !fetch.is_found() && keepers.has(node);
        }
        if lacking {
            self.repairs().queue(body);
        }
        fetch.into_found().map(|content| Copy { content, stored_ms })
    }

    /// The members that should hold the bodies of `partition`, with its view.
    #[must_use]
    pub fn keepers(&self, partition: Partition) -> (View, Keepers) {
        let view = View::clone(&self.view(partition));
        let keepers = Keepers::of(self.me(), &view, self.ring_size(), |node| self.is_gone(node));
        (view, keepers)
    }

    /// How many bodies this node holds, of whatever partition; `None` if its disk cannot be read.
    pub async fn bodies_held(&self) -> Option<u64> {
        let count =
            |store: &dyn Store| Partition::all().map(|partition| Ok(shelf::root(partition, store)?.bodies)).sum();
        self.disk().read(count).await.and_then(|count: Result<u64, StoreError>| count.ok())
    }

    /// Keeps a body on this node; whether it is on disk. `stored_ms` is that of the copy it was made from, if any.
    pub async fn keep_body(&self, body: BodyRef, content: Bytes, stored_ms: Option<u64>) -> bool {
        // Another node's clock may be ahead; a copy from the future would never grow old.
        let now_ms = self.clock().wall_ms();
        let stored_ms = stored_ms.map_or(now_ms, |stored_ms| stored_ms.min(now_ms));
        self.disk().write_bodies(BodyWrite::Keep(body, content, stored_ms)).await
    }

    /// This node's copy of `body`. A damaged one is forgotten, so that it is made anew from another node's.
    pub async fn own_body(&self, body: BodyRef) -> Option<Copy> {
        match self.disk().read(move |store| shelf::read(body, store)).await? {
            Ok(Found::Copy { content, stored_ms }) => Some(Copy { content, stored_ms }),
            Ok(Found::Absent) => None,
            Ok(Found::Damaged) => {
                tracing::warn!(?body, "a copy on this disk is damaged and is made anew");
                self.disk().write_bodies(BodyWrite::Forget(body)).await;
                self.repairs().queue(body);
                None
            }
            Err(error) => {
                tracing::warn!(error = crate::causes::told(&error), "a body cannot be read");
                None
            }
        }
    }

    /// The copy of `body` at `node`.
    pub async fn body_at(&self, node: NodeId, body: BodyRef) -> Option<Copy> {
        if node == self.me() { self.own_body(body).await } else { copies::body(self.peers(), node, body).await }
    }

    /// Gives `node` a copy; whether it has it on disk. `stored_ms` as in [`Driver::keep_body`].
    pub async fn put_body_at(&self, node: NodeId, body: BodyRef, content: Bytes, stored_ms: Option<u64>) -> bool {
        if node == self.me() {
            return self.keep_body(body, content, stored_ms).await;
        }
        copies::put_body(self.peers(), node, body, content, stored_ms).await
    }

    /// Whom to ask to take a copy, best first: outside the view nobody who joins or leaves.
    fn takers(&self, body: BodyRef) -> Vec<NodeId> {
        self.candidates(body, |entry| entry.liveness != Liveness::Left && entry.serving == Serving::Serving)
    }

    /// Whom to ask for a copy, best first.
    fn givers(&self, body: BodyRef) -> Vec<NodeId> {
        self.candidates(body, |entry| entry.liveness != Liveness::Left)
    }

    fn candidates(&self, body: BodyRef, fits: impl Fn(&Entry) -> bool) -> Vec<NodeId> {
        let ring = self.members().entries().into_iter().filter(fits).map(|entry| entry.member.node);
        duty::candidates(&self.view(body.partition), body.hash, ring, |node| self.members().is_alive(node))
    }

    /// The nodes that stay in the ring, down or not.
    fn ring_size(&self) -> usize {
        let stays = |entry: &&Entry| entry.liveness != Liveness::Left && entry.serving != Serving::Leaving;
        self.members().entries().iter().filter(stays).count()
    }

    fn is_gone(&self, node: NodeId) -> bool {
        let members = self.members();
        let down_for = members.down_since(node).map(|since| self.clock().now().since(since));
        members.liveness(node) == Liveness::Left || down_for.is_some_and(|down_for| down_for > GONE_AFTER)
    }
}
