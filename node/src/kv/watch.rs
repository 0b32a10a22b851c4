//! Watching a key or a prefix: what is there now, and then every change, at least to its last version.
//!
//! A watcher is told every version that stays; versions that follow each other quickly may collapse into the last.
//! Each event carries a [`Mark`] of all that was told so far. A watcher that comes back with its last mark, to this
//! node or another, goes on without repetition if nothing has changed meanwhile; otherwise it is told so
//! ([`Event::Reset`]) and everything that is there now.

use super::hints::Hint;
use super::{Consistency, Cursor, Kv, KvError, LARGEST_LISTING, Listed, Stored};
use crate::auth::Tenant;
use scrapering_core::id::OperationId;
use scrapering_core::kv::{self, UserKey, Value};
use scrapering_core::register::Versioned;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, broadcast};

/// Most keys under one watched prefix.
pub const MOST_WATCHED_KEYS: usize = 100_000;
/// Pause after a hint: the other copies of the same write are hinted at too.
const GATHER: Duration = Duration::from_millis(5);
/// Pause after a gap, and after a reading that failed.
const GATHER_GAPS: Duration = Duration::from_millis(250);

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// One key.
    Key(UserKey),
    /// Every key that begins so.
    Prefix(String),
}

/// Something to tell a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key holds a value.
    Put(Listed),
    /// A key holds nothing any more.
    Delete {
        /// The key.
        key: String,
        /// The version that removed it, if it is still known.
        version: Option<u64>,
    },
    /// Forget everything: what is there now follows, and whatever is not named before [`Event::Synced`] is gone.
    Reset,
    /// Everything that was there at the beginning has been told.
    Synced,
}

/// Stands for what a watcher was told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Not yet everything that was there at the beginning.
    Partial,
    /// Everything: a sum over keys, versions and operations.
    Whole(u128),
}

/// Text that no node has handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no id of an event: these are 32 hex digits, or \"{PARTIAL}\"")]
pub struct MarkError;

const PARTIAL: &str = "partial";

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partial => f.write_str(PARTIAL),
            Self::Whole(sum) => write!(f, "{sum:032x}"),
        }
    }
}

impl FromStr for Mark {
    type Err = MarkError;

    fn from_str(text: &str) -> Result<Self, MarkError> {
        if text == PARTIAL {
            return Ok(Self::Partial);
        }
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Self::Whole).ok_or(MarkError)
    }
}

/// What a key adds to the sum.
fn part(key: &str, (version, operation): Version) -> u128 {
    let mut hash = Sha256::new();
    hash.update(operation.0.to_be_bytes());
    hash.update(version.to_be_bytes());
    hash.update(key);
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    u128::from_be_bytes(half)
}

type Version = (u64, OperationId);

/// A watch in progress.
pub struct Watch {
    kv: Kv,
    tenant: Tenant,
    watched: Watched,
    hints: broadcast::Receiver<Hint>,
    known: BTreeMap<String, Version>,
    sum: u128,
    outbox: VecDeque<(Event, Mark)>,
    /// Keys to be read again.
    pending: BTreeSet<String>,
    /// Whether everything is to be read again.
    relist: bool,
    _permit: OwnedSemaphorePermit,
}

impl Kv {
    /// Begins to watch; `last` is the mark of the last event that the watcher was told, if it comes back.
    ///
    /// # Errors
    /// [`KvError::Unavailable`], [`KvError::Busy`], [`KvError::TooManyKeys`], [`KvError::Damaged`].
    pub async fn watch(&self, tenant: &Tenant, watched: Watched, last: Option<Mark>) -> Result<Watch, KvError> {
        let permit = self.watches.clone().try_acquire_owned().map_err(|_| KvError::Busy)?;
        // Listened to before the first reading, so that nothing falls between them.
        let hints = self.registers.hints().subscribe();
        let mut watch = Watch {
            kv: self.clone(),
            tenant: tenant.clone(),
            watched,
            hints,
            known: BTreeMap::new(),
            sum: 0,
            outbox: VecDeque::new(),
            pending: BTreeSet::new(),
            relist: false,
            _permit: permit,
        };
        watch.begin(last).await?;
        Ok(watch)
    }
}

impl Watch {
    /// The next event and its mark; `None` when the node stops, or there are too many keys.
    pub async fn next(&mut self) -> Option<(Event, Mark)> {
        let stop = self.kv.registers.hints().stopped().clone();
        loop {
            if let Some(event) = self.outbox.pop_front() {
                return Some(event);
            }
            if self.known.len() > MOST_WATCHED_KEYS {
                return None;
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = self.look() => {}
            }
        }
    }

