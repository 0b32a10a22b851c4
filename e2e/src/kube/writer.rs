//! Writes numbered values through a ring's gateways while nodes come and go, and reads every acknowledged one afterwards.

use super::pod_process;
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use reqwest::{Client, Response, StatusCode};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Keys that are written in turn.
const KEYS: u64 = 64;
/// Pause after a call, so that the load leaves the machine to the ring.
const PAUSE: Duration = Duration::from_millis(20);
/// How often a value is asked for before the ring is held to have lost it.
const READS: usize = 30;

/// Where the ring is now, and how to speak with it.
#[derive(Clone)]
pub struct Gateways {
    http: Client,
    token: String,
    places: Arc<Mutex<Vec<Ipv4Addr>>>,
}

impl Gateways {
    /// Gateways that are found at `places`; whoever answers there is trusted, since the test has started it.
    ///
    /// # Errors
    /// No client can be made.
    pub fn new(token: String, places: Vec<Ipv4Addr>) -> anyhow::Result<Self> {
        let http = Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().timeout(LIMIT).build()?;
        Ok(Self { http, token, places: Arc::new(Mutex::new(places)) })
    }

    /// From now on goes where a Service in front of `pods` would lead, for as long as it is not dropped: to those that are
    /// ready and are not about to end. (The server takes no endpoints on loopback, so that its own word cannot be had.)
    pub async fn follow(self, pods: Api<Pod>, labels: &str) {
        let of_service = ListParams::default().labels(labels);
        loop {
            if let Ok(pods) = pods.list(&of_service).await {
                let serves = |pod: &Pod| pod_process::is_ready(pod) && pod.metadata.deletion_timestamp.is_none();
                let ready = pods.items.into_iter().filter(serves);
                let places = ready.filter_map(|pod| pod.status?.pod_ip?.parse().ok());
                *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places.collect();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What the ring says to a reader of this path.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn status_of(&self, path: &str) -> anyhow::Result<StatusCode> {
        Ok(self.ask(path).await?.status())
    }

    /// What the ring tells under this path; `None` if it refuses.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn text(&self, path: &str) -> anyhow::Result<Option<String>> {
        let answer = self.ask(path).await?;
        Ok(if answer.status().is_success() { Some(answer.text().await?) } else { None })
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Response> {
        let place = self.places.lock().unwrap_or_else(PoisonError::into_inner).first().copied();
        let url = format!("https://{}:8443{path}", place.context("there is no gateway")?);
        Ok(self.http.get(url).bearer_auth(&self.token).send().await?)
    }

    /// The gateway to use for the call with this number.
    fn url(&self, call: u64, key: u64) -> anyhow::Result<String> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.get(usize::try_from(call)? % places.len().max(1)).context("there is no gateway")?;
        Ok(format!("https://{place}:8443/v1/kv/load/{key}"))
    }
}

/// The load. What is acknowledged for each key is the highest number that was, and all above it that may have been.
pub struct Writer {
    gateways: Gateways,
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<Written>>,
}

/// What has been written.
#[derive(Debug, Default)]
pub struct Written {
    /// By key: the newest acknowledged number, and the newest number that was ever sent.
    pub keys: BTreeMap<u64, (u64, u64)>,
    /// Calls that were acknowledged.
    pub acknowledged: u64,
    /// Calls that were not, or not heard of.
    pub unacknowledged: u64,
}

impl Writer {
    /// Begins to write, one call after the other.
    pub fn start(gateways: Gateways) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(write(gateways.clone(), stopped));
        Self { gateways, stop, task }
    }

    /// Ends the load and reads back everything; the counts.
    ///
    /// # Errors
    /// Something that was acknowledged is not there.
    pub async fn finish(self) -> anyhow::Result<Written> {
        self.stop.send_replace(true);
        let written = self.task.await??;
        written.check(&self.gateways).await?;
        Ok(written)
    }
}

impl Written {
    /// Reads back everything.
    ///
    /// # Errors
    /// Something that was acknowledged is not there.
    pub async fn check(&self, gateways: &Gateways) -> anyhow::Result<()> {
        for (key, (acknowledged, sent)) in &self.keys {
            let found = read(gateways, *key).await?;
            ensure!(
                (*acknowledged..=*sent).contains(&found),
                "key {key}: {acknowledged} was acknowledged, {sent} was sent last, and {found} is there"
            );
        }
        Ok(())
    }
}

async fn write(gateways: Gateways, stopped: watch::Receiver<bool>) -> anyhow::Result<Written> {
    let mut written = Written::default();
    let mut call = 0;
    while !*stopped.borrow() || call < KEYS {
        call += 1;
        let key = call % KEYS;
        let sent = gateways.http.put(gateways.url(call, key)?).bearer_auth(&gateways.token).body(call.to_string());
        let entry = written.keys.entry(key).or_default();
        entry.1 = call;
        match sent.send().await {
            Ok(answer) if answer.status().is_success() => {
                entry.0 = call;
                written.acknowledged += 1;
            }
            Ok(answer) => {
                let status = answer.status();
                ensure!(status.is_server_error(), "a write was refused: {status} {}", answer.text().await?);
                written.unacknowledged += 1;
            }
            Err(_) => written.unacknowledged += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(written)
}

/// The number under a key; 0 when there is none.
async fn read(gateways: &Gateways, key: u64) -> anyhow::Result<u64> {
    let mut last = None;
    for call in 0..READS {
        let asked = gateways.http.get(gateways.url(call as u64, key)?).bearer_auth(&gateways.token).send().await;
        match asked {
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => return Ok(0),
            Ok(answer) if answer.status().is_success() => return Ok(answer.text().await?.trim().parse()?),
            other => last = Some(other),
        }
        tokio::time::sleep(PAUSE * 10).await;
    }
    anyhow::bail!("key {key} cannot be read: {last:?}")
}
