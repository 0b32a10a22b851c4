//! A ring of real processes, one a node, that can be killed, stopped and started again.

use crate::door::{Door, until};
use crate::ports::Ports;
use crate::program::{self, Process};
use anyhow::{Context, ensure};
use reqwest::Method;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long commands that only touch files may take on a busy machine.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// How long a ring may take from its start until every node sees every other: a second on a machine of its own.
const START_LIMIT: Duration = Duration::from_secs(150);
/// How long a node may take from SIGTERM to its end; it gives itself ten seconds for its calls and ten for its disk.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long a node may take to make way on a busy machine; it gives itself about fifty seconds.
const PARTING_LIMIT: Duration = Duration::from_secs(120);

/// The ring of a folder. Dropped, every node is killed.
#[derive(Debug)]
pub struct Ring {
    folder: PathBuf,
    ports: Ports,
    door: Door,
    nodes: Vec<Option<Process>>,
    options: Vec<String>,
    has_local_sockets: bool,
}

impl Ring {
    /// Makes a ring of `nodes` below `folder` and starts none of them.
    ///
    /// # Errors
    /// A command fails.
    pub async fn init(folder: &Path, nodes: usize) -> anyhow::Result<Self> {
        let ports = Ports::take()?;
        let count = nodes.to_string();
        let mut arguments =
            vec!["init".to_owned(), "--data".to_owned(), "ring".to_owned(), "--nodes".to_owned(), count];
        arguments.extend(ports.options());
        let made = program::run(folder, "init", COMMAND_LIMIT, &arguments).await?;
        ensure!(made.code() == Some(0), "no ring was made: {made:?}");
        let scopes = "jobs:read jobs:write results:read kv:read kv:write hosts:write ring:admin";
        let arguments = ["token", "create", "--data", "ring", "--ttl", "1h", "--scope", scopes];
        let token = program::run(folder, "token", COMMAND_LIMIT, arguments).await?;
        ensure!(token.code() == Some(0), "no token was made: {token:?}");
        let gateways = (0..nodes).map(|node| format!("https://127.0.0.1:{}", usize::from(ports.gateway()) + node));
        let door = Door::new(&folder.join("ring/ca.pem"), &token.out, gateways.collect())?;
        Ok(Self {
            folder: folder.to_owned(),
            ports,
            door,
            nodes: (0..nodes).map(|_| None).collect(),
            options: Vec::new(),
            has_local_sockets: false,
        })
    }

    /// A token of the ring's own issuer with these scopes.
    ///
    /// # Errors
    /// The command fails.
    pub async fn token_of(&self, scopes: &str) -> anyhow::Result<String> {
        let arguments = ["token", "create", "--data", "ring", "--ttl", "1h", "--scope", scopes];
        let token = program::run(&self.folder, "token", COMMAND_LIMIT, arguments).await?;
        ensure!(token.code() == Some(0), "no token was made: {token:?}");
        Ok(token.out.trim().to_owned())
    }

    /// Every node that is started from now on is given these options too.
    #[must_use]
    pub fn with_options(self, options: Vec<String>) -> Self {
        Self { options, ..self }
    }

    /// Every node that is started from now on can be asked to make way.
    #[must_use]
    pub fn with_local_sockets(self) -> Self {
        Self { has_local_sockets: true, ..self }
    }

    /// Makes one more node for a ring that is formed, and starts it; it joins. Returns its place.
    ///
    /// # Errors
    /// A command fails, or the node cannot be started.
    pub async fn join(&mut self) -> anyhow::Result<usize> {
        let made = program::run(&self.folder, "add", COMMAND_LIMIT, ["init", "--add", "1", "--data", "ring"]).await?;
        ensure!(made.code() == Some(0), "no node was added: {made:?}");
        let place = self.nodes.len();
        let node = self.start_node(place)?;
        self.nodes.push(Some(node));
        Ok(place)
    }

    /// Makes a ring and starts every node.
    ///
    /// # Errors
    /// A command fails, or the ring is not whole in time.
    pub async fn start(folder: &Path, nodes: usize) -> anyhow::Result<Self> {
        let mut ring = Self::init(folder, nodes).await?;
        ring.start_all().await?;
        Ok(ring)
    }

