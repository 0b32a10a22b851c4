//! `scrapering job`: see and steer jobs.

use super::client::Client;
use super::connect::ConnectArgs;
use super::failure::Status;
use super::progress::settled;
use super::terms::print;
use crate::gateway::object::JobObject;
use clap::{Args, Subcommand};
use scrapering_core::frontier::record::JobId;

/// Arguments of `job`.
#[derive(Debug, Args)]
pub(super) struct JobArgs {
    #[command(subcommand)]
    command: JobCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum JobCommand {
    /// List every job of the ring.
    #[command(after_help = "Example: scrapering job list")]
    List,
    /// Show a job as JSON.
    #[command(after_help = "Example: scrapering job get 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Get(OneJob),
    /// Pause a job; nothing is lost.
    #[command(after_help = "Example: scrapering job pause 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Pause(OneJob),
    /// Let a paused job go on.
    #[command(after_help = "Example: scrapering job resume 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Resume(OneJob),
    /// Delete a job and everything it found.
    #[command(after_help = "Example: scrapering job delete 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Delete(OneJob),
    /// Show each URL that was not fetched, and why, as JSON lines.
    #[command(after_help = "Example: scrapering job skipped 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Skipped(OneJob),
}

/// Which job.
#[derive(Debug, Args)]
struct OneJob {
    /// The job's id, as "scrapering job list" shows it.
    #[arg(value_name = "ID")]
    id: JobId,
}

/// Runs the command.
pub(super) async fn job(args: JobArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        JobCommand::List => {
            let head = format!("{:<36}  {:<24}  {:<9}  {:>9}  {:>9}\n", "ID", "NAME", "PHASE", "PAGES", "ITEMS");
            let rows: String = client.jobs().await?.items.iter().map(row).collect();
            print(head + &rows)?;
        }
        JobCommand::Get(OneJob { id }) => print(serde_json::to_string_pretty(&client.job(id).await?)? + "\n")?,
        JobCommand::Pause(OneJob { id }) => print(row(&client.suspend(id, true).await?))?,
        JobCommand::Resume(OneJob { id }) => print(row(&client.suspend(id, false).await?))?,
        JobCommand::Delete(OneJob { id }) => {
            client.delete(id).await?;
            print(format!("The job {id} is being deleted.\n"))?;
        }
        JobCommand::Skipped(OneJob { id }) => skipped(&client, id).await?,
    }
    Ok(Status::Done)
}

fn row(job: &JobObject) -> String {
    let pages = &job.status.pages;
    let pages = format!("{}/{}", settled(pages), pages.discovered);
    let phase = format!("{:?}", job.status.phase);
    format!("{}  {:<24}  {phase:<9}  {pages:>9}  {:>9}\n", job.metadata.uid, job.metadata.name, job.status.items)
}

async fn skipped(client: &Client, id: JobId) -> anyhow::Result<()> {
    let mut cursor = String::new();
    loop {
        let piece = client.piece(id, "skipped", &cursor).await?;
        print(&piece.lines)?;
        if piece.complete || piece.lines.is_empty() {
            return Ok(());
        }
        cursor = piece.cursor;
    }
}
