//! Taking a partition over: the shard as its registers tell it.

use super::Shard;
use super::commit::{Pending, Pipeline, result_kind};
use super::job::{Entry, JobShard, ResultKind, Stage};
use super::records::Records;
use crate::dice::Jitter;
use crate::frontier::LEASE;
use crate::frontier::host::Policy;
use crate::frontier::keys::Name;
use crate::frontier::record::{
    HostRecord, JobId, LinkRecord, RecordError, Token, UrlHash, UrlRecord, UrlState, decode,
};
use crate::id::{Key, Partition};
use crate::job::NormalizedUrl;
use crate::register::Versioned;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Who owned a partition before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// Nobody ever.
    Nobody,
    /// An earlier life of this node's process: it cannot be fetching any more, but may have until just now.
    Myself,
    /// Another node, which may still be fetching: nothing is fetched for a [`LEASE`].
    Other,
}

impl Shard {
    /// An empty shard of `partition`, claimed at `claimed_at` with `token` after `previous`.
    #[must_use]
    pub fn open(partition: Partition, token: Token, claimed_at: Instant, previous: Previous) -> Self {
        let fetch_from = if previous == Previous::Other { claimed_at + LEASE } else { claimed_at };
        Self {
            partition,
            token,
            jobs: BTreeMap::new(),
            hosts: BTreeMap::new(),
            records: Records::default(),
            chores: VecDeque::new(),
            pipeline: Pipeline::default(),
            events: VecDeque::new(),
            claimed_at,
            fetch_from,
            resumed_at: (previous != Previous::Nobody).then_some(fetch_from),
            confirmed_at: claimed_at,
            confirming: false,
            lapsed: false,
            lost: false,
            wake_at: None,
            last_host: None,
            policy: Policy::default(),
            dice: Jitter::new(token.0.wrapping_mul(0x9e37_79b9) ^ u64::from(partition.0)),
            wall: (claimed_at, 0),
            swept_at: claimed_at,
            has_forgotten: false,
            unread: BTreeSet::new(),
            barred: BTreeSet::new(),
            opt_outs: Arc::default(),
            turned_away: BTreeSet::new(),
            told_at: claimed_at,
        }
    }

    /// What the operator asks of every visit, and the wall clock at `now`, milliseconds since 1970.
    #[must_use]
    pub fn with_policy(self, policy: Policy, now: Instant, wall_ms: u64) -> Self {
        Self { policy, wall: (now, wall_ms), ..self }
    }

    /// Takes over one record, read by quorum after the claim. `wall_ms`: milliseconds since 1970.
    ///
    /// # Errors
    /// [`RecordError`] if the record cannot be read; the shard is as it was.
    pub fn load(&mut self, key: &Key, value: &Versioned, now: Instant, wall_ms: u64) -> Result<(), RecordError> {
        let Some(content) = &value.content else { return Ok(()) };
        match Name::parse(key) {
            Some(Name::Url(job, hash)) => self.load_url(job, hash, decode(content)?, value.version, now, wall_ms),
            Some(Name::Link(job, hash)) => {
                let record: LinkRecord = decode(content)?;
                let shard = self.jobs.entry(job).or_default();
                shard.links.insert(hash);
                if shard.displaces(record.sequence) {
                    self.pipeline.push(Pending::renumber_link(job, hash, record, value.version));
                } else {
                    shard.counters.unfollowed += 1;
                    shard.results.insert(record.sequence, (ResultKind::Link, hash));
                }
            }
            Some(Name::Jar(job, hash)) => self.load_jar(job, hash, decode(content)?, value.version),
            Some(Name::Host(hash)) => self.load_host(hash, &decode(content)?, value.version, now, wall_ms),
            Some(Name::Owner | Name::Job(_) | Name::Budget(_) | Name::Content(..)) | None => {}
            Some(Name::Delivery(_) | Name::Output(..) | Name::Export(..) | Name::Schedule(_) | Name::OptOuts) => {}
        }
        Ok(())
    }

    fn load_url(&mut self, job: JobId, hash: UrlHash, record: UrlRecord, version: u64, now: Instant, wall_ms: u64) {
        let shard = self.jobs.entry(job).or_default();
        shard.counters.discovered += 1;
        shard.counters.admitted += u64::from(record.admitted);
        let open = record.state == UrlState::Open;
        let entry = Entry {
            version,
            due: None,
            attempts: u16::try_from(record.attempts.failed).unwrap_or(u16::MAX),
            admitted: record.admitted,
            stage: if open { Stage::Waiting } else { Stage::Closed },
        };
        shard.urls.insert(hash, entry);
        if let Ok(url) = NormalizedUrl::parse(&record.url) {
            shard.variants.count(&url);
            if record.admitted {
                self.host(&url.origin()).queues.entry(job).or_default().taken += 1;
            }
        }
        let Some(shard) = self.jobs.get_mut(&job) else { return };
        if let UrlState::Closed { sequence, result } = &record.state {
            if shard.displaces(*sequence) {
                shard.urls.entry(hash).and_modify(|entry| entry.stage = Stage::Closing);
                self.pipeline.push(Pending::renumber(job, hash, record, version));
                return;
            }
            shard.count_closed(record.admitted, result);
            shard.results.insert(*sequence, (result_kind(result), hash));
            shard.schedule_visit(hash, result);
        } else if record.attempts.failed > 0 {
            self.enqueue_retry(job, hash, now + record.attempts.pause_left(wall_ms), record);
        } else {
            self.enqueue(job, hash, record);
        }
    }

    fn load_host(&mut self, hash: [u8; 20], record: &HostRecord, version: u64, now: Instant, wall_ms: u64) {
        self.wall = (now, wall_ms);
        if record.is_stale(wall_ms) {
            self.pipeline.push(Pending::remove_host(hash, version));
            return;
        }
        let host = self.host(&record.origin);
        host.version = version;
        host.adopt(record, now, wall_ms);
    }
}

impl JobShard {
    /// Notes a loaded sequence. If two owners used it, readers may have passed it with either result: the one
    /// loaded before moves to a new place, and this one has to as well (`true`).
    fn displaces(&mut self, sequence: u64) -> bool {
        self.next_sequence = self.next_sequence.max(sequence);
        self.results.contains_key(&sequence) && {
            self.displaced.insert(sequence);
            true
        }
    }
}
