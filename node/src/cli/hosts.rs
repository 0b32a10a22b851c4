//! `scrapering hosts`: how the ring treats the hosts that it visits, every request that it made to one, and whom it leaves alone.

use super::client::hosts::Items;
use super::columns::{Cell, FormatArgs, Tone, columns};
use super::connect::ConnectArgs;
use super::failure::Status;
use super::terms::{print, span};
use crate::crawl::hosts::{HostObject, HostState};
use crate::crawl::jobs::Try;
use clap::{Args, Subcommand};
use serde_json::json;
use std::time::Duration;

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
    /// List the hosts that the ring has to do with now.
    #[command(after_help = "Example: scrapering hosts list --state broken")]
    List {
        /// Only hosts in this state: idle, open, paused, broken, closed or optedOut.
        #[arg(long, value_parser = state)]
        state: Option<HostState>,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show how the ring treats a host.
    #[command(after_help = "Example: scrapering hosts show www.shop.example")]
    Show {
        /// The host, with its port unless that is the scheme's own.
        host: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List every request that was made to a host, the oldest first, for all jobs.
    #[command(after_help = "Example: scrapering hosts ledger www.shop.example --output json")]
    Ledger {
        /// The host, with its port unless that is the scheme's own.
        host: String,
        /// Most requests.
        #[arg(long, default_value_t = 1000, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Print the robots.txt that the ring goes by.
    #[command(after_help = "Example: scrapering hosts robots www.shop.example")]
    Robots {
        /// The host, with its port unless that is the scheme's own.
        host: String,
    },
    /// Ask for more gentleness at a host than any job does; what is not named asks for nothing.
    #[command(
        after_help = "Example: scrapering hosts limit www.shop.example --delay 10s --concurrency 1\n         scrapering hosts limit www.shop.example --block-for 2h"
    )]
    Limit {
        /// The host, with its port unless that is the scheme's own.
        host: String,
        /// Shortest delay between two requests.
        #[arg(long, value_name = "SPAN", value_parser = span)]
        delay: Option<Duration>,
        /// Most requests in flight.
        #[arg(long, value_name = "N")]
        concurrency: Option<u32>,
        /// Request nothing for so long.
        #[arg(long, value_name = "SPAN", value_parser = span)]
        block_for: Option<Duration>,
        /// Request nothing until this is taken back.
        #[arg(long)]
        close: bool,
        /// End the pauses that the ring decided by itself.
        #[arg(long)]
        forgive: bool,
    },
    /// Try a host again at once that is left alone because it failed.
    #[command(after_help = "Example: scrapering hosts reset www.shop.example")]
    Reset {
        /// The host, with its port unless that is the scheme's own.
        host: String,
    },
    /// Keep every job away from a host and all hosts below it, because its owner does not want to be visited.
    #[command(after_help = "Example: scrapering hosts opt-out shop.example --note \"mail of 2026-11-03\"")]
    OptOut {
        /// The host, without a port.
        host: String,
        /// Who asked for it, and where that can be read.
        #[arg(long, default_value = "", value_name = "TEXT")]
        note: String,
        /// Only this host, not those below it.
        #[arg(long)]
        alone: bool,
    },
    /// Let jobs visit a host again.
    #[command(after_help = "Example: scrapering hosts opt-in shop.example")]
    OptIn {
        /// The host, as it was opted out.
        host: String,
    },
    /// List the hosts that no job visits.
    #[command(after_help = "Example: scrapering hosts opt-outs")]
    OptOuts(FormatArgs),
    /// Tell what became of a URL in each job.
    #[command(after_help = "Example: scrapering hosts url https://www.shop.example/lamp")]
    Url {
        /// The URL.
        url: String,
        #[command(flatten)]
        format: FormatArgs,
    },
}

fn state(word: &str) -> Result<HostState, String> {
    HostState::of(word).ok_or_else(|| "one of idle, open, paused, broken, closed, optedOut".to_owned())
}

