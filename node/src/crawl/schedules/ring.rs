//! Who keeps a schedule in the ring: the owner of its partition, from its claim until it is deposed.

use super::keeper::Look;
use super::{Hands, Schedules};
use crate::crawl::Crawl;
use crate::crawl::claim::confirm;
use crate::crawl::jobs::{JobChange, JobRef, JobStatus, JobsError};
use crate::driver::registers::Unavailable;
use futures::future::BoxFuture;
use jiff::Timestamp;
use scrapering_core::frontier::record::Token;
use scrapering_core::schedule::ScheduleKey;
use scrapering_crds::ScrapeJobFile;
use scrapering_proto::v1;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How often the owner of a schedule is looked for, and the pause in between.
const ATTEMPTS: usize = 60;
const PAUSE: Duration = Duration::from_millis(250);

/// The schedules that this node keeps. A cheap clone.
#[derive(Clone, Default)]
pub(in crate::crawl) struct Keepers {
    kept: Arc<Mutex<BTreeMap<ScheduleKey, Kept>>>,
}

/// A schedule that is kept.
struct Kept {
    /// Under which its partition is owned.
    token: Token,
    /// Grows whenever somebody asks for a look.
    asked: u64,
    bell: Arc<Notify>,
}

impl Keepers {
    /// Asks for a look; returns the bell if somebody is to begin with the schedule.
    fn ask(&self, key: ScheduleKey, token: Token) -> Option<Arc<Notify>> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.get_mut(&key) {
            kept.asked += 1;
            kept.token = kept.token.max(token);
            kept.bell.notify_one();
            return None;
        }
        let bell = Arc::new(Notify::new());
        all.insert(key, Kept { token, asked: 0, bell: Arc::clone(&bell) });
        Some(bell)
    }

    /// Under which token the schedule is kept, and how often a look was asked for.
    fn standing(&self, key: ScheduleKey) -> Option<(Token, u64)> {
        let all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&key).map(|kept| (kept.token, kept.asked))
    }

    /// Ends with the schedule, unless a look was asked for since; whether it did.
    fn end(&self, key: ScheduleKey, asked: u64) -> bool {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = all.get(&key).is_none_or(|kept| kept.asked == asked);
        if is_over {
            all.remove(&key);
        }
        is_over
    }
}

/// Keeps a schedule from now on; if that is being done already, it is looked at now. `token`: under which its partition is
/// owned.
pub(in crate::crawl) fn keep(crawl: &Crawl, key: ScheduleKey, token: Token) {
    let Some(bell) = crawl.keepers.ask(key, token) else { return };
    let task = crawl.clone();
    crawl.spawn(async move {
        let schedules = task.schedules();
        while let Some((token, asked)) = task.keepers.standing(key) {
            let look = if task.shards.owned(key.partition()).await == Some(token) {
                schedules.look(key, Timestamp::now()).await
            } else {
                Ok(Look::Gone)
            };
            let wait = match look {
                Ok(Look::Gone) if task.keepers.end(key, asked) => return,
                Ok(Look::Gone) => continue,
                Ok(Look::Again(wait)) => wait,
                Err(Unavailable) => PAUSE,
            };
            tokio::select! {
                () = bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    });
}

impl Crawl {
    /// Keeps a schedule if its partition is this node's; whether it is.
    pub(in crate::crawl) async fn keep_if_owned(&self, key: ScheduleKey) -> Result<bool, Unavailable> {
        let Some(token) = self.shards.owned(key.partition()).await else { return Ok(false) };
        // Whoever takes the partition over after this finds the schedule in it.
        if !confirm(&self.driver, key.partition(), token).await? {
            return Ok(false);
        }
        keep(self, key, token);
        Ok(true)
    }

    async fn wake(&self, key: ScheduleKey) -> Result<(), Unavailable> {
        let partition = key.partition();
        for attempt in 0..ATTEMPTS {
            let owner = self.router.owner(partition, attempt);
            let kept = if owner == self.driver.me() {
                self.keep_if_owned(key).await.unwrap_or(false)
            } else {
                self.wake_at(owner, key).await
            };
            self.router.learn(partition, owner, kept);
            if kept {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Unavailable)
    }

    async fn wake_at(&self, owner: scrapering_core::id::NodeId, key: ScheduleKey) -> bool {
        let request = v1::KeepRequest { header: self.driver.peers().header(), schedule: key.0.to_vec().into() };
        let Some(mut frontier) = self.driver.peers().frontier(owner) else { return false };
        frontier.keep(request).await.is_ok_and(|reply| !reply.get_ref().not_owned)
    }
}

/// The ring's jobs and keepers.
#[derive(Clone)]
pub(in crate::crawl) struct RingHands(pub(in crate::crawl) Crawl);

impl Hands for RingHands {
    fn begin<'a>(&'a self, job: &'a JobRef, file: &'a ScrapeJobFile) -> BoxFuture<'a, Result<(), JobsError>> {
        Box::pin(async move { self.0.jobs().submit(job, file).await })
    }

    fn status<'a>(&'a self, job: &'a JobRef) -> BoxFuture<'a, Result<JobStatus, JobsError>> {
        Box::pin(async move { self.0.jobs().status(job).await })
    }

    fn remove<'a>(&'a self, job: &'a JobRef) -> BoxFuture<'a, Result<(), JobsError>> {
        Box::pin(async move { self.0.jobs().change(job, &JobChange::Delete, None).await })
    }

    fn wake(&self, key: ScheduleKey) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(self.0.wake(key))
    }
}

impl Crawl {
    /// The schedules, for the doors.
    #[must_use]
    pub fn schedules(&self) -> Schedules {
        Schedules::new(self.registers.clone(), RingHands(self.clone()))
    }
}
