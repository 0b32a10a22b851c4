//! `scrapering items`: the items of a job, once or as they come.

use super::connect::ConnectArgs;
use super::failure::Status;
use super::output::Output;
use super::signals::Signals;
use anyhow::Context;
use clap::Args;
use scrapering_core::frontier::record::JobId;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pause after a look that found nothing new.
const PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `items`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering items 0198c1d2-7f3e-7abc-9def-0123456789ab --output items.jsonl --follow\n\n\
    With --output, a second run goes on where the first one ended (see the file's .cursor)."
)]
pub(super) struct ItemsArgs {
    /// The job's id, as "scrapering job list" shows it.
    #[arg(value_name = "ID")]
    id: JobId,
    /// File for the items, one JSON object a line [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Wait for more until the job has ended.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Runs the command.
pub(super) async fn items(args: ItemsArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    // An empty or absent file begins; one with a mark goes on; anything else is not ours to write over.
    let mut output = Output::open(args.output.as_deref(), Some(args.id))?;
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let mut cursor = None;
    loop {
        let piece = tokio::select! {
            biased;
            status = signals.next() => return Ok(status),
            piece = client.piece(args.id, "items", cursor.as_deref().unwrap_or_default()), if cursor.is_some() => piece?,
            job = client.job(args.id), if cursor.is_none() => {
                cursor = Some(output.begin(job?.metadata.uid)?);
                continue;
            }
        };
        if !piece.lines.is_empty() {
            output.append(args.id, &piece.lines, &piece.cursor)?;
        }
        cursor = Some(piece.cursor);
        if piece.complete {
            output.finish()?;
            return Ok(Status::Done);
        }
        if piece.lines.is_empty() {
            if !args.follow {
                tell_how_to_go_on(args.output.as_deref());
                return Ok(Status::Done);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn tell_how_to_go_on(output: Option<&Path>) {
    let how = if output.is_some() { "the same command again goes on" } else { "with --follow they are waited for" };
    eprintln!("The job has not ended; more items may come: {how}.");
}
