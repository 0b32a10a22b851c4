//! A small world: a web of a few hosts, two partitions, successive owners, registers whose answers get lost.
//!
//! Everything happens on a virtual clock (milliseconds) in an order that the seed decides. Requests last less
//! than the fifth of a lease that an owner keeps as its margin, as the rule for takeovers supposes.

mod check;
mod web;

pub(super) use web::Web;

use super::dice::Dice;
use super::registers::{Registers, Straggler};
use super::*;
use crate::frontier::history::History;
use crate::frontier::keys::origin_hash;
use crate::frontier::record::{BudgetRecord, HostRecord};
use crate::id::Key;
use crate::job::recrawl::{Emit, Recrawl};
use crate::register::Versioned;
use std::collections::BTreeSet;

pub(super) const PARTS: u16 = 2;
/// More events than any run needs: a run that gets here goes round in circles.
const EVENTS_MAX: usize = 200_000;

/// When a job that would go on for ever is stopped.
pub(super) const STOPPED_AT: u64 = 200_000;
/// How pages are visited again.
const RECRAWL: Recrawl = Recrawl {
    conditional: true,
    min: Duration::from_secs(5),
    max: Duration::from_secs(60),
    incr_permille: 500,
    decr_permille: 500,
    emit: Emit::Changed,
};

/// What may go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) lost_answers: bool,
    pub(super) takeovers: u64,
    pub(super) max_pages: Option<u64>,
    pub(super) concurrency: u32,
    /// Pages are visited again and again, until the job is stopped.
    pub(super) recrawl: bool,
}

/// An owner of a partition, present or former.
pub(super) struct Site {
    pub(super) shard: Option<Shard>,
    part: u16,
    token: Token,
    claimed_at: u64,
    dead: bool,
    robots_loaded: BTreeSet<String>,
}

/// A request as the host sees it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) origin: String,
    pub(super) path: String,
    pub(super) answered: u64,
    pub(super) ended: u64,
    pub(super) site: usize,
}

/// An attempt at a page. It ends when the owners of all its links have acknowledged them.
struct Attempting {
    site: usize,
    url: NormalizedUrl,
    depth: u32,
    seen: usize,
    history: Option<Box<History>>,
    unacknowledged: BTreeSet<u16>,
}

enum Happening {
    Apply(usize, Vec<Write>),
    Committed(usize, Vec<Outcome>, Option<bool>, u64),
    Straggle(Straggler),
    Answered(usize),
    Ended(usize),
    RobotsEnded(usize, String),
    Budget(usize, i64),
    Job(usize),
    Confirmed(usize, Option<bool>, u64),
    Read(usize, Vec<UrlHash>),
    Takeover(u16),
    Stop,
    Load(usize),
    Wake(usize),
}

pub(super) struct World {
    pub(super) web: Web,
    pub(super) registers: Registers,
    pub(super) budget: BudgetRecord,
    pub(super) sites: Vec<Site>,
    pub(super) seen: Vec<Seen>,
    /// How often a reader that goes on after its cursor has seen each URL.
    pub(super) read: BTreeMap<UrlHash, usize>,
    pub(super) faults: Faults,
    pub(super) spec: Arc<ValidatedJob>,
    dice: Dice,
    now: u64,
    agenda: BTreeMap<(u64, u64), Happening>,
    happenings: u64,
    attempts: BTreeMap<usize, Attempting>,
    /// The page (or the seeds, `None`) and the part for whose links a waiter waits.
    waiters: BTreeMap<Waiter, (Option<usize>, u16)>,
    seeds_missing: BTreeSet<u16>,
    cursors: BTreeMap<u16, u64>,
    /// When each site is woken next.
    wakes: BTreeMap<usize, u64>,
    control: Control,
}

pub(super) fn part_of(origin: &str) -> u16 {
    u16::from(origin.bytes().map(u32::from).sum::<u32>() % 2 == 1)
}

