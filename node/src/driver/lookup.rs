//! Chord lookups for the rest of the node.

use super::Driver;
use crate::rpc::convert;
use bytes::Bytes;
use scrapering_core::id::{NodeId, Point};
use scrapering_core::ring::{Finger, Hop, Lookup, Step};
use scrapering_proto::v1;

impl Driver {
    /// This node's own step of a lookup.
    #[must_use]
    pub fn step(&self, target: Point) -> Step {
        self.inner.routing.step(target)
    }

    /// The successor of `target`, found by asking from node to node, and the nodes that were asked.
    pub async fn lookup(&self, target: Point) -> (Option<Finger>, Vec<Hop>) {
        let mut lookup = Lookup::new(target, self.me(), self.step(target));
        while let Some(node) = lookup.poll_transmit() {
            let step = self.step_at(node, target).await;
            lookup.handle_reply(node, step);
        }
        lookup.into_outcome()
    }

    async fn step_at(&self, node: NodeId, target: Point) -> Option<Step> {
        let request = v1::StepRequest { header: self.peers().header(), target: Bytes::copy_from_slice(&target.0) };
        let reply = self.peers().ring(node)?.step(request).await.ok()?;
        convert::step(reply.into_inner()).ok()
    }

    /// Where virtual nodes sit.
    #[must_use]
    pub fn placement(&self) -> &scrapering_core::view::Placement {
        &self.inner.placement
    }
}
