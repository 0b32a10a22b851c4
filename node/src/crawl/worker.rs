//! Fetches one page: request, extract, links to their owners, and only then the result.

use super::addresses::Place;
use super::jobs::{ITEM_ERROR_MARK, ItemFault};
use super::outlinks::Outlinks;
use super::revisit::Seen;
use super::shards::{Command, Ended, RobotsResult};
use super::slots::Lease;
use super::specs::Spec;
use super::witness::Promise;
use super::{Crawl, cookies, dedup, revisit};
use crate::causes;
use crate::extract::listing::{self, Listing};
use crate::extract::{CpuBudget, ExtractError, ItemError, Page, PageResult as Extracted, RobotsDirectives};
use crate::fetch::{AcceptedTypes, FetchError, FetchRequest, Fetched, ResponseHead, RobotsOutcome, retry_after};
use scrapering_core::frontier::address::Limits;
use scrapering_core::frontier::history::History;
use scrapering_core::frontier::record::{
    AttemptEnd, AttemptRecord, ErrorClass, FetchedPage, Items, JobId, PageResult, RobotsAsked, RobotsFile,
    StoredResponse, UrlHash, Way,
};
use scrapering_core::frontier::shard::{Attempt, Exchange, Health, Link, Unreached};
use scrapering_core::id::Partition;
use scrapering_core::job::{DocumentKind, NormalizedUrl, Robots, SkipReason, ValidatedJob};
use scrapering_core::register::MAX_CONTENT_BYTES;
use scrapering_crds::job::StoreBody;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Items of a page up to this size live in its record, bytes; more go into a body.
const INLINE_ITEMS_BYTES: usize = 32 * 1024;
/// ... unless too few nodes take a body: then up to this size, below what a register holds.
const LARGEST_INLINE_BYTES: usize = MAX_CONTENT_BYTES / 2;
/// Largest sitemap, packed or not: what sitemaps.org allows.
const LIST_BYTES: u64 = 52_428_800;
/// Processor time for one of them.
const LIST_BUDGET: CpuBudget = CpuBudget(Duration::from_secs(2));
/// Item errors of one page that are kept; they repeat each other.
const KEPT_ITEM_ERRORS: usize = 20;
/// Pause before a body that too few nodes took is put again.
const PAUSE: Duration = Duration::from_millis(500);

/// A page to be fetched.
pub(super) struct Visit {
    pub(super) partition: Partition,
    pub(super) job: JobId,
    /// What its host may rely on.
    pub(super) promise: Promise,
    pub(super) url: NormalizedUrl,
    pub(super) hash: UrlHash,
    pub(super) depth: u32,
    /// How it was come upon.
    pub(super) way: Way,
    /// Counts from 1.
    pub(super) attempt: u32,
    /// What the host has given the job to be sent back.
    pub(super) cookies: Option<Arc<str>>,
    /// What is remembered of an earlier visit.
    pub(super) history: Option<Box<History>>,
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

    fn unchanged(history: Box<History>) -> Self {
        Self { attempt: Attempt::Unchanged(history), follow: Vec::new(), unfollowed: Vec::new() }
    }

    fn skipped(reason: SkipReason, detail: impl Into<String>) -> Self {
        Self::closed(PageResult::Skipped { reason, detail: Some(detail.into()) })
    }

    fn failed(reason: SkipReason, detail: impl Into<String>) -> Self {
        Self::closed(PageResult::Failed { reason, detail: detail.into() })
    }

    fn again(reason: SkipReason, detail: impl Into<String>) -> Self {
        let attempt = Attempt::Failed { reason, detail: detail.into() };
        Self { attempt, follow: Vec::new(), unfollowed: Vec::new() }
    }
}

