//! `scrapering lock`: locks with a time to live, by hand or around a command.

mod run;

use super::client::{Client, ClientError};
use super::connect::ConnectArgs;
use super::failure::{BadInput, Status};
use super::terms::{print, span};
use crate::gateway::LockObject;
use clap::{Args, Subcommand};
use scrapering_core::kv::UserKey;
use scrapering_core::lock::Claim;
use std::time::{Duration, Instant};

/// Pause between two attempts at a lock that another holds.
const PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub(super) struct LockArgs {
    #[command(subcommand)]
    command: LockCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum LockCommand {
    /// Take a lock and print its token: the guarded thing must refuse tokens lower than one that it has seen.
    #[command(after_help = "Example: scrapering lock acquire nightly-import --ttl 30s --wait 1m")]
    Acquire {
        #[command(flatten)]
        take: TakeArgs,
    },
    /// Hold a lock for another time to live, and print its new token.
    #[command(after_help = "Example: scrapering lock renew nightly-import --token 7")]
    Renew {
        #[command(flatten)]
        held: HeldArgs,
    },
    /// Give a lock back.
    #[command(after_help = "Example: scrapering lock release nightly-import --token 8")]
    Release {
        #[command(flatten)]
        held: HeldArgs,
    },
    /// Show who holds a lock.
    #[command(after_help = "Example: scrapering lock show nightly-import")]
    Show {
        /// The lock's name.
        name: UserKey,
    },
    /// Run a command while holding a lock; it is stopped if the lock is lost.
    #[command(
        after_help = "Example: scrapering lock run nightly-import --ttl 30s -- ./import.sh\n\nThe command finds its first token in SCRAPERING_LOCK_TOKEN, and ends with the status of this command."
    )]
    Run {
        #[command(flatten)]
        take: TakeArgs,
        /// The command and its arguments.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<std::ffi::OsString>,
    },
}

/// How a lock is taken.
#[derive(Debug, Args)]
struct TakeArgs {
    /// The lock's name.
    name: UserKey,
    /// How long it is held unless it is renewed.
    #[arg(long, default_value = "30s", value_name = "SPAN", value_parser = ttl)]
    ttl: Duration,
    /// How long to wait for another holder.
    #[arg(long, default_value = "0s", value_name = "SPAN", value_parser = span)]
    wait: Duration,
    /// Who holds it, for people [default: host and process].
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
}

/// A lock that is held.
#[derive(Debug, Args)]
struct HeldArgs {
    /// The lock's name.
    name: UserKey,
    /// The token with which it was taken or last renewed.
    #[arg(long, value_name = "N")]
    token: u64,
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = span(text)?;
    if (Claim::MIN_TTL..=Claim::MAX_TTL).contains(&ttl) && ttl.subsec_nanos() == 0 {
        return Ok(ttl);
    }
    Err("a lock lives for whole seconds, from 1s to 24h".to_owned())
}

/// Runs the command.
pub(super) async fn lock(args: LockArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        LockCommand::Acquire { take } => match acquire(&client, &take).await? {
            Ok((lock, _)) => print(format!("{}\n", lock.token))?,
            Err(held) => return Ok(refused(&held)),
        },
        LockCommand::Renew { held: HeldArgs { name, token } } => match client.renew(&name, token).await {
            Err(error) if error.slug() == Some("lock-lost") => return Ok(refused(&error)),
            renewed => print(format!("{}\n", renewed?.token))?,
        },
        LockCommand::Release { held: HeldArgs { name, token } } => match client.release(&name, token).await {
            Err(error) if error.slug() == Some("lock-lost") => return Ok(refused(&error)),
            released => released?,
        },
        LockCommand::Show { name } => match client.lock(&name).await? {
            Some(lock) => print(format!(
                "{} is held by {}, token {}, time to live {} s, unchanged for {} s\n",
                lock.name, lock.owner, lock.token, lock.ttl_seconds, lock.unchanged_seconds
            ))?,
            None => print(format!("nobody holds {name}\n"))?,
        },
        LockCommand::Run { take, command } => return run::run(&client, &take, &command).await,
    }
    Ok(Status::Done)
}

fn refused(error: &ClientError) -> Status {
    eprintln!("{error}");
    Status::Conflict
}

/// A lock and a moment not later than when its time to live began.
type Taken = (LockObject, Instant);

/// Takes the lock, waiting for another holder as long as asked for; the inner error is that it is still held.
async fn acquire(client: &Client, take: &TakeArgs) -> anyhow::Result<Result<Taken, ClientError>> {
    let owner = match &take.owner {
        Some(owner) if owner.is_empty() || owner.len() > Claim::MAX_OWNER_BYTES => {
            return Err(BadInput::one(format!("--owner must have 1 to {} bytes", Claim::MAX_OWNER_BYTES)));
        }
        Some(owner) => owner.clone(),
        None => format!("{} process {}", host(), std::process::id()),
    };
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        // The same gateway each time: the node behind it watches the holder grow old.
        match client.acquire(&take.name, &owner, take.ttl.as_secs()).await {
            Err(error) if error.slug() == Some("lock-held") => {
                if began.elapsed() + PAUSE > take.wait {
                    return Ok(Err(error));
                }
            }
            taken => return Ok(Ok((taken?, asked))),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "a host".to_owned() } else { name.chars().take(64).collect() }
}
