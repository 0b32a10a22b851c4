//! Checks tokens: a trusted issuer, one of its keys, every claim that must be there, and no more than a few seconds of clock skew.
//!
//! jsonwebtoken checks `aud` and `iss` only when they are present, leaves `nbf` off and allows a minute unless told otherwise: all of it is set here.

use super::claims::{Caller, Claims};
use super::error::AuthError;
use super::issuer::LONGEST_TTL;
use super::keys::{KeyError, KeySet};
use super::oidc::{OidcError, OidcOptions};
use super::revoked::Revoked;
use super::scope::{Scope, Scopes};
use super::tenant::Tenant;
use super::trusted::{FileKeys, Pace, TrustedIssuer};
use super::{AUDIENCE, TOKEN_TYPE, issuer_name};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use scrapering_core::id::RingId;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest token that is looked at, bytes; one of ours has about 500.
pub(super) const LONGEST_TOKEN_BYTES: usize = 8 * 1024;
/// Clock skew that is forgiven, seconds.
pub(super) const LEEWAY_SECONDS: u64 = 5;
/// Algorithms that any key may be for.
pub(super) const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];
/// A file is cheap to read.
const FILE_PACE: Pace = Pace { fresh: Duration::from_secs(10), least: Duration::from_secs(1) };

/// Checks the tokens that a ring accepts. A cheap clone.
#[derive(Clone)]
pub struct Verifier {
    issuers: Arc<Vec<TrustedIssuer>>,
    revoked: Revoked,
}

impl Verifier {
    /// Checks what the issuer of the ring `ring_id` signs; `keys_pem` are its Ed25519 public keys (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`KeyError`] if it is another kind of key.
    pub fn new(keys_pem: &[u8], ring_id: RingId) -> Result<Self, KeyError> {
        Ok(Self::of(own(ring_id, KeySet::of_pem(keys_pem)?)))
    }

    /// As [`Verifier::new`] with the keys that are in the file `path` at any time.
    ///
    /// # Errors
    /// [`KeyError`] for what is in `keys_pem`, which is the file's content now.
    pub fn of_file(path: &Path, keys_pem: &[u8], ring_id: RingId) -> Result<Self, KeyError> {
        let issuer = own(ring_id, KeySet::of_pem(keys_pem)?);
        Ok(Self::of(issuer.with_source(FileKeys(path.to_owned()), FILE_PACE)))
    }

    /// The same, accepting also tokens of an issuer elsewhere.
    ///
    /// # Errors
    /// [`OidcError`].
    pub fn trusting(self, other: &OidcOptions) -> Result<Self, OidcError> {
        Ok(self.with(other.trusted()?))
    }

    pub(super) fn of_raw_key(public_key: &[u8], ring_id: RingId) -> Self {
        Self::of(own(ring_id, KeySet::of_raw_key(public_key)))
    }

    fn of(issuer: TrustedIssuer) -> Self {
        Self { issuers: Arc::new(vec![issuer]), revoked: Revoked::default() }
    }

    pub(super) fn with(self, issuer: TrustedIssuer) -> Self {
        let mut issuers = Arc::into_inner(self.issuers).expect("a verifier is shared only when it is complete");
        issuers.push(issuer);
        Self { issuers: Arc::new(issuers), ..self }
    }

