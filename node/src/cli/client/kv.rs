//! The key-value store through any gateway: changes are named, and an outcome that the ring does not
//! know is settled by reading, before the user is told that nobody knows.

use super::{Client, ClientError, FIRST_PAUSE, LONGEST_PAUSE, OPERATION_ID, at, operation, problem};
use crate::gateway::KvList;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use scrapering_core::kv::UserKey;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use url::Url;

/// How long is read to settle an unknown outcome.
const SETTLE: Duration = Duration::from_secs(4);

/// What a key holds.
#[derive(Debug)]
pub(in crate::cli) struct Got {
    /// Its version.
    pub(in crate::cli) version: u64,
    /// Its media type.
    pub(in crate::cli) content_type: String,
    /// The operation that wrote it.
    pub(in crate::cli) operation: String,
    /// Its content.
    pub(in crate::cli) content: Vec<u8>,
}

/// A change of a key.
#[derive(Clone, Debug)]
pub(in crate::cli) enum KvChange {
    /// Set it, whatever is there.
    Put(Content),
    /// Set it if nothing is there.
    Create(Content),
    /// Set it if it is in this version.
    CompareAndSet(u64, Content),
    /// Remove it; if a version is given, only that one.
    Delete(Option<u64>),
}

/// New content of a key.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Content {
    /// Its media type; empty for none.
    pub(in crate::cli) content_type: String,
    /// The bytes.
    pub(in crate::cli) bytes: Vec<u8>,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Changed {
    /// It is done; the version, unless the key was removed.
    Done(Option<u64>),
    /// The key is in another version, or holds nothing (`None`). Nothing changed.
    Conflict(Option<u64>),
}

/// What reading tells of a change whose outcome is not known.
#[derive(Debug, PartialEq, Eq)]
enum Settled {
    Changed(Changed),
    /// It was not done so far, and may be sent again under the same name.
    SendAgain,
    /// Others have changed the key since.
    Unknown,
}

/// One attempt at a change.
enum Attempt {
    Answer(Response),
    /// It was not done.
    NotDone(ClientError),
    /// It may have been done.
    Unknown(ClientError),
}

impl Client {
    /// What `key` holds; `any`: what one replica has, however old.
    pub(in crate::cli) async fn kv_get(&self, key: &UserKey, any: bool) -> Result<Option<Got>, ClientError> {
        let query = if any { "?consistency=any" } else { "" };
        let answer = match self.call(Method::GET, &format!("{}{query}", kv_path(key)), |request| request).await {
            Ok(answer) => answer,
            Err(error) if error.slug() == Some("key-not-found") => return Ok(None),
            Err(error) => return Err(error),
        };
        let gateway = answer.url().clone();
        let headers = answer.headers().clone();
        let version = version(&headers).ok_or_else(|| ClientError::strange(&gateway, "a value without its version"))?;
        let content = answer.bytes().await.map_err(|error| ClientError::of_transport(&gateway, &error))?.to_vec();
        let (content_type, operation) = (text(&headers, CONTENT_TYPE.as_str()), text(&headers, OPERATION_ID));
        Ok(Some(Got { version, content_type, operation, content }))
    }

    /// Keys that begin with `prefix`, behind `cursor`.
    pub(in crate::cli) async fn kv_list(&self, prefix: &str, cursor: &str) -> Result<KvList, ClientError> {
        let query = [("prefix", prefix), ("cursor", cursor), ("limit", "1000")];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.read(&format!("/v1/kv?{query}")).await
    }

    /// Makes a change exactly once.
    ///
    /// [`ClientError::Unknown`] if it may or may not have been made, and reading does not tell.
    pub(in crate::cli) async fn kv_change(&self, key: &UserKey, change: &KvChange) -> Result<Changed, ClientError> {
        let operation = operation();
        let shape = |request: RequestBuilder| shaped(request.header(OPERATION_ID, &operation), change);
        let method = if matches!(change, KvChange::Delete(_)) { Method::DELETE } else { Method::PUT };
        let (path, mut settled_at) = (kv_path(key), None);
        loop {
            let cause = match self.attempt(method.clone(), &path, &shape).await? {
                Attempt::Answer(answer) => return Ok(changed(&answer)),
                Attempt::NotDone(error) => return Err(error),
                Attempt::Unknown(error) => error,
            };
            let began = *settled_at.get_or_insert_with(Instant::now);
            match self.settle(key, change, &operation, began).await {
                Some(Settled::Changed(changed)) => return Ok(changed),
                Some(Settled::SendAgain) if began.elapsed() < SETTLE => {}
                _ => return Err(ClientError::Unknown { operation, cause: cause.to_string() }),
            }
        }
    }

