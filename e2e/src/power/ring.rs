//! A ring of real processes, each with a disk of its own whose power can be cut.

use super::disk::{self, Disk};
use super::ledger::Key;
use super::store::Store;
use crate::door::until;
use crate::program::{self, Ended, Process};
use crate::ring::{Ring, name};
use anyhow::{Context, bail, ensure};
use reqwest::Method;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Nodes of the ring: any two may fail.
pub const NODES: usize = 5;
/// How long a ring may take from its start until every node sees every other, and a node until it serves.
const WHOLE_LIMIT: Duration = Duration::from_secs(90);
/// How long an emptied node may take to get back what it should hold.
const REPLICATED_LIMIT: Duration = Duration::from_secs(180);
/// How long a process may take to stand still after SIGSTOP.
const STILL_LIMIT: Duration = Duration::from_secs(10);
/// How long a process may take to end.
const END_LIMIT: Duration = Duration::from_secs(30);
/// How long commands that only touch files may take on a busy machine.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers fsync and fdatasync with success and does neither, so that the node believes its disk. The node stays this
/// program's own child (-D), and only these two calls are slowed (--seccomp-bpf).
const SWALLOW: &str =
    "strace -D -f --seccomp-bpf -qqq --signal=none --trace=fsync,fdatasync --inject=fsync,fdatasync:retval=0";

/// Whether a node's fsyncs reach its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// As they should.
    Honest,
    /// Each is answered with success and not done.
    Swallowed,
}

/// The ring. Dropped, every node is killed and every disk unmounted, in this order.
#[derive(Debug)]
pub struct PoweredRing {
    processes: Vec<Option<Process>>,
    disks: Vec<Disk>,
    ring: Ring,
    folder: PathBuf,
    store: Store,
}

impl PoweredRing {
    /// Makes a ring below `folder` with a disk for each node, and starts none of them.
    ///
    /// # Errors
    /// A command fails.
    pub async fn make(folder: &Path) -> anyhow::Result<Self> {
        let ring = Ring::init(folder, NODES).await?;
        let arguments = ["token", "create", "--data", "ring", "--ttl", "12h", "--scope", "kv:read kv:write ring:admin"];
        let token = program::run(folder, "power-token", COMMAND_LIMIT, arguments).await?;
        ensure!(token.code() == Some(0), "no token was made: {token:?}");
        let gateways =
            (0..NODES).map(|node| format!("https://127.0.0.1:{}", usize::from(ring.ports().gateway()) + node));
        let store = Store::new(&ring.root().join("ca.pem"), &token.out, gateways.collect())?;
        let mut disks = Vec::new();
        for node in 0..NODES {
            disks.push(Disk::make(&ring.root().join(name(node)).join("data"))?);
        }
        let processes = (0..NODES).map(|_| None).collect();
        Ok(Self { processes, disks, ring, folder: folder.to_owned(), store })
    }