impl World {
    /// Runs the job to its end.
    pub(super) fn run(seed: u64, faults: Faults) -> Self {
        let mut spec = job();
        spec.limits.max_pages = faults.max_pages;
        spec.recrawl = faults.recrawl.then_some(RECRAWL);
        spec.politeness.concurrent_requests_per_host = faults.concurrency.max(1);
        let mut world = Self {
            web: Web::new(seed),
            registers: Registers::default(),
            budget: BudgetRecord::new(faults.max_pages.unwrap_or(0)),
            sites: Vec::new(),
            seen: Vec::new(),
            read: BTreeMap::new(),
            faults,
            spec: Arc::new(spec),
            dice: Dice::new(seed),
            now: 0,
            agenda: BTreeMap::new(),
            happenings: 0,
            attempts: BTreeMap::new(),
            waiters: BTreeMap::new(),
            seeds_missing: (0..PARTS).collect(),
            cursors: BTreeMap::new(),
            wakes: BTreeMap::new(),
            control: Control::Run,
        };
        (0..PARTS).for_each(|part| world.claim(part, Previous::Nobody));
        for _ in 0..faults.takeovers {
            let (part, at) = (world.dice.below(u64::from(PARTS)) as u16, world.dice.below(40_000));
            world.later(at, Happening::Takeover(part));
        }
        if faults.recrawl {
            world.later(STOPPED_AT, Happening::Stop);
        }
        while let Some(((now, _), happening)) = world.agenda.pop_first() {
            world.now = now;
            world.happen(happening);
            world.close_when_used_up();
            assert!((world.happenings as usize) < EVENTS_MAX, "seed {seed} never ends: {faults:?}");
        }
        world.poll_reader(0);
        world.poll_reader(1);
        world
    }

    fn later(&mut self, delay: u64, happening: Happening) {
        self.happenings += 1;
        self.agenda.insert((self.now + delay, self.happenings), happening);
    }

    fn soon(&mut self, happening: Happening) {
        let delay = 1 + self.dice.below(40);
        self.later(delay, happening);
    }

    fn instant(&self) -> Instant {
        at(self.now)
    }

    /// The newest owner of `part`, if it has loaded its records.
    pub(super) fn owner(&self, part: u16) -> Option<usize> {
        let newest = self.sites.iter().rposition(|site| site.part == part)?;
        self.sites[newest].shard.is_some().then_some(newest)
    }

    fn owns(&self, site: usize) -> bool {
        let Site { part, token, .. } = self.sites[site];
        self.sites.iter().filter(|other| other.part == part).all(|other| other.token <= token)
    }

