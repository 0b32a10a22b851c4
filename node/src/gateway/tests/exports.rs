//! Exports through the gateway: once under a key, with its secrets hidden, and only for who may read what was found.

use super::House;
use crate::auth::Scope;
use http::{Request, StatusCode};
use serde_json::json;

/// An output that is right.
pub(super) const OUTPUT: &str =
    r#"{"s3": {"bucket": "out", "prefix": "books", "accessKeyId": "key", "secretAccessKey": "hush-hush"}}"#;
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn an_export_is_made_once_under_its_key_and_read_without_its_secrets() {
    let house = House::new();
    let exports = format!("{}/exports", house.submit(&[]).await.header("location"));
    let made = house.call("POST", &exports, &[JSON, ("idempotency-key", "one")], OUTPUT).await;
    assert_eq!(made.status, StatusCode::ACCEPTED);
    let export = made.json();
    assert_eq!((&export["state"], &export["output"]["s3"]["secretAccessKey"]), (&json!("waiting"), &json!("[secret]")));
    let location = made.header("location").to_owned();
    assert_eq!(location, format!("{exports}/{}", export["id"].as_str().expect("id")));
    assert_eq!(house.get(&location).await.json(), export);
    let again = house.call("POST", &exports, &[JSON, ("idempotency-key", "one")], OUTPUT).await;
    assert_eq!((again.status, again.json()), (StatusCode::ACCEPTED, export.clone()));
    assert_eq!(house.get(&exports).await.json(), json!({"items": [export]}));
    let other = OUTPUT.replace("books", "other");
    let reused = house.call("POST", &exports, &[JSON, ("idempotency-key", "one")], other.clone()).await;
    assert_eq!((reused.status, reused.problem().slug()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused"));
    house.call("POST", &exports, &[JSON], other).await;
    assert_eq!(house.get(&exports).await.json()["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_is_wrong_with_an_export_is_named_by_its_field() {
    let house = House::new();
    let exports = format!("{}/exports", house.submit(&[]).await.header("location"));
    for (body, pointer) in [
        (r#"{"s3": {"bucket": "out", "format": "warc", "accessKeyId": "k", "secretAccessKey": "s"}}"#, "/s3/format"),
        (r#"{"s3": {"bucket": "out", "accessKeyId": "k"}}"#, "/s3/secretAccessKey"),
        (r#"{"s3": {"bucket": 7}}"#, "/s3/bucket"),
        (r#"{"ring": {}}"#, "/ring"),
        ("{}", ""),
    ] {
        let refused = house.call("POST", &exports, &[JSON], body).await;
        assert_eq!((refused.status, refused.problem().slug()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-body"));
        assert_eq!(refused.problem().errors[0].pointer, pointer, "{body}");
    }
    let unknown = house.get(&format!("{exports}/0198c1d2-7f3e-7abc-9def-0123456789ab")).await;
    assert_eq!((unknown.status, unknown.problem().slug()), (StatusCode::NOT_FOUND, "export-not-found"));
}

#[tokio::test]
async fn who_may_not_read_what_was_found_may_not_have_it_sent_somewhere() {
    let house = House::new();
    let exports = format!("{}/exports", house.submit(&[]).await.header("location"));
    for (scopes, status) in [
        (vec![Scope::JobsWrite], StatusCode::FORBIDDEN),
        (vec![Scope::ResultsRead], StatusCode::FORBIDDEN),
        (vec![Scope::JobsWrite, Scope::ResultsRead], StatusCode::ACCEPTED),
    ] {
        let request = Request::builder().method("POST").uri(&exports).header(JSON.0, JSON.1);
        let request = request.header("authorization", format!("Bearer {}", house.token(&scopes)));
        let answer = house.send(request.body(OUTPUT.into()).expect("request")).await;
        assert_eq!(answer.status, status, "{scopes:?}");
    }
}