/// Runs the command.
pub(super) async fn hosts(args: HostsArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        HostsCommand::List { state, format } => {
            let hosts = client.hosts(state.map(HostState::as_str)).await?;
            format.print(&hosts, || table(&hosts))?;
        }
        HostsCommand::Show { host, format } => {
            let hosts = client.host(&host).await?;
            format.print(&hosts, || table(&hosts))?;
        }
        HostsCommand::Ledger { host, limit, format } => {
            let ledger = client.ledger(&host, limit).await?;
            let rows = ledger.items.iter().map(|entry| {
                let [at, took, end] = words(&entry.attempt);
                [at, took, end, entry.job.to_string().into(), entry.url.as_str().into()]
            });
            let rows: Vec<[Cell; 5]> = rows.collect();
            format.print(&ledger, || columns(["BEGAN", "TOOK", "ANSWER", "JOB", "URL"], &rows))?;
        }
        HostsCommand::Robots { host } => {
            for robots in client.robots(&host).await?.items {
                let fetched = robots.fetched_at.map(|at| format!(", fetched {at}")).unwrap_or_default();
                print(format!(
                    "# {}: {}{fetched}\n{}\n",
                    robots.origin,
                    robots.state,
                    robots.text.unwrap_or_default()
                ))?;
            }
        }
        HostsCommand::Limit { host, delay, concurrency, block_for, close, forgive } => {
            let until = block_for.map(|span| jiff::Timestamp::now().saturating_add(span)).transpose()?;
            let limits = json!({
                "delayMs": delay.map_or(0, |delay| delay.as_millis() as u64),
                "concurrentRequests": concurrency,
                "closed": close,
                "blockUntil": until,
            });
            print(table(&client.limit_host(&host, &json!({ "limits": limits, "forgive": forgive })).await?))?;
        }
        HostsCommand::Reset { host } => print(table(&client.reset_breaker(&host).await?))?,
        HostsCommand::OptOut { host, note, alone } => {
            let made = client.opt_out(&json!({ "host": host, "subdomains": !alone, "note": note })).await?;
            print(format!("no job visits {} any more\n", made.host))?;
        }
        HostsCommand::OptIn { host } => {
            client.opt_in(&host).await?;
            print(format!("jobs may visit {host} again\n"))?;
        }
        HostsCommand::OptOuts(format) => {
            let list = client.opt_outs().await?;
            let rows = list.items.iter().map(|entry| {
                let below = if entry.subdomains { "and all below it" } else { "alone" };
                [entry.host.as_str().into(), below.into(), entry.since.as_str().into(), entry.note.as_str().into()]
            });
            let rows: Vec<[Cell; 4]> = rows.collect();
            format.print(&list, || columns(["HOST", "", "SINCE", "NOTE"], &rows))?;
        }
        HostsCommand::Url { url, format } => {
            let found = client.url(&url).await?;
            let rows = found.items.iter().map(|entry| {
                let state = serde_json::to_value(entry.state).ok();
                let state = state.as_ref().and_then(|state| state.as_str()).unwrap_or_default().to_owned();
                let reason = entry.reason.clone().unwrap_or_default();
                let detail = entry.detail.clone().unwrap_or_default();
                [
                    entry.job.to_string().into(),
                    state.into(),
                    reason.into(),
                    Cell::figure(entry.tries.len() as u64),
                    detail.into(),
                ]
            });
            let rows: Vec<[Cell; 5]> = rows.collect();
            format.print(&found, || columns(["JOB", "STATE", "REASON", "TRIES", ""], &rows))?;
        }
    }
    Ok(Status::Done)
}

fn words(attempt: &Try) -> [Cell; 3] {
    let end = attempt.status.map(|status| status.to_string()).or(attempt.error.clone()).unwrap_or_default();
    [attempt.at.as_str().into(), Cell::figure(format!("{} ms", attempt.took_ms)), end.into()]
}

fn table(hosts: &Items<HostObject>) -> String {
    let rows = hosts.items.iter().map(|host| {
        let tone = match host.state {
            HostState::Idle | HostState::Open => Tone::Good,
            HostState::Paused => Tone::Busy,
            HostState::Broken | HostState::Closed | HostState::OptedOut => Tone::Bad,
        };
        let left_alone = Duration::from_millis(host.closed_for_ms).as_secs();
        [
            host.origin.as_str().into(),
            Cell::toned(host.state.as_str(), tone),
            Cell::figure(if left_alone == 0 { "-".to_owned() } else { format!("{left_alone} s") }),
            host.robots.as_str().into(),
            Cell::figure(host.waiting),
            Cell::figure(u64::from(host.in_flight)),
            Cell::figure(host.requests),
            Cell::figure(host.failed),
        ]
    });
    let head = ["ORIGIN", "STATE", "FOR", "ROBOTS", "WAITING", "IN FLIGHT", "REQUESTS", "FAILED"];
    columns(head, &rows.collect::<Vec<[Cell; 8]>>())
}