    fn claim(&mut self, part: u16, previous: Previous) {
        let token = Token(1 + self.sites.iter().filter(|site| site.part == part).count() as u64);
        let site = Site { shard: None, part, token, claimed_at: self.now, dead: false, robots_loaded: BTreeSet::new() };
        self.sites.push(site);
        let delay = if previous == Previous::Nobody { 0 } else { self.dice.below(3_000) };
        self.later(delay, Happening::Load(self.sites.len() - 1));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Takeover(part) => self.take_over(part),
            Happening::Stop => self.order(Control::Close(SkipReason::JobStopped)),
            Happening::Load(site) => self.load(site),
            Happening::Straggle(straggler) => self.registers.finish(straggler),
            Happening::Apply(site, batch) => self.apply(site, &batch),
            Happening::Committed(site, outcomes, owner, began) => self.committed(site, outcomes, owner, began),
            Happening::Answered(attempt) => self.answered(attempt),
            Happening::Ended(attempt) => self.ended(attempt),
            Happening::Budget(site, pages) => self.change_budget(site, pages),
            Happening::RobotsEnded(site, origin) => {
                let robots = Web::robots(&origin);
                let (now, wall_ms) = (self.instant(), self.now);
                self.with(site, |shard| {
                    shard.handle_fetched(JOB, &origin, &Exchange::untold(false), now);
                    shard.handle_robots(JOB, &origin, Ok(robots), now, wall_ms);
                });
            }
            Happening::Job(site) => self.answer_job(site),
            Happening::Confirmed(site, owner, began) => {
                self.with(site, |shard| shard.handle_confirmed(owner, at(began)))
            }
            Happening::Read(site, urls) => {
                let records = self.registers.read_urls(Partition(self.sites[site].part), JOB, urls);
                self.with(site, |shard| shard.handle_read(JOB, records));
            }
            Happening::Wake(site) => self.with(site, |_| {}),
        }
    }

    fn take_over(&mut self, part: u16) {
        let Some(former) = self.owner(part) else { return };
        // Half of the former owners are gone at once, the others find out when they ask.
        self.sites[former].dead = self.dice.one_in(2);
        self.claim(part, Previous::Other);
    }

    fn load(&mut self, index: usize) {
        let Site { part, token, claimed_at, .. } = self.sites[index];
        let previous = if token == Token(1) { Previous::Nobody } else { Previous::Other };
        let room = self.dice.below(4) as usize;
        let mut shard = Shard::open(Partition(part), token, at(claimed_at), previous).with_room(room).with_policy(
            Policy::default(),
            at(self.now),
            self.now,
        );
        let records: Vec<(&Key, &Versioned)> =
            self.registers.map.iter().filter(|(key, _)| key.partition.0 == part).collect();
        for (key, value) in records {
            shard.load(key, value, at(self.now), self.now).expect("a record");
            if let (Some(Name::Host(_)), Some(content)) = (Name::parse(key), &value.content) {
                let record: HostRecord = decode(content).expect("a record");
                self.sites[index].robots_loaded.insert(record.origin);
            }
        }
        self.sites[index].shard = Some(shard);
        // Whoever waits for a former owner turns to this one.
        let mut asking: Vec<Option<usize>> = self
            .attempts
            .iter()
            .filter(|(_, page)| page.unacknowledged.contains(&part))
            .map(|(id, _)| Some(*id))
            .collect();
        asking.extend(self.seeds_missing.contains(&part).then_some(None));
        asking.into_iter().for_each(|page| self.send_links(page, part));
        self.with(index, |_| {});
    }

    /// Gives an input to a site that still lives, and carries out what it asks for.
    fn with(&mut self, index: usize, input: impl FnOnce(&mut Shard)) {
        if self.sites[index].dead {
            return;
        }
        let Some(shard) = self.sites[index].shard.as_mut() else { return };
        input(shard);
        self.drain(index);
        self.poll_reader(self.sites[index].part);
    }

    fn drain(&mut self, index: usize) {
        let now = self.instant();
        while let Some(shard) = self.sites[index].shard.as_mut() {
            if let Some(batch) = shard.poll_commit() {
                let keys: BTreeSet<&Key> = batch.iter().map(|write| &write.key).collect();
                assert_eq!(keys.len(), batch.len(), "a key appears once in a batch");
                self.soon(Happening::Apply(index, batch));
            } else if let Some(event) = shard.poll_event() {
                self.event(index, &event);
            } else if let Some(work) = shard.poll_work(now) {
                self.work(index, work);
            } else {
                let Some(wake) = shard.poll_timeout() else { return };
                assert!(wake > now, "a wake-up in the past makes the caller spin");
                let delay = (wake.since(now).as_millis() as u64).max(1);
                // Each input would begin a row of wake-ups of its own, and a job that goes on would never be rid of them.
                if self.wakes.get(&index).is_none_or(|at| *at <= self.now || *at > self.now + delay) {
                    self.wakes.insert(index, self.now + delay);
                    self.later(delay, Happening::Wake(index));
                }
                return;
            }
        }
    }

    fn apply(&mut self, site: usize, batch: &[Write]) {
        let mut outcomes = Vec::new();
        for write in batch {
            if !self.faults.lost_answers {
                outcomes.push(self.registers.apply(&write.key, &write.change));
                continue;
            }
            let (outcome, straggler) = self.registers.apply_badly(&write.key, &write.change, &mut self.dice);
            outcomes.push(outcome);
            if let Some(straggler) = straggler {
                let delay = self.dice.below(8_000);
                self.later(delay, Happening::Straggle(straggler));
            }
        }
        self.soon(Happening::Committed(site, outcomes, None, 0));
    }

    /// Between the answers to a batch and the shard lies the question whether it is still the owner.
    fn committed(&mut self, site: usize, outcomes: Vec<Outcome>, owner: Option<bool>, began: u64) {
        match owner {
            None => {
                let owner = Some(self.owns(site));
                self.soon(Happening::Committed(site, outcomes, owner, self.now));
            }
            Some(owner) => self.with(site, |shard| shard.handle_committed(outcomes, owner, at(began))),
        }
    }

    fn event(&mut self, site: usize, event: &Event) {
        match event {
            Event::Acknowledged(waiter) => self.acknowledged(*waiter),
            Event::Lapsed => self.break_off(site),
            Event::Lost => assert!(!self.owns(site), "only a deposed owner is lost"),
        }
    }

    fn work(&mut self, site: usize, work: Work) {
        match work {
            Work::Fetch { url, depth, hash, history, .. } => self.fetch(site, url, depth, hash, history),
            Work::Robots { origin, .. } => self.fetch_robots(site, origin),
            Work::Host { origin } => {
                let (key, now) =
                    (Name::Host(origin_hash(&origin)).key(Partition(self.sites[site].part)), self.instant());
                let read = |value: &Versioned| Some((decode(value.content.as_deref()?).ok()?, value.version));
                let record = self.registers.map.get(&key).and_then(read);
                let wall_ms = self.now;
                self.with(site, |shard| shard.handle_host(&origin, record, now, wall_ms));
            }
            Work::Budget { wanted, .. } => self.soon(Happening::Budget(site, wanted as i64)),
            Work::GiveBack { pages, .. } => self.soon(Happening::Budget(site, -(pages as i64))),
            Work::Job(_) => self.soon(Happening::Job(site)),
            Work::Read { urls, .. } => self.soon(Happening::Read(site, urls)),
            Work::Confirm => {
                let owner = if self.faults.lost_answers && self.dice.one_in(4) { None } else { Some(self.owns(site)) };
                let began = self.now;
                self.soon(Happening::Confirmed(site, owner, began));
            }
        }
    }

    fn answer_job(&mut self, site: usize) {
        let (part, token) = (self.sites[site].part, self.sites[site].token);
        let Ok(granted) = self.budget.claim(Partition(part), token) else { return };
        let (spec, control) = (self.spec.clone(), self.control);
        self.with(site, |shard| {
            shard.handle_job(JOB, spec, granted);
            shard.handle_control(JOB, control);
        });
    }

    fn change_budget(&mut self, site: usize, pages: i64) {
        let (part, token) = (Partition(self.sites[site].part), self.sites[site].token);
        if self.sites[site].dead || self.budget.claim(part, token).is_err() {
            return;
        }
        if pages < 0 {
            self.budget.give_back(part, pages.unsigned_abs());
        } else {
            let (granted, now) = (self.budget.take(part, pages.unsigned_abs()), self.instant());
            self.with(site, |shard| shard.handle_budget(JOB, granted, now));
        }
    }

    /// As the job's owner: once every page of the limit is admitted, the rest is closed.
    fn close_when_used_up(&mut self) {
        let Some(max) = self.faults.max_pages else { return };
        if self.control != Control::Run || self.budget.remaining > 0 || !self.seeds_missing.is_empty() {
            return;
        }
        let owners: Vec<Option<usize>> = (0..PARTS).map(|part| self.owner(part)).collect();
        let admitted: u64 = owners.iter().flatten().map(|site| self.counters(*site).admitted).sum();
        if owners.iter().all(Option::is_some) && admitted >= max {
            let reason = SkipReason::PageLimit;
            self.order(if self.faults.recrawl { Control::Revisit(reason) } else { Control::Close(reason) });
        }
    }

    /// As the job's owner.
    fn order(&mut self, control: Control) {
        self.control = control;
        let owners: Vec<usize> = (0..PARTS).filter_map(|part| self.owner(part)).collect();
        owners.into_iter().for_each(|site| self.with(site, |shard| shard.handle_control(JOB, control)));
    }

    pub(super) fn counters(&self, site: usize) -> Counters {
        self.sites[site].shard.as_ref().map(|shard| shard.counters(JOB)).unwrap_or_default()
    }

    fn poll_reader(&mut self, part: u16) {
        let Some(site) = self.owner(part) else { return };
        let Some(shard) = self.sites[site].shard.as_ref() else { return };
        let cursor = self.cursors.entry(part).or_default();
        for (sequence, _, hash) in shard.results(JOB, *cursor, 3, |_| true) {
            assert!(sequence > *cursor);
            *cursor = sequence;
            *self.read.entry(hash).or_default() += 1;
        }
    }
}
