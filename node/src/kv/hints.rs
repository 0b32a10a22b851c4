//! Which keys of the ring may have changed: every node tells, after its disk has accepted a write, the key's name.
//!
//! A hint is only that: the register is read to know. A write that a majority has accepted was hinted at by the
//! last member of that majority; if that hint was lost with a broken stream, the gap is told, and whoever watches
//! reads everything again. Nodes are listened to only while somebody watches.

use crate::driver::Driver;
use crate::rpc::kv;
use futures::StreamExt;
use scrapering_core::id::NodeId;
use scrapering_core::kv::PREFIX;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Hints that a slow watcher may be behind; then it has a gap.
const QUEUE: usize = 4096;
/// Pause before a node that is believed to live is listened to again.
const RETRY_LIVING: Duration = Duration::from_secs(1);
/// Pause before any other is. As long as one is not listened to, a gap is told so often.
const RETRY_OTHERS: Duration = Duration::from_secs(30);
/// How often it is looked whether there are new nodes, and whether anybody still watches.
const LOOK: Duration = Duration::from_secs(1);

/// What may have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The register of this name may have changed.
    Written(Arc<[u8]>),
    /// Any register may have changed.
    Gap,
}

/// The hints of a ring, from all its nodes. A cheap clone.
#[derive(Clone)]
pub struct Hints {
    sender: broadcast::Sender<Hint>,
    wanted: Arc<Notify>,
    stop: CancellationToken,
}

impl Hints {
    /// Hints that are told by [`Hints::tell`] alone.
    #[must_use]
    pub fn silent(stop: CancellationToken) -> Self {
        Self { sender: broadcast::Sender::new(QUEUE), wanted: Arc::default(), stop }
    }

    /// Listens to the nodes of `driver`'s ring until `stop`, whenever somebody wants to know.
    #[must_use]
    pub fn start(driver: Driver, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let hints = Self::silent(stop);
        tasks.spawn(hints.clone().run(driver));
        hints
    }

    /// Tells everybody who watches here.
    pub fn tell(&self, hint: Hint) {
        // Nobody need be listening.
        let _ = self.sender.send(hint);
    }

    /// Everything told from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Hint> {
        let receiver = self.sender.subscribe();
        self.wanted.notify_one();
        receiver
    }

    /// Cancelled when nothing more will be told.
    #[must_use]
    pub fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    async fn run(self, driver: Driver) {
        let (mut followers, mut followed) = (JoinSet::new(), BTreeSet::new());
        let mut views = driver.views().changes();
        loop {
            if self.sender.receiver_count() == 0 {
                followers.shutdown().await;
                followed.clear();
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = self.wanted.notified() => continue,
                }
            }
            for node in driver.nodes() {
                if followed.insert(node) {
                    followers.spawn(self.clone().follow(driver.clone(), node));
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if views.has_changed().is_ok_and(|changed| changed) {
                views.mark_unchanged();
                // A write that no majority had accepted may have become part of the new view.
                self.tell(Hint::Gap);
            }
        }
    }

    /// Listens to one node, again and again.
    async fn follow(self, driver: Driver, node: NodeId) {
        loop {
            if let Some(mut names) = listen(&driver, node).await {
                // What was written before the listening began is not hinted at.
                self.tell(Hint::Gap);
                while let Some(name) = names.next().await {
                    self.tell(Hint::Written(name));
                }
            }
            if !driver.nodes().contains(&node) {
                return;
            }
            self.tell(Hint::Gap);
            let mut changes = driver.members().changes();
            tokio::time::sleep(RETRY_LIVING).await;
            while !driver.members().is_alive(node) {
                tokio::select! {
                    () = tokio::time::sleep(RETRY_OTHERS) => break,
                    _ = changes.changed() => {}
                }
            }
        }
    }
}

/// Names that `node` accepts from now on; ends when one may have been missed. `None` if it does not answer.
async fn listen(driver: &Driver, node: NodeId) -> Option<kv::Names> {
    if node == driver.me() {
        return Some(kv::written(driver.disk().written(), PREFIX.to_vec()));
    }
    kv::watch(driver.peers(), node, PREFIX).await
}