/// Fetches a page and tells its shard what came of it. When `lease` ends the request is broken off.
pub(super) async fn visit(crawl: Crawl, visit: Visit, lease: Lease) {
    let origin: Arc<str> = visit.url.origin().into();
    // Held until the links are acknowledged: in memory they are many times as large as the page that shows them.
    let mut _taken_in = None;
    let mut made = None;
    let conclusion = match crawl.specs.spec(visit.job).await {
        Ok(Some(spec)) => match request(&crawl, &spec, &visit, &origin, &lease).await {
            Asked::Answer(answer, attempt) => {
                made = attempt;
                match answer {
                    Some(answer) => {
                        _taken_in = crawl.intake.acquire().await.ok();
                        conclude(&crawl, &spec, &visit, answer).await
                    }
                    None => Conclusion::abandoned(),
                }
            }
            Asked::Deferred => return,
        },
        Ok(None) | Err(_) => {
            let Visit { partition, job, .. } = visit;
            let exchange = Exchange::untold(false);
            crawl.shards.tell(Command::Fetched { partition, job, origin: origin.clone(), exchange }).await;
            Conclusion::abandoned()
        }
    };
    let Conclusion { attempt, follow, unfollowed } = conclusion;
    crawl.router.follow(&crawl, visit.job, follow).await;
    let Visit { partition, job, hash: url, .. } = visit;
    let ended = Ended { partition, job, url, origin, attempt, made, unfollowed };
    crawl.shards.tell(Command::Ended(Box::new(ended))).await;
}

/// What came of asking a host.
enum Asked {
    /// Its answer, or an error; `None` if the request was broken off. And how that went, for the records.
    Answer(Option<Result<Fetched, FetchError>>, Option<AttemptRecord>),
    /// Nothing was asked: the shard knows that the address is busy.
    Deferred,
}

/// Asks the host, once its address has room.
async fn request(crawl: &Crawl, spec: &Spec, visit: &Visit, origin: &Arc<str>, lease: &Lease) -> Asked {
    let Visit { partition, job: id, .. } = *visit;
    let entered = enter(crawl, id, &spec.job, &visit.url).await;
    let (began, at_ms) = (Instant::now(), crawl.driver.clock().wall_ms());
    let fetched = match entered {
        Ok(mut place) => fetch(crawl, spec, visit, origin, &mut place, lease).await,
        Err(Closed::Address(error)) => (Some(Err(error)), false),
        Err(Closed::For(pause)) => {
            let (origin, page) = (origin.clone(), Some(visit.hash));
            crawl.shards.tell(Command::Deferred { partition, job: id, origin, page, pause }).await;
            return Asked::Deferred;
        }
    };
    let (answer, answered) = fetched;
    let exchange = answer.as_ref().map_or(Exchange::untold(answered), |answer| exchange(answer, answered));
    crawl.shards.tell(Command::Fetched { partition, job: id, origin: origin.clone(), exchange }).await;
    let took_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    let made = AttemptRecord { at_ms, took_ms, end: end_of(answer.as_ref()) };
    Asked::Answer(answer, Some(made))
}

/// What came of a request, in words for the records.
fn end_of(answer: Option<&Result<Fetched, FetchError>>) -> AttemptEnd {
    match answer {
        Some(Ok(fetched)) => AttemptEnd::Status(fetched.status),
        Some(Err(FetchError::Redirected { status, .. })) => AttemptEnd::Status(*status),
        Some(Err(error)) => AttemptEnd::Error(error.class().unwrap_or(ErrorClass::Protocol)),
        None => AttemptEnd::Error(ErrorClass::BrokenOff),
    }
}

/// The host's answer, `None` if the request was broken off, and whether it had begun to answer.
async fn fetch(
    crawl: &Crawl,
    spec: &Spec,
    visit: &Visit,
    origin: &Arc<str>,
    place: &mut Place,
    lease: &Lease,
) -> (Option<Result<Fetched, FetchError>>, bool) {
    let job = &spec.job;
    let cookies = if job.request.takes_cookies || !job.request.credentials.cookies.is_empty() {
        cookies::header(visit.cookies.as_deref(), &job.request, &visit.url)
    } else {
        None
    };
    let request = FetchRequest {
        url: &visit.url,
        options: &job.request,
        cookies: cookies.as_deref(),
        max_body_bytes: match visit.way.kind {
            DocumentKind::Page => job.limits.max_body_bytes,
            DocumentKind::List | DocumentKind::Robots => job.limits.max_body_bytes.max(LIST_BYTES),
        },
        accept: match visit.way.kind {
            DocumentKind::Page => AcceptedTypes::chosen(&job.scope.filters.media_types),
            DocumentKind::List | DocumentKind::Robots => AcceptedTypes::Any,
        },
        validators: revisit::conditions(job, visit),
    };
    let mut leaving = crawl.witness.leaves(origin, visit.promise);
    let begun = match unless_broken_off(place, lease, crawl.fetcher.begin(request)).await {
        Some(Ok(begun)) => begun,
        Some(Err(error)) => return (Some(Err(error)), false),
        None => return (None, false),
    };
    place.answered();
    leaving.answered();
    let set = if job.request.takes_cookies { begun.set_cookies() } else { Vec::new() };
    let Visit { partition, job, .. } = *visit;
    if !set.is_empty() {
        let url = visit.url.clone();
        crawl.shards.tell(Command::Cookies { partition, job, url, set }).await;
    }
    crawl.shards.tell(Command::Answered { partition, job, origin: origin.clone() }).await;
    let head = (spec.store_body != StoreBody::None).then(|| Box::new(begun.head()));
    let fetched = unless_broken_off(place, lease, begun.finish()).await;
    (fetched.map(|fetched| fetched.map(|fetched| Fetched { head, ..fetched })), true)
}

