//! The key-value store over HTTP.

use super::{Answer, House};
use crate::auth::Scope;
use crate::kv::memory::Fault;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

const A: &str = "/v1/kv/a";

impl House {
    async fn put(&self, path: &str, headers: &[(&str, &str)], content: &'static str) -> Answer {
        self.call("PUT", path, headers, content).await
    }

    async fn delete(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("DELETE", path, headers, Body::empty()).await
    }
}

#[tokio::test]
async fn a_value_is_put_read_and_deleted_with_its_type_and_version() {
    let house = House::new();
    let put = house.put(A, &[("content-type", "text/plain; charset=utf-8")], "hello").await;
    assert_eq!((put.status, put.header("etag"), put.body.len()), (StatusCode::CREATED, "\"1\"", 0));
    let got = house.get(A).await;
    assert_eq!((got.status, got.header("etag"), got.body.as_slice()), (StatusCode::OK, "\"1\"", &b"hello"[..]));
    assert_eq!(got.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(got.header("operation-id"), put.header("operation-id"));
    assert_eq!((got.header("operation-id").len(), got.header("consistency")), (32, ""));
    let head = house.call("HEAD", A, &[], Body::empty()).await;
    assert_eq!((head.status, head.header("etag"), head.header("content-length")), (StatusCode::OK, "\"1\"", "5"));
    assert!(head.body.is_empty());
    assert_eq!(house.put(A, &[], "again").await.status, StatusCode::OK);
    assert_eq!(house.get(A).await.header("content-type"), "application/octet-stream");
    let deleted = house.delete(A, &[]).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(house.delete(A, &[]).await.status, StatusCode::NO_CONTENT, "nothing is there any more");
    let nothing = house.get(A).await;
    assert_eq!(nothing.problem().slug(), "key-not-found");
    assert_eq!(nothing.header("operation-id"), deleted.header("operation-id"), "who has removed it");
    assert_eq!(house.get("/v1/kv/never").await.header("operation-id"), "");
}

#[tokio::test]
async fn a_precondition_that_fails_changes_nothing_and_tells_the_version() {
    let house = House::new();
    let absent = ("if-none-match", "*");
    assert_eq!(house.put(A, &[("if-match", "\"1\"")], "x").await.problem().slug(), "precondition-failed");
    assert_eq!(house.put(A, &[absent], "one").await.status, StatusCode::CREATED);
    for headers in [absent, ("if-match", "\"7\"")] {
        let refused = house.put(A, &[headers], "x").await;
        assert_eq!((refused.status, refused.header("etag")), (StatusCode::PRECONDITION_FAILED, "\"1\""));
    }
    let changed = house.put(A, &[("if-match", "\"1\"")], "two").await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"2\""));
    assert_eq!(house.delete(A, &[("if-match", "\"1\"")]).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(house.get(A).await.body, b"two");
    assert_eq!(house.delete(A, &[("if-match", "\"2\"")]).await.status, StatusCode::NO_CONTENT);
    for headers in [vec![("if-match", "2")], vec![("if-match", "\"1\""), absent], vec![("operation-id", "7")]] {
        assert_eq!(house.put(A, &headers, "x").await.problem().slug(), "invalid-header", "{headers:?}");
    }
    assert_eq!(house.delete(A, &[absent]).await.problem().slug(), "invalid-header");
}

#[tokio::test]
async fn keys_are_any_text_and_bad_ones_are_told() {
    let house = House::new();
    for key in ["a/b/c", "/lead", "a//b/", "na%C3%AFve%20key%3F%25", "%2F", "..."] {
        let path = format!("/v1/kv/{key}");
        assert_eq!(house.put(&path, &[], "x").await.status, StatusCode::CREATED, "{key}");
        assert_eq!(house.get(&path).await.status, StatusCode::OK, "{key}");
    }
    let long = format!("/v1/kv/{}", "a".repeat(513));
    for path in ["/v1/kv/%ff", "/v1/kv/a%0Ab", "/v1/kv/a/%2e%2e/b", &long] {
        assert_eq!(house.put(path, &[], "x").await.problem().slug(), "invalid-key", "{path}");
        assert_eq!(house.get(path).await.problem().slug(), "invalid-key", "{path}");
    }
    assert_eq!(house.get("/v1/kv/").await.problem().slug(), "no-such-route");
}

