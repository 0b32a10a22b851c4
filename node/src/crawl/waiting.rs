//! The frontier of a job as it is now: the URLs that wait, read from the records beside their hosts.

use super::Jobs;
use super::jobs::{JobRef, JobsError, Try};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::stream::{self, StreamExt};
use schemars::JsonSchema;
use scrapering_core::frontier::keys::{Name, host_partition};
use scrapering_core::frontier::record::{UrlRecord, UrlState, decode, encode};
use scrapering_core::id::{PARTITIONS, Partition};
use scrapering_core::job::{NormalizedUrl, Patterns};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Most URLs in one answer.
pub const WAITING_MAX: usize = 1000;
/// Partitions that are read at once.
const READS: usize = 16;
/// Most pieces of the store that are read for one answer, 512 records each: what is found by then is the answer.
const PIECES_MAX: usize = 512;

/// A URL that waits, or is being fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingUrl {
    /// The canonical URL.
    pub url: String,
    /// Links followed from a seed.
    pub depth: u32,
    /// Of two URLs of one host the one with the higher priority is requested first.
    pub priority: u8,
    /// The requests that were made for it and failed, the oldest first; at most the last 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
}

/// Some of the URLs that wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingPage {
    /// The URLs, those of one host beside each other. There may be few or none, and more behind the cursor.
    pub items: Vec<WaitingUrl>,
    /// Cursor of what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which URLs are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingFilter {
    /// Only those of these origins; none is any.
    pub origins: Vec<String>,
    /// Only those in which one of these is found; none is any.
    pub patterns: Patterns,
}

/// Where an answer ended: in which partition, behind which record. The default is the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingPlace {
    partition: u16,
    after: Option<Vec<u8>>,
}

/// Text that no node has handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor")]
pub struct WaitingPlaceError;

impl fmt::Display for WaitingPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(encode(self)))
    }
}

impl FromStr for WaitingPlace {
    type Err = WaitingPlaceError;

    fn from_str(text: &str) -> Result<Self, WaitingPlaceError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| WaitingPlaceError)?;
        let place: Self = decode(&bytes).map_err(|_| WaitingPlaceError)?;
        if place.partition < PARTITIONS { Ok(place) } else { Err(WaitingPlaceError) }
    }
}

impl WaitingFilter {
    fn partitions(&self, from: u16) -> Vec<Partition> {
        let named: BTreeSet<u16> = self.origins.iter().map(|origin| host_partition(origin).0).collect();
        let asked = Partition::all().filter(|partition| named.is_empty() || named.contains(&partition.0));
        asked.filter(|partition| partition.0 >= from).collect()
    }

    fn admits(&self, url: &str) -> bool {
        let of_host = || NormalizedUrl::parse(url).is_ok_and(|url| self.origins.contains(&url.origin()));
        (self.origins.is_empty() || of_host()) && (self.patterns.is_empty() || self.patterns.is_match(url))
    }

    /// What waits, if it is asked for.
    fn waiting(&self, content: Option<&[u8]>) -> Option<WaitingUrl> {
        let record: UrlRecord = decode(content?).ok()?;
        let waits = record.state == UrlState::Open && self.admits(&record.url);
        let tries = || record.attempts.last.iter().map(Try::from).collect();
        waits.then(|| WaitingUrl {
            depth: record.depth,
            priority: record.way.priority,
            tries: tries(),
            url: record.url,
        })
    }
}

impl Jobs {
    /// URLs of a job that wait, behind a place; at most `limit`.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn waiting(
        &self,
        job: &JobRef,
        filter: &WaitingFilter,
        place: &WaitingPlace,
        limit: usize,
    ) -> Result<WaitingPage, JobsError> {
        self.record(job).await?;
        let read = |partition: Partition, after| self.crawl.driver.scan(partition, Name::urls_prefix(job.id), after);
        let partitions = filter.partitions(place.partition);
        let firsts = partitions.into_iter().map(|partition| {
            let after = place.after.clone().filter(|_| partition.0 == place.partition);
            async move { (partition, read(partition, after).await) }
        });
        let mut firsts = stream::iter(firsts.collect::<Vec<_>>()).buffered(READS);
        let (mut items, mut pieces) = (Vec::new(), 0);
        let until = |items, partition, after| {
            let next = Some(WaitingPlace { partition, after }.to_string());
            Ok(WaitingPage { items, next })
        };
        while let Some((partition, piece)) = firsts.next().await {
            let mut piece = piece?;
            loop {
                pieces += 1;
                for (key, value) in piece.entries {
                    items.extend(filter.waiting(value.content.as_deref()));
                    if items.len() >= limit {
                        return until(items, partition.0, Some(key.name));
                    }
                }
                let Some(after) = piece.next else { break };
                if pieces >= PIECES_MAX {
                    return until(items, partition.0, Some(after));
                }
                piece = read(partition, Some(after)).await?;
            }
        }
        Ok(WaitingPage { items, next: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_and_anything_else_is_refused() {
        let place = WaitingPlace { partition: 255, after: Some(vec![1, 2, 3]) };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "%", "zzzz"] {
            assert_eq!(text.parse::<WaitingPlace>(), Err(WaitingPlaceError), "{text:?}");
        }
        let beyond = WaitingPlace { partition: PARTITIONS, after: None };
        assert_eq!(beyond.to_string().parse::<WaitingPlace>(), Err(WaitingPlaceError));
    }

    #[test]
    fn a_host_is_looked_for_in_its_own_partitions_and_by_its_origin() {
        let origins = vec!["https://a.example:443".to_owned(), "http://a.example:80".to_owned()];
        let any = WaitingFilter { origins: Vec::new(), patterns: Patterns::compile::<&str>(&[]).expect("none") };
        let filter = WaitingFilter { origins: origins.clone(), patterns: Patterns::compile(&["/x"]).expect("one") };
        assert_eq!(any.partitions(0).len(), usize::from(PARTITIONS));
        assert_eq!(any.partitions(250).len(), 6);
        assert!(filter.partitions(0).len() <= 2);
        let origin = NormalizedUrl::parse("https://a.example/x").expect("a URL").origin();
        assert!(filter.partitions(0).contains(&host_partition(&origin)) == origins.contains(&origin));
        assert!(filter.admits("https://a.example/x") == origins.contains(&origin));
        assert!(!filter.admits("https://a.example/y") && !filter.admits("https://b.example/x"));
        assert!(any.admits("https://b.example/"));
    }
}