/// Runs a request until the host's partition, the job's slot, or the turn at the address, may have gone to another node.
async fn unless_broken_off<T>(place: &Place, lease: &Lease, step: impl Future<Output = T>) -> Option<T> {
    place.lapsed.run_until_cancelled(lease.run(step)).await.flatten()
}

/// Why a request cannot leave.
enum Closed {
    /// There is no address to ask, or it may not be asked.
    Address(FetchError),
    /// The address is busy for so long.
    For(Duration),
}

/// Takes a place at the address of `url`.
async fn enter(crawl: &Crawl, id: JobId, job: &ValidatedJob, url: &NormalizedUrl) -> Result<Place, Closed> {
    let address = crawl.fetcher.address(url, job.request.timeouts).await.map_err(Closed::Address)?;
    let wish = Limits {
        delay: job.politeness.delay_per_ip.max(crawl.policy.min_delay_per_ip),
        concurrent: job.politeness.concurrent_requests_per_ip.min(crawl.policy.max_per_ip.unwrap_or(u32::MAX)),
    };
    crawl.addresses.enter(crawl, address, id, wish).await.map_err(Closed::For)
}

/// What a request says about its host.
fn exchange(answer: &Result<Fetched, FetchError>, answered: bool) -> Exchange {
    match answer {
        Ok(fetched) => {
            let asked = fetched.headers.retry_after.as_deref();
            Exchange { answered, latency: Some(fetched.latency), health: health(fetched.status, asked) }
        }
        Err(FetchError::Redirected { latency, .. }) => {
            Exchange { answered, latency: Some(*latency), health: Health::Good { is_page: false } }
        }
        Err(error) if error.is_hosts_failure() => Exchange { answered, latency: None, health: Health::Bad },
        Err(_) if answered => Exchange { answered, latency: None, health: Health::Good { is_page: false } },
        Err(_) => Exchange::untold(answered),
    }
}

/// What a status says about its host. Whoever says how long to stay away is heard, whatever else is wrong.
fn health(status: u16, asked: Option<&str>) -> Health {
    let asked = asked.and_then(|header| retry_after::parse(header, jiff::Timestamp::now()));
    match status {
        429 | 503 => Health::Busy(asked),
        500.. if asked.is_some() => Health::Busy(asked),
        500.. => Health::Bad,
        200..=299 => Health::Good { is_page: true },
        _ => Health::Good { is_page: false },
    }
}

