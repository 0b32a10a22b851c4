//! The ring's certificates: an authority of its own and one leaf for all nodes, made anew in the last third of their lives.
//!
//! What is to be done follows from the certificates themselves, so that nothing has to be remembered between two looks.
//! A new authority comes in three steps: first the nodes trust both while the old one still signs, then the new one
//! signs, and once its leaf is everywhere the old one is dropped. Each step waits until every pod must have read what
//! the step before wrote ([`Terms::settle_s`]).

pub mod issued;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use thiserror::Error;
use x509_parser::extensions::GeneralName;

use super::keys::Data;

/// Certificate of the authority, PEM; in the leaf's Secret also every other one that is trusted.
pub const CA: &str = "ca.crt";
/// Certificate of the nodes, PEM.
pub const LEAF: &str = "tls.crt";
/// Key of the nodes' certificate, PEM.
pub const LEAF_KEY: &str = "tls.key";
const CA_KEY: &str = "ca.key";
const OLD_CA: &str = "old.crt";
const OLD_CA_KEY: &str = "old.key";
const GENERATION: &str = "generation";
/// Certificate of the authority that signed the leaf, beside it.
const ISSUER: &str = "issuer.crt";

/// Clocks of two machines differ.
const BACKDATED_S: i64 = 300;

/// How long certificates live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Seconds that an authority lives.
    pub authority_s: i64,
    /// Seconds that a leaf lives.
    pub leaf_s: i64,
    /// Seconds until what was written has been read by every pod: the kubelet's sync and the nodes' own look.
    pub settle_s: i64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { authority_s: 3653 * 86_400, leaf_s: 90 * 86_400, settle_s: 3600 }
    }
}

/// Why there are no certificates. Nothing was changed.
#[derive(Debug, Error)]
pub enum Error {
    /// The cryptographic library refused something.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// cert-manager's issuer does not tell whom to trust.
    #[error(
        "the issuer of cert-manager does not tell its authority (ca.crt); nodes trust nobody else, so use one of the type ca or vault"
    )]
    Anonymous,
    /// Somebody wrote something else into the Secret.
    #[error("{0} of the ring's certificate Secrets cannot be read; delete that Secret and it is made anew")]
    Unreadable(&'static str),
}

/// What the two Secrets shall hold, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// Content of `<ring>-ca`, which no pod sees.
    pub authority: Data,
    /// Content of `<ring>-tls`, which every pod mounts.
    pub leaf: Data,
    /// When the authority ends.
    pub ca_until: Timestamp,
    /// When the leaf ends.
    pub leaf_until: Timestamp,
    /// How many authorities there have been.
    pub generation: i64,
}

/// The certificates that a ring shall have now, given those that it has. The same input gives the same output as long
/// as nothing is due.
///
/// # Errors
/// [`Error`].
pub fn due(
    ring: &str,
    names: &[String],
    authority: Option<&Data>,
    leaf: Option<&Data>,
    terms: Terms,
    now: Timestamp,
) -> Result<Certificates, Error> {
    // What cert-manager issued was not signed here: there is an authority to trust, and no key of it.
    let mut authorities = match authority.filter(|data| data.contains_key(CA_KEY)) {
        Some(data) => Authorities::read(data)?,
        None => Authorities::first(ring, leaf, terms, now)?,
    };
    if authorities.is_ending(now) && authorities.old.is_none() {
        authorities = authorities.next(ring, terms, now)?;
    }
    let has_settled = now.as_second() > authorities.life.from + BACKDATED_S + terms.settle_s;
    let (key, signer, life) = match &authorities.old {
        Some(old) if !has_settled && !old.key.is_empty() => (&old.key, &old.certificate, Life::of(&old.certificate)?),
        _ => (&authorities.key, &authorities.certificate, authorities.life),
    };
    let present = leaf.and_then(|data| Leaf::read(data).ok());
    let kept = present.filter(|leaf| {
        let is_trusted = authorities.bundle().contains(&leaf.issuer);
        let may_stay = authorities.old.is_some() && !has_settled;
        leaf.covers(names) && !leaf.life.is_ending(now) && (leaf.issuer == *signer || (may_stay && is_trusted))
    });
    let leaf = match kept {
        Some(leaf) => leaf,
        None => Leaf::issue(names, signer, key, life, terms, now)?,
    };
    let leaf_has_settled = now.as_second() > leaf.life.from + BACKDATED_S + terms.settle_s;
    if leaf.issuer == authorities.certificate && leaf_has_settled && has_settled {
        authorities.old = None;
    }
    Ok(Certificates {
        ca_until: authorities.life.until()?,
        leaf_until: leaf.life.until()?,
        generation: authorities.generation,
        leaf: leaf.data(&authorities),
        authority: authorities.data(),
    })
}

/// First and last second of a certificate.
#[derive(Clone, Copy)]
struct Life {
    from: i64,
    until: i64,
}

impl Life {
    fn of(pem: &str) -> Result<Self, Error> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Error::Unreadable(CA))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| Error::Unreadable(CA))?;
        let validity = parsed.validity();
        Ok(Self { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() })
    }

    fn is_ending(self, now: Timestamp) -> bool {
        now.as_second() > self.until - (self.until - self.from - BACKDATED_S) / 3
    }

    fn until(self) -> Result<Timestamp, Error> {
        Timestamp::from_second(self.until).map_err(|_| Error::Unreadable(CA))
    }

    fn apply(self, params: &mut CertificateParams) {
        let at = |second: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second.max(0).cast_unsigned());
        params.not_before = at(self.from);
        params.not_after = at(self.until);
    }
}

