//! The shard's way to disk: changes wait in order, go out in batches, one batch at a time.
//!
//! A batch counts only when it is chosen and the ownership was confirmed after that; what could not be
//! settled goes to the front of the next batch. Repeating is safe: a creation finds what it created, a
//! compare-and-set finds what it set.

use super::job::{JobShard, ResultKind, Stage};
use super::{Event, Link, Shard, Waiter};
use crate::frontier::keys::{Name, origin_hash};
use crate::frontier::record::{
    Attempts, Counters, HostRecord, JarRecord, JobId, LinkRecord, PageResult, UrlHash, UrlRecord, UrlState, decode,
    encode,
};
use crate::id::{Key, Partition};
use crate::job::{NormalizedUrl, SkipReason};
use crate::register::{Change, Outcome, Versioned};
use crate::time::Instant;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most changes in one batch.
pub(super) const BATCH: usize = 512;
/// Most bytes of new content in one batch, so that it fits one message.
const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// A change to be made through the registers.
#[derive(Clone, Debug)]
pub struct Write {
    /// The register.
    pub key: Key,
    /// The change.
    pub change: Change,
}

/// What a change means for the shard once it is settled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    CreateUrl(JobId, UrlHash),
    /// Written again as it is: whatever an earlier owner still has on its way fails from then on.
    FenceUrl(JobId, UrlHash),
    AdmitUrl(JobId, UrlHash),
    CloseUrl(JobId, UrlHash),
    /// What was tried is written down; the next attempt is due then.
    NoteUrl(JobId, UrlHash, Instant),
    /// A page was visited again, and its result takes the place of the one before.
    Visit(JobId, UrlHash),
    /// A failed URL is opened again; its result had this sequence.
    ReopenUrl(JobId, UrlHash, u64),
    Link(JobId, UrlHash),
    Host([u8; 20]),
    RemoveHost([u8; 20]),
    Jar(JobId, [u8; 20]),
    RemoveJar(JobId, [u8; 20]),
    RemoveUrl(JobId, UrlHash),
    RemoveLink(JobId, UrlHash),
}

#[derive(Clone, Debug)]
enum Record {
    Url(Box<UrlRecord>),
    Link(LinkRecord),
    Host(Box<HostRecord>),
    Jar(JarRecord),
    Nothing,
}

/// A change on its way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    ticket: u64,
    effect: Effect,
    record: Record,
    /// The version that a compare-and-set expects; 0 for a link that is to be created.
    version: u64,
    /// What was last sent, if anything was.
    sent: Option<Bytes>,
}

impl Pending {
    fn new(effect: Effect, record: Record, version: u64) -> Self {
        Self { ticket: 0, effect, record, version, sent: None }
    }

    /// What takes the place of a change that was sent.
    fn again(self, ticket: u64) -> Self {
        Self { ticket, sent: Some(Bytes::new()), ..self }
    }

    pub(super) fn create(job: JobId, hash: UrlHash, link: &Link) -> Self {
        let record = UrlRecord {
            url: link.url.as_str().to_owned(),
            depth: link.depth,
            way: link.way,
            admitted: false,
            attempts: Attempts::default(),
            state: UrlState::Open,
        };
        Self::new(Effect::CreateUrl(job, hash), Record::Url(Box::new(record)), 0)
    }

    pub(super) fn admit(job: JobId, hash: UrlHash, record: UrlRecord, version: u64) -> Self {
        let record = UrlRecord { admitted: true, ..record };
        Self::new(Effect::AdmitUrl(job, hash), Record::Url(Box::new(record)), version)
    }

    pub(super) fn close(job: JobId, hash: UrlHash, record: UrlRecord, version: u64, result: PageResult) -> Self {
        let record = UrlRecord { state: UrlState::Closed { sequence: 0, result }, ..record };
        Self::new(Effect::CloseUrl(job, hash), Record::Url(Box::new(record)), version)
    }

