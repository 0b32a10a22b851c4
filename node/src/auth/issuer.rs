//! The built-in issuer: signs tokens with the ring's own Ed25519 key, for laptops and for rings without an identity provider.

use super::claims::{Audience, Claims};
use super::keys::{KeyError, key_id};
use super::scope::Scopes;
use super::tenant::Tenant;
use super::verifier::Verifier;
use super::{AUDIENCE, TOKEN_TYPE, issuer_name};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use scrapering_core::id::RingId;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Longest life of a token: 90 days.
pub const LONGEST_TTL: Duration = Duration::from_secs(90 * 24 * 3600);

/// What a token is to allow, and for how long.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Name of the person or program; appears in the ring's logs.
    pub subject: String,
    /// Whose jobs it may touch.
    pub tenant: Tenant,
    /// What it may do.
    pub scopes: Scopes,
    /// How long it is good for, from now.
    pub ttl: Duration,
}

/// Why there is no token. The caller is at fault, unless signing itself failed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Nobody is named.
    #[error("the subject of a token must have 1 to 256 characters")]
    Subject,
    /// It would expire at once, or live too long.
    #[error("a token lives from 1 second to 90 days (2160h)")]
    Ttl,
    /// The key cannot sign.
    #[error("the token could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// Signs tokens for one ring.
#[derive(Clone)]
pub struct Issuer {
    key: EncodingKey,
    public_key: Vec<u8>,
    ring_id: RingId,
}

impl Issuer {
    /// The issuer of the ring `ring_id`, whose Ed25519 private key is `key_pem` (PKCS #8, RFC 8410).
    ///
    /// # Errors
    /// [`KeyError`] if it is another kind of key.
    pub fn new(key_pem: &[u8], ring_id: RingId) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(key_pem).map_err(|_| KeyError)?;
        let pair = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| KeyError)?;
        Ok(Self {
            key: EncodingKey::from_ed_der(der.secret_pkcs8_der()),
            public_key: pair.public_key().as_ref().to_vec(),
            ring_id,
        })
    }

    /// Checks what this issuer signs.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::of_raw_key(&self.public_key, self.ring_id)
    }

    /// A signed token.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(&self, grant: &Grant) -> Result<String, IssueError> {
        if grant.subject.is_empty() || grant.subject.chars().count() > 256 {
            return Err(IssueError::Subject);
        }
        if grant.ttl < Duration::from_secs(1) || grant.ttl > LONGEST_TTL {
            return Err(IssueError::Ttl);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.sign(&Claims {
            iss: Some(issuer_name(self.ring_id)),
            sub: Some(grant.subject.clone()),
            aud: Some(Audience::One(AUDIENCE.to_owned())),
            exp: Some(now + grant.ttl.as_secs()),
            nbf: Some(now),
            iat: Some(now),
            jti: Some(Uuid::now_v7().to_string()),
            scope: Some(grant.scopes.to_string()),
            tenant: Some(grant.tenant.to_string()),
            ..Claims::default()
        })
    }

    pub(super) fn sign(&self, claims: &Claims) -> Result<String, IssueError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(key_id(&self.public_key));
        jsonwebtoken::encode(&header, claims, &self.key).map_err(IssueError::Sign)
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("ring_id", &self.ring_id).finish_non_exhaustive()
    }
}