/// The authority that signs or is about to, and the one before it while it is still trusted.
struct Authorities {
    certificate: String,
    key: String,
    life: Life,
    generation: i64,
    old: Option<Old>,
}

struct Old {
    certificate: String,
    key: String,
}

impl Authorities {
    /// Where the nodes trust another one already, whose key is lost, that one stays trusted until they know the new one.
    fn first(ring: &str, leaf: Option<&Data>, terms: Terms, now: Timestamp) -> Result<Self, Error> {
        let trusted = leaf.and_then(|data| text(data, CA).ok()).filter(|text| !text.is_empty());
        let (certificate, key, life) = Self::generate(ring, terms, now)?;
        let old = trusted.map(|certificate| Old { certificate, key: String::new() });
        Ok(Self { certificate, key, life, generation: 1, old })
    }

    fn next(self, ring: &str, terms: Terms, now: Timestamp) -> Result<Self, Error> {
        let (certificate, key, life) = Self::generate(ring, terms, now)?;
        let old = Some(Old { certificate: self.certificate, key: self.key });
        Ok(Self { certificate, key, life, generation: self.generation + 1, old })
    }

    fn generate(ring: &str, terms: Terms, now: Timestamp) -> Result<(String, String, Life), Error> {
        let life = Life { from: now.as_second() - BACKDATED_S, until: now.as_second() + terms.authority_s };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // Two authorities of one ring must differ in name, or a verifier may try the wrong one.
        params.distinguished_name.push(DnType::CommonName, format!("ScrapeRing {ring} {}", now.as_second()));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        life.apply(&mut params);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?.pem();
        let life = Life::of(&certificate)?;
        Ok((certificate, key.serialize_pem(), life))
    }

    fn read(data: &Data) -> Result<Self, Error> {
        let certificate = text(data, CA)?;
        let life = Life::of(&certificate)?;
        let key = text(data, CA_KEY)?;
        KeyPair::from_pem(&key).map_err(|_| Error::Unreadable(CA_KEY))?;
        let generation = text(data, GENERATION).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        let old = text(data, OLD_CA)
            .ok()
            .map(|old| Old { certificate: old, key: text(data, OLD_CA_KEY).unwrap_or_default() });
        Ok(Self { certificate, key, life, generation, old })
    }

    fn is_ending(&self, now: Timestamp) -> bool {
        self.life.is_ending(now)
    }

    /// Everything that is trusted.
    fn bundle(&self) -> String {
        let old = self.old.as_ref().map(|old| old.certificate.as_str()).unwrap_or_default();
        format!("{}{old}", self.certificate)
    }

    fn data(&self) -> Data {
        let mut entries =
            vec![(CA, self.certificate.clone()), (CA_KEY, self.key.clone()), (GENERATION, self.generation.to_string())];
        if let Some(old) = &self.old {
            entries.push((OLD_CA, old.certificate.clone()));
            entries.push((OLD_CA_KEY, old.key.clone()));
        }
        pack(entries)
    }
}

/// The nodes' certificate, its key, and the certificate that signed it.
struct Leaf {
    certificate: String,
    key: String,
    issuer: String,
    life: Life,
    names: BTreeSet<String>,
}

impl Leaf {
    fn issue(
        names: &[String],
        signer: &str,
        signer_key: &str,
        signer_life: Life,
        terms: Terms,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let issuer = Issuer::from_ca_cert_pem(signer, KeyPair::from_pem(signer_key)?)?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "ScrapeRing node");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let until = (now.as_second() + terms.leaf_s).min(signer_life.until);
        Life { from: now.as_second() - BACKDATED_S, until }.apply(&mut params);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        let life = Life::of(&certificate)?;
        let names = names.iter().cloned().collect();
        Ok(Self { certificate, key: key.serialize_pem(), issuer: signer.to_owned(), life, names })
    }

    /// The issuer is kept beside the leaf: which of two authorities signed it is not to be guessed.
    fn read(data: &Data) -> Result<Self, Error> {
        Self::of(text(data, LEAF)?, text(data, LEAF_KEY)?, text(data, ISSUER)?)
    }

    fn of(certificate: String, key: String, issuer: String) -> Result<Self, Error> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| Error::Unreadable(LEAF))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| Error::Unreadable(LEAF))?;
        let alternative = parsed.subject_alternative_name().map_err(|_| Error::Unreadable(LEAF))?;
        let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let (names, life) = (names.collect(), Life::of(&certificate)?);
        Ok(Self { key, issuer, certificate, life, names })
    }

    fn covers(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }

    fn data(self, authorities: &Authorities) -> Data {
        pack(vec![(CA, authorities.bundle()), (LEAF, self.certificate), (LEAF_KEY, self.key), (ISSUER, self.issuer)])
    }
}

fn text(data: &Data, key: &'static str) -> Result<String, Error> {
    let bytes = data.get(key).ok_or(Error::Unreadable(key))?;
    String::from_utf8(bytes.0.clone()).map_err(|_| Error::Unreadable(key))
}

fn pack(entries: Vec<(&str, String)>) -> Data {
    entries.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes()))).collect::<BTreeMap<_, _>>()
}

#[cfg(test)]
mod tests;
