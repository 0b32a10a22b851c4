//! Tells nodes of each other's newer views, so that nobody depends on having been told.

use crate::background::{Failure, Next, Progress, Task};
use crate::driver::Driver;
use crate::rpc::convert;
use rand::seq::IndexedRandom;
use scrapering_core::id::NodeId;
use scrapering_core::view::message::Request;
use scrapering_proto::v1;
use std::time::Duration;
use tokio::sync::watch;

/// How often a random node is asked for newer views.
const EVERY: Duration = Duration::from_secs(5);
/// How long before a node that does not know every view yet asks again.
const WHILE_JOINING: Duration = Duration::from_millis(300);

/// The background task.
pub struct ViewExchange {
    driver: Driver,
    changes: watch::Receiver<u64>,
    learned: u64,
}

impl ViewExchange {
    /// The exchange of `driver`'s node.
    #[must_use]
    pub fn new(driver: Driver) -> Self {
        let changes = driver.views().changes();
        Self { driver, changes, learned: 0 }
    }

    async fn ask(&mut self, node: NodeId) -> Option<()> {
        let request =
            v1::ViewsRequest { header: self.driver.peers().header_to(node), epochs: self.driver.views().epochs() };
        let reply = self.driver.peers().store(node)?.views(request).await.ok()?;
        for (partition, view) in convert::view::views(reply.into_inner()).ok()? {
            self.driver.views().learn(partition, &view);
            self.learned += 1;
        }
        Some(())
    }

    /// What this node has heard reaches its own replicas.
    async fn pass_on(&self) {
        let told = self.driver.views().unheard().into_iter().map(async |(partition, view)| {
            let (me, epoch) = (self.driver.me(), view.epoch);
            self.driver.ask_view(me, partition, epoch, Request::Install(view)).await
        });
        futures::future::join_all(told).await;
    }
}

impl Task for ViewExchange {
    fn name(&self) -> &'static str {
        "view exchange"
    }

    fn progress(&self) -> Progress {
        Progress { done: self.learned, remaining: None, text: String::new() }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        self.changes.mark_unchanged();
        let me = self.driver.me();
        let others: Vec<NodeId> = self.driver.living_nodes().into_iter().filter(|node| *node != me).collect();
        let asked = others.choose(&mut rand::rng()).copied();
        if let Some(node) = asked {
            self.ask(node).await;
        }
        self.pass_on().await;
        let is_new = self.driver.members().own().serving == scrapering_core::membership::Serving::Joining;
        Ok(Next::Wait(if is_new || asked.is_none() { WHILE_JOINING } else { EVERY }))
    }

    async fn woken(&mut self) {
        loop {
            if self.changes.changed().await.is_err() {
                return std::future::pending().await;
            }
            if !self.driver.views().unheard().is_empty() {
                return;
            }
        }
    }
}
