//! Pages that say what another page of the job said already.
//!
//! The first page of a content writes its URL under the content's digest; every later one finds it there. For similar texts the URL and the simhash are
//! written under each block of the simhash: two that differ in few bits agree in one block, and whoever comes second to its register finds the first.
//! This happens before the page's own record, so a page that is fetched again after a crash finds itself, and is no duplicate.
//! A page that counts is not judged again when it is visited again: what it says changes, and each time registers would be left behind.

use super::Crawl;
use super::worker::Visit;
use crate::driver::registers::Unavailable;
use crate::extract::PageResult;
use aws_lc_rs::digest::{SHA256, digest};
use scrapering_core::frontier::keys::{Name, content_partition};
use scrapering_core::frontier::record::{ContentRecord, JobId, decode, encode};
use scrapering_core::id::Partition;
use scrapering_core::job::{ContentIdentity, ValidatedJob};
use scrapering_core::register::{Change, Outcome};
use scrapering_core::simhash::Simhash;
use std::time::Duration;

/// Pause before a register that cannot be reached is tried again.
const PAUSE: Duration = Duration::from_millis(250);
/// Pages that one block of a simhash remembers; with more it would tell little apart.
const MOST_PAGES: usize = 256;

/// The URL of the page whose content this one repeats; `None` if it is the first.
pub(super) async fn original(
    crawl: &Crawl,
    job: &ValidatedJob,
    visit: &Visit,
    body: &[u8],
    page: &PageResult,
) -> Option<String> {
    if !job.dedup.is_on() || visit.history.is_some() {
        return None;
    }
    let text = page.text.as_deref().unwrap_or_default();
    let content = match job.dedup.content {
        ContentIdentity::Nothing => None,
        ContentIdentity::Body => Some(digest_of(&[b"body", body])),
        ContentIdentity::Text if text.is_empty() => None,
        ContentIdentity::Text => Some(digest_of(&[b"text", text.as_bytes()])),
    };
    let mut registers = Vec::new();
    registers.extend(content.map(|hash| (hash, Simhash(0), 0)));
    if let (Some(distance), Some(simhash)) = (job.dedup.simhash_distance, Simhash::of(text)) {
        let blocks = simhash.blocks().into_iter().enumerate();
        registers.extend(blocks.map(|(place, block)| {
            let place = u8::try_from(place).unwrap_or(u8::MAX);
            (digest_of(&[b"near", &[place], &block.to_be_bytes()]), simhash, distance)
        }));
    }
    for (hash, simhash, distance) in registers {
        let register = Register { job: visit.job, hash, simhash, distance };
        if let Some(original) = register.enter(crawl, visit.url.as_str()).await {
            return Some(original);
        }
    }
    None
}

/// A digest of the length of the other hashes in keys.
pub(super) fn digest_of(parts: &[&[u8]]) -> [u8; 20] {
    let whole = digest(&SHA256, &parts.concat());
    *whole.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

/// Where pages of one content, or of one block, are known.
struct Register {
    job: JobId,
    hash: [u8; 20],
    simhash: Simhash,
    /// Most bits in which a page's simhash may differ.
    distance: u32,
}

/// What a register says of a page.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It is similar to this one.
    Original(String),
    /// It is known.
    Itself,
    /// It is new, and the register is to hold this.
    New(ContentRecord),
}

