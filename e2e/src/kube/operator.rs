//! The operator as a process, its way to the server, and the words of it.

use super::control_plane::ControlPlane;
use super::cutter::Cutter;
use crate::program::{Process, built};
use anyhow::Context;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long it may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// The image of nodes whose ring names none; the played kubelet runs the program that was built here.
pub const NODE_IMAGE: &str = "scrapering:built-here";

/// The operator and the way it speaks to the server by.
pub struct Operator {
    folder: PathBuf,
    name: String,
    cutter: Cutter,
    process: Option<Process>,
    health: SocketAddr,
}

impl Operator {
    /// Makes ready for an operator of this control plane with this token, called `name` in its lease, and does not start it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub async fn of(plane: &ControlPlane, folder: &Path, name: &str, token: String) -> anyhow::Result<Self> {
        let cutter = Cutter::open(plane.server(), plane.folder(), token).await?;
        std::fs::write(folder.join(format!("{name}.kubeconfig")), cutter.kubeconfig())?;
        // Free a moment ago; if somebody takes it, the operator says so and the test fails.
        let health = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), cutter, process: None, health })
    }

    /// Starts it.
    ///
    /// # Errors
    /// It was not built.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let variables = [
            ("KUBECONFIG", format!("{}.kubeconfig", self.name)),
            ("SCRAPERING_NODE_IMAGE", NODE_IMAGE.to_owned()),
            ("POD_NAMESPACE", "default".to_owned()),
            ("POD_NAME", self.name.clone()),
            ("HEALTH_ADDRESS", self.health.to_string()),
            ("RUST_LOG", "info,scrapering_operator=debug".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let program = built("scrapering-operator")?;
        self.process = Some(Process::start_program_with(&program, &self.folder, &self.name, ["run"], &variables)?);
        Ok(())
    }

    /// Kills it.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("the operator does not run")?;
        process.start_kill()?;
        process.ended(STOP_LIMIT).await.map(drop)
    }

    /// Stops it with SIGTERM; its exit status.
    ///
    /// # Errors
    /// It does not run, or does not end in time.
    pub async fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        self.signal("TERM").await?;
        self.ended(STOP_LIMIT).await
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It does not run.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        self.process.as_ref().context("the operator does not run")?.signal(signal).await
    }

    /// Waits until it has ended by itself; its exit status.
    ///
    /// # Errors
    /// It does not run, or does not end within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<Option<i32>> {
        let mut process = self.process.take().context("the operator does not run")?;
        Ok(process.ended(limit).await?.code())
    }

    /// Its way to the server.
    pub const fn way(&self) -> &Cutter {
        &self.cutter
    }

    /// A counter of `/metrics`, by its whole name with labels.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn counter(&self, name: &str) -> anyhow::Result<u64> {
        let text = reqwest::get(format!("http://{}/metrics", self.health)).await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(line.unwrap_or(0))
    }

    /// Id of its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::pid)
    }

    /// What it said last.
    pub fn tail(&self) -> String {
        self.process.as_ref().map(Process::tail).unwrap_or_default()
    }
}
