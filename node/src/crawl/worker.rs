//! Fetches one page: request, extract, links to their owners, and only then the result.

use super::Crawl;
use super::shards::{Command, Ended};
use super::specs::Spec;
use crate::extract::{CpuBudget, ExtractError, PageResult as Extracted, RobotsDirectives};
use crate::fetch::{
    AcceptedTypes, FetchError, FetchRequest, Fetched, RedirectGate, RobotsOutcome, StatusClass, retry_after,
};
use scrapering_core::frontier::record::{FetchedPage, Items, JobId, PageResult, RobotsFile, UrlHash};
use scrapering_core::frontier::shard::{Attempt, Link, Unreached};
use scrapering_core::id::Partition;
use scrapering_core::job::{NormalizedUrl, SkipReason, ValidatedJob};
use scrapering_core::register::MAX_CONTENT_BYTES;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Items of a page up to this size live in its record, bytes; more go into a body.
const INLINE_ITEMS_BYTES: usize = 32 * 1024;
/// ... unless too few nodes take a body: then up to this size, below what a register holds.
const LARGEST_INLINE_BYTES: usize = MAX_CONTENT_BYTES / 2;
/// Links of one page that are recorded as not followed; more are not worth the disk.
const MOST_UNFOLLOWED: usize = 200;
/// A host that asks for a longer pause gets this one.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(24 * 60 * 60);
/// Pause before a body that too few nodes took is put again.
const PAUSE: Duration = Duration::from_millis(500);

/// A page to be fetched.
pub(super) struct Visit {
    pub(super) partition: Partition,
    pub(super) job: JobId,
    pub(super) url: NormalizedUrl,
    pub(super) hash: UrlHash,
    pub(super) depth: u32,
    /// Redirects in a row that led here.
    pub(super) redirects: u32,
    /// Counts from 1.
    pub(super) attempt: u32,
}

/// What a visit came to.
struct Conclusion {
    attempt: Attempt,
    follow: Vec<Link>,
    unfollowed: Vec<(NormalizedUrl, SkipReason)>,
}

impl Conclusion {
    fn closed(result: PageResult) -> Self {
        Self { attempt: Attempt::Closed(result), follow: Vec::new(), unfollowed: Vec::new() }
    }

    fn abandoned() -> Self {
        Self { attempt: Attempt::Abandoned, follow: Vec::new(), unfollowed: Vec::new() }
    }

    fn skipped(reason: SkipReason, detail: impl Into<String>) -> Self {
        Self::closed(PageResult::Skipped { reason, detail: Some(detail.into()) })
    }

    fn failed(reason: SkipReason, detail: impl Into<String>) -> Self {
        Self::closed(PageResult::Failed { reason, detail: detail.into() })
    }

    fn again(reason: SkipReason, detail: impl Into<String>, retry_after: Option<Duration>) -> Self {
        let attempt = Attempt::Failed { reason, detail: detail.into(), retry_after };
        Self { attempt, follow: Vec::new(), unfollowed: Vec::new() }
    }
}

/// Fetches a page and tells its shard what came of it. When `lease` is cancelled the request is broken off.
pub(super) async fn visit(crawl: Crawl, visit: Visit, lease: CancellationToken) {
    let origin: Arc<str> = visit.url.origin().into();
    let conclusion = match crawl.specs.spec(visit.job).await {
        Ok(Some(spec)) => match request(&crawl, &spec.job, &visit, &origin, &lease).await {
            Some(answer) => conclude(&crawl, &spec, &visit, answer).await,
            None => Conclusion::abandoned(),
        },
        Ok(None) | Err(_) => {
            let Visit { partition, job, .. } = visit;
            crawl.shards.tell(Command::Fetched { partition, job, origin: origin.clone(), answered: false }).await;
            Conclusion::abandoned()
        }
    };
    let Conclusion { attempt, follow, unfollowed } = conclusion;
    crawl.router.follow(&crawl, visit.job, follow).await;
    let Visit { partition, job, hash: url, .. } = visit;
    crawl.shards.tell(Command::Ended(Box::new(Ended { partition, job, url, origin, attempt, unfollowed }))).await;
}

/// Tells the shard when the host begins to answer. A redirect is not followed on the spot: its target is a link
/// like any other, fetched once and in its turn.
struct Watch<'a> {
    crawl: &'a Crawl,
    visit: &'a Visit,
    origin: &'a Arc<str>,
    answered: bool,
}

impl RedirectGate for Watch<'_> {
    async fn answered(&mut self) {
        self.answered = true;
        let Visit { partition, job, .. } = self.visit;
        self.crawl
            .shards
            .tell(Command::Answered { partition: *partition, job: *job, origin: self.origin.clone() })
            .await;
    }

    async fn may_follow(&mut self, _: &NormalizedUrl) -> Result<(), SkipReason> {
        Err(SkipReason::DuplicateUrl)
    }
}

