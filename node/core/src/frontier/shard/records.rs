//! What open URLs are: a few records are in memory, the others are read from their registers when their turn is near.
//!
//! A frontier may be much larger than memory. Of each URL the shard holds where it stands, its version and its hash;
//! its text and how it was come upon are in its register. Records of URLs that are being requested are always here.

use super::job::Stage;
use super::{Shard, Work};
use crate::frontier::record::{JobId, UrlHash, UrlRecord, UrlState};
use std::collections::{BTreeMap, BTreeSet};

/// Records that are kept though their turn has not come.
const ROOM: usize = 512;
/// Most records read at once.
pub(super) const READ_AHEAD: usize = 64;

/// Records in memory.
#[derive(Debug)]
pub(super) struct Records {
    kept: BTreeMap<(JobId, UrlHash), UrlRecord>,
    reading: BTreeSet<(JobId, UrlHash)>,
    room: usize,
}

impl Default for Records {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), reading: BTreeSet::new(), room: ROOM }
    }
}

impl Records {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn get(&self, job: JobId, url: UrlHash) -> Option<&UrlRecord> {
        self.kept.get(&(job, url))
    }

    pub(super) fn get_mut(&mut self, job: JobId, url: UrlHash) -> Option<&mut UrlRecord> {
        self.kept.get_mut(&(job, url))
    }

    /// Keeps a record until it is taken.
    pub(super) fn keep(&mut self, job: JobId, url: UrlHash, record: UrlRecord) {
        self.kept.insert((job, url), record);
    }

    /// Keeps no more of a URL that waits, if there are too many records.
    pub(super) fn make_room(&mut self, job: JobId, url: UrlHash) {
        if self.kept.len() > self.room {
            self.kept.remove(&(job, url));
        }
    }

    pub(super) fn take(&mut self, job: JobId, url: UrlHash) -> Option<UrlRecord> {
        self.kept.remove(&(job, url))
    }

    /// The job is gone.
    pub(super) fn forget(&mut self, job: JobId) {
        self.kept.retain(|(id, _), _| *id != job);
        self.reading.retain(|(id, _)| *id != job);
    }

    /// What has to be read of the next few of `urls`; `None` if all are here or on their way.
    pub(super) fn read(&mut self, job: JobId, urls: impl Iterator<Item = UrlHash>) -> Option<Work> {
        let missing = |url: &UrlHash| !self.kept.contains_key(&(job, *url)) && !self.reading.contains(&(job, *url));
        let urls: Vec<UrlHash> = urls.take(READ_AHEAD).filter(missing).collect();
        self.reading.extend(urls.iter().map(|url| (job, *url)));
        (!urls.is_empty()).then_some(Work::Read { job, urls })
    }
}

impl Shard {
    /// Keeps about `records` records of URLs in memory whose turn has not come.
    #[cfg(test)]
    pub(super) fn with_room(mut self, records: usize) -> Self {
        self.records.room = records;
        self
    }

    /// The answer to [`Work::Read`]: the records with their versions, `None` for each that was removed.
    pub fn handle_read(&mut self, id: JobId, records: Vec<(UrlHash, Option<(UrlRecord, u64)>)>) {
        for (url, found) in records {
            if !self.records.reading.remove(&(id, url)) {
                continue;
            }
            let Some(shard) = self.jobs.get_mut(&id) else { continue };
            let Some(entry) = shard.urls.get(&url) else { continue };
            match (entry.stage, found) {
                (Stage::Waking, found) => self.wake(id, url, found),
                (Stage::Waiting, Some(found)) if entry.is_again() => {
                    if let Some(record) = self.if_known(id, url, found) {
                        self.records.keep(id, url, record);
                    }
                }
                // That another owner has closed it at the last moment is found out when it is closed again.
                (Stage::Waiting, Some((record, _))) => {
                    let record = UrlRecord { admitted: entry.admitted, state: UrlState::Open, ..record };
                    self.records.keep(id, url, record);
                }
                (Stage::Waiting, None) => _ = shard.urls.remove(&url),
                _ => {}
            }
        }
    }
}