    /// What was tried of a URL; it is tried again at `due`.
    pub(super) fn note(job: JobId, hash: UrlHash, record: UrlRecord, version: u64, due: Instant) -> Self {
        Self::new(Effect::NoteUrl(job, hash, due), Record::Url(Box::new(record)), version)
    }

    /// A failed URL that is opened again.
    pub(super) fn reopen(job: JobId, hash: UrlHash, sequence: u64, record: UrlRecord, version: u64) -> Self {
        let attempts = Attempts { failed: 0, ..record.attempts };
        let record = UrlRecord { state: UrlState::Open, attempts, ..record };
        Self::new(Effect::ReopenUrl(job, hash, sequence), Record::Url(Box::new(record)), version)
    }

    /// A page that was visited again; it needs a sequence if that in its record is 0.
    pub(super) fn visit(job: JobId, hash: UrlHash, record: UrlRecord, version: u64) -> Self {
        Self::new(Effect::Visit(job, hash), Record::Url(Box::new(record)), version)
    }

    /// A page that an earlier owner had visited again, which was found out late: if readers are to see it, it needs another
    /// sequence.
    pub(super) fn visit_of_another(job: JobId, hash: UrlHash, mut record: UrlRecord, version: u64) -> Self {
        let before = record.history().map_or(0, |history| history.replaced.sequence);
        if let UrlState::Closed { sequence, .. } = &mut record.state
            && *sequence != before
        {
            *sequence = 0;
        }
        Self::visit(job, hash, record, version)
    }

    /// A closed URL that needs another sequence.
    pub(super) fn renumber(job: JobId, hash: UrlHash, record: UrlRecord, version: u64) -> Self {
        let mut record = record.replacing_itself();
        if let UrlState::Closed { sequence, .. } = &mut record.state {
            *sequence = 0;
        }
        Self::new(Effect::CloseUrl(job, hash), Record::Url(Box::new(record)), version)
    }

    pub(super) fn link(job: JobId, hash: UrlHash, link: &NormalizedUrl, reason: SkipReason) -> Self {
        let record = LinkRecord { url: link.as_str().to_owned(), reason, sequence: 0 };
        Self::new(Effect::Link(job, hash), Record::Link(record), 0)
    }

    /// A link that needs another sequence.
    pub(super) fn renumber_link(job: JobId, hash: UrlHash, mut record: LinkRecord, version: u64) -> Self {
        record.sequence = 0;
        Self::new(Effect::Link(job, hash), Record::Link(record), version)
    }

    pub(super) fn fence(job: JobId, hash: UrlHash, record: UrlRecord, version: u64) -> Self {
        Self::new(Effect::FenceUrl(job, hash), Record::Url(Box::new(record)), version)
    }

    pub(super) fn host(record: HostRecord) -> Self {
        Self::new(Effect::Host(origin_hash(&record.origin)), Record::Host(Box::new(record)), 0)
    }

    /// The cookies of a job at an origin.
    pub(super) fn jar(job: JobId, record: JarRecord) -> Self {
        Self::new(Effect::Jar(job, origin_hash(&record.origin)), Record::Jar(record), 0)
    }

    /// The record of a host of which nothing is worth keeping.
    pub(super) fn remove_host(hash: [u8; 20], version: u64) -> Self {
        Self::new(Effect::RemoveHost(hash), Record::Nothing, version)
    }

    pub(super) fn remove(effect: Effect) -> Self {
        Self::new(effect, Record::Nothing, 0)
    }

    fn name(&self) -> Name {
        match self.effect {
            Effect::CreateUrl(job, url)
            | Effect::FenceUrl(job, url)
            | Effect::AdmitUrl(job, url)
            | Effect::CloseUrl(job, url)
            | Effect::NoteUrl(job, url, _)
            | Effect::Visit(job, url)
            | Effect::ReopenUrl(job, url, _)
            | Effect::RemoveUrl(job, url) => Name::Url(job, url),
            Effect::Link(job, url) | Effect::RemoveLink(job, url) => Name::Link(job, url),
            Effect::Host(hash) | Effect::RemoveHost(hash) => Name::Host(hash),
            Effect::Jar(job, hash) | Effect::RemoveJar(job, hash) => Name::Jar(job, hash),
        }
    }

