//! Keys and locks of a real ring of five: through any node, watched while nodes die, and settled when an answer is lost.

use anyhow::{Context, ensure};
use reqwest::{Client, Method, Response, StatusCode};
use scrapering_e2e::door::{client, until};
use scrapering_e2e::program::{self, Ended, Process};
use scrapering_e2e::ring::Ring;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// How long a client waits for an answer that is lost before its connection breaks.
const ANSWER_LOST: Duration = Duration::from_secs(3);

/// The ring's gateways, spoken to directly.
struct Gateways {
    http: Client,
    token: String,
    first_port: u16,
}

impl Gateways {
    async fn of(folder: &Path, ring: &Ring) -> anyhow::Result<Self> {
        let arguments = ["token", "create", "--data", "ring", "--scope", "kv:read kv:write"];
        let token = program::run(folder, "kv-token", LIMIT, arguments).await?;
        let http = client(&ring.root().join("ca.pem"))?.timeout(LIMIT).build()?;
        Ok(Self { http, token: token.out.trim().to_owned(), first_port: ring.ports().gateway() })
    }

    async fn ask(
        &self,
        node: u16,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Response> {
        let url = format!("https://127.0.0.1:{}{path}", self.first_port + node);
        let request = self.http.request(method, url).bearer_auth(&self.token).body(body.to_owned());
        Ok(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await?)
    }
}

fn header<'answer>(answer: &'answer Response, name: &str) -> &'answer str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn scrapering(folder: &Path, name: &str, arguments: &[&str]) -> anyhow::Result<Ended> {
    let (command, rest) = arguments.split_at(2);
    let with_ring = command.iter().chain(&["--data", "ring"]).chain(rest);
    program::run(folder, name, LIMIT, with_ring).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_behaves_alike_through_every_node() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    let gateways = Gateways::of(folder.path(), &ring).await?;
    let path = "/v1/kv/settings/limit";
    let put =
        gateways.ask(0, Method::PUT, path, &[("if-none-match", "*"), ("content-type", "text/plain")], "10").await?;
    ensure!((put.status(), header(&put, "etag")) == (StatusCode::CREATED, "\"1\""), "{put:?}");
    for node in 0..5 {
        let got = gateways.ask(node, Method::GET, path, &[], "").await?;
        ensure!((header(&got, "etag"), header(&got, "content-type")) == ("\"1\"", "text/plain"), "{got:?}");
        ensure!(header(&got, "operation-id") == header(&put, "operation-id"), "{got:?}");
        ensure!(got.text().await? == "10", "read through ring-{node}");
    }
    let changed = gateways.ask(2, Method::PUT, path, &[("if-match", "\"1\"")], "11").await?;
    ensure!((changed.status(), header(&changed, "etag")) == (StatusCode::OK, "\"2\""), "{changed:?}");
    let late = gateways.ask(3, Method::PUT, path, &[("if-match", "\"1\"")], "12").await?;
    ensure!((late.status(), header(&late, "etag")) == (StatusCode::PRECONDITION_FAILED, "\"2\""), "{late:?}");
    for (arguments, code, out) in [
        (&["kv", "get", "settings/limit"][..], 0, "11"),
        (&["kv", "cas", "settings/limit", "--version", "1", "13"], 4, ""),
        (&["kv", "cas", "settings/limit", "--version", "2", "13"], 0, "3\n"),
        (&["kv", "put", "settings/x y", "z"], 0, "1\n"),
        (&["kv", "put", "settings/x y", "z", "--if-absent"], 4, ""),
        (&["kv", "delete", "settings/limit", "--version", "2"], 4, ""),
        (&["kv", "delete", "settings/limit"], 0, ""),
        (&["kv", "get", "settings/limit"], 1, ""),
        (&["kv", "get", "settings/../x"], 2, ""),
    ] {
        let ended = scrapering(folder.path(), "kv", arguments).await?;
        ensure!((ended.code(), ended.out.as_str()) == (Some(code), out), "{arguments:?}: {ended:?}");
    }
    let list = gateways.ask(4, Method::GET, "/v1/kv?prefix=settings/", &[], "").await?.json::<Value>().await?;
    ensure!(
        list["items"].as_array().is_some_and(|items| items.len() == 1 && items[0]["key"] == "settings/x y"),
        "{list}"
    );
    let listed = scrapering(folder.path(), "kv", &["kv", "list", "settings/"]).await?;
    ensure!(listed.code() == Some(0) && listed.out.contains("settings/x y"), "{listed:?}");
    an_answer_that_is_lost_is_settled(folder.path(), &gateways).await?;
    two_nodes_are_lost_and_then_a_third(folder.path(), &mut ring, &gateways).await
}

