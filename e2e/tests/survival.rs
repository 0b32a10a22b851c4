//! A job goes through the death of nodes: two at once, and all of them. What was acknowledged stays, and the shop is visited politely.

use anyhow::{Context, ensure};
use scrapering_e2e::access_log::Record;
use scrapering_e2e::door::Door;
use scrapering_e2e::errand::{Errand, Reader, title};
use scrapering_e2e::ring::{self, Ring};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PRODUCTS: u32 = 120;
const DELAY: Duration = Duration::from_millis(25);
/// How long a part of a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// A job of which a third is done.
struct Begun {
    errand: Errand,
    id: String,
    reader: Reader,
}

impl Begun {
    async fn begin(folder: &Path, door: &Door) -> anyhow::Result<Self> {
        let errand = Errand::begin(folder, PRODUCTS, DELAY).await?;
        let id = door.submit(&errand.job("")).await?;
        let mut reader = Reader::new(&id);
        reader.read_until(door, errand.products() / 3, LIMIT).await?;
        Ok(Self { errand, id, reader })
    }

    /// Follows the job to its end through `door`, and holds it to everything that was promised. `kill_ms`: between these
    /// two moments the nodes were killed.
    async fn check_the_end(mut self, door: &Door, kill_ms: RangeInclusive<u128>) -> anyhow::Result<()> {
        let acknowledged = self.reader.items.clone();
        self.reader.read_to_the_end(door, LIMIT).await?;
        self.errand.check_items(&self.reader.items).context("read on after the kill")?;
        let again = door.list(&self.id, "items").await?;
        self.errand.check_items(&again).context("read again from the beginning")?;
        for item in &acknowledged {
            ensure!(again.contains(item), "{item} had been acknowledged and is gone");
        }
        let job = door.job(&self.id).await?;
        ensure!(job["status"]["phase"] == "Completed", "{job}");
        ensure!(job["status"]["items"] == self.errand.products(), "{job}");
        let repeated = repeats(&self.errand.requests()?);
        self.errand.check_visit(repeated.len())?;
        let safe: BTreeSet<String> = acknowledged.iter().map(paths_of).collect::<anyhow::Result<_>>()?;
        for (path, first) in &repeated {
            ensure!(!safe.contains(path), "{path} was fetched again, though its item had been acknowledged");
            let answered_ms = u128::from(first.start_unix_ms + (first.end_ns - first.start_ns) / 1_000_000);
            let age_ms = kill_ms.start().saturating_sub(answered_ms);
            ensure!(
                age_ms < IN_FLIGHT.as_millis() && u128::from(first.start_unix_ms) <= *kill_ms.end(),
                "{path} was fetched again; it had been answered {age_ms} ms before the kill, so it was not in flight"
            );
        }
        Ok(())
    }
}

/// Longest time from a page's answer to its result being committed, on a busy machine.
const IN_FLIGHT: Duration = Duration::from_secs(3);

/// Pages that were answered, and then fetched again: path and the first fetch.
fn repeats(requests: &[Record]) -> BTreeMap<String, Record> {
    let mut sorted: Vec<&Record> = requests.iter().collect();
    sorted.sort_by_key(|record| record.start_ns);
    let (mut answered, mut repeated) = (BTreeMap::new(), BTreeMap::new());
    for record in sorted {
        if let Some(first) = answered.get(&record.path) {
            repeated.insert(record.path.clone(), Record::clone(first));
        } else if record.status < 400 || record.status == 404 {
            answered.insert(record.path.clone(), record.clone());
        }
    }
    repeated
}

/// The path of the page that an item is from: the shop's numbers stand at the end of the names.
fn paths_of(item: &serde_json::Value) -> anyhow::Result<String> {
    let number = title(item)?.rsplit(' ').next().unwrap_or_default();
    Ok(format!("/product/{number}"))
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_two_of_five_nodes_may_be_killed_in_the_middle_of_a_job() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    let begun = Begun::begin(folder.path(), ring.door()).await?;
    let owner = ring::place(&ring.door().owners(&begun.errand.url()).await?[0])?;
    // The first gateway is the one the client uses; where that is the owner, the next one goes with it.
    let gateway = if owner == 0 { 1 } else { 0 };
    let from_ms = now_ms();
    ring.kill(&[owner, gateway]).await?;
    begun.check_the_end(ring.door(), from_ms..=now_ms()).await?;
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_that_is_restarted_half_way_resumes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    let begun = Begun::begin(folder.path(), ring.door()).await?;
    let from_ms = now_ms();
    ring.kill(&[0, 1, 2, 3, 4]).await?;
    let kill_ms = from_ms..=now_ms();
    ring.start_all().await?;
    begun.check_the_end(ring.door(), kill_ms).await?;
    ring.stop().await
}
