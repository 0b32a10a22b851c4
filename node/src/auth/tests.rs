//! What a token must be to be accepted, and what each wrong one is told.

mod trust;
mod vectors;

use super::claims::{Audience, Claims};
use super::verifier::{LEEWAY_SECONDS, LONGEST_TOKEN_BYTES};
use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use scrapering_core::id::RingId;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RING: RingId = RingId([0xab; 16]);

struct Keys {
    private_pem: String,
    public_pem: String,
}

fn keys() -> Keys {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
    Keys { private_pem: pair.serialize_pem(), public_pem: pair.public_key_pem() }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn grant() -> Grant {
    Grant {
        subject: "ada".to_owned(),
        tenant: Tenant::default(),
        scopes: [Scope::JobsRead, Scope::ResultsRead].into_iter().collect(),
        ttl: Duration::from_secs(60),
    }
}

fn good_claims() -> Claims {
    Claims {
        iss: Some(issuer_name(RING)),
        sub: Some("ada".to_owned()),
        aud: Some(Audience::One(AUDIENCE.to_owned())),
        exp: Some(now() + 60),
        scope: Some("jobs:read".to_owned()),
        ..Claims::default()
    }
}

/// Signs any header and payload with `keys`.
fn signed(keys: &Keys, header: &Value, payload: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(&header.to_string()), part(payload));
    let key = EncodingKey::from_ed_pem(keys.private_pem.as_bytes()).expect("key");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).expect("sign");
    format!("{message}.{signature}")
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt"})
}

#[test]
fn what_the_issuer_signs_the_verifier_of_its_public_key_accepts() {
    let keys = keys();
    let issuer = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer");
    let token = issuer.issue(&grant()).expect("token");
    for verifier in [Verifier::new(keys.public_pem.as_bytes(), RING).expect("verifier"), issuer.verifier()] {
        let caller = verifier.verify(&token).expect("accepted");
        assert_eq!(
            (caller.subject.as_str(), &caller.tenant, &caller.scopes),
            ("ada", &Tenant::default(), &grant().scopes)
        );
        assert!(caller.token_id.is_some(), "every token of ours has a name");
        let header = format!("bearer {token}");
        verifier.authorize(Some(header.as_bytes()), Scope::JobsRead).expect("the scheme is read in any case");
    }
}

#[test]
fn a_token_without_the_scope_is_forbidden_and_the_tenant_is_the_tokens() {
    let keys = keys();
    let issuer = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer");
    let header = |grant: &Grant| format!("Bearer {}", issuer.issue(grant).expect("token"));
    let verdict =
        |header: &str| issuer.verifier().authorize(Some(header.as_bytes()), Scope::JobsWrite).expect_err("refused");
    let error = verdict(&header(&grant()));
    assert_eq!(error, AuthError::Scope { needed: Scope::JobsWrite });
    assert!(error.is_forbidden());
    let tenant: Tenant = "team-b".parse().expect("tenant");
    let token = issuer.issue(&Grant { tenant: tenant.clone(), ..grant() }).expect("token");
    assert_eq!(issuer.verifier().verify(&token).map(|caller| caller.tenant), Ok(tenant));
}

#[test]
fn a_header_that_is_not_one_bearer_token_is_refused() {
    let verifier = Issuer::new(keys().private_pem.as_bytes(), RING).expect("issuer").verifier();
    assert_eq!(verifier.authorize(None, Scope::JobsRead), Err(AuthError::Missing));
    for header in [&b"Basic YTpi"[..], b"Bearer", b"token", b"\xff\xfe Bearer"] {
        assert_eq!(verifier.authorize(Some(header), Scope::JobsRead), Err(AuthError::Header));
    }
}

#[test]
fn a_token_without_a_claim_that_must_be_there_is_told_which() {
    let keys = keys();
    let issuer = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer");
    let verifier = issuer.verifier();
    issuer.sign(&good_claims()).map(|token| verifier.verify(&token)).expect("signed").expect("complete");
    for (claim, claims) in [
        ("iss", Claims { iss: None, ..good_claims() }),
        ("sub", Claims { sub: None, ..good_claims() }),
        ("sub", Claims { sub: Some(String::new()), ..good_claims() }),
        ("aud", Claims { aud: None, ..good_claims() }),
        ("exp", Claims { exp: None, ..good_claims() }),
    ] {
        let token = issuer.sign(&claims).expect("token");
        assert_eq!(verifier.verify(&token), Err(AuthError::MissingClaim { claim: claim.to_owned() }));
    }
}