    /// Tokens that are refused before their time.
    #[must_use]
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// As [`Verifier::authorize`], after the issuer's keys were fetched if they lack the token's; keys that are merely old
    /// are fetched again meanwhile.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn admit(&self, header: Option<&[u8]>, scope: Scope) -> Result<Caller, AuthError> {
        if let Ok(token) = bearer(header)
            && token.len() <= LONGEST_TOKEN_BYTES
            && let Ok(head) = jsonwebtoken::decode_header(token)
            && let Ok(issuer) = self.issuer_of(token)
        {
            if issuer.lacks(head.kid.as_deref()) {
                issuer.refresh(head.kid.as_deref()).await;
            } else if issuer.is_due() {
                self.refresh_meanwhile(issuer.name.clone());
            }
        }
        self.authorize(header, scope)
    }

    fn refresh_meanwhile(&self, name: String) {
        let issuers = Arc::clone(&self.issuers);
        tokio::spawn(async move {
            if let Some(issuer) = issuers.iter().find(|issuer| issuer.name == name) {
                issuer.refresh(None).await;
            }
        });
    }

    /// Who sends a request with this `Authorization` header (RFC 6750 section 2.1), if they may do what needs `scope`.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn authorize(&self, header: Option<&[u8]>, scope: Scope) -> Result<Caller, AuthError> {
        let caller = self.verify(bearer(header)?)?;
        if !caller.scopes.contains(scope) {
            return Err(AuthError::Scope { needed: scope });
        }
        Ok(caller)
    }

    /// Whom `token` speaks for.
    ///
    /// # Errors
    /// [`AuthError`], never about scope.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        if token.len() > LONGEST_TOKEN_BYTES {
            return Err(AuthError::TooLong { limit_bytes: LONGEST_TOKEN_BYTES });
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| AuthError::Malformed { what: "its header cannot be read, or names an unknown algorithm" })?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(AuthError::Algorithm);
        }
        let issuer = self.issuer_of(token)?;
        check_header(&header, issuer.is_own)?;
        let keys = issuer.keys();
        if !keys.is_for(header.alg) {
            return Err(AuthError::Algorithm);
        }
        let mut verdict = Err(AuthError::Signature);
        for (key, algorithm) in keys.candidates(&header) {
            verdict = claims(token, key, algorithm, issuer);
            if !matches!(verdict, Err(AuthError::Signature)) {
                break;
            }
        }
        self.caller(verdict?, issuer)
    }

    fn caller(&self, claims: Claims, issuer: &TrustedIssuer) -> Result<Caller, AuthError> {
        if claims.jti.as_deref().is_some_and(|id| self.revoked.has(id)) {
            return Err(AuthError::Revoked);
        }
        let tenant = claims.tenant().map_or(Ok(Tenant::default()), str::parse);
        let tenant = tenant.map_err(|_| AuthError::Malformed { what: "its \"tenant\" claim names no tenant" })?;
        let scopes: Scopes = claims.scopes().iter().chain(issuer.granted.iter()).collect();
        let missing = || AuthError::MissingClaim { claim: "sub".to_owned() };
        let subject = claims.sub.filter(|subject| !subject.is_empty()).ok_or_else(missing)?;
        // That the claim is there was checked with the signature.
        let good_until = Duration::from_secs(claims.exp.unwrap_or_default().saturating_add(LEEWAY_SECONDS));
        let good_until = UNIX_EPOCH.checked_add(good_until).unwrap_or_else(far_away);
        Ok(Caller { subject, tenant, scopes, token_id: claims.jti, good_until })
    }

    /// Returns when the token of `caller` is no longer good: its time is over, or it was taken back.
    pub async fn until_over(&self, caller: &Caller) {
        let left = caller.good_until.duration_since(SystemTime::now()).unwrap_or_default();
        let revoked = async {
            match &caller.token_id {
                Some(id) => self.revoked.until(id).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(left) => {}
            () = revoked => {}
        }
    }

    /// The trusted issuer that a token names. Nothing else of it may be believed before its signature is checked.
    fn issuer_of(&self, token: &str) -> Result<&TrustedIssuer, AuthError> {
        let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| MALFORMED)?;
        let name = claims.iss.ok_or_else(|| AuthError::MissingClaim { claim: "iss".to_owned() })?;
        self.issuers.iter().find(|issuer| issuer.name == name).ok_or(AuthError::Issuer)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        f.debug_struct("Verifier").field("issuers", &names).finish_non_exhaustive()
    }
}

const MALFORMED: AuthError =
    AuthError::Malformed { what: "it is not three parts of base64url, or a claim has the wrong type or comes twice" };

/// Later than any ring lives, for a claim that names no moment.
fn far_away() -> SystemTime {
    SystemTime::now() + LONGEST_TTL
}

/// The id of a token, read without checking anything: good for naming it, not for believing it.
#[must_use]
pub fn token_id(token: &str) -> Option<String> {
    jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token).ok()?.jti
}

fn own(ring_id: RingId, keys: KeySet) -> TrustedIssuer {
    TrustedIssuer::fixed(issuer_name(ring_id), AUDIENCE.to_owned(), keys)
}

fn bearer(header: Option<&[u8]>) -> Result<&str, AuthError> {
    let header = header.ok_or(AuthError::Missing)?;
    let header = std::str::from_utf8(header).map_err(|_| AuthError::Header)?;
    let (scheme, token) = header.split_once(' ').ok_or(AuthError::Header)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Header);
    }
    Ok(token.trim_start_matches(' '))
}

/// Keys that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at; its `kid` may only name one of the issuer's.
pub(super) fn check_header(header: &Header, is_own: bool) -> Result<(), AuthError> {
    if header.crit.is_some() {
        return Err(AuthError::Malformed { what: "its header demands extensions (\"crit\"), and none is known here" });
    }
    let named = header.typ.as_deref();
    let is = |wanted: &str| {
        named.is_some_and(|typ| {
            let short = typ.get(..12).filter(|prefix| prefix.eq_ignore_ascii_case("application/"));
            typ[short.map_or(0, str::len)..].eq_ignore_ascii_case(wanted)
        })
    };
    // Other issuers are kept apart by the audience: many do not say which type their access tokens have.
    if is(TOKEN_TYPE) || (!is_own && (named.is_none() || is("JWT"))) {
        return Ok(());
    }
    Err(AuthError::Malformed { what: "its \"typ\" is not at+jwt, so it is no access token" })
}

fn claims(token: &str, key: &DecodingKey, algorithm: Algorithm, issuer: &TrustedIssuer) -> Result<Claims, AuthError> {
    decoded(token, key, algorithm, &issuer.name, &issuer.audience).map_err(|error| refusal(error.kind(), token))
}

/// The claims of a token that `key` signed for this audience; the signature is checked before anything of them is read.
pub(super) fn decoded(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    issuer: &str,
    audience: &str,
) -> jsonwebtoken::errors::Result<Claims> {
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.validate_exp = true;
    validation.validate_nbf = true;
    validation.validate_aud = true;
    validation.leeway = LEEWAY_SECONDS;
    jsonwebtoken::decode::<Claims>(token, key, &validation).map(|decoded| decoded.claims)
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
        _ => MALFORMED,
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
