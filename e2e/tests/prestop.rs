//! Nodes that are told before they are stopped: their work comes to its end, the others take over, and nobody waits in vain.

use anyhow::{Context, ensure};
use reqwest::{Method, StatusCode};
use scrapering_e2e::errand::{Errand, Reader};
use scrapering_e2e::program;
use scrapering_e2e::ring::{self, Ring};
use serde_json::Value;
use std::time::Duration;

/// How long a part of a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
const DELAY: Duration = Duration::from_millis(40);

/// The place of the node that leads the work at the host of `url`.
async fn leader(ring: &Ring, url: &str) -> anyhow::Result<usize> {
    let found = ring.door().ask(Method::GET, &format!("/v1/ring/lookup?key={url}"), None).await?.json()?;
    ring::place(found["owners"][0].as_str().with_context(|| format!("no owner in {found}"))?)
}

/// What the node at `place` believes of the node `name`.
async fn liveness(ring: &Ring, place: usize, name: &str) -> anyhow::Result<Value> {
    let status = ring.door().only(place).ask(Method::GET, "/v1/ring", None).await?.json()?;
    let nodes = status["nodes"].as_array().with_context(|| format!("no nodes in {status}"))?;
    Ok(nodes.iter().find(|node| node["name"] == name).map(|node| node["liveness"].clone()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_of_a_crawl_makes_way_and_no_page_is_fetched_twice() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let errand = Errand::begin(folder.path(), 120, DELAY).await?;
    let mut ring = Ring::init(folder.path(), 3).await?.with_local_sockets();
    ring.start_all().await?;
    let leader = leader(&ring, &errand.url()).await?;
    let other = (leader + 1) % 3;
    let id = ring.door().submit(&errand.job("")).await?;
    let mut reader = Reader::new(&id);
    reader.read_until(&ring.door().only(other), 10, LIMIT).await?;

    let told = ring.make_way(leader).await?;
    ensure!(told.contains("2 of 2 other nodes have heard it"), "{told}");
    let led = told.split(", ").find_map(|part| part.strip_suffix(" partitions are led by others\n"));
    let (taken, all) = led.and_then(|led| led.split_once(" of ")).with_context(|| told.clone())?;
    ensure!(taken == all && all.parse::<usize>()? > 0, "{told}");
    // It still serves those who come, and says that others should be used.
    let ready = ring.door().only(leader).ask(Method::GET, "/readyz", None).await?;
    ensure!(ready.status == StatusCode::SERVICE_UNAVAILABLE && ready.body.contains("about to be stopped"), "{ready:?}");
    ensure!(ring.door().only(leader).ask(Method::GET, "/v1/jobs", None).await?.status.is_success(), "it is mute");
    for place in (0..3).filter(|place| *place != leader) {
        let believed = liveness(&ring, place, &ring::name(leader)).await?;
        ensure!(believed == "dead", "ring-{place} takes it for {believed}");
    }
    // Asked once more, it has nothing left to do.
    ring.make_way(leader).await?;
    ring.stop_node(leader).await?;

    reader.read_to_the_end(&ring.door().only(other), LIMIT).await?;
    errand.check_items(&reader.items)?;
    errand.check_visit(0)?;
    // It comes back as the node that it was.
    ring.start_all().await?;
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_ring_makes_way_at_once_ends_by_itself_and_comes_back() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::init(folder.path(), 3).await?.with_local_sockets();
    ring.start_all().await?;
    let put = ring.door().ask(Method::PUT, "/v1/kv/kept", Some("yes")).await?;
    ensure!(put.status.is_success(), "{put:?}");
    let told = tokio::try_join!(ring.make_way(0), ring.make_way(1), ring.make_way(2))?;
    ensure!([&told.0, &told.1, &told.2].iter().all(|told| told.contains("has made way")), "{told:?}");
    // Nobody stops them.
    for node in 0..3 {
        ring.ended(node, LIMIT).await?;
    }
    ring.start_all().await?;
    let kept = ring.door().ask(Method::GET, "/v1/kv/kept", None).await?;
    ensure!(kept.body == "yes", "{kept:?}");
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_for_good_has_handed_over_before_it_may_be_stopped() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::init(folder.path(), 4).await?.with_local_sockets();
    ring.start_all().await?;
    let leave = ring.door().ask(Method::DELETE, "/v1/nodes/ring-3", None).await?;
    ensure!(leave.status == StatusCode::ACCEPTED, "{leave:?}");
    let told = ring.make_way(3).await?;
    ensure!(told.contains("handed over"), "{told}");
    let status = ring.door().only(0).ask(Method::GET, "/v1/ring", None).await?.json()?;
    let has_left = status["left"].as_array().is_some_and(|left| left.iter().any(|node| node["name"] == "ring-3"));
    ensure!(has_left && status["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3), "{status}");
    ring.stop().await?;

    // Where no node is, the command says so.
    let nobody = program::run(folder.path(), "nobody", LIMIT, ["prestop", "--local-socket", "nobody.sock"]).await?;
    ensure!(nobody.code() == Some(1) && nobody.err.contains("no node answers on nobody.sock"), "{nobody:?}");
    Ok(())
}
