//! `scrapering export`: the items or pages of a job as files, here or in an object store.

use super::client::Client;
use super::connect::ConnectArgs;
use super::failure::{BadInput, Status};
use super::progress;
use super::signals::Signals;
use super::terms::print;
use crate::crawl::jobs::FetchedPage;
use crate::gateway::object::JobObject;
use crate::output::warc::WarcSeries;
use crate::output::{
    Destination, DestinationError, Export, ExportError, Format, Packer, Part, SUCCESS, success, tables,
};
use anyhow::Context;
use clap::{Args, ValueEnum};
use scrapering_core::frontier::record::JobId;
use scrapering_crds::ScrapeJobSpec;
use scrapering_crds::job::StoreBody;
use scrapering_crds::job::output::OutputCompression;
use serde_json::value::RawValue;
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
    /// How what was found is written.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: ExportFormat,
    /// How JSON lines and CSV are compressed.
    #[arg(long, value_enum, default_value = "none")]
    compress: Compress,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// How what was found is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Items, one JSON object a line.
    Jsonl,
    /// Items as comma-separated values (RFC 4180) with a header; lists and objects as JSON.
    Csv,
    /// Items as Apache Parquet, compressed with zstd; lists and objects as JSON.
    Parquet,
    /// Pages as WARC 1.1 with an index (CDXJ); the job must keep its pages (outputs: [{ring: {storeBody: all}}]).
    Warc,
}

impl ExportFormat {
    const fn of_items(self) -> Option<Format> {
        match self {
            Self::Jsonl => Some(Format::Jsonl),
            Self::Csv => Some(Format::Csv),
            Self::Parquet => Some(Format::Parquet),
            Self::Warc => None,
        }
    }
}

/// How lines are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Compress {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl From<Compress> for OutputCompression {
    fn from(compress: Compress) -> Self {
        match compress {
            Compress::None => Self::None,
            Compress::Gzip => Self::Gzip,
            Compress::Zstd => Self::Zstd,
        }
    }
}

/// Runs the command.
pub(super) async fn export(args: ExportArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    let destination = Destination::named(&args.to).map_err(bad_place)?;
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let job = client.job(args.id).await?;
    let spec: Option<ScrapeJobSpec> = serde_json::from_value(job.spec.clone()).ok();
    let Some(format) = args.format.of_items() else {
        let pages = Pages { client: &client, job: &job, destination };
        return tokio::select! {
            biased;
            status = signals.next() => Ok(status),
            done = pages.write(spec.as_ref()) => done,
        };
    };
    if format == Format::Parquet && args.compress != Compress::None {
        return Err(BadInput::one("--compress means nothing for parquet, which is compressed anyway".to_owned()));
    }
    let packer = Packer::new(format, args.compress.into(), spec.as_ref().map(tables).unwrap_or_default());
    let export = match Export::begin(destination, packer).await {
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
    let mut export = export;
    read_to_the_end(client, id, "items", async |text| {
        let items = text.lines().map(|line| RawValue::from_string(line.to_owned())).collect::<Result<Vec<_>, _>>();
        Ok(export.add(items.context("the ring's answer is not JSON")?).await?)
    })
    .await?;
    tell(&export.finish().await?, "items")?;
    Ok(Status::Done)
}

/// Reads a list of a job piece by piece, and waits for what is still to come.
async fn read_to_the_end(
    client: &Client,
    id: JobId,
    list: &str,
    mut take: impl AsyncFnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut cursor, bar) = (String::new(), progress::counter(list, true));
    loop {
        let piece = client.piece(id, list, &cursor).await?;
        bar.inc(piece.lines.iter().filter(|byte| **byte == b'\n').count() as u64);
        take(std::str::from_utf8(&piece.lines).context("the ring's answer is not UTF-8")?).await?;
        if piece.complete {
            return Ok(());
        }
        if piece.lines.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        cursor = piece.cursor;
    }
}

fn tell(parts: &[Part], entries: &str) -> anyhow::Result<()> {
    let line = |part: &Part| format!("{}  {} {entries}, {} bytes\n", part.name, part.items, part.bytes);
    Ok(print(parts.iter().map(line).collect::<String>())?)
}

/// An export of pages on its way.
struct Pages<'a> {
    client: &'a Client,
    job: &'a JobObject,
    destination: Destination,
}

impl Pages<'_> {
    async fn write(self, spec: Option<&ScrapeJobSpec>) -> anyhow::Result<Status> {
        if spec.is_none_or(|spec| crate::job::store_body(spec) == StoreBody::None) {
            let message = "the job keeps no pages, so there is nothing for --format warc; give it the output `ring: {storeBody: all}`";
            return Err(BadInput::one(message.to_owned()));
        }
        self.destination.expect_absent(SUCCESS).await.map_err(bad_place)?;
        let (id, user_agent) = (self.job.metadata.uid, spec.map_or("", |spec| spec.request.user_agent.as_str()));
        let (mut series, mut parts) = (WarcSeries::new(id, user_agent, 0), Vec::new());
        read_to_the_end(self.client, id, "pages", async |text| {
            for line in text.lines() {
                let page: FetchedPage = serde_json::from_str(line).context("the ring's answer is not JSON")?;
                let Some(stored) = &page.stored else { continue };
                let body = self.client.page_body(id, &page.id).await?;
                series.add(&page, stored, &body);
                if series.is_full() {
                    self.put(&mut series, &mut parts).await?;
                }
            }
            Ok(())
        })
        .await?;
        self.put(&mut series, &mut parts).await?;
        self.destination.put(SUCCESS, success(&parts)).await?;
        tell(&parts, "pages")?;
        Ok(Status::Done)
    }

    async fn put(&self, series: &mut WarcSeries, parts: &mut Vec<Part>) -> anyhow::Result<()> {
        for (part, content) in series.take() {
            self.destination.put(&part.name, content).await?;
            parts.push(part);
        }
        Ok(())
    }
}

fn bad_place(error: DestinationError) -> anyhow::Error {
    match error {
        DestinationError::Name(_) | DestinationError::Occupied(_) => BadInput::one(format!("--to: {error}")),
        other => other.into(),
    }
}
