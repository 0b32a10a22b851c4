//! What goes into an output's parts: items or pages, read from where the parts that stand there end.

use super::Fault;
use crate::crawl::Crawl;
use crate::crawl::bodies::PageId;
use crate::crawl::cursor::Cursor;
use crate::crawl::jobs::{FetchedPage, JobRef, JobsError, StoredResponse};
use crate::job::output::Bucket;
use crate::output::warc::{FOLDER, WarcSeries};
use crate::output::{ExportError, Format, Packer, Part, tables};
use bytes::Bytes;
use scrapering_core::frontier::output::OutputRecord;
use scrapering_core::id::Partition;
use scrapering_crds::ScrapeJobFile;
use scrapering_crds::job::output::OutputFormat;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Items, or pages, that are read at once.
const ITEMS_AT_ONCE: usize = 1000;
const PAGES_AT_ONCE: usize = 16;
/// Pause when the ring has nothing more to say and does not say that this is all.
const PAUSE: Duration = Duration::from_secs(1);

/// What is read, and not yet in a part.
pub(super) struct Source<'a> {
    job: &'a JobRef,
    cursor: Cursor,
    reads_pages: bool,
    /// Shared with the thread that writes and compresses.
    content: Arc<Mutex<Content>>,
}

enum Content {
    Items(Packer),
    Pages(Box<WarcSeries>),
}

/// How much there is for parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// All that was left.
    All,
    /// Enough for parts.
    Enough,
    /// Neither: the ring has not told everything yet.
    Little,
}

impl<'a> Source<'a> {
    pub(super) fn new(job: &'a JobRef, file: &ScrapeJobFile, bucket: &Bucket, record: &OutputRecord) -> Self {
        let mut cursor = Cursor::default();
        record.after.iter().for_each(|(partition, sequence)| cursor.advance(Partition(*partition), *sequence));
        let items = |format| {
            let packer = Packer::new(format, bucket.compression, tables(&file.spec));
            Content::Items(packer.with_numbers(record.numbers.clone()))
        };
        let content = match bucket.format {
            OutputFormat::Jsonl => items(Format::Jsonl),
            OutputFormat::Csv => items(Format::Csv),
            OutputFormat::Parquet => items(Format::Parquet),
            OutputFormat::Warc => {
                let number = record.numbers.get(FOLDER).copied().unwrap_or(0);
                Content::Pages(Box::new(WarcSeries::new(job.id, &file.spec.request.user_agent, number)))
            }
        };
        let reads_pages = matches!(content, Content::Pages(_));
        Self { job, cursor, reads_pages, content: Arc::new(Mutex::new(content)) }
    }

    /// Reads until there is enough for parts, or for now nothing more.
    pub(super) async fn fill(&mut self, crawl: &Crawl) -> Result<Filled, Fault> {
        loop {
            let (more, complete) =
                if self.reads_pages { self.read_pages(crawl).await? } else { self.read_items(crawl).await? };
            if complete {
                return Ok(Filled::All);
            }
            if self.content().is_full() {
                return Ok(Filled::Enough);
            }
            if !more {
                tokio::time::sleep(PAUSE).await;
                return Ok(Filled::Little);
            }
        }
    }

    /// Whether there were items, and whether they were the last.
    async fn read_items(&mut self, crawl: &Crawl) -> Result<(bool, bool), Fault> {
        let page = crawl.jobs().items(self.job, &self.cursor, ITEMS_AT_ONCE).await.map_err(ring)?;
        let more = !page.entries.is_empty();
        self.work(move |content| match content {
            Content::Items(packer) => packer.add(page.entries),
            Content::Pages(_) => Ok(()),
        })
        .await??;
        self.cursor = page.cursor;
        Ok((more, page.complete))
    }

    /// Whether there were pages, and whether they were the last.
    async fn read_pages(&mut self, crawl: &Crawl) -> Result<(bool, bool), Fault> {
        let page = crawl.jobs().pages(self.job, &self.cursor, PAGES_AT_ONCE).await.map_err(ring)?;
        let more = !page.entries.is_empty();
        for mut page in page.entries {
            let Some(stored) = page.stored.take() else { continue };
            let body = body(crawl, &page, &stored).await?;
            self.work(move |content| {
                if let Content::Pages(pages) = content {
                    pages.add(&page, &stored, &body);
                }
            })
            .await?;
        }
        self.cursor = page.cursor;
        Ok((more, page.complete))
    }

    /// Everything that was read, as parts.
    pub(super) async fn take(&self) -> Result<Vec<(Part, Bytes)>, Fault> {
        Ok(self.work(Content::take).await??)
    }

    /// The last result of each partition that was taken.
    pub(super) fn after(&self) -> BTreeMap<u16, u64> {
        self.cursor.partitions().map(|(partition, sequence)| (partition.0, sequence)).collect()
    }

    /// The number of the next part of each kind.
    pub(super) fn numbers(&self) -> BTreeMap<String, u32> {
        match &*self.content() {
            Content::Items(packer) => packer.numbers(),
            Content::Pages(pages) => BTreeMap::from([(FOLDER.to_owned(), pages.number())]),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parsing and compressing megabytes would keep a thread of the runtime from everything else.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce(&mut Content) -> T + Send + 'static) -> Result<T, Fault> {
        let content = Arc::clone(&self.content);
        let working = move || work(&mut content.lock().unwrap_or_else(PoisonError::into_inner));
        // Only a node that stops breaks it off.
        tokio::task::spawn_blocking(working).await.map_err(|_| Fault::Ring)
    }
}

impl Content {
    fn is_full(&self) -> bool {
        match self {
            Self::Items(packer) => packer.is_full(),
            Self::Pages(pages) => pages.is_full(),
        }
    }

    fn take(&mut self) -> Result<Vec<(Part, Bytes)>, ExportError> {
        match self {
            Self::Items(packer) => packer.close_all(),
            Self::Pages(pages) => Ok(pages.take()),
        }
    }
}

async fn body(crawl: &Crawl, page: &FetchedPage, stored: &StoredResponse) -> Result<Bytes, Fault> {
    let hash = stored.hash().ok_or(Fault::Ring)?;
    let id: PageId = page.id.parse().map_err(|_| Fault::Ring)?;
    let body = crawl.driver.body(id.partition, hash).await;
    body.ok_or_else(|| Fault::Store(format!("no node of the ring gave the body of {}", page.url)))
}

/// Whatever kept the ring from answering, it is asked again.
fn ring(_: JobsError) -> Fault {
    Fault::Ring
}
