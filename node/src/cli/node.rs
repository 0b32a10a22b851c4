//! `scrapering node`: one node of a ring folder as a process of its own.

use super::failure::Status;
use super::folder::GuardArgs;
use super::signals::Signals;
use crate::app::{NodeOptions, RunningNode};
use crate::identity::layout::{RingDir, Shape};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `node`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering init --nodes 5 --data ring && scrapering node --ring-dir ring --name ring-0"
)]
pub(super) struct NodeArgs {
    /// Folder of the ring, as made by "scrapering init".
    #[arg(long, value_name = "DIR")]
    ring_dir: PathBuf,
    /// Which of its nodes: ring-0, ring-1, ...
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    guard: GuardArgs,
}

/// Runs the command.
pub(super) async fn node(args: NodeArgs) -> anyhow::Result<Status> {
    let dir = RingDir::open_or_init(&args.ring_dir, &Shape::default())
        .with_context(|| format!("the ring in {} cannot be opened", args.ring_dir.display()))?;
    args.guard.warn();
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let options = NodeOptions { allow_private_cidrs: args.guard.allow_private_cidr };
    let node = tokio::select! {
        node = RunningNode::start(&dir, &args.name, &options) => node.with_context(|| format!("the node {} did not start", args.name))?,
        status = signals.next() => return Ok(status),
    };
    signals.next().await;
    tracing::info!(name = args.name, "stopping");
    node.stop().await;
    Ok(Status::Done)
}
