//! What a job leaves out before and after it asks: links by their extension, hosts by their domain, pages by their media type.
//!
//! A ring of one in a process of its own crawls a small site, which counts what it is asked for.

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use scrapering_e2e::ports::Ports;
use scrapering_e2e::program::{self, Ended};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a command may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn open() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let SocketAddr::V4(address) = listener.local_addr()? else { anyhow::bail!("an IPv4 address was asked for") };
        let site = Self { port: address.port(), asked: Arc::default() };
        let router = Router::new().route("/{*path}", get(page)).with_state(site.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(site)
    }

    /// What it was asked for since the last time, in alphabetical order.
    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        asked.retain(|path| path != "robots.txt");
        asked.sort();
        asked
    }
}

async fn page(State(site): State<Site>, UrlPath(path): UrlPath<String>) -> Response {
    site.asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    let typed = |media_type: &'static str, body: Body| ([(header::CONTENT_TYPE, media_type)], body).into_response();
    // Whoever read on would wait for ever.
    let endless = || Body::from_stream(tokio_stream::pending::<Result<&'static [u8], std::io::Error>>());
    match path.as_str() {
        "start" => {
            let elsewhere = format!("<a href='http://localhost:{}/elsewhere'>e</a>", site.port);
            let links = ["paper.pdf", "photo.JPG", "text", "table", "untold", "to-paper", "to-elsewhere"];
            let links = links.map(|link| format!("<a href='/{link}'>l</a>")).concat();
            Html(format!("<!doctype html><h1>Start</h1>{links}{elsewhere}")).into_response()
        }
        "text" => Html("<!doctype html><h1>Text</h1>").into_response(),
        "untold" => ([(header::CONTENT_TYPE, "")], "<!doctype html><h1>Untold</h1>").into_response(),
        "table" => typed("application/json", endless()),
        "paper.pdf" => typed("application/pdf", Body::from("%PDF-1.7 <h1>No heading</h1>")),
        "to-paper" => Redirect::temporary("/paper.pdf").into_response(),
        "elsewhere" => Html("<!doctype html><h1>Elsewhere</h1><a href='/further'>f</a>").into_response(),
        "in/to-elsewhere" => Redirect::temporary("/elsewhere").into_response(),
        "to-elsewhere" => Redirect::temporary(&format!("http://localhost:{}/elsewhere", site.port)).into_response(),
        "sitemap.xml.gz" => {
            typed("application/x-anything", Body::from(format!("http://127.0.0.1:{}/text\n", site.port)))
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn run(folder: &Path, seeds: &str, scope: &str, more: &str) -> anyhow::Result<Ended> {
    let job = format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: scope}}
spec:
  seeds: {seeds}
  scope: {scope}
  politeness: {{delay: 0s}}
  retry: {{maxRetries: 0}}
  extract: [{{name: heading, fields: [{{name: title, selector: h1, required: true}}]}}]
{more}"
    );
    std::fs::write(folder.join("job.yaml"), job)?;
    let ports = Ports::take()?.options();
    let mut arguments = vec!["run", "job.yaml", "--data", "ring", "--nodes", "1", "--output", "items.jsonl"];
    arguments.extend(["--allow-private-cidr", "127.0.0.0/8"]);
    arguments.extend(ports.iter().map(String::as_str));
    program::run(folder, "run", LIMIT, &arguments).await
}

fn titles(folder: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(folder.join("items.jsonl"))?;
    let title = |line: &str| -> anyhow::Result<String> {
        let item: Value = serde_json::from_str(line)?;
        Ok(item["title"].as_str().context("a title")?.to_owned())
    };
    let mut titles = text.lines().map(title).collect::<anyhow::Result<Vec<_>>>()?;
    titles.sort();
    Ok(titles)
}

#[tokio::test]
async fn links_hosts_and_types_that_a_job_leaves_out_cost_no_more_than_they_must() -> anyhow::Result<()> {
    let (folder, site) = (tempfile::tempdir()?, Site::open().await?);
    let seeds = format!("[{{url: 'http://127.0.0.1:{}/start'}}]", site.port);
    let scope = "{scopeType: any, allowedDomains: [127.0.0.1], mimeTypes: [text/*]}";
    let ended = run(folder.path(), &seeds, scope, "").await?;
    ensure!(ended.code() == Some(0), "the job completes: {ended:#?}");
    ensure!(titles(folder.path())? == ["Start", "Text", "Untold"], "{ended:#?}");
    let asked = site.asked();
    ensure!(asked == ["start", "table", "text", "to-elsewhere", "to-paper", "untold"], "{asked:?}");
    let reasons = "not fetched: extension 2, mimeType 1, outOfScope 1, redirectToExcluded 2";
    ensure!(ended.err.contains(reasons), "the summary says {reasons:?}: {}", ended.err);
    Ok(())
}

#[tokio::test]
async fn what_a_job_asks_for_is_taken_in_whatever_it_is_and_items_come_from_what_can_be_read() -> anyhow::Result<()> {
    let (folder, site) = (tempfile::tempdir()?, Site::open().await?);
    let (paper, list) =
        ("{url: 'http://127.0.0.1:PORT/to-paper'}", "{sitemap: 'http://127.0.0.1:PORT/sitemap.xml.gz'}");
    let seeds = format!("[{paper}, {list}]").replace("PORT", &site.port.to_string());
    let scope = "{denyExtensions: [], mimeTypes: [text/html, application/pdf]}";
    let ended = run(folder.path(), &seeds, scope, "  outputs: [{ring: {storeBody: all}}]\n").await?;
    ensure!(ended.code() == Some(0), "the job completes: {ended:#?}");
    ensure!(site.asked() == ["paper.pdf", "sitemap.xml.gz", "text", "to-paper"], "{ended:#?}");
    ensure!(titles(folder.path())? == ["Text"], "{ended:#?}");
    ensure!(ended.err.contains("Completed: 3 pages, 1 item ") && !ended.err.contains("left out"), "{}", ended.err);
    Ok(())
}

#[tokio::test]
async fn a_redirect_out_of_the_scope_is_followed_if_the_job_says_so_and_the_links_there_are_not() -> anyhow::Result<()>
{
    let (folder, site) = (tempfile::tempdir()?, Site::open().await?);
    let seeds = format!("[{{url: 'http://127.0.0.1:{}/in/to-elsewhere'}}]", site.port);
    let follow = "  request: {redirects: {onOutOfScope: follow}}\n";
    let ended = run(folder.path(), &seeds, "{scopeType: prefix}", follow).await?;
    ensure!(ended.code() == Some(0), "the job completes: {ended:#?}");
    ensure!(titles(folder.path())? == ["Elsewhere"], "{ended:#?}");
    ensure!(site.asked() == ["elsewhere", "in/to-elsewhere"], "{ended:#?}");
    ensure!(ended.err.contains("outOfScope 1"), "{}", ended.err);
    Ok(())
}
