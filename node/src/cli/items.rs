//! `scrapering items`: the items of a job, once or as they come, as lines or as a table, open or sealed.

mod target;

use super::client::{Client, Piece};
use super::connect::ConnectArgs;
use super::failure::Status;
use super::progress;
use super::sealed;
use super::signals::Signals;
use crate::gateway::object::JobObject;
use age::x25519::Recipient;
use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use scrapering_core::frontier::record::JobId;
use std::path::PathBuf;
use std::time::Duration;
use target::Target;

/// Pause after a look that found nothing new.
const PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `items`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --output items.jsonl --follow\n         \
    scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --format csv --output items.csv\n         \
    scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --format parquet --output items.parquet\n         \
    scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --output items.age --encrypt-to age1...\n\n\
    With --output, a second run goes on where the first one ended (see the file's .cursor). A Parquet file and an \
    encrypted one cannot be gone on with: they appear when they are whole."
)]
pub(super) struct ItemsArgs {
    /// The job's id, as "scrapering job list" shows it.
    #[arg(value_name = "ID")]
    id: JobId,
    /// File for the items [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object a line, or a table with the fields of the job as columns; parquet needs --output.
    #[arg(long, value_enum, default_value_t = ItemsFormat::Ndjson, value_name = "FORMAT")]
    format: ItemsFormat,
    /// Encrypt to this recipient (age1..., see "scrapering keygen") before anything is written; may be repeated.
    #[arg(long, value_name = "RECIPIENT", requires = "output", value_parser = sealed::recipient)]
    encrypt_to: Vec<Recipient>,
    /// Wait for more until the job has ended.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ItemsFormat {
    /// Newline-delimited JSON.
    Ndjson,
    /// CSV after RFC 4180, with a line of names.
    Csv,
    /// Apache Parquet, compressed with zstd; lists and objects as JSON.
    Parquet,
}

/// Runs the command.
pub(super) async fn items(args: ItemsArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    // An empty or absent file begins; one with a mark goes on; anything else is not ours to write over.
    let mut target = Target::open(&args)?;
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let job = tokio::select! {
        biased;
        status = signals.next() => return Ok(status),
        job = client.job(args.id) => job?,
    };
    let bar = progress::counter("items", args.output.is_some());
    let written = tokio::select! {
        biased;
        status = signals.next() => Ok(Some(status)),
        written = write(&client, &job, &args, &mut target, &bar) => written.map(|()| None),
    };
    bar.finish_and_clear();
    let Some(status) = written? else { return Ok(Status::Done) };
    if target.is_whole_or_nothing() {
        eprintln!("Nothing is left of the unfinished file; the same command begins again.");
    }
    Ok(status)
}

/// Writes until nothing follows, or nothing more is there and nobody wants to wait. May be dropped at any wait.
async fn write(
    client: &Client,
    job: &JobObject,
    args: &ItemsArgs,
    target: &mut Target,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let mut cursor = target.begin(job)?;
    loop {
        let piece = client.piece(args.id, "items", &cursor).await?;
        bar.inc(piece.lines.iter().filter(|byte| **byte == b'\n').count() as u64);
        target.add(&piece)?;
        if piece.complete || piece.lines.is_empty() && !args.follow {
            return end(args, target, &piece);
        }
        if piece.lines.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        cursor = piece.cursor;
    }
}

fn end(args: &ItemsArgs, target: &mut Target, last: &Piece) -> anyhow::Result<()> {
    target.end(last.complete)?;
    if !last.complete {
        let how = match (&args.output, target.is_whole_or_nothing()) {
            (Some(_), false) => "the same command again goes on",
            (None, _) => "with --follow they are waited for",
            (Some(_), true) => "they are in no file yet; with --follow they are waited for",
        };
        eprintln!("The job has not ended; more items may come: {how}.");
    }
    Ok(())
}
