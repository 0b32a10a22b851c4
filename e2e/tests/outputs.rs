//! What the ring writes into a store: nothing half, nothing twice, the marker last, though the store fails first and the
//! node that writes dies between a part and its note; and pages as they were read, as bytes and as WARC.

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use flate2::read::MultiGzDecoder;
use scrapering_e2e::door::until;
use scrapering_e2e::errand::Errand;
use scrapering_e2e::program;
use scrapering_e2e::ring::{self, Ring};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PRODUCTS: u32 = 12;
const DELAY: Duration = Duration::from_millis(5);
/// How long something may take on a busy machine, the death of a node included.
const LIMIT: Duration = Duration::from_secs(120);

/// Objects of a store that speaks as much of S3 as it takes to put and to look.
#[derive(Clone, Default)]
struct Store {
    manner: Arc<Mutex<Manner>>,
    refused: Arc<AtomicBool>,
    objects: Arc<Mutex<Objects>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    /// Takes nothing.
    #[default]
    Refuses,
    /// Takes everything and does not answer.
    Mute,
    Takes,
}

#[derive(Default)]
struct Objects {
    content: BTreeMap<String, Bytes>,
    /// The names in the order in which they were put.
    order: Vec<String>,
}

impl Store {
    async fn open() -> anyhow::Result<(Self, SocketAddr)> {
        let (store, listener) = (Self::default(), tokio::net::TcpListener::bind("127.0.0.1:0").await?);
        let address = listener.local_addr()?;
        let router =
            Router::new().fallback(any(serve)).layer(DefaultBodyLimit::max(100 << 20)).with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((store, address))
    }

    fn below(&self, prefix: &str) -> BTreeMap<String, Bytes> {
        let objects = self.objects.lock().expect("nobody panics");
        let cut = |(name, content): (&String, &Bytes)| Some((name.strip_prefix(prefix)?.to_owned(), content.clone()));
        objects.content.iter().filter_map(cut).collect()
    }

    fn behave(&self, manner: Manner) {
        *self.manner.lock().expect("nobody panics") = manner;
    }

    /// How often something was put whose name ends so.
    fn puts(&self, end: &str) -> usize {
        let objects = self.objects.lock().expect("nobody panics");
        objects.order.iter().filter(|name| name.ends_with(end)).count()
    }

    fn last(&self, prefix: &str) -> Option<String> {
        let objects = self.objects.lock().expect("nobody panics");
        objects.order.iter().rev().find_map(|name| name.strip_prefix(prefix)).map(str::to_owned)
    }
}

