//! A job that visits its pages again: what has not changed is not sent again, what has takes the place of what was there,
//! also when the node that visits them dies between two visits.

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use reqwest::Method;
use scrapering_e2e::door::{Door, until};
use scrapering_e2e::ring::{self, Ring};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long some visits, or a takeover, may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
const ETAG: &str = "W/\"still\"";
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const PAGES: [&str; 5] = ["/", "/still", "/dated", "/moving", "/going"];

/// Of each request for a page, the condition it came with.
type Visits = BTreeMap<&'static str, Vec<Option<String>>>;

/// What visitors did.
#[derive(Clone, Default)]
struct Site(Arc<Mutex<Visits>>);

impl Site {
    /// Notes a request; how many came before it.
    fn note(&self, path: &'static str, headers: &HeaderMap) -> usize {
        let condition = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE].iter().find_map(|name| headers.get(name));
        let condition = condition.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(path).or_default();
        seen.push(condition);
        seen.len() - 1
    }

    fn asked(&self, path: &'static str) -> Vec<Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned().unwrap_or_default()
    }

    fn visits(&self) -> usize {
        PAGES.iter().map(|path| self.asked(path).len()).sum()
    }
}

fn html(title: &str) -> Response {
    let links: String = PAGES.iter().map(|path| format!("<a href={path}>{path}</a>")).collect();
    let body = format!("<html><body><h1>{title}</h1>{links}</body></html>");
    ([(header::CONTENT_TYPE, "text/html")], body).into_response()
}

async fn home(State(site): State<Site>, headers: HeaderMap) -> Response {
    site.note("/", &headers);
    html("home")
}

async fn still(State(site): State<Site>, headers: HeaderMap) -> Response {
    site.note("/still", &headers);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == ETAG) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::ETAG, ETAG)], html("still")).into_response()
}

async fn dated(State(site): State<Site>, headers: HeaderMap) -> Response {
    site.note("/dated", &headers);
    if headers.get(header::IF_MODIFIED_SINCE).is_some_and(|date| date == DATE) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::LAST_MODIFIED, DATE)], html("dated")).into_response()
}

async fn moving(State(site): State<Site>, headers: HeaderMap) -> Response {
    let number = site.note("/moving", &headers);
    html(&format!("moving {number}"))
}

async fn going(State(site): State<Site>, headers: HeaderMap) -> Response {
    if site.note("/going", &headers) == 0 { html("going") } else { StatusCode::GONE.into_response() }
}

/// The same to whoever reads its items, with other bytes each time.
async fn ticking(State(site): State<Site>, headers: HeaderMap) -> Response {
    let number = site.note("/ticking", &headers);
    Html(format!("<html><body><h1>ticking</h1><!-- {number} --></body></html>")).into_response()
}

async fn open() -> anyhow::Result<(Site, SocketAddr)> {
    let site = Site::default();
    let router = Router::new()
        .route("/", get(home))
        .route("/still", get(still))
        .route("/dated", get(dated))
        .route("/moving", get(moving))
        .route("/going", get(going))
        .route("/ticking", get(ticking))
        .with_state(site.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((site, address))
}

fn job(name: &str, page: &str, recrawl: &str, rest: &str) -> String {
    format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: {name}}}
spec:
  seeds: [{{url: 'http://{page}'}}]
  politeness: {{delay: 0s}}
  recrawl: {recrawl}
  extract:
  - name: page
    fields: [{{name: title, selector: h1, required: true}}]
{rest}"
    )
}

fn titles(items: &[Value]) -> anyhow::Result<Vec<String>> {
    let title = |item: &Value| item["title"].as_str().map(str::to_owned);
    let mut titles: Vec<String> = items.iter().map(title).collect::<Option<_>>().context("an item without a title")?;
    titles.sort();
    Ok(titles)
}

/// The status of a job once it is as wished.
async fn status_once(door: &Door, id: &str, what: &str, wished: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    until(what, LIMIT, async || {
        let status = door.job(id).await?["status"].take();
        ensure!(status["phase"] != "Completed" && status["phase"] != "Failed", "it does not end by itself: {status}");
        Ok(wished(&status).then_some(status))
    })
    .await
}

async fn order(door: &Door, id: &str, word: &str) -> anyhow::Result<()> {
    let answer = door.ask(Method::POST, &format!("/v1/jobs/{id}/{word}"), None).await?;
    ensure!(answer.status.is_success(), "{word}: {} {}", answer.status, answer.body);
    Ok(())
}

/// So many more requests for the page that changes each time.
async fn more_visits(site: &Site, more: usize) -> anyhow::Result<()> {
    let before = site.asked("/moving").len();
    until("more visits", LIMIT, async || Ok((site.asked("/moving").len() >= before + more).then_some(()))).await
}

