//! What is left to be done for a job beside its crawl, also after its end: its webhooks and its outputs. Runs on the node
//! that owns the job's partition, and goes on there when that is another one.

use super::{Crawl, outputs, webhooks};
use crate::driver::registers::Unavailable;
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{JobId, JobPhase, JobRecord, Token, encode};
use scrapering_core::id::Partition;
use scrapering_core::register::Outcome;
use scrapering_crds::{ScrapeJobFile, ScrapeJobSpec};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Pause before errands that could not be done are begun again.
const PAUSE: Duration = Duration::from_millis(500);

/// Under which token this node is to do a job's errands. A cheap clone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) partition: Partition,
    pub(super) token: Token,
}

impl Owner {
    /// Whether the partition is still this node's.
    pub(super) async fn holds(&self, crawl: &Crawl) -> bool {
        crawl.shards.owned(self.partition).await == Some(self.token)
    }
}

/// The jobs whose errands this node does. A cheap clone.
#[derive(Clone, Default)]
pub(super) struct Errands {
    running: Arc<Mutex<BTreeMap<JobId, Running>>>,
}

struct Running {
    token: Token,
    /// Counts how often somebody had something new to be done.
    news: watch::Sender<u64>,
}

impl Errands {
    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<JobId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a job; `None` if its errands are being done, which are then begun again.
    fn enter(&self, job: JobId, token: Token) -> Option<watch::Receiver<u64>> {
        let mut running = self.running();
        if let Some(known) = running.get(&job).filter(|known| known.token == token) {
            known.news.send_modify(|count| *count += 1);
            return None;
        }
        let news = watch::Sender::new(0);
        let heard = news.subscribe();
        running.insert(job, Running { token, news });
        Some(heard)
    }

    /// Strikes a job off, unless there is something new to be done; whether it was.
    fn leave(&self, job: JobId, token: Token, heard: &watch::Receiver<u64>) -> bool {
        let mut running = self.running();
        if heard.has_changed().unwrap_or(false) {
            return false;
        }
        if running.get(&job).is_some_and(|known| known.token == token) {
            running.remove(&job);
        }
        true
    }
}

/// Whether a job has errands.
pub(super) fn has_any(spec: &ScrapeJobSpec) -> bool {
    !spec.webhooks.is_empty() || spec.outputs.iter().any(|output| output.ring.is_none())
}

/// Does the errands of `job` from now on, or begins them again.
pub(super) fn start(crawl: &Crawl, job: JobId, partition: Partition, token: Token) {
    let Some(mut heard) = crawl.errands.enter(job, token) else { return };
    let (task, owner) = (crawl.clone(), Owner { partition, token });
    crawl.spawn(async move {
        loop {
            heard.mark_unchanged();
            let done = tokio::select! {
                done = run(&task, job, owner) => done.unwrap_or(false),
                Ok(()) = heard.changed() => false,
            };
            if (done || !owner.holds(&task).await) && task.errands.leave(job, token, &heard) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
}

/// Does everything that is left; whether nothing is.
async fn run(crawl: &Crawl, job: JobId, owner: Owner) -> Result<bool, Unavailable> {
    let Some((record, _)) = crawl.specs.record(job).await? else { return Ok(true) };
    if !record.errands || record.phase == JobPhase::Deleting {
        return Ok(true);
    }
    let Ok(file) = serde_json::from_str::<ScrapeJobFile>(&record.file) else { return Ok(true) };
    let (told, written) =
        futures::future::join(webhooks::serve(crawl, job, &file, owner), outputs::serve(crawl, job, &file, owner))
            .await;
    told.and(written)?;
    settle(crawl, job).await
}

/// Notes that nothing is left, unless the job goes on.
async fn settle(crawl: &Crawl, job: JobId) -> Result<bool, Unavailable> {
    let Some((record, version)) = crawl.specs.record(job).await? else { return Ok(true) };
    if !record.phase.has_ended() {
        return Ok(record.phase == JobPhase::Deleting);
    }
    let key = Name::Job(job).key(job_partition(job));
    let content = encode(&JobRecord { errands: false, ..record });
    Ok(matches!(crawl.driver.compare_and_set(key, version, content).await, Outcome::Done { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_while_errands_end_is_not_lost() {
        let (errands, job, token) = (Errands::default(), JobId([1; 16]), Token(3));
        let mut heard = errands.enter(job, token).expect("nobody does them");
        assert!(errands.enter(job, token).is_none(), "they are being done");
        assert!(!errands.leave(job, token, &heard), "there is something new");
        heard.mark_unchanged();
        assert!(errands.leave(job, token, &heard));
        assert!(errands.enter(job, token).is_some(), "nobody does them any more");
    }

    #[test]
    fn a_new_term_begins_errands_though_the_old_one_has_not_left() {
        let (errands, job) = (Errands::default(), JobId([1; 16]));
        let old = errands.enter(job, Token(3)).expect("nobody does them");
        let new = errands.enter(job, Token(4)).expect("the term is new");
        assert!(errands.leave(job, Token(3), &old));
        assert!(errands.enter(job, Token(4)).is_none(), "the new term's are still there");
        drop(new);
    }
}