async fn conclude(crawl: &Crawl, spec: &Arc<Spec>, visit: &Visit, answer: Result<Fetched, FetchError>) -> Conclusion {
    let fetched = match answer {
        Ok(fetched) => fetched,
        Err(FetchError::Redirected { location, .. }) => return redirected(&spec.job, visit, location),
        Err(error) => return not_fetched(&error),
    };
    if let Some(history) = revisit::not_modified(crawl, &spec.job, visit, fetched.status) {
        return Conclusion::unchanged(history);
    }
    if !fetched.is_success() {
        let status = format!("status {}", fetched.status);
        let is_worth_it = spec.job.retry.status_codes.contains(&fetched.status);
        let conclusion = if is_worth_it { Conclusion::again } else { Conclusion::failed };
        return conclusion(SkipReason::HttpError, status);
    }
    match visit.way.kind {
        DocumentKind::Page => match extract(crawl, spec, visit, &fetched).await {
            Ok(extracted) => match dedup::original(crawl, &spec.job, visit, &fetched.body, &extracted).await {
                Some(original) => {
                    Conclusion::skipped(SkipReason::DuplicateContent, format!("has the content of {original}"))
                }
                None => page(crawl, spec, visit, &fetched, extracted).await,
            },
            Err(error) => Conclusion::skipped(SkipReason::HostileHtml, error.to_string()),
        },
        DocumentKind::List => match listing(crawl, visit, &fetched).await {
            Ok(listing) => {
                let fault = listing.fault.clone().or_else(|| {
                    (listing.pages.is_empty() && listing.lists.is_empty()).then(|| "it names no page".to_owned())
                });
                let out = Outlinks::of_list(&spec.job, visit, listing);
                source(crawl, spec, visit, &fetched, out, fault).await
            }
            Err(error) => Conclusion::skipped(SkipReason::HostileHtml, error.to_string()),
        },
        DocumentKind::Robots => {
            let robots = Robots::parse(&fetched.body, &spec.job.politeness.user_agent_token);
            let fault = robots.sitemaps().is_empty().then(|| "it names no sitemap".to_owned());
            source(crawl, spec, visit, &fetched, Outlinks::of_robots(&spec.job, visit, &robots), fault).await
        }
    }
}

fn redirected(job: &ValidatedJob, visit: &Visit, location: NormalizedUrl) -> Conclusion {
    let detail = format!("redirects to {}", location.as_str());
    if visit.way.redirects >= job.request.max_redirects {
        return Conclusion::failed(
            SkipReason::HttpError,
            format!("more than {} redirects in a row", job.request.max_redirects),
        );
    }
    let location = job.url_rules.canonical(location);
    // It may lead as far outside as the page that redirects is.
    let verdict = job.scope.verdict_beside(&location, visit.way.kind, visit.way.hops.saturating_sub(1));
    let is_list = visit.way.kind != DocumentKind::Page;
    let hops = match verdict {
        Ok(hops) => hops,
        Err(_) if is_list && location.origin() == visit.url.origin() => 0,
        Err(_) if job.seeds.iter().any(|seed| seed.url == location) => 0,
        Err(_) if job.request.redirects_leave_scope && job.scope.admits(&location, visit.way.kind) => 0,
        Err(_) => return Conclusion::skipped(SkipReason::RedirectToExcluded, detail),
    };
    let way = Way { redirects: visit.way.redirects + 1, hops, ..visit.way };
    let link = Link { url: location, depth: visit.depth, way };
    Conclusion { follow: vec![link], ..Conclusion::skipped(SkipReason::DuplicateUrl, detail) }
}

fn not_fetched(error: &FetchError) -> Conclusion {
    let detail = causes::told(error);
    match error.skip_reason() {
        reason if error.is_retryable() => Conclusion::again(reason, detail),
        reason @ (SkipReason::TooLarge | SkipReason::MimeType | SkipReason::PrivateAddress) => {
            Conclusion::skipped(reason, detail)
        }
        reason => Conclusion::failed(reason, detail),
    }
}

/// Parses the page off the async threads, as many pages at a time as there are cores.
async fn extract(crawl: &Crawl, spec: &Arc<Spec>, visit: &Visit, fetched: &Fetched) -> Result<Extracted, ExtractError> {
    // What the job chose to keep may be of a type that nothing can be read from.
    if !AcceptedTypes::Pages.accepts(fetched.headers.content_type.as_deref()) {
        return Ok(Extracted::default());
    }
    let _core = crawl.parsers.acquire().await;
    let (spec, url, body, content_type) =
        (Arc::clone(spec), visit.url.clone(), fetched.body.clone(), fetched.headers.content_type.clone());
    let budget = CpuBudget::default();
    let label = visit.way.label;
    let parse = move || {
        let page = Page { body: &body, content_type: content_type.as_deref(), url: &url, label };
        spec.extract.page(page, budget)
    };
    // A panic in a parser is a page that cannot be parsed, not the end of the node.
    tokio::task::spawn_blocking(parse).await.unwrap_or(Err(ExtractError::BudgetExceeded { budget: budget.0 }))
}

