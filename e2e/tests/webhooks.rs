//! A receiver of webhooks: it fails first, and the node that sends dies meanwhile; everything is told in the end, in
//! order, signed, and once more when it is asked for.

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use scrapering_e2e::door::until;
use scrapering_e2e::errand::Errand;
use scrapering_e2e::program;
use scrapering_e2e::ring::{self, Ring};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PRODUCTS: u32 = 12;
const DELAY: Duration = Duration::from_millis(5);
/// How long something may take on a busy machine, the death of a node included.
const LIMIT: Duration = Duration::from_secs(120);
/// `whsec_` and the bytes of `0123456789abcdef0123456789abcdef` in base64.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// What came, and whether it is taken.
#[derive(Clone, Default)]
struct Receiver {
    takes: Arc<AtomicBool>,
    messages: Arc<Mutex<Vec<Message>>>,
}

#[derive(Clone, Debug)]
struct Message {
    id: String,
    body: Value,
    text: String,
    taken: bool,
}

impl Receiver {
    async fn open() -> anyhow::Result<(Self, SocketAddr)> {
        let (receiver, listener) = (Self::default(), tokio::net::TcpListener::bind("127.0.0.1:0").await?);
        let address = listener.local_addr()?;
        let router = Router::new().route("/hook", post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((receiver, address))
    }

    fn messages(&self) -> Vec<Message> {
        self.messages.lock().expect("nobody panics").clone()
    }

    fn taken(&self) -> Vec<Message> {
        self.messages().into_iter().filter(|message| message.taken).collect()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
    let text = String::from_utf8_lossy(&body).into_owned();
    if header("webhook-signature") != signature(&id, &time, &text) {
        return StatusCode::UNAUTHORIZED;
    }
    let taken = receiver.takes.load(Ordering::SeqCst);
    let body = serde_json::from_str(&text).unwrap_or_default();
    receiver.messages.lock().expect("nobody panics").push(Message { id, body, text, taken });
    if taken { StatusCode::NO_CONTENT } else { StatusCode::INTERNAL_SERVER_ERROR }
}

/// As the Standard Webhooks specification says, by another implementation of HMAC (RFC 2104) than the ring's.
fn signature(id: &str, time: &str, body: &str) -> String {
    let mut key = STANDARD.decode(&SECRET["whsec_".len()..]).expect("base64");
    key.resize(64, 0);
    let padded = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = Sha256::digest([&padded(0x36), format!("{id}.{time}.{body}").as_bytes()].concat());
    let outer = Sha256::digest([&padded(0x5c), inner.as_slice()].concat());
    format!("v1,{}", STANDARD.encode(outer))
}

fn hook(address: SocketAddr) -> String {
    format!(
        "  webhooks: [{{url: 'http://{address}/hook', events: [started, page, completed, failed], secret: '{SECRET}', batch: 5}}]\n"
    )
}

#[tokio::test]
async fn what_a_failing_receiver_missed_is_told_by_another_node_when_the_sender_dies() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (receiver, address) = Receiver::open().await?;
    let mut ring = Ring::start(folder.path(), 5).await?;
    let errand = Errand::begin(folder.path(), PRODUCTS, DELAY).await?;
    let id = ring.door().submit(&errand.job(&hook(address))).await?;
    let first = until("a message that fails", LIMIT, async || Ok(receiver.messages().first().cloned())).await?;
    ensure!(first.body["type"] == "job.started" && !first.taken, "{first:?}");
    let shown = ring.door().job(&id).await?;
    ensure!(shown["spec"]["webhooks"][0]["secret"] == "[secret]", "{shown}");

    let senders = ring.door().owners(&format!("job/{id}")).await?;
    let sender = ring::place(senders.first().context("nobody owns the job")?)?;
    ring.kill(&[sender]).await?;
    let failed = receiver.messages().len();
    until("an attempt of another node", LIMIT, async || Ok((receiver.messages().len() > failed).then_some(()))).await?;
    receiver.takes.store(true, Ordering::SeqCst);
    until("the end", LIMIT, async || {
        Ok(receiver.taken().iter().any(|message| message.body["type"] == "job.completed").then_some(()))
    })
    .await?;

    let taken = receiver.taken();
    ensure!(taken[0].id == first.id && taken[0].text == first.text, "the same message again: {taken:#?}");
    let mut told: Vec<&Message> = Vec::new();
    for message in &taken {
        // At least once: the same message may come again, but never another in its place.
        match told.iter().find(|known| known.id == message.id) {
            Some(known) => ensure!(known.text == message.text, "two messages of one name: {message:?}"),
            None => told.push(message),
        }
    }
    ensure!(told.last().is_some_and(|last| last.body["type"] == "job.completed"), "the end is the last: {told:#?}");
    let pages = told.iter().filter(|message| message.body["type"] == "job.page");
    let pages: Vec<&Value> = pages.flat_map(|message| message.body["data"]["pages"].as_array()).flatten().collect();
    let urls: BTreeSet<&str> = pages.iter().filter_map(|page| page["url"].as_str()).collect();
    let job = ring.door().job(&id).await?;
    ensure!(pages.len() == urls.len(), "a page was told twice: {urls:?}");
    ensure!(job["status"]["pages"]["succeeded"] == urls.len(), "{} pages told of {job}", urls.len());
    let end = &told[told.len() - 1].body["data"];
    ensure!(end["phase"] == "Completed" && end["items"] == PRODUCTS, "{end}");
    let kept = program_says(folder.path(), &["webhook", "deliveries", &id, "--output", "json"]).await?;
    ensure!(!kept.contains("MDEyMzQ1"), "a secret is in an answer");
    ring.stop().await
}

#[tokio::test]
async fn a_message_is_sent_once_more_when_somebody_asks_for_it_and_a_private_address_gets_none() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (receiver, address) = Receiver::open().await?;
    receiver.takes.store(true, Ordering::SeqCst);
    let mut ring = Ring::start(folder.path(), 1).await?;
    let errand = Errand::begin(folder.path(), PRODUCTS, DELAY).await?;
    let more = hook(address).replace("events: [started, page, completed, failed]", "events: [completed]");
    // The tests' nodes may visit loopback, and nothing else that is private.
    let more = more.trim_end().replace("}]", "}, {url: 'http://10.1.2.3/hook', events: [started]}]\n");
    let id = ring.door().submit(&errand.job(&more)).await?;
    until("the message", LIMIT, async || Ok(receiver.taken().first().cloned())).await?;
    let list = async || {
        let listed = program_says(folder.path(), &["webhook", "deliveries", &id, "--output", "json"]).await?;
        Ok::<Value, anyhow::Error>(serde_json::from_str(&listed)?)
    };
    let settled = until("two messages in the log", LIMIT, async || {
        let listed = list().await?;
        let attempted = |item: &Value| item["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty());
        let all = listed["items"].as_array().is_some_and(|items| items.len() == 2 && items.iter().all(attempted));
        Ok(all.then_some(listed))
    })
    .await?;
    let of_hook = |listed: &Value, hook: u64| -> anyhow::Result<Value> {
        let items = listed["items"].as_array().context("items")?;
        items.iter().find(|item| item["webhook"] == hook).cloned().with_context(|| format!("{hook} in {listed}"))
    };
    let told = of_hook(&settled, 0)?;
    ensure!(told["event"] == "job.completed" && told["state"] == "delivered", "{told}");
    ensure!(told["attempts"][0]["status"] == 204, "{told}");
    let refused = of_hook(&settled, 1)?;
    ensure!(refused["state"] == "waiting" && refused["attempts"][0]["error"] == "address not allowed", "{refused}");

    let name = told["id"].as_str().context("an id")?;
    let again = program_says(folder.path(), &["webhook", "redeliver", name]).await?;
    ensure!(again.contains(name) && again.contains("waiting"), "{again}");
    until("the message again", LIMIT, async || Ok((receiver.taken().len() >= 2).then_some(()))).await?;
    let taken = receiver.taken();
    ensure!(taken[0].text == taken[1].text && taken[0].id == taken[1].id, "{taken:#?}");
    let missing = ring.door().ask(Method::POST, &format!("/v1/webhooks/deliveries/{id}-0-9/redeliver"), None).await?;
    ensure!(missing.status == 404 && missing.body.contains("delivery-not-found"), "{missing:?}");
    let nothing = ring.door().ask(Method::GET, "/v1/webhooks/deliveries", None).await?;
    ensure!(nothing.status == 400, "{nothing:?}");
    ring.stop().await
}

/// What a command of the ring in `folder` says.
async fn program_says(folder: &std::path::Path, arguments: &[&str]) -> anyhow::Result<String> {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--data", "ring"]).collect();
    let ended = program::run(folder, "command", LIMIT, &arguments).await?;
    ensure!(ended.code() == Some(0), "{ended:#?}");
    Ok(ended.out)
}