async fn serve(State(store): State<Store>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let signed = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signed.contains("Credential=key/") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let manner = *store.manner.lock().expect("nobody panics");
    if manner == Manner::Refuses {
        store.refused.store(true, Ordering::SeqCst);
        return (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>").into_response();
    }
    let answer = store.objects.lock().expect("nobody panics").handle(&method, uri.path(), &headers, body);
    if manner == Manner::Mute {
        std::future::pending::<()>().await;
    }
    answer
}

impl Objects {
    fn handle(&mut self, method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
        let there = self.content.get(path).map(|content| tag(content));
        let asked = headers.get("if-match").and_then(|value| value.to_str().ok());
        match *method {
            Method::HEAD => {
                let Some(there) = there else { return StatusCode::NOT_FOUND.into_response() };
                [("etag", there), ("last-modified", "Sat, 21 Nov 2026 10:00:00 GMT".to_owned())].into_response()
            }
            Method::PUT if headers.contains_key("if-none-match") && there.is_some() => {
                StatusCode::PRECONDITION_FAILED.into_response()
            }
            Method::PUT if asked.is_some_and(|asked| there.as_deref() != Some(asked)) => {
                StatusCode::PRECONDITION_FAILED.into_response()
            }
            Method::PUT => {
                let tag = tag(&body);
                self.order.push(path.to_owned());
                self.content.insert(path.to_owned(), body);
                [("etag", tag)].into_response()
            }
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }
}

fn tag(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("\"{:x}\"", hasher.finish())
}

fn outputs(store: SocketAddr) -> String {
    let items = s3(store, "books/items", "format: jsonl, compression: gzip");
    let pages = s3(store, "books/pages", "format: warc");
    format!("  outputs:\n  - ring: {{storeBody: all}}\n  - {items}  - {pages}")
}

fn s3(store: SocketAddr, prefix: &str, more: &str) -> String {
    format!(
        "s3: {{bucket: out, prefix: {prefix}, endpoint: 'http://{store}', accessKeyId: key, secretAccessKey: hush-hush, {more}}}\n"
    )
}

fn unpacked(packed: &[u8]) -> anyhow::Result<String> {
    let mut text = Vec::new();
    MultiGzDecoder::new(packed).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Items of all parts below `prefix`, and the marker must say as much.
fn items_of(objects: &BTreeMap<String, Bytes>) -> anyhow::Result<Vec<Value>> {
    let marker: Value = serde_json::from_slice(objects.get("_SUCCESS").context("no marker")?)?;
    let named: BTreeSet<&str> =
        marker["parts"].as_array().context("parts")?.iter().filter_map(|part| part["name"].as_str()).collect();
    let there: BTreeSet<&str> = objects.keys().map(String::as_str).filter(|name| *name != "_SUCCESS").collect();
    ensure!(named == there, "the marker names {named:?}, there are {there:?}");
    let mut items = Vec::new();
    for name in named.into_iter().filter(|name| name.ends_with(".jsonl.gz")) {
        for line in unpacked(&objects[name])?.lines() {
            items.push(serde_json::from_str(line)?);
        }
    }
    ensure!(marker["items"] == items.len(), "{marker}");
    Ok(items)
}

#[tokio::test]
async fn a_store_has_everything_once_and_whole_though_it_fails_first_and_the_writer_dies() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (store, address) = Store::open().await?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    let errand = Errand::begin(folder.path(), PRODUCTS, DELAY).await?;
    let id = ring.door().submit(&errand.job(&outputs(address))).await?;
    let waiting = until("a fault in the job's status", LIMIT, async || {
        let job = ring.door().job(&id).await?;
        Ok(job["status"]["outputs"][0]["error"].is_string().then_some(job))
    })
    .await?;
    ensure!(store.refused.load(Ordering::SeqCst), "the store was not asked");
    let status = &waiting["status"]["outputs"][0];
    ensure!(status["output"] == 1 && status["state"] == "writing" && status["nextAttemptAt"].is_string(), "{status}");
    ensure!(!waiting.to_string().contains("hush-hush"), "a secret is in an answer");
    ensure!(waiting["spec"]["outputs"][1]["s3"]["secretAccessKey"] == "[secret]", "{waiting}");

    store.behave(Manner::Mute);
    let part = "books/items/{id}/product/part-00000.jsonl.gz".replace("{id}", &id);
    until("a part that is not noted", LIMIT, async || Ok((store.puts(&part) > 0).then_some(()))).await?;
    let owners = ring.door().owners(&format!("job/{id}")).await?;
    ring.kill(&[ring::place(owners.first().context("nobody owns the job")?)?]).await?;
    store.behave(Manner::Takes);
    let done = until("both outputs", LIMIT, async || {
        let job = ring.door().job(&id).await?;
        let outputs = job["status"]["outputs"].as_array().cloned().unwrap_or_default();
        Ok((outputs.len() == 2 && outputs.iter().all(|output| output["state"] == "done")).then_some(outputs))
    })
    .await?;
    ensure!(done[0]["entries"] == PRODUCTS && done[0]["error"].is_null(), "{done:?}");

    ensure!(store.puts(&part) > 1, "the part that was not noted was not written over");
    let items = items_of(&store.below(&format!("/out/books/items/{id}/")))?;
    let titles: BTreeSet<String> = items.iter().map(|item| item["_url"].to_string()).collect();
    ensure!(items.len() == PRODUCTS as usize && titles.len() == items.len(), "{items:#?}");
    for prefix in ["items", "pages"] {
        let last = store.last(&format!("/out/books/{prefix}/{id}/"));
        ensure!(last.as_deref() == Some("_SUCCESS"), "the marker is the last: {last:?}");
    }
    let archive = store.below(&format!("/out/books/pages/{id}/"));
    let file = unpacked(archive.get("warc/part-00000.warc.gz").context("no archive")?)?;
    let job = ring.door().job(&id).await?;
    let responses =
        file.matches("\r\nWARC-Type: response\r\n").count() + file.matches("\r\nWARC-Type: revisit\r\n").count();
    ensure!(job["status"]["pages"]["succeeded"] == responses, "{responses} responses of {job}");
    let index = String::from_utf8_lossy(&archive["warc/part-00000.cdxj"]).into_owned();
    ensure!(index.lines().count() == responses && index.lines().is_sorted(), "{index}");
    ring.stop().await
}

#[tokio::test]
async fn pages_are_kept_as_they_were_read_and_exported_as_an_archive() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 1).await?;
    let errand = Errand::begin(folder.path(), PRODUCTS, DELAY).await?;
    let id = ring.door().submit(&errand.job("  outputs: [{ring: {storeBody: all}}]\n")).await?;
    let pages = ring.door().list(&id, "pages").await?;
    let front = pages.iter().find(|page| page["url"] == errand.url()).context("the front page")?;
    let path = |page: &Value| format!("/v1/jobs/{id}/pages/{}/body", page["id"].as_str().unwrap_or_default());
    let kept = ring.door().ask(Method::GET, &path(front), None).await?;
    let shown = reqwest::get(errand.url()).await?.text().await?;
    ensure!(kept.status == 200 && kept.body == shown, "{}", kept.body);
    let headers = front["stored"]["headers"].as_array().context("headers")?;
    ensure!(headers.iter().any(|header| header[0] == "content-type"), "{front}");
    let missing = ring.door().ask(Method::GET, &format!("/v1/jobs/{id}/pages/{}/body", "0".repeat(44)), None).await?;
    ensure!(missing.status == 404 && missing.body.contains("page-not-found"), "{missing:?}");

    let export = |arguments: &[&str]| {
        let arguments: Vec<String> =
            ["export", &id, "--data", "ring"].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        let folder = folder.path().to_owned();
        async move { program::run(&folder, "export", LIMIT, &arguments).await }
    };
    let done = export(&["--to", "archive", "--format", "warc"]).await?;
    ensure!(done.code() == Some(0) && done.out.contains("warc/part-00000.warc.gz"), "{done:#?}");
    let archive = unpacked(&std::fs::read(folder.path().join("archive/warc/part-00000.warc.gz"))?)?;
    ensure!(archive.starts_with("WARC/1.1\r\nWARC-Type: warcinfo\r\n"), "{archive}");
    ensure!(archive.contains(&shown) && archive.contains("\r\nWARC-Type: metadata\r\n"), "the page is in the archive");
    ensure!(folder.path().join("archive/_SUCCESS").is_file(), "no marker");
    let again = export(&["--to", "archive", "--format", "warc"]).await?;
    ensure!(again.code() == Some(2) && again.err.contains("_SUCCESS stands there already"), "{again:#?}");

    let bare = ring.door().submit(&errand.job("")).await?;
    ring.door().list(&bare, "pages").await?;
    let refused = program::run(
        folder.path(),
        "export",
        LIMIT,
        ["export", &bare, "--data", "ring", "--to", "bare", "--format", "warc"],
    )
    .await?;
    ensure!(refused.code() == Some(2) && refused.err.contains("storeBody: all"), "{refused:#?}");
    ring.stop().await
}