    /// The job and host of a URL that is being admitted.
    fn admitting(&self) -> Option<(JobId, String)> {
        let (Effect::AdmitUrl(job, _), Record::Url(record)) = (self.effect, &self.record) else { return None };
        Some((job, NormalizedUrl::parse(&record.url).ok()?.origin()))
    }

    /// The job whose results this change adds to, and the sequence it has there, 0 if none yet.
    fn sequence(&mut self) -> Option<(JobId, &mut u64)> {
        match (self.effect, &mut self.record) {
            (Effect::CloseUrl(job, _), Record::Url(record)) => match &mut record.state {
                UrlState::Closed { sequence, .. } => Some((job, sequence)),
                UrlState::Open => None,
            },
            (Effect::Visit(job, _), Record::Url(record)) => {
                let before = record.history().map_or(0, |history| history.replaced.sequence);
                let UrlState::Closed { sequence, .. } = &mut record.state else { return None };
                (*sequence != before).then_some((job, sequence))
            }
            (Effect::Link(job, _), Record::Link(record)) => Some((job, &mut record.sequence)),
            _ => None,
        }
    }

    fn write(&mut self, partition: Partition) -> Write {
        let content = match &self.record {
            Record::Url(record) => encode(&**record),
            Record::Link(record) => encode(record),
            Record::Host(record) => encode(record),
            Record::Jar(record) => encode(record),
            Record::Nothing => Bytes::new(),
        };
        self.sent = Some(content.clone());
        let change = match self.effect {
            Effect::CreateUrl(..) => Change::Create(content),
            Effect::Link(..) | Effect::Host(_) | Effect::Jar(..) if self.version == 0 => Change::Create(content),
            Effect::FenceUrl(..)
            | Effect::AdmitUrl(..)
            | Effect::CloseUrl(..)
            | Effect::NoteUrl(..)
            | Effect::Visit(..)
            | Effect::ReopenUrl(..)
            | Effect::Link(..)
            | Effect::Host(_)
            | Effect::Jar(..) => Change::CompareAndSet { version: self.version, content },
            Effect::RemoveUrl(..) | Effect::RemoveLink(..) | Effect::RemoveJar(..) => Change::Delete { version: None },
            Effect::RemoveHost(_) => Change::Delete { version: Some(self.version) },
        };
        Write { key: self.name().key(partition), change }
    }
}

/// Changes in order, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    queue: VecDeque<Pending>,
    in_flight: Vec<Pending>,
    waiters: BTreeMap<u64, Vec<Waiter>>,
    /// Changes that are queued when everything up to a ticket is settled.
    held: BTreeMap<u64, Vec<Pending>>,
    tickets: u64,
}

impl Pipeline {
    /// Queues a change; its ticket is above all before it.
    pub(super) fn push(&mut self, mut pending: Pending) -> u64 {
        self.tickets += 1;
        pending.ticket = self.tickets;
        self.queue.push_back(pending);
        self.tickets
    }

    /// Queues a change as soon as every change up to `ticket` is settled.
    pub(super) fn push_after(&mut self, ticket: u64, pending: Pending) {
        self.held.entry(ticket).or_default().push(pending);
    }

    /// Results of `job` that are not settled yet.
    pub(super) fn closing(&self, job: JobId) -> u64 {
        let all = self.queue.iter().chain(&self.in_flight).chain(self.held.values().flatten());
        let ends = |effect| matches!(effect, Effect::CloseUrl(id, _) | Effect::Visit(id, _) if id == job);
        all.map(|pending| u64::from(ends(pending.effect))).sum()
    }

    pub(super) fn last_ticket(&self) -> u64 {
        self.tickets
    }

    /// Changes that wait to be sent.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether everything is settled.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// `waiter` is told when every change up to `ticket` is settled.
    pub(super) fn wait(&mut self, ticket: u64, waiter: Waiter) {
        self.waiters.entry(ticket).or_default().push(waiter);
    }

