//! `scrapering run`: a job from its file to its last item, on the ring that is there or on one started for it.

mod ring;
mod summary;
mod watch;

use super::client::{Client, ClientError};
use super::connect::TrustArgs;
use super::failure::{self, BadInput, Status};
use super::folder::{DataArgs, GuardArgs, ShapeArgs};
use super::output::Output;
use super::signals::Signals;
use super::terms::{self, Gateway};
use crate::crawl::jobs::Phase;
use crate::gateway::object::JobObject;
use crate::job;
use anyhow::Context;
use clap::Args;
use ring::Ring;
use scrapering_core::frontier::record::JobId;
use std::path::{Path, PathBuf};
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
    trust: TrustArgs,
}

/// A job file that passed every check, as it was written.
struct Document {
    path: PathBuf,
    text: String,
    name: String,
}

/// Runs the command.
pub(super) async fn run(args: RunArgs) -> anyhow::Result<Status> {
    let document = args.job.as_deref().map(read).transpose()?;
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
    if job.status.phase.is_suspended() { Ok(client.suspend(id, false).await?) } else { Ok(job) }
}

fn read(path: &Path) -> anyhow::Result<Document> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| BadInput::one(format!("{shown} cannot be read: {error}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| BadInput::one(format!("{shown} is not a text file in UTF-8; give a job in YAML or JSON")))?;
    let name = match job::load(&text) {
        Ok(loaded) => loaded.file.metadata.name,
        Err(error) => {
            return Err(BadInput(error.field_errors().iter().map(|field| format!("{shown}: {field}")).collect()).into());
        }
    };
    Ok(Document { path: path.to_owned(), text, name })
}

impl Document {
    /// A ring of another version may refuse what was accepted here.
    fn refused(&self, error: ClientError) -> anyhow::Error {
        match error {
            ClientError::Problem(problem) if problem.slug() == "invalid-job" => {
                let lines = problem
                    .errors
                    .iter()
                    .map(|field| format!("{}: {}: {}", self.path.display(), field.path, field.message));
                BadInput(lines.collect()).into()
            }
            other => other.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_field_of_a_job_file_is_a_line_with_its_path() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("job.yaml");
        let faults = |text: &str| {
            std::fs::write(&path, text).expect("file");
            let error = read(&path).map(|_| ()).expect_err("bad").downcast::<BadInput>().expect("bad input");
            error.0
        };
        let head = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: books}\n";
        let typo = faults(&format!("{head}spec: {{seedz: []}}\n"));
        assert!(typo.len() == 1 && typo[0].starts_with(&format!("{}: spec", path.display())), "{typo:?}");
        assert!(faults("a: [")[0].contains("job.yaml: line "));
        std::fs::write(&path, b"\xff").expect("file");
        assert!(read(&path).map(|_| ()).expect_err("bad").to_string().contains("UTF-8"));
        let missing = read(&folder.path().join("none.yaml")).map(|_| ()).expect_err("missing").to_string();
        assert!(missing.contains("none.yaml cannot be read"), "{missing}");
    }
}
