//! Removes the registers of chunks whose upload came to nothing or whose file is gone; their bodies go with the next body sweep.

use crate::background::{Failure, Next, Progress, Task};
use crate::driver::Driver;
use scrapering_core::file::{self, Chunk, Manifest};
use scrapering_core::id::{Key, Partition};
use scrapering_core::kv::{self, UserKey, Value};
use scrapering_core::register::{Change, Outcome, Versioned};
use std::time::Duration;

/// How long a chunk may wait for its manifest: longer than any upload takes that goes on at all.
pub const AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Time between two sweeps through all partitions.
const PERIOD: Duration = Duration::from_secs(60 * 60);

/// The task.
pub struct ChunkSweep {
    driver: Driver,
    age: Duration,
    next: u16,
    removed: u64,
}

impl ChunkSweep {
    /// Sweeps the partitions of which `driver`'s node is the first owner, of chunks stored longer than `age` ago.
    #[must_use]
    pub fn new(driver: Driver, age: Duration) -> Self {
        Self { driver, age, next: 0, removed: 0 }
    }

    async fn sweep(&mut self, partition: Partition) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let page = self.driver.scan(partition, file::PREFIX.to_vec(), after).await?;
            for (key, value) in page.entries {
                if self.is_needless(&value).await? {
                    self.remove(key, value.version).await;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Whether the chunk is old and no manifest names it.
    async fn is_needless(&self, value: &Versioned) -> Result<bool, Failure> {
        let Some(chunk) = value.content.as_deref().and_then(|content| file::decode::<Chunk>(content).ok()) else {
            return Ok(false);
        };
        let age_ms = self.driver.clock().wall_ms().saturating_sub(chunk.stored_ms);
        if Duration::from_millis(age_ms) < self.age {
            return Ok(false);
        }
        let Ok(name) = chunk.name.parse::<UserKey>() else { return Ok(true) };
        let found = self.driver.read_one(kv::register(&file::name_space(&chunk.tenant), &name)).await?;
        let Some(content) = found.and_then(|found| found.content) else { return Ok(true) };
        let Ok(value) = Value::decode(&content) else { return Ok(false) };
        // What cannot be read was written by a newer version: it may name the chunk.
        Ok(file::decode::<Manifest>(&value.content).is_ok_and(|manifest| manifest.upload != chunk.upload))
    }

    async fn remove(&mut self, key: Key, version: u64) {
        let outcome = self.driver.change_one(key, Change::Delete { version: Some(version) }).await;
        self.removed += u64::from(matches!(outcome, Outcome::Done { .. }));
    }
}

impl Task for ChunkSweep {
    fn name(&self) -> &'static str {
        "chunk sweep"
    }

    fn progress(&self) -> Progress {
        let remaining = Partition::all().skip(usize::from(self.next)).count() as u64;
        Progress { done: self.removed, remaining: Some(remaining), text: String::new() }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        let Some(partition) = Partition::all().nth(usize::from(self.next)) else {
            self.next = 0;
            return Ok(Next::Wait(PERIOD));
        };
        // A partition that cannot be read now is left to the next sweep.
        self.next += 1;
        if self.driver.view(partition).members.first() == Some(&self.driver.me()) {
            self.sweep(partition).await?;
        }
        Ok(Next::Work)
    }
}
