//! Long work on many URLs of a job: to close them, to rule out late admissions, to remove them. It is done piece by
//! piece, so that neither the pipeline nor the records in memory grow with the number of URLs.

use super::commit::{BATCH, Effect, Pending};
use super::job::{JobShard, Stage};
use super::{Event, Shard, Waiter, Work};
use crate::frontier::record::{JobId, PageResult, UrlHash};
use std::collections::VecDeque;

/// What is to be done with each URL.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// It waits no longer, and this became of it.
    Close(PageResult),
    /// Written again as it is: whatever an earlier owner still has on its way fails from then on.
    Fence,
    /// Its record is removed.
    RemoveUrl,
    /// The record of a link that was not followed is removed.
    RemoveLink,
    /// The cookies of an origin are removed; its hash stands for it.
    RemoveJar,
}

/// Work on many URLs.
#[derive(Debug)]
pub(super) struct Chore {
    pub(super) job: JobId,
    pub(super) task: Task,
    pub(super) urls: VecDeque<UrlHash>,
    /// Told when all of it is durable.
    pub(super) waiter: Option<Waiter>,
}

/// How far one URL of a chore is.
enum Step {
    /// On its way, or needless.
    Done,
    /// Its record has to be read first.
    Unread,
    /// Its turn comes later.
    Later,
}

impl Shard {
    /// Closes URLs that are in no queue any more.
    pub(super) fn close_all(&mut self, job: JobId, urls: Vec<UrlHash>, result: PageResult) {
        self.begin(Chore { job, task: Task::Close(result), urls: urls.into(), waiter: None });
    }

    /// Rules out late admissions of an earlier owner for every URL of the job that it could have admitted.
    pub(super) fn fence(&mut self, job: JobId) {
        let Some(shard) = self.jobs.get_mut(&job) else { return };
        let open = shard.urls.iter().filter(|(_, entry)| entry.stage == Stage::Waiting && !entry.admitted);
        let urls: VecDeque<UrlHash> = open.map(|(hash, _)| *hash).collect();
        shard.budget.fencing += urls.len();
        self.begin(Chore { job, task: Task::Fence, urls, waiter: None });
    }

    /// Removes every record of a job that is no longer in the shard.
    pub(super) fn remove_all(&mut self, job: JobId, shard: JobShard, waiter: Option<Waiter>) {
        let (urls, links) = (shard.urls.into_keys().collect(), shard.links.into_iter().collect());
        let jars = shard.jars.into_keys().map(UrlHash).collect();
        self.records.forget(job);
        self.chores.retain(|chore| {
            chore.job != job || matches!(chore.task, Task::RemoveUrl | Task::RemoveLink | Task::RemoveJar)
        });
        self.begin(Chore { job, task: Task::RemoveUrl, urls, waiter: None });
        self.begin(Chore { job, task: Task::RemoveJar, urls: jars, waiter: None });
        self.begin(Chore { job, task: Task::RemoveLink, urls: links, waiter });
    }

    fn begin(&mut self, chore: Chore) {
        if !chore.urls.is_empty() || chore.waiter.is_some() {
            self.chores.push_back(chore);
        }
    }

    /// Records that the first chore needs next.
    pub(super) fn read_for_chores(&mut self) -> Option<Work> {
        let chore = self.chores.front()?;
        let shard = self.jobs.get(&chore.job)?;
        let waits = |hash: &UrlHash| shard.urls.get(hash).is_some_and(|entry| entry.stage == Stage::Waiting);
        match chore.task {
            Task::Close(_) | Task::Fence => self.records.read(chore.job, chore.urls.iter().copied().filter(waits)),
            Task::RemoveUrl | Task::RemoveLink | Task::RemoveJar => None,
        }
    }

    /// Goes on with the chores while the pipeline is short.
    pub(super) fn go_on_with_chores(&mut self) {
        while let Some(mut chore) = self.chores.pop_front() {
            let mut postponed = 0;
            while self.pipeline.len() < BATCH
                && postponed < chore.urls.len()
                && let Some(hash) = chore.urls.pop_front()
            {
                match self.step(&chore, hash) {
                    Step::Done => {}
                    Step::Later => {
                        chore.urls.push_back(hash);
                        postponed += 1;
                    }
                    Step::Unread => {
                        chore.urls.push_front(hash);
                        break;
                    }
                }
            }
            if !chore.urls.is_empty() {
                self.chores.push_front(chore);
                return;
            }
            self.finish(&chore);
        }
    }

    fn finish(&mut self, chore: &Chore) {
        let Some(waiter) = chore.waiter else { return };
        if self.pipeline.is_idle() {
            self.events.push_back(Event::Acknowledged(waiter));
        } else {
            self.pipeline.wait(self.pipeline.last_ticket(), waiter);
        }
    }

    fn step(&mut self, chore: &Chore, hash: UrlHash) -> Step {
        let job = chore.job;
        let stage = self.jobs.get(&job).and_then(|shard| shard.urls.get(&hash)).map(|entry| entry.stage);
        match &chore.task {
            Task::RemoveUrl => _ = self.pipeline.push(Pending::remove(Effect::RemoveUrl(job, hash))),
            Task::RemoveJar => _ = self.pipeline.push(Pending::remove(Effect::RemoveJar(job, hash.0))),
            Task::RemoveLink => _ = self.pipeline.push(Pending::remove(Effect::RemoveLink(job, hash))),
            Task::Close(_) if stage != Some(Stage::Waiting) => {}
            Task::Fence if stage == Some(Stage::Closing) => return Step::Later,
            Task::Fence if stage != Some(Stage::Waiting) => {
                if let Some(shard) = self.jobs.get_mut(&job) {
                    shard.budget.fencing = shard.budget.fencing.saturating_sub(1);
                }
            }
            Task::Close(_) | Task::Fence if self.records.get(job, hash).is_none() => return Step::Unread,
            Task::Close(result) => self.close(job, hash, result.clone()),
            Task::Fence => self.fence_url(job, hash),
        }
        Step::Done
    }

    fn fence_url(&mut self, job: JobId, hash: UrlHash) {
        let entry = self.jobs.get(&job).and_then(|shard| shard.urls.get(&hash));
        if let (Some(entry), Some(record)) = (entry, self.records.get(job, hash)) {
            self.pipeline.push(Pending::fence(job, hash, record.clone(), entry.version));
            self.records.make_room(job, hash);
        }
    }
}
