//! The keys of a ring: made once, kept as long as its volumes, and never made again while there is a volume.
//!
//! The Secret `<ring>-keys` holds the key that wraps every data key (without it the volumes cannot be read), the pair
//! that signs and checks tokens, and the list of the nodes that form the ring. That list stands here and not in the
//! spec because it must never change: nodes that were told different lists do not form a ring.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use k8s_openapi::ByteString;
use rcgen::KeyPair;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// What a Secret holds.
pub type Data = BTreeMap<String, ByteString>;

/// The key that wraps the data keys, base64.
pub const RING_KEY: &str = "ring.key";
/// The private key that signs tokens, PEM; it is never mounted into a pod.
pub const TOKEN_KEY: &str = "jwt.key";
/// The public key that checks tokens, PEM.
pub const TOKEN_PUBLIC_KEY: &str = "jwt.pub";
/// The nodes that form the ring, as the program takes them in `PEERS`.
pub const PEERS: &str = "peers";

/// The operator's own tokens live only as long as one look at a ring.
const TOKEN_LIFE: Duration = Duration::from_secs(300);
const RING_KEY_BYTES: usize = 32;

/// Why a ring's keys cannot be used or made. Who wrote the Secret is at fault, but for [`Error::Dice`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// There are volumes and no keys.
    #[error(
        "Secret {secret} is missing, and volume claims of the ring exist ({claims}): their data cannot be read without \
         it. Restore the Secret from your backup; a new key would make the data unreadable for ever"
    )]
    Lost {
        /// The Secret.
        secret: String,
        /// The claims.
        claims: String,
    },
    /// A key is missing, or not what it should be.
    #[error("Secret {secret}: {key} is missing or not {wanted}")]
    Bad {
        /// The Secret.
        secret: String,
        /// Its key.
        key: &'static str,
        /// What should be there.
        wanted: &'static str,
    },
    /// The system gave no random bytes.
    #[error("no key could be made: the system gives no random bytes")]
    Dice,
}

/// A ring's keys, checked.
pub struct Keys {
    ring_id: String,
    token_key: EncodingKey,
    /// `host:port` of the nodes that form the ring, in order of their ordinals.
    pub founders: Vec<String>,
}

impl Keys {
    /// The content of a new Secret for a ring that these nodes form.
    ///
    /// # Errors
    /// [`Error::Dice`].
    pub fn make(founders: &[String]) -> Result<Data, Error> {
        let mut key = [0; RING_KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| Error::Dice)?;
        let token = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(|_| Error::Dice)?;
        let entries = [
            (RING_KEY, STANDARD.encode(key)),
            (TOKEN_KEY, token.serialize_pem()),
            (TOKEN_PUBLIC_KEY, token.public_key_pem()),
            (PEERS, founders.join(",")),
        ];
        Ok(entries.map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes()))).into())
    }

    /// Reads the content of the Secret `secret`.
    ///
    /// # Errors
    /// [`Error::Bad`].
    pub fn read(secret: &str, data: &Data) -> Result<Self, Error> {
        let bad = |key, wanted| Error::Bad { secret: secret.to_owned(), key, wanted };
        let bytes = |key| data.get(key).map(|bytes| bytes.0.as_slice()).unwrap_or_default();
        let ring_key = STANDARD.decode(bytes(RING_KEY).trim_ascii()).ok().filter(|key| key.len() == RING_KEY_BYTES);
        let ring_key = ring_key.ok_or_else(|| bad(RING_KEY, "32 bytes in base64"))?;
        let token_key = PrivatePkcs8KeyDer::from_pem_slice(bytes(TOKEN_KEY))
            .map_err(|_| bad(TOKEN_KEY, "an Ed25519 private key in PEM form"))?;
        if bytes(TOKEN_PUBLIC_KEY).is_empty() {
            return Err(bad(TOKEN_PUBLIC_KEY, "an Ed25519 public key in PEM form"));
        }
        let founders = std::str::from_utf8(bytes(PEERS)).unwrap_or_default();
        let founders: Vec<String> = founders.split(',').filter(|peer| !peer.is_empty()).map(str::to_owned).collect();
        if founders.is_empty() {
            return Err(bad(PEERS, "a list of host:port, separated by commas"));
        }
        Ok(Self {
            ring_id: ring_id(&ring_key),
            token_key: EncodingKey::from_ed_der(token_key.secret_pkcs8_der()),
            founders,
        })
    }

    /// A token of the operator's own for the ring's gateway, with these scopes; what it makes belongs to the tenant `tenant`.
    ///
    /// # Errors
    /// The key signs nothing: it is of another kind.
    pub fn token(&self, scopes: &str, tenant: &str, now: SystemTime) -> Result<String, jsonwebtoken::errors::Error> {
        self.token_for(scopes, tenant, TOKEN_LIFE, now)
    }

    /// The same, for another time than the few minutes of the operator's own.
    ///
    /// # Errors
    /// As [`Keys::token`].
    pub fn token_for(
        &self,
        scopes: &str,
        tenant: &str,
        life: Duration,
        now: SystemTime,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = Claims {
            iss: format!("urn:scrapering:ring:{}", self.ring_id),
            sub: super::MANAGER,
            aud: "scrapering-gateway",
            nbf: now,
            iat: now,
            exp: now + life.as_secs(),
            scope: scopes,
            tenant,
        };
        let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &self.token_key)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("ring_id", &self.ring_id).field("founders", &self.founders).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: String,
    sub: &'a str,
    aud: &'a str,
    nbf: u64,
    iat: u64,
    exp: u64,
    scope: &'a str,
    tenant: &'a str,
}

/// As the nodes derive it from the same key: the first 16 bytes of a SHA-256, in hex.
fn ring_id(key: &[u8]) -> String {
    let digest = Sha256::new().chain_update(b"scrapering ring id\0").chain_update(key).finalize();
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founders() -> Vec<String> {
        vec!["main-0.main-peers.web.svc:7443".to_owned(), "main-1.main-peers.web.svc:7443".to_owned()]
    }

    #[test]
    fn what_was_made_can_be_read_and_signs() {
        let data = Keys::make(&founders()).expect("keys");
        let keys = Keys::read("main-keys", &data).expect("good keys");
        assert_eq!(keys.founders, founders());
        let token = keys.token("ring:admin", "web", UNIX_EPOCH + Duration::from_secs(1_000_000)).expect("a token");
        let claims = token.split('.').nth(1).expect("three parts");
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).expect("base64url");
        let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(claims["iss"], format!("urn:scrapering:ring:{}", keys.ring_id));
        assert_eq!((&claims["exp"], &claims["scope"]), (&1_000_300.into(), &"ring:admin".into()));
        assert_eq!(claims["tenant"], "web");
        assert!(!format!("{keys:?}").contains("jwt") && Keys::make(&founders()).expect("keys") != data);
    }

    #[test]
    fn the_ring_id_is_that_of_the_nodes() {
        // Computed by hand: printf 'scrapering ring id\0' plus 32 bytes 0x07, sha256sum, 32 digits.
        assert_eq!(ring_id(&[7; 32]), "a0a283452e4966df1bc1990bc43baa7c");
    }

    #[test]
    fn each_bad_key_is_named() {
        for key in [RING_KEY, TOKEN_KEY, TOKEN_PUBLIC_KEY, PEERS] {
            let mut data = Keys::make(&founders()).expect("keys");
            data.remove(key);
            let error = Keys::read("main-keys", &data).expect_err("bad");
            assert!(matches!(error, Error::Bad { key: named, .. } if named == key), "{error}");
        }
    }
}
