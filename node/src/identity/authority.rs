//! The certificate authority of a local ring: ECDSA P-256, made with the ring, signs each node's certificate.
//!
//! In Kubernetes the operator or cert-manager signs instead, and the node never sees an authority's key.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use zeroize::Zeroizing;

const DAY_S: i64 = 24 * 60 * 60;
/// Ten years: a local ring's authority outlives the ring.
const AUTHORITY_LIFE_S: i64 = 3653 * DAY_S;
/// A node's certificate is issued again in its last third, at every start.
const LEAF_LIFE_S: i64 = 90 * DAY_S;
/// Clocks of two machines differ.
const BACKDATED_S: i64 = 5 * 60;

/// Why a certificate could not be made or understood.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The cryptographic library refused a key, a name or a certificate.
    #[error("the certificate or its key is not usable")]
    Certificate(#[from] rcgen::Error),
    /// No certificate in the text.
    #[error("this is not a certificate in PEM form")]
    NotACertificate,
    /// The authority ended, and everything it signed with it.
    #[error(
        "the certificate authority of this ring ended at {until}; make a new ring folder and move the data by export and import"
    )]
    Expired {
        /// When.
        until: Timestamp,
    },
}

/// An authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    validity: Validity,
}

/// A certificate's first and last second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not valid before.
    pub from: Timestamp,
    /// Not valid after.
    pub until: Timestamp,
}

impl Validity {
    /// The validity in a certificate (RFC 5280, section 4.1.2.5).
    ///
    /// # Errors
    /// [`AuthorityError::NotACertificate`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, AuthorityError> {
        let (_, parsed) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| AuthorityError::NotACertificate)?;
        let at = |second| Timestamp::from_second(second).map_err(|_| AuthorityError::NotACertificate);
        let validity = parsed.validity();
        Ok(Self { from: at(validity.not_before.timestamp())?, until: at(validity.not_after.timestamp())? })
    }

    /// The validity of the first certificate in a PEM text.
    ///
    /// # Errors
    /// [`AuthorityError::NotACertificate`].
    pub fn of_pem(pem: &[u8]) -> Result<Self, AuthorityError> {
        Self::of(&CertificateDer::from_pem_slice(pem).map_err(|_| AuthorityError::NotACertificate)?)
    }

    /// Whether the certificate is in the last third of its life, or past it.
    #[must_use]
    pub fn is_ending(self, now: Timestamp) -> bool {
        let life_s = self.until.as_second() - self.from.as_second();
        now.as_second() > self.until.as_second() - life_s / 3
    }

    fn new(from_s: i64, until_s: i64) -> Self {
        let at = |second| Timestamp::from_second(second).expect("a few years from now is within the calendar");
        Self { from: at(from_s), until: at(until_s) }
    }

    fn apply(self, params: &mut CertificateParams) {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let since_epoch = |at: Timestamp| Duration::from_secs(at.as_second().max(0).cast_unsigned());
        params.not_before = epoch + since_epoch(self.from);
        params.not_after = epoch + since_epoch(self.until);
    }
}

impl Authority {
    /// A new authority for the ring called `ring`, and its certificate and key as PEM.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`].
    pub fn generate(ring: &str, now: Timestamp) -> Result<(String, Zeroizing<String>), AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("ScrapeRing {ring}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Validity::new(now.as_second() - BACKDATED_S, now.as_second() + AUTHORITY_LIFE_S).apply(&mut params);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
    }

    /// The authority whose certificate and key are given as PEM.
    ///
    /// # Errors
    /// [`AuthorityError`]; also when it has ended at `now`.
    pub fn load(certificate: &str, key: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let validity = Validity::of_pem(certificate.as_bytes())?;
        if validity.until < now {
            return Err(AuthorityError::Expired { until: validity.until });
        }
        Ok(Self { issuer: Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)?, validity })
    }

    /// A certificate, as PEM, for the node `name` and its key: to serve and to dial in the ring, and to serve
    /// the gateway on this machine.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] when `name` is no DNS name.
    pub fn issue(&self, name: &str, key: &KeyPair, now: Timestamp) -> Result<String, AuthorityError> {
        let mut params = CertificateParams::new([name.to_owned(), "localhost".to_owned()])?;
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        params.subject_alt_names.extend(loopback.map(SanType::IpAddress));
        // Peers compare alternative names; the common name is for people, and has room for 64 characters.
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "ScrapeRing node");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let until_s = (now.as_second() + LEAF_LIFE_S).min(self.validity.until.as_second());
        Validity::new(now.as_second() - BACKDATED_S, until_s).apply(&mut params);
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

/// A fresh ECDSA P-256 key for a certificate.
///
/// # Errors
/// [`AuthorityError::Certificate`].
pub fn leaf_key() -> Result<KeyPair, AuthorityError> {
    Ok(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(now: Timestamp, days: i64) -> Timestamp {
        Timestamp::from_second(now.as_second() + days * DAY_S).expect("in the calendar")
    }

    #[test]
    fn a_leaf_lives_90_days_and_is_ending_in_the_last_30() {
        let now = Timestamp::now();
        let (certificate, key) = Authority::generate("test", now).expect("authority");
        let authority = Authority::load(&certificate, &key, now).expect("loaded");
        let leaf = authority.issue("ring-0", &leaf_key().expect("key"), now).expect("leaf");
        let validity = Validity::of_pem(leaf.as_bytes()).expect("validity");
        assert_eq!(validity.until.as_second(), days(now, 90).as_second());
        assert!(!validity.is_ending(days(now, 59)));
        assert!(validity.is_ending(days(now, 61)));
        assert!(validity.is_ending(days(now, 1000)));
    }

    #[test]
    fn a_leaf_never_outlives_its_authority_and_an_ended_authority_signs_nothing() {
        let now = Timestamp::now();
        let (certificate, key) = Authority::generate("test", now).expect("authority");
        let late = days(now, 3640);
        let authority = Authority::load(&certificate, &key, late).expect("loaded");
        let leaf = authority.issue("ring-0", &leaf_key().expect("key"), late).expect("leaf");
        assert_eq!(Validity::of_pem(leaf.as_bytes()).expect("validity").until, authority.validity.until);
        let refused = Authority::load(&certificate, &key, days(now, 3700)).err().expect("refused");
        assert!(refused.to_string().contains("ended at 20"), "{refused}");
    }
}
