//! The messages of one webhook, as they stand in their registers.

use super::{due, message};
use crate::crawl::Crawl;
use crate::driver::registers::Unavailable;
use crate::fetch::retry_after;
use crate::job::webhook::Webhook;
use bytes::Bytes;
use scrapering_core::frontier::delivery::{
    Answer, AttemptRecord, DeliveryEvent, DeliveryId, DeliveryRecord, DeliveryState, KEPT_DELIVERIES,
};
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{JobId, decode, encode};
use scrapering_core::id::Key;
use scrapering_core::register::{Change, Outcome, Versioned};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest time for one attempt, its answer included.
const ATTEMPT: Duration = Duration::from_secs(20);

/// A message and the version of its register.
pub(in crate::crawl) struct Entry {
    pub(in crate::crawl) id: DeliveryId,
    pub(in crate::crawl) version: u64,
    pub(in crate::crawl) record: DeliveryRecord,
}

/// The messages of a webhook, the oldest first. Only those that wait keep their bodies in memory.
pub(super) struct Log {
    job: JobId,
    hook: u16,
    entries: Vec<Entry>,
    nothing: BTreeMap<u16, u64>,
}

/// Every message of a job, by webhook and then in order.
pub(in crate::crawl) async fn of_job(crawl: &Crawl, job: JobId) -> Result<Vec<Entry>, Unavailable> {
    let entry = |key: &Key, value: &Versioned| {
        let Some(Name::Delivery(id)) = Name::parse(key) else { return None };
        Some(Entry { id, version: value.version, record: decode(value.content.as_deref()?).ok()? })
    };
    let mut entries = crawl.driver.scan_all(job_partition(job), Name::deliveries_prefix(job), entry).await?;
    // Those on which the copies did not agree came last.
    entries.sort_by_key(|entry| entry.id);
    Ok(entries)
}

/// Removes every message of a job; whether all are gone.
pub(in crate::crawl) async fn forget(crawl: &Crawl, job: JobId) -> Result<bool, Unavailable> {
    let partition = job_partition(job);
    let keys = of_job(crawl, job).await?.into_iter().map(|entry| Name::Delivery(entry.id).key(partition));
    Ok(crawl.driver.remove_all(partition, keys).await)
}

impl Log {
    pub(super) async fn read(crawl: &Crawl, job: JobId, hook: u16) -> Result<Self, Unavailable> {
        let mut entries = of_job(crawl, job).await?;
        entries.retain(|entry| entry.id.hook == hook);
        for entry in entries.iter_mut().filter(|entry| !entry.record.is_waiting()) {
            entry.record.body = String::new();
        }
        Ok(Self { job, hook, entries, nothing: BTreeMap::new() })
    }

    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &DeliveryRecord> {
        self.entries.iter().map(|entry| &entry.record)
    }

    /// When the oldest message that waits is due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.records().find_map(|record| due(record.state))
    }

    /// The pages that the webhook was told of.
    pub(super) fn told(&self) -> &BTreeMap<u16, u64> {
        self.entries.last().map_or(&self.nothing, |entry| &entry.record.told)
    }

    /// Writes a new message down, to be sent at once.
    ///
    /// # Errors
    /// [`Unavailable`]: it may be written, or another may stand in its place; the log is to be read again.
    pub(super) async fn add(
        &mut self,
        crawl: &Crawl,
        event: DeliveryEvent,
        run_ms: u64,
        body: String,
        told: BTreeMap<u16, u64>,
    ) -> Result<(), Unavailable> {
        let number = self.entries.last().map_or(0, |entry| entry.id.number.saturating_add(1));
        let id = DeliveryId { job: self.job, hook: self.hook, number };
        let now_ms = crawl.driver.clock().wall_ms();
        let state = DeliveryState::Waiting { at_ms: now_ms };
        let record =
            DeliveryRecord { event, run_ms, created_ms: now_ms, body, told, state, tries: 0, attempts: Vec::new() };
        let key = Name::Delivery(id).key(job_partition(self.job));
        match crawl.driver.change_one(key, Change::Create(encode(&record))).await {
            Outcome::Done { value: Some(value), .. } => {
                self.entries.push(Entry { id, version: value.version, record });
                self.forget_the_oldest(crawl).await;
                Ok(())
            }
            _ => Err(Unavailable),
        }
    }

    /// Sends the oldest message that waits, and writes down what came of it.
    ///
    /// # Errors
    /// As [`Log::add`]; the message may have been taken.
    pub(super) async fn attempt(&mut self, crawl: &Crawl, webhook: &Webhook) -> Result<(), Unavailable> {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.record.is_waiting()) else { return Ok(()) };
        let (at_ms, began) = (crawl.driver.clock().wall_ms(), Instant::now());
        let headers = message::headers(entry.id, at_ms / 1000, &entry.record.body, webhook.key.as_deref());
        let body = Bytes::copy_from_slice(entry.record.body.as_bytes());
        let sent = crawl.fetcher.post(&webhook.url, headers, body, ATTEMPT).await;
        let asked = sent.as_ref().ok().and_then(|receipt| receipt.retry_after.as_deref());
        let asked = asked.and_then(|header| retry_after::parse(header, jiff::Timestamp::now()));
        let answer = match &sent {
            Ok(receipt) => Answer::Status(receipt.status),
            // Its causes name addresses and what stands behind them.
            Err(error) => Answer::Error(error.to_string()),
        };
        tracing::debug!(delivery = %entry.id, event = entry.record.event.as_str(), ?answer, "a webhook was called");
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        entry.record.handle_attempt(AttemptRecord { at_ms, took_ms, answer }, asked, rand::random());
        let key = Name::Delivery(entry.id).key(job_partition(entry.id.job));
        match crawl.driver.compare_and_set(key, entry.version, encode(&entry.record)).await {
            Outcome::Done { value: Some(value), .. } => entry.version = value.version,
            _ => return Err(Unavailable),
        }
        if !entry.record.is_waiting() {
            entry.record.body = String::new();
        }
        Ok(())
    }

    /// Keeps the log within its bound; what cannot be removed now is removed behind a later message.
    async fn forget_the_oldest(&mut self, crawl: &Crawl) {
        while self.entries.len() > KEPT_DELIVERIES {
            let oldest = &self.entries[0];
            if oldest.record.is_waiting() {
                return;
            }
            let key = Name::Delivery(oldest.id).key(job_partition(self.job));
            let removal = Change::Delete { version: Some(oldest.version) };
            if !matches!(crawl.driver.change_one(key, removal).await, Outcome::Done { .. }) {
                return;
            }
            self.entries.remove(0);
        }
    }
}
