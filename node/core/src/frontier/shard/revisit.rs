//! Pages that are visited again, in jobs that ask for it.
//!
//! A page stays closed, with its result, until another result takes its place in one write: what is done stays done, and a
//! crash leaves the result that was there. Until it is due it costs nothing but the second in which it is
//! ([`Entry::due`](super::job::Entry)); then it waits in its host's queue as a URL that was just found does, and its record is
//! read when its turn has come. A visit that ends without a page (an error, a new rule of robots.txt) changes nothing but
//! when the next one is due.

use super::agenda::Agenda;
use super::commit::Pending;
use super::job::{Entry, JobShard, ResultKind, Stage};
use super::{Shard, Work};
use crate::frontier::history::{Counted, History, Sight};
use crate::frontier::record::{AttemptEnd, FetchedPage, JobId, PageResult, UrlHash, UrlRecord, UrlState};
use crate::job::NormalizedUrl;
use crate::job::recrawl::Emit;
use crate::time::Instant;
use std::num::NonZeroU32;
use std::time::Duration;

/// Most pages of a job whose records are being read because their time has come.
const WAKING: usize = 64;

impl Shard {
    /// Pages whose time has come: their records say which host is theirs.
    pub(super) fn read_for_visits(&mut self, now: Instant) -> Option<Work> {
        let second = u32::try_from(self.wall_ms(now) / 1_000).unwrap_or(u32::MAX);
        let visiting = self.jobs.iter_mut().filter(|(_, shard)| shard.visits_again());
        for (id, shard) in visiting {
            let urls = shard.wake_due(second);
            if let Some(read) = self.records.read(*id, urls.into_iter()) {
                return Some(read);
            }
        }
        None
    }

    /// When the next page is due, if it could be visited then.
    pub(super) fn next_visit(&self) -> Option<Instant> {
        let able = self.jobs.values().filter(|shard| shard.visits_again() && shard.waking < WAKING);
        let (then, wall_ms) = self.wall;
        let next = able.filter_map(|shard| shard.agenda.first()).min()?;
        Some(then + Duration::from_millis((u64::from(next) * 1_000).saturating_sub(wall_ms)))
    }

    /// The record of a page whose time has come, and its version.
    pub(super) fn wake(&mut self, id: JobId, url: UrlHash, found: Option<(UrlRecord, u64)>) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        shard.waking = shard.waking.saturating_sub(1);
        let Some(found) = found else {
            shard.urls.remove(&url);
            return;
        };
        let Some(record) = self.if_known(id, url, found) else { return };
        let Some(entry) = self.jobs.get_mut(&id).and_then(|shard| shard.urls.get_mut(&url)) else { return };
        let Some(origin) = NormalizedUrl::parse(&record.url).ok().map(|url| url.origin()) else { return };
        (entry.stage, entry.attempts) = (Stage::Waiting, 0);
        let priority = record.way.priority;
        self.requeue(id, url, &origin, |queue| queue.fresh.push_back(url, priority));
    }

    /// The record of a page that is being visited again, if it is the one that this owner knows. If an earlier owner has
    /// visited the page at the last moment, that is taken over instead.
    pub(super) fn if_known(&mut self, id: JobId, url: UrlHash, found: (UrlRecord, u64)) -> Option<UrlRecord> {
        let (record, version) = found;
        let entry = self.jobs.get_mut(&id)?.urls.get_mut(&url)?;
        if version == entry.version {
            return Some(record);
        }
        entry.stage = Stage::Closing;
        self.pipeline.push(Pending::visit_of_another(id, url, record, version));
        None
    }

    /// Whether a page is closed already, and being visited again.
    pub(super) fn is_again(&self, id: JobId, url: UrlHash) -> bool {
        self.jobs.get(&id).and_then(|shard| shard.urls.get(&url)).is_some_and(|entry| entry.is_again())
    }

    /// What came of another visit, to be written after the change with this ticket.
    pub(super) fn end_visit(&mut self, ticket: Option<u64>, id: JobId, url: UrlHash, result: PageResult) {
        match result {
            PageResult::Fetched(page) => {
                let kept = |before: FetchedPage| {
                    let histories = page.history.as_deref().zip(before.history.as_deref());
                    let is_same = histories.is_some_and(|(now, before)| now.is_as(before));
                    FetchedPage { stored: page.stored.or(before.stored.filter(|_| is_same)), ..page }
                };
                self.replace(ticket, id, url, kept, true);
            }
            PageResult::Failed { .. } | PageResult::Skipped { .. } => {
                let Some(recrawl) = self.spec(id).and_then(|job| job.recrawl) else { return self.sleep(id, url) };
                let last = self.records.get(id, url).and_then(|record| record.attempts.last.last());
                let gone = last.is_some_and(|attempt| matches!(attempt.end, AttemptEnd::Status(404 | 410)));
                let sight = if gone { Sight::Gone } else { Sight::Nothing };
                let now_ms = self.wall_ms(self.told_at);
                let missed = |page: FetchedPage| {
                    let history = page.history.map(|history| Box::new(history.after(&recrawl, sight, now_ms)));
                    FetchedPage { history, ..page }
                };
                self.replace(ticket, id, url, missed, false);
            }
        }
    }

    /// A visit found what was there before.
    pub(super) fn handle_unchanged(&mut self, ticket: Option<u64>, id: JobId, url: UrlHash, history: Box<History>) {
        let emit = self.spec(id).and_then(|job| job.recrawl).map_or(Emit::Changed, |recrawl| recrawl.emit);
        let same = |page| FetchedPage { history: Some(history), ..page };
        self.replace(ticket, id, url, same, emit == Emit::All);
    }

    /// Puts another result in the place of a page's. `shown`: readers see it as a new one.
    fn replace(
        &mut self,
        ticket: Option<u64>,
        id: JobId,
        url: UrlHash,
        change: impl FnOnce(FetchedPage) -> FetchedPage,
        shown: bool,
    ) {
        let Some(mut record) = self.records.take(id, url) else { return self.sleep(id, url) };
        let UrlState::Closed { sequence, result: PageResult::Fetched(before) } = record.state else {
            return self.sleep(id, url);
        };
        let Some(entry) = self.jobs.get_mut(&id).and_then(|shard| shard.urls.get_mut(&url)) else { return };
        let (replaced, known) = (Counted::of(sequence, &before), before.history.clone());
        let mut page = change(before);
        // A job that was changed meanwhile may have forgotten to remember.
        page.history = page.history.or(known);
        page.history.iter_mut().for_each(|history| history.replaced = replaced);
        entry.stage = Stage::Closing;
        record.admitted = entry.admitted;
        let sequence = if shown { 0 } else { sequence };
        record.state = UrlState::Closed { sequence, result: PageResult::Fetched(page) };
        let pending = Pending::visit(id, url, record, entry.version);
        match ticket {
            Some(ticket) => self.pipeline.push_after(ticket, pending),
            None => _ = self.pipeline.push(pending),
        }
    }

    pub(super) fn settle_visit(&mut self, id: JobId, url: UrlHash, record: UrlRecord, version: u64) {
        let UrlState::Closed { sequence, result } = record.state else { return };
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let Some(entry) = shard.urls.get_mut(&url) else { return };
        (entry.version, entry.stage) = (version, Stage::Closed);
        shard.replace_result(url, sequence, &result);
        shard.schedule_visit(url, &result);
    }

    /// A page is closed as it was; its visit is made up for when the job goes on.
    pub(super) fn sleep(&mut self, id: JobId, url: UrlHash) {
        self.records.take(id, url);
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let Some(entry) = shard.urls.get_mut(&url).filter(|entry| entry.is_again()) else { return };
        entry.stage = Stage::Closed;
        if let Some(due) = entry.due {
            shard.agenda.note(due.get(), url);
        }
    }
}

