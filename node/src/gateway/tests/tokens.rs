//! Tokens that are taken back, and callers that ask too much.

use super::House;
use crate::auth::{Scope, token_id};
use crate::gateway::routes;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use std::num::NonZeroU32;
use tower::ServiceExt;

fn listing(token: &str) -> Request<Body> {
    let request = Request::get("/v1/jobs").header("authorization", format!("Bearer {token}"));
    request.body(Body::empty()).expect("request")
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_others_are_not() {
    let house = House::new();
    let (good, bad) = (house.token(&[Scope::JobsRead]), house.token(&[Scope::JobsRead]));
    for token in [&good, &bad] {
        assert_eq!(house.send(listing(token)).await.status, StatusCode::OK);
    }
    let id = token_id(&bad).expect("an id");
    for _ in 0..2 {
        let revoked = house.call("DELETE", &format!("/v1/tokens/{id}"), &[], Body::empty()).await;
        assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    }
    let refused = house.send(listing(&bad)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.problem().detail.contains("revoked"));
    assert_eq!(house.send(listing(&good)).await.status, StatusCode::OK);
    let long = "x".repeat(257);
    for id in ["%00", "%ff", long.as_str()] {
        let answer = house.call("DELETE", &format!("/v1/tokens/{id}"), &[], Body::empty()).await;
        assert_eq!(answer.problem().slug(), "invalid-parameter", "{id}");
    }
}

#[tokio::test]
async fn events_end_with_the_token_that_asked_for_them() {
    let house = House::new();
    let token = house.token(&[Scope::KvRead]);
    let request = Request::get("/v1/kv?watch=true").header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::empty()).expect("request");
    let mut events = house.router.clone().oneshot(request).await.expect("a router never fails").into_body();
    let first = events.frame().await.expect("an event").expect("sound").into_data().expect("data");
    assert!(first.starts_with(b"event: synced"), "{first:?}");
    let id = token_id(&token).expect("an id");
    house.call("DELETE", &format!("/v1/tokens/{id}"), &[], Body::empty()).await;
    assert!(events.frame().await.is_none(), "there is nothing more to see with a token that was taken back");
}

#[tokio::test]
async fn another_node_learns_of_a_revocation_from_the_ring() {
    let (here, there) = (House::new(), House::new());
    let id = "some-token";
    here.call("DELETE", &format!("/v1/tokens/{id}"), &[], Body::empty()).await;
    let revoked = there.issuer.verifier().revoked().clone();
    let kv = crate::kv::Kv::new(here.registers.clone());
    let follow = crate::gateway::tokens::follow(&kv, &revoked);
    let known = async {
        while !revoked.has(id) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = follow => unreachable!("it follows for ever"),
        () = known => {}
    }
}

#[tokio::test]
async fn a_caller_that_asks_too_much_is_told_when_to_come_back_and_others_are_served() {
    let house = House::new();
    let state = house.state.clone().with_rate(NonZeroU32::MIN);
    let house = House { router: routes::router(&state), ..house };
    for _ in 0..2 {
        assert_eq!(house.get("/v1/jobs").await.status, StatusCode::OK, "a burst of twice the rate");
    }
    // On a slow machine the bucket fills while it is emptied.
    let mut refused = house.get("/v1/jobs").await;
    while refused.status == StatusCode::OK {
        refused = house.get("/v1/jobs").await;
    }
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(refused.problem().slug(), "rate-limited");
    let other = house.call_as("other".parse().expect("tenant"), "GET", "/v1/jobs", &[], Body::empty()).await;
    assert_eq!(other.status, StatusCode::OK);
}
