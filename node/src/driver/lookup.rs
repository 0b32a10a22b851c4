//! Chord lookups for the rest of the node.

use super::Driver;
use super::chord::Chord;
use scrapering_core::id::Point;
use scrapering_core::ring::{Finger, Hop};

impl Driver {
    /// This node's part of the ring.
    #[must_use]
    pub fn chord(&self) -> &Chord {
        &self.inner.chord
    }

    /// The successor of `target`, found by asking from node to node, and the nodes that were asked.
    pub async fn lookup(&self, target: Point) -> (Option<Finger>, Vec<Hop>) {
        let (found, hops) = self.chord().lookup(target).await;
        self.inner.metrics.looked_up(hops.len());
        (found, hops)
    }
}
