//! `scrapering job`: submit, see and steer jobs.

mod exports;
mod waiting;
mod watch;

use super::client::Client;
use super::columns::{Cell, FormatArgs, Tone, columns};
use super::connect::ConnectArgs;
use super::document::Document;
use super::failure::Status;
use super::progress::settled;
use super::terms::print;
use crate::crawl::jobs::{Phase, SeedStatus, SeedVerdict};
use crate::crawl::outputs::{OutputProgress, OutputStatus};
use crate::gateway::object::JobObject;
use clap::{Args, Subcommand};
use scrapering_core::frontier::record::JobId;
use std::path::PathBuf;
use uuid::Uuid;

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
    /// Submit a job and print its id; it runs in the ring, whether anybody watches or not.
    #[command(after_help = "Example: scrapering job submit shop.yaml\n         \
        scrapering job submit shop.yaml --watch\n         \
        cat shop.yaml | scrapering job submit -")]
    Submit(SubmitArgs),
    /// List every job of the ring, the newest first.
    #[command(after_help = "Example: scrapering job list\n         scrapering job list --output json")]
    List(FormatArgs),
    /// Show a job.
    #[command(after_help = "Example: scrapering job get 0198c1d2-7f3e-7abc-9def-0123456789ab --output yaml")]
    Get {
        #[command(flatten)]
        job: OneJob,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show how far a job is until it has ended, and then what came of it.
    #[command(after_help = "Example: scrapering job watch 0198c1d2-7f3e-7abc-9def-0123456789ab\n\n\
        Exit status: 0 the job completed; 1 it failed or was deleted. Ctrl-C leaves the job alone.")]
    Watch(OneJob),
    /// Pause a job; nothing is lost.
    #[command(after_help = "Example: scrapering job pause 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Pause(OneJob),
    /// Let a paused job go on.
    #[command(after_help = "Example: scrapering job resume 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Resume(OneJob),
    /// End a job and keep what it found.
    #[command(after_help = "Example: scrapering job stop 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Stop(OneJob),
    /// End a job and remove what it found; the job itself stays.
    #[command(after_help = "Example: scrapering job cancel 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Cancel(OneJob),
    /// Try the failed pages of a job that has ended again.
    #[command(after_help = "Example: scrapering job retry-failed 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    RetryFailed(OneJob),
    /// Add seeds to a job that has not ended, and show what became of each.
    #[command(
        after_help = "Example: scrapering job seeds 0198c1d2-7f3e-7abc-9def-0123456789ab https://shop.example/new"
    )]
    Seeds {
        #[command(flatten)]
        job: OneJob,
        /// Absolute http or https URLs.
        #[arg(value_name = "URL", required = true)]
        urls: Vec<String>,
    },
    /// Have the ring write what a job found into an object store, once the job has ended.
    #[command(
        after_help = "Example: scrapering job export 0198c1d2-7f3e-7abc-9def-0123456789ab output.yaml --wait\n\n\
        with, in output.yaml, an output as under \"outputs\" in a job:\n  \
        s3: {bucket: out, prefix: books, format: parquet, accessKeyId: ..., secretAccessKey: ...}\n\n\
        The files stand below the prefix and the export's id, _SUCCESS comes last. \"scrapering export\" writes from here."
    )]
    Export(exports::ExportArgs),
    /// List the exports of a job, the oldest first, and how far each is.
    #[command(after_help = "Example: scrapering job exports 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Exports {
        #[command(flatten)]
        job: OneJob,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show each URL that waits, or is being fetched now, as JSON lines.
    #[command(after_help = "Example: scrapering job frontier 0198c1d2-7f3e-7abc-9def-0123456789ab\n         \
        scrapering job frontier 0198c1d2-7f3e-7abc-9def-0123456789ab --host www.shop.example")]
    Frontier {
        #[command(flatten)]
        job: OneJob,
        #[command(flatten)]
        which: waiting::FrontierArgs,
    },
    /// Show the patterns of URLs that a job leaves out, and add or remove one.
    #[command(after_help = "Example: scrapering job exclusions 0198c1d2-7f3e-7abc-9def-0123456789ab --add '\\?sort='")]
    Exclusions {
        #[command(flatten)]
        job: OneJob,
        #[command(flatten)]
        change: waiting::ExclusionArgs,
    },
    /// Delete a job and everything it found.
    #[command(after_help = "Example: scrapering job delete 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Delete(OneJob),
    /// Show each URL that was not fetched, and why, as JSON lines.
    #[command(after_help = "Example: scrapering job skipped 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Skipped(OneJob),
    /// Show each item that was dropped, and what was wrong on which page, as JSON lines.
    #[command(after_help = "Example: scrapering job errors 0198c1d2-7f3e-7abc-9def-0123456789ab")]
    Errors(OneJob),
}

/// Which job.
#[derive(Debug, Args)]
struct OneJob {
    /// The job's id, as "scrapering job list" shows it.
    #[arg(value_name = "ID")]
    id: JobId,
}

