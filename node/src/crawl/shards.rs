//! The shards that this node owns: one task holds them, does what they ask for, and tells them what came of it.

mod drain;
mod run;

pub(super) use run::run;

use super::claim::Claimed;
use super::coordinator::Order;
use scrapering_core::frontier::opt_out::OptOuts;
use scrapering_core::frontier::record::{
    AttemptRecord, Counters, HostLimits, HostRecord, JobId, RobotsAsked, RobotsFile, Token, UrlHash, UrlRecord,
};
use scrapering_core::frontier::shard::{Attempt, Exchange, HostStatus, Link, Reopened, ResultKind, Unreached};
use scrapering_core::id::Partition;
use scrapering_core::job::{NormalizedUrl, SkipReason, ValidatedJob};
use scrapering_core::register::Outcome;
use scrapering_core::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Commands that wait for the task; more wait with their senders.
const QUEUE: usize = 1024;

/// A partition's answer to a question about its owner.
pub(super) type Report = (Partition, Token, Counters);

/// Where a result is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) partition: Partition,
    pub(super) sequence: u64,
    pub(super) kind: ResultKind,
    pub(super) url: UrlHash,
}

/// Results of a job in the partitions that this node owns.
#[derive(Debug, Default)]
pub(super) struct FoundResults {
    pub(super) results: Vec<Found>,
    pub(super) owned: Vec<(Partition, Token)>,
    pub(super) more: bool,
}

pub(super) enum Command {
    Claimed(Partition, Option<Box<Claimed>>),
    Links(JobId, Vec<(Partition, Link)>, oneshot::Sender<BTreeSet<Partition>>),
    Committed {
        partition: Partition,
        token: Token,
        outcomes: Vec<Outcome>,
        owner: bool,
        began: Instant,
    },
    Confirmed {
        partition: Partition,
        token: Token,
        owner: Option<bool>,
        began: Instant,
    },
    /// The host began to answer a request.
    Answered {
        partition: Partition,
        job: JobId,
        origin: Arc<str>,
    },
    /// An answer to a request for the page sets these cookies.
    Cookies {
        partition: Partition,
        job: JobId,
        url: NormalizedUrl,
        set: Vec<String>,
    },
    /// A request ended, for a page or for robots.txt: its place at the host is free again.
    Fetched {
        partition: Partition,
        job: JobId,
        origin: Arc<str>,
        exchange: Exchange,
    },
    /// A request for a page, or for robots.txt, was not made: the host's address is busy.
    Deferred {
        partition: Partition,
        job: JobId,
        origin: Arc<str>,
        page: Option<UrlHash>,
        pause: Duration,
    },
    /// What came of the page.
    Ended(Box<Ended>),
    Robots {
        partition: Partition,
        job: JobId,
        origin: Arc<str>,
        result: RobotsResult,
    },
    /// The record of a host that was forgotten.
    Host {
        partition: Partition,
        origin: String,
        record: Option<(HostRecord, u64)>,
    },
    Budget {
        partition: Partition,
        job: JobId,
        granted: u64,
    },
    Read {
        partition: Partition,
        job: JobId,
        records: Vec<(UrlHash, Option<(UrlRecord, u64)>)>,
    },
    Job {
        partition: Partition,
        job: JobId,
        spec: Option<(Arc<ValidatedJob>, u64)>,
    },
    Control(JobId, Order),
    /// The job's user has changed it.
    Revised(JobId, Arc<ValidatedJob>),
    Reopen(JobId, Partition, Vec<Reopened>, oneshot::Sender<BTreeSet<Partition>>),
    Report(JobId, oneshot::Sender<Vec<Report>>),
    Results {
        job: JobId,
        after: BTreeMap<Partition, u64>,
        limit: usize,
        pages: bool,
        reply: oneshot::Sender<FoundResults>,
    },
    Purge(JobId, oneshot::Sender<Vec<Partition>>),
    /// Nothing is begun any more; answered with what this node owns once all that was begun has come to its end.
    Drain(oneshot::Sender<Vec<(Partition, Token)>>),
    Owned(Partition, oneshot::Sender<Option<(Token, Instant)>>),
    /// A request for a robots.txt was made.
    RobotsAsked {
        partition: Partition,
        origin: Arc<str>,
        asked: RobotsAsked,
    },
    ResetBreaker(Partition, String, oneshot::Sender<bool>),
    /// The hosts that this node owns, behind an origin, in its order, as far as they are wanted.
    HostStatuses(String, HostFilter, oneshot::Sender<Vec<(Arc<str>, HostStatus)>>),
    /// There may be slots for what was turned away.
    Slots,
    /// The list of hosts that are not to be visited, as it was read; `None` if it could not be.
    OptOuts(Option<Arc<OptOuts>>),
    HostStatus(Partition, String, oneshot::Sender<Option<Option<HostStatus>>>),
    Limits {
        partition: Partition,
        origin: String,
        limits: HostLimits,
        forgive: bool,
        reply: oneshot::Sender<bool>,
    },
}