    /// Starts every node that does not run, and waits until each sees all the others.
    ///
    /// # Errors
    /// A node ends at once, or the ring is not whole in time.
    pub async fn start_all(&mut self) -> anyhow::Result<()> {
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_none() {
                self.nodes[node] = Some(self.start_node(node)?);
            }
        }
        let whole = until("a whole ring", START_LIMIT, async || {
            for node in self.nodes.iter_mut().flatten() {
                ensure!(node.is_running()?, "a node has ended:\n{}", node.tail());
            }
            for place in 0..self.nodes.len() {
                if !self.sees_all(place).await? {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        });
        let done = whole.await;
        done.with_context(|| self.nodes.iter().flatten().map(Process::tail).collect::<Vec<_>>().join("\n"))
    }

    /// Whether the node at `place` answers and finds every node alive. One whose ring is not formed yet says so.
    async fn sees_all(&self, place: usize) -> anyhow::Result<bool> {
        let Ok(answer) = self.door.only(place).ask(Method::GET, "/v1/ring", None).await else { return Ok(false) };
        if !answer.status.is_success() {
            return Ok(false);
        }
        let ring = answer.json()?;
        let nodes = ring["nodes"].as_array().with_context(|| format!("no nodes in {ring}"))?;
        Ok(nodes.iter().all(|node| node["liveness"] == "alive"))
    }

    /// Starts one node as `scrapering node`; may visit loopback.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_node(&self, node: usize) -> anyhow::Result<Process> {
        let name = name(node);
        let fixed = ["node", "--ring-dir", "ring", "--name", &name, "--allow-private-cidr", "127.0.0.0/8"];
        let socket = local_socket(node);
        let of_socket = self.has_local_sockets.then_some(["--local-socket", &socket]).into_iter().flatten();
        let arguments = fixed.into_iter().chain(of_socket).chain(self.options.iter().map(String::as_str));
        Process::start(&self.folder, &name, arguments)
    }

    /// Asks one node to make way, as a kubelet does before it ends a pod; what the command says.
    ///
    /// # Errors
    /// The command fails, or the node has not made way in time.
    pub async fn make_way(&self, node: usize) -> anyhow::Result<String> {
        let (socket, limit) = (local_socket(node), format!("{}s", PARTING_LIMIT.as_secs()));
        let arguments = ["prestop", "--local-socket", &socket, "--within", &limit];
        let ended = program::run(&self.folder, &format!("prestop-{node}"), 2 * PARTING_LIMIT, arguments).await?;
        ensure!(ended.code() == Some(0), "{} has not made way: {ended:?}", name(node));
        Ok(ended.out)
    }

    /// Stops one node with SIGTERM.
    ///
    /// # Errors
    /// It does not end in time with status 0.
    pub async fn stop_node(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].as_ref().with_context(|| format!("{} does not run", name(node)))?.signal("TERM").await?;
        self.ended(node, STOP_LIMIT).await
    }

    /// Waits until one node has ended in order.
    ///
    /// # Errors
    /// It does not end within `limit`, or with another status than 0.
    pub async fn ended(&mut self, node: usize, limit: Duration) -> anyhow::Result<()> {
        let Some(mut process) = self.nodes[node].take() else { return Ok(()) };
        let ended = process.ended(limit).await?;
        ensure!(ended.code() == Some(0), "{} ended with {}:\n{}", name(node), ended.status, process.tail());
        Ok(())
    }

    /// Kills these nodes with SIGKILL, all at once.
    ///
    /// # Errors
    /// One does not run.
    pub async fn kill(&mut self, nodes: &[usize]) -> anyhow::Result<()> {
        for &node in nodes {
            self.nodes[node].as_mut().with_context(|| format!("{} does not run", name(node)))?.start_kill()?;
        }
        for &node in nodes {
            if let Some(mut process) = self.nodes[node].take() {
                process.ended(STOP_LIMIT).await?;
            }
        }
        Ok(())
    }

    /// Stops every node with SIGTERM.
    ///
    /// # Errors
    /// One does not end in time with status 0.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for process in self.nodes.iter().flatten() {
            process.signal("TERM").await?;
        }
        for node in 0..self.nodes.len() {
            self.ended(node, STOP_LIMIT).await?;
        }
        Ok(())
    }

    /// The process ids of the nodes that run.
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().flatten().filter_map(Process::pid).collect()
    }

    /// Every gateway of the ring.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Its ports.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The ring's folder.
    pub fn root(&self) -> PathBuf {
        self.folder.join("ring")
    }
}

/// The socket of the node in this place, from the folder that it runs in.
fn local_socket(node: usize) -> String {
    format!("{}.sock", name(node))
}

/// What the node in this place is called.
pub fn name(node: usize) -> String {
    format!("ring-{node}")
}

/// The place of the node that is called so.
///
/// # Errors
/// It is no name of a node.
pub fn place(name: &str) -> anyhow::Result<usize> {
    let number = name.strip_prefix("ring-").and_then(|number| number.parse().ok());
    number.with_context(|| format!("{name} is no node's name"))
}
