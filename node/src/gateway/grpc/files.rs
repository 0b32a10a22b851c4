//! Files over gRPC: streamed both ways, as over HTTP.

use super::super::results::CONTENT_TYPE_HEADER;
use super::call::{self, Call};
use super::{Answer, Stream};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use http::header::CONTENT_LENGTH;
use scrapering_proto::gateway::v1::file_head::Precondition;
use scrapering_proto::gateway::v1::{Document, FileFacts, FileHead, FilePiece, GetFileRequest, PutFileRequest};
use tonic::{Response, Status, Streaming};

/// SHA-256 of a whole file.
const DIGEST: &str = "repr-digest";
/// Most bytes of one message: many readers take 4 MiB with what stands around them.
const LARGEST_PIECE_BYTES: usize = 1024 * 1024;

/// Stores what comes in pieces under the name in the first of them.
pub(super) async fn put(call: Call, mut pieces: Streaming<PutFileRequest>) -> Answer<Document> {
    let first = pieces.message().await?;
    let Some(PutFileRequest { head: Some(head), content: first }) = first else {
        return Err(Status::invalid_argument("the first message must have a head, which names the file"));
    };
    let FileHead { name, content_type, precondition, operation_id, sha256 } = head;
    let call = match precondition {
        None => call,
        Some(Precondition::Version(version)) => call.only_version(version),
        Some(Precondition::Absent(absent)) => call.only_if_absent(absent),
    };
    let digest = if sha256.is_empty() { String::new() } else { format!("sha-256=:{}:", STANDARD.encode(&sha256)) };
    let call = call.optional("content-type", &content_type).optional("operation-id", &operation_id);
    let rest = pieces.map_ok(|piece| piece.content);
    let content = Body::from_stream(stream::once(async { Ok::<Bytes, Status>(first) }).chain(rest));
    let answer = call.optional(DIGEST, &digest).send(Method::PUT, &call::path("/v1/files", &name, ""), content).await?;
    call::document(answer).await
}

/// What comes first says what follows.
pub(super) async fn get(call: Call, asked: GetFileRequest) -> Answer<Stream<FilePiece>> {
    let GetFileRequest { name, offset, length } = asked;
    let range = match (offset, length) {
        (0, 0) => String::new(),
        (first, 0) => format!("bytes={first}-"),
        (first, length) => format!("bytes={first}-{}", first.saturating_add(length - 1)),
    };
    let answer = call.optional("range", &range).send(Method::GET, &call::path("/v1/files", &name, ""), "").await?;
    let digest = call::header_text(&answer, DIGEST);
    let digest = digest.strip_prefix("sha-256=:").and_then(|rest| rest.strip_suffix(':')).unwrap_or_default();
    let facts = FileFacts {
        version: call::version(&answer),
        content_type: call::header_text(&answer, "content-type"),
        sha256: STANDARD.decode(digest).unwrap_or_default().into(),
        bytes: call::header_text(&answer, CONTENT_LENGTH.as_str()).parse().unwrap_or_default(),
    };
    Ok(pieces(facts, answer))
}

/// A page as it was read; what comes first says what follows.
pub(super) async fn body(call: Call, path: &str) -> Answer<Stream<FilePiece>> {
    let answer = call.send(Method::GET, path, "").await?;
    let facts = FileFacts {
        content_type: call::header_text(&answer, CONTENT_TYPE_HEADER),
        bytes: call::header_text(&answer, CONTENT_LENGTH.as_str()).parse().unwrap_or_default(),
        ..FileFacts::default()
    };
    Ok(pieces(facts, answer))
}

fn pieces(facts: FileFacts, answer: http::Response<Body>) -> Response<Stream<FilePiece>> {
    let first = FilePiece { facts: Some(facts), content: Bytes::new() };
    let content = answer.into_body().into_data_stream().flat_map(|piece| {
        let broken = |_| Status::unavailable("the file broke off; go on from the byte behind the last that came");
        let pieces = piece.map(cut).map_err(broken);
        stream::iter(pieces.map_or_else(|status| vec![Err(status)], |pieces| pieces.into_iter().map(Ok).collect()))
    });
    Response::new(stream::once(async { Ok(first) }).chain(content).boxed())
}

/// What comes, in messages that every reader takes.
fn cut(mut content: Bytes) -> Vec<FilePiece> {
    let mut pieces = Vec::new();
    while !content.is_empty() {
        let piece = content.split_to(content.len().min(LARGEST_PIECE_BYTES));
        pieces.push(FilePiece { facts: None, content: piece });
    }
    pieces
}
