//! What the key-value store and the locks need of the ring's registers, and the driver as that.

use super::hints::Hints;
use crate::driver::Driver;
use crate::driver::registers::{Page, Unavailable};
use futures::future::BoxFuture;
use scrapering_core::id::{Key, OperationId, Partition};
use scrapering_core::register::{Change, Outcome, Versioned};
use scrapering_core::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Linearizable registers, and copies of them that may be old.
pub trait Registers: Send + Sync + 'static {
    /// Makes a change, or reads.
    fn change(&self, key: Key, change: Change, operation: OperationId) -> BoxFuture<'_, Outcome>;
    /// What one replica holds; the nearest that answers.
    fn copy(&self, key: Key) -> BoxFuture<'_, Result<Option<Versioned>, Unavailable>>;
    /// A page of `partition`'s registers whose names begin with `prefix`, after the name `after`.
    fn scan(
        &self,
        partition: Partition,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<Page, Unavailable>>;
    /// Now, by this process's monotonic clock.
    fn now(&self) -> Instant;
    /// Which of them may have changed.
    fn hints(&self) -> &Hints;
}

/// The registers of a ring, and the hints of its nodes. A cheap clone.
#[derive(Clone)]
pub struct RingRegisters {
    driver: Driver,
    hints: Hints,
}

impl RingRegisters {
    /// The registers of `driver`'s ring; its nodes are listened to until `stop`.
    #[must_use]
    pub fn start(driver: Driver, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let hints = Hints::start(driver.clone(), tasks, stop);
        Self { driver, hints }
    }
}

impl Registers for RingRegisters {
    fn change(&self, key: Key, change: Change, operation: OperationId) -> BoxFuture<'_, Outcome> {
        Box::pin(self.driver.change_as(key, change, operation))
    }

    fn copy(&self, key: Key) -> BoxFuture<'_, Result<Option<Versioned>, Unavailable>> {
        Box::pin(self.driver.any_copy(key))
    }

    fn scan(
        &self,
        partition: Partition,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<Page, Unavailable>> {
        Box::pin(self.driver.scan(partition, prefix, after))
    }

    fn now(&self) -> Instant {
        self.driver.clock().now()
    }

    fn hints(&self) -> &Hints {
        &self.hints
    }
}