    /// Reads until it is clear what became of the change, or it is clear that it will not be.
    async fn settle(&self, key: &UserKey, change: &KvChange, operation: &str, began: Instant) -> Option<Settled> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Ok(found) = self.look(key).await {
                let settled = judge(change, operation, &found);
                if settled != Settled::Unknown {
                    return Some(settled);
                }
            }
            if began.elapsed() + pause > SETTLE {
                return None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The key's version and who wrote it, be it removed.
    async fn look(&self, key: &UserKey) -> Result<Found, ClientError> {
        let gateway = self.gateway();
        let request = self.http.get(at(&gateway, &kv_path(key))).bearer_auth(self.token()?);
        let answer = request.send().await.map_err(|error| self.next_gateway(&gateway, &error))?;
        let operation = text(answer.headers(), OPERATION_ID);
        match answer.status() {
            StatusCode::OK => Ok(Found { version: version(answer.headers()), operation }),
            StatusCode::NOT_FOUND => Ok(Found { version: None, operation }),
            _ => Err(problem(&gateway, answer).await),
        }
    }

    /// Sends a change until it is answered, or may have been done.
    async fn attempt(
        &self,
        method: Method,
        path: &str,
        shape: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Attempt, ClientError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let gateway = self.gateway();
            let request = self.http.request(method.clone(), at(&gateway, path)).bearer_auth(self.token()?);
            let error = match shape(request).send().await {
                Ok(answer) if is_verdict(answer.status()) => return Ok(Attempt::Answer(answer)),
                Ok(answer) => problem(&gateway, answer).await,
                Err(error) if error.is_connect() => ClientError::of_transport(&gateway, &error),
                Err(error) => return Ok(Attempt::Unknown(self.next_gateway(&gateway, &error))),
            };
            match &error {
                ClientError::Problem(problem) if problem.slug() == "unavailable" => {}
                // A connection that was not made; what a balancer says is not what the ring says.
                ClientError::Unreachable { reason, .. } if !reason.starts_with("status ") => {}
                ClientError::Problem(problem) if problem.status < 500 => return Ok(Attempt::NotDone(error)),
                ClientError::Problem(_) | ClientError::Unreachable { .. } => return Ok(Attempt::Unknown(error)),
                _ => return Ok(Attempt::NotDone(error)),
            }
            self.skip_gateway();
            if began.elapsed() + pause > self.patience {
                return Ok(Attempt::NotDone(error));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn gateway(&self) -> Url {
        self.gateways[self.current.load(Ordering::Relaxed) % self.gateways.len()].clone()
    }

    fn skip_gateway(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    fn next_gateway(&self, gateway: &Url, error: &reqwest::Error) -> ClientError {
        self.skip_gateway();
        ClientError::of_transport(gateway, error)
    }
}

/// A key's version, `None` if it holds nothing, and the operation that made it so; empty if there was none.
#[derive(Debug)]
struct Found {
    version: Option<u64>,
    operation: String,
}

/// What `found` tells of a change that may have been made under the name `operation`.
fn judge(change: &KvChange, operation: &str, found: &Found) -> Settled {
    if found.operation == operation {
        return Settled::Changed(Changed::Done(found.version));
    }
    let never_written = found.version.is_none() && found.operation.is_empty();
    match (change, found.version) {
        (KvChange::Put(_) | KvChange::Create(_), _) if never_written => Settled::SendAgain,
        (KvChange::Create(_), Some(1)) => Settled::Changed(Changed::Conflict(Some(1))),
        // Nothing is there: that is what was asked for.
        (KvChange::Delete(_), None) => Settled::Changed(Changed::Done(None)),
        (KvChange::CompareAndSet(expected, _) | KvChange::Delete(Some(expected)), Some(version)) => {
            match version.checked_sub(*expected) {
                Some(0) => Settled::SendAgain,
                // The only version that this change could have made was made by another.
                Some(1) => Settled::Changed(Changed::Conflict(Some(version))),
                _ => Settled::Unknown,
            }
        }
        _ => Settled::Unknown,
    }
}

fn shaped(request: RequestBuilder, change: &KvChange) -> RequestBuilder {
    let tag = |version: &u64| format!("\"{version}\"");
    let with = |request: RequestBuilder, content: &Content| {
        let typed = !content.content_type.is_empty();
        let request = if typed { request.header(CONTENT_TYPE, &content.content_type) } else { request };
        request.body(content.bytes.clone())
    };
    match change {
        KvChange::Put(content) => with(request, content),
        KvChange::Create(content) => with(request.header(IF_NONE_MATCH, "*"), content),
        KvChange::CompareAndSet(version, content) => with(request.header(IF_MATCH, tag(version)), content),
        KvChange::Delete(Some(version)) => request.header(IF_MATCH, tag(version)),
        KvChange::Delete(None) => request,
    }
}

/// Whether the status says for sure what became of a change.
fn is_verdict(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::PRECONDITION_FAILED
}

fn changed(answer: &Response) -> Changed {
    let version = version(answer.headers());
    if answer.status().is_success() { Changed::Done(version) } else { Changed::Conflict(version) }
}

fn kv_path(key: &UserKey) -> String {
    format!("/v1/kv/{}", escaped(key.as_str()))
}

/// The text for a URL's path: slashes stay, everything else but plain letters, digits and `-_.~` is escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path += &format!("%{byte:02X}");
        }
    }
    path
}

fn version(headers: &HeaderMap) -> Option<u64> {
    text(headers, ETAG.as_str()).trim_matches('"').parse().ok()
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: Option<u64>, operation: &str) -> Found {
        Found { version, operation: operation.to_owned() }
    }

