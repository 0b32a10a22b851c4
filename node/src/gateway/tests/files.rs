//! Files over HTTP: whole, in ranges, replaced, checked, and left halfway.

use super::{Answer, House};
use axum::body::Body;
use base64::Engine;
use http::StatusCode;
use scrapering_core::file::CHUNK_BYTES;
use sha2::{Digest, Sha256};

const A: &str = "/v1/files/dir/a.bin";

/// Three chunks, the last one short, and no byte like its neighbours'.
fn content() -> Vec<u8> {
    (0..CHUNK_BYTES * 2 + 12_345).map(|index| (index * 31 % 251) as u8).collect()
}

fn digest(content: &[u8]) -> String {
    format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(content)))
}

impl House {
    async fn put_file(&self, headers: &[(&str, &str)], content: Vec<u8>) -> Answer {
        self.call("PUT", A, headers, content).await
    }
}

#[tokio::test]
async fn a_file_of_several_chunks_is_stored_read_listed_and_deleted() {
    let house = House::new();
    let content = content();
    let digest = digest(&content);
    let headers = [("content-type", "image/png"), ("repr-digest", digest.as_str())];
    let put = house.put_file(&headers, content.clone()).await;
    assert_eq!((put.status, put.header("etag")), (StatusCode::CREATED, "\"1\""));
    assert_eq!(put.json()["bytes"], content.len());
    let got = house.get(A).await;
    assert_eq!(got.status, StatusCode::OK);
    assert!(got.body == content, "what is read is what was put");
    assert_eq!((got.header("content-type"), got.header("repr-digest")), ("image/png", digest.as_str()));
    let head = house.call("HEAD", A, &[], Body::empty()).await;
    assert_eq!((head.header("content-length"), head.body.len()), (content.len().to_string().as_str(), 0));
    let list = house.get("/v1/files?prefix=dir/").await.json();
    assert_eq!((&list["items"][0]["name"], &list["items"][0]["bytes"]), (&"dir/a.bin".into(), &content.len().into()));
    assert_eq!(house.get("/v1/kv").await.json()["items"], serde_json::json!([]), "files are no keys");
    let known = house.call("GET", A, &[("if-none-match", "\"1\"")], Body::empty()).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(house.call("DELETE", A, &[], Body::empty()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.get(A).await.problem().slug(), "file-not-found");
}

#[tokio::test]
async fn a_range_is_read_over_the_border_of_chunks() {
    let house = House::new();
    let content = content();
    house.put_file(&[], content.clone()).await;
    let total = content.len();
    for (from, to) in [(0, 0), (CHUNK_BYTES - 2, CHUNK_BYTES + 1), (5, total - 1), (CHUNK_BYTES * 2, total - 1)] {
        let range = format!("bytes={from}-{to}");
        let answer = house.call("GET", A, &[("range", &range)], Body::empty()).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {from}-{to}/{total}"));
        assert!(answer.body == content[from..=to], "{range}");
    }
    let behind = house.call("GET", A, &[("range", "bytes=99999999-")], Body::empty()).await;
    assert_eq!(
        (behind.status, behind.header("content-range")),
        (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{total}").as_str())
    );
    house.put_file(&[], Vec::new()).await;
    let empty = house.get(A).await;
    assert_eq!((empty.status, empty.header("content-length")), (StatusCode::OK, "0"));
}

#[tokio::test]
async fn a_file_is_replaced_at_once_and_only_in_the_version_that_was_named() {
    let house = House::new();
    assert_eq!(house.put_file(&[("if-none-match", "*")], b"one".to_vec()).await.status, StatusCode::CREATED);
    assert_eq!(
        house.put_file(&[("if-none-match", "*")], b"two".to_vec()).await.problem().slug(),
        "precondition-failed"
    );
    let second = house.put_file(&[("if-match", "\"1\"")], b"two".to_vec()).await;
    assert_eq!((second.status, second.header("etag")), (StatusCode::OK, "\"2\""));
    assert_eq!(
        house.put_file(&[("if-match", "\"1\"")], b"three".to_vec()).await.problem().slug(),
        "precondition-failed"
    );
    assert_eq!(house.get(A).await.body, b"two");
    assert_eq!(house.put_file(&[], b"four".to_vec()).await.status, StatusCode::OK);
    let stale = house.call("DELETE", A, &[("if-match", "\"2\"")], Body::empty()).await;
    assert_eq!(stale.problem().slug(), "precondition-failed");
}

#[tokio::test]
async fn what_is_not_what_was_meant_changes_nothing() {
    let house = House::new();
    let other = digest(b"something else");
    let refused = house.put_file(&[("repr-digest", &other)], content()).await;
    assert_eq!((refused.status, refused.problem().slug()), (StatusCode::UNPROCESSABLE_ENTITY, "digest-mismatch"));
    let half =
        Body::from_stream(futures::stream::iter([Ok(content()), Err(std::io::Error::other("the sender is gone"))]));
    let broken = house.call("PUT", A, &[], half).await;
    assert_eq!(broken.problem().slug(), "malformed-body");
    let huge = (scrapering_core::file::MAX_BYTES + 1).to_string();
    let too_large = house.call("PUT", A, &[("content-length", &huge)], Body::empty()).await;
    assert_eq!(too_large.problem().slug(), "body-too-large");
    assert_eq!(house.get(A).await.problem().slug(), "file-not-found");
}

#[tokio::test]
async fn a_reader_gets_an_error_and_no_other_bytes_when_a_chunk_is_gone() {
    let house = House::new();
    house.put_file(&[], content()).await;
    house.bodies.held.lock().expect("lock").retain(|_, content| content.len() == CHUNK_BYTES);
    let token = house.token(&crate::auth::Scope::ALL);
    let request = http::Request::get(A).header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::empty()).expect("request");
    let answer = tower::ServiceExt::oneshot(house.router.clone(), request).await.expect("answer");
    http_body_util::BodyExt::collect(answer.into_body()).await.expect_err("the body breaks off");
}
