//! `scrapering init`: the folder of a local ring, for nodes that are started one by one.

use super::failure::Status;
use super::folder::{self, DataArgs, ShapeArgs};
use super::terms::{print, quoted};
use clap::Args;
use std::net::SocketAddr;

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering init --nodes 5 --data ring")]
pub(super) struct InitArgs {
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Address of the first node's gateway; the others take the ports above it [default: 127.0.0.1:8443].
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<SocketAddr>,
}

/// Runs the command.
pub(super) fn init(args: &InitArgs) -> anyhow::Result<Status> {
    let root = args.data.root()?;
    let was_there = folder::is_ring(&root);
    let dir = folder::open(&root, &args.shape.shape(args.gateway))?;
    let made = if was_there { "There already is" } else { "Made" };
    let folder = quoted(&root.display().to_string());
    let mut text = format!("{made} a ring of {} nodes in {}. Start each:\n", dir.nodes().len(), root.display());
    for node in dir.nodes() {
        text += &format!("  scrapering node --ring-dir {folder} --name {}\n", node.name);
    }
    print(text)?;
    Ok(Status::Done)
}