/// What a request for a robots.txt came to.
pub(super) enum RobotsResult {
    File(RobotsFile),
    Moved(NormalizedUrl),
    Unreached(Unreached),
}

pub(super) struct Ended {
    pub(super) partition: Partition,
    pub(super) job: JobId,
    pub(super) url: UrlHash,
    pub(super) origin: Arc<str>,
    pub(super) attempt: Attempt,
    /// The request, if one was made.
    pub(super) made: Option<AttemptRecord>,
    pub(super) unfollowed: Vec<(NormalizedUrl, SkipReason)>,
}

/// Which hosts are wanted, and how many at most.
pub(super) type HostFilter = (Box<dyn Fn(&HostStatus) -> bool + Send>, usize);

/// A handle to the task. A cheap clone.
#[derive(Clone)]
pub(super) struct Shards {
    commands: mpsc::Sender<Command>,
}

impl Shards {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (commands, inbox) = mpsc::channel(QUEUE);
        (Self { commands }, inbox)
    }

    /// Tells the task something; when it has ended, the node is stopping and nobody needs to know.
    pub(super) async fn tell(&self, command: Command) {
        drop(self.commands.send(command).await);
    }

    /// Makes links durable; returns the partitions that are not this node's, of which nothing is acknowledged.
    pub(super) async fn links(&self, job: JobId, links: Vec<(Partition, Link)>) -> BTreeSet<Partition> {
        let partitions = links.iter().map(|(partition, _)| *partition).collect();
        self.ask(|reply| Command::Links(job, links, reply)).await.unwrap_or(partitions)
    }

    /// The counters of `job` in every partition that this node owns.
    pub(super) async fn report(&self, job: JobId) -> Vec<Report> {
        self.ask(|reply| Command::Report(job, reply)).await.unwrap_or_default()
    }

    /// Committed results behind `after`: pages, or else what was not fetched.
    pub(super) async fn results(
        &self,
        job: JobId,
        after: BTreeMap<Partition, u64>,
        limit: usize,
        pages: bool,
    ) -> FoundResults {
        self.ask(|reply| Command::Results { job, after, limit, pages, reply }).await.unwrap_or_default()
    }

    /// Opens failed pages of `job` in `partition` again; whether that is durable.
    pub(super) async fn reopen(&self, job: JobId, partition: Partition, pages: Vec<Reopened>) -> bool {
        let refused = self.ask(|reply| Command::Reopen(job, partition, pages, reply)).await;
        refused.is_some_and(|refused| refused.is_empty())
    }

    /// Removes the records of `job` from every partition that this node owns; returns those partitions.
    pub(super) async fn purge(&self, job: JobId) -> Vec<Partition> {
        self.ask(|reply| Command::Purge(job, reply)).await.unwrap_or_default()
    }

    /// Begins nothing any more, for ever. Returns once every request that was under way has ended and what came of it is
    /// committed; says what this node owns.
    pub(super) async fn drain(&self) -> Vec<(Partition, Token)> {
        self.ask(Command::Drain).await.unwrap_or_default()
    }

    /// The token under which this node owns `partition`, if it believes to.
    pub(super) async fn owned(&self, partition: Partition) -> Option<Token> {
        self.standing(partition).await.map(|(token, _)| token)
    }

    /// As [`Shards::owned`], and from when on this node may give turns at the partition's addresses.
    pub(super) async fn standing(&self, partition: Partition) -> Option<(Token, Instant)> {
        self.ask(|reply| Command::Owned(partition, reply)).await.flatten()
    }

    /// A host as it is now: `None` if its partition is not this node's, `Some(None)` if nothing is known of it here.
    pub(super) async fn host_status(&self, partition: Partition, origin: &str) -> Option<Option<HostStatus>> {
        self.ask(|reply| Command::HostStatus(partition, origin.to_owned(), reply)).await.flatten()
    }

    /// Tries a host as if it had not failed; `false` if its partition is not this node's.
    pub(super) async fn reset_breaker(&self, partition: Partition, origin: &str) -> bool {
        let origin = origin.to_owned();
        self.ask(|reply| Command::ResetBreaker(partition, origin, reply)).await.unwrap_or(false)
    }

    /// The hosts that this node owns, behind `after`, in the order of their origins, as far as they are wanted.
    pub(super) async fn host_statuses(&self, after: &str, filter: HostFilter) -> Vec<(Arc<str>, HostStatus)> {
        let after = after.to_owned();
        self.ask(|reply| Command::HostStatuses(after, filter, reply)).await.unwrap_or_default()
    }

    /// What the operator asks for a host; `false` if its partition is not this node's.
    pub(super) async fn limits(&self, partition: Partition, origin: &str, limits: HostLimits, forgive: bool) -> bool {
        let origin = origin.to_owned();
        self.ask(|reply| Command::Limits { partition, origin, limits, forgive, reply }).await.unwrap_or(false)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.tell(command(sender)).await;
        receiver.await.ok()
    }
}
