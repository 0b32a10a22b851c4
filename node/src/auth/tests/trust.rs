//! Issuers elsewhere: which of their keys are taken, how keys come and go, and that no issuer speaks for another.

use super::{RING, good_claims, grant, keys, now};
use crate::auth::claims::{Audience, Claims};
use crate::auth::keys::KeySet;
use crate::auth::trusted::{KeySource, Pace, SourceError, TrustedIssuer};
use crate::auth::{AuthError, Issuer, Scope, Scopes, Tenant, Verifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ISSUER: &str = "https://accounts.example";
const AUDIENCE: &str = "scrapers";
/// Every look is allowed, and none is needed without a reason.
const EAGER: Pace = Pace { fresh: Duration::MAX, least: Duration::ZERO };

/// A key of an issuer elsewhere.
struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    public: Vec<u8>,
    id: &'static str,
}

impl Signer {
    fn new(algorithm: Algorithm, id: &'static str) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::RS256 => &rcgen::PKCS_RSA_SHA256,
            _ => &rcgen::PKCS_ED25519,
        };
        let pair = KeyPair::generate_for(kind).expect("key");
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(pem.as_bytes()),
        };
        let key = key.expect("key");
        Self { algorithm, key, public: pair.public_key_raw().to_vec(), id }
    }

    fn jwk(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            let x = URL_SAFE_NO_PAD.encode(&self.public);
            return json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.id, "use": "sig"});
        }
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("public part");
        jwk.common.key_id = Some(self.id.to_owned());
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["use"] = json!("sig");
        jwk
    }

    fn sign(&self, claims: &Claims) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).expect("token")
    }
}

/// Keys that a test changes.
#[derive(Clone, Default)]
struct Shelf {
    jwks: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
}

impl KeySource for Shelf {
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, SourceError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let text = json!({"keys": *self.jwks.lock().expect("lock")}).to_string();
        Box::pin(async move { KeySet::of_jwks(text.as_bytes()).ok_or(SourceError::Strange("no set")) })
    }
}

impl Shelf {
    fn put(&self, keys: impl IntoIterator<Item = Value>) {
        *self.jwks.lock().expect("lock") = keys.into_iter().collect();
    }

    fn verifier(&self, pace: Pace) -> Verifier {
        let (name, audience) = (ISSUER.to_owned(), AUDIENCE.to_owned());
        let issuer = TrustedIssuer::elsewhere(name, audience, Scopes::default(), self.clone(), pace);
        Verifier::new(keys().public_pem.as_bytes(), RING).expect("verifier").with(issuer)
    }
}

fn claims() -> Claims {
    Claims { iss: Some(ISSUER.to_owned()), aud: Some(Audience::One(AUDIENCE.to_owned())), ..good_claims() }
}

