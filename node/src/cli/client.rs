//! The gateway's client: finds a node that answers, tries again where that is safe, and says in one sentence what went wrong.
//!
//! Everything it sends may be sent twice: a submission carries an `Idempotency-Key`, and the rest names a state rather than a step.

mod error;
pub(super) mod events;
mod exports;
pub(super) mod files;
pub(super) mod hosts;
pub(super) mod kv;
mod locks;
mod schedules;
mod waiting;
mod webhooks;

pub(super) use error::ClientError;

use crate::auth::{Grant, Issuer, Scopes, Tenant};
use crate::gateway::object::{JobList, JobObject};
use crate::gateway::{
    COMPLETE_HEADER, CURSOR_HEADER, GiveUp, IDEMPOTENCY_KEY_HEADER, LARGEST_PAGE, Lookup, ProblemBody, Recovery,
    RingStatus, SeedVerdicts,
};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode};
use scrapering_core::frontier::record::JobId;
use serde::de::DeserializeOwned;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use url::Url;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a whole answer; a little more than the gateway gives itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(70);
/// Pause before a second attempt; doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Life of the tokens made here, and how old one may become before the next is made.
const TOKEN_TTL: Duration = Duration::from_secs(3600);
const TOKEN_RENEWAL: Duration = Duration::from_secs(1800);
/// How long a command waits for a ring that does not answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// The header that names a change.
const OPERATION_ID: &str = "operation-id";

/// What is shown to the gateway.
#[derive(Debug)]
pub(super) enum Credentials {
    /// One token, given by the user.
    Token(String),
    /// A key that makes tokens as they are needed.
    Issuer(Issuer),
}

/// A piece of a list.
#[derive(Debug)]
pub(super) struct Piece {
    /// Entries as NDJSON; empty when there is nothing new.
    pub(super) lines: Vec<u8>,
    /// Hands out what follows.
    pub(super) cursor: String,
    /// Whether the job has ended and nothing follows.
    pub(super) complete: bool,
}

/// Speaks to one ring through any of its gateways.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    gateways: Vec<Url>,
    current: AtomicUsize,
    credentials: Credentials,
    token: Mutex<Option<(String, Instant)>>,
    patience: Duration,
}

/// An answer that came whole.
struct Whole {
    gateway: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Client {
    /// A client of the ring behind `gateways`, which is trusted by the certificates in `ca_pem` and no others.
    pub(super) fn new(gateways: Vec<Url>, ca_pem: &[u8], credentials: Credentials) -> Result<Self, ClientError> {
        let authorities = Certificate::from_pem_bundle(ca_pem).map_err(|_| ClientError::Authority)?;
        if authorities.is_empty() {
            return Err(ClientError::Authority);
        }
        let http = reqwest::Client::builder()
            .tls_certs_only(authorities)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|_| ClientError::Authority)?;
        let (current, token) = (AtomicUsize::new(0), Mutex::new(None));
        Ok(Self { http, gateways, current, credentials, token, patience: PATIENCE })
    }

