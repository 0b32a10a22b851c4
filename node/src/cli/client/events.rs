//! Events of a watch, through any gateway: goes on at another one where a stream ends.

use super::kv::escaped;
use super::{Client, ClientError, FIRST_PAUSE, LONGEST_PAUSE, at, problem};
use crate::gateway::KvEvent;
use futures::StreamExt;
use reqwest::Response;
use scrapering_core::kv::UserKey;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Silence after which a stream is given up; gateways send a comment every 15 seconds.
const SILENCE: Duration = Duration::from_secs(40);
/// Longest stream; far beyond any.
const LONGEST_STREAM: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Most bytes of one event.
const LARGEST_EVENT_BYTES: usize = 64 * 1024;

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Told {
    /// `put`, `delete`, `reset` or `synced`.
    pub(in crate::cli) name: String,
    /// What it is about.
    pub(in crate::cli) data: KvEvent,
}

/// A watch that outlives gateways.
pub(in crate::cli) struct Events<'client> {
    client: &'client Client,
    path: String,
    last_id: Option<String>,
    stream: Option<Stream>,
}

struct Stream {
    body: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    parser: Parser,
}

impl Client {
    /// Watches one key.
    pub(in crate::cli) fn watch_key(&self, key: &UserKey) -> Events<'_> {
        self.events(format!("/v1/kv/{}?watch=true", escaped(key.as_str())))
    }

    /// Watches every key that begins with `prefix`.
    pub(in crate::cli) fn watch_prefix(&self, prefix: &str) -> Events<'_> {
        let query = [("prefix", prefix), ("watch", "true")];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.events(format!("/v1/kv?{query}"))
    }

    fn events(&self, path: String) -> Events<'_> {
        Events { client: self, path, last_id: None, stream: None }
    }
}

impl Events<'_> {
    /// The next event; waits for it across gateways that come and go.
    pub(in crate::cli) async fn next(&mut self) -> Result<Told, ClientError> {
        loop {
            if let Some(stream) = &mut self.stream
                && let Some((id, told)) = stream.next().await
            {
                self.last_id = Some(id);
                return Ok(told);
            }
            if self.stream.take().is_some() {
                self.client.current.fetch_add(1, Ordering::Relaxed);
            }
            let body = self.open().await?.bytes_stream().boxed();
            self.stream = Some(Stream { body, parser: Parser::default() });
        }
    }

    async fn open(&self) -> Result<Response, ClientError> {
        let (client, began, mut pause) = (self.client, Instant::now(), FIRST_PAUSE);
        loop {
            let index = client.current.load(Ordering::Relaxed) % client.gateways.len();
            let gateway = &client.gateways[index];
            let mut request = client.http.get(at(gateway, &self.path)).bearer_auth(client.token()?);
            if let Some(id) = &self.last_id {
                request = request.header("last-event-id", id);
            }
            let error = match request.timeout(LONGEST_STREAM).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => problem(gateway, answer).await,
                Err(error) => ClientError::of_transport(gateway, &error),
            };
            if !error.may_pass() || began.elapsed() + pause > client.patience {
                return Err(error);
            }
            client.current.store(index + 1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Stream {
    /// The next event and its id; `None` when the stream has ended.
    async fn next(&mut self) -> Option<(String, Told)> {
        loop {
            if let Some(event) = self.parser.next() {
                return Some(event);
            }
            let piece = tokio::time::timeout(SILENCE, self.body.next()).await.ok()??.ok()?;
            self.parser.push(&piece)?;
        }
    }
}

/// Reads server-sent events (HTML standard, section 9.2), as far as gateways use them.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    /// `None` if what comes is no event of ours.
    fn push(&mut self, piece: &[u8]) -> Option<()> {
        self.bytes.extend_from_slice(piece);
        (self.bytes.len() <= LARGEST_EVENT_BYTES || self.end().is_some()).then_some(())
    }

    fn end(&self) -> Option<usize> {
        self.bytes.windows(2).position(|pair| pair == b"\n\n")
    }

    fn next(&mut self) -> Option<(String, Told)> {
        loop {
            let end = self.end()?;
            let event: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let event = String::from_utf8(event).unwrap_or_default();
            let field = |name: &str| {
                let value = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                value.map(|value| value.strip_prefix(' ').unwrap_or(value))
            };
            let (Some(name), Some(id), Some(data)) = (field("event"), field("id"), field("data")) else { continue };
            if let Ok(data) = serde_json::from_str(data) {
                return Some((id.to_owned(), Told { name: name.to_owned(), data }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = b":\n\nevent: put\nid: ab\ndata: {\"key\":\"a\",\"version\":1,\"contentType\":\"\",\"bytes\":0,\"operationId\":\"0\"}\n\nevent: synced\nid: cd\ndata: {}\n\n";
        for size in [1, 7, text.len()] {
            let (mut parser, mut seen) = (Parser::default(), Vec::new());
            for piece in text.chunks(size) {
                parser.push(piece).expect("small");
                seen.extend(std::iter::from_fn(|| parser.next()));
            }
            let names: Vec<_> = seen.iter().map(|(id, told)| (id.as_str(), told.name.as_str())).collect();
            assert_eq!(names, [("ab", "put"), ("cd", "synced")]);
            assert!(matches!(&seen[0].1.data, KvEvent::Put(item) if item.key == "a"));
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        assert_eq!(Parser::default().push(&vec![b'x'; LARGEST_EVENT_BYTES + 1]), None);
    }
}
