//! The public JOSE vectors of Wycheproof, read from a checkout of it that `WYCHEPROOF` names; without one they are skipped.
//! What they teach stands as cases of our own in `trust`.

use crate::auth::keys::KeySet;
use crate::auth::verifier::{ALGORITHMS, check_header, decoded};
use jsonwebtoken::errors::ErrorKind;
use serde_json::{Value, json};
use std::path::Path;

/// Where the checkout is.
const PLACE: &str = "WYCHEPROOF";
/// Vectors of signatures and of keys.
const FILES: [&str; 3] = ["json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json"];

/// Whether a key of the set signed this, as a verifier judges before it looks at the claims.
fn is_signed(keys: &KeySet, text: &str) -> bool {
    let Ok(header) = jsonwebtoken::decode_header(text) else { return false };
    if !ALGORITHMS.contains(&header.alg) || check_header(&header, false).is_err() {
        return false;
    }
    let mut candidates = keys.candidates(&header);
    // The payload of a vector is no set of claims: whoever gets as far as reading it has accepted the signature.
    candidates.any(|(key, algorithm)| match decoded(text, key, algorithm, "nobody", "nothing") {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), ErrorKind::Json(_) | ErrorKind::Utf8(_)),
    })
}

fn keys_of(group: &Value) -> KeySet {
    let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
    let set = if key["keys"].is_array() { key.clone() } else { json!({ "keys": [key] }) };
    KeySet::of_jwks(set.to_string().as_bytes()).expect("a set")
}

/// What a vector holds, as text; vectors of encryption hold none.
fn text_of(test: &Value) -> Option<String> {
    let signed = test.get("jws")?;
    Some(signed.as_str().map_or_else(|| signed.to_string(), str::to_owned))
}

#[test]
fn the_public_jose_vectors_are_judged_as_they_say() {
    let Some(place) = std::env::var_os(PLACE) else {
        eprintln!("SKIPPED, NOTHING WAS TESTED: {PLACE} names no checkout of https://github.com/C2SP/wycheproof");
        return;
    };
    let (mut accepted, mut refused, mut misjudged) = (0, 0, Vec::new());
    for file in FILES {
        let path = Path::new(&place).join("testvectors_v1").join(file);
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let vectors: Value = serde_json::from_slice(&text).expect("JSON");
        for group in vectors["testGroups"].as_array().expect("groups") {
            let keys = keys_of(group);
            for test in group["tests"].as_array().expect("tests") {
                let Some(text) = text_of(test) else { continue };
                let ours = ALGORITHMS.iter().any(|algorithm| keys.is_for(*algorithm));
                let expected = test["result"] == "valid" && ours;
                if is_signed(&keys, &text) != expected {
                    misjudged.push(format!("{file} {} {}", test["tcId"], test["comment"]));
                }
                if expected { accepted += 1 } else { refused += 1 }
            }
        }
    }
    assert_eq!(misjudged, [""; 0]);
    eprintln!("{accepted} vectors were accepted and {refused} refused, as they should be");
    assert!(accepted >= 5 && refused >= 100, "{accepted} accepted, {refused} refused");
}
