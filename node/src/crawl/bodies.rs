//! Pages as they were read, for the doors: kept by jobs whose outputs ask for it.

use super::Jobs;
use super::jobs::{JobRef, JobsError};
use bytes::Bytes;
use scrapering_core::frontier::keys::Name;
use scrapering_core::frontier::record::{PageResult, UrlHash, UrlRecord, UrlState, decode};
use scrapering_core::id::{PARTITIONS, Partition};
use std::fmt;
use std::str::FromStr;

/// Which page of a job: the partition of its host and the hash of its URL, 44 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageId {
    /// Where its record lives.
    pub partition: Partition,
    /// SHA-1 of its URL.
    pub hash: UrlHash,
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.partition.0)?;
        self.hash.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text that names no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page's id has 44 hexadecimal digits; the list of pages tells it")]
pub struct PageIdError;

impl FromStr for PageId {
    type Err = PageIdError;

    fn from_str(text: &str) -> Result<Self, PageIdError> {
        let read = || {
            let (partition, hash) = text.split_at_checked(4)?;
            let partition = u16::from_str_radix(partition, 16).ok().filter(|partition| *partition < PARTITIONS)?;
            let hash = data_encoding::HEXLOWER.decode(hash.as_bytes()).ok()?;
            Some(Self { partition: Partition(partition), hash: UrlHash(hash.try_into().ok()?) })
        };
        read().ok_or(PageIdError)
    }
}

/// A page as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageBody {
    /// `Content-Type`, as the server wrote it.
    pub content_type: Option<String>,
    /// The body, decompressed.
    pub content: Bytes,
}

impl Jobs {
    /// A page of a job as it was read.
    ///
    /// # Errors
    /// [`JobsError::NotFound`]; [`JobsError::NoBody`] if there is no such page or it is not kept;
    /// [`JobsError::Unavailable`].
    pub async fn page_body(&self, job: &JobRef, page: PageId) -> Result<PageBody, JobsError> {
        self.record(job).await?;
        let key = Name::Url(job.id, page.hash).key(page.partition);
        let value = self.crawl.driver.read_one(key).await?.and_then(|value| value.content);
        let record: Option<UrlRecord> = value.and_then(|content| decode(&content).ok());
        let stored = record.and_then(|record| match record.state {
            UrlState::Closed { result: PageResult::Fetched(fetched), .. } => fetched.stored,
            UrlState::Closed { .. } | UrlState::Open => None,
        });
        let stored = stored.ok_or(JobsError::NoBody)?;
        let content = self.crawl.driver.body(page.partition, stored.body).await.ok_or(JobsError::Unavailable)?;
        let content_type = stored.headers.into_iter().find(|(name, _)| name == "content-type");
        Ok(PageBody { content_type: content_type.map(|(_, value)| value), content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else_is() {
        let id = PageId { partition: Partition(200), hash: UrlHash([9; 20]) };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 44);
        for text in
            ["", "00c8", "ffff0909090909090909090909090909090909090909", "00c8zz09090909090909090909090909090909090909"]
        {
            assert_eq!(text.parse::<PageId>(), Err(PageIdError), "{text}");
        }
    }
}
