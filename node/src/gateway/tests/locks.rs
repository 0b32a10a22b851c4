//! Locks over HTTP.

use super::{Answer, House};
use axum::body::Body;
use http::StatusCode;
use serde_json::json;
use std::time::Duration;

const LOCK: &str = "/v1/locks/nightly/import";

impl House {
    async fn acquire(&self, owner: &str) -> Answer {
        let body = json!({"ttlSeconds": 10, "owner": owner}).to_string();
        self.call("POST", LOCK, &[("content-type", "application/json")], body).await
    }

    async fn renew(&self, token: u64) -> Answer {
        self.call("PUT", LOCK, &[], json!({"token": token}).to_string()).await
    }

    async fn release(&self, token: u64) -> Answer {
        self.call("DELETE", &format!("{LOCK}?token={token}"), &[], Body::empty()).await
    }
}

#[tokio::test]
async fn a_lock_is_acquired_shown_renewed_and_released() {
    let house = House::new();
    assert_eq!(house.get(LOCK).await.problem().slug(), "lock-not-held");
    let taken = house.acquire("ada").await;
    assert_eq!(taken.status, StatusCode::CREATED);
    let lock = json!({"name": "nightly/import", "owner": "ada", "token": 1, "ttlSeconds": 10, "unchangedSeconds": 0});
    assert_eq!((taken.json(), house.get(LOCK).await.json()), (lock.clone(), lock));
    let refused = house.acquire("bob").await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::CONFLICT, "10"));
    assert_eq!(refused.problem().slug(), "lock-held");
    assert_eq!(house.renew(1).await.json()["token"], 2);
    for answer in [house.renew(1).await, house.release(1).await] {
        assert_eq!((answer.status, answer.problem().slug()), (StatusCode::CONFLICT, "lock-lost"));
    }
    assert_eq!(house.release(2).await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.release(2).await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.acquire("bob").await.json()["token"], 4, "tokens grow also after a release");
}

#[tokio::test]
async fn a_lock_whose_holder_is_silent_is_taken_over() {
    let house = House::new();
    house.acquire("ada").await;
    house.acquire("bob").await;
    house.registers.pass(Duration::from_secs(4));
    assert_eq!(house.acquire("bob").await.header("retry-after"), "6");
    house.registers.pass(Duration::from_secs(6));
    assert_eq!(house.acquire("bob").await.json()["token"], 2);
    assert_eq!(house.renew(1).await.problem().slug(), "lock-lost");
}

#[tokio::test]
async fn wrong_fields_are_refused_by_name() {
    let house = House::new();
    for (body, pointer) in [
        (json!({}), "/ttlSeconds"),
        (json!({"ttlSeconds": 0}), "/ttlSeconds"),
        (json!({"ttlSeconds": 86_401}), "/ttlSeconds"),
        (json!({"ttlSeconds": "10"}), "/ttlSeconds"),
        (json!({"ttlSeconds": 10, "owner": ""}), "/owner"),
        (json!({"ttlSeconds": 10, "owner": "x".repeat(257)}), "/owner"),
        (json!({"ttlSeconds": 10, "ttl": 1}), "/ttl"),
        (json!([]), ""),
    ] {
        let answer = house.call("POST", LOCK, &[], body.to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.problem().errors[0].pointer, pointer, "{body}");
    }
    assert_eq!(house.call("POST", LOCK, &[], "{").await.problem().slug(), "malformed-body");
    assert_eq!(house.call("PUT", LOCK, &[], "{}").await.problem().errors[0].pointer, "/token");
    assert_eq!(house.call("DELETE", LOCK, &[], Body::empty()).await.problem().slug(), "invalid-parameter");
    assert_eq!(house.get("/v1/locks/..").await.problem().slug(), "invalid-key");
    let unnamed = house.call("POST", LOCK, &[], json!({"ttlSeconds": 10}).to_string()).await;
    assert_eq!(unnamed.json()["owner"], "test", "the token's subject");
}