    /// Puts a change back in front, keeping its ticket.
    fn retry(&mut self, pending: Pending) {
        self.queue.push_front(pending);
    }

    fn released(&mut self) -> Vec<Waiter> {
        // The queue is in the order of its tickets: only its front is ever taken, or put back.
        let open = self.queue.front().map_or(u64::MAX, |pending| pending.ticket);
        let later = self.held.split_off(&open);
        for pending in std::mem::replace(&mut self.held, later).into_values().flatten() {
            self.push(pending);
        }
        let later = self.waiters.split_off(&open);
        std::mem::replace(&mut self.waiters, later).into_values().flatten().collect()
    }
}

impl Shard {
    /// The next batch, if none is on its way. Its answer is [`Shard::handle_committed`].
    pub fn poll_commit(&mut self) -> Option<Vec<Write>> {
        if self.lost || !self.pipeline.in_flight.is_empty() {
            return None;
        }
        self.go_on_with_chores();
        if self.pipeline.queue.is_empty() {
            return None;
        }
        self.jobs.values_mut().for_each(JobShard::replace_displaced);
        let (mut writes, mut keys, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
        while writes.len() < BATCH && bytes < BATCH_BYTES {
            // A key appears once in a batch; what follows for it waits for the next one.
            let Some(mut pending) =
                self.pipeline.queue.pop_front_if(|pending| keys.insert(pending.name().key(self.partition)))
            else {
                break;
            };
            if let Some((job, sequence)) = pending.sequence()
                && *sequence == 0
                && let Some(shard) = self.jobs.get_mut(&job)
            {
                *sequence = shard.sequence();
            }
            if let Record::Host(record) = &pending.record
                && let Some(host) = self.hosts.get(record.origin.as_str())
            {
                pending.version = host.version;
            }
            if let Effect::Jar(job, hash) = pending.effect {
                pending.version = self.jar_version(job, hash);
            }
            writes.push(pending.write(self.partition));
            bytes += pending.sent.as_ref().map_or(0, Bytes::len);
            self.pipeline.in_flight.push(pending);
        }
        Some(writes)
    }

    /// What came of the batch, in its order. `owner`: whether this node was still the owner when asked, by
    /// quorum, after the batch, at `began`.
    pub fn handle_committed(&mut self, outcomes: Vec<Outcome>, owner: bool, began: Instant) {
        let batch = std::mem::take(&mut self.pipeline.in_flight);
        if !owner {
            self.lose();
            return;
        }
        self.confirm(began);
        let mut unsettled = Vec::new();
        for (pending, outcome) in batch.into_iter().zip(outcomes) {
            if let Some(again) = self.settle(pending, outcome, began) {
                unsettled.push(again);
            }
        }
        unsettled.into_iter().rev().for_each(|pending| self.pipeline.retry(pending));
        self.hold_results();
        let released = self.pipeline.released();
        self.events.extend(released.into_iter().map(Event::Acknowledged));
    }

    /// Hides results behind a sequence that is not settled: readers who pass it would never see it.
    fn hold_results(&mut self) {
        self.jobs.values_mut().for_each(|shard| shard.held_from = None);
        // Whatever was sent before stands in front of everything that was not, not always in one batch's reach.
        for pending in self.pipeline.queue.iter_mut().take_while(|pending| pending.sent.is_some()) {
            if let Some((job, sequence)) = pending.sequence()
                && *sequence > 0
                && let Some(shard) = self.jobs.get_mut(&job)
            {
                shard.held_from = Some(shard.held_from.unwrap_or(u64::MAX).min(*sequence));
            }
        }
    }

    /// Applies one outcome; returns the change, or what takes its place, if one has to be made again.
    fn settle(&mut self, pending: Pending, outcome: Outcome, now: Instant) -> Option<Pending> {
        let admitting = pending.admitting();
        let again = self.apply(pending, outcome, now);
        if let Some((job, origin)) = admitting
            && !again.as_ref().is_some_and(|pending| matches!(pending.effect, Effect::AdmitUrl(..)))
            && let Some(queue) = self.hosts.get_mut(origin.as_str()).and_then(|host| host.queues.get_mut(&job))
        {
            queue.admitting = queue.admitting.saturating_sub(1);
        }
        again
    }

    fn apply(&mut self, mut pending: Pending, outcome: Outcome, now: Instant) -> Option<Pending> {
        let current = match outcome {
            Outcome::Done { value, .. } => value,
            Outcome::Conflict { .. } if matches!(pending.effect, Effect::RemoveHost(_)) => return None,
            Outcome::Conflict { current } => {
                let Some(value) = current.as_ref().filter(|value| value.content.is_some()) else {
                    return self.settle_vanished(pending);
                };
                if value.content != pending.sent && !self.settle_rival(&mut pending, value) {
                    return Some(pending);
                }
                current
            }
            Outcome::Indeterminate | Outcome::Unavailable => return Some(pending),
        };
        let version = current.as_ref().map_or(0, |value| value.version);
        match (pending.effect, pending.record) {
            (Effect::CreateUrl(job, hash), Record::Url(record)) => self.settle_created(job, hash, *record, version),
            (Effect::AdmitUrl(job, hash), Record::Url(record)) => self.settle_admitted(job, hash, *record, version),
            (Effect::FenceUrl(job, hash), Record::Url(record)) => self.settle_fenced(job, hash, &record, version),
            (Effect::CloseUrl(job, hash), Record::Url(record)) => self.settle_closed(job, hash, *record, version),
            (Effect::NoteUrl(job, hash, due), Record::Url(record)) => {
                self.settle_noted(job, hash, due, *record, version)
            }
            (Effect::Jar(job, hash), Record::Jar(_)) => self.settle_jar(job, hash, version),
            (Effect::Visit(job, hash), Record::Url(record)) => self.settle_visit(job, hash, *record, version),
            (Effect::ReopenUrl(job, hash, sequence), Record::Url(record)) => {
                self.settle_reopened(job, hash, sequence, *record, version);
            }
            (Effect::Host(_), Record::Host(record)) => {
                if let Some(host) = self.hosts.get_mut(record.origin.as_str()) {
                    host.version = version;
                    host.writes = host.writes.saturating_sub(1);
                    if let Some((_, fetched_ms)) = record.robots {
                        host.handle_robots_stored(fetched_ms, now);
                    }
                }
            }
            (Effect::Link(job, hash), Record::Link(record)) => self.settle_link(job, hash, record.sequence),
            _ => {}
        }
        None
    }

    /// A compare-and-set found no value: the job's records, or that of the host, were removed meanwhile.
    fn settle_vanished(&mut self, pending: Pending) -> Option<Pending> {
        let (job, hash) = match pending.effect {
            Effect::AdmitUrl(job, hash)
            | Effect::CloseUrl(job, hash)
            | Effect::NoteUrl(job, hash, _)
            | Effect::Visit(job, hash)
            | Effect::FenceUrl(job, hash) => (job, hash),
            Effect::Host(_) => {
                if let Record::Host(record) = &pending.record
                    && let Some(host) = self.hosts.get_mut(record.origin.as_str())
                {
                    host.version = 0;
                }
                return Some(pending);
            }
            _ => return None,
        };
        if let Some(shard) = self.jobs.get_mut(&job) {
            shard.urls.remove(&hash);
            self.records.take(job, hash);
            let fences = usize::from(matches!(pending.effect, Effect::FenceUrl(..)));
            shard.budget.fencing = shard.budget.fencing.saturating_sub(fences);
        }
        None
    }

    /// Something else than what was sent stands in the register: an earlier owner's work. Takes it over into
    /// `pending`; returns whether that settles the change.
    fn settle_rival(&mut self, pending: &mut Pending, value: &Versioned) -> bool {
        let content = value.content.as_deref().unwrap_or_default();
        match (&mut pending.record, pending.effect) {
            // This owner has seen the page later, and nobody was shown what the other one saw.
            (_, Effect::Visit(job, hash) | Effect::NoteUrl(job, hash, _)) if self.is_again(job, hash) => {
                pending.version = value.version;
                false
            }
            (Record::Url(record), effect) => {
                let Ok(rival) = decode::<UrlRecord>(content) else { return true };
                pending.version = value.version;
                match (&rival.state, effect) {
                    (
                        UrlState::Closed { .. },
                        Effect::CreateUrl(job, hash)
                        | Effect::FenceUrl(job, hash)
                        | Effect::AdmitUrl(job, hash)
                        | Effect::NoteUrl(job, hash, _)
                        | Effect::CloseUrl(job, hash),
                    ) => {
                        if !self.adopt_closed(effect, job, hash, rival.admitted) {
                            return true;
                        }
                        // Its sequence may lie where readers have passed: it is written again with a new one.
                        *pending = Pending::renumber(job, hash, rival, value.version).again(pending.ticket);
                        false
                    }
                    (_, Effect::ReopenUrl(..)) => rival.state == UrlState::Open,
                    (UrlState::Open, Effect::CreateUrl(..) | Effect::FenceUrl(..)) => {
                        **record = rival;
                        true
                    }
                    _ => {
                        record.admitted |= rival.admitted;
                        false
                    }
                }
            }
            (Record::Jar(_), Effect::Jar(job, hash)) => self.settle_rival_jar(job, hash, content, value.version),
            (Record::Host(record), Effect::Host(_)) => self.settle_rival_host(record, content, value.version),
            (Record::Link(_), Effect::Link(job, hash)) => {
                let Ok(rival) = decode::<LinkRecord>(content) else { return true };
                *pending = Pending::renumber_link(job, hash, rival, value.version).again(pending.ticket);
                false
            }
            _ => true,
        }
    }

    /// Another record of the host stands in the register: an earlier owner's is taken over into this one's.
    fn settle_rival_host(&mut self, record: &mut HostRecord, content: &[u8], version: u64) -> bool {
        let Some(host) = self.hosts.get_mut(record.origin.as_str()) else { return true };
        host.version = version;
        match decode::<HostRecord>(content) {
            Ok(rival) if rival.token > self.token => return true,
            Ok(rival) if rival.token < self.token => {
                let (now, wall_ms) = self.wall;
                host.adopt(&rival, now, wall_ms);
                *record = host.record(&record.origin, self.token, now, wall_ms);
            }
            Ok(_) | Err(_) => {}
        }
        false
    }

    /// Takes over that an earlier owner closed a URL at the last moment, which a change for `effect` found out;
    /// returns whether that change now has to close it.
    fn adopt_closed(&mut self, effect: Effect, id: JobId, hash: UrlHash, admitted: bool) -> bool {
        let Some(shard) = self.jobs.get_mut(&id) else { return true };
        let Some(entry) = shard.urls.get_mut(&hash) else { return true };
        if matches!(effect, Effect::FenceUrl(..)) && entry.stage == Stage::Closing {
            return false;
        }
        entry.stage = Stage::Closing;
        self.records.take(id, hash);
        match effect {
            Effect::CreateUrl(..) => shard.counters.discovered += 1,
            Effect::FenceUrl(..) => shard.budget.fencing = shard.budget.fencing.saturating_sub(1),
            Effect::AdmitUrl(..) => shard.budget.available += 1,
            _ => {}
        }
        if admitted {
            shard.adopt_admission(hash);
        }
        true
    }

    fn settle_created(&mut self, id: JobId, hash: UrlHash, record: UrlRecord, version: u64) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let Some(entry) = shard.urls.get_mut(&hash) else { return };
        entry.version = version;
        entry.admitted = record.admitted;
        entry.stage = Stage::Waiting;
        shard.counters.discovered += 1;
        shard.counters.admitted += u64::from(record.admitted);
        self.enqueue(id, hash, record);
    }

