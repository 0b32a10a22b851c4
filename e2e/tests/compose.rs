//! `compose.yaml` without Docker: its services are started with exactly its words, and are a ring that crawls.

use anyhow::{Context, ensure};
use scrapering_e2e::compose::Compose;
use scrapering_e2e::compose::ground::Ground;
use scrapering_e2e::door::until;
use scrapering_e2e::errand::Errand;
use scrapering_e2e::program::{Ended, Process};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long something may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// `stop_grace_period` of the file.
const GRACE: Duration = Duration::from_secs(30);
const DELAY: Duration = Duration::from_millis(5);

struct Stage {
    ground: Ground,
    nodes: Vec<(String, Process)>,
    /// So that every command has outputs of its own.
    commands: usize,
    private: String,
}

impl Stage {
    /// `docker compose up`.
    async fn up(&mut self) -> anyhow::Result<()> {
        let made = self.run("keys", &[]).await?;
        ensure!(made.code() == Some(0), "{made:?}");
        let more = [("ALLOW_PRIVATE_CIDR".to_owned(), self.private.clone())];
        let names: Vec<String> = self.ground.file().nodes().into_iter().map(str::to_owned).collect();
        for name in names {
            let process = self.ground.start(&name, &[], &more, &name)?;
            self.nodes.push((name, process));
        }
        Ok(())
    }

    /// `docker compose down`.
    async fn down(&mut self) -> anyhow::Result<()> {
        for (_, process) in &self.nodes {
            process.signal("TERM").await?;
        }
        for (name, mut process) in std::mem::take(&mut self.nodes) {
            let ended = process.ended(GRACE).await?;
            ensure!(ended.code() == Some(0), "{name} ended with {:?}: {}", ended.code(), ended.err);
        }
        Ok(())
    }

    /// `docker compose run --rm SERVICE ARGUMENTS`.
    async fn run(&mut self, service: &str, arguments: &[String]) -> anyhow::Result<Ended> {
        self.commands += 1;
        let output = format!("{service}-{}", self.commands);
        self.ground.start(service, arguments, &[], &output)?.ended(LIMIT).await
    }

    async fn cli(&mut self, line: &str) -> anyhow::Result<Ended> {
        self.run("cli", &line.split(' ').map(str::to_owned).collect::<Vec<_>>()).await
    }

    /// Waits until every node is known to live and to serve.
    async fn formed(&mut self) -> anyhow::Result<()> {
        until("five nodes that serve", LIMIT, async || {
            for (name, process) in &mut self.nodes {
                ensure!(process.is_running()?, "{name} has ended:\n{}", process.tail());
            }
            let asked = self.cli("ring status --output json").await?;
            let Ok(ring) = serde_json::from_str::<Value>(&asked.out) else { return Ok(None) };
            let nodes = ring[0]["nodes"].as_array().context("no nodes")?;
            let serving = nodes.iter().filter(|node| node["liveness"] == "alive" && node["serving"] == "serving");
            Ok((serving.count() == 5).then_some(()))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_of_the_compose_file_are_a_ring_that_crawls_and_comes_back() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ground = Ground::prepare(Compose::read(Path::new("../compose.yaml"))?, folder.path())?;
    let (listen, private) = ground.visitors();
    let errand = Errand::begin_at(listen, &folder.path().join("access.jsonl"), 12, DELAY).await?;
    let mut stage = Stage { ground, nodes: Vec::new(), commands: 0, private };
    // Who has no link to the clients takes part in the ring all the same.
    stage.ground.link("ring-4", "clients", false)?;
    stage.up().await?;
    stage.formed().await?;
    stage.ground.link("ring-4", "clients", true)?;

    std::fs::write(stage.ground.volume("keys").join("job.yaml"), errand.job(""))?;
    let told = stage.ground.file().told("cli");
    for words in told {
        let words: Vec<String> = words.into_iter().map(|word| word.replace("/jobs/", "/ring/")).collect();
        let ended = stage.run("cli", &words).await?;
        ensure!(ended.code() == Some(0), "{words:?}: {ended:?}");
    }
    let jobs: Value = serde_json::from_str(&stage.cli("job list --output json").await?.out)?;
    let id = jobs["items"][0]["metadata"]["uid"].as_str().context("no job")?.to_owned();
    let read = |ended: Ended| ended.out.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    errand.check_items(&read(stage.cli(&format!("items {id}")).await?)?)?;
    errand.check_visit(0)?;

    // What was made is kept, and nothing is made twice.
    stage.down().await?;
    stage.up().await?;
    stage.formed().await?;
    errand.check_items(&read(stage.cli(&format!("items {id}")).await?)?)?;
    stage.down().await
}