impl Register {
    /// Enters the page, until it is known whether it is the first; returns the URL of the first if it is not.
    async fn enter(&self, crawl: &Crawl, url: &str) -> Option<String> {
        loop {
            match self.try_to_enter(crawl, url).await {
                Ok(Some(Found::Original(original))) => return Some(original),
                Ok(Some(_)) => return None,
                Ok(None) => {}
                Err(Unavailable) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// `None`: somebody else was faster.
    async fn try_to_enter(&self, crawl: &Crawl, url: &str) -> Result<Option<Found>, Unavailable> {
        let partition: Partition = content_partition(self.job, &self.hash);
        let key = Name::Content(self.job, self.hash).key(partition);
        let value = crawl.driver.read_one(key.clone()).await?;
        let known = value.as_ref().and_then(|value| decode::<ContentRecord>(value.content.as_deref()?).ok());
        let found = look_up(known.unwrap_or_default(), url, self.simhash, self.distance);
        let Found::New(record) = &found else { return Ok(Some(found)) };
        let content = encode(record);
        let change = match &value {
            Some(value) if value.content.is_some() => Change::CompareAndSet { version: value.version, content },
            _ => Change::Create(content),
        };
        match crawl.driver.change_one(key, change).await {
            Outcome::Done { .. } => Ok(Some(found)),
            // Whether it was written shows when it is read again.
            Outcome::Conflict { .. } | Outcome::Indeterminate => Ok(None),
            Outcome::Unavailable => Err(Unavailable),
        }
    }
}

fn look_up(known: ContentRecord, url: &str, simhash: Simhash, distance: u32) -> Found {
    let mut record = known;
    if record.pages.iter().any(|(page, _)| page == url) {
        return Found::Itself;
    }
    let is_similar = |other: &u64| Simhash(*other).distance(simhash) <= distance;
    if let Some((original, _)) = record.pages.iter().find(|(_, other)| is_similar(other)) {
        return Found::Original(original.clone());
    }
    if record.pages.len() >= MOST_PAGES {
        return Found::Itself;
    }
    record.pages.push((url.to_owned(), simhash.0));
    Found::New(record)
}

/// Removes what is known of the contents of a job; whether all of it is gone.
pub(super) async fn forget(crawl: &Crawl, job: JobId) -> Result<bool, Unavailable> {
    // Most jobs compare nothing, and every partition would have to be asked.
    if let Some((record, _)) = crawl.specs.record(job).await?
        && crate::job::load(&record.file).is_ok_and(|loaded| !loaded.job.dedup.is_on())
    {
        return Ok(true);
    }
    let partitions = Partition::all().map(|partition| forget_in(crawl, job, partition)).collect::<Vec<_>>();
    Ok(futures::future::try_join_all(partitions).await?.into_iter().all(|gone| gone))
}

async fn forget_in(crawl: &Crawl, job: JobId, partition: Partition) -> Result<bool, Unavailable> {
    let mut after = None;
    loop {
        let page = crawl.driver.scan(partition, Name::contents_prefix(job), after).await?;
        let live = page.entries.into_iter().filter(|(_, value)| value.content.is_some());
        if !crawl.driver.remove_all(partition, live.map(|(key, _)| key)).await {
            return Ok(false);
        }
        after = page.next;
        if after.is_none() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(pages: &[(&str, u64)]) -> ContentRecord {
        ContentRecord { pages: pages.iter().map(|(url, bits)| ((*url).to_owned(), *bits)).collect() }
    }

    #[test]
    fn the_first_page_of_a_content_is_kept_and_finds_itself_again() {
        let first = look_up(ContentRecord::default(), "a", Simhash(0), 0);
        assert_eq!(first, Found::New(known(&[("a", 0)])));
        assert_eq!(look_up(known(&[("a", 0)]), "a", Simhash(0), 0), Found::Itself);
        assert_eq!(look_up(known(&[("a", 0)]), "b", Simhash(0), 0), Found::Original("a".to_owned()));
    }

    #[test]
    fn similar_pages_are_those_within_the_distance() {
        let pages = known(&[("far", 0xff), ("near", 0b1)]);
        assert_eq!(look_up(pages.clone(), "b", Simhash(0b110), 3), Found::Original("near".to_owned()));
        assert!(matches!(look_up(pages, "b", Simhash(0b110), 2), Found::New(record) if record.pages.len() == 3));
    }

    #[test]
    fn a_block_that_half_the_job_has_in_common_stops_growing() {
        let full = ContentRecord { pages: (0..MOST_PAGES).map(|n| (format!("{n}"), u64::MAX)).collect() };
        assert_eq!(look_up(full, "b", Simhash(0), 3), Found::Itself);
    }
}
