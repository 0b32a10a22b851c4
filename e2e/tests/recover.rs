//! The last resort: most of a ring is lost with its disks, and its people decide to go on with what is left.

use anyhow::{Context, ensure};
use reqwest::{Method, StatusCode};
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::program::{self, Ended};
use scrapering_e2e::ring::{Ring, name};
use std::path::Path;
use std::time::Duration;

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Keys that are written before the loss: enough that they lie in many partitions.
const KEYS: usize = 40;
/// The places of the nodes that are lost.
const LOST: [usize; 3] = [1, 3, 4];

fn path(key: usize) -> String {
    format!("/v1/kv/ledger/{key}")
}

async fn recover(folder: &Path, arguments: &[&str]) -> anyhow::Result<Ended> {
    let command = ["ring", "recover", "--data", "ring"].iter().chain(arguments);
    program::run(folder, "recover", LIMIT, command).await
}

/// Waits until the node behind `door` holds the lost ones for dead.
async fn mourned(door: &Door) -> anyhow::Result<()> {
    until("three dead nodes", LIMIT, async || {
        let ring = door.ask(Method::GET, "/v1/ring", None).await?.json()?;
        let nodes = ring["nodes"].as_array().context("no nodes")?;
        Ok((nodes.iter().filter(|node| node["liveness"] == "dead").count() == LOST.len()).then_some(()))
    })
    .await
}

/// Waits until every key has its value at the node behind `door`.
async fn all_read(door: &Door) -> anyhow::Result<()> {
    for key in 0..KEYS {
        until("a key that was acknowledged", LIMIT, async || {
            let read = door.ask(Method::GET, &path(key), None).await?;
            ensure!(read.status != StatusCode::NOT_FOUND, "key {key} is lost");
            Ok((read.status == StatusCode::OK && read.body == format!("value {key}")).then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_without_its_majority_goes_on_only_when_its_people_name_what_is_lost() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    for key in 0..KEYS {
        until("a key to be written", LIMIT, async || {
            let put = ring.door().ask(Method::PUT, &path(key), Some(&format!("value {key}"))).await?;
            Ok(put.status.is_success().then_some(()))
        })
        .await?;
    }
    let needless = recover(folder.path(), &["--force", "--give-up", "ring-4"]).await?;
    ensure!(needless.code() != Some(0), "a ring that is well gives nobody up: {needless:?}");

    ring.kill(&LOST).await?;
    for place in LOST {
        std::fs::remove_dir_all(ring.root().join(name(place)).join("data"))?;
    }
    let (first, other) = (ring.door().only(0), ring.door().only(2));
    mourned(&first).await?;
    mourned(&other).await?;
    let put = first.ask(Method::PUT, &path(0), Some("never")).await?;
    ensure!(put.status == StatusCode::SERVICE_UNAVAILABLE, "{put:?}");
    let stale = first.ask(Method::GET, &format!("{}?consistency=any", path(7)), None).await?;
    ensure!((stale.status, stale.body.as_str()) == (StatusCode::OK, "value 7"), "{stale:?}");

    let asked = recover(folder.path(), &[]).await?;
    ensure!(asked.code() != Some(0) && asked.err.contains("ring-1,ring-3,ring-4"), "{asked:?}");
    let too_few = recover(folder.path(), &["--force", "--give-up", "ring-3,ring-4"]).await?;
    ensure!(too_few.code() != Some(0) && too_few.err.contains("ring-1"), "{too_few:?}");
    let done = recover(folder.path(), &["--force", "--give-up", "ring-4,ring-1,ring-3"]).await?;
    ensure!(done.code() == Some(0) && done.out.contains(" 0 are not served yet"), "{done:?}");

    all_read(&first).await?;
    all_read(&other).await?;
    let put = other.ask(Method::PUT, &path(0), Some("value 0")).await?;
    ensure!(put.status.is_success(), "{put:?}");
    // A machine in the place of a lost one joins as a new node.
    let mut joins = ring.start_node(3)?;
    until("a node in the place of a lost one", LIMIT, async || {
        ensure!(joins.is_running()?, "{}", joins.tail());
        let answer = ring.door().only(3).ask(Method::GET, "/readyz", None).await;
        Ok(answer.ok().filter(|answer| answer.status == StatusCode::OK).map(drop))
    })
    .await?;
    all_read(&ring.door().only(3)).await
}