/// Reads a sitemap or feed off the async threads.
async fn listing(crawl: &Crawl, visit: &Visit, fetched: &Fetched) -> Result<Listing, ExtractError> {
    let _core = crawl.parsers.acquire().await;
    let (url, body) = (visit.url.clone(), fetched.body.clone());
    let read = move || listing::read(&body, url.as_url(), LIST_BUDGET);
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(ExtractError::BudgetExceeded { budget: LIST_BUDGET.0 }))
}

/// A document without items that leads to pages; `fault` says why it does not lead to (all of) them.
async fn source(
    crawl: &Crawl,
    spec: &Spec,
    visit: &Visit,
    fetched: &Fetched,
    out: Outlinks,
    fault: Option<String>,
) -> Conclusion {
    let rule = if visit.way.kind == DocumentKind::Robots { "robots.txt" } else { "sitemap" };
    let error = |message| ItemError { rule: rule.to_owned(), field: String::new(), message };
    found(crawl, spec, visit, fetched, out, Vec::new(), fault.map(error).into_iter().collect()).await
}

async fn page(crawl: &Crawl, spec: &Arc<Spec>, visit: &Visit, fetched: &Fetched, extracted: Extracted) -> Conclusion {
    let directives =
        RobotsDirectives::from_headers(&fetched.headers.x_robots_tag, &spec.job.politeness.user_agent_token)
            .or(extracted.meta_robots);
    let links = if directives.nofollow && spec.job.politeness.obey_robots { Vec::new() } else { extracted.links };
    let out = Outlinks::of_page(&spec.job, visit, links, extracted.canonical.as_deref());
    found(crawl, spec, visit, fetched, out, extracted.items, extracted.item_errors).await
}