#[tokio::test]
async fn a_token_is_over_when_its_time_is_or_it_was_taken_back() {
    let keys = keys();
    let verifier = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer").verifier();
    let caller = |id: Option<&str>, good_until| Caller {
        subject: "ada".to_owned(),
        tenant: Tenant::default(),
        scopes: Scopes::default(),
        token_id: id.map(str::to_owned),
        good_until,
    };
    verifier.until_over(&caller(None, UNIX_EPOCH)).await;
    let lasting = caller(Some("a"), SystemTime::now() + LONGEST_TTL);
    verifier.revoked().set(["b".to_owned()].into());
    let revoke = async {
        verifier.revoked().set(["a".to_owned(), "b".to_owned()].into());
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = verifier.until_over(&lasting) => {}
        () = revoke => unreachable!("it is pending"),
    }
}

#[test]
fn times_are_checked_with_five_seconds_of_leeway_and_named() {
    let keys = keys();
    let issuer = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer");
    let verdict = |claims: Claims| issuer.verifier().verify(&issuer.sign(&claims).expect("token"));
    verdict(Claims { exp: Some(now() - LEEWAY_SECONDS + 3), ..good_claims() }).expect("within the leeway");
    verdict(Claims { nbf: Some(now() + LEEWAY_SECONDS - 1), ..good_claims() }).expect("within the leeway");
    let expired = verdict(Claims { exp: Some(1_700_000_000), ..good_claims() });
    assert_eq!(expired, Err(AuthError::Expired { since: "2023-11-14T22:13:20Z".to_owned() }));
    let early = verdict(Claims { nbf: Some(4_000_000_000), ..good_claims() });
    assert_eq!(early, Err(AuthError::NotYetValid { until: "2096-10-02T07:06:40Z".to_owned() }));
    let never = verdict(Claims { nbf: Some(u64::MAX), ..good_claims() });
    assert_eq!(never, Err(AuthError::NotYetValid { until: "a time out of range".to_owned() }));
    assert!(verdict(Claims { exp: Some(now() - 10), ..good_claims() }).is_err());
}

#[test]
fn a_token_for_something_else_or_of_another_ring_is_refused() {
    let keys = keys();
    let issuer = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer");
    let verdict = |claims: Claims| issuer.verifier().verify(&issuer.sign(&claims).expect("token"));
    let aud = |audience| Claims { aud: Some(audience), ..good_claims() };
    assert_eq!(verdict(aud(Audience::One("kubernetes".to_owned()))), Err(AuthError::Audience));
    assert_eq!(verdict(aud(Audience::Many(vec![]))), Err(AuthError::Audience));
    verdict(aud(Audience::Many(vec!["kubernetes".to_owned(), AUDIENCE.to_owned()]))).expect("one of them is us");
    let elsewhere = Claims { iss: Some(issuer_name(RingId([0xcd; 16]))), ..good_claims() };
    assert_eq!(verdict(elsewhere), Err(AuthError::Issuer));
    let other = Issuer::new(self::keys().private_pem.as_bytes(), RING).expect("issuer");
    let forged = other.sign(&good_claims()).expect("token");
    assert_eq!(issuer.verifier().verify(&forged), Err(AuthError::Signature));
}

#[test]
fn only_ed25519_signatures_count_whatever_the_header_says() {
    let keys = keys();
    let verifier = Verifier::new(keys.public_pem.as_bytes(), RING).expect("verifier");
    let payload = serde_json::to_string(&good_claims()).expect("json");
    verifier.verify(&signed(&keys, &header(), &payload)).expect("the good twin of the bad ones");
    for alg in ["none", "None", "nOnE", "NONE", "", "HS256", "RS256", "ES256", "PS512", "EdDSA ", "eddsa"] {
        let header = json!({"alg": alg, "typ": "at+jwt"});
        let token = signed(&keys, &header, &payload);
        verifier.verify(&token).expect_err(alg);
        let (message, _) = token.rsplit_once('.').expect("parts");
        verifier.verify(&format!("{message}.")).expect_err("no signature");
    }
    let mut confused = Header::new(Algorithm::HS256);
    confused.typ = Some(TOKEN_TYPE.to_owned());
    let raw_key = &URL_SAFE_NO_PAD.encode(keys.public_pem.as_bytes());
    for secret in [keys.public_pem.as_bytes(), raw_key.as_bytes()] {
        let token = jsonwebtoken::encode(&confused, &good_claims(), &EncodingKey::from_secret(secret)).expect("token");
        assert_eq!(verifier.verify(&token), Err(AuthError::Algorithm), "the public key is no shared secret");
    }
}

#[test]
fn headers_that_bring_their_own_key_type_or_demands_are_refused_or_ignored() {
    let keys = keys();
    let verifier = Verifier::new(keys.public_pem.as_bytes(), RING).expect("verifier");
    let payload = serde_json::to_string(&good_claims()).expect("json");
    let with = |name: &str, value: Value| {
        let mut header = header();
        header[name] = value;
        verifier.verify(&signed(&keys, &header, &payload))
    };
    assert_eq!(with("kid", json!("../../etc/passwd")), Err(AuthError::Signature));
    assert_eq!(with("kid", json!("' OR 1=1")), Err(AuthError::Signature));
    with("crit", json!(["b64"])).expect_err("no extension is known");
    with("typ", json!("JWT")).expect_err("an ID token is no access token");
    with("typ", Value::Null).expect_err("no type");
    with("typ", json!("é")).expect_err("no type");
    with("typ", json!("application/at+jwt")).expect("the long form of RFC 9068");
    let other = self::keys();
    let raw = other.public_pem;
    let brought = json!({"alg": "EdDSA", "typ": "at+jwt", "jku": "https://evil.example/jwks", "x5u": raw});
    verifier.verify(&signed(&keys, &brought, &payload)).expect("ignored: our own key decides");
    let forged = signed(&Keys { private_pem: other.private_pem, public_pem: raw }, &brought, &payload);
    assert_eq!(verifier.verify(&forged), Err(AuthError::Signature));
}

