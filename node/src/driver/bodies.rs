//! Bodies for the rest of the node: three copies on put, any sound copy on get.

use super::Driver;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use scrapering_core::body::{BodyFetch, BodyHash, BodyPut, PutOutcome};
use scrapering_core::id::{NodeId, Partition};
use scrapering_proto::v1;

impl Driver {
    /// Stores `content` on distinct nodes; when this returns the hash, a record may refer to it.
    ///
    /// # Errors
    /// [`super::registers::Unavailable`] if too few nodes took it.
    pub async fn put_body(&self, content: Bytes) -> Result<BodyHash, super::registers::Unavailable> {
        let hash = BodyHash::of(&content);
        let mut put = BodyPut::new(self.holders(hash));
        let mut calls = FuturesUnordered::new();
        loop {
            while let Some(node) = put.poll_transmit() {
                let content = content.clone();
                calls.push(async move { (node, self.put_body_at(node, hash, content).await) });
            }
            match put.poll_outcome() {
                Some(PutOutcome::Stored) => return Ok(hash),
                Some(PutOutcome::Unavailable) => return Err(super::registers::Unavailable),
                None => {}
            }
            if let Some((node, stored)) = calls.next().await {
                put.handle_reply(node, stored);
            }
        }
    }

    /// The body `hash` from any node that holds a sound copy.
    pub async fn body(&self, hash: BodyHash) -> Option<Bytes> {
        let mut fetch = BodyFetch::new(hash, self.holders(hash));
        while let Some(node) = fetch.poll_transmit() {
            fetch.handle_reply(self.body_at(node, hash).await);
        }
        fetch.into_found()
    }

    /// Who should hold a body: the members of its partition's view, the living first.
    fn holders(&self, hash: BodyHash) -> Vec<NodeId> {
        let mut holders = self.view(Partition::of(&hash.0)).members.clone();
        holders.sort_by_key(|node| !self.members().is_alive(*node));
        holders
    }

    async fn put_body_at(&self, node: NodeId, hash: BodyHash, content: Bytes) -> bool {
        if node == self.me() {
            return self.disk().keep(hash, content).await;
        }
        let Some(mut store) = self.peers().store(node) else { return false };
        let request =
            v1::PutBodyRequest { header: self.peers().header(), hash: Bytes::copy_from_slice(&hash.0), content };
        store.put_body(request).await.is_ok_and(|reply| reply.get_ref().stored)
    }

    async fn body_at(&self, node: NodeId, hash: BodyHash) -> Option<Bytes> {
        if node == self.me() {
            return self.disk().kept(hash).await;
        }
        let request = v1::GetBodyRequest { header: self.peers().header(), hash: Bytes::copy_from_slice(&hash.0) };
        self.peers().store(node)?.get_body(request).await.ok()?.into_inner().content
    }
}
