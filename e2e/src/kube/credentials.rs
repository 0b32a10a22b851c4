//! Certificates of a control plane that lives as long as a test.

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::path::{Path, PathBuf};

/// An authority, and what it has signed, as files of a folder.
pub struct Credentials {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Credentials {
    /// Makes `ca.crt` in `folder`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn make(folder: &Path) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "test cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        std::fs::write(folder.join("ca.crt"), params.self_signed(&key)?.pem())?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// Makes `NAME.crt` and `NAME.key` for a user of a group, good as a server on loopback too.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn issue(&self, name: &str, user: &str, group: Option<&str>) -> anyhow::Result<()> {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        std::fs::write(self.folder.join(format!("{name}.crt")), certificate.pem())?;
        self.key(name, &key)
    }

    /// Makes `NAME.key` and its public half, `NAME.pub`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn bare_key(&self, name: &str) -> anyhow::Result<()> {
        let key = KeyPair::generate()?;
        std::fs::write(self.folder.join(format!("{name}.pub")), key.public_key_pem())?;
        self.key(name, &key)
    }

    fn key(&self, name: &str, key: &KeyPair) -> anyhow::Result<()> {
        let path = self.folder.join(format!("{name}.key"));
        std::fs::write(&path, key.serialize_pem()).with_context(|| format!("{} cannot be written", path.display()))
    }
}
