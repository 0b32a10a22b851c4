//! The nodes of a chaos run as real processes, and everything that is done to them.

use super::history::Recorder;
use super::load::{self, Targets};
use super::net::{MOST_NODES, Network, Rules};
use super::status::RingStatus;
use crate::door::{Door, until};
use crate::program::{self, Process};
use crate::ring::{name, place};
use anyhow::{Context, bail, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long commands that only touch files may take on a busy machine.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// How long a node may take from SIGTERM to its end.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// How long a node may take until it is removed, its data handed over.
const LEAVE_LIMIT: Duration = Duration::from_secs(300);

/// The nodes.
#[derive(Debug)]
pub struct Fleet {
    folder: PathBuf,
    network: Network,
    http: Client,
    token: String,
    targets: Arc<Targets>,
    nodes: BTreeMap<usize, Option<Process>>,
    accidents: Vec<String>,
}

impl Fleet {
    /// Makes a ring of `nodes` below `folder` and starts them all.
    ///
    /// # Errors
    /// A command fails.
    pub async fn start(folder: &Path, network: Network, nodes: usize) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let mut arguments = ["init", "--data", "ring", "--nodes"].map(str::to_owned).to_vec();
        arguments.push(nodes.to_string());
        arguments.extend(network.init_options());
        command(folder, "init", &arguments).await?;
        let scopes = "jobs:read jobs:write results:read kv:read kv:write ring:admin";
        let token =
            command(folder, "token", &["token", "create", "--data", "ring", "--ttl", "6h", "--scope", scopes]).await?;
        let resolve: Vec<_> = (0..MOST_NODES).map(|node| (name(node), network.addresses(node).1)).collect();
        let http = load::http(&folder.join("ring/ca.pem"), &resolve)?;
        let mut fleet = Self {
            folder: folder.to_owned(),
            network,
            http,
            token: token.trim().to_owned(),
            targets: Arc::default(),
            nodes: BTreeMap::new(),
            accidents: Vec::new(),
        };
        for node in fleet.settle()? {
            fleet.run(node)?;
        }
        Ok(fleet)
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Who is asked: the client, the token and the gateways of the present nodes.
    pub fn entrance(&self) -> (Client, String, Arc<Targets>) {
        (self.http.clone(), self.token.clone(), Arc::clone(&self.targets))
    }

    /// The nodes that are part of the ring now.
    pub fn members(&self) -> Vec<usize> {
        self.nodes.keys().copied().collect()
    }

    /// What went wrong with processes that nobody touched.
    pub fn accidents(&self) -> &[String] {
        &self.accidents
    }

    /// Adds a node to the ring and starts it; its number.
    ///
    /// # Errors
    /// A command fails.
    pub async fn add(&mut self) -> anyhow::Result<usize> {
        command(&self.folder, "add", &["init", "--add", "1", "--data", "ring"]).await?;
        let new = self.settle()?;
        let [node] = new[..] else { bail!("`scrapering init --add 1` made the nodes {new:?}") };
        self.run(node)?;
        Ok(node)
    }

    /// Removes a node from the ring: asks another one, waits until everybody says that it has left, and stops its process.
    ///
    /// # Errors
    /// It is refused, takes too long, or the process does not end well.
    pub async fn leave(&mut self, node: usize) -> anyhow::Result<()> {
        let leaving = name(node);
        let other = self.running().into_iter().find(|&other| other != node).context("nobody else runs")?;
        let answer = self.door(other).ask(Method::DELETE, &format!("/v1/nodes/{leaving}"), None).await?;
        ensure!(answer.status == StatusCode::ACCEPTED, "{leaving} may not leave: {} {}", answer.status, answer.body);
        let others: Vec<usize> = self.running().into_iter().filter(|&other| other != node).collect();
        until(&format!("the end of {leaving}'s hand-over"), LEAVE_LIMIT, async || {
            for &other in &others {
                if !self.status(other).await.is_ok_and(|status| status.has_left(&leaving)) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        self.targets.remove(&leaving);
        let process = self.nodes.remove(&node).flatten();
        let mut process = process.with_context(|| format!("{leaving} does not run"))?;
        process.signal("TERM").await?;
        let ended = process.ended(STOP_LIMIT).await?;
        ensure!(ended.code() == Some(0), "{leaving} has left and ended with {}:\n{}", ended.status, process.tail());
        Ok(())
    }

    /// Starts a node that does not run.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&mut self, node: usize) -> anyhow::Result<()> {
        let before = self.network.attach(node)?;
        let name = name(node);
        let block = self.network.block();
        let arguments = ["node", "--ring-dir", "ring", "--name", &name, "--allow-private-cidr", &block];
        let process = Process::start_behind(&self.folder, &name, &before, arguments)?;
        self.nodes.insert(node, Some(process));
        let gateway = self.network.addresses(node).1;
        self.targets.add(name.clone(), format!("https://{name}:{}", gateway.port()));
        Ok(())
    }

    /// Kills these nodes with SIGKILL, all at once.
    ///
    /// # Errors
    /// One does not run.
    pub async fn kill(&mut self, nodes: &[usize]) -> anyhow::Result<()> {
        self.check_processes()?;
        for node in nodes {
            self.process(*node)?.start_kill()?;
        }
        for node in nodes {
            if let Some(mut process) = self.nodes.get_mut(node).and_then(Option::take) {
                process.ended(STOP_LIMIT).await?;
            }
        }
        Ok(())
    }

    /// Sends SIGSTOP or SIGCONT to these nodes.
    ///
    /// # Errors
    /// One does not run.
    pub async fn signal(&mut self, nodes: &[usize], signal: &str) -> anyhow::Result<()> {
        for node in nodes {
            self.process(*node)?.signal(signal).await?;
        }
        Ok(())
    }

    /// Removes the data folder of a node that does not run.
    ///
    /// # Errors
    /// It runs, or the folder cannot be removed.
    pub fn wipe(&self, node: usize) -> anyhow::Result<()> {
        ensure!(matches!(self.nodes.get(&node), Some(None)), "{} runs", name(node));
        let data = self.folder.join("ring").join(name(node)).join("data");
        std::fs::remove_dir_all(&data).with_context(|| format!("{} cannot be removed", data.display()))
    }

    /// Cuts the ring in two: nobody in `few` hears anybody outside, nor the other way round.
    ///
    /// # Errors
    /// There are no packet faults here.
    pub fn split(&self, few: &[usize]) -> anyhow::Result<()> {
        let many: Vec<usize> = self.members().into_iter().filter(|node| !few.contains(node)).collect();
        for (side, other) in [(few, many.as_slice()), (many.as_slice(), few)] {
            for &node in side {
                self.network.apply(node, &Rules { cut_off: other.to_vec(), loss_percent: 0 })?;
            }
        }
        Ok(())
    }

    /// Lets these nodes lose packets from other nodes.
    ///
    /// # Errors
    /// There are no packet faults here.
    pub fn lose(&self, nodes: &[usize], loss_percent: u32) -> anyhow::Result<()> {
        nodes.iter().try_for_each(|&node| self.network.apply(node, &Rules { cut_off: Vec::new(), loss_percent }))
    }

    /// Ends every packet fault.
    ///
    /// # Errors
    /// nft fails.
    pub fn heal(&self) -> anyhow::Result<()> {
        self.members().into_iter().try_for_each(|node| self.network.apply(node, &Rules::default()))
    }

    /// What a node says of the ring.
    ///
    /// # Errors
    /// It does not answer, or says something else.
    pub async fn status(&self, node: usize) -> anyhow::Result<RingStatus> {
        let answer = self.door(node).ask(Method::GET, "/v1/ring", None).await?;
        ensure!(answer.status.is_success(), "{}: {} {}", name(node), answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| format!("{} says {}", name(node), answer.body))
    }

    /// Waits until every running node calls the ring whole, but for the nodes in `down`; when that was.
    ///
    /// # Errors
    /// It does not become whole within `limit`: says what is in the way.
    pub async fn whole(&mut self, down: &[usize], limit: Duration, recorder: &Recorder) -> anyhow::Result<u64> {
        let names: BTreeSet<String> =
            self.members().into_iter().filter(|node| !down.contains(node)).map(name).collect();
        let down: BTreeSet<String> = down.iter().copied().map(name).collect();
        let mut reason = "nobody was asked".to_owned();
        let whole = until("a whole ring", limit, async || {
            self.check_processes()?;
            for node in self.running() {
                let fault = match self.status(node).await {
                    Ok(status) => status.fault(&names, &down),
                    Err(error) => Some(format!("{} does not answer: {error:#}", name(node))),
                };
                if let Some(fault) = fault {
                    reason = fault;
                    return Ok(None);
                }
            }
            Ok(Some(recorder.now_ns()))
        });
        let found = whole.await;
        found.with_context(|| reason)
    }

    /// Stops every node with SIGTERM.
    ///
    /// # Errors
    /// One does not end in time with status 0.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for process in self.nodes.values().flatten() {
            process.signal("TERM").await?;
        }
        for (node, slot) in &mut self.nodes {
            let Some(mut process) = slot.take() else { continue };
            let ended = process.ended(STOP_LIMIT).await?;
            ensure!(ended.code() == Some(0), "{} ended with {}:\n{}", name(*node), ended.status, process.tail());
        }
        Ok(())
    }

    fn running(&self) -> Vec<usize> {
        self.nodes.iter().filter(|(_, process)| process.is_some()).map(|(node, _)| *node).collect()
    }

    fn door(&self, node: usize) -> Door {
        let base = format!("https://{}:{}", name(node), self.network.addresses(node).1.port());
        Door::through(self.http.clone(), &self.token, vec![base])
    }

    fn process(&mut self, node: usize) -> anyhow::Result<&mut Process> {
        self.nodes.get_mut(&node).and_then(Option::as_mut).with_context(|| format!("{} does not run", name(node)))
    }

    /// A node that has ended though nobody killed it is noted, and started again.
    fn check_processes(&mut self) -> anyhow::Result<()> {
        for node in self.running() {
            let process = self.process(node)?;
            if !process.is_running()? {
                let accident = format!("{} has ended by itself:\n{}", name(node), process.tail());
                ensure!(self.accidents.len() < 5, "nodes end by themselves again and again; the last one: {accident}");
                self.accidents.push(accident);
                self.run(node)?;
            }
        }
        Ok(())
    }

    /// Reads who is in the ring's folder and is not part of the fleet yet, and sees that they are given the addresses of this network.
    fn settle(&mut self) -> anyhow::Result<Vec<usize>> {
        let path = self.folder.join("ring/ring.json");
        let mut ring: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let nodes = ring["nodes"].as_array_mut().context("ring.json has no nodes")?;
        let mut new = Vec::new();
        for entry in nodes {
            let node = place(entry["name"].as_str().unwrap_or_default())?;
            let (ring_address, gateway_address) = self.network.addresses(node);
            if self.targets.all().iter().all(|(known, _)| *known != name(node)) && !self.was_here(node) {
                new.push(node);
            }
            entry["ring_address"] = ring_address.to_string().into();
            entry["gateway_address"] = gateway_address.to_string().into();
        }
        let whole = serde_json::to_vec_pretty(&ring)?;
        let beside = path.with_extension("json.settled");
        std::fs::write(&beside, whole)?;
        std::fs::rename(&beside, &path)?;
        Ok(new)
    }

    fn was_here(&self, node: usize) -> bool {
        self.folder.join(format!("{}.err", name(node))).exists()
    }
}

async fn command<A: AsRef<std::ffi::OsStr>>(folder: &Path, file: &str, arguments: &[A]) -> anyhow::Result<String> {
    let ended = program::run(folder, file, COMMAND_LIMIT, arguments).await?;
    ensure!(ended.code() == Some(0), "`scrapering {file}` ended with {}:\n{}{}", ended.status, ended.out, ended.err);
    Ok(ended.out)
}