/// What a document says, unless it says what it said before.
async fn found(
    crawl: &Crawl,
    spec: &Spec,
    visit: &Visit,
    fetched: &Fetched,
    out: Outlinks,
    items: Vec<Map<String, Value>>,
    errors: Vec<ItemError>,
) -> Conclusion {
    let Outlinks { follow, unfollowed, .. } = out;
    let fetched_ms = crawl.driver.clock().wall_ms();
    let history = match revisit::seen(crawl, &spec.job, visit, fetched, &items) {
        Seen::AsBefore(history) => return Conclusion { follow, unfollowed, ..Conclusion::unchanged(history) },
        Seen::New(history) => history,
    };
    // What is kept of a page that is as it was stays with it.
    let keeps = spec.store_body == StoreBody::All || !revisit::is_same(visit, history.as_deref());
    let mut lines: Vec<String> = items.into_iter().map(|item| line(item, visit, fetched.status, fetched_ms)).collect();
    let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let item_errors = u32::try_from(errors.len()).unwrap_or(u32::MAX);
    lines.extend(errors.into_iter().take(KEPT_ITEM_ERRORS).map(|error| error_line(error, visit)));
    let page = FetchedPage {
        status: fetched.status,
        fetched_ms,
        attempts: visit.attempt,
        bytes: fetched.body.len() as u64,
        items: count,
        item_errors,
        content: store_items(crawl, visit.partition, lines.join("\n")).await,
        stored: if keeps { store_page(crawl, visit.partition, fetched, fetched_ms).await } else { None },
        history,
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

/// Why there is no item, as a line that is no item.
fn error_line(error: ItemError, visit: &Visit) -> String {
    let error =
        ItemFault { url: visit.url.as_str().to_owned(), rule: error.rule, field: error.field, message: error.message };
    format!("{ITEM_ERROR_MARK}{}", serde_json::to_string(&error).expect("texts are JSON"))
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

/// Keeps a page as it was read, if its job keeps pages.
async fn store_page(crawl: &Crawl, partition: Partition, fetched: &Fetched, read_ms: u64) -> Option<StoredResponse> {
    let ResponseHead { protocol, address, headers } = *fetched.head.clone()?;
    loop {
        match crawl.driver.put_body(partition, fetched.body.clone()).await {
            Ok(body) => return Some(StoredResponse { body, read_ms, protocol, address, headers }),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// A robots.txt to be fetched.
pub(super) struct RobotsErrand {
    pub(super) partition: Partition,
    pub(super) job: JobId,
    pub(super) spec: Arc<ValidatedJob>,
    pub(super) origin: Arc<str>,
    /// Where it redirected to, if it did.
    pub(super) moved: Option<NormalizedUrl>,
}

/// Makes one request for a host's robots.txt and tells the shard.
pub(super) async fn robots(crawl: Crawl, errand: RobotsErrand, lease: Lease) {
    let RobotsErrand { partition, job, spec, origin, moved } = errand;
    let (began, at_ms, mut end) = (Instant::now(), crawl.driver.clock().wall_ms(), None);
    let (exchange, result) = match NormalizedUrl::parse(&format!("{origin}/")) {
        Ok(home) => match enter(&crawl, job, &spec, moved.as_ref().unwrap_or(&home)).await {
            Ok(place) => {
                let promise = Promise::new(&spec, &crawl.policy, home.host());
                // Whoever robots.txt leads to has not been promised anything.
                let _leaving = moved.is_none().then(|| crawl.witness.leaves(&origin, promise));
                let asking = crawl.fetcher.fetch_robots(&home, moved.as_ref(), &spec.request);
                match unless_broken_off(&place, &lease, asking).await {
                    Some(answer) => {
                        end = answer.status.map(AttemptEnd::Status).or(robots_error(&answer.outcome));
                        robots_result(answer.outcome, answer.latency)
                    }
                    None => {
                        end = Some(AttemptEnd::Error(ErrorClass::BrokenOff));
                        unreached(SkipReason::HostBroken, "the request was broken off", Exchange::untold(false))
                    }
                }
            }
            Err(Closed::Address(error)) => {
                end = error.class().map(AttemptEnd::Error);
                robots_result(RobotsOutcome::Unreachable(error), None)
            }
            Err(Closed::For(pause)) => {
                crawl.shards.tell(Command::Deferred { partition, job, origin, page: None, pause }).await;
                return;
            }
        },
        Err(error) => unreached(SkipReason::HostBroken, error.to_string(), Exchange::untold(false)),
    };
    crawl.shards.tell(Command::Fetched { partition, job, origin: origin.clone(), exchange }).await;
    if let Some(end) = end {
        let took_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
        let moved = moved.map(|target| target.as_str().to_owned());
        let asked = RobotsAsked { job, moved, attempt: AttemptRecord { at_ms, took_ms, end } };
        crawl.shards.tell(Command::RobotsAsked { partition, origin: origin.clone(), asked }).await;
    }
    crawl.shards.tell(Command::Robots { partition, job, origin, result }).await;
}

fn robots_error(outcome: &RobotsOutcome) -> Option<AttemptEnd> {
    let RobotsOutcome::Unreachable(error) = outcome else { return None };
    error.class().map(AttemptEnd::Error)
}

fn unreached(reason: SkipReason, detail: impl Into<String>, exchange: Exchange) -> (Exchange, RobotsResult) {
    (exchange, RobotsResult::Unreached(Unreached { reason, detail: detail.into() }))
}

/// What an answer says about the host, and about what may be asked of it.
fn robots_result(outcome: RobotsOutcome, latency: Option<Duration>) -> (Exchange, RobotsResult) {
    let fine = Exchange { answered: false, latency, health: Health::Good { is_page: false } };
    match outcome {
        RobotsOutcome::Found { text } => (fine, RobotsResult::File(RobotsFile::Text(text))),
        RobotsOutcome::Unavailable { .. } => (fine, RobotsResult::File(RobotsFile::AllowAll)),
        RobotsOutcome::Moved(target) => (fine, RobotsResult::Moved(target)),
        RobotsOutcome::ServerError { status, retry_after } => {
            let health = health(status, retry_after.as_deref());
            let detail = format!("robots.txt was answered with status {status}");
            unreached(SkipReason::RobotsTxt, detail, Exchange { health, ..fine })
        }
        RobotsOutcome::Unreachable(error) => {
            let health = if error.is_hosts_failure() { Health::Bad } else { Health::Unknown };
            let reason = match error.skip_reason() {
                SkipReason::PrivateAddress => SkipReason::PrivateAddress,
                _ => SkipReason::HostBroken,
            };
            unreached(reason, causes::told(&error), Exchange { latency: None, health, ..fine })
        }
    }
}
