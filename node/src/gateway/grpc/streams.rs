//! Lists, watches and jobs that are followed over gRPC: piece after piece, each asked for when the one before it was taken.

use super::super::{COMPLETE_HEADER, CURSOR_HEADER, LARGEST_PAGE};
use super::call::{self, Call, Doors};
use super::{Answer, Stream};
use axum::body::BodyDataStream;
use futures::{StreamExt, stream};
use http::Method;
use scrapering_proto::gateway::v1::{Document, Event, ListKeysRequest, Piece, ReadRequest};
use std::time::Duration;
use tonic::{Request, Response, Status};

/// Pause after a look that found nothing new.
const PAUSE: Duration = Duration::from_millis(500);
/// Most bytes of one event: two hundred pages with long URLs.
const LARGEST_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// A list of a job as it is now, or until the job has ended. Only what can be read at all begins.
pub(super) async fn pieces(call: Call, list: &'static str, asked: ReadRequest) -> Answer<Stream<Piece>> {
    let first = piece(&call, list, &asked.id, &asked.cursor).await?;
    let pieces = stream::unfold(Next::Ready(first), move |next| {
        let (call, asked) = (call.clone(), asked.clone());
        async move {
            let piece = match next {
                Next::Ready(piece) => piece,
                Next::Behind(cursor) => match following(&call, list, &asked, &cursor).await {
                    Ok(piece) => piece,
                    Err(status) => return Some((Err(status), Next::Nothing)),
                },
                Next::Nothing => return None,
            };
            let ended = piece.complete || piece.lines.is_empty() && !asked.follow;
            let next = if ended { Next::Nothing } else { Next::Behind(piece.cursor.clone()) };
            Some((Ok(piece), next))
        }
    });
    Ok(Response::new(pieces.boxed()))
}

/// A piece of the listing at `path`.
pub(super) async fn listing(doors: &Doors, request: Request<ListKeysRequest>, path: &str) -> Answer<Document> {
    let place = |asked: ListKeysRequest| {
        let limit = call::number(asked.limit);
        call::query(path, &[("prefix", &asked.prefix), ("cursor", &asked.cursor), ("limit", &limit)])
    };
    doors.read(request, place).await
}

/// What is sent next.
enum Next {
    /// This.
    Ready(Piece),
    /// What this cursor hands out.
    Behind(String),
    /// The stream has ended.
    Nothing,
}

/// What follows `cursor`; waited for if there is nothing and the caller wants to.
async fn following(call: &Call, list: &str, asked: &ReadRequest, cursor: &str) -> Result<Piece, Status> {
    loop {
        let next = piece(call, list, &asked.id, cursor).await?;
        if !next.lines.is_empty() || next.complete || !asked.follow {
            return Ok(next);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn piece(call: &Call, list: &str, id: &str, cursor: &str) -> Result<Piece, Status> {
    let limit = LARGEST_PAGE.to_string();
    let more = call::query(&format!("/{list}"), &[("cursor", cursor), ("limit", &limit)]);
    let answer = call.send(Method::GET, &call::path("/v1/jobs", id, &more), "").await?;
    let cursor = call::header_text(&answer, CURSOR_HEADER);
    let complete = call::header_text(&answer, COMPLETE_HEADER) == "true";
    let text = call::body(answer).await?;
    let text = std::str::from_utf8(&text).map_err(|_| Status::internal("an entry is no text"))?;
    Ok(Piece { lines: text.lines().map(str::to_owned).collect(), cursor, complete })
}

/// The server-sent events at `path`, behind the event that was seen last.
pub(super) async fn events(call: Call, path: &str, last_event_id: &str) -> Answer<Stream<Event>> {
    let answer = call.optional("last-event-id", last_event_id).send(Method::GET, path, "").await?;
    let reader = Reader { body: answer.into_body().into_data_stream(), bytes: Vec::new() };
    let events = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await? {
            Ok(event) => Some((Ok(event), Some(reader))),
            Err(status) => Some((Err(status), None)),
        }
    });
    Ok(Response::new(events.boxed()))
}

/// Reads server-sent events as the gateway writes them.
struct Reader {
    body: BodyDataStream,
    bytes: Vec<u8>,
}

impl Reader {
    /// The next event; `None` when the node ends the stream.
    async fn next(&mut self) -> Option<Result<Event, Status>> {
        loop {
            if let Some(end) = self.bytes.windows(2).position(|window| window == b"\n\n") {
                let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
                match event(&String::from_utf8_lossy(&block)) {
                    Some(event) => return Some(Ok(event)),
                    None => continue,
                }
            }
            if self.bytes.len() > LARGEST_EVENT_BYTES {
                return Some(Err(Status::internal("an event is too long")));
            }
            match self.body.next().await? {
                Ok(piece) => self.bytes.extend_from_slice(&piece),
                Err(_) => return Some(Err(Status::unavailable("the events broke off; go on from the last one"))),
            }
        }
    }
}

/// The event in a block of lines; comments are none.
fn event(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let value = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(|value| value.strip_prefix(' ').unwrap_or(value).to_owned())
    };
    Some(Event { name: field("event")?, id: field("id").unwrap_or_default(), json: field("data").unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_from_its_lines_and_a_comment_is_none() {
        let put = event("event: put\nid: 7\ndata: {\"key\":\"a: b\"}\n\n").expect("an event");
        assert_eq!((put.name.as_str(), put.id.as_str(), put.json.as_str()), ("put", "7", "{\"key\":\"a: b\"}"));
        assert_eq!(event(":\n\n"), None);
    }
}
