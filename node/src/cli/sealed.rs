//! The keys to files that only chosen people can read: the age format (age-encryption.org/v1).

use super::failure::BadInput;
use age::secrecy::ExposeSecret;
use age::x25519::{Identity, Recipient};
use anyhow::Context;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

/// Opens what was sealed for one of `identities` and writes it to `to`.
pub(super) fn open(sealed: impl Read, identities: &[Identity], mut to: impl Write) -> anyhow::Result<()> {
    let decryptor = age::Decryptor::new(sealed).map_err(|error| {
        BadInput::one(format!("this is no file of the age format ({error}); give one that was made with --encrypt-to"))
    })?;
    let identities = identities.iter().map(|identity| identity as &dyn age::Identity);
    let mut opened = decryptor.decrypt(identities).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => {
            BadInput::one("the file was not encrypted to this identity; give the one that its recipient was made of")
        }
        other => anyhow::Error::new(other).context("the file cannot be opened"),
    })?;
    io::copy(&mut opened, &mut to).context("the file is damaged or cut off; what was written is not all of it")?;
    to.flush().context("what was opened could not be written")
}

/// Reads a recipient: `age1…`.
pub(super) fn recipient(text: &str) -> Result<Recipient, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no recipient; make one with: scrapering keygen --output FILE"))
}

/// The identities in a file, one a line; `#` begins a remark.
pub(super) fn identities(file: &Path) -> anyhow::Result<Vec<Identity>> {
    let text = fs::read_to_string(file)
        .map_err(|error| BadInput::one(format!("{} cannot be read: {error}", file.display())))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let found: Result<Vec<Identity>, _> = lines.map(str::parse).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| BadInput::one(format!("{} holds no identity (AGE-SECRET-KEY-1…)", file.display())))
}

/// A new identity: the text of its file, and whom to encrypt to.
pub(super) fn generate() -> (String, Recipient) {
    let identity = Identity::generate();
    let recipient = identity.to_public();
    (format!("# recipient: {recipient}\n{}\n", identity.to_string().expose_secret()), recipient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sealed_file_is_told_so() {
        let error = open(&b"plain"[..], &[Identity::generate()], io::sink()).expect_err("no age").to_string();
        assert!(error.contains("--encrypt-to"), "{error}");
    }

    #[test]
    fn a_new_identity_is_read_back_from_its_file() {
        let folder = tempfile::tempdir().expect("folder");
        let (text, made) = generate();
        let file = folder.path().join("key.txt");
        fs::write(&file, text).expect("written");
        let read = identities(&file).expect("read");
        assert_eq!(read[0].to_public().to_string(), made.to_string());
        assert_eq!(recipient(&made.to_string()).expect("parses").to_string(), made.to_string());
        fs::write(&file, "# nothing\n").expect("written");
        assert!(identities(&file).is_err() && recipient("age1x").is_err());
    }
}