/// Stands before a gateway, and loses the answer to the first large request.
async fn lossy_door(gateway: u16, large: usize) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        let mut is_lossy = true;
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(("127.0.0.1", gateway)).await else { return };
            if std::mem::take(&mut is_lossy) {
                tokio::spawn(lose_the_answer(client, server, large));
            } else {
                tokio::spawn(async move {
                    let (mut client, mut server) = (client, server);
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        }
    });
    Ok(port)
}

async fn lose_the_answer(client: TcpStream, server: TcpStream, large: usize) -> anyhow::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_lost = Arc::new(AtomicBool::new(false));
    let lost = Arc::clone(&is_lost);
    let answers = tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            if !lost.load(Ordering::SeqCst) && to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    });
    let (mut sent, mut buffer) = (0, vec![0; 16 * 1024]);
    // The whole request goes through; what is answered once most of it was sent does not. When the client has been
    // waiting for a while, its connection breaks.
    while let Ok(Ok(count @ 1..)) = tokio::time::timeout(ANSWER_LOST, from_client.read(&mut buffer)).await {
        sent += count;
        is_lost.store(sent >= large, Ordering::SeqCst);
        to_server.write_all(&buffer[..count]).await?;
    }
    answers.abort();
    Ok(())
}

async fn an_answer_that_is_lost_is_settled(folder: &Path, gateways: &Gateways) -> anyhow::Result<()> {
    let (large, key) = (40_000, "settled");
    std::fs::write(folder.join("large"), vec![b'x'; large])?;
    let door = lossy_door(gateways.first_port, large).await?;
    let url = format!("https://127.0.0.1:{door}");
    let began = Instant::now();
    let ended = scrapering(folder, "settle", &["kv", "put", "--gateway", &url, key, "--file", "large"]).await?;
    ensure!((ended.code(), ended.out.as_str()) == (Some(0), "1\n"), "{ended:?}");
    ensure!(began.elapsed() >= ANSWER_LOST, "the answer came after {:?}, so it was not lost", began.elapsed());
    let got = gateways.ask(1, Method::GET, &format!("/v1/kv/{key}"), &[], "").await?;
    ensure!(header(&got, "etag") == "\"1\"", "it was done once: {got:?}");
    Ok(())
}

async fn two_nodes_are_lost_and_then_a_third(
    folder: &Path,
    ring: &mut Ring,
    gateways: &Gateways,
) -> anyhow::Result<()> {
    ring.kill(&[3, 4]).await?;
    let killed = Instant::now();
    let put = gateways.ask(0, Method::PUT, "/v1/kv/two-lost", &[], "still written").await?;
    ensure!(put.status().is_success(), "{put:?}");
    let outage = killed.elapsed();
    ensure!(outage < Duration::from_secs(5), "the first write after two of five were killed took {outage:?}");
    ring.kill(&[2]).await?;
    for (method, body) in [(Method::PUT, "x"), (Method::GET, ""), (Method::DELETE, "")] {
        let asked = Instant::now();
        let answer = gateways.ask(1, method.clone(), "/v1/kv/two-lost", &[], body).await?;
        ensure!(answer.status() == StatusCode::SERVICE_UNAVAILABLE, "{method}: {answer:?}");
        ensure!(!header(&answer, "retry-after").is_empty(), "{answer:?}");
        ensure!(asked.elapsed() < Duration::from_secs(9), "{method} took {:?}", asked.elapsed());
    }
    let copy = gateways.ask(1, Method::GET, "/v1/kv/two-lost?consistency=any", &[], "").await?;
    ensure!((copy.status(), header(&copy, "consistency")) == (StatusCode::OK, "any"), "{copy:?}");
    ensure!(copy.text().await? == "still written", "a copy is there");
    let shown = scrapering(folder, "status", &["ring", "status"]).await?;
    ensure!(shown.code() == Some(0) && shown.out.contains("without a majority 256"), "{shown:?}");
    ring.start_all().await?;
    let got = gateways.ask(4, Method::GET, "/v1/kv/two-lost", &[], "").await?;
    ensure!(got.status() == StatusCode::OK && got.text().await? == "still written", "nothing is lost");
    ring.stop().await
}

