//! Tells a job's webhooks what becomes of it: one message at a time for each, written down before it is sent.

mod log;
mod message;

pub(super) use log::{Entry, forget, of_job};

use super::Crawl;
use super::cursor::Cursor;
use super::errands::Owner;
use super::jobs::{FetchedPage, JobRef, JobsError, Page};
use crate::driver::registers::Unavailable;
use crate::job::webhook::Webhook;
use log::Log;
use scrapering_core::frontier::delivery::{DeliveryEvent, DeliveryState, Moment, Next, next};
use scrapering_core::frontier::record::{JobId, JobPhase, JobRecord};
use scrapering_core::id::Partition;
use scrapering_crds::ScrapeJobFile;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often it is looked whether there is something to tell.
const LOOK: Duration = Duration::from_secs(1);
/// How long pages wait for others to be told with them.
const LINGER: Duration = Duration::from_secs(3);

/// A webhook of a job.
pub(super) struct Hook<'a> {
    job: JobRef,
    /// `metadata.name` of the job.
    name: &'a str,
    /// Its place in the job's list.
    place: u16,
    webhook: Webhook,
}

/// Tells the job's webhooks everything, until the job has ended and nothing is left to be told.
///
/// # Errors
/// [`Unavailable`]: the ring did not answer, or the partition is another node's; what is left is begun again.
pub(super) async fn serve(crawl: &Crawl, job: JobId, file: &ScrapeJobFile, owner: Owner) -> Result<(), Unavailable> {
    let job = JobRef { tenant: super::doors::tenant_named(file.metadata.namespace.as_deref()), id: job };
    let hooks = crate::job::webhooks(&file.spec).into_iter().zip(0..).map(|(webhook, place)| {
        let hook = Hook { job: job.clone(), name: &file.metadata.name, place, webhook };
        async move { hook.serve(crawl, owner).await }
    });
    futures::future::try_join_all(hooks.collect::<Vec<_>>()).await.map(|_| ())
}

impl Hook<'_> {
    async fn serve(&self, crawl: &Crawl, owner: Owner) -> Result<(), Unavailable> {
        let mut log = Log::read(crawl, self.job.id, self.place).await?;
        let mut pages_since = None;
        loop {
            if !owner.holds(crawl).await {
                return Err(Unavailable);
            }
            if let Some(at_ms) = log.due_ms() {
                let left = Duration::from_millis(at_ms.saturating_sub(crawl.driver.clock().wall_ms()));
                if !left.is_zero() {
                    tokio::time::sleep(left.min(LOOK)).await;
                    continue;
                }
            }
            let Some((record, _)) = crawl.specs.record(self.job.id).await? else { return Ok(()) };
            if record.phase == JobPhase::Deleting {
                return Ok(());
            }
            if log.due_ms().is_some() {
                log.attempt(crawl, &self.webhook).await?;
                continue;
            }
            let moment = moment(&record);
            match next(&self.webhook.events, moment, log.records()) {
                Next::Done => return Ok(()),
                Next::Wait => tokio::time::sleep(LOOK).await,
                Next::Tell(event) => self.tell(crawl, &mut log, moment, event).await?,
                Next::Pages(end) => {
                    let page = self.pages(crawl, log.told()).await?;
                    if page.entries.is_empty() {
                        match end {
                            Some(end) if page.complete => self.tell(crawl, &mut log, moment, end).await?,
                            None if page.complete => return Ok(()),
                            _ => tokio::time::sleep(LOOK).await,
                        }
                        continue;
                    }
                    let since = *pages_since.get_or_insert_with(Instant::now);
                    let is_full = page.entries.len() >= self.webhook.batch || moment.end.is_some();
                    if is_full || since.elapsed() >= LINGER {
                        pages_since = None;
                        self.tell_pages(crawl, &mut log, moment, &page).await?;
                    } else {
                        tokio::time::sleep(LOOK).await;
                    }
                }
            }
        }
    }

    async fn pages(&self, crawl: &Crawl, told: &BTreeMap<u16, u64>) -> Result<Page<FetchedPage>, Unavailable> {
        let mut cursor = Cursor::default();
        told.iter().for_each(|(partition, sequence)| cursor.advance(Partition(*partition), *sequence));
        crawl.jobs().pages(&self.job, &cursor, self.webhook.batch).await.map_err(unavailable)
    }

    async fn tell(
        &self,
        crawl: &Crawl,
        log: &mut Log,
        moment: Moment,
        event: DeliveryEvent,
    ) -> Result<(), Unavailable> {
        let now_ms = crawl.driver.clock().wall_ms();
        let body = match event {
            DeliveryEvent::Started | DeliveryEvent::Page => message::started(&self.job, self.name, now_ms),
            DeliveryEvent::Completed | DeliveryEvent::Failed => {
                let status = crawl.jobs().status(&self.job).await.map_err(unavailable)?;
                message::ended(event, &status, now_ms)
            }
        };
        let told = log.told().clone();
        log.add(crawl, event, moment.run_ms, body, told).await
    }

    async fn tell_pages(
        &self,
        crawl: &Crawl,
        log: &mut Log,
        moment: Moment,
        page: &Page<FetchedPage>,
    ) -> Result<(), Unavailable> {
        let body = message::pages(&self.job, self.name, &page.entries, crawl.driver.clock().wall_ms());
        let told = page.cursor.partitions().map(|(partition, sequence)| (partition.0, sequence)).collect();
        log.add(crawl, DeliveryEvent::Page, moment.run_ms, body, told).await
    }
}

/// Whatever kept the ring from answering, it is asked again.
fn unavailable(_: JobsError) -> Unavailable {
    Unavailable
}

fn moment(record: &JobRecord) -> Moment {
    let end = match record.phase {
        JobPhase::Failed(_) => Some(DeliveryEvent::Failed),
        phase if phase.has_ended() => Some(DeliveryEvent::Completed),
        _ => None,
    };
    Moment { run_ms: record.started_ms, end }
}

/// When a message is due.
const fn due(state: DeliveryState) -> Option<u64> {
    match state {
        DeliveryState::Waiting { at_ms } => Some(at_ms),
        DeliveryState::Delivered | DeliveryState::GivenUp => None,
    }
}
