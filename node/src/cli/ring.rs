//! `scrapering ring`: what a node believes of its ring, and who owns a key.

use super::connect::ConnectArgs;
use super::failure::Status;
use super::terms::print;
use clap::{Args, Subcommand};

/// Arguments of `ring`.
#[derive(Debug, Args)]
pub(super) struct RingArgs {
    #[command(subcommand)]
    command: RingCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum RingCommand {
    /// Show every node and whether it lives.
    #[command(after_help = "Example: scrapering ring status")]
    Status,
    /// Show which nodes own a key; the key of a host's pages is the host.
    #[command(after_help = "Example: scrapering ring lookup books.example")]
    Lookup {
        /// The key.
        key: String,
    },
}

/// Runs the command.
pub(super) async fn ring(args: RingArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        RingCommand::Status => {
            let ring = client.ring().await?;
            let mut text = format!(
                "ring {}, as seen by {}; {} nodes may be lost at once\n",
                ring.ring_id, ring.node, ring.tolerates
            );
            for node in ring.nodes {
                let (liveness, gateway) = (format!("{:?}", node.liveness), node.gateway.unwrap_or_default());
                text += &format!("{:<12} {liveness:<8} {:<40} {gateway}\n", node.name, node.id);
            }
            print(text)?;
        }
        RingCommand::Lookup { key } => {
            let lookup = client.lookup(&key).await?;
            let place = format!("{} is at point {} in partition {}\n", lookup.key, lookup.point, lookup.partition);
            let owners = format!("owners: {}\n", lookup.owners.join(" "));
            print(format!("{place}{owners}{} hops: {}\n", lookup.path.len(), lookup.path.join(" ")))?;
        }
    }
    Ok(Status::Done)
}
