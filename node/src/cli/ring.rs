//! `scrapering ring`: what the nodes believe of their ring, who owns a key, and making a node leave.

mod table;

use super::columns::FormatArgs;
use super::connect::ConnectArgs;
use super::failure::Status;
use super::terms::print;
use crate::gateway::{GiveUp, Recovery};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;

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
    /// Show every node, who keeps what, and what the nodes do without being asked.
    #[command(after_help = "Example: scrapering ring status\n         scrapering ring status --output json")]
    Status(FormatArgs),
    /// Show which nodes own a key, and the way to them.
    #[command(
        after_help = "Example: scrapering ring lookup https://books.example/\n\nA URL stands for the pages of its host; what \"scrapering kv\" keeps under KEY is at kv/default/KEY."
    )]
    Lookup {
        /// The key.
        key: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Go on without nodes that are lost for ever, where they were a majority. What only they held is lost.
    ///
    /// Without --force it says which nodes are missing and changes nothing.
    #[command(after_help = "Example: scrapering ring recover --force --give-up ring-3,ring-4")]
    Recover {
        /// Really do it.
        #[arg(long, requires = "give_up")]
        force: bool,
        /// Exactly the nodes that are lost, by name.
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        give_up: Vec<String>,
    },
    /// Make a node leave for good: it hands over what it keeps, then it may be stopped.
    #[command(after_help = "Example: scrapering ring leave ring-4")]
    Leave {
        /// The node's name, as "scrapering ring status" shows it.
        name: String,
    },
}

/// Runs the command.
pub(super) async fn ring(args: RingArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        RingCommand::Status(format) => {
            let rings = client.rings().await?;
            format.print(&rings, || table::status(&rings))?;
        }
        RingCommand::Lookup { key, format } => {
            let found = client.lookup(&key).await?;
            format.print(&found, || table::lookup(&found))?;
        }
        RingCommand::Recover { force, give_up } => {
            // Naming nobody changes nothing, and is answered with who would have to be named.
            let give_up = if force { give_up.into_iter().collect() } else { BTreeSet::new() };
            let Recovery { recovered, emptied, unfinished } = client.recover(&GiveUp { give_up }).await?;
            print(format!(
                "{recovered} partitions are served again, {emptied} of which nothing was left begin empty, {unfinished} are not served yet\n"
            ))?;
        }
        RingCommand::Leave { name } => {
            client.leave(&name).await?;
            print(format!(
                "{name} hands over what it keeps and leaves; \"scrapering ring status\" shows when it is gone\n"
            ))?;
        }
    }
    Ok(Status::Done)
}
