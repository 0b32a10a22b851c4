//! The task behind [`super::Shards`].

use super::super::budget::Share;
use super::super::claim::{self, Respect};
use super::super::coordinator::Order;
use super::super::slots::Lease;
use super::super::witness::Promise;
use super::super::{Crawl, cookies, coordinator, opt_outs, schedules, worker};
use super::drain::Drain;
use super::{Command, Ended, Found, FoundResults, HostFilter, Report, RobotsResult};
use scrapering_core::frontier::Shard;
use scrapering_core::frontier::keys::{Name, origin_hash};
use scrapering_core::frontier::opt_out::OptOuts;
use scrapering_core::frontier::places::Places;
use scrapering_core::frontier::record::{JobId, RecordError, Token, UrlHash, decode};
use scrapering_core::frontier::shard::{
    Control, Event, HostStatus, Link, Reopened, ResultKind, Visit, Waiter, Work, Write,
};
use scrapering_core::id::{Key, NodeId, Partition};
use scrapering_core::job::NormalizedUrl;
use scrapering_core::membership::Liveness;
use scrapering_core::register::{Outcome, Versioned};
use scrapering_core::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Most pages being fetched or parsed on one node; more wait in their queues.
const MOST_VISITS: usize = 256;
/// How long a node must be first in line before it takes a partition from an owner that lives.
const HYSTERESIS: Duration = Duration::from_secs(10);
/// Who is first in line is looked at again at least this often while partitions are missing.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// While there is a job, ownership is confirmed and claims are looked at again this often, whatever was missed.
const REASSURE: Duration = Duration::from_secs(10);
/// While there is a job, the list of hosts that are not to be visited is read again this often.
const OPT_OUTS_READ: Duration = Duration::from_secs(2);
/// Partitions claimed at the same time.
const CLAIMS: usize = 32;
/// Pause before a change that no majority took, or a question that nobody answered, is repeated.
const PAUSE: Duration = Duration::from_millis(200);

/// A request that waits until several shards have acknowledged their part.
struct Request {
    open: BTreeSet<Partition>,
    refused: BTreeSet<Partition>,
    reply: oneshot::Sender<BTreeSet<Partition>>,
}

/// A purge that waits until the shards have acknowledged it.
struct Purge {
    open: BTreeSet<Partition>,
    purged: BTreeSet<Partition>,
    reply: oneshot::Sender<Vec<Partition>>,
}

struct Task {
    crawl: Crawl,
    shards: BTreeMap<Partition, Shard>,
    claiming: BTreeSet<Partition>,
    /// Since when this node is first in line.
    first_since: BTreeMap<Partition, Instant>,
    controls: BTreeMap<JobId, Order>,
    requests: BTreeMap<u64, Request>,
    purges: BTreeMap<u64, Purge>,
    next_request: u64,
    wakes: BTreeMap<Partition, Instant>,
    /// Cancelled when requests for the partition must be broken off.
    leases: BTreeMap<Partition, CancellationToken>,
    /// Who has the places for pages that are being fetched or parsed.
    places: Places,
    /// Hosts that are not to be visited; `None` until the list was read: nothing is fetched before.
    opt_outs: Option<Arc<OptOuts>>,
    reading_opt_outs: bool,
    /// The partition that was served last when places were short.
    last_served: Option<Partition>,
    drain: Drain,
}

