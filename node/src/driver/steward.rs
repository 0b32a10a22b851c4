//! Keeps the views of this node's partitions what they should be: moves them when nodes come, go or are lost, opens
//! again what a dead reconfigurer left sealed, fetches what this node lacks, and deletes what is no longer its own.

mod exchange;

pub use exchange::ViewExchange;

use super::Driver;
use crate::background::{Failure, Next, Progress, Task};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::membership::{Liveness, Serving};
use scrapering_core::time::Instant;
use scrapering_core::view::message::{Guard, Request};
use scrapering_core::view::reconfiguration::Outcome;
use scrapering_core::view::steward::{self, Duty, Outlook};
use scrapering_core::view::{self, Placement, Standing, View};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Partitions moved at a time by one node: more would only wait for the same disks.
const AT_ONCE: usize = 8;
/// How long after a look that found nothing to do.
const LOOK_AGAIN: Duration = Duration::from_millis(1_000);

/// The background task.
pub struct Steward {
    driver: Driver,
    steward: view::Steward,
    changes: (watch::Receiver<u64>, watch::Receiver<u64>),
    done: u64,
    remaining: u64,
    text: String,
}

impl Steward {
    /// The steward of `driver`'s node.
    #[must_use]
    pub fn new(driver: Driver) -> Self {
        let changes = (driver.views().changes(), driver.members().changes());
        Self { driver, steward: view::Steward::default(), changes, done: 0, remaining: 0, text: String::new() }
    }

    async fn carry_out(driver: &Driver, duty: Duty) -> bool {
        match duty {
            Duty::Move { partition, desired } => move_partition(driver, partition, desired).await,
            Duty::Fetch { partition } => fetch(driver, partition).await,
            Duty::Retire { partition } => driver.retire(partition).await,
        }
    }
}

impl Task for Steward {
    fn name(&self) -> &'static str {
        "view steward"
    }

    fn progress(&self) -> Progress {
        Progress { done: self.done, remaining: Some(self.remaining), text: self.text.clone() }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        self.changes.0.mark_unchanged();
        self.changes.1.mark_unchanged();
        let duties = self.steward.duties(&self.driver, &self.driver.placement(), self.driver.clock().now());
        self.remaining = duties.len() as u64;
        let driver = &self.driver;
        let batch: Vec<Duty> = duties.into_iter().take(AT_ONCE).collect();
        self.text = batch.first().map(ToString::to_string).unwrap_or_default();
        let carried = futures::future::join_all(batch.into_iter().map(|duty| Self::carry_out(driver, duty))).await;
        let successes = carried.iter().filter(|success| **success).count() as u64;
        self.done += successes;
        self.remaining = self.remaining.saturating_sub(successes);
        if self.driver.members().own().serving == Serving::Joining && has_arrived(&self.driver) {
            tracing::info!("this node holds all that it should and has joined the ring");
            self.driver.members().set_serving(Serving::Serving);
        }
        Ok(if successes > 0 { Next::Work } else { Next::Wait(LOOK_AGAIN) })
    }

    async fn woken(&mut self) {
        let (views, members) = &mut self.changes;
        tokio::select! {
            Ok(()) = views.changed() => {}
            Ok(()) = members.changed() => {}
        }
    }
}

impl Outlook for Driver {
    fn me(&self) -> NodeId {
        Self::me(self)
    }
    fn view(&self, partition: Partition) -> Arc<View> {
        Self::view(self, partition)
    }
    fn standing(&self, partition: Partition) -> Option<Standing> {
        self.views().standing(partition)
    }
    fn holds_something(&self, partition: Partition) -> bool {
        self.views().holds_something(partition)
    }
    fn liveness(&self, node: NodeId) -> Liveness {
        self.members().liveness(node)
    }
    fn down_since(&self, node: NodeId) -> Option<Instant> {
        self.members().down_since(node)
    }
}

/// Who should keep `partition`, as this node sees the ring.
pub(crate) fn desired(driver: &Driver, placement: &Placement, partition: Partition) -> Vec<NodeId> {
    steward::desired(driver, placement, partition, driver.clock().now())
}

/// Whether this node keeps, and serves, every partition that it should.
fn has_arrived(driver: &Driver) -> bool {
    let alone = driver.living_nodes().len() < 2;
    let knows_all = driver.views().is_complete();
    !alone && knows_all && steward::has_arrived(driver, &driver.placement(), driver.clock().now())
}

/// Hands the partition's state to the newcomers as learners, and then changes the view.
async fn move_partition(driver: &Driver, partition: Partition, desired: Vec<NodeId>) -> bool {
    let view = View::clone(&driver.view(partition));
    let is_serving = driver.views().standing(partition) == Some(Standing::Active);
    let newcomers = desired.iter().filter(|node| !view.has(**node) && is_serving);
    let taught = newcomers.map(async |node| {
        driver.ask_view(*node, partition, view.epoch, Request::Install(view.clone())).await?;
        driver.transfer(partition, (driver.me(), view.epoch), (*node, view.epoch), Guard::Learner).await.ok()
    });
    if futures::future::join_all(taught).await.iter().any(Option::is_none) {
        return false;
    }
    let needed = view.quorum();
    match driver.reconfigure(partition, view, desired, needed).await {
        Outcome::Installed(view) => {
            tracing::debug!(%partition, epoch = view.epoch.0, "a view was changed");
            true
        }
        Outcome::Superseded(_) | Outcome::Unfinished => false,
    }
}

/// Brings this node's copy to the state of a view of which it is a member.
async fn fetch(driver: &Driver, partition: Partition) -> bool {
    let view = View::clone(&driver.view(partition));
    // Others than members may hold the state with which the view begins.
    let mut sources = view.members.clone();
    sources.extend(driver.living_nodes().into_iter().filter(|node| !view.has(*node)));
    sources.retain(|node| driver.members().is_alive(*node));
    driver.recover(partition, view, sources).await
}
