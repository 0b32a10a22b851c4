//! One job's part of a shard: its URLs, its results in order, its share of the page budget.

use super::agenda::Agenda;
use super::cookies::Jar;
use crate::frontier::record::{Counters, UrlHash};
use crate::job::{NormalizedUrl, SkipReason, UrlRules, ValidatedJob};
use crate::time::Instant;
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// An exhausted budget is asked again after this long: another partition may have given pages back.
pub(super) const BUDGET_RETRY: Duration = Duration::from_secs(1);

/// What a job is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Fetch.
    Run,
    /// Fetch nothing new until told otherwise. A job whose wishes are not known yet holds.
    #[default]
    Hold,
    /// Close what is open as skipped for this reason; what is being fetched may end.
    Close(SkipReason),
    /// Close what is open as skipped for this reason, and go on with pages that are to be visited again.
    Revisit(SkipReason),
}

impl Control {
    pub(super) const fn makes_requests(self) -> bool {
        matches!(self, Self::Run | Self::Revisit(_))
    }
}

/// What a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// A fetched page.
    Page,
    /// A URL that was given up or skipped.
    Unfetched,
    /// A link that is not followed.
    Link,
}

/// Where a URL is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its register is being created.
    Creating,
    /// In a queue of its host.
    Waiting,
    /// Being admitted under the page limit.
    Admitting,
    /// Being requested.
    Fetching,
    /// What was tried is being written down.
    Noting,
    /// Its result is being committed.
    Closing,
    /// Its result is committed.
    Closed,
    /// Its result is being taken back.
    Reopening,
    /// It is closed, and its record is being read for another visit.
    Waking,
}

/// A URL of the job; what else is known of it is in its register.
#[derive(Debug)]
pub(super) struct Entry {
    /// Version of its register.
    pub(super) version: u64,
    /// The second, since 1970, in which it is to be visited again; none until a page was fetched.
    pub(super) due: Option<NonZeroU32>,
    pub(super) attempts: u16,
    pub(super) admitted: bool,
    pub(super) stage: Stage,
}

impl Entry {
    pub(super) const fn creating() -> Self {
        Self { version: 0, due: None, attempts: 0, admitted: false, stage: Stage::Creating }
    }

    /// Whether it is closed already, and being visited again.
    pub(super) fn is_again(&self) -> bool {
        self.due.is_some() && self.stage != Stage::Closed
    }
}

/// This partition's share of the page budget.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Granted and not used.
    pub(super) available: u64,
    /// More was asked for.
    pub(super) asked: bool,
    pub(super) ask_again_at: Instant,
    /// URLs of which it is not settled yet whether an earlier owner admitted them at the last moment; until
    /// then nothing of the share is used.
    pub(super) fencing: usize,
}

/// How many URLs of each path with a query are known.
#[derive(Debug, Default)]
pub(super) struct Variants(BTreeMap<u64, u32>);

impl Variants {
    /// Counts a URL.
    pub(super) fn count(&mut self, url: &NormalizedUrl) {
        if let Some(path) = path_hash(url) {
            *self.0.entry(path).or_default() += 1;
        }
    }

    /// Counts a URL unless its path has as many queries as the job follows.
    pub(super) fn admits(&mut self, url: &NormalizedUrl, rules: &UrlRules) -> bool {
        let Some(path) = path_hash(url) else { return true };
        let known = self.0.entry(path).or_default();
        let admits = *known < rules.max_query_variants_per_path;
        *known += u32::from(admits);
        admits
    }
}

/// Stands for the path of a URL with a query.
fn path_hash(url: &NormalizedUrl) -> Option<u64> {
    let (path, _) = url.as_str().split_once('?')?;
    Sha1::digest(path.as_bytes()).first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// One job's part of a shard.
#[derive(Debug, Default)]
pub(super) struct JobShard {
    /// `None` until [`super::Work::Job`] is answered.
    pub(super) job: Option<Arc<ValidatedJob>>,
    /// Whether [`super::Work::Job`] was given out.
    pub(super) asked_for: bool,
    pub(super) control: Control,
    pub(super) urls: BTreeMap<UrlHash, Entry>,
    pub(super) links: BTreeSet<UrlHash>,
    pub(super) results: BTreeMap<u64, (ResultKind, UrlHash)>,
    pub(super) next_sequence: u64,
    /// Results from here on are not shown: an earlier one is not settled yet.
    pub(super) held_from: Option<u64>,
    /// Loaded sequences that two owners gave away: what has them here moves to a new one.
    pub(super) displaced: BTreeSet<u64>,
    pub(super) counters: Counters,
    pub(super) budget: Share,
    /// Queries of each path.
    pub(super) variants: Variants,
    /// What origins have given it to be sent back, by the hash of the origin.
    pub(super) jars: BTreeMap<[u8; 20], Jar>,
    /// Which page is to be visited again next.
    pub(super) agenda: Agenda,
    /// Pages whose records are being read for that.
    pub(super) waking: usize,
}

impl JobShard {
    /// The next sequence, from 1.
    pub(super) fn sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    /// Gives displaced results their new place.
    pub(super) fn replace_displaced(&mut self) {
        for old in std::mem::take(&mut self.displaced) {
            let new = self.sequence();
            if let Some(result) = self.results.remove(&old) {
                self.results.insert(new, result);
            }
        }
    }

    /// Counts an admission that this owner did not make itself, unless it is counted already; it uses up a page
    /// of the share that was taken over.
    pub(super) fn adopt_admission(&mut self, hash: UrlHash) {
        if let Some(entry) = self.urls.get_mut(&hash).filter(|entry| !entry.admitted) {
            entry.admitted = true;
            self.counters.admitted += 1;
            self.budget.available = self.budget.available.saturating_sub(1);
        }
    }

    pub(super) fn visible_results(
        &self,
        after: u64,
        limit: usize,
        wanted: impl Fn(ResultKind) -> bool,
    ) -> Vec<(u64, ResultKind, UrlHash)> {
        let end = self.held_from.unwrap_or(u64::MAX);
        let later = self.results.range(after.saturating_add(1)..).take_while(|(sequence, _)| **sequence < end);
        let later = later.filter(|(_, (kind, _))| wanted(*kind));
        later.take(limit).map(|(sequence, (kind, url))| (*sequence, *kind, *url)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_costs_no_more_memory_because_it_is_visited_again() {
        assert_eq!(size_of::<Entry>(), 16);
    }
}
