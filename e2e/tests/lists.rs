//! A site that publishes lists of its pages, scraped by a ring of one in a process of its own: sitemaps named by robots.txt, a feed, a listing of
//! several pages, labels, pages that repeat others, items that are wrong.

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use scrapering_e2e::ports::Ports;
use scrapering_e2e::program;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long a command may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A sitemap of two items, packed.
fn packed_sitemap(origin: &str) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let pages: String = [3, 4].map(|n| format!("<url><loc>{origin}/item/{n}</loc></url>")).concat();
    packed.write_all(format!("<urlset>{pages}</urlset>").as_bytes()).expect("memory takes everything");
    packed.finish().expect("memory takes everything")
}

async fn page(State(origin): State<String>, UrlPath(path): UrlPath<String>) -> Response {
    let html = |body: String| Html(format!("<!doctype html><title>x</title>{body}")).into_response();
    match path.as_str() {
        "robots.txt" => format!("User-agent: *\nDisallow: /secret\nSitemap: {origin}/sitemap.xml\n").into_response(),
        "sitemap.xml" => format!(
            "<sitemapindex><sitemap><loc>{origin}/more.xml.gz</loc></sitemap><sitemap><loc>{origin}/none.xml</loc></sitemap></sitemapindex>"
        )
        .into_response(),
        "more.xml.gz" => packed_sitemap(&origin).into_response(),
        "news.atom" => {
            format!("<feed><entry><link href=\"{origin}/item/5\"/></entry><entry><link href=\"/secret\"/></entry></feed>")
                .into_response()
        }
        "list/1" | "list/2" | "list/3" => {
            let number: u32 = path[5..].parse().unwrap_or(0);
            html(format!("<p>Page {number}</p><a class=item href=/item/{number}>i</a><a class=next href=/list/{}>next</a>", number + 1))
        }
        item if item.starts_with("item/") => {
            // Items 4 and 5 are the same text at two places, with another comment.
            let number = item[5..].replace('5', "4");
            let price = if number == "2" { "free".to_owned() } else { format!("{number}.50") };
            html(format!("<!-- {item} --><article><h1>Item {number}</h1><b>{price}</b></article>"))
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn serve() -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/{*path}", get(page)).with_state(format!("http://{address}"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

fn job(address: SocketAddr) -> String {
    format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: lists}}
spec:
  seeds:
  - {{sitemapsOf: 'http://{address}/', label: item}}
  - {{feed: 'http://{address}/news.atom', label: item}}
  - {{url: 'http://{address}/list/1', label: list}}
  follow:
  - {{selector: a.item, label: item, priority: 80}}
  - {{selector: a.next, label: list, maxPages: 2}}
  dedup: {{content: text}}
  politeness: {{delay: 0s, concurrentRequestsPerHost: 1}}
  retry: {{maxRetries: 0}}
  extract:
  - name: thing
    match: {{labels: [item]}}
    key: [title]
    fields:
    - {{name: title, selector: h1, required: true}}
    - {{name: price, selector: b, type: number, required: true}}
"
    )
}

fn items(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(path)?;
    text.lines().map(|line| serde_json::from_str(line).context("an item is JSON")).collect()
}

#[tokio::test]
async fn lists_lead_to_pages_labels_to_rules_and_repeated_pages_nowhere() -> anyhow::Result<()> {
    let (folder, ports) = (tempfile::tempdir()?, Ports::take()?);
    let address = serve().await?;
    std::fs::write(folder.path().join("job.yaml"), job(address))?;
    let ports = ports.options();
    let mut arguments = vec!["run", "job.yaml", "--data", "ring", "--nodes", "1", "--output", "items.jsonl"];
    arguments.extend(["--allow-private-cidr", "127.0.0.0/8"]);
    arguments.extend(ports.iter().map(String::as_str));
    let ended = program::run(folder.path(), "run", LIMIT, &arguments).await?;
    ensure!(ended.code() == Some(0), "the job completes: {ended:#?}");

    let items = items(&folder.path().join("items.jsonl"))?;
    let titles: BTreeSet<&str> = items.iter().filter_map(|item| item["title"].as_str()).collect();
    // Item 2 has no price; /item/4 and /item/5 say the same, so one of them is left out.
    ensure!(titles == BTreeSet::from(["Item 1", "Item 3", "Item 4"]), "{titles:?}");
    ensure!(items.len() == 3, "each page is in the results once: {items:#?}");
    ensure!(items.iter().all(|item| item["_key"].as_str().is_some_and(|key| key.len() == 32)), "{items:#?}");
    for word in ["1 item left out", "duplicateContent 1", "robotsTxt 1"] {
        ensure!(ended.err.contains(word), "the summary says {word:?}: {}", ended.err);
    }
    Ok(())
}

#[tokio::test]
async fn rules_are_tried_on_a_page_without_a_ring() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let address = serve().await?;
    std::fs::write(folder.path().join("job.yaml"), job(address).replace("match: {labels: [item]}\n    ", ""))?;
    let try_on = async |page: String, more: &[&str]| {
        let arguments: Vec<&str> = [&["extract", "job.yaml", &page], more].concat();
        program::run(folder.path(), "extract", LIMIT, &arguments).await
    };
    let loopback = ["--allow-private-cidr", "127.0.0.0/8"];
    let found = try_on(format!("http://{address}/item/3"), &loopback).await?;
    ensure!(found.code() == Some(0), "{found:#?}");
    let item: Value = serde_json::from_str(found.out.trim())?;
    ensure!(item["title"] == "Item 3" && item["price"] == 3.5, "{item}");

    let wrong = try_on(format!("http://{address}/item/2"), &loopback).await?;
    ensure!(
        wrong.code() == Some(1) && wrong.err.contains("thing.price: required, but `free` is no number"),
        "{wrong:#?}"
    );
    let secret = try_on(format!("http://{address}/secret"), &loopback).await?;
    ensure!(secret.code() == Some(1) && secret.err.contains("robots.txt"), "{secret:#?}");
    let private = try_on(format!("http://{address}/item/3"), &[]).await?;
    ensure!(private.code() == Some(1), "the guard holds here too: {private:#?}");
    std::fs::write(folder.path().join("page.html"), "<h1>Here</h1><b>7</b>")?;
    let local = try_on("page.html".to_owned(), &["--report"]).await?;
    let report: Value = serde_json::from_str(&local.out)?;
    ensure!(report["items"][0]["title"] == "Here", "{report}");
    Ok(())
}