impl JobShard {
    /// Whether pages are visited again now.
    pub(super) fn visits_again(&self) -> bool {
        self.control.makes_requests() && self.job.as_ref().is_some_and(|job| job.recrawl.is_some())
    }

    /// Notes when a closed page is to be visited next, if it is.
    pub(super) fn schedule_visit(&mut self, url: UrlHash, result: &PageResult) {
        let PageResult::Fetched(FetchedPage { history: Some(history), .. }) = result else { return };
        let second = u32::try_from(history.next_ms.div_ceil(1_000)).unwrap_or(u32::MAX - 1);
        let Some(entry) = self.urls.get_mut(&url) else { return };
        entry.due = NonZeroU32::new(second.max(1));
        self.agenda.note(second.max(1), url);
    }

    /// Pages that are due by this second, as many as may be read; they are on their way from now on.
    fn wake_due(&mut self, second: u32) -> Vec<UrlHash> {
        let mut woken = Vec::new();
        while self.waking < WAKING {
            if self.agenda.is_short(second) {
                let closed = self.urls.iter().filter(|(_, entry)| entry.stage == Stage::Closed);
                self.agenda = Agenda::of(closed.filter_map(|(url, entry)| Some((entry.due?.get(), *url))));
            }
            let Some(url) = self.agenda.take(second) else { break };
            let is_due =
                |entry: &&mut Entry| entry.stage == Stage::Closed && entry.due.is_some_and(|due| due.get() <= second);
            if let Some(entry) = self.urls.get_mut(&url).filter(is_due) {
                entry.stage = Stage::Waking;
                self.waking += 1;
                woken.push(url);
            }
        }
        woken
    }

    /// Counts a page's result in the place of the one before, and shows it to readers if it has a sequence of its own.
    fn replace_result(&mut self, url: UrlHash, sequence: u64, result: &PageResult) {
        let PageResult::Fetched(page) = result else { return };
        let Some(before) = page.history.as_ref().map(|history| history.replaced) else { return };
        let after = Counted::of(sequence, page);
        self.counters.replace(&before, &after);
        if sequence == before.sequence {
            return;
        }
        // A result that two owners had given one sequence may have moved.
        if self.results.get(&before.sequence).is_some_and(|(_, hash)| *hash == url) {
            self.results.remove(&before.sequence);
        } else {
            self.results.retain(|_, (kind, hash)| *kind != ResultKind::Page || *hash != url);
        }
        self.results.insert(sequence, (ResultKind::Page, url));
    }
}
