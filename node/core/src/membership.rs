//! Membership: who is alive, as far as this node can tell.
//!
//! The only writer of liveness. Each peer is asked `grpc.health.v1` once a period; a failed call elsewhere is
//! only a hint that brings the next question forward. Wrong answers cost time, never data: views carry safety.

use crate::id::NodeId;
use crate::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Answered its last probe.
    Alive,
    /// Not heard of yet, or missed a probe.
    Suspect,
    /// Missed [`DOWN_AFTER_MISSES`] probes in a row.
    Down,
}

/// A peer is asked this often while it answers ...
pub const PROBE_PERIOD: Duration = Duration::from_secs(1);
/// ... and this often while it does not.
pub const SUSPECT_PERIOD: Duration = Duration::from_millis(300);
/// How long a probe may take; a later answer counts as none.
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// Missed probes in a row after which a peer counts as down.
pub const DOWN_AFTER_MISSES: u32 = 4;

/// A peer whose liveness changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The peer.
    pub node: NodeId,
    /// What it is now.
    pub liveness: Liveness,
}

#[derive(Debug)]
struct Peer {
    liveness: Liveness,
    misses: u32,
    probe_at: Instant,
    in_flight: bool,
}

/// The liveness of all peers.
#[derive(Debug)]
pub struct Membership {
    me: NodeId,
    peers: BTreeMap<NodeId, Peer>,
    events: VecDeque<Changed>,
}

impl Membership {
    /// Starts with every peer suspected: neither asked for work nor replaced.
    #[must_use]
    pub fn new(me: NodeId, peers: impl IntoIterator<Item = NodeId>, now: Instant) -> Self {
        let unknown = || Peer { liveness: Liveness::Suspect, misses: 0, probe_at: now, in_flight: false };
        let peers = peers.into_iter().filter(|peer| *peer != me).map(|peer| (peer, unknown())).collect();
        Self { me, peers, events: VecDeque::new() }
    }

    /// What is known of `node`; a node outside the ring is down, this node is alive.
    #[must_use]
    pub fn liveness(&self, node: NodeId) -> Liveness {
        if node == self.me {
            return Liveness::Alive;
        }
        self.peers.get(&node).map_or(Liveness::Down, |peer| peer.liveness)
    }

    /// The next peer to probe now; ask until `None`.
    pub fn poll_probe(&mut self, now: Instant) -> Option<NodeId> {
        let (node, peer) = self.peers.iter_mut().find(|(_, peer)| !peer.in_flight && peer.probe_at <= now)?;
        peer.in_flight = true;
        Some(*node)
    }

    /// When to ask [`Membership::poll_probe`] again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.peers.values().filter(|peer| !peer.in_flight).map(|peer| peer.probe_at).min()
    }

    /// The next change; ask until `None`.
    pub fn poll_event(&mut self) -> Option<Changed> {
        self.events.pop_front()
    }

    /// The outcome of a probe.
    pub fn handle_probe(&mut self, node: NodeId, answered: bool, now: Instant) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.in_flight = false;
        peer.misses = if answered { 0 } else { peer.misses.saturating_add(1) };
        let liveness = match peer.misses {
            0 => Liveness::Alive,
            misses if misses < DOWN_AFTER_MISSES && peer.liveness != Liveness::Down => Liveness::Suspect,
            _ => Liveness::Down,
        };
        let wait = if liveness == Liveness::Suspect { SUSPECT_PERIOD } else { PROBE_PERIOD };
        peer.probe_at = now + wait;
        if liveness != peer.liveness {
            peer.liveness = liveness;
            self.events.push_back(Changed { node, liveness });
        }
    }

    /// A call to `node` failed elsewhere: probe it at once.
    pub fn handle_hint(&mut self, node: NodeId, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.liveness == Liveness::Alive) {
            peer.probe_at = peer.probe_at.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId([number; 20])
    }

    #[test]
    fn a_peer_goes_down_only_after_repeated_misses_and_one_answer_brings_it_back() {
        let mut now = Instant::default();
        let mut membership = Membership::new(node(0), [node(0), node(1)], now);
        assert_eq!(membership.poll_probe(now), Some(node(1)));
        assert_eq!(membership.poll_probe(now), None);
        membership.handle_probe(node(1), true, now);
        for miss in 1..=DOWN_AFTER_MISSES {
            now = membership.poll_timeout().expect("no probe is in flight");
            assert_eq!(membership.poll_probe(now), Some(node(1)));
            membership.handle_probe(node(1), false, now);
            let expected = if miss < DOWN_AFTER_MISSES { Liveness::Suspect } else { Liveness::Down };
            assert_eq!(membership.liveness(node(1)), expected);
        }
        membership.handle_probe(node(1), true, now);
        let events: Vec<_> = std::iter::from_fn(|| membership.poll_event()).map(|event| event.liveness).collect();
        assert_eq!(events, [Liveness::Alive, Liveness::Suspect, Liveness::Down, Liveness::Alive]);
    }

    #[test]
    fn a_hint_only_brings_the_next_probe_forward() {
        let now = Instant::default();
        let mut membership = Membership::new(node(0), [node(1)], now);
        membership.handle_probe(node(1), true, now);
        assert_eq!(membership.poll_probe(now), None);
        membership.handle_hint(node(1), now);
        assert_eq!((membership.liveness(node(1)), membership.poll_probe(now)), (Liveness::Alive, Some(node(1))));
    }
}
