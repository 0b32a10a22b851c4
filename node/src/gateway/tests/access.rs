//! Every operation of the document against every kind of bad token.

use super::{House, operations};
use crate::auth::{AUDIENCE, Scope};
use axum::body::Body;
use http::{Request, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_secs()).expect("before the year 292277026596")
}

fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": format!("urn:scrapering:ring:{}", super::RING), "sub": "eve", "aud": AUDIENCE, "exp": now() + 600,
        "scope": "jobs:read jobs:write results:read kv:read kv:write hosts:write metrics:read ring:admin", "tenant": "default",
    });
    for (name, value) in changes.as_object().expect("object") {
        claims[name] = value.clone();
    }
    claims
}

fn signed(house: &House, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    let key = EncodingKey::from_ed_pem(house.private_pem.as_bytes()).expect("key");
    jsonwebtoken::encode(&header, claims, &key).expect("token")
}

fn unsigned(claims: &Value) -> String {
    use base64::Engine;
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&json!({"alg": "none", "typ": "at+jwt"})), part(claims))
}

fn signed_with_public_key(house: &House, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("at+jwt".to_owned());
    let secret = EncodingKey::from_secret(house.public_pem.as_bytes());
    jsonwebtoken::encode(&header, claims, &secret).expect("token")
}

/// What is wrong, the header sent, the status and the RFC 6750 code that must come back.
fn bad_headers(house: &House) -> Vec<(&'static str, Option<String>, StatusCode, Option<&'static str>)> {
    const NO: StatusCode = StatusCode::UNAUTHORIZED;
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let with = |changes| bearer(signed(house, &claims(changes)));
    let invalid = Some("invalid_token");
    vec![
        ("no token", None, NO, None),
        ("another scheme", Some("Basic ZXZlOnB3".to_owned()), NO, Some("invalid_request")),
        ("an empty token", Some("Bearer ".to_owned()), NO, invalid),
        ("garbage", Some("Bearer garbage".to_owned()), NO, invalid),
        ("expired", with(json!({"exp": now() - 60})), NO, invalid),
        ("not yet valid", with(json!({"nbf": now() + 60})), NO, invalid),
        ("another audience", with(json!({"aud": "else"})), NO, invalid),
        ("another issuer", with(json!({"iss": "https://accounts.example"})), NO, invalid),
        ("alg none", bearer(unsigned(&claims(json!({})))), NO, invalid),
        ("HS256 with the public key", bearer(signed_with_public_key(house, &claims(json!({})))), NO, invalid),
        ("another key", bearer(signed(&House::new(), &claims(json!({})))), NO, invalid),
        ("a tenant that is none", with(json!({"tenant": "../other"})), NO, invalid),
        ("oversized", with(json!({"sub": "x".repeat(9000)})), NO, invalid),
        ("no scope", with(json!({"scope": ""})), StatusCode::FORBIDDEN, Some("insufficient_scope")),
    ]
}

fn request(method: &str, path: &str, authorization: Option<&str>) -> Request<Body> {
    let path = path.replace("{id}", "0198c1d2-7f3e-7abc-9def-0123456789ab");
    let builder = Request::builder().method(method).uri(path);
    let builder = authorization.into_iter().fold(builder, |builder, value| builder.header("authorization", value));
    builder.body(Body::empty()).expect("request")
}

#[tokio::test]
async fn every_operation_of_the_document_refuses_no_token_every_bad_one_and_every_wrong_scope() {
    let house = House::new();
    let mut closed = 0;
    for operation in operations() {
        let Some(scope) = operation.scope else { continue };
        closed += 1;
        let others: Vec<Scope> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
        let all_but_one = format!("Bearer {}", house.token(&others));
        let mut cases = bad_headers(&house);
        cases.push((
            "every scope but the right one",
            Some(all_but_one),
            StatusCode::FORBIDDEN,
            Some("insufficient_scope"),
        ));
        for (what, header, status, code) in cases {
            let what = format!("{} with {what}", operation.id);
            let answer = house.send(request(&operation.method, &operation.path, header.as_deref())).await;
            assert_eq!(answer.status, status, "{what}");
            answer.problem();
            let challenge = answer.header("www-authenticate");
            assert!(challenge.starts_with("Bearer realm=\"scrapering\""), "{what}: {challenge}");
            assert_eq!(challenge.contains("error="), code.is_some(), "{what}: {challenge}");
            assert!(code.is_none_or(|code| challenge.contains(&format!("error=\"{code}\""))), "{what}: {challenge}");
        }
        let right = format!("Bearer {}", house.token(&[scope]));
        let answer = house.send(request(&operation.method, &operation.path, Some(&right))).await;
        assert!(![401, 403, 405].contains(&answer.status.as_u16()), "{} with its scope", operation.id);
    }
    assert!(closed >= 30, "the walk saw {closed} operations");
}

#[tokio::test]
async fn two_tokens_in_one_request_are_one_too_many() {
    let house = House::new();
    let mut request = request("GET", "/v1/jobs", Some(&format!("Bearer {}", house.token(&Scope::ALL))));
    request.headers_mut().append("authorization", "Bearer other".parse().expect("value"));
    assert_eq!(house.send(request).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_probes_and_the_description_of_the_api_are_open_and_nothing_else_is() {
    let house = House::new();
    let open: Vec<_> = operations().into_iter().filter(|operation| operation.scope.is_none()).collect();
    let expected = ["/healthz", "/readyz", "/version", "/openapi.json", "/docs", "/docs/style.css"];
    assert_eq!(open.iter().map(|operation| operation.path.as_str()).collect::<BTreeSet<_>>(), expected.into());
    for operation in open {
        let answer = house.send(request("GET", &operation.path, None)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", operation.id);
    }
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_not_read() {
    let house = House::new();
    let body = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::post("/v1/jobs").header("content-type", "application/json").body(body).expect("request");
    assert_eq!(house.send(request).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_refusal_says_since_when_a_token_is_expired() {
    let house = House::new();
    let token = signed(&house, &claims(json!({"exp": 1_700_000_000})));
    let answer = house.send(request("GET", "/v1/jobs", Some(&format!("Bearer {token}")))).await;
    let detail = answer.problem().detail;
    assert!(detail.contains("expired at 2023-11-14T22:13:20Z"), "{detail}");
}
