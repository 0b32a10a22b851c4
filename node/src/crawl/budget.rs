//! A partition's part of a job's page limit, changed by compare-and-set until the outcome is known.

use crate::driver::Driver;
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{BudgetRecord, JobId, Token, decode, encode};
use scrapering_core::id::Partition;
use scrapering_core::register::{Change, Outcome};
use std::time::Duration;

/// Pause before a budget that cannot be reached is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// The part of one partition's owner. Every change claims it first: a deposed owner changes nothing any more.
#[derive(Clone)]
pub(super) struct Share {
    pub(super) driver: Driver,
    pub(super) job: JobId,
    pub(super) partition: Partition,
    pub(super) token: Token,
}

impl Share {
    /// Claims the part; returns the pages that were handed out to it so far, 0 for a job without a limit.
    pub(super) async fn claim(&self) -> u64 {
        let mut granted = 0;
        self.change(|budget| granted = budget.granted_to(self.partition)).await;
        granted
    }

    /// Takes up to `wanted` pages; returns how many.
    pub(super) async fn take(&self, wanted: u64) -> u64 {
        let mut taken = 0;
        self.change(|budget| taken = budget.take(self.partition, wanted)).await;
        taken
    }

    /// Gives back `pages` that no page of the partition needs.
    pub(super) async fn give_back(&self, pages: u64) {
        self.change(|budget| budget.give_back(self.partition, pages)).await;
    }

    /// Makes one change. Only the newest owner changes its part, so an unknown outcome shows in that part.
    /// Nothing is changed if there is no budget, or a newer owner.
    async fn change(&self, mut change: impl FnMut(&mut BudgetRecord)) {
        let key = Name::Budget(self.job).key(job_partition(self.job));
        let mut unsettled: Option<u64> = None;
        loop {
            let Ok(value) = self.driver.read_one(key.clone()).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let stored =
                value.and_then(|value| Some((decode::<BudgetRecord>(value.content.as_deref()?).ok()?, value.version)));
            let Some((mut budget, version)) = stored else { return };
            let Ok(granted) = budget.claim(self.partition, self.token) else { return };
            if unsettled == Some(granted) {
                return;
            }
            change(&mut budget);
            let write = Change::CompareAndSet { version, content: encode(&budget) };
            match self.driver.change_one(key.clone(), write).await {
                Outcome::Done { .. } => return,
                Outcome::Indeterminate => unsettled = Some(budget.granted_to(self.partition)),
                Outcome::Conflict { .. } | Outcome::Unavailable => {}
            }
        }
    }
}
