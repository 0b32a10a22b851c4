//! A crawl of the fixture shop: the job, reading what comes of it, and what must be true of it in the end.

use crate::access_log;
use crate::door::{Door, until};
use crate::judge::{Rules, Verdict, judge};
use crate::shop::catalog::Catalog;
use crate::shop::{self, Config, Shop};
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Open requests that the job may have at the shop.
const OPEN_REQUESTS: u32 = 4;

/// A shop to visit, and how it is to be visited.
#[derive(Debug)]
pub struct Errand {
    shop: Shop,
    catalog: Catalog,
    log: PathBuf,
    delay: Duration,
}

impl Errand {
    /// Opens a shop of `products` whose log stands in `folder`; the job may ask it once every `delay`.
    ///
    /// # Errors
    /// The shop cannot be opened.
    pub async fn begin(folder: &Path, products: u32, delay: Duration) -> anyhow::Result<Self> {
        Self::begin_at(Config::default().listen, &folder.join("access.jsonl"), products, delay).await
    }

    /// As [`Errand::begin`], with the shop at `listen` and its log in the file `log`.
    ///
    /// # Errors
    /// The shop cannot be opened.
    pub async fn begin_at(listen: SocketAddr, log: &Path, products: u32, delay: Duration) -> anyhow::Result<Self> {
        let log = log.to_owned();
        let config = Config { listen, products, access_log: Some(log.clone()), ..Config::default() };
        let catalog = Catalog::new(config.seed, products);
        Ok(Self { shop: shop::start(config).await?, catalog, log, delay })
    }

    /// The shop's front page.
    pub fn url(&self) -> String {
        self.shop.url()
    }

    /// The job file: every product with name and price. `more` is appended to the spec, indented by two.
    pub fn job(&self, more: &str) -> String {
        let (url, delay_ms) = (self.url(), self.delay.as_millis());
        format!(
            "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: shop}}
spec:
  seeds: [{{url: \"{url}\"}}]
  extract:
  - name: product
    baseSelector: article.product
    fields:
    - {{name: title, selector: h1, required: true}}
    - {{name: price, selector: .price, type: number, required: true}}
  politeness: {{delay: {delay_ms}ms, concurrentRequestsPerHost: {OPEN_REQUESTS}}}
{more}"
        )
    }

    /// How many products the shop has.
    pub fn products(&self) -> usize {
        self.catalog.products() as usize
    }

    /// Whether `items` hold every product exactly once, each with its own name and price.
    ///
    /// # Errors
    /// Names what is missing, twice or wrong.
    pub fn check_items(&self, items: &[Value]) -> anyhow::Result<()> {
        let mut seen: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for item in items {
            seen.entry(title(item)?.to_owned()).or_default().push(item);
        }
        let mut faults = Vec::new();
        for id in 1..=self.catalog.products() {
            let product = self.catalog.product(id).context("every number up to the last is a product")?;
            match seen.remove(&product.name).as_deref() {
                None => faults.push(format!("{} is missing", product.name)),
                Some([item]) => {
                    let price = field(item, "price").and_then(Value::as_f64).unwrap_or(f64::NAN);
                    if (price * 100.0 - product.price_pence as f64).abs() > 0.5 {
                        faults.push(format!("{} costs {} pence: {item}", product.name, product.price_pence));
                    }
                }
                Some(more) => faults.push(format!("{} is there {} times", product.name, more.len())),
            }
        }
        faults.extend(seen.into_keys().map(|stranger| format!("{stranger} is not sold here")));
        ensure!(faults.is_empty(), "{} items, {} faults:\n{}", items.len(), faults.len(), faults.join("\n"));
        Ok(())
    }

    /// What the shop's own log says about the visit so far, held to the job's own terms.
    ///
    /// # Errors
    /// The log cannot be read, or there was no visit.
    pub fn verdict(&self, max_repeats: usize) -> anyhow::Result<Verdict> {
        let rules = Rules { max_in_flight: OPEN_REQUESTS, min_gap: self.delay, max_repeats, ..Rules::default() };
        let verdict = judge(&access_log::read(&self.log)?, &rules).pop_first();
        verdict.map(|(_, verdict)| verdict).context("nobody was at the shop")
    }

    /// Whether the visit was polite, but for `max_repeats` pages that were fetched again.
    ///
    /// # Errors
    /// Names every breach.
    pub fn check_visit(&self, max_repeats: usize) -> anyhow::Result<()> {
        let verdict = self.verdict(max_repeats)?;
        let breaches: Vec<String> = verdict.breaches.iter().map(ToString::to_string).collect();
        ensure!(breaches.is_empty(), "{} breaches:\n{}\n{verdict:?}", breaches.len(), breaches.join("\n"));
        Ok(())
    }

    /// Every request in the log but those for robots.txt.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn requests(&self) -> anyhow::Result<Vec<access_log::Record>> {
        let records = access_log::read(&self.log)?;
        Ok(records.into_iter().filter(|record| record.path != "/robots.txt").collect())
    }
}

/// The title of an item.
///
/// # Errors
/// It has none.
pub fn title(item: &Value) -> anyhow::Result<&str> {
    field(item, "title").and_then(Value::as_str).with_context(|| format!("{item} has no title"))
}

fn field<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    item.get("data").unwrap_or(item).get(name)
}

/// Reads a job's items as they come, each piece after the one before.
#[derive(Debug)]
pub struct Reader {
    id: String,
    cursor: String,
    /// Everything read so far.
    pub items: Vec<Value>,
}

impl Reader {
    /// Begins at the beginning of the job `id`.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), cursor: String::new(), items: Vec::new() }
    }

    /// Reads what is new, at most about `limit`; whether nothing follows any more.
    ///
    /// # Errors
    /// As [`Door::piece`].
    pub async fn read(&mut self, door: &Door, limit: usize) -> anyhow::Result<bool> {
        let piece = door.piece(&self.id, "items", &self.cursor, limit).await?;
        self.items.extend(piece.entries);
        self.cursor = piece.cursor;
        Ok(piece.complete)
    }

    /// Reads until there are `count` items, while the job still runs.
    ///
    /// # Errors
    /// They do not come within `limit`, or the job ends before.
    pub async fn read_until(&mut self, door: &Door, count: usize, limit: Duration) -> anyhow::Result<()> {
        until(&format!("{count} items"), limit, async || {
            if self.read(door, 1000).await? {
                bail!("the job has ended with {} items before it could be disturbed", self.items.len());
            }
            Ok((self.items.len() >= count).then_some(()))
        })
        .await
    }

    /// Reads until the job has ended and nothing follows.
    ///
    /// # Errors
    /// That does not happen within `limit`.
    pub async fn read_to_the_end(&mut self, door: &Door, limit: Duration) -> anyhow::Result<()> {
        let read = until("the end of the job", limit, async || Ok(self.read(door, 1000).await?.then_some(()))).await;
        if read.is_err() {
            let job = door.job(&self.id).await?;
            bail!("the job did not end within {limit:?}: {} items were read of {}", self.items.len(), job["status"]);
        }
        Ok(())
    }
}