async fn page(door: &Door, id: &str, path: &str) -> anyhow::Result<Value> {
    let pages = door.piece(id, "pages", "", 1000).await?.entries;
    let is_wanted = |page: &Value| page["url"].as_str().is_some_and(|url| url.ends_with(path));
    pages.into_iter().find(is_wanted).with_context(|| format!("no page {path}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_visited_again_whoever_dies_until_the_job_is_stopped_and_only_what_changed_is_told_again()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, address) = open().await?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let door = ring.door().clone();
    let id =
        door.submit(&job("again", &format!("{address}/"), "{adaptive: {min: 1s, max: 2s}, emit: changed}", "")).await?;
    more_visits(&site, 3).await?;
    let waits = |status: &Value| status["reason"] == "recrawl" && status["nextVisitTime"].is_string();
    let status = status_once(&door, &id, "a pause between visits", waits).await?;
    ensure!(status["phase"] == "Running" && status["pages"]["succeeded"] == 5, "{status}");
    let told = door.piece(&id, "items", "", 1000).await?;
    ensure!(told.entries.len() == 5, "each page has its items once: {:?}", told.entries);

    let owner = ring::place(&door.owners(&format!("http://{address}/")).await?[0])?;
    ring.kill(&[owner]).await?;
    let door = door.only(usize::from(owner == 0));
    more_visits(&site, 3).await?;
    status_once(&door, &id, "visits without change", |status| status["pages"]["notModified"].as_u64() >= Some(8))
        .await?;
    for (path, condition) in [("/still", ETAG), ("/dated", DATE)] {
        let asked = site.asked(path);
        ensure!(asked[0].is_none(), "nothing was known of {path} at the first visit");
        ensure!(asked[1..].iter().all(|asked| asked.as_deref() == Some(condition)), "{path}: {asked:?}");
    }
    let after = door.piece(&id, "items", &told.cursor, 1000).await?;
    let news = titles(&after.entries)?;
    ensure!(!news.is_empty() && news.iter().all(|title| title.starts_with("moving")), "only what changed: {news:?}");
    let (still, going) = (page(&door, &id, "/still").await?, page(&door, &id, "/going").await?);
    ensure!(still["history"]["notModified"].as_u64() >= Some(2) && still["history"]["goneSince"].is_null(), "{still}");
    ensure!(going["history"]["goneSince"].is_string() && going["history"]["visits"] == 1, "{going}");

    order(&door, &id, "pause").await?;
    status_once(&door, &id, "the pause", |status| status["phase"] == "Paused").await?;
    let paused = site.visits();
    order(&door, &id, "resume").await?;
    ensure!(site.visits() == paused, "a page was visited during the pause");
    more_visits(&site, 1).await?;

    order(&door, &id, "stop").await?;
    let stopped = status_once(&door, &id, "the end", |status| status["phase"] == "Stopped").await?;
    let pages = &stopped["pages"];
    ensure!(pages["discovered"] == 5 && pages["succeeded"] == 5 && pages["inFlight"] == 0, "{stopped}");
    ensure!(stopped["items"] == 5 && stopped["nextVisitTime"].is_null(), "{stopped}");
    let last = format!("moving {}", site.asked("/moving").len() - 1);
    ensure!(titles(&door.list(&id, "items").await?)? == ["dated", "going", "home", &last, "still"]);
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_limit_counts_pages_and_the_time_limit_ends_the_visits() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, address) = open().await?;
    let mut ring = Ring::start(folder.path(), 1).await?;
    let door = ring.door().clone();
    let limits = "  limits: {maxPages: 3, maxDuration: 30s}\n";
    let id =
        door.submit(&job("some", &format!("{address}/"), "{adaptive: {min: 1s, max: 1s}, emit: all}", limits)).await?;
    let status = door.completed(&id, LIMIT).await?["status"].take();
    ensure!(status["reason"] == "timeLimit" && status["pages"]["succeeded"] == 3, "{status}");
    ensure!(status["pages"]["skipped"] == 2 && status["items"] == 3, "{status}");
    let visited: Vec<usize> = PAGES.iter().map(|path| site.asked(path).len()).collect();
    ensure!(visited.iter().filter(|visits| **visits > 0).count() == 3, "exactly three pages: {visited:?}");
    ensure!(visited.iter().any(|visits| *visits >= 3), "again and again: {visited:?}");
    let skipped = door.list(&id, "skipped").await?;
    ensure!(skipped.iter().all(|skipped| skipped["reason"] == "pageLimit"), "{skipped:?}");
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_keeps_changes_keeps_the_bytes_in_which_a_page_was_last_found_changed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, address) = open().await?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let door = ring.door().clone();
    for (word, is_first) in [("changed", true), ("all", false)] {
        let outputs = format!("  outputs: [{{ring: {{storeBody: {word}}}}}]\n");
        let job = job(word, &format!("{address}/ticking"), "{adaptive: {min: 1s, max: 1s}, emit: all}", &outputs);
        let before = site.asked("/ticking").len();
        let id = door.submit(&job).await?;
        let same = |status: &Value| status["pages"]["notModified"].as_u64() >= Some(2);
        status_once(&door, &id, "visits that find the same", same).await?;
        let page = page(&door, &id, "/ticking").await?;
        let at = format!("/v1/jobs/{id}/pages/{}/body", page["id"].as_str().context("no id")?);
        let body = door.ask(Method::GET, &at, None).await?.body;
        ensure!(body.contains(&format!("<!-- {before} -->")) == is_first, "{word}: {body} after {before}");
        ensure!((page["stored"]["readAt"] == page["history"]["changedAt"]) == is_first, "{word}: {page}");
        order(&door, &id, "stop").await?;
        status_once(&door, &id, "the end", |status| status["phase"] == "Stopped").await?;
    }
    ring.stop().await
}
