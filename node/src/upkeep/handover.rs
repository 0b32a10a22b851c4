//! Passes bodies on that this node holds and need not: a fourth copy, a copy taken as a last resort, or those of a
//! partition that has moved away. They are deleted only when every keeper was seen to hold them.

use super::{PERIOD, compare, read};
use crate::background::{Failure, Next, Progress, Task};
use crate::driver::Driver;
use crate::driver::disk::BodyWrite;
use scrapering_core::body::{BodyHash, BodyRef, shelf};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::membership::Serving;
use scrapering_core::sync::Subject;
use scrapering_core::view::Epoch;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Most bodies deleted at a time, so that the disk's thread goes on with other things.
const AT_A_TIME: usize = 256;

/// Time between two looks for bodies to be handed over while this node leaves the ring.
const LEAVING_PERIOD: Duration = Duration::from_secs(1);

/// What is to be done in a round.
enum Step {
    /// This node holds bodies of the partition and is no keeper of it.
    Compare(Partition),
    /// The keeper lacks this body.
    Give(NodeId, BodyRef),
    /// All keepers hold these.
    Delete(Vec<BodyRef>, Epoch),
}

/// The task.
pub struct Handover {
    driver: Driver,
    steps: VecDeque<Step>,
    given: u64,
    deleted: u64,
}

impl Handover {
    /// Hands over what `driver`'s node holds and need not.
    #[must_use]
    pub fn new(driver: Driver) -> Self {
        Self { driver, steps: VecDeque::new(), given: 0, deleted: 0 }
    }

    /// Looks for partitions with bodies that are not this node's to keep.
    async fn begin(&mut self) -> Result<(), Failure> {
        let me = self.driver.me();
        let others: Vec<Partition> = Partition::all()
            .filter(|partition| {
                let (_, keepers) = self.driver.keepers(*partition);
                keepers.complete && !keepers.has(me)
            })
            .collect();
        let held = read(&self.driver, move |store| {
            let mut held = Vec::new();
            for partition in others {
                if shelf::root(partition, store)?.bodies > 0 {
                    held.push(partition);
                }
            }
            Ok(held)
        });
        self.steps.extend(held.await?.into_iter().map(Step::Compare));
        Ok(())
    }

    /// Finds out which keepers lack which of this node's bodies.
    async fn compare(&mut self, partition: Partition) -> Result<(), Failure> {
        let (view, keepers) = self.driver.keepers(partition);
        if !keepers.complete || keepers.has(self.driver.me()) {
            return Ok(());
        }
        // Listed before anybody is asked: what comes meanwhile is for the next round.
        let held = read(&self.driver, move |store| shelf::list(partition, store)).await?;
        let mut safe: BTreeSet<BodyHash> = held.into_iter().map(|(hash, _)| hash).collect();
        let mut gifts = Vec::new();
        for keeper in keepers.nodes {
            let difference = compare(&self.driver, keeper, Subject::Bodies, partition, view.epoch).await?;
            let Some(difference) = difference else { return Ok(()) };
            for id in difference.ours {
                let hash = BodyHash(id.0);
                safe.remove(&hash);
                gifts.push(Step::Give(keeper, BodyRef { partition, hash }));
            }
            if !difference.is_complete {
                safe.clear();
            }
        }
        let safe: Vec<BodyRef> = safe.into_iter().map(|hash| BodyRef { partition, hash }).collect();
        // A round that gave something away looks again before it ends, so that the copies here go soon.
        let again = (!gifts.is_empty()).then_some(Step::Compare(partition));
        self.steps.extend(safe.chunks(AT_A_TIME).map(|bodies| Step::Delete(bodies.to_vec(), view.epoch)));
        self.steps.extend(gifts.into_iter().chain(again));
        Ok(())
    }

    /// Whether the keeper has it now.
    async fn give(&mut self, keeper: NodeId, body: BodyRef) -> bool {
        let Some(copy) = self.driver.own_body(body).await else { return true };
        let given = self.driver.put_body_at(keeper, body, copy.content, Some(copy.stored_ms)).await;
        self.given += u64::from(given);
        given
    }
}

impl Task for Handover {
    fn name(&self) -> &'static str {
        "body hand-over"
    }

    fn progress(&self) -> Progress {
        let text = format!("{} given, {} deleted", self.given, self.deleted);
        Progress { done: self.given + self.deleted, remaining: Some(self.steps.len() as u64), text }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        match self.steps.pop_front() {
            None => self.begin().await?,
            Some(Step::Compare(partition)) => self.compare(partition).await?,
            Some(Step::Give(keeper, body)) => {
                if !self.give(keeper, body).await {
                    // It may be down or full: the next round tries again.
                    self.steps.clear();
                }
            }
            Some(Step::Delete(bodies, epoch)) => {
                let count = bodies.len() as u64;
                if self.driver.disk().write_bodies(BodyWrite::HandOver(bodies, epoch)).await {
                    self.deleted += count;
                }
            }
        }
        if !self.steps.is_empty() {
            return Ok(Next::Work);
        }
        // Who leaves is waited for.
        let leaves = self.driver.members().own().serving == Serving::Leaving;
        Ok(Next::Wait(if leaves { LEAVING_PERIOD } else { PERIOD }))
    }
}