    #[test]
    fn an_unknown_outcome_is_settled_by_what_is_there() {
        let content = || Content { content_type: String::new(), bytes: Vec::new() };
        let done = |version| Settled::Changed(Changed::Done(version));
        let conflict = |version| Settled::Changed(Changed::Conflict(Some(version)));
        for (change, found, expected) in [
            (KvChange::Put(content()), found(Some(7), "mine"), done(Some(7))),
            (KvChange::Put(content()), found(Some(7), "other"), Settled::Unknown),
            (KvChange::Put(content()), found(None, ""), Settled::SendAgain),
            (KvChange::Put(content()), found(None, "other"), Settled::Unknown),
            (KvChange::Create(content()), found(Some(1), "other"), conflict(1)),
            (KvChange::Create(content()), found(Some(3), "other"), Settled::Unknown),
            (KvChange::Create(content()), found(None, ""), Settled::SendAgain),
            (KvChange::CompareAndSet(7, content()), found(Some(8), "mine"), done(Some(8))),
            (KvChange::CompareAndSet(7, content()), found(Some(7), "other"), Settled::SendAgain),
            (KvChange::CompareAndSet(7, content()), found(Some(8), "other"), conflict(8)),
            (KvChange::CompareAndSet(7, content()), found(Some(9), "other"), Settled::Unknown),
            (KvChange::CompareAndSet(7, content()), found(None, "other"), Settled::Unknown),
            (KvChange::Delete(None), found(None, "mine"), done(None)),
            (KvChange::Delete(None), found(None, "other"), done(None)),
            (KvChange::Delete(None), found(Some(7), "other"), Settled::Unknown),
            (KvChange::Delete(Some(7)), found(Some(7), "other"), Settled::SendAgain),
        ] {
            assert_eq!(judge(&change, "mine", &found), expected, "{change:?} {found:?}");
        }
    }

    #[test]
    fn any_key_travels_in_a_path() {
        for (text, path) in [("a/b", "a/b"), ("naïve key?#%", "na%C3%AFve%20key%3F%23%25"), ("..a", "..a")] {
            assert_eq!(escaped(text), path);
        }
    }
}