/// The host's answer; `None` if the request was broken off.
async fn request(
    crawl: &Crawl,
    job: &ValidatedJob,
    visit: &Visit,
    origin: &Arc<str>,
    lease: &CancellationToken,
) -> Option<Result<Fetched, FetchError>> {
    let request = FetchRequest {
        url: &visit.url,
        options: &job.request,
        max_body_bytes: job.limits.max_body_bytes,
        accept: AcceptedTypes::Pages,
    };
    let mut watch = Watch { crawl, visit, origin, answered: false };
    let fetched = lease.run_until_cancelled(crawl.fetcher.fetch(request, &mut watch)).await;
    let (answered, Visit { partition, job, .. }) = (watch.answered, visit);
    crawl.shards.tell(Command::Fetched { partition: *partition, job: *job, origin: origin.clone(), answered }).await;
    fetched
}

async fn conclude(crawl: &Crawl, spec: &Arc<Spec>, visit: &Visit, answer: Result<Fetched, FetchError>) -> Conclusion {
    let fetched = match answer {
        Ok(fetched) => fetched,
        Err(FetchError::RedirectElsewhere { location, .. } | FetchError::RedirectRefused { location, .. }) => {
            return redirected(&spec.job, visit, location);
        }
        Err(error) => return not_fetched(&error),
    };
    let status = format!("status {}", fetched.status);
    match fetched.class() {
        StatusClass::Success => {}
        StatusClass::Retryable => {
            let pause = fetched
                .headers
                .retry_after
                .as_deref()
                .and_then(|header| retry_after::parse(header, jiff::Timestamp::now()));
            return Conclusion::again(SkipReason::HttpError, status, pause.map(|pause| pause.min(RETRY_AFTER_CAP)));
        }
        StatusClass::Permanent => return Conclusion::failed(SkipReason::HttpError, status),
    }
    match extract(crawl, spec, visit, &fetched).await {
        Ok(extracted) => page(crawl, spec, visit, &fetched, extracted).await,
        Err(error) => Conclusion::skipped(SkipReason::HostileHtml, error.to_string()),
    }
}

fn redirected(job: &ValidatedJob, visit: &Visit, location: NormalizedUrl) -> Conclusion {
    let detail = format!("redirects to {}", location.as_str());
    if visit.redirects >= job.request.max_redirects {
        return Conclusion::failed(
            SkipReason::HttpError,
            format!("more than {} redirects in a row", job.request.max_redirects),
        );
    }
    if job.scope.verdict(&location, visit.depth.max(1)).is_err() && !job.seeds.contains(&location) {
        return Conclusion::skipped(SkipReason::RedirectToExcluded, detail);
    }
    let link = Link { url: location, depth: visit.depth, redirects: visit.redirects + 1 };
    Conclusion { follow: vec![link], ..Conclusion::skipped(SkipReason::DuplicateUrl, detail) }
}

fn not_fetched(error: &FetchError) -> Conclusion {
    let detail = sentence(error);
    match error.skip_reason() {
        reason if error.is_retryable() => Conclusion::again(reason, detail, None),
        reason @ (SkipReason::TooLarge | SkipReason::MimeType | SkipReason::PrivateAddress) => {
            Conclusion::skipped(reason, detail)
        }
        reason => Conclusion::failed(reason, detail),
    }
}

/// An error and its causes in one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |sentence, cause| format!("{sentence}: {cause}"))
}

/// Parses the page off the async threads, as many pages at a time as there are cores.
async fn extract(crawl: &Crawl, spec: &Arc<Spec>, visit: &Visit, fetched: &Fetched) -> Result<Extracted, ExtractError> {
    let _core = crawl.parsers.acquire().await;
    let (spec, url, body, content_type) =
        (Arc::clone(spec), visit.url.clone(), fetched.body.clone(), fetched.headers.content_type.clone());
    let budget = CpuBudget::default();
    let parse = move || spec.extract.page(&body, content_type.as_deref(), &url, budget);
    // A panic in a parser is a page that cannot be parsed, not the end of the node.
    tokio::task::spawn_blocking(parse).await.unwrap_or(Err(ExtractError::BudgetExceeded { budget: budget.0 }))
}