#[tokio::test]
async fn the_ring_exports_a_job_that_has_ended_whenever_it_is_asked_to() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (store, address) = Store::open().await?;
    store.behave(Manner::Takes);
    let mut ring = Ring::start(folder.path(), 1).await?;
    let errand = Errand::begin(folder.path(), PRODUCTS, DELAY).await?;
    let id = ring.door().submit(&errand.job("  outputs: [{ring: {storeBody: all}}]\n")).await?;
    ring.door().list(&id, "items").await?;

    for (name, more, entries) in
        [("items", "format: jsonl, compression: gzip", PRODUCTS as usize), ("pages", "format: warc", 0)]
    {
        std::fs::write(folder.path().join(name), s3(address, name, more))?;
        let arguments = ["job", "export", &id, name, "--wait", "--output", "json", "--data", "ring"];
        let done = program::run(folder.path(), name, LIMIT, arguments).await?;
        ensure!(done.code() == Some(0) && !done.out.contains("hush-hush"), "{done:#?}");
        let export: Value = serde_json::from_str(&done.out)?;
        ensure!(export["state"] == "done" && export["output"]["s3"]["secretAccessKey"] == "[secret]", "{export}");
        let prefix = format!("/out/{name}/{}/", export["id"].as_str().context("no id")?);
        ensure!(store.last(&prefix).as_deref() == Some("_SUCCESS"), "{prefix}");
        let items = items_of(&store.below(&prefix));
        ensure!(entries == 0 || items?.len() == entries, "{prefix}");
    }
    let job = ring.door().job(&id).await?;
    let path = format!("/v1/jobs/{id}/exports");
    let exports = ring.door().ask(Method::GET, &path, None).await?.json()?;
    ensure!(exports["items"].as_array().map(Vec::len) == Some(2), "{exports}");
    ensure!(exports["items"][1]["entries"] == job["status"]["pages"]["succeeded"], "{exports} of {job}");

    std::fs::write(
        folder.path().join("bad"),
        s3(address, "items", "format: csv, compression: gzip").replace("out", "Out"),
    )?;
    let refused = program::run(folder.path(), "bad", LIMIT, ["job", "export", &id, "bad", "--data", "ring"]).await?;
    ensure!(refused.code() == Some(2) && refused.err.contains("s3.bucket"), "{refused:#?}");
    ring.stop().await
}
