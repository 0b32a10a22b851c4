//! Listing by prefix: every partition is read by quorum, and the pages are merged in the order of the keys.
//!
//! Each entry is linearizable; the listing as a whole is no snapshot.

use super::{Kv, KvError};
use crate::auth::Tenant;
use crate::driver::registers::Page;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use scrapering_core::id::{OperationId, Partition};
use scrapering_core::kv::{self, UserKey, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Most entries in one listing.
pub const LARGEST_LISTING: usize = 1000;
/// Partitions that are read at a time.
const CONCURRENCY: usize = 16;
/// How long a listing may take in all.
const TIMEOUT: Duration = Duration::from_secs(8);

/// A key in a listing, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// Its version.
    pub version: u64,
    /// The operation that wrote it.
    pub operation: OperationId,
    /// Its media type; empty if none was given.
    pub content_type: String,
    /// Length of its content.
    pub bytes: usize,
}

impl Listed {
    /// The key whose register holds `content`.
    pub(super) fn of(key: String, version: u64, operation: OperationId, content: &Bytes) -> Result<Self, KvError> {
        let Value { content_type, content } = Value::decode(content).map_err(|_| KvError::Damaged)?;
        Ok(Self { key, version, operation, content_type, bytes: content.len() })
    }
}

/// A piece of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Ascending.
    pub items: Vec<Listed>,
    /// Goes on behind the last item; `None` at the end.
    pub next: Option<Cursor>,
}

/// A place in a listing, as opaque text. Any node can go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(UserKey);

/// Text that no node has handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not valid; leave it out to read from the beginning")]
pub struct CursorError;

const CURSOR_FORMAT: u8 = b'1';

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[CURSOR_FORMAT], self.0.as_str().as_bytes()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let [CURSOR_FORMAT, key @ ..] = bytes.as_slice() else { return Err(CursorError) };
        let key = std::str::from_utf8(key).map_err(|_| CursorError)?;
        key.parse().map(Self).map_err(|_| CursorError)
    }
}

impl Kv {
    /// Keys of `tenant` that begin with `prefix`, behind `cursor`, at most `limit`.
    ///
    /// # Errors
    /// [`KvError::Unavailable`], [`KvError::Damaged`].
    pub async fn list(
        &self,
        tenant: &Tenant,
        prefix: &str,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Listing, KvError> {
        let limit = limit.clamp(1, LARGEST_LISTING);
        let mut merge = Merge {
            tenant,
            prefix: kv::name(tenant.as_str(), prefix),
            after: cursor.map(|Cursor(key)| kv::name(tenant.as_str(), key.as_str())),
            items: BTreeMap::new(),
            open: BTreeMap::new(),
        };
        let listing = async {
            merge.fetch(self, Partition::all().map(|partition| (partition, None)).collect()).await?;
            loop {
                let behind = merge.behind(limit);
                if behind.is_empty() {
                    return Ok(merge.finish(limit));
                }
                merge.fetch(self, behind).await?;
            }
        };
        tokio::time::timeout(TIMEOUT, listing).await.unwrap_or(Err(KvError::Unavailable))
    }
}

/// Partitions to be read on, each after a name.
type Places = Vec<(Partition, Option<Vec<u8>>)>;

/// What the partitions have told so far.
struct Merge<'tenant> {
    tenant: &'tenant Tenant,
    prefix: Vec<u8>,
    after: Option<Vec<u8>>,
    items: BTreeMap<String, Listed>,
    /// Partitions that have told everything up to this name only.
    open: BTreeMap<Partition, Vec<u8>>,
}

impl Merge<'_> {
    async fn fetch(&mut self, kv: &Kv, places: Places) -> Result<(), KvError> {
        let read = |(partition, after): (Partition, Option<Vec<u8>>)| {
            let (prefix, after) = (self.prefix.clone(), after.or_else(|| self.after.clone()));
            async move { (partition, kv.registers.scan(partition, prefix, after).await) }
        };
        let reads: Vec<_> = places.into_iter().map(read).collect();
        let mut pages = stream::iter(reads).buffer_unordered(CONCURRENCY);
        while let Some((partition, page)) = pages.next().await {
            let Page { entries, next } = page.map_err(|_| KvError::Unavailable)?;
            match next {
                Some(name) => drop(self.open.insert(partition, name)),
                None => drop(self.open.remove(&partition)),
            }
            for (register, found) in entries {
                let Some(key) = kv::key_of(self.tenant.as_str(), &register.name) else { continue };
                let Some(content) = found.content else { continue };
                let item = Listed::of(key.to_owned(), found.version, found.operation, &content)?;
                self.items.insert(item.key.clone(), item);
            }
        }
        Ok(())
    }

    /// Partitions that may still have something to say about the first `limit` keys.
    fn behind(&self, limit: usize) -> Places {
        let last = self.items.keys().nth(limit).map(|key| kv::name(self.tenant.as_str(), key));
        let is_behind = |name: &Vec<u8>| last.as_ref().is_none_or(|last| name < last);
        let open = self.open.iter().filter(|(_, name)| is_behind(name));
        open.map(|(partition, name)| (*partition, Some(name.clone()))).collect()
    }

    fn finish(self, limit: usize) -> Listing {
        let more = self.items.len() > limit;
        let items: Vec<Listed> = self.items.into_values().take(limit).collect();
        let last = items.last().filter(|_| more).and_then(|item| item.key.parse().ok());
        Listing { next: last.map(Cursor), items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_refused() {
        let cursor = Cursor("a/é".parse().expect("key"));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "%", "MQ", "Mi4", "zzzz"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }
}