    /// The same client, waiting so long for a ring that does not answer.
    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether a node of this ring answers now, be it with too few others: an error only if something else does.
    pub(super) async fn is_up(&self) -> Result<bool, ClientError> {
        for (index, gateway) in self.gateways.iter().enumerate() {
            let sent = self.http.get(at(gateway, "/healthz")).timeout(CONNECT_TIMEOUT).send().await;
            match sent.map_err(|error| ClientError::of_transport(gateway, &error)) {
                Ok(_) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(true);
                }
                Err(ClientError::Unreachable { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }

    /// Submits a document; `key` makes a repetition harmless.
    pub(super) async fn submit(&self, document: &[u8], key: &str) -> Result<JobObject, ClientError> {
        let headers = [(CONTENT_TYPE.as_str(), "application/yaml"), (IDEMPOTENCY_KEY_HEADER, key)];
        let shape = |request: RequestBuilder| {
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            request.body(document.to_vec())
        };
        json(self.call(Method::POST, "/v1/jobs", shape).await?).await
    }

    /// A job.
    pub(super) async fn job(&self, id: JobId) -> Result<JobObject, ClientError> {
        self.read(&format!("/v1/jobs/{id}")).await
    }

    /// Every job.
    pub(super) async fn jobs(&self) -> Result<JobList, ClientError> {
        let mut all: JobList = self.read("/v1/jobs").await?;
        while let Some(cursor) = all.next.take() {
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("cursor", &cursor).finish();
            let JobList { items, next, .. } = self.read(&format!("/v1/jobs?{query}")).await?;
            all.items.extend(items);
            all.next = next;
        }
        Ok(all)
    }

    /// Tells a job to `pause`, `resume`, `stop`, `cancel` or `retry-failed`.
    pub(super) async fn steer(&self, id: JobId, verb: &str) -> Result<JobObject, ClientError> {
        json(self.call(Method::POST, &format!("/v1/jobs/{id}/{verb}"), |request| request).await?).await
    }

    /// Adds seeds to a job that has not ended.
    pub(super) async fn add_seeds(&self, id: JobId, urls: &[String]) -> Result<SeedVerdicts, ClientError> {
        let path = format!("/v1/jobs/{id}/seeds");
        let urls = serde_json::json!({ "urls": urls });
        json(self.call(Method::POST, &path, |request| request.json(&urls)).await?).await
    }

    /// Deletes a job.
    pub(super) async fn delete(&self, id: JobId) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/v1/jobs/{id}"), |request| request).await.map(|_| ())
    }

    /// Entries of the list `list` (`items` or `skipped`) of a job that follow `cursor`; an empty cursor begins at the beginning.
    pub(super) async fn piece(&self, id: JobId, list: &str, cursor: &str) -> Result<Piece, ClientError> {
        let limit = LARGEST_PAGE.to_string();
        let query = [("cursor", cursor), ("limit", &limit)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let Whole { gateway, headers, body: lines } = self.whole(&format!("/v1/jobs/{id}/{list}?{query}")).await?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (cursor, complete) = (header(CURSOR_HEADER), header(COMPLETE_HEADER));
        let cursor = cursor.ok_or_else(|| ClientError::strange(&gateway, "a list without its cursor"))?;
        Ok(Piece { lines: lines.to_vec(), cursor, complete: complete.as_deref() == Some("true") })
    }

    /// A page of a job as it was read.
    pub(super) async fn page_body(&self, id: JobId, page: &str) -> Result<Bytes, ClientError> {
        Ok(self.whole(&format!("/v1/jobs/{id}/pages/{page}/body")).await?.body)
    }

    /// What a node believes of the ring.
    pub(super) async fn ring(&self) -> Result<RingStatus, ClientError> {
        self.read("/v1/ring").await
    }

    /// What every gateway that answers believes of the ring; the first answer is an error if there is no other.
    pub(super) async fn rings(&self) -> Result<Vec<RingStatus>, ClientError> {
        let (first, elsewhere) = (self.ring().await?, self.gateways.iter().map(|gateway| self.ring_at(gateway)));
        let mut rings: Vec<RingStatus> = futures::future::join_all(elsewhere).await.into_iter().flatten().collect();
        rings.retain(|ring| ring.node != first.node);
        rings.insert(0, first);
        Ok(rings)
    }

    async fn ring_at(&self, gateway: &Url) -> Option<RingStatus> {
        let request = self.http.get(at(gateway, "/v1/ring")).timeout(CONNECT_TIMEOUT).bearer_auth(self.token().ok()?);
        json(request.send().await.ok()?.error_for_status().ok()?).await.ok()
    }

    /// Goes on without lost nodes.
    pub(super) async fn recover(&self, asked: &GiveUp) -> Result<Recovery, ClientError> {
        // Asked once: the answer to a second asking would be another.
        json(self.call(Method::POST, "/v1/ring/recover", |request| request.json(asked)).await?).await
    }

    /// Makes a node leave the ring.
    pub(super) async fn leave(&self, name: &str) -> Result<(), ClientError> {
        let path = format!("/v1/nodes/{}", kv::escaped(name));
        self.call(Method::DELETE, &path, |request| request).await.map(|_| ())
    }

    /// Takes a token back.
    pub(super) async fn revoke(&self, id: &str) -> Result<(), ClientError> {
        let path = format!("/v1/tokens/{}", kv::escaped(id));
        self.call(Method::DELETE, &path, |request| request).await.map(|_| ())
    }

    /// Where a key lives.
    pub(super) async fn lookup(&self, key: &str) -> Result<Lookup, ClientError> {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("key", key).finish();
        self.read(&format!("/v1/ring/lookup?{query}")).await
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let Whole { gateway, body, .. } = self.whole(path).await?;
        parsed(&gateway, &body)
    }

    /// Reads an answer to its end; one that breaks off is asked for again, at another gateway.
    async fn whole(&self, path: &str) -> Result<Whole, ClientError> {
        let began = Instant::now();
        loop {
            let answer = self.call(Method::GET, path, |request| request).await?;
            let (gateway, headers) = (answer.url().clone(), answer.headers().clone());
            match answer.bytes().await {
                Ok(body) => return Ok(Whole { gateway, headers, body }),
                Err(error) if began.elapsed() > self.patience => {
                    return Err(ClientError::of_transport(&gateway, &error));
                }
                Err(error) => tracing::debug!(%gateway, %error, "the answer broke off; trying the next gateway"),
            }
            self.current.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }

    /// Sends a request until a gateway gives an answer that will not change by asking again, or patience ends.
    async fn call(
        &self,
        method: Method,
        path: &str,
        shape: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, ClientError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let index = self.current.load(Ordering::Relaxed) % self.gateways.len();
            let gateway = &self.gateways[index];
            let request = self.http.request(method.clone(), at(gateway, path)).bearer_auth(self.token()?);
            let error = match shape(request).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => problem(gateway, answer).await,
                Err(error) => ClientError::of_transport(gateway, &error),
            };
            if !error.may_pass() || began.elapsed() + pause > self.patience {
                return Err(error);
            }
            tracing::debug!(%gateway, %error, "trying the next gateway");
            self.current.store(index + 1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn token(&self) -> Result<String, ClientError> {
        let issuer = match &self.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            Credentials::Issuer(issuer) => issuer,
        };
        let mut kept = self.token.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((token, made)) = kept.as_ref()
            && made.elapsed() < TOKEN_RENEWAL
        {
            return Ok(token.clone());
        }
        let subject = "scrapering-cli".to_owned();
        let grant = Grant { subject, tenant: Tenant::default(), scopes: Scopes::all(), ttl: TOKEN_TTL };
        let token = issuer.issue(&grant).map_err(ClientError::Token)?;
        *kept = Some((token.clone(), Instant::now()));
        Ok(token)
    }
}

fn at(gateway: &Url, path: &str) -> String {
    format!("{}{path}", gateway.as_str().trim_end_matches('/'))
}

async fn problem(gateway: &Url, answer: Response) -> ClientError {
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<ProblemBody>(&body) {
        Ok(problem) if !problem.slug().is_empty() => ClientError::Problem(problem),
        // What stands between us and the ring, such as a load balancer, says these without a body of ours.
        _ if [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT]
            .contains(&status) =>
        {
            ClientError::Unreachable { gateway: gateway.clone(), reason: format!("status {status}") }
        }
        _ => ClientError::strange(gateway, &format!("status {status} without a problem body")),
    }
}

/// A name for one change: sent again under it, the change is not made twice.
fn operation() -> String {
    format!("{:032x}", rand::random::<u128>().max(1))
}

async fn json<T: DeserializeOwned>(answer: Response) -> Result<T, ClientError> {
    let gateway = answer.url().clone();
    let body = answer.bytes().await.map_err(|error| ClientError::of_transport(&gateway, &error))?;
    parsed(&gateway, &body)
}

fn parsed<T: DeserializeOwned>(gateway: &Url, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body)
        .map_err(|error| ClientError::strange(gateway, &format!("a body that cannot be read: {error}")))
}

#[cfg(test)]
mod tests;
