//! `scrapering init`: the folder of a local ring, for nodes that are started one by one.

use super::failure::Status;
use super::folder::{self, DataArgs, ShapeArgs};
use super::terms::{print, quoted};
use crate::identity::layout::{RingDir, RingNode, Shape};
use clap::Args;
use std::net::SocketAddr;
use std::path::Path;

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering init --nodes 5 --zones a,b,c --data ring\n\n\
                  A node more, for a ring that is there:\n  scrapering init --add 1 --data ring && scrapering node --ring-dir ring --name ring-5")]
pub(super) struct InitArgs {
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Address of the first node's gateway; the others take the ports above it [default: 127.0.0.1:8443].
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<SocketAddr>,
    /// Zones of a new ring's nodes, dealt out in turn: copies are spread over them.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    zones: Vec<String>,
    /// Add so many nodes to the ring that is there; they join it when they are started.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with_all = ["nodes", "ring_port", "gateway", "zones"])]
    add: Option<u16>,
    /// Zone of the nodes that are added.
    #[arg(long, value_name = "ZONE", requires = "add")]
    zone: Option<String>,
}

/// Runs the command.
pub(super) fn init(args: &InitArgs) -> anyhow::Result<Status> {
    let root = args.data.root()?;
    if let Some(count) = args.add {
        return add(&args.data, count, args.zone.as_deref().unwrap_or_default());
    }
    let was_there = folder::is_ring(&root);
    let shape = Shape { zones: args.zones.clone(), ..args.shape.shape(args.gateway) };
    let dir = folder::open(&root, &shape)?;
    let made = if was_there { "There already is" } else { "Made" };
    let head = format!("{made} a ring of {} nodes in {}. Start each:\n", dir.nodes().len(), root.display());
    print(head + &commands(&root, dir.nodes()))?;
    Ok(Status::Done)
}

fn add(data: &DataArgs, count: u16, zone: &str) -> anyhow::Result<Status> {
    let (root, before) = (data.root()?, data.existing()?.nodes().len());
    let dir = RingDir::add(&root, count, zone).map_err(folder::told)?;
    let head = format!(
        "The ring in {} has {} nodes now. Start the new ones, and they join:\n",
        root.display(),
        dir.nodes().len()
    );
    print(head + &commands(&root, &dir.nodes()[before..]))?;
    Ok(Status::Done)
}

fn commands(root: &Path, nodes: &[RingNode]) -> String {
    let folder = quoted(&root.display().to_string());
    let command = |node: &RingNode| format!("  scrapering node --ring-dir {folder} --name {}\n", node.name);
    nodes.iter().map(command).collect()
}
