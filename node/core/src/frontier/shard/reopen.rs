//! Failed pages of a job that has ended are opened again.

use super::commit::Pending;
use super::job::Stage;
use super::{Event, Shard, Waiter};
use crate::frontier::record::{JobId, PageResult, UrlHash, UrlRecord, UrlState};

/// A failed page as its register tells it.
#[derive(Clone, Debug)]
pub struct Reopened {
    /// Its hash.
    pub hash: UrlHash,
    /// Its record.
    pub record: UrlRecord,
    /// Version of its register.
    pub version: u64,
}

impl Shard {
    /// Opens these pages of `job` again if they are still failed; `waiter` is told when that is durable. The job must
    /// not be on its way to an end meanwhile: what is done gets less.
    pub fn handle_reopen(&mut self, id: JobId, pages: Vec<Reopened>, waiter: Waiter) {
        let mut last_ticket = None;
        for Reopened { hash, record, version } in pages {
            let UrlState::Closed { sequence, result: PageResult::Failed { .. } } = record.state else { continue };
            let Some(entry) = self.jobs.get_mut(&id).and_then(|shard| shard.urls.get_mut(&hash)) else { continue };
            if entry.stage == Stage::Closed {
                entry.stage = Stage::Reopening;
                last_ticket = Some(self.pipeline.push(Pending::reopen(id, hash, sequence, record, version)));
            }
        }
        match last_ticket {
            Some(ticket) => self.pipeline.wait(ticket, waiter),
            None => self.events.push_back(Event::Acknowledged(waiter)),
        }
    }

    pub(super) fn settle_reopened(&mut self, id: JobId, hash: UrlHash, sequence: u64, record: UrlRecord, version: u64) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let Some(entry) = shard.urls.get_mut(&hash).filter(|entry| entry.stage == Stage::Reopening) else { return };
        entry.version = version;
        entry.attempts = 0;
        entry.stage = Stage::Waiting;
        shard.results.remove(&sequence);
        shard.counters.failed = shard.counters.failed.saturating_sub(1);
        shard.counters.admitted_closed -= u64::from(record.admitted).min(shard.counters.admitted_closed);
        self.enqueue(id, hash, record);
    }
}
