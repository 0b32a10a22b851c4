//! Runs the membership: asks peers, tells who changed.

use super::clock::Clock;
use crate::rpc::Peers;
use scrapering_core::id::NodeId;
use scrapering_core::membership::{Liveness, Membership, PROBE_TIMEOUT};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Peers are probed more often than this: a longer silence of the prober itself means that it stood still.
const STANDSTILL: Duration = Duration::from_secs(3);

/// Who is alive, as this node believes. A cheap clone.
#[derive(Clone)]
pub struct Members {
    membership: Arc<Mutex<Membership>>,
    clock: Clock,
    changes: watch::Sender<u64>,
    hint: Arc<Notify>,
}

impl Members {
    /// Every peer is suspected until it has answered.
    #[must_use]
    pub fn new(me: NodeId, peers: impl IntoIterator<Item = NodeId>, clock: Clock) -> Self {
        let membership = Membership::new(me, peers, clock.now());
        Self {
            membership: Arc::new(Mutex::new(membership)),
            clock,
            changes: watch::Sender::new(0),
            hint: Arc::default(),
        }
    }

    /// What is known of `node`.
    #[must_use]
    pub fn liveness(&self, node: NodeId) -> Liveness {
        self.lock().liveness(node)
    }

    /// Whether `node` answers.
    #[must_use]
    pub fn is_alive(&self, node: NodeId) -> bool {
        self.liveness(node) == Liveness::Alive
    }

    /// Moves on whenever somebody's liveness changed, and when this process was stopped for a while: then the
    /// others may have changed their minds about it.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A call to `node` failed.
    pub fn hint(&self, node: NodeId) {
        self.lock().handle_hint(node, self.clock.now());
        self.hint.notify_one();
    }

    /// Probes until `stop`.
    pub async fn run(self, peers: Peers, stop: CancellationToken) {
        let (mut probes, mut last) = (JoinSet::new(), self.clock.now());
        loop {
            let now = self.clock.now();
            if now.since(std::mem::replace(&mut last, now)) > STANDSTILL {
                self.changes.send_modify(|count| *count += 1);
            }
            while let Some(node) = self.next_probe() {
                let peers = peers.clone();
                probes.spawn(async move { (node, peers.probe(node, PROBE_TIMEOUT).await) });
            }
            let wake = self.lock().poll_timeout();
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(self.clock.deadline(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = timer => {}
                () = self.hint.notified() => {}
                Some(Ok((node, answered))) = probes.join_next() => self.handle_probe(node, answered),
            }
        }
    }

    fn next_probe(&self) -> Option<NodeId> {
        self.lock().poll_probe(self.clock.now())
    }

    fn handle_probe(&self, node: NodeId, answered: bool) {
        let mut membership = self.lock();
        membership.handle_probe(node, answered, self.clock.now());
        let mut changed = false;
        while let Some(event) = membership.poll_event() {
            tracing::info!(node = %event.node, liveness = ?event.liveness, "membership changed");
            changed = true;
        }
        drop(membership);
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Membership> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
