//! `scrapering job export` and `exports`: has the ring write what a job found, and shows how far that is.

use crate::cli::client::Client;
use crate::cli::columns::{Cell, FormatArgs, Tone, columns};
use crate::cli::document;
use crate::cli::failure::{BadInput, Status};
use crate::crawl::outputs::OutputWord;
use crate::gateway::ExportObject;
use clap::Args;
use scrapering_core::frontier::record::JobId;
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

/// Pause between two looks at an export.
const PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `job export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The job's id, as "scrapering job list" shows it.
    #[arg(value_name = "ID")]
    id: JobId,
    /// An output as under "outputs" in a job, YAML or JSON; "-" reads it from standard input.
    #[arg(value_name = "OUTPUT.yaml")]
    file: PathBuf,
    /// Stay until it is there.
    #[arg(long)]
    wait: bool,
    /// A word of your own: asking again with the same word makes no second export.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs `job export`.
pub(super) async fn export(client: &Client, args: ExportArgs) -> anyhow::Result<Status> {
    let output = document::read_output(&args.file)?;
    let key = args.idempotency_key.unwrap_or_else(|| Uuid::new_v4().to_string());
    let made = client.make_export(args.id, &output, &key).await;
    let mut export = made.map_err(|error| document::refused(&args.file, error))?;
    while args.wait && matches!(export.progress.state, OutputWord::Waiting | OutputWord::Writing) {
        tokio::time::sleep(PAUSE).await;
        let exports = client.exports(args.id).await?.items;
        let found = exports.into_iter().find(|other| other.id == export.id);
        export = found.ok_or_else(|| BadInput::one("the export is gone: the job was deleted".to_owned()))?;
    }
    args.format.print(&export, || table(std::slice::from_ref(&export)))?;
    let is_lost = matches!(export.progress.state, OutputWord::Failed | OutputWord::Dropped);
    Ok(if is_lost { Status::Failed } else { Status::Done })
}

/// Runs `job exports`.
pub(super) async fn exports(client: &Client, id: JobId, format: FormatArgs) -> anyhow::Result<()> {
    let exports = client.exports(id).await?;
    format.print(&exports, || table(&exports.items))
}

fn table(exports: &[ExportObject]) -> String {
    let row = |export: &ExportObject| {
        let progress = &export.progress;
        let (state, tone) = match progress.state {
            OutputWord::Waiting => ("waiting", Tone::Plain),
            OutputWord::Writing => ("writing", Tone::Busy),
            OutputWord::Done => ("done", Tone::Good),
            OutputWord::Failed => ("failed", Tone::Bad),
            OutputWord::Dropped => ("dropped", Tone::Bad),
        };
        [
            export.id.to_string().into(),
            export.created_at.as_str().into(),
            Cell::toned(state.to_owned(), tone),
            Cell::figure(progress.entries),
            Cell::figure(progress.parts),
            Cell::figure(progress.bytes),
            progress.error.as_deref().unwrap_or_default().into(),
        ]
    };
    let head = ["ID", "CREATED", "STATE", "ENTRIES", "PARTS", "BYTES", "LAST FAULT"];
    columns(head, &exports.iter().map(row).collect::<Vec<_>>())
}
