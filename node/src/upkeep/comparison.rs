//! Finds bodies that this node should keep and lacks: every 30 seconds with one other keeper of its partitions.
//!
//! What whole copies amount to is compared first, in one message; only partitions that differ are gone through. A
//! keeper fetches what it lacks. What the other lacks it finds out itself.

use super::{PERIOD, compare, read};
use crate::background::{Failure, Next, Progress, Task};
use crate::driver::Driver;
use crate::rpc::convert::copies::MAX_HASHES;
use crate::rpc::copies;
use rand::seq::IteratorRandom;
use scrapering_core::body::{BodyHash, BodyRef};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::sync::{Subject, reading};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// What is to be done in a round.
enum Step {
    /// The partition's copies differ.
    Compare(Partition),
    /// The other has this body.
    Fetch(BodyRef),
}

/// The task.
pub struct BodyComparison {
    driver: Driver,
    age: Duration,
    with: NodeId,
    steps: VecDeque<Step>,
    fetched: u64,
}

impl BodyComparison {
    /// Compares `driver`'s bodies. Of those put longer than `age` ago only those are fetched to which a record
    /// refers: the others may just have been swept here, and would come and go for ever.
    #[must_use]
    pub fn new(driver: Driver, age: Duration) -> Self {
        let with = driver.me();
        Self { driver, age, with, steps: VecDeque::new(), fetched: 0 }
    }

    /// Begins a round with another keeper.
    async fn begin(&mut self) -> Result<(), Failure> {
        let me = self.driver.me();
        let kept = Partition::all().map(|partition| (partition, self.driver.keepers(partition)));
        let kept: Vec<_> = kept.filter(|(_, (_, keepers))| keepers.has(me)).collect();
        let others: BTreeSet<NodeId> =
            kept.iter().flat_map(|(_, (_, keepers))| keepers.nodes.iter().copied()).collect();
        let living = others.into_iter().filter(|node| *node != me && self.driver.members().is_alive(*node));
        let Some(with) = living.choose(&mut rand::rng()) else { return Ok(()) };
        self.with = with;
        let shared = kept.into_iter().filter(|(_, (_, keepers))| keepers.has(with));
        let shared: Vec<_> = shared.map(|(partition, (view, _))| (partition, view.epoch)).collect();
        let roots = read(&self.driver, move |store| {
            let mut roots = Vec::with_capacity(shared.len());
            for (partition, epoch) in shared {
                let root = reading::root(Subject::Bodies, me, partition, epoch, store)?;
                roots.extend(root.map(|root| (partition, epoch, root)));
            }
            Ok(roots)
        });
        let different = copies::compare_roots(self.driver.peers(), with, Subject::Bodies, roots.await?).await;
        self.steps.extend(different.into_iter().flatten().map(Step::Compare));
        Ok(())
    }

    /// Finds what the other has and this node lacks.
    async fn compare(&mut self, partition: Partition) -> Result<(), Failure> {
        let (view, keepers) = self.driver.keepers(partition);
        if !keepers.has(self.driver.me()) {
            return Ok(());
        }
        let difference = compare(&self.driver, self.with, Subject::Bodies, partition, view.epoch).await?;
        let lacking = difference.into_iter().flat_map(|difference| difference.theirs);
        let lacking: Vec<BodyRef> = lacking.map(|id| BodyRef { partition, hash: BodyHash(id.0) }).collect();
        let (mut young, mut old) = (Vec::new(), BTreeSet::new());
        let before_ms = super::sweep::before_ms(&self.driver, self.age);
        for bodies in lacking.chunks(MAX_HASHES) {
            let Some(described) = copies::describe(self.driver.peers(), self.with, bodies).await else { return Ok(()) };
            for (body, stored_ms) in bodies.iter().zip(described) {
                match stored_ms {
                    Some(stored_ms) if stored_ms < before_ms => drop(old.insert(body.hash)),
                    Some(_) => young.push(*body),
                    None => {}
                }
            }
        }
        let needed = super::sweep::referenced(&self.driver, partition, &old).await?;
        let needed = needed.into_iter().map(|hash| BodyRef { partition, hash });
        self.steps.extend(young.into_iter().chain(needed).map(Step::Fetch));
        Ok(())
    }

    async fn fetch(&mut self, body: BodyRef) {
        let Some(copy) = self.driver.body_at(self.with, body).await else { return };
        let kept = self.driver.keep_body(body, copy.content, Some(copy.stored_ms)).await;
        self.fetched += u64::from(kept);
    }
}

impl Task for BodyComparison {
    fn name(&self) -> &'static str {
        "body comparison"
    }

    fn progress(&self) -> Progress {
        let text = if self.steps.is_empty() { String::new() } else { format!("with node {}", self.with) };
        Progress { done: self.fetched, remaining: Some(self.steps.len() as u64), text }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        match self.steps.pop_front() {
            None => self.begin().await?,
            Some(Step::Compare(partition)) => self.compare(partition).await?,
            Some(Step::Fetch(body)) => self.fetch(body).await,
        }
        Ok(if self.steps.is_empty() { Next::Wait(PERIOD) } else { Next::Work })
    }
}
