//! `scrapering export`: the items of a job as files, here or in an object store.

use super::client::Client;
use super::connect::ConnectArgs;
use super::failure::{BadInput, Status};
use super::signals::Signals;
use super::terms::print;
use crate::gateway::object::JobObject;
use crate::output::{Destination, DestinationError, Export, ExportError, Format, Table};
use anyhow::Context;
use clap::Args;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::ScrapeJobSpec;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

/// Pause after a look that found nothing new.
const PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering export 0198c1d2-7f3e-7abc-9def-0123456789ab --to s3://out/books --format parquet\n\n\
    Each type of item gets a folder, each part of it appears whole or not at all, and _SUCCESS appears last.\n\
    Credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT, or GOOGLE_SERVICE_ACCOUNT."
)]
pub(super) struct ExportArgs {
    /// The job's id, as "scrapering job list" shows it. A job that still runs is waited for.
    #[arg(value_name = "ID")]
    id: JobId,
    /// A folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// How the items are written.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Runs the command.
pub(super) async fn export(args: ExportArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    let destination = Destination::named(&args.to).map_err(bad_place)?;
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let job = client.job(args.id).await?;
    let export = match Export::begin(destination, args.format, tables(&job)).await {
        Err(ExportError::Destination(error @ DestinationError::Occupied(_))) => return Err(bad_place(error)),
        begun => begun?,
    };
    tokio::select! {
        biased;
        status = signals.next() => Ok(status),
        done = write(&client, args.id, export) => done,
    }
}

async fn write(client: &Client, id: JobId, export: Export) -> anyhow::Result<Status> {
    let (mut export, mut cursor) = (export, String::new());
    loop {
        let piece = client.piece(id, "items", &cursor).await?;
        let text = std::str::from_utf8(&piece.lines).context("the ring's answer is not UTF-8")?;
        let items = text.lines().map(|line| RawValue::from_string(line.to_owned())).collect::<Result<Vec<_>, _>>();
        export.add(&items.context("the ring's answer is not JSON")?).await?;
        cursor = piece.cursor;
        if piece.complete {
            break;
        }
        if piece.lines.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let parts = export.finish().await?;
    let told: String =
        parts.iter().map(|part| format!("{}  {} items, {} bytes\n", part.name, part.items, part.bytes)).collect();
    print(told)?;
    Ok(Status::Done)
}

/// The columns of each type of item that the job extracts.
fn tables(job: &JobObject) -> BTreeMap<String, Table> {
    let spec: Option<ScrapeJobSpec> = serde_json::from_value(job.spec.clone()).ok();
    let rules = spec.map(|spec| spec.extract).unwrap_or_default();
    rules.iter().map(|rule| (rule.name.clone(), Table::of(rule))).collect()
}

fn bad_place(error: DestinationError) -> anyhow::Error {
    match error {
        DestinationError::Name(_) | DestinationError::Occupied(_) => BadInput::one(format!("--to: {error}")),
        other => other.into(),
    }
}
