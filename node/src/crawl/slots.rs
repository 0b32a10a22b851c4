//! Slots of jobs with `parallelism`: before a page of such a job is fetched, this node has a slot for it.
//!
//! The task that holds the shards asks [`Slots::admits`] and counts what it begins; a task for each such job borrows slots
//! from the desk of the job's owner, renews the loan while it is used, and breaks off what still runs when it is over.

use super::Crawl;
use super::desks::Desks;
use super::shards::Command;
use crate::rpc::convert;
use scrapering_core::frontier::keys::job_partition;
use scrapering_core::frontier::record::JobId;
use scrapering_core::frontier::slots::{Ask, Desk, Loan, Next, Purse};
use scrapering_core::id::NodeId;
use scrapering_core::time::Instant;
use scrapering_proto::v1;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long a desk may take to answer; later it is asked again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The slots that this node has, and the desks of the jobs that it owns. A cheap clone.
#[derive(Clone, Default)]
pub(super) struct Slots {
    held: Arc<Mutex<BTreeMap<JobId, Held>>>,
    desks: Desks<Desk>,
    /// Questions asked so far, of all jobs.
    asked: Arc<AtomicU64>,
}

/// What this node has of one job's slots.
struct Held {
    purse: Purse,
    changed: Arc<Notify>,
    /// Cancelled when the loan is over.
    lapsed: CancellationToken,
}

/// As long as this lasts, a request may be under way.
#[derive(Clone)]
pub(super) struct Lease {
    /// Cancelled when the host's partition may have gone to another node.
    partition: CancellationToken,
    /// Cancelled when the job's slot may have gone to another node, if the job has a limit.
    slot: Option<CancellationToken>,
}

impl Lease {
    pub(super) fn new(partition: &CancellationToken, slot: Option<CancellationToken>) -> Self {
        Self { partition: partition.clone(), slot }
    }

    /// What comes of `step`; `None` if the lease ends before.
    pub(super) async fn run<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        let step = self.partition.run_until_cancelled(step);
        match &self.slot {
            Some(slot) => slot.run_until_cancelled(step).await.flatten(),
            None => step.await,
        }
    }
}

impl Slots {
    /// Whether another page of `job`, which has a limit, may be fetched now.
    pub(super) fn admits(&self, job: JobId, now: Instant) -> bool {
        self.held().get(&job).is_some_and(|held| held.purse.admits(now))
    }

    /// A page of `job` is to be fetched; what is cancelled when it must be broken off, if the job has slots here.
    pub(super) fn take(&self, job: JobId, now: Instant) -> Option<CancellationToken> {
        self.at(job, |held| {
            held.purse.handle_taken(now);
            held.lapsed.clone()
        })
    }

    /// A page of `job` was fetched; whether there is a slot for somebody who was turned away.
    pub(super) fn give_back(&self, job: JobId, now: Instant) -> bool {
        let told = self.at(job, |held| {
            held.purse.handle_given_back(now);
            held.purse.is_hungry() && held.purse.admits(now)
        });
        told.unwrap_or(false)
    }

    /// A page of `job` could have been fetched and there was no slot; `under_way` are fetched already.
    pub(super) fn handle_turned_away(&self, crawl: &Crawl, job: JobId, under_way: usize, now: Instant) {
        let mut all = self.held();
        let held = all.entry(job).or_insert_with(|| {
            crawl.spawn(keep(crawl.clone(), job));
            let under_way = u32::try_from(under_way).unwrap_or(u32::MAX);
            let (changed, lapsed) = (Arc::default(), CancellationToken::new());
            Held { purse: Purse::new(under_way, now), changed, lapsed }
        });
        held.purse.handle_turned_away(now);
        held.changed.notify_waiters();
    }

