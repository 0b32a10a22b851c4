//! `scrapering extract`: tries the rules of a file on one page, without a ring.

use super::failure::{BadInput, Status};
use super::folder::GuardArgs;
use super::terms::print;
use crate::fetch::{AcceptedTypes, FetchError, FetchRequest, Fetcher, FetcherConfig, RobotsOutcome};
use crate::job;
use crate::trial::{self, Trial, TrialPage, TrialReport};
use anyhow::{Context, bail};
use clap::Args;
use scrapering_core::frontier::host::ROBOTS_HOPS;
use scrapering_core::job::{NormalizedUrl, Robots, ValidatedJob};
use scrapering_crds::TrialSpec;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest page that is read from a file or from standard input, bytes.
const PAGE_BYTES_MAX: u64 = 64 << 20;

/// Arguments of `extract`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering extract shop.yaml https://shop.example/lamp\n\
    \x20        curl -s https://shop.example/lamp | scrapering extract shop.yaml - --url https://shop.example/lamp\n\n\
    Exit status: 0 there are items; 1 there are none; 2 the file or the command line is wrong.")]
pub(super) struct ExtractArgs {
    /// A job, or a file with `extract` and `follow` alone; YAML or JSON.
    #[arg(value_name = "SPEC.yaml")]
    spec: PathBuf,
    /// The page: a file, an http or https URL, or - for standard input.
    #[arg(value_name = "PAGE")]
    page: String,
    /// Where the page comes from, if it is a file or standard input.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// What the page is, such as application/json, if it is a file or standard input [default: by the file's name, else HTML].
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Print the whole report as one JSON object, with item errors and links.
    #[arg(long)]
    report: bool,
    #[command(flatten)]
    guard: GuardArgs,
}

/// A page as it came.
struct Page {
    body: Vec<u8>,
    content_type: Option<String>,
    url: NormalizedUrl,
}

/// Runs the command.
pub(super) async fn extract(args: ExtractArgs) -> anyhow::Result<Status> {
    let spec = read_spec(&args.spec)?;
    let trial = match Trial::new(&spec.extract, &spec.follow) {
        Ok(trial) => trial,
        Err(faults) => return Err(lines(&args.spec, faults.iter())),
    };
    let page = match NormalizedUrl::parse(&args.page) {
        Ok(url) if args.page.starts_with("http") => fetched(&args, &url).await?,
        _ => local(&args, &spec)?,
    };
    let Page { body, content_type, url } = page;
    let run = move || trial.run(TrialPage { body: &body, content_type: content_type.as_deref(), url: &url });
    let report = tokio::task::spawn_blocking(run).await.context("the page could not be read")??;
    tell(&report, args.report)?;
    Ok(if report.items.is_empty() { Status::Failed } else { Status::Done })
}

fn tell(report: &TrialReport, whole: bool) -> anyhow::Result<()> {
    if whole {
        return Ok(print(serde_json::to_string_pretty(report)? + "\n")?);
    }
    let mut items = String::new();
    for item in &report.items {
        items.push_str(&serde_json::to_string(item)?);
        items.push('\n');
    }
    print(items)?;
    for error in &report.item_errors {
        let place = if error.field.is_empty() { error.rule.clone() } else { format!("{}.{}", error.rule, error.field) };
        eprintln!("{place}: {}", error.message);
    }
    eprintln!("{} items, {} item errors, {} links", report.items.len(), report.item_errors.len(), report.links.len());
    Ok(())
}

/// A file that is a whole job, or only its rules.
fn read_spec(path: &Path) -> anyhow::Result<TrialSpec> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| BadInput::one(format!("{shown} cannot be read: {error}")))?;
    TrialSpec::parse(&text).map_err(|error| BadInput::one(format!("{shown}: {error}")))
}

fn lines<'a>(path: &Path, faults: impl Iterator<Item = &'a job::FieldError>) -> anyhow::Error {
    BadInput(faults.map(|fault| format!("{}: {fault}", path.display())).collect()).into()
}