    async fn begin(&mut self, last: Option<Mark>) -> Result<(), KvError> {
        let found = self.found().await?;
        let events: Vec<Event> = found.into_values().map(Event::Put).collect();
        for event in &events {
            if let Event::Put(item) = event {
                self.know(&item.key, Some((item.version, item.operation)));
            }
        }
        let resumed = last == Some(self.mark());
        let reset = last.is_some() && !resumed;
        match &self.watched {
            Watched::Prefix(_) if reset => self.outbox.push_back((Event::Reset, Mark::Partial)),
            Watched::Key(key) if reset && events.is_empty() => {
                let event = Event::Delete { key: key.to_string(), version: None };
                self.outbox.push_back((event, Mark::Partial));
            }
            _ => {}
        }
        if !resumed {
            self.outbox.extend(events.into_iter().map(|event| (event, Mark::Partial)));
        }
        let mark = self.mark();
        self.outbox.push_back((Event::Synced, mark));
        Ok(())
    }

    /// Waits for hints and reads what they are about.
    async fn look(&mut self) {
        if !self.relist && self.pending.is_empty() {
            match self.hints.recv().await {
                Ok(hint) => self.note(hint),
                Err(broadcast::error::RecvError::Lagged(_)) => self.relist = true,
                // Only when the node stops.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
        tokio::time::sleep(if self.relist { GATHER_GAPS } else { GATHER }).await;
        loop {
            match self.hints.try_recv() {
                Ok(hint) => self.note(hint),
                Err(broadcast::error::TryRecvError::Lagged(_)) => self.relist = true,
                Err(_) => break,
            }
        }
        if self.read().await.is_err() {
            // What could not be read is still pending; a little later there may be a majority again.
            tokio::time::sleep(GATHER_GAPS).await;
        }
    }

    fn note(&mut self, hint: Hint) {
        match hint {
            Hint::Gap => self.relist = true,
            Hint::Written(name) => {
                let Some(key) = kv::key_of(self.tenant.as_str(), &name) else { return };
                let is_watched = match &self.watched {
                    Watched::Key(watched) => watched.as_str() == key,
                    Watched::Prefix(prefix) => key.starts_with(prefix),
                };
                if is_watched && !self.relist {
                    self.pending.insert(key.to_owned());
                }
            }
        }
        if self.pending.len() > MOST_WATCHED_KEYS {
            self.relist = true;
        }
    }

    async fn read(&mut self) -> Result<(), KvError> {
        if self.relist {
            let found = self.found().await?;
            // A key that is not found is read on its own: that tells the version that removed it.
            self.pending = self.known.keys().filter(|key| !found.contains_key(*key)).cloned().collect();
            found.into_values().for_each(|item| self.put(item));
            self.relist = false;
        }
        while let Some(key) = self.pending.first().cloned() {
            let Ok(user_key) = key.parse::<UserKey>() else {
                self.pending.remove(&key);
                continue;
            };
            let found = self.kv.read(kv::register(self.tenant.as_str(), &user_key)).await?;
            self.pending.remove(&key);
            match found {
                Some(Versioned { version, operation, content: Some(content) }) => {
                    self.put(Listed::of(key, version, operation, &content)?);
                }
                absent => self.delete(key, absent.map(|tombstone| tombstone.version)),
            }
        }
        Ok(())
    }

    /// Everything watched that is there now.
    async fn found(&self) -> Result<BTreeMap<String, Listed>, KvError> {
        let mut found = BTreeMap::new();
        match &self.watched {
            Watched::Key(key) => {
                let stored = self.kv.get(&self.tenant, key, Consistency::Strong).await?;
                let item = stored.and_then(|Stored { version, operation, value }| {
                    let Value { content_type, content } = value?;
                    Some(Listed { key: key.to_string(), version, operation, content_type, bytes: content.len() })
                });
                found.extend(item.map(|item| (item.key.clone(), item)));
            }
            Watched::Prefix(prefix) => {
                let mut cursor: Option<Cursor> = None;
                loop {
                    let piece = self.kv.list(&self.tenant, prefix, cursor.as_ref(), LARGEST_LISTING).await?;
                    found.extend(piece.items.into_iter().map(|item| (item.key.clone(), item)));
                    if found.len() > MOST_WATCHED_KEYS {
                        return Err(KvError::TooManyKeys);
                    }
                    cursor = piece.next;
                    if cursor.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    fn put(&mut self, item: Listed) {
        let version = (item.version, item.operation);
        if self.known.get(&item.key) != Some(&version) {
            self.know(&item.key, Some(version));
            let mark = self.mark();
            self.outbox.push_back((Event::Put(item), mark));
        }
    }

    fn delete(&mut self, key: String, version: Option<u64>) {
        if self.known.contains_key(&key) {
            self.know(&key, None);
            let mark = self.mark();
            self.outbox.push_back((Event::Delete { key, version }, mark));
        }
    }

    fn mark(&self) -> Mark {
        Mark::Whole(self.sum)
    }

    fn know(&mut self, key: &str, version: Option<Version>) {
        if let Some(old) = self.known.remove(key) {
            self.sum = self.sum.wrapping_sub(part(key, old));
        }
        if let Some(version) = version {
            self.sum = self.sum.wrapping_add(part(key, version));
            self.known.insert(key.to_owned(), version);
        }
    }
}

#[cfg(test)]
mod tests;
