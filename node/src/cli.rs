//! The command line: what a person types, the sentences they get back, and the exit status.
//!
//! `up`, `node` and `init` start things; `run`, `job`, `items`, `kv` and `ring` speak to a ring over its gateway, like any other program would.
//! Errors are told once, here, in one sentence each; `failure` decides the words and the status.
#![allow(clippy::print_stderr, reason = "the command line speaks through it")]

mod client;
mod columns;
mod completion;
mod connect;
mod context;
mod contexts;
mod decrypt;
mod document;
mod export;
mod extract;
mod failure;
mod file;
mod folder;
mod hosts;
mod init;
mod items;
mod job;
mod kv;
mod lock;
mod node;
mod output;
mod ports;
mod prestop;
mod progress;
mod ring;
mod run;
mod schedule;
mod sealed;
mod sheet;
mod signals;
mod terms;
mod token;
mod traces;
mod up;
mod webhook;
mod whole;

use clap::{CommandFactory, Parser, Subcommand};
use failure::Status;
use std::process::ExitCode;

/// A web scraper without a master: equal nodes in a ring that crawl politely and keep what they find.
#[derive(Debug, Parser)]
#[command(
    name = "scrapering",
    version,
    max_term_width = 100,
    after_help = "Start here: scrapering run JOB.yaml --output items.jsonl\n\n\
    Exit status:\n\
    \x20   0  done\n\
    \x20   1  failed\n\
    \x20   2  wrong input, nothing was begun\n\
    \x20   3  it is not known whether a change was made\n\
    \x20   4  nothing was changed: another holds the lock, or has changed the key\n\
    \x20 130  stopped by Ctrl-C\n\
    \x20 143  stopped by SIGTERM"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a job and write its items as JSON lines while they come.
    Run(run::RunArgs),
    /// Run a local ring in this process until Ctrl-C.
    Up(up::UpArgs),
    /// See and steer the jobs of a ring.
    Job(job::JobArgs),
    /// Make, see and steer schedules: jobs that the ring makes at their times.
    Schedule(schedule::ScheduleArgs),
    /// Read the items of a job.
    Items(items::ItemsArgs),
    /// Make an identity to which items can be encrypted.
    Keygen(decrypt::KeygenArgs),
    /// Open a file that "scrapering items --encrypt-to" wrote.
    Decrypt(decrypt::DecryptArgs),
    /// Write what a job found as files: JSON lines, CSV, Parquet or WARC, in a folder or an object store.
    Export(export::ExportArgs),
    /// See what a job's webhooks were sent, and send it once more.
    Webhook(webhook::WebhookArgs),
    /// Try the rules of a job on one page, without a ring.
    Extract(extract::ExtractArgs),
    /// Keep small values under keys, and watch them change.
    Kv(kv::KvArgs),
    /// Keep files of any length.
    File(file::FileArgs),
    /// Hold locks with a time to live.
    Lock(lock::LockArgs),
    /// Make tokens for the gateway.
    Token(token::TokenArgs),
    /// Look at the ring itself, and make nodes leave.
    Ring(ring::RingArgs),
    /// See how the ring treats hosts and what it asked of them, and have some left alone.
    Hosts(hosts::HostsArgs),
    /// Know rings elsewhere by a name.
    Context(context::ContextCommandArgs),
    /// Make the folder of a local ring without starting it.
    Init(init::InitArgs),
    /// Run one node of a ring folder as a process of its own.
    Node(Box<node::NodeArgs>),
    /// Ask the node of this machine to make way before it is stopped, and wait until it may be.
    Prestop(prestop::PrestopArgs),
    /// Print the OpenAPI document of the gateway.
    #[command(after_help = "Example: scrapering openapi > openapi.json")]
    Openapi,
    /// Write what a shell needs to complete command lines.
    Completion(completion::CompletionArgs),
}

impl Command {
    /// What is logged unless `RUST_LOG` says otherwise: a node's log is its voice, a command's is noise.
    fn usual_log(&self) -> &'static str {
        match self {
            Self::Node(_) => "info",
            Self::Up(_) => "warn",
            _ => "error",
        }
    }

    /// Where spans go, and whose they are; commands have none.
    fn traces(&self) -> Option<(&traces::TraceArgs, Option<&str>)> {
        match self {
            Self::Node(node) => Some((&node.traces, Some(&node.name))),
            Self::Up(up) => Some((&up.traces, None)),
            _ => None,
        }
    }
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    // An error means that the process already has its provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error.into()).into(),
    };
    let within = runtime.enter();
    let traces = match traces::set_up(&cli.command) {
        Ok(traces) => traces,
        Err(error) => return failure::report(&error.into()).into(),
    };
    drop(within);
    let status = match runtime.block_on(dispatch(cli.command)) {
        Ok(status) => status,
        Err(error) => failure::report(&error),
    };
    if let Some(traces) = traces {
        traces.end();
    }
    // Work that does not end by itself must not keep a finished command alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    status.into()
}

async fn dispatch(command: Command) -> anyhow::Result<Status> {
    match command {
        Command::Run(args) => run::run(args).await,
        Command::Up(args) => up::up(args).await,
        Command::Job(args) => job::job(args).await,
        Command::Schedule(args) => schedule::schedule(args).await,
        Command::Items(args) => items::items(args).await,
        Command::Export(args) => export::export(args).await,
        Command::Webhook(args) => webhook::webhook(args).await,
        Command::Extract(args) => extract::extract(args).await,
        Command::Kv(args) => kv::kv(args).await,
        Command::File(args) => file::file(args).await,
        Command::Lock(args) => lock::lock(args).await,
        Command::Keygen(args) => decrypt::keygen(&args),
        Command::Decrypt(args) => decrypt::decrypt(&args),
        Command::Context(args) => context::context(args).await,
        Command::Completion(args) => completion::completion(&args, Cli::command()),
        Command::Token(args) => token::token(args).await,
        Command::Ring(args) => ring::ring(args).await,
        Command::Hosts(args) => hosts::hosts(args).await,
        Command::Init(args) => init::init(&args),
        Command::Node(args) => node::node(*args).await,
        Command::Prestop(args) => prestop::prestop(args).await,
        Command::Openapi => {
            terms::print(crate::gateway::openapi::document())?;
            Ok(Status::Done)
        }
    }
}

#[cfg(test)]
mod tests;
