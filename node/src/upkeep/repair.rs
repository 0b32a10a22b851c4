//! Makes the copies that bodies are known to lack: after a put that found too few nodes, or a get that found a
//! copy damaged or missing.

use crate::background::{Failure, Next, Progress, Task};
use crate::driver::Driver;
use crate::rpc::copies;
use scrapering_core::body::{BodyRef, shelf};
use scrapering_core::id::NodeId;
use std::time::Duration;

/// Time between two looks at an empty queue; a body that is queued is repaired at once.
const IDLE: Duration = Duration::from_secs(60);

/// The task.
pub struct Repair {
    driver: Driver,
    repaired: u64,
}

impl Repair {
    /// Repairs what is queued in [`Driver::repairs`].
    #[must_use]
    pub fn new(driver: Driver) -> Self {
        Self { driver, repaired: 0 }
    }

    /// Gives a copy to every keeper that lacks one; whether all copies are there now.
    async fn repair(&self, body: BodyRef) -> Result<bool, Failure> {
        let (_, keepers) = self.driver.keepers(body.partition);
        let (mut whole, mut lacking) = (keepers.complete, Vec::new());
        for keeper in keepers.nodes {
            match self.holds(keeper, body).await? {
                Some(true) => {}
                Some(false) => lacking.push(keeper),
                None => whole = false,
            }
        }
        if lacking.is_empty() {
            return Ok(whole);
        }
        let Some(copy) = self.driver.find_body(body).await else { return Ok(false) };
        for node in lacking {
            whole &= self.driver.put_body_at(node, body, copy.content.clone(), Some(copy.stored_ms)).await;
        }
        Ok(whole)
    }

    /// Whether `node` has a copy; `None` if it does not answer.
    async fn holds(&self, node: NodeId, body: BodyRef) -> Result<Option<bool>, Failure> {
        if node == self.driver.me() {
            let label = super::read(&self.driver, move |store| shelf::label(body, store)).await?;
            return Ok(Some(label.is_some()));
        }
        if !self.driver.members().is_alive(node) {
            return Ok(None);
        }
        let described = copies::describe(self.driver.peers(), node, &[body]).await;
        Ok(described.map(|described| described[0].is_some()))
    }
}

impl Task for Repair {
    fn name(&self) -> &'static str {
        "body repair"
    }

    fn progress(&self) -> Progress {
        let remaining = Some(self.driver.repairs().len() as u64);
        Progress { done: self.repaired, remaining, text: String::new() }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        let repairs = self.driver.repairs().clone();
        let Some(body) = repairs.poll() else {
            let due_in = repairs.poll_timeout().map(|due| due.since(self.driver.clock().now()));
            return Ok(Next::Wait(due_in.unwrap_or(IDLE).min(IDLE)));
        };
        let is_whole = self.repair(body).await?;
        repairs.finish(body, is_whole);
        self.repaired += u64::from(is_whole);
        Ok(Next::Work)
    }

    async fn woken(&mut self) {
        self.driver.repairs().woken().await;
    }
}