/// Arguments of `job submit`.
#[derive(Debug, Args)]
struct SubmitArgs {
    /// The job, YAML or JSON; "-" reads it from standard input.
    #[arg(value_name = "JOB.yaml")]
    file: PathBuf,
    /// Stay until it has ended, as "scrapering job watch".
    #[arg(long)]
    watch: bool,
    /// A word of your own: submitting the same job with the same word again makes no second job.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// Runs the command.
pub(super) async fn job(args: JobArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        JobCommand::Submit(args) => return submit(&client, args).await,
        JobCommand::List(format) => {
            let mut jobs = client.jobs().await?;
            jobs.items.sort_by(|a, b| b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp));
            format.print(&jobs, || table(&jobs.items))?;
        }
        JobCommand::Get { job: OneJob { id }, format } => {
            let job = client.job(id).await?;
            format.print(&job, || table(std::slice::from_ref(&job)) + &details(&job))?;
        }
        JobCommand::Watch(OneJob { id }) => return watch::watch(&client, id).await,
        JobCommand::Pause(OneJob { id }) => print(table(&[client.steer(id, "pause").await?]))?,
        JobCommand::Resume(OneJob { id }) => print(table(&[client.steer(id, "resume").await?]))?,
        JobCommand::Stop(OneJob { id }) => print(table(&[client.steer(id, "stop").await?]))?,
        JobCommand::Cancel(OneJob { id }) => print(table(&[client.steer(id, "cancel").await?]))?,
        JobCommand::RetryFailed(OneJob { id }) => print(table(&[client.steer(id, "retry-failed").await?]))?,
        JobCommand::Seeds { job: OneJob { id }, urls } => print(verdicts(&client.add_seeds(id, &urls).await?.items))?,
        JobCommand::Export(args) => return exports::export(&client, args).await,
        JobCommand::Exports { job: OneJob { id }, format } => exports::exports(&client, id, format).await?,
        JobCommand::Frontier { job: OneJob { id }, which } => waiting::frontier(&client, id, &which).await?,
        JobCommand::Exclusions { job: OneJob { id }, change } => waiting::exclusions(&client, id, &change).await?,
        JobCommand::Delete(OneJob { id }) => {
            client.delete(id).await?;
            print(format!("The job {id} is being deleted.\n"))?;
        }
        JobCommand::Skipped(OneJob { id }) => list(&client, id, "skipped").await?,
        JobCommand::Errors(OneJob { id }) => list(&client, id, "errors").await?,
    }
    Ok(Status::Done)
}

async fn submit(client: &Client, args: SubmitArgs) -> anyhow::Result<Status> {
    let document = Document::read(&args.file)?;
    let key = args.idempotency_key.unwrap_or_else(|| Uuid::new_v4().to_string());
    let submitted = client.submit(document.text.as_bytes(), &key).await;
    let job = submitted.map_err(|error| document.refused(error))?;
    print(format!("{}\n", job.metadata.uid))?;
    if args.watch { watch::watch(client, job.metadata.uid).await } else { Ok(Status::Done) }
}

pub(super) fn table(jobs: &[JobObject]) -> String {
    let row = |job: &JobObject| {
        let (status, pages) = (&job.status, &job.status.pages);
        [
            job.metadata.uid.to_string().into(),
            job.metadata.name.as_str().into(),
            Cell::toned(format!("{:?}", status.phase), tone(status.phase)),
            Cell::figure(format!("{}/{}", settled(pages), pages.discovered)),
            Cell::figure(status.items),
            Cell::figure(pages.failed),
        ]
    };
    columns(["ID", "NAME", "PHASE", "PAGES", "ITEMS", "FAILED"], &jobs.iter().map(row).collect::<Vec<_>>())
}

fn verdicts(verdicts: &[SeedVerdict]) -> String {
    let row = |verdict: &SeedVerdict| {
        let (word, tone) = match verdict.status {
            SeedStatus::Ok => ("added", Tone::Good),
            SeedStatus::Skipped => ("known", Tone::Plain),
            SeedStatus::Fail => ("refused", Tone::Bad),
        };
        [Cell::toned(word, tone), verdict.url.as_str().into(), verdict.detail.as_deref().unwrap_or_default().into()]
    };
    columns(["SEED", "URL", ""], &verdicts.iter().map(row).collect::<Vec<_>>())
}

/// What a row has no room for; empty if there is no such thing.
fn details(job: &JobObject) -> String {
    let status = &job.status;
    let lines = [
        ("reason", status.reason.clone()),
        ("message", status.message.clone()),
        ("started", status.start_time.clone()),
        ("ended", status.completion_time.clone()),
        ("skipped", (status.pages.skipped > 0).then(|| status.pages.skipped.to_string())),
        ("unchanged", (status.pages.not_modified > 0).then(|| format!("{} visits", status.pages.not_modified))),
        ("revisit", status.next_visit_time.clone()),
    ];
    let lines = lines.into_iter().filter_map(|(name, value)| Some(format!("{name:<9}  {}\n", value?)));
    let outputs = status.outputs.iter().map(|output| {
        let OutputStatus { output: place, progress: OutputProgress { state, entries, parts, error, .. } } = output;
        let error = error.as_ref().map(|error| format!("; {error}")).unwrap_or_default();
        format!("output {place}  {state:?}, {entries} entries in {parts} parts{error}\n")
    });
    let lines: String = lines.chain(outputs).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn tone(phase: Phase) -> Tone {
    match phase {
        Phase::Completed => Tone::Good,
        Phase::Failed => Tone::Bad,
        Phase::Running => Tone::Busy,
        _ => Tone::Plain,
    }
}

async fn list(client: &Client, id: JobId, list: &str) -> anyhow::Result<()> {
    let mut cursor = String::new();
    loop {
        let piece = client.piece(id, list, &cursor).await?;
        print(&piece.lines)?;
        if piece.complete || piece.lines.is_empty() {
            return Ok(());
        }
        cursor = piece.cursor;
    }
}