    /// Makes a ring and starts it.
    ///
    /// # Errors
    /// A command fails, or the ring is not whole in time.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut ring = Self::make(folder).await?;
        ring.start_nodes(&all(), Fsync::Honest)?;
        ring.whole().await?;
        Ok(ring)
    }

    /// The key-value store of the ring.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The disk of a node.
    pub fn disk(&self, node: usize) -> &Disk {
        &self.disks[node]
    }

    /// Starts these nodes.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn start_nodes(&mut self, nodes: &[usize], fsync: Fsync) -> anyhow::Result<()> {
        for &node in nodes {
            let name = name(node);
            let before: Vec<String> = match fsync {
                Fsync::Honest => Vec::new(),
                Fsync::Swallowed => {
                    let log = format!("--output={}", self.swallowed(node).display());
                    SWALLOW.split(' ').map(str::to_owned).chain([log]).collect()
                }
            };
            let arguments = ["node", "--ring-dir", "ring", "--name", &name];
            self.processes[node] = Some(Process::start_behind(&self.folder, &name, &before, arguments)?);
        }
        Ok(())
    }

    /// Where the fsyncs that a node was cheated of are listed.
    fn swallowed(&self, node: usize) -> PathBuf {
        self.folder.join(format!("{}.swallowed", name(node)))
    }

    /// How many fsyncs were answered and not done, over all nodes.
    pub fn swallowed_count(&self) -> usize {
        let logs = (0..NODES).filter_map(|node| std::fs::read_to_string(self.swallowed(node)).ok());
        logs.map(|log| log.matches("(INJECTED)").count()).sum()
    }

    /// Waits until each of these nodes serves strong reads again; how long it took.
    ///
    /// # Errors
    /// One has ended, or it takes too long; both with the last words of the nodes.
    pub async fn serving(&mut self, nodes: &[usize]) -> anyhow::Result<Duration> {
        let began = Instant::now();
        // Any key will do; that one is never written.
        let key = Key { writer: usize::MAX, number: 0 };
        for &node in nodes {
            loop {
                let process =
                    self.processes[node].as_mut().with_context(|| format!("{} was not started", name(node)))?;
                ensure!(process.is_running()?, "{} has ended:\n{}", name(node), process.tail());
                let Err(error) = self.store.read(node, key).await else { break };
                if began.elapsed() > WHOLE_LIMIT {
                    bail!("{} did not serve within {WHOLE_LIMIT:?}: {error:#}\n{}", name(node), self.tails());
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(began.elapsed())
    }

    /// Waits until every node sees all the others alive.
    ///
    /// # Errors
    /// A node ends, or it takes too long; both with the last words of the nodes.
    pub async fn whole(&mut self) -> anyhow::Result<()> {
        let door = self.ring.door().clone();
        let began = Instant::now();
        let mut missing = String::new();
        loop {
            for (node, process) in self.processes.iter_mut().enumerate() {
                let process = process.as_mut().with_context(|| format!("{} was not started", name(node)))?;
                ensure!(process.is_running()?, "{} has ended:\n{}", name(node), process.tail());
            }
            let mut whole = true;
            for place in 0..NODES {
                match door.only(place).ask(Method::GET, "/v1/ring", None).await.and_then(|answer| answer.json()) {
                    Ok(ring) => {
                        let nodes = ring["nodes"].as_array().map_or(&[][..], Vec::as_slice);
                        let alive = nodes.iter().filter(|node| node["liveness"] == "alive").count();
                        if alive < NODES {
                            (whole, missing) = (false, format!("{} sees {alive} nodes alive: {ring}", name(place)));
                        }
                    }
                    Err(error) => (whole, missing) = (false, format!("{}: {error:#}", name(place))),
                }
            }
            if whole {
                return Ok(());
            }
            if began.elapsed() > WHOLE_LIMIT {
                bail!("the ring was not whole within {WHOLE_LIMIT:?}: {missing}\n{}", self.tails());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until every partition has all the copies it should have, as every node sees it.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn replicated(&self) -> anyhow::Result<()> {
        until("full replication", REPLICATED_LIMIT, async || {
            for place in 0..NODES {
                let door = self.ring.door().only(place);
                let Ok(answer) = door.ask(Method::GET, "/v1/ring", None).await else { return Ok(None) };
                let views = &answer.json()?["views"];
                if ["underReplicated", "moving", "sealed"].iter().any(|figure| views[figure] != 0) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// Sends SIGSTOP to these nodes and waits until no thread of theirs runs.
    ///
    /// # Errors
    /// One does not stand still, or does not run.
    pub async fn pause(&self, nodes: &[usize]) -> anyhow::Result<()> {
        self.signal(nodes, "STOP").await?;
        for &node in nodes {
            let pid = self.process(node)?.pid().with_context(|| format!("{} has ended", name(node)))?;
            until(&format!("the standstill of {}", name(node)), STILL_LIMIT, async || Ok(is_still(pid)?.then_some(())))
                .await?;
        }
        Ok(())
    }

    /// Sends SIGCONT to these nodes.
    ///
    /// # Errors
    /// One does not run.
    pub async fn resume(&self, nodes: &[usize]) -> anyhow::Result<()> {
        self.signal(nodes, "CONT").await
    }

    /// Cuts the power of these nodes, which must stand still, and brings their disks back. The nodes are killed.
    ///
    /// # Errors
    /// The cut was none, or a disk does not come back.
    pub async fn cut(&mut self, nodes: &[usize]) -> anyhow::Result<()> {
        let disks: Vec<&Disk> = nodes.iter().map(|&node| &self.disks[node]).collect();
        for disk in &disks {
            disk.plant()?;
        }
        disk::cut(&disks)?;
        self.kill(nodes).await?;
        for &node in nodes {
            let disk = &self.disks[node];
            disk.unmount()?;
            disk.mount()?;
            disk.check_cut()?;
        }
        Ok(())
    }

    /// Kills these nodes with SIGKILL and waits for their ends.
    ///
    /// # Errors
    /// One does not run.
    pub async fn kill(&mut self, nodes: &[usize]) -> anyhow::Result<()> {
        for &node in nodes {
            self.processes[node].as_mut().with_context(|| format!("{} does not run", name(node)))?.start_kill()?;
        }
        for &node in nodes {
            if let Some(mut process) = self.processes[node].take() {
                process.ended(END_LIMIT).await?;
            }
        }
        Ok(())
    }

    /// Stops these nodes in order, with SIGTERM.
    ///
    /// # Errors
    /// One does not end in time with status 0.
    pub async fn stop(&mut self, nodes: &[usize]) -> anyhow::Result<()> {
        self.signal(nodes, "TERM").await?;
        for &node in nodes {
            let Some(mut process) = self.processes[node].take() else { continue };
            let ended = process.ended(END_LIMIT).await?;
            ensure!(ended.code() == Some(0), "{} ended with {}:\n{}", name(node), ended.status, process.tail());
        }
        Ok(())
    }

    fn is_running(&mut self, node: usize) -> anyhow::Result<bool> {
        self.processes[node].as_mut().map_or(Ok(false), Process::is_running)
    }

    /// How a node's process has ended by itself; `None` if it runs.
    ///
    /// # Errors
    /// From the operating system.
    pub async fn ended(&mut self, node: usize) -> anyhow::Result<Option<Ended>> {
        if self.is_running(node)? {
            return Ok(None);
        }
        let mut process = self.processes[node].take().with_context(|| format!("{} was not started", name(node)))?;
        process.ended(END_LIMIT).await.map(Some)
    }

    /// The last words of every node.
    pub fn tails(&self) -> String {
        let running = self.processes.iter().enumerate().filter_map(|(node, process)| Some((node, process.as_ref()?)));
        running.map(|(node, process)| format!("--- {}\n{}", name(node), process.tail())).collect()
    }

    fn process(&self, node: usize) -> anyhow::Result<&Process> {
        self.processes[node].as_ref().with_context(|| format!("{} does not run", name(node)))
    }

    async fn signal(&self, nodes: &[usize], signal: &str) -> anyhow::Result<()> {
        for &node in nodes {
            self.process(node)?.signal(signal).await?;
        }
        Ok(())
    }
}

/// Every node.
pub fn all() -> Vec<usize> {
    (0..NODES).collect()
}

/// Whether no thread of the process will run its own code: each is stopped (T, t), or is in the kernel (D) and stops on its way out.
fn is_still(pid: u32) -> anyhow::Result<bool> {
    let mut stopped = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that has ended since it was listed does not run.
        let Ok(stat) = std::fs::read_to_string(task?.path().join("stat")) else { continue };
        // The name stands in parentheses and may itself hold some: the state is the first field behind the last one.
        match stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next()) {
            Some('T' | 't') => stopped += 1,
            Some('D') => {}
            _ => return Ok(false),
        }
    }
    // The signal reaches all threads once one has taken it.
    Ok(stopped > 0)
}
