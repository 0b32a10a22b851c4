//! The ledger of a host: every request that was made to it, read out of the records of its URLs and its own.
//!
//! Nothing is written for the ledger: attempts stand in the records of their URLs, which live in one partition with the
//! host's own record. So it outlives every owner, any node can read it, and it costs its reader a look at all of the
//! partition for each piece. It reaches back as far as the records: the last 32 attempts at each page until its job
//! is deleted, and the last 16 requests for robots.txt for at least a day.

use super::Hosts;
use super::jobs::{JobsError, Try};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use scrapering_core::frontier::keys::{Name, host_partition, origin_hash};
use scrapering_core::frontier::record::{AttemptRecord, HostRecord, JobId, UrlRecord, decode, encode};
use scrapering_core::id::Key;
use scrapering_core::register::Versioned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Most entries of one answer.
pub const LEDGER_PAGE_MAX: usize = 1_000;

/// A request that was made to a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// The job that it was made for.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub job: JobId,
    /// What was asked for.
    pub url: String,
    /// How that went.
    #[serde(flatten)]
    pub attempt: Try,
}

/// A piece of a ledger, in the order in which the requests began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerPage {
    /// The requests. One that is under way appears when it has ended.
    pub items: Vec<LedgerEntry>,
    /// Hands out what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A place in the ledger: when a request began, and what tells it from others of that moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LedgerPlace {
    at_ms: u64,
    job: JobId,
    url: String,
    /// Of several attempts at one URL in the same millisecond.
    number: u32,
}

/// Text that no node has handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor")]
pub struct LedgerPlaceError;

impl fmt::Display for LedgerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(encode(self)))
    }
}

impl FromStr for LedgerPlace {
    type Err = LedgerPlaceError;

    fn from_str(text: &str) -> Result<Self, LedgerPlaceError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| LedgerPlaceError)?;
        decode(&bytes).map_err(|_| LedgerPlaceError)
    }
}

/// The first entries behind a place, never more than are wanted.
struct Gathering {
    after: Option<LedgerPlace>,
    limit: usize,
    found: BTreeMap<LedgerPlace, AttemptRecord>,
    more: bool,
}

impl Gathering {
    fn take(&mut self, job: JobId, url: &str, attempts: impl Iterator<Item = AttemptRecord>) {
        let mut number = 0;
        let mut last_ms = None;
        for attempt in attempts {
            number = if last_ms == Some(attempt.at_ms) { number + 1 } else { 0 };
            last_ms = Some(attempt.at_ms);
            let place = LedgerPlace { at_ms: attempt.at_ms, job, url: url.to_owned(), number };
            if self.after.as_ref().is_some_and(|after| place <= *after) {
                continue;
            }
            self.found.insert(place, attempt);
            if self.found.len() > self.limit {
                self.found.pop_last();
                self.more = true;
            }
        }
    }

    fn page(self) -> LedgerPage {
        let next = self.found.last_key_value().filter(|_| self.more).map(|(place, _)| place.to_string());
        let entry = |(place, attempt): (LedgerPlace, AttemptRecord)| LedgerEntry {
            job: place.job,
            url: place.url,
            attempt: Try::from(&attempt),
        };
        LedgerPage { items: self.found.into_iter().map(entry).collect(), next }
    }
}

impl Hosts {
    /// Requests made to `origins` behind `after`, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`].
    pub async fn ledger(
        &self,
        origins: &[String],
        after: Option<LedgerPlace>,
        limit: usize,
    ) -> Result<LedgerPage, JobsError> {
        let limit = limit.clamp(1, LEDGER_PAGE_MAX);
        let mut gathering = Gathering { after, limit, found: BTreeMap::new(), more: false };
        for origin in origins {
            let partition = host_partition(origin);
            self.robots_asked(origin, &mut gathering).await?;
            let mut name = None;
            loop {
                let page = self.crawl.driver.scan(partition, Name::all_urls_prefix(), name).await?;
                page.entries.iter().for_each(|(key, value)| take_url(origin, key, value, &mut gathering));
                name = page.next;
                if name.is_none() {
                    break;
                }
            }
        }
        Ok(gathering.page())
    }

    /// What is stored of a host.
    pub(super) async fn host_record(&self, origin: &str) -> Result<Option<HostRecord>, JobsError> {
        let key = Name::Host(origin_hash(origin)).key(host_partition(origin));
        let value = self.crawl.driver.read_one(key).await?;
        Ok(value.and_then(|value| decode(value.content.as_deref()?).ok()))
    }

    async fn robots_asked(&self, origin: &str, gathering: &mut Gathering) -> Result<(), JobsError> {
        let Some(record) = self.host_record(origin).await? else { return Ok(()) };
        for asked in record.asked {
            let url = asked.moved.unwrap_or_else(|| format!("{origin}/robots.txt"));
            gathering.take(asked.job, &url, std::iter::once(asked.attempt));
        }
        Ok(())
    }
}

fn take_url(origin: &str, key: &Key, value: &Versioned, gathering: &mut Gathering) {
    let (Some(Name::Url(job, _)), Some(content)) = (Name::parse(key), value.content.as_deref()) else { return };
    let Ok(record) = decode::<UrlRecord>(content) else { return };
    let is_here = || scrapering_core::job::NormalizedUrl::parse(&record.url).is_ok_and(|url| url.origin() == origin);
    if !record.attempts.last.is_empty() && is_here() {
        gathering.take(job, &record.url, record.attempts.last.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_core::frontier::record::AttemptEnd;

    fn attempt(at_ms: u64) -> AttemptRecord {
        AttemptRecord { at_ms, took_ms: 1, end: AttemptEnd::Status(200) }
    }

    #[test]
    fn pieces_follow_each_other_in_order_without_gap_or_repetition() {
        let job = JobId([1; 16]);
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let mut gathering = Gathering { after, limit: 3, found: BTreeMap::new(), more: false };
            for number in [5_u64, 1, 4, 2, 3] {
                let url = format!("http://a.test/{number}");
                gathering.take(job, &url, [attempt(number), attempt(number), attempt(10)].into_iter());
            }
            let page = gathering.page();
            seen.extend(page.items.iter().map(|entry| (entry.attempt.at.clone(), entry.url.clone())));
            assert!(page.items.len() <= 3);
            let Some(next) = page.next else { break };
            after = Some(next.parse().expect("a cursor"));
        }
        assert_eq!(seen.len(), 15);
        assert!(seen.is_sorted());
        assert!("nonsense".parse::<LedgerPlace>().is_err());
    }
}
