//! A ring's HTTP gateway, spoken to as any other program would: TLS by the ring's CA, a token, JSON and NDJSON.

use anyhow::{Context, bail, ensure};
use reqwest::{Certificate, Client, ClientBuilder, Method, StatusCode};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an answer may take; the gateway gives itself less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(70);
/// How long a ring that has too few nodes, or whose gateways are down, is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// `Scrapering-Cursor`, where the answer is a piece of a list.
    pub cursor: Option<String>,
    /// `Scrapering-Complete: true`.
    pub complete: bool,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{}: {} is no JSON", self.status, self.body))
    }
}

/// A piece of a list.
#[derive(Debug)]
pub struct Piece {
    /// The entries.
    pub entries: Vec<Value>,
    /// Hands out what follows.
    pub cursor: String,
    /// The job has ended and nothing follows.
    pub complete: bool,
}

/// Gateways of one ring, in the order in which they are asked. A cheap clone.
#[derive(Debug, Clone)]
pub struct Door {
    http: Client,
    token: String,
    gateways: Vec<String>,
}

impl Door {
    /// A door of the ring whose CA certificate is the file `ca`, to its `gateways` (`https://host:port`).
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn new(ca: &Path, token: &str, gateways: Vec<String>) -> anyhow::Result<Self> {
        Ok(Self::through(client(ca)?.timeout(ANSWER_TIMEOUT).build()?, token, gateways))
    }

    /// A door that speaks through `http`.
    pub fn through(http: Client, token: &str, gateways: Vec<String>) -> Self {
        Self { http, token: token.trim().to_owned(), gateways }
    }

    /// The same ring through one gateway only, by its place in the list.
    pub fn only(&self, place: usize) -> Self {
        Self { gateways: vec![self.gateways[place].clone()], ..self.clone() }
    }

    /// The same door with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The token that is shown.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Asks the first gateway once, whatever it answers.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&str>) -> anyhow::Result<Answer> {
        self.ask_at(&self.gateways[0], method, path, body).await
    }

    /// Submits a job; its id.
    ///
    /// # Errors
    /// The ring refuses it, or no gateway answers.
    pub async fn submit(&self, document: &str) -> anyhow::Result<String> {
        let job = self.persist(Method::POST, "/v1/jobs", Some(document)).await?.json()?;
        Ok(job["metadata"]["uid"].as_str().with_context(|| format!("no id in {job}"))?.to_owned())
    }

    /// A job.
    ///
    /// # Errors
    /// There is none, or no gateway answers.
    pub async fn job(&self, id: &str) -> anyhow::Result<Value> {
        self.persist(Method::GET, &format!("/v1/jobs/{id}"), None).await?.json()
    }

    /// A job that has ended, whatever became of it. Meanwhile no gateway needs to answer.
    ///
    /// # Errors
    /// It does not end within `limit`.
    pub async fn ended(&self, id: &str, limit: Duration) -> anyhow::Result<Value> {
        until(&format!("the end of job {id}"), limit, async || {
            let Ok(job) = self.job(id).await else { return Ok(None) };
            let phase = job["status"]["phase"].as_str().unwrap_or_default();
            Ok(["Completed", "Failed", "Cancelled"].contains(&phase).then_some(job))
        })
        .await
    }

    /// A job that is complete.
    ///
    /// # Errors
    /// As [`Door::ended`], or it ends otherwise.
    pub async fn completed(&self, id: &str, limit: Duration) -> anyhow::Result<Value> {
        let job = self.ended(id, limit).await?;
        ensure!(job["status"]["phase"] == "Completed", "{job}");
        Ok(job)
    }

    /// Entries of `list` (`items` or `skipped`) behind `cursor`, about `limit`.
    ///
    /// # Errors
    /// There is no such job, or no gateway answers.
    pub async fn piece(&self, id: &str, list: &str, cursor: &str, limit: usize) -> anyhow::Result<Piece> {
        // Cursors are made of letters that stand for themselves in a query.
        let path = format!("/v1/jobs/{id}/{list}?cursor={cursor}&limit={limit}");
        let answer = self.persist(Method::GET, &path, None).await?;
        let entries = answer.body.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let cursor = answer.cursor.context("a list without its cursor")?;
        Ok(Piece { entries, cursor, complete: answer.complete })
    }

    /// A whole list of a job that has ended.
    ///
    /// # Errors
    /// As [`Door::piece`]; or the list does not end.
    pub async fn list(&self, id: &str, list: &str) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        until(&format!("the end of the {list} of {id}"), PATIENCE, async || {
            let piece = self.piece(id, list, &cursor, 1000).await?;
            all.extend(piece.entries);
            cursor = piece.cursor;
            Ok(piece.complete.then_some(()))
        })
        .await?;
        Ok(all)
    }

    /// Names of the nodes that own the host of `url`, the first one first.
    ///
    /// # Errors
    /// No gateway answers.
    pub async fn owners(&self, url: &str) -> anyhow::Result<Vec<String>> {
        let lookup = self.persist(Method::GET, &format!("/v1/ring/lookup?key={url}"), None).await?.json()?;
        let owners = lookup["owners"].as_array().with_context(|| format!("no owners in {lookup}"))?;
        Ok(owners.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Asks one gateway after the other until the ring has an answer that another attempt would not change.
    async fn persist(&self, method: Method, path: &str, body: Option<&str>) -> anyhow::Result<Answer> {
        let began = Instant::now();
        let mut last = String::new();
        for gateway in self.gateways.iter().cycle() {
            match self.ask_at(gateway, method.clone(), path, body).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) if !answer.status.is_server_error() => {
                    bail!("{method} {path} at {gateway}: {} {}", answer.status, answer.body)
                }
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(error) => last = format!("{error:#}"),
            }
            if began.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!(
            "no gateway of {:?} has served {method} {path} for {PATIENCE:?}; the last one said: {last}",
            self.gateways
        )
    }

    async fn ask_at(&self, gateway: &str, method: Method, path: &str, body: Option<&str>) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("{gateway}{path}")).bearer_auth(&self.token);
        if let Some(body) = body {
            let content_type = if body.starts_with('{') { "application/json" } else { "application/yaml" };
            request = request.header("content-type", content_type).body(body.to_owned());
        }
        let answer = request.send().await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (cursor, complete) =
            (header("scrapering-cursor"), header("scrapering-complete").as_deref() == Some("true"));
        Ok(Answer { status: answer.status(), cursor, complete, body: answer.text().await? })
    }
}

/// A client in the making that trusts only the CA certificate in the file `ca`.
///
/// # Errors
/// The certificate cannot be read.
pub fn client(ca: &Path) -> anyhow::Result<ClientBuilder> {
    // Another part of this process may have been first: the provider is the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pem = std::fs::read(ca).with_context(|| format!("{} cannot be read", ca.display()))?;
    Ok(Client::builder().tls_certs_only(Certificate::from_pem_bundle(&pem)?).no_proxy())
}

/// Looks again and again until `look` finds something.
///
/// # Errors
/// It found nothing within `limit`, or failed.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if began.elapsed() > limit {
            bail!("{what} did not come within {limit:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
