//! `scrapering run`: a job from its file to its last item, on the ring that is there or on one started for it.

mod ring;
pub(super) mod summary;
mod watch;

use super::client::Client;
use super::connect::TrustArgs;
use super::contexts::ContextArgs;
use super::document::Document;
use super::failure::{self, BadInput, Status};
use super::folder::{DataArgs, GuardArgs, ShapeArgs};
use super::output::Output;
use super::signals::Signals;
use super::terms::{self, Gateway};
use crate::crawl::jobs::Phase;
use crate::gateway::object::JobObject;
use anyhow::Context;
use clap::Args;
use ring::Ring;
use scrapering_core::frontier::record::JobId;
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;
use watch::{Ending, Gone, Watch};

/// How long a run waits for a ring that does not answer: as long as two nodes may take to come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering run shop.yaml --output items.jsonl\n\n\
    Exit status: 0 the job completed; 1 it did not; 2 the job file or the command line is wrong; 130 Ctrl-C, the job is paused.")]
pub(super) struct RunArgs {
    /// The job, YAML or JSON.
    #[arg(value_name = "JOB.yaml", required_unless_present = "resume")]
    job: Option<PathBuf>,
    /// File for the items, one JSON object a line [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on with this job instead of submitting a new one; items are appended to --output.
    #[arg(long, value_name = "ID")]
    resume: Option<JobId>,
    /// Gateway: https://HOST:PORT of a ring that runs elsewhere, or the address of the local one [default: 127.0.0.1:8443].
    #[arg(long, value_name = "URL", env = "SCRAPERING_GATEWAY", value_parser = terms::gateway)]
    gateway: Option<Gateway>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Runs the command.
pub(super) async fn run(args: RunArgs) -> anyhow::Result<Status> {
    let document = args.job.as_deref().map(Document::read).transpose()?;
    let mut output = Output::open(args.output.as_deref(), args.resume)?;
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let ring = tokio::select! {
        ring = Ring::find_or_start(&args) => ring?,
        status = signals.next() => return Ok(status),
    };
    let done = scrape(&args, document.as_ref(), &ring.client, &mut output, &mut signals).await;
    ring.leave().await;
    done
}

async fn scrape(
    args: &RunArgs,
    document: Option<&Document>,
    client: &Client,
    output: &mut Output,
    signals: &mut Signals,
) -> anyhow::Result<Status> {
    let job = tokio::select! {
        job = begin(args.resume, document, client) => job?,
        status = signals.next() => {
            eprintln!("The job may have been accepted already; see: scrapering job list");
            return Ok(status);
        }
    };
    let id = job.metadata.uid;
    let go_on = terms::resume_line(std::env::args(), &id.to_string());
    let mut watch = Watch::begin(client, &job, output)?;
    let ending = watch.until_the_end(signals).await;
    let watched = watch.stop();
    match ending {
        Err(error) => {
            let status = failure::report(&error);
            if !error.is::<Gone>() {
                eprintln!("What has come is kept. Go on with:\n  {go_on}");
            }
            Ok(status)
        }
        Ok(Ending::Ended(job)) => {
            output.finish()?;
            let unfetched = summary::unfetched(client, &job).await;
            eprint!("{}", summary::text(&job, watched, &unfetched));
            Ok(if job.status.phase == Phase::Completed { Status::Done } else { Status::Failed })
        }
        Ok(Ending::Paused(status)) => {
            eprintln!("The job {id} is paused. Go on with:\n  {go_on}");
            Ok(status)
        }
        Ok(Ending::LeftAlone(status)) => {
            eprintln!("The job {id} may still run. Go on with:\n  {go_on}");
            Ok(status)
        }
    }
}

/// Submits the document, or wakes the job to go on with.
async fn begin(resume: Option<JobId>, document: Option<&Document>, client: &Client) -> anyhow::Result<JobObject> {
    let Some(id) = resume else {
        let document = document.context("there is neither a job file nor a job to resume")?;
        let key = Uuid::new_v4().to_string();
        let submitted = client.submit(document.text.as_bytes(), &key).await;
        return submitted.map_err(|error| document.refused(error));
    };
    let job = client.job(id).await?;
    if let Some(document) = document.filter(|document| document.name != job.metadata.name) {
        let (path, name) = (document.path.display(), &document.name);
        let message = format!(
            "{path} is called {name}, and the job {id} is called {}; give the file it was made of, or none",
            job.metadata.name
        );
        return Err(BadInput::one(message));
    }
    if job.status.phase.is_suspended() { Ok(client.steer(id, "resume").await?) } else { Ok(job) }
}
