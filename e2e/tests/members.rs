//! A site for members only: it asks for a password, gives each visitor a cookie, and links to a stranger who would like both.

use anyhow::ensure;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use scrapering_e2e::door::until;
use scrapering_e2e::ring::{self, Ring};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a part of a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
/// `Basic` of `reader:open sesame`.
const LOGIN: &str = "Basic cmVhZGVyOm9wZW4gc2VzYW1l";
const PAGES: u32 = 14;
const MEMBERS: &str = "members.test";
const STRANGER: &str = "stranger.test";

/// One request, as the site saw it.
#[derive(Clone, Debug)]
struct Seen {
    host: String,
    path: String,
    authorization: Option<String>,
    cookie: Option<String>,
    status: u16,
}

type Log = Arc<Mutex<Vec<Seen>>>;

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Both sites are here; the `Host` header says which one is meant.
async fn answer(State(log): State<Log>, request: Request<axum::body::Body>) -> Response<String> {
    let headers = request.headers();
    let host = text(headers, header::HOST).unwrap_or_default();
    let (host, port) = host.split_once(':').unwrap_or((&host, "80"));
    let (authorization, cookie) = (text(headers, header::AUTHORIZATION), text(headers, header::COOKIE));
    let path = request.uri().path().to_owned();
    let is_member = authorization.as_deref() == Some(LOGIN);
    let knows_us = cookie.as_deref().is_some_and(|cookie| cookie.contains("sid=7") && cookie.contains("lang=en"));
    let (status, body) = match (host, path.as_str()) {
        (_, "/robots.txt") => (StatusCode::NOT_FOUND, String::new()),
        (STRANGER, _) => (StatusCode::OK, "<h1>give me your cookies".to_owned()),
        _ if !is_member => (StatusCode::UNAUTHORIZED, String::new()),
        (_, "/") => {
            let links: String = (1..=PAGES).map(|page| format!("<a href=/page/{page}>page</a>")).collect();
            (StatusCode::OK, format!("<h1>front</h1>{links}<a href=http://{STRANGER}:{port}/>elsewhere</a>"))
        }
        (_, "/page/1") => (StatusCode::FOUND, String::new()),
        _ if knows_us => (StatusCode::OK, "<h1>page".to_owned()),
        _ => (StatusCode::FORBIDDEN, String::new()),
    };
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "text/html");
    if path == "/" && host == MEMBERS {
        response = response.header(header::SET_COOKIE, "sid=7; Path=/; HttpOnly");
    }
    if status == StatusCode::FOUND {
        response = response.header(header::LOCATION, format!("http://{STRANGER}:{port}/moved"));
    }
    let seen = Seen { host: host.to_owned(), path, authorization, cookie, status: status.as_u16() };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    response.body(body).expect("a response")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_cookies_go_to_their_own_site_only_and_outlive_the_owner_of_the_host() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let log = Log::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let app = Router::new().fallback(answer).with_state(Arc::clone(&log));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let rules = [MEMBERS, STRANGER].into_iter().flat_map(|name| ["--resolve".to_owned(), format!("{name}=127.0.0.1")]);
    let mut ring = Ring::init(folder.path(), 3).await?.with_options(rules.collect());
    ring.start_all().await?;
    let job = format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: members}}
spec:
  seeds: [{{url: 'http://{MEMBERS}:{port}/'}}]
  scope: {{scopeType: any, maxDepth: 1}}
  politeness: {{delay: 200ms}}
  request:
    auth: {{basic: {{username: reader, password: open sesame}}}}
    cookies: {{start: [{{name: lang, value: en}}]}}
"
    );
    let id = ring.door().submit(&job).await?;
    let answered =
        || log.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|seen| seen.status == 200).count();
    until("some pages", LIMIT, async || Ok((answered() > 5).then_some(()))).await?;
    let owner = ring::place(&ring.door().owners(&format!("http://{MEMBERS}:{port}/")).await?[0])?;
    ring.kill(&[owner]).await?;
    let ended = ring.door().completed(&id, LIMIT).await?;
    let seen = log.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(seen.iter().all(|seen| ![401, 403].contains(&seen.status)), "somebody was turned away: {seen:?}");
    for page in 2..=PAGES {
        ensure!(seen.iter().any(|seen| seen.path == format!("/page/{page}")), "page {page} was not asked for");
    }
    let strangers: Vec<&Seen> = seen.iter().filter(|seen| seen.host == STRANGER).collect();
    ensure!(strangers.iter().any(|seen| seen.path == "/moved"), "the redirect was not followed: {strangers:?}");
    for seen in strangers.iter().copied().chain(seen.iter().filter(|seen| seen.path == "/robots.txt")) {
        ensure!(seen.authorization.is_none() && seen.cookie.is_none(), "{seen:?} was given away");
    }
    let shown = ended.to_string();
    ensure!(!shown.contains("sesame") && !shown.contains("\"en\"") && shown.contains("[secret]"), "{shown}");
    ensure!(ended["status"]["pages"]["failed"] == 0, "{ended}");
    let pages = ring.door().list(&id, "pages").await?;
    for page in &pages {
        let tries = page["tries"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure!(tries.last().is_some_and(|last| last["status"] == 200 && last["at"].is_string()), "{page}");
    }
    serving.abort();
    ring.stop().await
}