fn local(args: &ExtractArgs, spec: &TrialSpec) -> anyhow::Result<Page> {
    let mut body = Vec::new();
    let shown = &args.page;
    let read = if args.page == "-" {
        std::io::stdin().lock().take(PAGE_BYTES_MAX + 1).read_to_end(&mut body)
    } else {
        std::fs::File::open(&args.page).and_then(|file| file.take(PAGE_BYTES_MAX + 1).read_to_end(&mut body))
    };
    read.map_err(|error| BadInput::one(format!("{shown} cannot be read: {error}")))?;
    if body.len() as u64 > PAGE_BYTES_MAX {
        return Err(BadInput::one(format!("{shown} has more than {PAGE_BYTES_MAX} bytes")));
    }
    let spec = TrialSpec { url: args.url.clone().or_else(|| spec.url.clone()), ..TrialSpec::default() };
    let url = trial::address(&spec).map_err(|fault| BadInput::one(format!("--url: {}", fault.message)))?;
    let is_json = Path::new(&args.page).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let by_name = is_json.then(|| "application/json".to_owned());
    Ok(Page { body, content_type: args.content_type.clone().or(by_name), url })
}

/// One page, fetched as a job would: with the guard, only if robots.txt lets it, and redirected only within its host.
async fn fetched(args: &ExtractArgs, url: &NormalizedUrl) -> anyhow::Result<Page> {
    let job = job_of(&args.spec, url)?;
    let config =
        FetcherConfig { allowed_private_cidrs: args.guard.allow_private_cidr.clone(), ..FetcherConfig::default() };
    let fetcher = Fetcher::new(&config)?;
    let robots = if job.politeness.obey_robots { robots(&fetcher, &job, url).await? } else { Robots::allow_all() };
    let mut at = url.clone();
    for _ in 0..=job.request.max_redirects {
        if !robots.allows(at.path_and_query()) {
            bail!("{at} is not fetched: the robots.txt of its host does not allow it");
        }
        let request = FetchRequest {
            url: &at,
            options: &job.request,
            cookies: None,
            max_body_bytes: job.limits.max_body_bytes,
            accept: AcceptedTypes::chosen(&job.scope.filters.media_types),
            validators: None,
        };
        let answer = match fetcher.begin(request).await {
            Ok(begun) => begun.finish().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(page) if page.is_success() => {
                return Ok(Page { body: page.body.to_vec(), content_type: page.headers.content_type, url: at });
            }
            Ok(page) => bail!("{at} answers with status {}", page.status),
            Err(FetchError::Redirected { location, .. }) if location.origin() == url.origin() => at = location,
            Err(error) => return Err(error).with_context(|| format!("{at} is not fetched")),
        }
    }
    bail!("{url} is not fetched: more than {} redirects in a row", job.request.max_redirects)
}

/// What the robots.txt of the page's host allows the job.
async fn robots(fetcher: &Fetcher, job: &ValidatedJob, url: &NormalizedUrl) -> anyhow::Result<Robots> {
    let mut moved = None;
    for _ in 0..=ROBOTS_HOPS {
        match fetcher.fetch_robots(url, moved.as_ref(), &job.request).await.outcome {
            RobotsOutcome::Found { text } => {
                return Ok(Robots::parse(text.as_bytes(), &job.politeness.user_agent_token));
            }
            RobotsOutcome::Unavailable { .. } => return Ok(Robots::allow_all()),
            RobotsOutcome::Moved(target) => moved = Some(target),
            RobotsOutcome::ServerError { status, .. } => {
                bail!("{url} is not fetched: the robots.txt of its host is answered with status {status}")
            }
            RobotsOutcome::Unreachable(error) => {
                return Err(error)
                    .with_context(|| format!("{url} is not fetched: the robots.txt of its host cannot be read"));
            }
        }
    }
    Ok(Robots::allow_all())
}

/// The job in the file with the page as its seed, or one with the defaults.
fn job_of(path: &Path, url: &NormalizedUrl) -> anyhow::Result<ValidatedJob> {
    let text = std::fs::read_to_string(path)?;
    if let Ok(loaded) = job::load(&text) {
        return Ok(loaded.job);
    }
    let head = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: trial}\n";
    let seed = serde_json::to_string(url.as_str())?;
    Ok(job::load(&format!("{head}spec:\n  seeds: [{{url: {seed}}}]\n"))?.job)
}
