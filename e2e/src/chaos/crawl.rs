//! A crawl of the fixture shop that goes on while nodes die: one result a page in the end, and polite throughout.

use super::load::Targets;
use crate::door::Door;
use crate::errand::{Errand, Reader};
use anyhow::{Context, ensure};
use reqwest::Client;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What the shop is promised: this long from one request to the next.
const DELAY: Duration = Duration::from_millis(100);
/// Pages a second that the first crawl is laid out for, so that it lasts about as long as the run.
const PAGES_PER_S: u64 = 8;
/// Products of the crawls that follow, should the first one end early.
const MORE_PRODUCTS: u32 = 150;
/// How long a crawl may go on after the faults.
const AFTER: Duration = Duration::from_secs(300);
/// Pause between two looks at a crawl.
const LOOK: Duration = Duration::from_secs(1);

/// How a crawl went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crawled {
    /// Results, one a page.
    pub items: usize,
    /// Requests that the shop saw.
    pub requests: usize,
    /// Pages that were fetched again, though they had been answered.
    pub repeats: usize,
    /// Shortest time between two requests.
    pub shortest_gap: Option<Duration>,
    /// How long it took.
    pub took: Duration,
}

/// Whose crawl it is and where.
#[derive(Debug, Clone)]
pub struct Crawl {
    /// Where logs go.
    pub folder: PathBuf,
    /// Where the shop listens.
    pub shop: SocketAddr,
    /// Speaks with the ring.
    pub http: Client,
    /// The ring's token.
    pub token: String,
    /// The ring's gateways at present.
    pub targets: Arc<Targets>,
}

impl Crawl {
    /// Crawls one shop after the other until `stop` becomes true; the last one to its end.
    ///
    /// # Errors
    /// A crawl does not end, a result is missing or twice, or the shop was visited impolitely.
    pub async fn run(self, planned: Duration, stop: watch::Receiver<bool>) -> anyhow::Result<Vec<Crawled>> {
        let mut all = Vec::new();
        let mut products =
            u32::try_from(planned.as_secs() * PAGES_PER_S).unwrap_or(u32::MAX).clamp(MORE_PRODUCTS, 20_000);
        while all.is_empty() || !*stop.borrow() {
            let log = self.folder.join(format!("shop-{}.jsonl", all.len()));
            let errand = Errand::begin_at(self.shop, &log, products, DELAY).await?;
            all.push(
                self.one(&errand, &stop).await.with_context(|| format!("the crawl with the log {}", log.display()))?,
            );
            products = MORE_PRODUCTS;
        }
        Ok(all)
    }

    async fn one(&self, errand: &Errand, stop: &watch::Receiver<bool>) -> anyhow::Result<Crawled> {
        let began = Instant::now();
        let id = self.door().submit(&errand.job("")).await?;
        let mut reader = Reader::new(&id);
        let mut quiet_since = None;
        loop {
            let read = reader.read(&self.door(), 1_000).await;
            if matches!(read, Ok(true)) {
                break;
            }
            if *stop.borrow() {
                let since = *quiet_since.get_or_insert_with(Instant::now);
                let state =
                    || format!("{} items of {} read; the last look: {read:?}", reader.items.len(), errand.products());
                ensure!(since.elapsed() < AFTER, "it did not end within {AFTER:?} after the last fault: {}", state());
            }
            tokio::time::sleep(LOOK).await;
        }
        errand.check_items(&reader.items).context("read as they came")?;
        errand.check_items(&self.door().list(&id, "items").await?).context("read again from the beginning")?;
        // A page that was in flight when its node died is fetched once more; it has one result all the same.
        errand.check_visit(usize::MAX)?;
        let verdict = errand.verdict(usize::MAX)?;
        Ok(Crawled {
            items: reader.items.len(),
            requests: verdict.requests,
            repeats: verdict.repeats,
            shortest_gap: verdict.shortest_gap,
            took: began.elapsed(),
        })
    }

    fn door(&self) -> Door {
        let gateways = self.targets.all().into_iter().map(|(_, base)| base).collect();
        Door::through(self.http.clone(), &self.token, gateways)
    }
}
