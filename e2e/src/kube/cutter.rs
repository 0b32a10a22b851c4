//! A way to the API server that can be cut: it counts the writes that change something, and says which was the last.
//!
//! The operator is given this address; after the write with a chosen number nothing passes any more, in neither direction:
//! the server has done what it was told, and the operator never hears of it.

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use reqwest::{Certificate, Client};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Longest request that is passed on, bytes.
const LONGEST_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The way, and what has passed. Dropped, it is closed.
pub struct Cutter {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    server: String,
    token: String,
    http: Client,
    passed: Mutex<Passed>,
}

/// Where the way is cut, counted in writes that change something; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Just before this write, which never reaches the server.
    Before(usize),
    /// Just after this write: the server has done it, and the operator never hears of it.
    After(usize),
}

#[derive(Default)]
struct Passed {
    calls: u64,
    writes: Vec<String>,
    cut: Option<Cut>,
    /// The write that was kept from the server.
    kept: Option<String>,
    /// The version of each object after its last write, so that a write which changes nothing can be told.
    versions: BTreeMap<String, String>,
}

impl Passed {
    /// Whether a write changed its object, by the answer to it.
    fn has_changed(&mut self, path: &str, answer: &[u8]) -> bool {
        let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
        let Some(version) = answer["metadata"]["resourceVersion"].as_str() else { return true };
        let before = self.versions.insert(path.trim_end_matches("/status").to_owned(), version.to_owned());
        before.as_deref() != Some(version)
    }

    fn is_cut(&self) -> bool {
        self.kept.is_some() || matches!(self.cut, Some(Cut::After(last)) if self.writes.len() >= last)
    }

    /// Cuts the way instead of letting a write pass that it is to be cut before.
    fn keeps(&mut self, write: &str) -> bool {
        let is_kept = matches!(self.cut, Some(Cut::Before(first)) if self.writes.len() + 1 >= first);
        if is_kept {
            self.kept = Some(write.to_owned());
        }
        is_kept
    }
}

impl Cutter {
    /// Opens a way to the server at `server` (`https://...`), whose files are in `folder`; all passes with this token.
    ///
    /// # Errors
    /// The files cannot be read.
    pub async fn open(server: &str, folder: &Path, token: String) -> anyhow::Result<Self> {
        let authority = Certificate::from_pem(&std::fs::read(folder.join("ca.crt"))?)?;
        let http =
            Client::builder().tls_certs_only([authority]).no_proxy().build().context("a client for the API server")?;
        let shared = Arc::new(Shared { server: server.to_owned(), token, http, passed: Mutex::default() });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // It serves until it is dropped; a way that broke shows as a server that does not answer.
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, shared, task })
    }

    /// A kubeconfig that leads this way.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: cut\n\
             clusters: [{{name: cut, cluster: {{server: \"http://{}\"}}}}]\n\
             users: [{{name: cut, user: {{}}}}]\ncontexts: [{{name: cut, context: {{cluster: cut, user: cut}}}}]\n",
            self.address
        )
    }

    /// Forgets what has passed, and cuts there; `None` lets everything pass.
    pub fn reset(&self, cut: Option<Cut>) {
        let mut passed = self.passed();
        passed.writes.clear();
        passed.calls = 0;
        (passed.cut, passed.kept) = (cut, None);
    }

    /// Calls of any kind that have passed since, but for those about the operator's lease.
    pub fn calls(&self) -> u64 {
        self.passed().calls
    }

    /// The write that was kept from the server, if the way was cut before one.
    pub fn kept(&self) -> Option<String> {
        self.passed().kept.clone()
    }

    /// The writes that have passed since, in order, as `METHOD path`.
    pub fn writes(&self) -> Vec<String> {
        self.passed().writes.clone()
    }

    /// Whether the way is cut by now.
    pub fn is_cut(&self) -> bool {
        self.passed().is_cut()
    }

    fn passed(&self) -> std::sync::MutexGuard<'_, Passed> {
        self.shared.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Leases and events are no part of an operation.
fn counts(method: &Method, path: &str) -> bool {
    let is_write = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    is_write && !path.contains("/leases") && !path.contains("/events")
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match forward(&shared, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn forward(shared: &Shared, request: Request) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let passed = || shared.passed.lock().unwrap_or_else(PoisonError::into_inner);
    let is_write = counts(&parts.method, &path);
    let what = path.split('?').next().unwrap_or_default().to_owned();
    let name = format!("{} {what}", parts.method);
    let stops = |passed: &mut Passed| passed.is_cut() || (is_write && passed.keeps(&name));
    if stops(&mut passed()) {
        return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
    }
    if !path.contains("/leases") {
        passed().calls += 1;
    }
    let mut headers = parts.headers;
    for hop in ["host", "connection", "content-length", "transfer-encoding", "accept-encoding"] {
        headers.remove(hop);
    }
    let body = axum::body::to_bytes(body, LONGEST_BODY_BYTES).await?;
    let url = format!("{}{path}", shared.server);
    let asked = shared.http.request(parts.method, url).headers(headers).bearer_auth(&shared.token);
    let answer = asked.body(body).send().await?;
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    if !is_write {
        return Ok(response.body(Body::from_stream(answer.bytes_stream()))?);
    }
    let is_done = answer.status().is_success();
    let bytes = answer.bytes().await?;
    let mut passed = passed();
    if is_done && passed.has_changed(&what, &bytes) {
        passed.writes.push(name);
    }
    // The write that was the last one is done, and nobody hears of it.
    if passed.is_cut() {
        return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
    }
    Ok(response.body(Body::from(bytes))?)
}
