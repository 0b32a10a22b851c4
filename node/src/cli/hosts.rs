//! `scrapering hosts`: how the ring treats a host, and what its operator asks for there.

use super::columns::{Cell, FormatArgs, Tone, columns};
use super::connect::ConnectArgs;
use super::failure::Status;
use crate::crawl::hosts::{HostLimitsObject, HostObject, HostState};
use crate::gateway::HostChange;
use clap::{Args, Subcommand};

/// Arguments of `hosts`.
#[derive(Debug, Args)]
pub(super) struct HostsArgs {
    #[command(subcommand)]
    command: HostsCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum HostsCommand {
    /// Show how the ring treats a host: whether it is visited, for how long it is left alone, what is asked for.
    #[command(after_help = "Example: scrapering hosts get www.example.com")]
    Get {
        /// A host, with its port unless that is the scheme's own.
        host: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Ask for more gentleness at a host than any job does, or close it. What is not named is asked for no more.
    #[command(after_help = "Example: scrapering hosts limit www.example.com --delay-ms 5000\n         \
        scrapering hosts limit www.example.com --closed\n         \
        scrapering hosts limit www.example.com --forgive")]
    Limit {
        /// A host, with its port unless that is the scheme's own.
        host: String,
        /// Shortest delay from one answer to the next request, milliseconds.
        #[arg(long, value_name = "MS", default_value_t = 0)]
        delay_ms: u64,
        /// Most requests in flight.
        #[arg(long, value_name = "N")]
        concurrent_requests: Option<u32>,
        /// Request nothing at all.
        #[arg(long)]
        closed: bool,
        /// End the pauses that the ring had decided by itself.
        #[arg(long)]
        forgive: bool,
        #[command(flatten)]
        format: FormatArgs,
    },
}

/// Runs the command.
pub(super) async fn hosts(args: HostsArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    let (origins, format) = match args.command {
        HostsCommand::Get { host, format } => (client.host(&host).await?, format),
        HostsCommand::Limit { host, delay_ms, concurrent_requests, closed, forgive, format } => {
            let limits = HostLimitsObject { delay_ms, concurrent_requests, closed };
            (client.limit_host(&host, &HostChange { limits, forgive }).await?, format)
        }
    };
    format.print(&origins, || table(&origins.items))?;
    Ok(Status::Done)
}

fn table(origins: &[HostObject]) -> String {
    let row = |origin: &HostObject| {
        let tone = match origin.state {
            HostState::Idle => Tone::Plain,
            HostState::Open => Tone::Good,
            HostState::Paused => Tone::Busy,
            HostState::Broken | HostState::Closed => Tone::Bad,
        };
        [
            origin.origin.as_str().into(),
            Cell::toned(format!("{:?}", origin.state).to_lowercase(), tone),
            Cell::figure(origin.closed_for_ms.div_ceil(1000)),
            Cell::figure(origin.waiting),
            Cell::figure(origin.requests),
            Cell::figure(origin.failed),
            Cell::figure(origin.limits.delay_ms),
        ]
    };
    let head = ["ORIGIN", "STATE", "LEFT ALONE (s)", "WAITING", "REQUESTS", "FAILED", "LEAST DELAY (ms)"];
    columns(head, &origins.iter().map(row).collect::<Vec<_>>())
}