#[test]
fn claims_that_come_twice_or_have_another_type_make_a_token_malformed() {
    let keys = keys();
    let verifier = Verifier::new(keys.public_pem.as_bytes(), RING).expect("verifier");
    let iss = issuer_name(RING);
    let good = format!(r#"{{"iss":"{iss}","sub":"ada","aud":"{AUDIENCE}","exp":4000000000,"scope":"jobs:read"}}"#);
    verifier.verify(&signed(&keys, &header(), &good)).expect("the good twin of the bad ones");
    for (from, to) in [
        ("4000000000", "\"4000000000\""),
        ("4000000000", "4000000000.5"),
        ("4000000000", "1e400"),
        ("4000000000", "-1"),
        ("4000000000", "99999999999999999999999"),
        ("\"exp\"", "\"sub\":\"eve\",\"exp\""),
        ("\"exp\"", "\"scope\":\"ring:admin\",\"exp\""),
        ("\"exp\"", "\"exp\":4000000001,\"exp\""),
        ("\"exp\"", "\"tenant\":\"A/B\",\"exp\""),
        ("\"ada\"", "7"),
        ("{", "[{"),
    ] {
        let payload = good.replacen(from, to, 1);
        assert_ne!(payload, good);
        let error = verifier.verify(&signed(&keys, &header(), &payload)).expect_err(&payload);
        assert!(matches!(error, AuthError::Malformed { .. }), "{payload}: {error:?}");
    }
}

#[test]
fn garbage_and_oversize_are_refused_without_a_panic() {
    let keys = keys();
    let issuer = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer");
    let verifier = issuer.verifier();
    let token = issuer.issue(&grant()).expect("token");
    let parts: Vec<&str> = token.split('.').collect();
    let cases = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{}..{}", parts[0], parts[2]),
        format!("{token}.{}", parts[2]),
        format!("{token}="),
        format!(" {token}"),
        format!(r#"{{"protected":"{}","payload":"{}","signature":"{}"}}"#, parts[0], parts[1], parts[2]),
    ];
    for case in cases {
        verifier.verify(&case).expect_err(&case);
    }
    let long = format!("{token}{}", "A".repeat(LONGEST_TOKEN_BYTES));
    assert_eq!(verifier.verify(&long), Err(AuthError::TooLong { limit_bytes: LONGEST_TOKEN_BYTES }));
}

#[test]
fn every_changed_character_of_a_token_is_noticed() {
    let keys = keys();
    let issuer = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer");
    let token = issuer.issue(&grant()).expect("token");
    for index in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        issuer.verifier().verify(&changed).expect_err("changed");
    }
}

#[test]
fn refusals_never_repeat_the_token() {
    let keys = keys();
    let other = Issuer::new(self::keys().private_pem.as_bytes(), RING).expect("issuer");
    let verifier = Verifier::new(keys.public_pem.as_bytes(), RING).expect("verifier");
    let token = other.issue(&grant()).expect("token");
    let error = verifier.verify(&token).expect_err("another key").to_string();
    assert!(token.split('.').all(|part| !error.contains(part)), "{error}");
}

#[test]
fn a_token_must_name_somebody_and_end_some_day() {
    let issuer = Issuer::new(keys().private_pem.as_bytes(), RING).expect("issuer");
    for ttl in [Duration::ZERO, Duration::from_millis(999), LONGEST_TTL + Duration::from_secs(1)] {
        assert!(matches!(issuer.issue(&Grant { ttl, ..grant() }), Err(IssueError::Ttl)));
    }
    for subject in [String::new(), "a".repeat(257)] {
        assert!(matches!(issuer.issue(&Grant { subject, ..grant() }), Err(IssueError::Subject)));
    }
}

#[test]
fn another_kind_of_key_is_refused() {
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("key");
    assert_eq!(Issuer::new(other.serialize_pem().as_bytes(), RING).err(), Some(KeyError));
    assert_eq!(Verifier::new(other.public_key_pem().as_bytes(), RING).err(), Some(KeyError));
    assert_eq!(Verifier::new(keys().private_pem.as_bytes(), RING).err(), Some(KeyError));
    assert_eq!(Issuer::new(b"", RING).err(), Some(KeyError));
}
