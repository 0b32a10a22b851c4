//! Public keys that check tokens, each for exactly one algorithm: from PEM (the built-in issuer) or a JWK Set (RFC 7517).
//!
//! The algorithm is a property of the key and never of the token, so that a token cannot choose how it is checked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Most keys of one issuer; a token without a key id is tried against those of its algorithm.
const MOST_KEYS: usize = 16;
/// What comes before the 32 key bytes in the DER of an Ed25519 public key (RFC 8410 section 4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Shortest RSA modulus (NIST SP 800-131A), in bytes.
const SHORTEST_RSA_BYTES: usize = 256;

/// The file is not a key for tokens. Whoever set up the ring is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key for tokens must be one or more Ed25519 keys in PEM form (RFC 8410)")]
pub struct KeyError;

/// A key and the one algorithm it is for.
#[derive(Clone)]
struct TrustedKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys of one issuer.
#[derive(Clone, Default)]
pub(super) struct KeySet {
    keys: Vec<TrustedKey>,
}

impl KeySet {
    /// One Ed25519 key.
    pub(super) fn of_raw_key(public_key: &[u8]) -> Self {
        Self { keys: vec![ed25519(public_key)] }
    }

    /// Every Ed25519 public key in a PEM file; a rotated file holds the new key and the old ones.
    pub(super) fn of_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for der in SubjectPublicKeyInfoDer::pem_slice_iter(pem) {
            let der = der.map_err(|_| KeyError)?;
            let raw = der.as_ref().strip_prefix(&ED25519_PREFIX).filter(|raw| raw.len() == 32).ok_or(KeyError)?;
            keys.push(ed25519(raw));
        }
        if keys.is_empty() || keys.len() > MOST_KEYS { Err(KeyError) } else { Ok(Self { keys }) }
    }

    /// The signature keys of a JWK Set that are for EdDSA, ES256 or RS256; others are left out. `None` if it is no set.
    pub(super) fn of_jwks(text: &[u8]) -> Option<Self> {
        let set: Value = serde_json::from_slice(text).ok()?;
        let listed = set.get("keys")?.as_array()?.iter();
        let known = listed.filter_map(|key| trusted(serde_json::from_value(key.clone()).ok()?));
        Some(Self { keys: known.take(MOST_KEYS).collect() })
    }

    /// Whether there is no key at all.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key is called so.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Whether some key is for `algorithm`.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithm == algorithm)
    }

    /// The keys that may have signed a token with this header.
    pub(super) fn candidates(&self, header: &Header) -> impl Iterator<Item = (&DecodingKey, Algorithm)> {
        let fits = |key: &&TrustedKey| {
            key.algorithm == header.alg && (header.kid.is_none() || key.id.is_none() || key.id == header.kid)
        };
        self.keys.iter().filter(fits).map(|key| (&key.key, key.algorithm))
    }
}

fn ed25519(raw: &[u8]) -> TrustedKey {
    TrustedKey { id: Some(key_id(raw)), algorithm: Algorithm::EdDSA, key: DecodingKey::from_ed_der(raw) }
}

fn trusted(jwk: Jwk) -> Option<TrustedKey> {
    let common = &jwk.common;
    if common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
        return None;
    }
    if common.key_operations.as_ref().is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(key) => {
            if !is_strong_rsa(&URL_SAFE_NO_PAD.decode(&key.n).ok()?, &URL_SAFE_NO_PAD.decode(&key.e).ok()?) {
                return None;
            }
            (Algorithm::RS256, KeyAlgorithm::RS256)
        }
        _ => return None,
    };
    if common.key_algorithm.is_some_and(|other| other != named) {
        return None;
    }
    Some(TrustedKey { id: common.key_id.clone(), algorithm, key: DecodingKey::from_jwk(&jwk).ok()? })
}

/// Whether an RSA key can be trusted to be its owner's alone: long enough, with an exponent that signs, and not one whose
/// factors are known to be guessable.
fn is_strong_rsa(modulus: &[u8], exponent: &[u8]) -> bool {
    let trimmed = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let (modulus, exponent) = (trimmed(modulus), trimmed(exponent));
    let signs = exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1];
    modulus.len() >= SHORTEST_RSA_BYTES && signs && !is_roca(&modulus)
}

/// Whether a modulus was made by the library of CVE-2017-15361: modulo each of these primes it is a power of 65537.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * 65_537 % prime));
        powers.take(*prime as usize).any(|power| power == rest)
    })
}

/// How a key is named in the header of the tokens it signs.
pub(super) fn key_id(public_key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(public_key)[..12])
}
