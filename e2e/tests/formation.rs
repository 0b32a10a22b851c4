//! A ring is formed once, by the disks that were there; who comes later, or comes back without its disk, joins it.

use anyhow::{Context, ensure};
use reqwest::{Method, StatusCode};
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::program::{self, Process};
use scrapering_e2e::ring::Ring;
use serde_json::Value;
use std::time::Duration;

/// How long a ring of a few nodes may take to agree on something on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Waits until the node at `place` can be used.
async fn ready(door: &Door, place: usize) -> anyhow::Result<()> {
    until("a node that can be used", LIMIT, async || {
        let answer = door.only(place).ask(Method::GET, "/readyz", None).await;
        Ok(answer.ok().filter(|answer| answer.status == StatusCode::OK).map(drop))
    })
    .await
}

/// What the node at `place` says of the node `name`, once `found` holds for it.
async fn known(
    door: &Door,
    place: usize,
    name: &str,
    found: impl Fn(Option<&Value>) -> bool,
) -> anyhow::Result<Option<Value>> {
    until("the word of a node", LIMIT, async || {
        let Ok(answer) = door.only(place).ask(Method::GET, "/v1/ring", None).await else { return Ok(None) };
        if answer.status != StatusCode::OK {
            return Ok(None);
        }
        let ring = answer.json()?;
        let node = ring["nodes"].as_array().context("no nodes")?.iter().find(|node| node["name"] == name);
        Ok(found(node).then(|| node.cloned()))
    })
    .await
}

#[tokio::test]
async fn a_ring_is_not_formed_before_every_node_was_there_and_survives_kills_meanwhile() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::init(folder.path(), 3).await?;
    let mut early = [ring.start_node(0)?, ring.start_node(1)?];
    until("a node that waits", LIMIT, async || {
        let Ok(answer) = ring.door().only(0).ask(Method::GET, "/readyz", None).await else { return Ok(None) };
        ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        Ok((answer.body.contains("ring-2 did not answer") && !answer.body.contains("ring-1")).then_some(()))
    })
    .await?;
    for node in &mut early {
        node.start_kill()?;
        node.ended(LIMIT).await?;
    }
    ring.start_all().await?;
    for place in 0..3 {
        ready(ring.door(), place).await?;
    }
    ring.kill(&[0, 1, 2]).await?;
    ring.start_all().await?;
    ready(ring.door(), 1).await?;
    ring.stop().await
}

#[tokio::test]
async fn a_node_without_its_disk_comes_back_as_another_one_and_the_old_disk_is_refused() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let before = known(ring.door(), 0, "ring-2", |node| node.is_some()).await?.context("no ring-2")?;
    ring.kill(&[2]).await?;
    let (data, kept) = (ring.root().join("ring-2/data"), folder.path().join("kept"));
    std::fs::rename(&data, &kept)?;
    ring.start_all().await?;
    ready(ring.door(), 2).await?;
    let is_other = |node: Option<&Value>| node.is_some_and(|node| node["id"] != before["id"]);
    known(ring.door(), 0, "ring-2", is_other).await?;
    ring.kill(&[2]).await?;
    std::fs::remove_dir_all(&data)?;
    std::fs::rename(&kept, &data)?;
    let mut old = ring.start_node(2)?;
    until("a disk that knows that it was replaced", LIMIT, async || {
        let ledger = std::fs::read_to_string(data.join("formation.json"))?;
        Ok(ledger.contains("\"left\"").then_some(()))
    })
    .await?;
    old.signal("TERM").await?;
    old.ended(LIMIT).await?;
    let refused = ring.start_node(2)?.ended(LIMIT).await?;
    ensure!(refused.code() == Some(1) && refused.err.contains("has left its ring for good"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_node_is_added_and_another_leaves_when_it_is_told_to() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ring = Ring::start(folder.path(), 3).await?;
    let arguments = ["init", "--data", "ring", "--add", "1", "--zone", "b"];
    let added = program::run(folder.path(), "add", LIMIT, arguments).await?;
    ensure!(added.code() == Some(0) && added.out.contains("--name ring-3"), "{added:?}");
    let arguments = ["node", "--ring-dir", "ring", "--name", "ring-3"];
    let mut joins = Process::start(folder.path(), "ring-3", arguments)?;
    let serves = |node: Option<&Value>| node.is_some_and(|node| node["serving"] == "serving" && node["zone"] == "b");
    known(ring.door(), 0, "ring-3", serves).await?;
    let left = ring.door().only(0).ask(Method::DELETE, "/v1/nodes/ring-1", None).await?;
    ensure!(left.status == StatusCode::ACCEPTED, "{left:?}");
    known(ring.door(), 0, "ring-1", |node| node.is_none_or(|node| node["liveness"] == "left")).await?;
    ready(ring.door(), 0).await?;
    let refused = ring.door().only(1).ask(Method::GET, "/readyz", None).await?;
    ensure!(refused.status == StatusCode::SERVICE_UNAVAILABLE && refused.body.contains("left"), "{refused:?}");
    ensure!(joins.is_running()?, "{}", joins.tail());
    Ok(())
}