async fn admitted(verifier: &Verifier, token: &str) -> Result<String, AuthError> {
    let header = format!("Bearer {token}");
    verifier.admit(Some(header.as_bytes()), Scope::JobsRead).await.map(|caller| caller.subject)
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_accepted_by_keys_that_are_fetched() {
    let signers = [(Algorithm::EdDSA, "ed"), (Algorithm::ES256, "es"), (Algorithm::RS256, "rs")]
        .map(|(algorithm, id)| Signer::new(algorithm, id));
    let shelf = Shelf::default();
    shelf.put(signers.iter().map(Signer::jwk).chain([json!({"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}), json!(7)]));
    let verifier = shelf.verifier(EAGER);
    for signer in &signers {
        assert_eq!(admitted(&verifier, &signer.sign(&claims())).await, Ok("ada".to_owned()), "{}", signer.id);
        for (what, wrong) in [
            ("expired", Claims { exp: Some(now() - 60), ..claims() }),
            ("not yet valid", Claims { nbf: Some(now() + 60), ..claims() }),
            ("another audience", Claims { aud: Some(Audience::One("else".to_owned())), ..claims() }),
            ("the ring's own issuer", good_claims()),
            ("another issuer", Claims { iss: Some("https://other.example".to_owned()), ..claims() }),
        ] {
            assert!(admitted(&verifier, &signer.sign(&wrong)).await.is_err(), "{what} by {}", signer.id);
        }
    }
    assert_eq!(shelf.asked.load(Ordering::Relaxed), 1, "the keys were fetched once");
}

#[tokio::test]
async fn a_key_is_only_for_its_own_algorithm_and_its_own_issuer() {
    let (ec, ed) = (Signer::new(Algorithm::ES256, "one"), Signer::new(Algorithm::EdDSA, "one"));
    let shelf = Shelf::default();
    shelf.put([ec.jwk()]);
    let verifier = shelf.verifier(EAGER);
    admitted(&verifier, &ec.sign(&claims())).await.expect("its own");
    assert_eq!(admitted(&verifier, &ed.sign(&claims())).await, Err(AuthError::Algorithm), "the same id, another key");
    let mut jwk = ec.jwk();
    for (field, wrong) in [("use", "enc"), ("alg", "RS256"), ("crv", "P-384"), ("kty", "oct")] {
        jwk[field] = json!(wrong);
        let set = json!({"keys": [jwk]}).to_string();
        assert!(!KeySet::of_jwks(set.as_bytes()).expect("a set").is_for(Algorithm::ES256), "{field}={wrong}");
        jwk = ec.jwk();
    }
    for (operations, is_taken) in [(json!(["verify"]), true), (json!(["sign"]), false), (json!([]), false)] {
        jwk["key_ops"] = operations;
        let set = json!({"keys": [jwk]}).to_string();
        assert_eq!(KeySet::of_jwks(set.as_bytes()).expect("a set").is_for(Algorithm::ES256), is_taken, "{jwk}");
    }
    for text in ["", "[]", "{\"keys\": 7}"] {
        assert!(KeySet::of_jwks(text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn rsa_keys_that_others_could_have_are_not_taken() {
    const PRIMES: [u128; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    let takes = |jwk: &Value| {
        let set = json!({"keys": [jwk]}).to_string();
        KeySet::of_jwks(set.as_bytes()).expect("a set").is_for(Algorithm::RS256)
    };
    let good = Signer::new(Algorithm::RS256, "rs").jwk();
    assert!(takes(&good));
    // Modulo each of the primes it is 1, as every modulus of CVE-2017-15361 is a power of 65537.
    let guessable = [&PRIMES.iter().product::<u128>().to_be_bytes()[..], &[0; 255], &[1]].concat();
    for (what, field, value) in [
        ("an exponent that does not sign", "e", vec![1]),
        ("an even exponent", "e", vec![2]),
        ("no exponent", "e", vec![]),
        ("a short modulus", "n", vec![0xff; 255]),
        ("a short modulus behind zeros", "n", [vec![0; 32], vec![0xff; 255]].concat()),
        ("a guessable modulus", "n", guessable),
    ] {
        let mut jwk = good.clone();
        jwk[field] = json!(URL_SAFE_NO_PAD.encode(value));
        assert!(!takes(&jwk), "{what}");
    }
}

#[tokio::test]
async fn keys_are_rotated_without_logging_anybody_out_and_bad_key_ids_do_not_ask_without_end() {
    let (old, new) = (Signer::new(Algorithm::ES256, "old"), Signer::new(Algorithm::ES256, "new"));
    let shelf = Shelf::default();
    shelf.put([old.jwk()]);
    let verifier = shelf.verifier(EAGER);
    admitted(&verifier, &old.sign(&claims())).await.expect("before");
    shelf.put([new.jwk(), old.jwk()]);
    admitted(&verifier, &new.sign(&claims())).await.expect("a new key is fetched as soon as a token names it");
    admitted(&verifier, &old.sign(&claims())).await.expect("nobody is logged out");
    let slow = shelf.verifier(Pace { fresh: Duration::MAX, least: Duration::from_secs(3600) });
    let asked = shelf.asked.load(Ordering::Relaxed);
    let unknown = Signer::new(Algorithm::ES256, "../../etc/passwd");
    for _ in 0..20 {
        assert_eq!(admitted(&slow, &unknown.sign(&claims())).await, Err(AuthError::Signature));
    }
    assert_eq!(shelf.asked.load(Ordering::Relaxed), asked + 1);
    shelf.put([new.jwk()]);
    let strict = shelf.verifier(Pace { fresh: Duration::ZERO, least: Duration::ZERO });
    assert_eq!(
        admitted(&strict, &old.sign(&claims())).await,
        Err(AuthError::Signature),
        "what was taken out is refused"
    );
}

/// Gives its keys once, and then keeps everybody waiting.
struct Stuck {
    jwk: Value,
    asked: Arc<AtomicUsize>,
}

impl KeySource for Stuck {
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, SourceError>> {
        if self.asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return Box::pin(std::future::pending());
        }
        let text = json!({"keys": [self.jwk]}).to_string();
        Box::pin(async move { KeySet::of_jwks(text.as_bytes()).ok_or(SourceError::Strange("no set")) })
    }
}

#[tokio::test]
async fn nobody_whose_key_is_known_waits_for_an_issuer_that_does_not_answer() {
    let signer = Signer::new(Algorithm::ES256, "es");
    let asked = Arc::new(AtomicUsize::new(0));
    let stuck = Stuck { jwk: signer.jwk(), asked: Arc::clone(&asked) };
    let always_old = Pace { fresh: Duration::ZERO, least: Duration::ZERO };
    let issuer = TrustedIssuer::elsewhere(ISSUER.to_owned(), AUDIENCE.to_owned(), Scopes::default(), stuck, always_old);
    let verifier = Verifier::new(keys().public_pem.as_bytes(), RING).expect("verifier").with(issuer);
    let token = signer.sign(&claims());
    for _ in 0..3 {
        assert_eq!(admitted(&verifier, &token).await, Ok("ada".to_owned()));
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "the keys are asked for again, once at a time");
}

#[tokio::test]
async fn old_keys_are_fetched_again_by_themselves_and_what_was_taken_out_is_refused() {
    let (old, new) = (Signer::new(Algorithm::ES256, "old"), Signer::new(Algorithm::ES256, "new"));
    let shelf = Shelf::default();
    shelf.put([old.jwk()]);
    let verifier = shelf.verifier(Pace { fresh: Duration::ZERO, least: Duration::ZERO });
    let token = old.sign(&claims());
    admitted(&verifier, &token).await.expect("it is there");
    shelf.put([new.jwk()]);
    while admitted(&verifier, &token).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_file_of_the_built_in_issuer_may_hold_old_and_new_keys_and_change_while_the_node_runs() {
    let (old, new) = (keys(), keys());
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("jwt.pub");
    std::fs::write(&path, &old.public_pem).expect("written");
    let verifier = Verifier::of_file(&path, old.public_pem.as_bytes(), RING).expect("verifier");
    let token_of = |pem: &str| Issuer::new(pem.as_bytes(), RING).expect("issuer").issue(&grant()).expect("token");
    std::fs::write(&path, format!("{}{}", new.public_pem, old.public_pem)).expect("written");
    for pem in [&new.private_pem, &old.private_pem] {
        assert_eq!(admitted(&verifier, &token_of(pem)).await, Ok("ada".to_owned()));
    }
    Verifier::of_file(&path, b"no key", RING).expect_err("a file without a key is refused");
}

#[tokio::test]
async fn rights_and_tenant_are_read_as_other_issuers_write_them() {
    let signer = Signer::new(Algorithm::RS256, "rs");
    let shelf = Shelf::default();
    shelf.put([signer.jwk()]);
    let verifier = shelf.verifier(EAGER);
    let mut account: Value = serde_json::to_value(claims()).expect("JSON");
    account["scp"] = json!(["jobs:read", "openid"]);
    account["kubernetes.io"] = json!({"namespace": "team-a", "serviceaccount": {"name": "x"}});
    account.as_object_mut().expect("object").remove("scope");
    let claims: Claims = serde_json::from_value(account).expect("claims");
    let header = format!("Bearer {}", signer.sign(&claims));
    let caller = verifier.admit(Some(header.as_bytes()), Scope::JobsRead).await.expect("accepted");
    assert_eq!(
        (caller.tenant, caller.scopes),
        ("team-a".parse::<Tenant>().expect("tenant"), Scopes::of_claim("jobs:read"))
    );
}

#[test]
fn a_revoked_token_is_refused_and_the_others_are_not() {
    let keys = keys();
    let issuer = Issuer::new(keys.private_pem.as_bytes(), RING).expect("issuer");
    let verifier = issuer.verifier();
    let tokens = [(); 2].map(|()| issuer.issue(&grant()).expect("token"));
    let revoked = verifier.verify(&tokens[0]).expect("good").token_id.expect("name");
    verifier.revoked().set([revoked].into());
    assert_eq!(verifier.verify(&tokens[0]), Err(AuthError::Revoked));
    verifier.verify(&tokens[1]).expect("good");
}
