//! Checks tokens: one algorithm, one key, every claim that must be there, and no more than a few seconds of clock skew.
//!
//! jsonwebtoken checks `aud` and `iss` only when they are present, leaves `nbf` off and allows a minute unless told otherwise: all of it is set here.

use super::claims::{Caller, Claims};
use super::error::AuthError;
use super::scope::{Scope, Scopes};
use super::tenant::Tenant;
use super::{AUDIENCE, TOKEN_TYPE, issuer_name};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use scrapering_core::id::RingId;
use sha2::{Digest, Sha256};

/// Longest token that is looked at, bytes; one of ours has about 500.
pub(super) const LONGEST_TOKEN_BYTES: usize = 8 * 1024;
/// Clock skew that is forgiven, seconds.
pub(super) const LEEWAY_SECONDS: u64 = 5;
/// What comes before the 32 key bytes in the DER of an Ed25519 public key (RFC 8410 section 4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The file is not a key for tokens. Whoever set up the ring is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key for tokens must be an Ed25519 key in PEM form (RFC 8410)")]
pub struct KeyError;

/// Checks the tokens of one ring's issuer.
#[derive(Clone)]
pub struct Verifier {
    key: DecodingKey,
    key_id: String,
    validation: Validation,
    served: Tenant,
}

impl Verifier {
    /// Checks what the issuer of the ring `ring_id` signs; `key_pem` is its Ed25519 public key (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`KeyError`] if it is another kind of key.
    pub fn new(key_pem: &[u8], ring_id: RingId) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(key_pem).map_err(|_| KeyError)?;
        let raw = der.as_ref().strip_prefix(&ED25519_PREFIX).filter(|raw| raw.len() == 32).ok_or(KeyError)?;
        Ok(Self::of_raw_key(raw, ring_id))
    }

    pub(super) fn of_raw_key(public_key: &[u8], ring_id: RingId) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[issuer_name(ring_id)]);
        validation.validate_exp = true;
        validation.validate_nbf = true;
        validation.validate_aud = true;
        validation.leeway = LEEWAY_SECONDS;
        Self {
            key: DecodingKey::from_ed_der(public_key),
            key_id: key_id(public_key),
            validation,
            served: Tenant::default(),
        }
    }

    /// Who sends a request with this `Authorization` header (RFC 6750 section 2.1), if they may do what needs `scope`.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn authorize(&self, header: Option<&[u8]>, scope: Scope) -> Result<Caller, AuthError> {
        let header = header.ok_or(AuthError::Missing)?;
        let header = std::str::from_utf8(header).map_err(|_| AuthError::Header)?;
        let (scheme, token) = header.split_once(' ').ok_or(AuthError::Header)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthError::Header);
        }
        let caller = self.verify(token.trim_start_matches(' '))?;
        if caller.tenant != self.served {
            return Err(AuthError::Tenant { tenant: caller.tenant, served: self.served.clone() });
        }
        if !caller.scopes.contains(scope) {
            return Err(AuthError::Scope { needed: scope });
        }
        Ok(caller)
    }

    /// Whom `token` speaks for.
    ///
    /// # Errors
    /// [`AuthError`], never about scope or tenant.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        if token.len() > LONGEST_TOKEN_BYTES {
            return Err(AuthError::TooLong { limit_bytes: LONGEST_TOKEN_BYTES });
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| AuthError::Malformed { what: "its header cannot be read, or names an unknown algorithm" })?;
        self.check_header(&header)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| refusal(error.kind(), token))?
            .claims;
        let subject = claims.sub.filter(|subject| !subject.is_empty());
        let tenant = claims.tenant.map_or(Ok(Tenant::default()), |tenant| tenant.parse());
        Ok(Caller {
            subject: subject.ok_or_else(|| AuthError::MissingClaim { claim: "sub".to_owned() })?,
            tenant: tenant.map_err(|_| AuthError::Malformed { what: "its \"tenant\" claim names no tenant" })?,
            scopes: claims.scope.as_deref().map(Scopes::of_claim).unwrap_or_default(),
        })
    }

    /// Keys that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at; its `kid` may only name our key.
    fn check_header(&self, header: &Header) -> Result<(), AuthError> {
        if header.alg != Algorithm::EdDSA {
            return Err(AuthError::Algorithm);
        }
        if header.crit.is_some() {
            return Err(AuthError::Malformed {
                what: "its header demands extensions (\"crit\"), and none is known here",
            });
        }
        let is_access_token = |typ: &str| {
            let short = typ.get(..12).filter(|prefix| prefix.eq_ignore_ascii_case("application/"));
            typ[short.map_or(0, str::len)..].eq_ignore_ascii_case(TOKEN_TYPE)
        };
        if !header.typ.as_deref().is_some_and(is_access_token) {
            return Err(AuthError::Malformed { what: "its \"typ\" is not at+jwt, so it is no access token" });
        }
        if header.kid.as_ref().is_some_and(|key_id| *key_id != self.key_id) {
            return Err(AuthError::Signature);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// How a key is named in the header of the tokens it signs.
pub(super) fn key_id(public_key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(public_key)[..12])
}

fn refusal(kind: &ErrorKind, token: &str) -> AuthError {
    match kind {
        ErrorKind::InvalidSignature => AuthError::Signature,
        ErrorKind::InvalidAlgorithm => AuthError::Algorithm,
        ErrorKind::InvalidIssuer => AuthError::Issuer,
        ErrorKind::InvalidAudience => AuthError::Audience,
        ErrorKind::MissingRequiredClaim(claim) => AuthError::MissingClaim { claim: claim.clone() },
        ErrorKind::ExpiredSignature => AuthError::Expired { since: time_of(token, |claims| claims.exp) },
        ErrorKind::ImmatureSignature => AuthError::NotYetValid { until: time_of(token, |claims| claims.nbf) },
        _ => AuthError::Malformed {
            what: "it is not three parts of base64url, or a claim has the wrong type or comes twice",
        },
    }
}

/// A time in a token whose signature is known to be good, since signatures are checked before times.
fn time_of(token: &str, claim: fn(Claims) -> Option<u64>) -> String {
    jsonwebtoken::dangerous::insecure_decode_claims(token)
        .ok()
        .and_then(claim)
        .and_then(|seconds| i64::try_from(seconds).ok())
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "a time out of range".to_owned(), |time| time.to_string())
}