    /// Changes what is held, and lets the task that looks after it look again.
    fn at<T>(&self, job: JobId, change: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.held().get_mut(&job).map(|held| {
            let result = change(held);
            held.changed.notify_waiters();
            result
        })
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<JobId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after the slots of one job until they are given up.
async fn keep(crawl: Crawl, job: JobId) {
    let clock = crawl.driver.clock();
    let mut attempt = 0;
    loop {
        let Some((next, changed)) = look(&crawl, job) else { return };
        match next {
            Next::Look(at) => {
                // Whatever it was, it is looked at again.
                let _ = tokio::time::timeout_at(clock.deadline(at), changed).await;
            }
            Next::Lapse => lapse(&crawl, job),
            Next::Ask => {
                let number = crawl.slot_question();
                let Some(ask) = crawl.slots.at(job, |held| held.purse.begin_ask(number, clock.now())) else { return };
                let answer = ask_in_time(&crawl, job, ask, attempt).await;
                attempt = if answer.is_some() { 0 } else { attempt + 1 };
                let settle = |held: &mut Held| held.purse.handle_answer(ask, answer.flatten(), clock.now());
                if crawl.slots.at(job, settle) == Some(true) {
                    crawl.shards.tell(Command::Slots).await;
                }
            }
            Next::End => {
                let ended = {
                    let mut all = crawl.slots.held();
                    let now = clock.now();
                    all.get(&job).is_some_and(|held| held.purse.next(now) == Next::End) && all.remove(&job).is_some()
                };
                if ended {
                    ask_desk(&crawl, job, Purse::farewell(crawl.slot_question()), 0).await;
                    return;
                }
            }
        }
    }
}

/// What is to be done about the slots of a job, and what tells that they have changed.
fn look(crawl: &Crawl, job: JobId) -> Option<(Next, OwnedNotified)> {
    let all = crawl.slots.held();
    let held = all.get(&job)?;
    Some((held.purse.next(crawl.driver.clock().now()), Arc::clone(&held.changed).notified_owned()))
}

/// The loan is over: what still runs is broken off.
fn lapse(crawl: &Crawl, job: JobId) {
    crawl.slots.at(job, |held| {
        std::mem::take(&mut held.lapsed).cancel();
        held.purse.handle_lapsed(crawl.driver.clock().now());
    });
}

/// Asks the desk, and ends the loan in time whether there is an answer or not.
async fn ask_in_time(crawl: &Crawl, job: JobId, ask: Ask, attempt: usize) -> Option<Option<Loan>> {
    let clock = crawl.driver.clock();
    let patience = clock.now() + PATIENCE;
    let mut answer = std::pin::pin!(ask_desk(crawl, job, ask, attempt));
    loop {
        let over_at = crawl.slots.held().get(&job).and_then(|held| held.purse.over_at());
        let until = over_at.map_or(patience, |at| at.min(patience));
        if let Ok(answer) = tokio::time::timeout_at(clock.deadline(until), &mut answer).await {
            return answer;
        }
        if over_at.is_some_and(|at| at <= clock.now()) {
            lapse(crawl, job);
        }
        if patience <= clock.now() {
            return None;
        }
    }
}

/// What the desk says; `None` if it was not found.
async fn ask_desk(crawl: &Crawl, job: JobId, ask: Ask, attempt: usize) -> Option<Option<Loan>> {
    let partition = job_partition(job);
    let owner = crawl.router.owner(partition, attempt);
    let answer = if owner == crawl.driver.me() {
        crawl.lend(job, owner, ask).await
    } else {
        let message = v1::SlotsRequest {
            header: crawl.driver.peers().header(),
            job: job.0.to_vec().into(),
            boot: ask.number.0,
            number: ask.number.1,
            keep: ask.keep,
            wish: ask.wish,
        };
        let reply = crawl.driver.peers().frontier(owner)?.slots(message).await.ok()?.into_inner();
        answer_of_wire(&reply)
    };
    crawl.router.learn(partition, owner, answer.is_some());
    answer
}

impl Crawl {
    /// The place of this node's next question about slots.
    fn slot_question(&self) -> (u32, u64) {
        (self.driver.boot(), self.slots.asked.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A peer asks for slots of a job.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; nothing was done.
    pub async fn handle_slots(&self, from: NodeId, message: &v1::SlotsRequest) -> Result<v1::SlotsReply, Status> {
        let job = convert::job(&message.job)?;
        let ask = Ask { number: (message.boot, message.number), keep: message.keep, wish: message.wish };
        Ok(answer_to_wire(self.lend(job, from, ask).await))
    }

    /// What this node's desk says; `None` if it does not own the job's partition, or cannot read the job.
    async fn lend(&self, job: JobId, node: NodeId, ask: Ask) -> Option<Option<Loan>> {
        // A job that is gone has no slots.
        let limit = self.specs.spec(job).await.ok()?.map_or(Some(0), |spec| spec.job.parallelism);
        let lend = |desk: &mut Desk, owned_until, now| desk.handle_ask(job, node, ask, limit, owned_until, now);
        self.slots.desks.ask(self, job_partition(job), Desk::new, lend).await
    }
}

fn answer_to_wire(answer: Option<Option<Loan>>) -> v1::SlotsReply {
    match answer {
        None => v1::SlotsReply { not_owned: true, ..v1::SlotsReply::default() },
        Some(None) => v1::SlotsReply { not_now: true, ..v1::SlotsReply::default() },
        Some(Some(Loan { slots, lasts, scarce })) => {
            // Rounded down: the borrower must not think that it lasts longer.
            let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
            v1::SlotsReply { not_owned: false, not_now: false, slots, lasts_ms, scarce }
        }
    }
}

fn answer_of_wire(reply: &v1::SlotsReply) -> Option<Option<Loan>> {
    let loan = Loan { slots: reply.slots, lasts: Duration::from_millis(reply.lasts_ms), scarce: reply.scarce };
    (!reply.not_owned).then(|| (!reply.not_now).then_some(loan))
}