/// The last version of each key that a watcher has told; 0 for a deletion.
fn told(folder: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(folder.join("watch.out"))?;
    // The last line may be half written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut last = BTreeMap::new();
    for line in whole.lines() {
        let event: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let key = event["key"].as_str().context("no key")?.to_owned();
        let version = if event["event"] == "put" { event["version"].as_u64().context("no version")? } else { 0 };
        let before = last.insert(key, version).unwrap_or_default();
        ensure!(version == 0 || version > before, "{line} after version {before}");
    }
    Ok(last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_sees_every_last_version_while_nodes_are_killed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    let gateways = Gateways::of(folder.path(), &ring).await?;
    gateways.ask(0, Method::PUT, "/v1/kv/w/before", &[], "x").await?;
    let watch = ["kv", "watch", "--data", "ring", "--prefix", "w/"];
    let mut watcher = Process::start(folder.path(), "watch", watch)?;
    until("the first event", LIMIT, async || Ok(told(folder.path())?.contains_key("w/before").then_some(()))).await?;
    let mut expected = BTreeMap::from([("w/before".to_owned(), 1)]);
    for number in 0..300 {
        // The watcher listens to ring-0 first; the writers to those that stay.
        match number {
            100 => ring.kill(&[0]).await?,
            200 => ring.kill(&[4]).await?,
            _ => {}
        }
        let key = format!("w/{}", number % 20);
        let path = format!("/v1/kv/{key}");
        let (node, is_put) = (1 + number % 3, number % 7 != 6);
        let method = if is_put { Method::PUT } else { Method::DELETE };
        let answer = gateways.ask(node, method, &path, &[], "x").await?;
        ensure!(answer.status().is_success(), "{number}: {answer:?}");
        let version = header(&answer, "etag").trim_matches('"').parse().unwrap_or(0);
        expected.insert(key, version);
    }
    until("every last version", LIMIT, async || {
        ensure!(watcher.is_running()?, "the watcher has ended:\n{}", watcher.tail());
        let told = told(folder.path())?;
        Ok(expected.iter().all(|(key, version)| told.get(key).copied().unwrap_or(0) == *version).then_some(()))
    })
    .await
    .with_context(|| format!("expected {expected:?}\n{}", watcher.tail()))?;
    watcher.signal("INT").await?;
    ensure!(watcher.ended(LIMIT).await?.code() == Some(130), "Ctrl-C ends a watch");
    ring.start_all().await?;
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_goes_to_one_contender_and_on_when_its_holder_is_dead() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring = Ring::start(folder.path(), 3).await?;
    let lock = async |name: &str, arguments: &[&str]| scrapering(folder.path(), name, arguments).await;
    let (one, other) = tokio::join!(
        lock("one", &["lock", "acquire", "nightly", "--ttl", "3s", "--owner", "one"]),
        lock("other", &["lock", "acquire", "nightly", "--ttl", "3s", "--owner", "other"]),
    );
    let (one, other) = (one?, other?);
    let (holder, loser) = if one.code() == Some(0) { (one, other) } else { (other, one) };
    ensure!((holder.code(), loser.code()) == (Some(0), Some(4)), "{holder:?} {loser:?}");
    let first: u64 = holder.out.trim().parse()?;
    let renewed = lock("renew", &["lock", "renew", "nightly", "--token", &first.to_string()]).await?;
    let renewed: u64 = renewed.out.trim().parse().with_context(|| format!("{renewed:?}"))?;
    ensure!(renewed > first, "a renewal gives a new token");
    // The holder is never heard of again.
    let began = Instant::now();
    let next = lock("next", &["lock", "acquire", "nightly", "--ttl", "3s", "--wait", "60s"]).await?;
    let second: u64 = next.out.trim().parse().with_context(|| format!("{next:?}"))?;
    ensure!(second > renewed && began.elapsed() >= Duration::from_secs(2), "{second} after {:?}", began.elapsed());
    let late = lock("late", &["lock", "renew", "nightly", "--token", &renewed.to_string()]).await?;
    ensure!(late.code() == Some(4), "{late:?}");
    let released = lock("release", &["lock", "release", "nightly", "--token", &second.to_string()]).await?;
    ensure!(released.code() == Some(0), "{released:?}");
    let run = ["lock", "run", "nightly", "--ttl", "2s", "--", "sh", "-c", "echo token $SCRAPERING_LOCK_TOKEN; exit 7"];
    let run = lock("run", &run).await?;
    let third: u64 = run.out.trim().strip_prefix("token ").with_context(|| format!("{run:?}"))?.parse()?;
    ensure!(run.code() == Some(7) && third > second, "{run:?}");
    let shown = lock("show", &["lock", "show", "nightly"]).await?;
    ensure!(shown.out.contains("nobody holds nightly"), "{shown:?}");
    ring.stop().await
}
