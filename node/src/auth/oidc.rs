//! Any OpenID Connect issuer: its keys by discovery (OpenID Connect Discovery 1.0 section 4) over HTTPS, bounded in time and bytes.

use super::keys::KeySet;
use super::scope::Scopes;
use super::trusted::{KeySource, Pace, SourceError, TrustedIssuer};
use futures::StreamExt;
use futures::future::BoxFuture;
use reqwest::{Certificate, Client};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Longest time for one document.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest document, bytes.
const LARGEST_BYTES: usize = 256 * 1024;
/// How often keys are fetched: what was taken out is refused after five minutes, what is new is known at once.
const PACE: Pace = Pace { fresh: Duration::from_secs(300), least: Duration::from_secs(10) };

/// An issuer elsewhere, as the administrator names it.
#[derive(Clone, Debug)]
pub struct OidcOptions {
    /// Its URL, as in the `iss` claim of its tokens.
    pub issuer: Url,
    /// The `aud` claim that its tokens must have.
    pub audience: String,
    /// What each of its tokens may do besides what its own `scope` or `scp` claim says.
    pub scopes: Scopes,
    /// Certificates of the authorities of its server, PEM; without it those of the system.
    pub ca: Option<PathBuf>,
}

/// The issuer cannot be used as it was named. The administrator is at fault.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// Keys must not come over a line that others can write to.
    #[error("the issuer {0} must begin with https://")]
    Scheme(Url),
    /// The file of certificates is unusable.
    #[error("the certificates in {path} cannot be used")]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No client could be made.
    #[error("no HTTP client could be made")]
    Client(#[source] reqwest::Error),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
}

struct OidcKeys {
    issuer: String,
    http: Client,
}

impl OidcOptions {
    pub(super) fn trusted(&self) -> Result<TrustedIssuer, OidcError> {
        if self.issuer.scheme() != "https" {
            return Err(OidcError::Scheme(self.issuer.clone()));
        }
        let mut http = Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT);
        if let Some(path) = &self.ca {
            let bad = |source: Box<dyn std::error::Error + Send + Sync>| OidcError::Ca { path: path.clone(), source };
            let pem = std::fs::read(path).map_err(|error| bad(error.into()))?;
            http = http.tls_certs_only(Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.into()))?);
        }
        let http = http.build().map_err(OidcError::Client)?;
        // What stands in `iss` has no slash at its end unless it was written so.
        let written = self.issuer.as_str();
        let name = if self.issuer.path() == "/" { written.trim_end_matches('/') } else { written }.to_owned();
        let source = OidcKeys { issuer: name.clone(), http };
        Ok(TrustedIssuer::elsewhere(name, self.audience.clone(), self.scopes.clone(), source, PACE))
    }
}

impl OidcKeys {
    async fn read(&self, url: &str) -> Result<Vec<u8>, SourceError> {
        let answer = self.http.get(url).send().await?.error_for_status()?;
        let (mut pieces, mut text) = (answer.bytes_stream(), Vec::new());
        while let Some(piece) = pieces.next().await {
            text.extend_from_slice(&piece?);
            if text.len() > LARGEST_BYTES {
                return Err(SourceError::Strange("the issuer's document is larger than 256 KiB"));
            }
        }
        Ok(text)
    }
}

impl KeySource for OidcKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, SourceError>> {
        Box::pin(async {
            let base = self.issuer.trim_end_matches('/');
            let found = self.read(&format!("{base}/.well-known/openid-configuration")).await?;
            let found: Discovery = serde_json::from_slice(&found)
                .map_err(|_| SourceError::Strange("the issuer's discovery document cannot be read"))?;
            if found.issuer != self.issuer {
                return Err(SourceError::Strange("the discovery document is that of another issuer"));
            }
            if found.jwks_uri.scheme() != "https" {
                return Err(SourceError::Strange("the issuer's jwks_uri does not begin with https://"));
            }
            let keys = self.read(found.jwks_uri.as_str()).await?;
            KeySet::of_jwks(&keys).ok_or(SourceError::Strange("the issuer's keys are no JWK Set"))
        })
    }
}