async fn page(crawl: &Crawl, spec: &Arc<Spec>, visit: &Visit, fetched: &Fetched, extracted: Extracted) -> Conclusion {
    let directives =
        RobotsDirectives::from_headers(&fetched.headers.x_robots_tag, &spec.job.politeness.user_agent_token)
            .or(extracted.meta_robots);
    let links = if directives.nofollow && spec.job.politeness.obey_robots { Vec::new() } else { extracted.links };
    let (follow, unfollowed) = sort_links(&spec.job, visit, links);
    let fetched_ms = crawl.driver.clock().wall_ms();
    let lines: Vec<String> =
        extracted.items.into_iter().map(|item| line(item, visit, fetched.status, fetched_ms)).collect();
    let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let item_errors = u32::try_from(extracted.item_errors.len()).unwrap_or(u32::MAX);
    let page = FetchedPage {
        status: fetched.status,
        final_url: None,
        fetched_ms,
        attempts: visit.attempt,
        items: count,
        item_errors,
        content: store_items(crawl, visit.partition, lines.join("\n")).await,
    };
    Conclusion { attempt: Attempt::Closed(PageResult::Fetched(page)), follow, unfollowed }
}

/// An item as a line of JSON, with where it comes from.
fn line(item: Map<String, Value>, visit: &Visit, status: u16, fetched_ms: u64) -> String {
    let mut line = item;
    let fetched_at = jiff::Timestamp::from_millisecond(i64::try_from(fetched_ms).unwrap_or(0)).unwrap_or_default();
    line.insert("_url".to_owned(), visit.url.as_str().into());
    line.insert("_fetchedAt".to_owned(), fetched_at.to_string().into());
    line.insert("_status".to_owned(), status.into());
    line.insert("_depth".to_owned(), visit.depth.into());
    line.insert("_job".to_owned(), visit.job.to_string().into());
    Value::Object(line).to_string()
}

/// Small results live in the record; larger ones in a body that is stored before the record refers to it.
async fn store_items(crawl: &Crawl, partition: Partition, items: String) -> Items {
    if items.len() <= INLINE_ITEMS_BYTES {
        return Items::Inline(items);
    }
    let content = bytes::Bytes::from(items);
    loop {
        match crawl.driver.put_body(partition, content.clone()).await {
            Ok(hash) => return Items::Body(hash),
            // A ring with a node down may have too few takers for a body, and still a majority for a record.
            Err(_) if content.len() <= LARGEST_INLINE_BYTES => {
                return Items::Inline(String::from_utf8_lossy(&content).into_owned());
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Links to follow, and links that are recorded with the reason why not.
fn sort_links(job: &ValidatedJob, visit: &Visit, links: Vec<String>) -> (Vec<Link>, Vec<(NormalizedUrl, SkipReason)>) {
    let (mut follow, mut unfollowed, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for url in links.iter().filter_map(|link| NormalizedUrl::parse(link).ok()) {
        if url == visit.url || !seen.insert(UrlHash::of(&url)) {
            continue;
        }
        let depth = visit.depth + 1;
        match job.scope.verdict(&url, depth) {
            Ok(()) => follow.push(Link { url, depth, redirects: 0 }),
            Err(reason) if unfollowed.len() < MOST_UNFOLLOWED => unfollowed.push((url, reason)),
            Err(_) => {}
        }
    }
    (follow, unfollowed)
}

/// Fetches a host's robots.txt and tells the shard.
pub(super) async fn robots(
    crawl: Crawl,
    partition: Partition,
    job: JobId,
    spec: Arc<ValidatedJob>,
    origin: String,
    lease: CancellationToken,
) {
    let result = match NormalizedUrl::parse(&format!("{origin}/")) {
        Ok(url) => lease.run_until_cancelled(robots_file(&crawl, &spec, &url)).await.unwrap_or_else(broken_off),
        Err(error) => Err(Unreached { reason: SkipReason::HostBroken, detail: error.to_string() }),
    };
    crawl.shards.tell(Command::Robots { partition, job, origin, result }).await;
}

fn broken_off() -> Result<RobotsFile, Unreached> {
    Err(Unreached { reason: SkipReason::HostBroken, detail: "the request was broken off".to_owned() })
}

async fn robots_file(crawl: &Crawl, job: &ValidatedJob, url: &NormalizedUrl) -> Result<RobotsFile, Unreached> {
    let answer = crawl.fetcher.fetch_robots(url, &job.request, &job.politeness.user_agent_token).await;
    match answer.outcome {
        RobotsOutcome::Found { text } => Ok(RobotsFile::Text(text)),
        RobotsOutcome::Unavailable { .. } => Ok(RobotsFile::AllowAll),
        RobotsOutcome::ServerError { .. } => Ok(RobotsFile::DisallowAll),
        RobotsOutcome::Unreachable(error) => {
            let reason = match error.skip_reason() {
                SkipReason::PrivateAddress => SkipReason::PrivateAddress,
                _ => SkipReason::HostBroken,
            };
            Err(Unreached { reason, detail: sentence(&error) })
        }
    }
}