/// Runs until the node stops.
pub(in super::super) async fn run(crawl: Crawl, mut inbox: mpsc::Receiver<Command>) {
    let (mut changes, mut views) = (crawl.driver.members().changes(), crawl.driver.views().changes());
    let (mut look_again, mut reassure) = (tokio::time::interval(LOOK_AGAIN), tokio::time::interval(REASSURE));
    reassure.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut opt_outs = tokio::time::interval(OPT_OUTS_READ);
    opt_outs.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut task = Task {
        crawl,
        shards: BTreeMap::new(),
        claiming: BTreeSet::new(),
        first_since: BTreeMap::new(),
        controls: BTreeMap::new(),
        requests: BTreeMap::new(),
        purges: BTreeMap::new(),
        next_request: 0,
        wakes: BTreeMap::new(),
        leases: BTreeMap::new(),
        places: Places::new(MOST_VISITS),
        opt_outs: None,
        reading_opt_outs: false,
        last_served: None,
        drain: Drain::default(),
    };
    // A ring of one has no peers whose changes would tell it to begin.
    task.claim_what_is_due();
    loop {
        let wake = task.wakes.values().min().copied();
        let clock = task.crawl.driver.clock();
        let timer = async {
            match wake {
                Some(at) => tokio::time::sleep_until(clock.deadline(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = inbox.recv() => match command {
                Some(command) => task.handle(command),
                None => return,
            },
            () = timer => task.handle_wake(clock.now()),
            Ok(()) = changes.changed() => task.look_over(),
            Ok(()) = views.changed() => task.claim_what_is_due(),
            _ = reassure.tick(), if !task.controls.is_empty() => task.look_over(),
            _ = opt_outs.tick(), if !task.controls.is_empty() => task.read_opt_outs(),
            _ = look_again.tick(), if !task.is_settled() => task.claim_what_is_due(),
        }
        let owned = task.shards.iter().map(|(partition, shard)| (*partition, shard.token()));
        task.drain.settle(task.places.taken(), owned);
    }
}

impl Task {
    fn handle(&mut self, command: Command) {
        match command {
            Command::Claimed(partition, claimed) => self.handle_claimed(partition, claimed),
            Command::Links(job, links, reply) => self.handle_links(job, links, reply),
            Command::Committed { partition, token, outcomes, owner, began } => {
                self.drain.handle_commit_over(partition);
                self.with(partition, Some(token), |shard, _| shard.handle_committed(outcomes, owner, began));
            }
            Command::Confirmed { partition, token, owner, began } => {
                self.with(partition, Some(token), |shard, _| shard.handle_confirmed(owner, began));
            }
            Command::Answered { partition, job, origin } => {
                self.with(partition, None, |shard, now| shard.handle_answered(job, &origin, now));
            }
            Command::Cookies { partition, job, url, set } => {
                self.with(partition, None, |shard, _| take_cookies(shard, job, &url, &set));
            }
            Command::Fetched { partition, job, origin, exchange } => {
                self.with(partition, None, |shard, now| shard.handle_fetched(job, &origin, &exchange, now));
            }
            Command::Deferred { partition, job, origin, page, pause } => {
                self.with(partition, None, |shard, now| shard.handle_deferred(job, &origin, page, now + pause));
                self.free_place(job);
            }
            Command::Ended(ended) => self.handle_ended(*ended),
            Command::Robots { partition, job, origin, result } => {
                let wall_ms = self.crawl.driver.clock().wall_ms();
                self.with(partition, None, |shard, now| match result {
                    RobotsResult::File(file) => shard.handle_robots(job, &origin, Ok(file), now, wall_ms),
                    RobotsResult::Unreached(error) => shard.handle_robots(job, &origin, Err(error), now, wall_ms),
                    RobotsResult::Moved(target) => shard.handle_robots_moved(&origin, target, now, wall_ms),
                });
                self.free_place(job);
            }
            Command::Host { partition, origin, record } => {
                let wall_ms = self.crawl.driver.clock().wall_ms();
                self.with(partition, None, |shard, now| shard.handle_host(&origin, record, now, wall_ms));
            }
            Command::Budget { partition, job, granted } => {
                self.with(partition, None, |shard, now| shard.handle_budget(job, granted, now));
            }
            Command::Read { partition, job, records } => {
                self.with(partition, None, |shard, _| shard.handle_read(job, records));
            }
            Command::Job { partition, job, spec } => self.with(partition, None, |shard, _| match spec {
                Some((spec, granted)) => shard.handle_job(job, spec, granted),
                None => shard.handle_job_gone(job),
            }),
            Command::Control(job, order) => self.handle_control(job, order),
            Command::Revised(job, spec) => {
                for partition in self.concerned(job) {
                    self.with(partition, None, |shard, _| shard.handle_revised(job, Arc::clone(&spec)));
                }
            }
            Command::Reopen(job, partition, pages, reply) => self.handle_reopen(job, partition, pages, reply),
            // Who has stopped waiting needs no answer.
            Command::Report(job, reply) => drop(reply.send(self.report(job))),
            Command::Results { job, after, limit, pages, reply } => {
                drop(reply.send(self.results(job, &after, limit, pages)));
            }
            Command::Purge(job, reply) => self.handle_purge(job, reply),
            Command::Drain(reply) => self.drain.handle_asked(reply),
            Command::Owned(partition, reply) => {
                let standing = |shard: &Shard| (shard.token(), shard.gives_turns_from());
                // Who has stopped waiting needs no answer, here and below.
                let _ = reply.send(self.shards.get(&partition).map(standing));
            }
            Command::HostStatus(partition, origin, reply) => {
                let now = self.crawl.driver.clock().now();
                let status = self.shards.get(&partition).map(|shard| shard.host_status(&origin, now));
                drop(reply.send(status));
            }
            Command::Limits { partition, origin, limits, forgive, reply } => {
                let _ = reply.send(self.shards.contains_key(&partition));
                let wall_ms = self.crawl.driver.clock().wall_ms();
                self.with(partition, None, |shard, now| shard.handle_limits(&origin, limits, forgive, now, wall_ms));
            }
            Command::ResetBreaker(partition, origin, reply) => {
                let _ = reply.send(self.shards.contains_key(&partition));
                self.with(partition, None, |shard, now| shard.handle_breaker_reset(&origin, now));
            }
            Command::RobotsAsked { partition, origin, asked } => {
                self.with(partition, None, |shard, _| shard.handle_robots_asked(&origin, asked));
            }
            Command::HostStatuses(after, filter, reply) => drop(reply.send(self.host_statuses(&after, &filter))),
            Command::OptOuts(read) => self.handle_opt_outs(read),
            Command::Slots => self.serve_turned_away(),
        }
    }

    /// Tells a shard something and does what it then asks for. `token`: only if it still is that one.
    fn with(&mut self, partition: Partition, token: Option<Token>, tell: impl FnOnce(&mut Shard, Instant)) {
        let now = self.crawl.driver.clock().now();
        let Some(shard) = self.shards.get_mut(&partition) else { return };
        if token.is_none_or(|token| token == shard.token()) {
            tell(shard, now);
            self.pump(partition, now);
        }
    }

    fn handle_wake(&mut self, now: Instant) {
        let due: Vec<Partition> =
            self.wakes.iter().filter(|(_, at)| **at <= now).map(|(partition, _)| *partition).collect();
        due.into_iter().for_each(|partition| self.pump(partition, now));
    }

    /// Does what the shard asks for.
    fn pump(&mut self, partition: Partition, now: Instant) {
        self.wakes.remove(&partition);
        let Some(shard) = self.shards.get_mut(&partition) else { return };
        let token = shard.token();
        let lease = self.leases.entry(partition).or_default();
        loop {
            let slots = &self.crawl.slots;
            let no_slot = |job: &JobId| shard.is_limited(*job) && !slots.admits(*job, now);
            let barred = match self.opt_outs {
                Some(_) if !self.drain.has_begun() => {
                    self.places.barred(shard.jobs()).into_iter().chain(shard.jobs().filter(no_slot)).collect()
                }
                _ => shard.jobs().collect(),
            };
            shard.handle_barred(barred);
            let Some(work) = shard.poll_work(now) else { break };
            if let Work::Fetch { job, spec, .. } | Work::Robots { job, spec, .. } = &work {
                self.places.handle_weight(*job, spec.weight);
                self.places.handle_taken(*job);
                self.last_served = Some(partition);
            }
            start(&self.crawl, partition, token, lease, work);
        }
        for job in shard.turned_away().filter(|_| !self.drain.has_begun()) {
            if shard.is_limited(job) && !self.crawl.slots.admits(job, now) {
                // Nothing is kept for a job that could not use it.
                self.crawl.slots.handle_turned_away(&self.crawl, job, self.places.taken_by(job), now);
                self.places.handle_content(job);
            } else if let Some(spec) = shard.job(job) {
                self.places.handle_weight(job, spec.weight);
                self.places.handle_turned_away(job);
            }
        }
        if let Some(at) = shard.poll_timeout() {
            self.wakes.insert(partition, at);
        }
        if let Some(writes) = shard.poll_commit() {
            self.drain.handle_commit_begun(partition);
            self.crawl.spawn(commit(self.crawl.clone(), partition, token, writes));
        }
        let events: Vec<Event> = std::iter::from_fn(|| shard.poll_event()).collect();
        for event in events {
            match event {
                Event::Acknowledged(waiter) => self.acknowledge(partition, waiter),
                Event::Lapsed => self.break_off(partition),
                Event::Lost => self.lose(partition),
            }
        }
    }

    fn break_off(&mut self, partition: Partition) {
        if let Some(lease) = self.leases.remove(&partition) {
            lease.cancel();
        }
    }

    fn lose(&mut self, partition: Partition) {
        self.break_off(partition);
        tracing::info!(%partition, "another node owns the partition now");
        self.shards.remove(&partition);
        self.wakes.remove(&partition);
        self.first_since.remove(&partition);
        let waiting: Vec<u64> =
            self.requests.iter().filter(|(_, request)| request.open.contains(&partition)).map(|(id, _)| *id).collect();
        for id in waiting {
            if let Some(request) = self.requests.get_mut(&id) {
                request.refused.insert(partition);
            }
            self.settle(partition, id);
        }
        let purging: Vec<u64> =
            self.purges.iter().filter(|(_, purge)| purge.open.contains(&partition)).map(|(id, _)| *id).collect();
        for id in purging {
            if let Some(purge) = self.purges.get_mut(&id) {
                purge.purged.remove(&partition);
            }
            self.settle_purge(partition, id);
        }
    }

    fn acknowledge(&mut self, partition: Partition, Waiter(id): Waiter) {
        self.settle(partition, id);
        self.settle_purge(partition, id);
    }

    fn settle(&mut self, partition: Partition, id: u64) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.open.remove(&partition);
        if request.open.is_empty()
            && let Some(request) = self.requests.remove(&id)
        {
            drop(request.reply.send(request.refused));
        }
    }

    fn settle_purge(&mut self, partition: Partition, id: u64) {
        let Some(purge) = self.purges.get_mut(&id) else { return };
        purge.open.remove(&partition);
        if purge.open.is_empty()
            && let Some(purge) = self.purges.remove(&id)
        {
            drop(purge.reply.send(purge.purged.into_iter().collect()));
        }
    }

    fn request_id(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    fn handle_links(&mut self, job: JobId, links: Vec<(Partition, Link)>, reply: oneshot::Sender<BTreeSet<Partition>>) {
        let mut by_partition: BTreeMap<Partition, Vec<Link>> = BTreeMap::new();
        for (partition, link) in links {
            by_partition.entry(partition).or_default().push(link);
        }
        let (owned, refused): (BTreeSet<_>, BTreeSet<_>) =
            by_partition.keys().copied().partition(|partition| self.shards.contains_key(partition));
        let id = self.request_id();
        if owned.is_empty() {
            drop(reply.send(refused));
            return;
        }
        self.requests.insert(id, Request { open: owned.clone(), refused, reply });
        let control = self.controls.get(&job).map(|order| order.control);
        for partition in owned {
            let links = by_partition.remove(&partition).unwrap_or_default();
            self.with(partition, None, |shard, _| {
                shard.handle_links(job, links, Waiter(id));
                if let Some(control) = control {
                    shard.handle_control(job, control);
                }
            });
        }
    }

    fn handle_ended(&mut self, ended: Ended) {
        let Ended { partition, job, url, origin, attempt, made, unfollowed } = ended;
        self.with(partition, None, |shard, now| {
            shard.handle_outcome(&Visit { job, url, origin: &origin, made }, attempt, unfollowed, now)
        });
        self.free_place(job);
    }

    /// A place is free: whoever waited for one may go on, the partitions by turns.
    fn free_place(&mut self, job: JobId) {
        self.places.handle_given_back(job);
        let has_slot = self.crawl.slots.give_back(job, self.crawl.driver.clock().now());
        if has_slot || self.places.is_awaited() {
            self.serve_turned_away();
        }
    }

    /// Whoever got no place, or no slot, may have one now.
    fn serve_turned_away(&mut self) {
        let now = self.crawl.driver.clock().now();
        let waiting: BTreeSet<JobId> = self.shards.values().flat_map(Shard::turned_away).collect();
        let content: Vec<JobId> = self.controls.keys().copied().filter(|job| !waiting.contains(job)).collect();
        content.into_iter().for_each(|job| self.places.handle_content(job));
        let behind = |partition: &Partition| self.last_served.is_some_and(|last| *partition <= last);
        let with_work = |shard: &Shard| shard.turned_away().next().is_some();
        let wanting = self.shards.iter().filter(|(_, shard)| with_work(shard)).map(|(partition, _)| *partition);
        let (later, sooner): (Vec<Partition>, Vec<Partition>) = wanting.partition(behind);
        sooner.into_iter().chain(later).for_each(|partition| self.pump(partition, now));
    }

    fn handle_control(&mut self, job: JobId, order: Order) {
        if self.controls.is_empty() {
            // Nobody has read the list for a while.
            self.opt_outs = None;
            self.read_opt_outs();
        }
        let before = self.controls.insert(job, order);
        if order.revision > before.map_or(0, |before| before.revision) {
            self.crawl.spawn(revise(self.crawl.clone(), job, order.revision));
        }
        let revision = order.revision.max(before.map_or(0, |before| before.revision));
        self.controls.insert(job, Order { revision, ..order });
        if before.map(|before| before.control) == Some(order.control) {
            return;
        }
        for partition in self.concerned(job) {
            self.with(partition, None, |shard, _| shard.handle_control(job, order.control));
        }
    }

    /// Reads the list of hosts that are not to be visited.
    fn read_opt_outs(&mut self) {
        if std::mem::replace(&mut self.reading_opt_outs, true) {
            return;
        }
        let crawl = self.crawl.clone();
        self.crawl.spawn(async move {
            let read = opt_outs::read(&crawl.driver).await.ok().map(|(list, _)| Arc::new(list));
            crawl.shards.tell(Command::OptOuts(read)).await;
        });
    }

    fn handle_opt_outs(&mut self, read: Option<Arc<OptOuts>>) {
        self.reading_opt_outs = false;
        // What was read before holds until it can be read again.
        let Some(read) = read.filter(|read| self.opt_outs.as_ref() != Some(read)) else { return };
        self.opt_outs = Some(Arc::clone(&read));
        for partition in self.shards.keys().copied().collect::<Vec<_>>() {
            self.with(partition, None, |shard, _| shard.handle_opt_outs(Arc::clone(&read)));
        }
    }

    fn host_statuses(&self, after: &str, (wanted, limit): &HostFilter) -> Vec<(Arc<str>, HostStatus)> {
        let now = self.crawl.driver.clock().now();
        let mut found: BTreeMap<Arc<str>, HostStatus> = BTreeMap::new();
        for (origin, status) in self.shards.values().flat_map(|shard| shard.host_statuses(now)) {
            if &*origin > after && wanted(&status) {
                found.insert(origin, status);
                if found.len() > *limit {
                    found.pop_last();
                }
            }
        }
        found.into_iter().collect()
    }

    /// Partitions of this node that hold something of `job`.
    fn concerned(&self, job: JobId) -> Vec<Partition> {
        let holds = |(_, shard): &(&Partition, &Shard)| shard.jobs().any(|id| id == job);
        self.shards.iter().filter(holds).map(|(partition, _)| *partition).collect()
    }

    fn handle_reopen(
        &mut self,
        job: JobId,
        partition: Partition,
        pages: Vec<Reopened>,
        reply: oneshot::Sender<BTreeSet<Partition>>,
    ) {
        if !self.shards.contains_key(&partition) {
            drop(reply.send(BTreeSet::from([partition])));
            return;
        }
        let id = self.request_id();
        self.requests.insert(id, Request { open: BTreeSet::from([partition]), refused: BTreeSet::new(), reply });
        self.with(partition, None, |shard, _| shard.handle_reopen(job, pages, Waiter(id)));
    }

    fn report(&self, job: JobId) -> Vec<Report> {
        self.shards.iter().map(|(partition, shard)| (*partition, shard.token(), shard.counters(job))).collect()
    }

    fn results(&self, job: JobId, after: &BTreeMap<Partition, u64>, limit: usize, pages: bool) -> FoundResults {
        let owned = self.shards.iter().map(|(partition, shard)| (*partition, shard.token())).collect();
        let mut found = FoundResults { owned, ..FoundResults::default() };
        for (partition, shard) in &self.shards {
            let room = limit - found.results.len();
            let seen = after.get(partition).copied().unwrap_or(0);
            let next = shard.results(job, seen, room + 1, |kind| (kind == ResultKind::Page) == pages);
            found.more |= next.len() > room;
            let place = |(sequence, kind, url)| Found { partition: *partition, sequence, kind, url };
            found.results.extend(next.into_iter().take(room).map(place));
        }
        found
    }

    fn handle_purge(&mut self, job: JobId, reply: oneshot::Sender<Vec<Partition>>) {
        self.controls.remove(&job);
        self.crawl.specs.forget(job);
        let owned: BTreeSet<Partition> = self.shards.keys().copied().collect();
        if owned.is_empty() {
            drop(reply.send(Vec::new()));
            return;
        }
        let id = self.request_id();
        self.purges.insert(id, Purge { open: owned.clone(), purged: owned.clone(), reply });
        for partition in owned {
            self.with(partition, None, |shard, _| shard.handle_purge(job, Waiter(id)));
        }
    }

    fn handle_claimed(&mut self, partition: Partition, claimed: Option<Box<claim::Claimed>>) {
        self.claiming.remove(&partition);
        if let Some(claimed) = claimed {
            let token = claimed.shard.token();
            let mut shard = claimed.shard;
            shard.handle_opt_outs(self.opt_outs.clone().unwrap_or_default());
            self.shards.insert(partition, shard);
            for job in claimed.jobs {
                coordinator::start(&self.crawl, job, partition, token);
            }
            for schedule in claimed.schedules {
                schedules::keep(&self.crawl, schedule, token);
            }
            let known: Vec<(JobId, Control)> = self.shards[&partition]
                .jobs()
                .filter_map(|job| Some((job, self.controls.get(&job)?.control)))
                .collect();
            self.with(partition, None, |shard, _| {
                known.into_iter().for_each(|(job, control)| shard.handle_control(job, control))
            });
        }
        self.claim_what_is_due();
    }

    /// Looks at everything that this node owns or should own.
    fn look_over(&mut self) {
        self.confirm_all();
        self.claim_what_is_due();
    }

    /// Others may have taken partitions over unnoticed: an idle owner asks nobody.
    fn confirm_all(&self) {
        for (partition, shard) in &self.shards {
            self.crawl.spawn(confirm(self.crawl.clone(), *partition, shard.token()));
        }
    }

    /// Whether this node owns every partition that it is first in line for.
    fn is_settled(&self) -> bool {
        self.first_since.keys().all(|partition| self.shards.contains_key(partition))
    }

    /// Claims partitions whose members before this node are all down, as many at a time as is good.
    fn claim_what_is_due(&mut self) {
        if self.drain.has_begun() {
            return;
        }
        let (driver, now) = (self.crawl.driver.clone(), self.crawl.driver.clock().now());
        for partition in Partition::all() {
            let view = driver.view(partition);
            let mut before_me = view.members.iter().take_while(|member| **member != driver.me());
            let may_live = |node: &NodeId| !matches!(driver.members().liveness(*node), Liveness::Down | Liveness::Left);
            if !view.has(driver.me()) || before_me.any(may_live) {
                self.first_since.remove(&partition);
                continue;
            }
            let since = *self.first_since.entry(partition).or_insert(now);
            if self.shards.contains_key(&partition) || self.claiming.len() >= CLAIMS || !self.claiming.insert(partition)
            {
                continue;
            }
            let respect = if now.since(since) < HYSTERESIS { Respect::LivingOwner } else { Respect::Nobody };
            let crawl = self.crawl.clone();
            self.crawl.spawn(async move {
                let claimed = claim::claim(&crawl.driver, partition, respect, crawl.policy).await.ok().flatten();
                crawl.shards.tell(Command::Claimed(partition, claimed.map(Box::new))).await;
            });
        }
    }
}

/// What an answer makes of the cookies of a job at a host.
fn take_cookies(shard: &mut Shard, job: JobId, url: &NormalizedUrl, set: &[String]) {
    let (origin, Some(spec)) = (url.origin(), shard.job(job)) else { return };
    let jar = shard.cookies(job, &origin);
    if let Some(jar) = cookies::absorb(jar.as_deref(), &spec.request, url, set) {
        shard.handle_cookies(job, &origin, &jar);
    }
}

/// Starts one piece of work in a task of its own.
fn start(crawl: &Crawl, partition: Partition, token: Token, lease: &CancellationToken, work: Work) {
    let task = crawl.clone();
    let lease = |job| Lease::new(lease, crawl.slots.take(job, crawl.driver.clock().now()));
    match work {
        Work::Fetch { job, spec, url, hash, depth, way, attempt, cookies, history } => {
            let promise = Promise::new(&spec, &crawl.policy, url.host());
            let visit = worker::Visit { partition, job, promise, url, hash, depth, way, attempt, cookies, history };
            crawl.spawn(worker::visit(task, visit, lease(job)));
        }
        Work::Robots { job, spec, origin, moved } => {
            let errand = worker::RobotsErrand { partition, job, spec, origin: origin.into(), moved };
            crawl.spawn(worker::robots(task, errand, lease(job)))
        }
        Work::Host { origin } => crawl.spawn(async move {
            let key = Name::Host(origin_hash(&origin)).key(partition);
            let value = loop {
                match task.driver.read_one(key.clone()).await {
                    Ok(value) => break value,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            };
            let record = value.and_then(|value| Some((decode(value.content.as_deref()?).ok()?, value.version)));
            task.shards.tell(Command::Host { partition, origin, record }).await;
        }),
        Work::Budget { job, wanted } => crawl.spawn(async move {
            let granted = share(&task, job, partition, token).take(wanted).await;
            task.shards.tell(Command::Budget { partition, job, granted }).await;
        }),
        Work::GiveBack { job, pages } => {
            crawl.spawn(async move { share(&task, job, partition, token).give_back(pages).await })
        }
        Work::Confirm => crawl.spawn(confirm(task, partition, token)),
        Work::Read { job, urls } => crawl.spawn(read(task, partition, job, urls)),
        Work::Job(job) => crawl.spawn(async move {
            let spec = loop {
                match task.specs.spec(job).await {
                    Ok(spec) => break spec,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            };
            let spec = match spec {
                Some(spec) => Some((spec.job.clone(), share(&task, job, partition, token).claim().await)),
                None => None,
            };
            task.shards.tell(Command::Job { partition, job, spec }).await;
        }),
    }
}

fn share(crawl: &Crawl, job: JobId, partition: Partition, token: Token) -> Share {
    Share { driver: crawl.driver.clone(), job, partition, token }
}

/// Reads the records of URLs whose turn is near.
async fn read(crawl: Crawl, partition: Partition, job: JobId, urls: Vec<UrlHash>) {
    let keys: Vec<Key> = urls.iter().map(|url| Name::Url(job, *url).key(partition)).collect();
    let values = loop {
        match crawl.driver.read(partition, keys.clone()).await {
            Ok(values) => break values,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    let record = |value: Option<Versioned>| {
        let unreadable = |error: &RecordError| tracing::error!(%error, %job, "a URL is passed over");
        let value = value?;
        Some((decode(value.content.as_deref()?).inspect_err(unreadable).ok()?, value.version))
    };
    let records = urls.into_iter().zip(values.into_iter().map(record)).collect();
    crawl.shards.tell(Command::Read { partition, job, records }).await;
}

/// Reads a job that its user has changed.
async fn revise(crawl: Crawl, job: JobId, revision: u32) {
    loop {
        match crawl.specs.at_least(job, revision).await {
            Ok(Some(spec)) => return crawl.shards.tell(Command::Revised(job, spec.job.clone())).await,
            Ok(None) => return,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Asks whether this node is still the owner.
async fn confirm(crawl: Crawl, partition: Partition, token: Token) {
    let began = crawl.driver.clock().now();
    let owner = claim::confirm(&crawl.driver, partition, token).await.ok();
    if owner.is_none() {
        tokio::time::sleep(PAUSE).await;
    }
    crawl.shards.tell(Command::Confirmed { partition, token, owner, began }).await;
}

/// Makes a batch of changes and then asks whether this node is still the owner: only then they count.
async fn commit(crawl: Crawl, partition: Partition, token: Token, writes: Vec<Write>) {
    let changes = writes.into_iter().map(|write| (write.key, write.change)).collect();
    let outcomes = crawl.driver.change(partition, changes).await;
    if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Unavailable | Outcome::Indeterminate)) {
        tokio::time::sleep(PAUSE).await;
    }
    loop {
        let began = crawl.driver.clock().now();
        match claim::confirm(&crawl.driver, partition, token).await {
            Ok(owner) => {
                crawl.shards.tell(Command::Committed { partition, token, outcomes, owner, began }).await;
                return;
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
