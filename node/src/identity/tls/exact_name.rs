//! A server's certificate must name the node that was dialled, exactly: no patterns, no addresses.

use super::peer_names;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// The standard verification, and then the exact name.
#[derive(Debug)]
pub struct ExactName {
    standard: Arc<WebPkiServerVerifier>,
}

impl ExactName {
    /// Adds the check to `standard`.
    #[must_use]
    pub const fn new(standard: Arc<WebPkiServerVerifier>) -> Self {
        Self { standard }
    }
}

impl ServerCertVerifier for ExactName {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.standard.verify_server_cert(leaf, intermediates, name, ocsp, now)?;
        let ServerName::DnsName(dialled) = name else { return Err(CertificateError::NotValidForName.into()) };
        if peer_names(std::slice::from_ref(leaf)).iter().any(|proven| proven == dialled.as_ref()) {
            Ok(verified)
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.standard.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.standard.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.standard.supported_verify_schemes()
    }
}
