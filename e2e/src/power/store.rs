//! The key-value store as any HTTP client sees it, with every answer sorted by what it says about the write.

use super::ledger::{Key, Outcome, Serial, value};
use crate::door;
use anyhow::bail;
use reqwest::{Client, Method, Response, StatusCode};
use std::path::Path;
use std::time::Duration;

/// How long an answer may take; the gateway gives itself less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(70);
/// How long a connection may take on a busy machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What must be so for a write to be made.
#[derive(Debug, Clone, Copy)]
pub enum Condition<'a> {
    /// Nothing.
    None,
    /// There is no value yet: `If-None-Match: *`.
    Absent,
    /// The value has this version: `If-Match`.
    Version(&'a str),
}

/// How a write was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// As every write may end.
    Ended(Outcome),
    /// The condition did not hold: what the answer says about the version that is there.
    Unmet(String),
}

/// The gateways of a ring. A cheap clone.
#[derive(Debug, Clone)]
pub struct Store {
    http: Client,
    token: String,
    gateways: Vec<String>,
    /// First half of every operation's id.
    run: u64,
}

impl Store {
    /// The store of the ring whose CA certificate is the file `ca`, at its `gateways` (`https://host:port`).
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn new(ca: &Path, token: &str, gateways: Vec<String>) -> anyhow::Result<Self> {
        let http = door::client(ca)?.timeout(ANSWER_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build()?;
        Ok(Self { http, token: token.trim().to_owned(), gateways, run: rand::random() })
    }

    /// Puts the value of the write `serial` at `key` through the gateway in `place`.
    ///
    /// # Errors
    /// An answer that no client of the store should ever get.
    pub async fn put(
        &self,
        place: usize,
        key: Key,
        serial: Serial,
        condition: Condition<'_>,
    ) -> anyhow::Result<Written> {
        let request = self.change(Method::PUT, place, key, serial).header("content-type", "application/octet-stream");
        let request = match condition {
            Condition::None => request,
            Condition::Absent => request.header("if-none-match", "*"),
            Condition::Version(etag) => request.header("if-match", etag),
        };
        sort(request.body(value(key, serial)).send().await, &[StatusCode::OK, StatusCode::CREATED]).await
    }

    /// Deletes what is at `key` through the gateway in `place`.
    ///
    /// # Errors
    /// An answer that no client of the store should ever get.
    pub async fn delete(&self, place: usize, key: Key, serial: Serial) -> anyhow::Result<Written> {
        sort(self.change(Method::DELETE, place, key, serial).send().await, &[StatusCode::NO_CONTENT]).await
    }

    /// Reads `key` through the gateway in `place`, up to date.
    ///
    /// # Errors
    /// The gateway does not know.
    pub async fn read(&self, place: usize, key: Key) -> anyhow::Result<Option<Vec<u8>>> {
        found(self.request(Method::GET, place, &key.to_string()).send().await?).await
    }

    /// Reads the copy of `key` of one replica, which may be old.
    ///
    /// # Errors
    /// There is none that can be read.
    pub async fn read_any(&self, place: usize, key: Key) -> anyhow::Result<Option<Vec<u8>>> {
        found(self.request(Method::GET, place, &format!("{key}?consistency=any")).send().await?).await
    }

    fn change(&self, method: Method, place: usize, key: Key, serial: Serial) -> reqwest::RequestBuilder {
        self.request(method, place, &key.to_string()).header("operation-id", format!("{:016x}{serial:016x}", self.run))
    }

    fn request(&self, method: Method, place: usize, key: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/v1/kv/{key}", self.gateways[place])).bearer_auth(&self.token)
    }
}

async fn sort(answer: reqwest::Result<Response>, done: &[StatusCode]) -> anyhow::Result<Written> {
    let answer = match answer {
        Ok(answer) => answer,
        // Nothing was sent: the gateway is down.
        Err(error) if error.is_connect() => return Ok(Written::Ended(Outcome::Refused)),
        Err(_) => return Ok(Written::Ended(Outcome::Unknown)),
    };
    let etag = answer.headers().get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(match answer.status() {
        status if done.contains(&status) => {
            if status != StatusCode::NO_CONTENT && etag.is_none() {
                bail!("{status} without an ETag");
            }
            Written::Ended(Outcome::Acknowledged(etag))
        }
        StatusCode::PRECONDITION_FAILED => {
            Written::Unmet(format!("the version that is there: {}; {}", etag.unwrap_or_default(), words(answer).await))
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Written::Ended(Outcome::Refused),
        status if status.is_server_error() => Written::Ended(Outcome::Unknown),
        status => bail!("{status}: {}", words(answer).await),
    })
}

async fn found(answer: Response) -> anyhow::Result<Option<Vec<u8>>> {
    match answer.status() {
        StatusCode::OK => Ok(Some(answer.bytes().await?.to_vec())),
        StatusCode::NOT_FOUND => Ok(None),
        status => bail!("{status}: {}", words(answer).await),
    }
}

async fn words(answer: Response) -> String {
    answer.text().await.unwrap_or_default().chars().take(300).collect()
}
