//! Deletes bodies to which no record refers: mark by reading the partition's records, sweep what is left.
//!
//! A body is put before the record that refers to it, so a young one may wait for its record. Only bodies put longer
//! than [`AGE`] ago are looked at, by this node's wall clock: a put and its record must not lie further apart, and
//! the clocks of the ring must agree to within less. Putting a body again makes it young again, so a record may
//! refer to a body that was there already if it was put again first.

use super::read;
use crate::background::{Failure, Next, Progress, Task};
use crate::driver::Driver;
use crate::driver::disk::BodyWrite;
use scrapering_core::body::{BodyHash, BodyRef, shelf};
use scrapering_core::id::Partition;
use scrapering_core::references;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a body is kept, whatever refers to it: a day. Long against everything that lies between a put and its
/// record, a suspended process among them, and short against what a disk can hold.
pub const AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Time between two sweeps through all partitions.
const PERIOD: Duration = Duration::from_secs(60 * 60);
/// Most bodies deleted at a time, so that the disk's thread goes on with other things.
const AT_A_TIME: usize = 256;

/// The task.
pub struct Sweep {
    driver: Driver,
    age: Duration,
    next: u16,
    deleted: u64,
}

impl Sweep {
    /// Sweeps `driver`'s disk of bodies put longer than `age` ago.
    #[must_use]
    pub fn new(driver: Driver, age: Duration) -> Self {
        Self { driver, age, next: 0, deleted: 0 }
    }

    async fn sweep(&mut self, partition: Partition) -> Result<(), Failure> {
        let before_ms = before_ms(&self.driver, self.age);
        let listed = read(&self.driver, move |store| shelf::list(partition, store)).await?;
        let mut old: BTreeSet<BodyHash> =
            listed.into_iter().filter(|(_, label)| label.stored_ms < before_ms).map(|(hash, _)| hash).collect();
        // The records are read after the list was: who refers to an old body by then is seen.
        for hash in referenced(&self.driver, partition, &old).await? {
            old.remove(&hash);
        }
        let bodies: Vec<BodyRef> = old.into_iter().map(|hash| BodyRef { partition, hash }).collect();
        for bodies in bodies.chunks(AT_A_TIME) {
            if self.driver.disk().write_bodies(BodyWrite::Sweep(bodies.to_vec(), before_ms)).await {
                self.deleted += bodies.len() as u64;
            }
        }
        Ok(())
    }
}

impl Task for Sweep {
    fn name(&self) -> &'static str {
        "body sweep"
    }

    fn progress(&self) -> Progress {
        let remaining = Partition::all().skip(usize::from(self.next)).count() as u64;
        Progress { done: self.deleted, remaining: Some(remaining), text: String::new() }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        let Some(partition) = Partition::all().nth(usize::from(self.next)) else {
            self.next = 0;
            return Ok(Next::Wait(PERIOD));
        };
        // A partition that cannot be read now is left to the next sweep; the others need not wait for it.
        self.next += 1;
        self.sweep(partition).await?;
        Ok(Next::Work)
    }
}

/// Bodies put before this moment of the wall clock, milliseconds since 1970, are older than `age`.
pub(super) fn before_ms(driver: &Driver, age: Duration) -> u64 {
    driver.clock().wall_ms().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

/// Those of `bodies` to which a record of `partition` refers, by a linearizable reading of all its records.
pub(super) async fn referenced(
    driver: &Driver,
    partition: Partition,
    bodies: &BTreeSet<BodyHash>,
) -> Result<BTreeSet<BodyHash>, Failure> {
    let (mut found, mut after) = (BTreeSet::new(), None);
    while found.len() < bodies.len() {
        let page = driver.scan(partition, Vec::new(), after).await?;
        for (key, value) in page.entries {
            let Some(content) = value.content else { continue };
            found.extend(references::references(&key, &content)?.into_iter().filter(|hash| bodies.contains(hash)));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(found)
}