    /// Puts an open URL at the end of its host's queue.
    pub(super) fn enqueue(&mut self, id: JobId, hash: UrlHash, record: UrlRecord) {
        let Ok(url) = NormalizedUrl::parse(&record.url) else { return };
        let (admitted, priority) = (record.admitted, record.way.priority);
        self.records.keep(id, hash, record);
        self.requeue(id, hash, &url.origin(), |queue| {
            if admitted { queue.ready.push_back(hash) } else { queue.fresh.push_back(hash, priority) }
        });
        if !admitted {
            self.records.make_room(id, hash);
        }
    }

    fn settle_admitted(&mut self, id: JobId, hash: UrlHash, record: UrlRecord, version: u64) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let Some(entry) = shard.urls.get_mut(&hash) else { return };
        entry.version = version;
        entry.admitted = true;
        entry.stage = Stage::Waiting;
        shard.counters.admitted += 1;
        if let Ok(url) = NormalizedUrl::parse(&record.url) {
            self.host(&url.origin()).queues.entry(id).or_default().taken += 1;
        }
        self.enqueue(id, hash, record);
    }

    fn settle_fenced(&mut self, id: JobId, hash: UrlHash, record: &UrlRecord, version: u64) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        shard.budget.fencing = shard.budget.fencing.saturating_sub(1);
        if let Some(entry) = shard.urls.get_mut(&hash) {
            entry.version = version;
        }
        if record.admitted {
            shard.adopt_admission(hash);
        }
    }

    fn settle_noted(&mut self, id: JobId, hash: UrlHash, due: Instant, record: UrlRecord, version: u64) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let Some(entry) = shard.urls.get_mut(&hash) else { return };
        entry.version = version;
        entry.stage = Stage::Waiting;
        self.enqueue_retry(id, hash, due, record);
    }

    /// Puts an open URL among those of its host that are tried again.
    pub(super) fn enqueue_retry(&mut self, id: JobId, hash: UrlHash, due: Instant, record: UrlRecord) {
        let Ok(url) = NormalizedUrl::parse(&record.url) else { return };
        self.records.keep(id, hash, record);
        self.requeue(id, hash, &url.origin(), |queue| {
            queue.retries.insert((due, hash));
        });
        self.records.make_room(id, hash);
    }

    fn settle_closed(&mut self, id: JobId, hash: UrlHash, record: UrlRecord, version: u64) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let UrlState::Closed { sequence, result } = &record.state else { return };
        if let Some(entry) = shard.urls.get_mut(&hash) {
            entry.version = version;
            entry.stage = Stage::Closed;
        }
        if record.admitted {
            shard.adopt_admission(hash);
        }
        shard.count_closed(record.admitted, result);
        shard.results.insert(*sequence, (result_kind(result), hash));
        shard.schedule_visit(hash, result);
    }

    fn settle_link(&mut self, id: JobId, hash: UrlHash, sequence: u64) {
        if let Some(shard) = self.jobs.get_mut(&id) {
            shard.counters.unfollowed += 1;
            shard.results.insert(sequence, (ResultKind::Link, hash));
        }
    }
}

pub(super) fn result_kind(result: &PageResult) -> ResultKind {
    if matches!(result, PageResult::Fetched(_)) { ResultKind::Page } else { ResultKind::Unfetched }
}

impl JobShard {
    pub(super) fn count_closed(&mut self, admitted: bool, result: &PageResult) {
        let Counters { succeeded, failed, skipped, admitted_closed, items, item_errors, bytes, not_modified, .. } =
            &mut self.counters;
        *admitted_closed += u64::from(admitted);
        match result {
            PageResult::Fetched(page) => {
                *succeeded += 1;
                *items += u64::from(page.items);
                *item_errors += u64::from(page.item_errors);
                *bytes += page.bytes;
                *not_modified += page.history.as_ref().map_or(0, |history| history.not_modified.into());
            }
            PageResult::Failed { .. } => *failed += 1,
            PageResult::Skipped { .. } => *skipped += 1,
        }
    }
}
