//! One call of a client on one key, and what may be concluded from the answer.
//!
//! The contract of `/v1/kv/{key}`: 503 means not done, 504 and silence mean nobody knows, 412 names the version that
//! stood in the way. Every written content is made from its operation's number, so a read says whose content it saw.

use super::history::{Action, Outcome, Shown};
use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Client, Method, Response, StatusCode};
use std::error::Error as _;

/// Longest content, bytes.
const LONGEST: u64 = 2_048;
/// The header that carries an operation's number.
const OPERATION_ID: &str = "operation-id";

/// An answer, as far as it was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How the call ended.
    pub outcome: Outcome,
    /// The HTTP status; none without an answer.
    pub status: Option<u16>,
    /// The register that the answer shows.
    pub shown: Option<Shown>,
    /// What no client should get.
    pub oddity: Option<String>,
    /// Whether nobody was there, or nobody answered.
    pub silent: bool,
    /// Whether it came by HTTP/2.
    pub http2: bool,
}

impl Answer {
    fn of(outcome: Outcome) -> Self {
        Self { outcome, status: None, shown: None, oddity: None, silent: false, http2: false }
    }

    fn odd(self, oddity: String) -> Self {
        Self { outcome: Outcome::Unknown, shown: None, oddity: Some(oddity), ..self }
    }
}

/// What every call of a run carries.
#[derive(Debug, Clone)]
pub struct Signature {
    /// The high half of every operation id.
    pub run: u64,
    /// The token.
    pub token: String,
}

impl Signature {
    /// An operation's id on the wire: 32 hex digits.
    pub fn operation_id(&self, operation: u64) -> String {
        format!("{:016x}{operation:016x}", self.run)
    }

    /// The content that an operation writes: its id, filled up to a length that depends on it.
    pub fn content(&self, operation: u64) -> String {
        let id = self.operation_id(operation);
        // Multiplied by an odd number, so that neighbours differ in length.
        let fill = operation.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (LONGEST - 32);
        id.clone() + &".".repeat(usize::try_from(fill).unwrap_or(0))
    }

    /// The operation whose id this is, if it is one of this run.
    pub fn operation_of(&self, id: &str) -> Option<u64> {
        let (run, operation) = id.split_at_checked(16)?;
        let number = |hex: &str| u64::from_str_radix(hex, 16).ok();
        (id.len() == 32 && number(run)? == self.run).then(|| number(operation))?
    }

    /// Asks the gateway at `base` for `action` on `key`, once.
    pub async fn call(&self, http: &Client, base: &str, key: &str, action: Action, operation: u64) -> Answer {
        let method = match action {
            Action::Get => Method::GET,
            Action::Put | Action::Create | Action::CompareAndSet { .. } => Method::PUT,
            Action::Delete { .. } => Method::DELETE,
        };
        let mut request = http.request(method, format!("{base}/v1/kv/{key}")).bearer_auth(&self.token);
        request = match action {
            Action::Create => request.header(IF_NONE_MATCH, "*"),
            Action::CompareAndSet { version } | Action::Delete { version: Some(version) } => {
                request.header(IF_MATCH, format!("\"{version}\""))
            }
            Action::Get | Action::Put | Action::Delete { version: None } => request,
        };
        if action.is_change() {
            request = request.header(OPERATION_ID, self.operation_id(operation));
        }
        if matches!(action, Action::Put | Action::Create | Action::CompareAndSet { .. }) {
            request = request.header(CONTENT_TYPE, "text/plain").body(self.content(operation));
        }
        match request.send().await {
            Ok(response) => self.understand(response, action, operation).await,
            // Nothing was sent on a connection that was never made.
            Err(error) if error.is_connect() => Answer { silent: true, ..Answer::of(Outcome::Unavailable) },
            Err(error) if error.is_builder() => Answer::of(Outcome::Unavailable).odd(format!("{error:?}")),
            Err(_) => Answer { silent: true, ..Answer::of(Outcome::Unknown) },
        }
    }

