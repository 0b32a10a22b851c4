//! TLS between nodes (mutual, 1.3 only, exact names) and at the gateway.
//!
//! rustls checks on the server's side that a client's certificate comes from the ring's authority, and no
//! more: who the client is says [`peer_names`], and the RPC layer must compare it with the sender of every
//! message. Sessions are not resumed, so that each connection proves itself by a certificate valid now.

pub mod exact_name;
pub mod live;
pub mod wire;

use super::authority::{AuthorityError, Validity};
use super::is_dns_name;
use crate::storage::files::{self, FileError};
use jiff::Timestamp;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why TLS cannot be set up. The files are at fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or a key can be read by others.
    #[error("a TLS file cannot be used")]
    File(#[from] FileError),
    /// There is no such file.
    #[error("there is no TLS file {path}; give the path of one, or let the ring folder be made anew")]
    Absent {
        /// The path.
        path: PathBuf,
    },
    /// Not PEM, or another kind of PEM.
    #[error("{path} holds no {wanted} in PEM form")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        wanted: &'static str,
    },
    /// The certificate ended.
    #[error(
        "the certificate {path} ended at {until}; put a new one there (the nodes of a local ring get theirs at the start from its ca.key), or set the clock right"
    )]
    Expired {
        /// The certificate.
        path: PathBuf,
        /// When.
        until: Timestamp,
    },
    /// The certificate has not begun.
    #[error("the certificate {path} is valid only from {from}; set the clock right, or put a valid certificate there")]
    NotYetValid {
        /// The certificate.
        path: PathBuf,
        /// When it begins.
        from: Timestamp,
    },
    /// The certificate cannot be understood.
    #[error("the certificate {path} cannot be understood")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: AuthorityError,
    },
    /// rustls refuses the pair, as a key of another certificate.
    #[error("the certificate {certificate} cannot be used with the key {key}")]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// Its supposed key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The authority's certificate is none.
    #[error("{path} holds no certificate authority")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: VerifierBuilderError,
    },
}

/// Where a certificate chain and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// PEM, the leaf first.
    pub certificate: PathBuf,
    /// PEM (PKCS#8, SEC1 or PKCS#1), readable by its owner only.
    pub key: PathBuf,
}

struct Loaded {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pair {
    fn load(&self, now: Timestamp) -> Result<Loaded, TlsError> {
        let chain = certificates(&self.certificate)?;
        let path = || self.certificate.clone();
        let validity = Validity::of(&chain[0]).map_err(|source| TlsError::Certificate { path: path(), source })?;
        if validity.until < now {
            return Err(TlsError::Expired { path: path(), until: validity.until });
        }
        if validity.from > now {
            return Err(TlsError::NotYetValid { path: path(), from: validity.from });
        }
        let key = PrivateKeyDer::from_pem_slice(&files::read_secret(&self.key)?)
            .map_err(|_| TlsError::Pem { path: self.key.clone(), wanted: "private key" })?;
        Ok(Loaded { chain, key })
    }

    fn refused(&self) -> impl FnOnce(rustls::Error) -> TlsError {
        let Self { certificate, key } = self.clone();
        move |source| TlsError::Pair { certificate, key, source }
    }
}

/// How a node serves its peers: only clients with a certificate of the authority `ca`, over HTTP/2.
///
/// # Errors
/// [`TlsError`]; also when the certificate is not valid at `now`.
pub fn ring_server(pair: &Pair, ca: &Path, now: Timestamp) -> Result<Arc<ServerConfig>, TlsError> {
    let Loaded { chain, key } = pair.load(now)?;
    let clients = WebPkiClientVerifier::builder_with_provider(authorities(ca)?, provider())
        .build()
        .map_err(|source| TlsError::Authority { path: ca.to_owned(), source })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("AWS-LC speaks TLS 1.3")
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(pair.refused())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// How a node dials its peers: with its own certificate, and only to the exact name it asked for.
///
/// # Errors
/// [`TlsError`]; also when the certificate is not valid at `now`.
pub fn ring_client(pair: &Pair, ca: &Path, now: Timestamp) -> Result<Arc<ClientConfig>, TlsError> {
    let Loaded { chain, key } = pair.load(now)?;
    let servers = WebPkiServerVerifier::builder_with_provider(authorities(ca)?, provider())
        .build()
        .map_err(|source| TlsError::Authority { path: ca.to_owned(), source })?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("AWS-LC speaks TLS 1.3")
        // rustls calls every verifier of one's own dangerous; this one only adds a check to the standard one.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(exact_name::ExactName::new(servers)))
        .with_client_auth_cert(chain, key)
        .map_err(pair.refused())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// How the gateway serves people and programs: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, no client certificate.
///
/// # Errors
/// [`TlsError`]; also when the certificate is not valid at `now`.
pub fn gateway(pair: &Pair, now: Timestamp) -> Result<Arc<ServerConfig>, TlsError> {
    let Loaded { chain, key } = pair.load(now)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("AWS-LC speaks TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair.refused())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The node names a peer has proven: the DNS names in its certificate, without patterns.
///
/// `certificates` are those of a finished handshake, the leaf first. A common name counts for nothing, and
/// `localhost`, which every certificate of a local ring holds, names nobody.
#[must_use]
pub fn peer_names(certificates: &[CertificateDer<'_>]) -> Vec<String> {
    let Some(leaf) = certificates.first() else { return Vec::new() };
    let Ok(leaf) = webpki::EndEntityCert::try_from(leaf) else { return Vec::new() };
    leaf.valid_dns_names().filter(|name| is_dns_name(name) && *name != "localhost").map(str::to_owned).collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// At least one certificate from a PEM file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = files::read(path)?.ok_or_else(|| TlsError::Absent { path: path.to_owned() })?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| TlsError::Pem { path: path.to_owned(), wanted: "certificate" })
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|_| TlsError::Pem { path: path.to_owned(), wanted: "certificate authority" })?;
    }
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests;
