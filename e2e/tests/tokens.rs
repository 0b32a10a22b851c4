//! Tokens of a ring's own issuer while it runs: one is taken back, and the key is changed without logging anybody out.

use anyhow::ensure;
use reqwest::Method;
use scrapering_e2e::door::until;
use scrapering_e2e::program::done;
use scrapering_e2e::ring::Ring;
use std::path::Path;
use std::time::Duration;

const NODES: usize = 3;
/// How long a command may take on a busy machine, and how long until every node knows.
const LIMIT: Duration = Duration::from_secs(60);

async fn token(folder: &Path) -> anyhow::Result<String> {
    let arguments = ["token", "create", "--data", "ring", "--scope", "jobs:read", "--tenant", "team-a"];
    Ok(done(folder, LIMIT, &arguments).await?.trim().to_owned())
}

/// What every node answers to somebody with this token.
async fn statuses(ring: &Ring, token: &str) -> anyhow::Result<Vec<u16>> {
    let mut statuses = Vec::new();
    for place in 0..NODES {
        let door = ring.door().only(place).with_token(token);
        statuses.push(door.ask(Method::GET, "/v1/jobs", None).await?.status.as_u16());
    }
    Ok(statuses)
}

async fn becomes(ring: &Ring, token: &str, status: u16, what: &str) -> anyhow::Result<()> {
    until(what, LIMIT, async || Ok((statuses(ring, token).await? == [status; NODES]).then_some(()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_taken_back_and_the_key_is_changed_while_the_ring_runs() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let mut ring = Ring::start(folder, NODES).await?;
    let (lost, kept) = (token(folder).await?, token(folder).await?);
    ensure!(statuses(&ring, &lost).await? == [200; NODES], "a new token is good everywhere");
    done(folder, LIMIT, &["token", "revoke", &lost, "--data", "ring"]).await?;
    becomes(&ring, &lost, 401, "the end of a revoked token").await?;
    ensure!(statuses(&ring, &kept).await? == [200; NODES], "the other token stays good");

    done(folder, LIMIT, &["token", "rotate", "--data", "ring"]).await?;
    let new = token(folder).await?;
    becomes(&ring, &new, 200, "the new key").await?;
    ensure!(statuses(&ring, &kept).await? == [200; NODES], "nobody is logged out");
    ensure!(statuses(&ring, &lost).await? == [401; NODES], "what was revoked stays revoked");

    done(folder, LIMIT, &["token", "rotate", "--retire-old", "--data", "ring"]).await?;
    becomes(&ring, &kept, 401, "the end of the first key").await?;
    becomes(&ring, &token(folder).await?, 200, "the third key").await?;
    ring.stop().await
}