#[tokio::test]
async fn a_value_may_have_a_mebibyte_and_no_byte_more() {
    let house = House::new();
    let most = vec![7; 1024 * 1024];
    assert_eq!(house.call("PUT", A, &[], most.clone()).await.status, StatusCode::CREATED);
    assert_eq!(house.get(A).await.body, most);
    let refused = house.call("PUT", A, &[], vec![7; 1024 * 1024 + 1]).await;
    assert_eq!((refused.status, refused.problem().slug()), (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"));
    assert_eq!(house.get(A).await.header("etag"), "\"1\"");
}

#[tokio::test]
async fn without_a_majority_only_a_copy_is_served() {
    let house = House::new();
    house.put(A, &[], "one").await;
    house.registers.fail_with(Some(Fault::NoMajority));
    for answer in
        [house.put(A, &[], "x").await, house.get(A).await, house.delete(A, &[]).await, house.get("/v1/kv").await]
    {
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
        assert_eq!(answer.problem().slug(), "unavailable");
    }
    let copy = house.get("/v1/kv/a?consistency=any").await;
    assert_eq!((copy.status, copy.header("consistency"), copy.body.as_slice()), (StatusCode::OK, "any", &b"one"[..]));
    assert_eq!(house.get("/v1/kv/a?consistency=weak").await.problem().slug(), "invalid-parameter");
}

#[tokio::test]
async fn an_unknown_outcome_names_its_operation_which_can_be_sent_again() {
    let house = House::new();
    let operation = ("operation-id", "00112233445566778899aabbccddeeff");
    for (fault, status) in [(Fault::DoneUnknown, StatusCode::OK), (Fault::LostUnknown, StatusCode::NOT_FOUND)] {
        let path = format!("/v1/kv/{fault:?}");
        house.registers.fail_with(Some(fault));
        let unknown = house.put(&path, &[operation], "x").await;
        assert_eq!((unknown.status, unknown.header("operation-id")), (StatusCode::GATEWAY_TIMEOUT, operation.1));
        assert_eq!(unknown.problem().slug(), "outcome-unknown");
        house.registers.fail_with(None);
        let got = house.get(&path).await;
        assert_eq!(got.status, status);
        assert!(status != StatusCode::OK || got.header("operation-id") == operation.1);
        let again = house.put(&path, &[operation], "x").await;
        assert_eq!((again.status, again.header("etag")), (StatusCode::CREATED, "\"1\""), "it is not done twice");
    }
}

#[tokio::test]
async fn keys_are_listed_by_prefix_piece_by_piece() {
    let house = House::new();
    for number in 0..12 {
        house.put(&format!("/v1/kv/list/{number:02}"), &[("content-type", "text/plain")], "four").await;
    }
    house.put("/v1/kv/other", &[], "x").await;
    let first = house.get("/v1/kv?prefix=list/&limit=7").await.json();
    let mut item = first["items"][0].clone();
    let operation = item.as_object_mut().and_then(|item| item.remove("operationId"));
    assert_eq!(operation.and_then(|operation| operation.as_str().map(str::len)), Some(32));
    assert_eq!(item, json!({"key": "list/00", "version": 1, "contentType": "text/plain", "bytes": 4}));
    assert_eq!(first["items"].as_array().map(Vec::len), Some(7));
    let next = first["next"].as_str().expect("more follows");
    let second = house.get(&format!("/v1/kv?prefix=list/&limit=7&cursor={next}")).await.json();
    assert_eq!(second["items"].as_array().map(Vec::len), Some(5));
    assert_eq!((&second["items"][4]["key"], second.get("next")), (&json!("list/11"), None));
    assert_eq!(house.get("/v1/kv").await.json()["items"].as_array().map(Vec::len), Some(13));
    assert_eq!(house.get("/v1/kv?cursor=never-made-here").await.problem().slug(), "bad-cursor");
}

#[tokio::test]
async fn reading_and_writing_are_two_rights() {
    let house = House::new();
    for (method, scope, status) in [
        ("PUT", Scope::KvRead, StatusCode::FORBIDDEN),
        ("DELETE", Scope::KvRead, StatusCode::FORBIDDEN),
        ("GET", Scope::KvWrite, StatusCode::FORBIDDEN),
        ("PUT", Scope::KvWrite, StatusCode::CREATED),
        ("GET", Scope::KvRead, StatusCode::OK),
    ] {
        let bearer = format!("Bearer {}", house.token(&[scope]));
        let request = Request::builder().method(method).uri(A).header("authorization", bearer);
        assert_eq!(house.send(request.body(Body::empty()).expect("request")).await.status, status, "{method} {scope}");
    }
}

/// Reads events until one is called `last`; each is its name, id and data.
async fn events(
    house: &House,
    path: &str,
    last_id: Option<&str>,
    last: &str,
) -> Vec<(String, String, serde_json::Value)> {
    let bearer = format!("Bearer {}", house.token(&[Scope::KvRead]));
    let mut request = Request::builder().uri(path).header("authorization", bearer);
    if let Some(id) = last_id {
        request = request.header("last-event-id", id);
    }
    let answer = house.router.clone().oneshot(request.body(Body::empty()).expect("request")).await.expect("answer");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut body, mut text) = (answer.into_body(), String::new());
    while !text.contains(&format!("event: {last}\n")) || !text.ends_with("\n\n") {
        let frame = body.frame().await.expect("more").expect("frame");
        text += std::str::from_utf8(&frame.into_data().expect("data")).expect("UTF-8");
    }
    let event = |text: &str| {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        (field("event"), field("id"), serde_json::from_str(&field("data")).expect("JSON"))
    };
    text.split("\n\n").filter(|part| !part.is_empty()).map(event).collect()
}

#[tokio::test]
async fn a_key_that_was_removed_is_created_again() {
    let house = House::new();
    for (expected, version) in [(StatusCode::CREATED, "\"1\""), (StatusCode::CREATED, "\"3\"")] {
        let put = house.put("/v1/kv/a", &[], "x").await;
        assert_eq!((put.status, put.header("etag")), (expected, version));
        house.delete("/v1/kv/a", &[]).await;
    }
    house.put("/v1/kv/a", &[], "x").await;
    assert_eq!(house.put("/v1/kv/a", &[], "y").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_watch_tells_what_is_there_and_goes_on_from_its_last_id() {
    let house = House::new();
    house.put("/v1/kv/a/1", &[("content-type", "text/plain")], "x").await;
    let seen = events(&house, "/v1/kv?prefix=a/&watch=true", None, "synced").await;
    let (name, id, data) = &seen[0];
    assert_eq!(
        (name.as_str(), id.as_str(), &data["key"], &data["version"]),
        ("put", "partial", &json!("a/1"), &json!(1))
    );
    assert_eq!((seen.len(), seen[1].0.as_str(), &seen[1].2), (2, "synced", &json!({})));
    let id = seen[1].1.clone();
    let again = events(&house, "/v1/kv?prefix=a/&watch=true", Some(&id), "synced").await;
    assert_eq!((again.len(), &again[0].1), (1, &id));
    house.delete("/v1/kv/a/1", &[]).await;
    let missed = events(&house, "/v1/kv?prefix=a/&watch=true", Some(&id), "synced").await;
    assert_eq!(missed.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["reset", "synced"]);
    let id = events(&house, "/v1/kv/b?watch=true", None, "synced").await.remove(0).1;
    house.put("/v1/kv/b", &[], "x").await;
    let one = events(&house, "/v1/kv/b?watch=true", Some(&id), "synced").await;
    assert_eq!((one[0].0.as_str(), &one[0].2["key"]), ("put", &json!("b")));
    house.delete("/v1/kv/b", &[]).await;
    let id = one[1].1.clone();
    let gone = events(&house, "/v1/kv/b?watch=true", Some(&id), "synced").await;
    assert_eq!((gone[0].0.as_str(), &gone[0].2), ("delete", &json!({"key": "b"})));
}

#[tokio::test]
async fn a_wrong_last_id_is_refused() {
    let house = House::new();
    for id in ["7", "never-made-here"] {
        let answer = house.call("GET", "/v1/kv?watch=true", &[("last-event-id", id)], Body::empty()).await;
        assert_eq!(answer.problem().slug(), "invalid-header");
    }
}
