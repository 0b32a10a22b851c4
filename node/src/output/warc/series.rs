//! Pages on their way into WARC files: one after the other, each with its index beside it.

use bytes::Bytes;
use scrapering_core::frontier::record::JobId;

use super::{WarcFile, Written};
use crate::crawl::jobs::{FetchedPage, StoredResponse};
use crate::output::Part;

/// Bytes of one file, packed, at most about.
const FILE_BYTES: usize = 32 << 20;
/// The folder of the files, and what counts them.
pub const FOLDER: &str = "warc";

/// Files of a job's pages.
pub struct WarcSeries {
    job: JobId,
    user_agent: String,
    number: u32,
    file: Option<WarcFile>,
    written: Written,
}

impl WarcSeries {
    /// Begins with the file of this number; `user_agent` is how the pages were asked for.
    #[must_use]
    pub fn new(job: JobId, user_agent: &str, number: u32) -> Self {
        Self { job, user_agent: user_agent.to_owned(), number, file: None, written: Written::default() }
    }

    /// The number of the next file.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Adds a page.
    pub fn add(&mut self, page: &FetchedPage, stored: &StoredResponse, body: &Bytes) {
        let file = self.file.get_or_insert_with(|| {
            let name = format!("part-{:05}.warc.gz", self.number);
            WarcFile::new(self.job, &name, &self.user_agent, &page.fetched_at)
        });
        file.add(page, stored, body, &mut self.written);
    }

    /// Whether there is enough for a file.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.size() >= FILE_BYTES)
    }

    /// The file and its index, if there is anything in it.
    #[must_use]
    pub fn take(&mut self) -> Vec<(Part, Bytes)> {
        let Some(file) = self.file.take() else { return Vec::new() };
        let (pages, name) = (file.pages(), format!("{FOLDER}/part-{:05}", self.number));
        self.number += 1;
        let (content, index) = file.finish();
        vec![
            (Part::of(format!("{name}.warc.gz"), pages, &content), content),
            // Its pages are counted with the file.
            (Part::of(format!("{name}.cdxj"), 0, &index), index),
        ]
    }
}