    async fn understand(&self, response: Response, action: Action, operation: u64) -> Answer {
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let version = header(ETAG.as_str()).and_then(|tag| tag.trim_matches('"').parse().ok());
        let writer = header(OPERATION_ID);
        let http2 = response.version() == reqwest::Version::HTTP_2;
        let answer = Answer { status: Some(status.as_u16()), http2, ..Answer::of(Outcome::Unknown) };
        let body = match response.text().await {
            Ok(body) => body,
            // The head alone says that a change was done; a read has seen nothing yet.
            Err(error) if error.source().is_some() && action == Action::Get => return answer,
            Err(_) => String::new(),
        };
        let shown = |present, operation| Some(Shown { present, version, operation });
        let told = |outcome, shown| Answer { outcome, shown, ..answer.clone() };
        match (status, action) {
            (StatusCode::OK, Action::Get) => self.check_content(&answer, version, writer, &body),
            (StatusCode::NOT_FOUND, Action::Get) if is_problem(&body, "key-not-found") => {
                told(Outcome::Done, shown(false, None))
            }
            (StatusCode::OK | StatusCode::CREATED, Action::Put | Action::Create | Action::CompareAndSet { .. }) => {
                match version {
                    Some(_) => told(Outcome::Done, shown(true, Some(operation))),
                    None => answer.odd("a write that is done and has no version".to_owned()),
                }
            }
            (StatusCode::NO_CONTENT, Action::Delete { .. }) => told(Outcome::Done, shown(false, None)),
            (
                StatusCode::PRECONDITION_FAILED,
                Action::Create | Action::CompareAndSet { .. } | Action::Delete { .. },
            ) => {
                let writer = writer.as_deref().and_then(|id| self.operation_of(id));
                told(Outcome::Conflict, shown(version.is_some(), writer))
            }
            (StatusCode::GATEWAY_TIMEOUT, _) => answer,
            (StatusCode::SERVICE_UNAVAILABLE, _) if is_problem(&body, "unavailable") => {
                told(Outcome::Unavailable, None)
            }
            _ => answer
                .odd(format!("{action:?} was answered with {status}: {}", body.chars().take(300).collect::<String>())),
        }
    }

    /// A read must show one whole content, and name the operation that wrote it.
    fn check_content(&self, answer: &Answer, version: Option<u64>, writer: Option<String>, body: &str) -> Answer {
        let Some(operation) = body.get(..32).and_then(|id| self.operation_of(id)) else {
            return answer
                .clone()
                .odd(format!("a content that nobody wrote: {}", body.chars().take(80).collect::<String>()));
        };
        if body != self.content(operation) {
            return answer.clone().odd(format!("the content of operation {operation} is not what it wrote"));
        }
        if writer.as_deref() != Some(&self.operation_id(operation)) || version.is_none() {
            let oddity = format!("the content of operation {operation} comes as version {version:?} of {writer:?}");
            return answer.clone().odd(oddity);
        }
        let shown = Shown { present: true, version, operation: Some(operation) };
        Answer { outcome: Outcome::Done, shown: Some(shown), ..answer.clone() }
    }
}

/// Whether this is a problem document (RFC 9457) of that type.
fn is_problem(body: &str, name: &str) -> bool {
    let document: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let kind = document["type"].as_str().unwrap_or_default();
    kind.rsplit(['/', ':', '#']).next() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> Signature {
        Signature { run: 0xabc, token: String::new() }
    }

    #[test]
    fn a_content_names_its_operation_and_nobody_elses_is_taken_for_one() {
        let content = signature().content(77);
        assert_eq!(signature().operation_of(&content[..32]), Some(77));
        assert_eq!(Signature { run: 0xabd, ..signature() }.operation_of(&content[..32]), None);
        assert_eq!(signature().operation_of("77"), None);
        assert_ne!(signature().content(1).len(), signature().content(2).len());
    }

    #[test]
    fn a_content_that_is_cut_off_is_odd() {
        let answer = Answer::of(Outcome::Unknown);
        let id = signature().operation_id(5);
        let whole = signature().check_content(&answer, Some(3), Some(id.clone()), &signature().content(5));
        assert_eq!((whole.outcome, whole.oddity), (Outcome::Done, None));
        let cut = signature().check_content(&answer, Some(3), Some(id.clone()), &signature().content(5)[..40]);
        assert!(cut.oddity.is_some() && cut.outcome == Outcome::Unknown);
        let other =
            signature().check_content(&answer, Some(3), Some(signature().operation_id(6)), &signature().content(5));
        assert!(other.oddity.is_some());
        assert!(signature().check_content(&answer, None, Some(id), &signature().content(5)).oddity.is_some());
    }

    #[test]
    fn a_problem_is_known_by_the_last_word_of_its_type() {
        assert!(is_problem(r#"{"type":"https://example.org/problems/unavailable"}"#, "unavailable"));
        assert!(!is_problem(r#"{"type":"about:blank"}"#, "unavailable"));
        assert!(!is_problem("Bad gateway", "unavailable"));
    }
}
