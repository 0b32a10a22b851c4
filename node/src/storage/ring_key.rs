//! The ring's key: 32 secret bytes that every node of a ring is given, and that wrap each node's data keys.

use super::files::{self, FileError};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use scrapering_core::id::RingId;
use sha2::{Digest, Sha256};
use std::path::Path;
use zeroize::Zeroizing;

/// Length of the key, bytes: AES-256.
pub const LENGTH_BYTES: usize = 32;

const FORGIVING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, FORGIVING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, FORGIVING);

/// The key of a ring; wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct RingKey(Zeroizing<[u8; LENGTH_BYTES]>);

/// Why there is no usable ring key. The caller is at fault.
#[derive(Debug, thiserror::Error)]
pub enum RingKeyError {
    /// The file cannot be used.
    #[error("the ring key cannot be read from its file")]
    File(#[from] FileError),
    /// The variable is absent or no text.
    #[error("the environment variable {variable}, which should hold the ring key, is not set or is no text")]
    Variable {
        /// Its name.
        variable: String,
    },
    /// Neither 32 raw bytes nor their base64 or hex.
    #[error(
        "the ring key must be 32 bytes, as base64, as hex or raw, and this is something else; make one with: openssl rand -base64 32"
    )]
    Shape,
    /// Something a person typed, or a place holder.
    #[error("the ring key is a word or a repeated byte, which can be guessed; make one with: openssl rand -base64 32")]
    Guessable,
}

impl RingKey {
    /// A fresh key from the system's random source.
    ///
    /// # Panics
    /// If the system has no random source, without which nothing here is safe.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; LENGTH_BYTES]);
        aws_lc_rs::rand::fill(bytes.as_mut_slice()).expect("AWS-LC seeds itself from the system before first use");
        Self(bytes)
    }

    /// The key in the file `path`, which only its owner may read.
    ///
    /// # Errors
    /// [`RingKeyError`].
    pub fn from_file(path: &Path) -> Result<Self, RingKeyError> {
        Self::parse(&files::read_secret(path)?)
    }

    /// The key in the environment variable `variable`, as base64 or hex.
    ///
    /// # Errors
    /// [`RingKeyError`].
    pub fn from_env(variable: &str) -> Result<Self, RingKeyError> {
        let text = std::env::var(variable).map_err(|_| RingKeyError::Variable { variable: variable.to_owned() })?;
        Self::parse(Zeroizing::new(text).as_bytes())
    }

    /// Reads 32 raw bytes, or their base64 (either alphabet, padded or not) or hex with white space around.
    ///
    /// # Errors
    /// [`RingKeyError::Shape`], [`RingKeyError::Guessable`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RingKeyError> {
        // Random bytes are all printable once in 10^13 keys; a pass phrase of 32 letters always is.
        if bytes.len() == LENGTH_BYTES && bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            return Err(RingKeyError::Guessable);
        }
        let text = bytes.trim_ascii();
        let decoded = match text.len() {
            _ if bytes.len() == LENGTH_BYTES => Some(Zeroizing::new(bytes.to_vec())),
            64 => from_hex(text),
            43 | 44 => STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok().map(Zeroizing::new),
            _ => None,
        };
        let decoded = decoded.ok_or(RingKeyError::Shape)?;
        let key = <[u8; LENGTH_BYTES]>::try_from(decoded.as_slice()).map_err(|_| RingKeyError::Shape)?;
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(RingKeyError::Guessable);
        }
        Ok(Self(Zeroizing::new(key)))
    }

    /// The id of a ring that has no other than its key: every ring has its own.
    #[must_use]
    pub fn ring_id(&self) -> RingId {
        let digest = Sha256::new().chain_update(b"scrapering ring id\0").chain_update(self.0.as_slice()).finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        RingId(id)
    }

    /// The key as base64 and a line end, the content of a ring's `ring.key`.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH_BYTES * 2));
        STANDARD.encode_string(self.0.as_slice(), &mut text);
        text.push('\n');
        text
    }

    /// The secret bytes.
    pub(super) fn bytes(&self) -> &[u8; LENGTH_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for RingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RingKey(secret)")
    }
}

fn from_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.chunks_exact(2) {
        bytes.push((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: [u8; 32] = *b"\x00\xff\x10keykeykeykeykeykeykeykeykey\xfb\xfe";

    #[test]
    fn raw_hex_and_both_base64s_are_the_same_key() {
        let hex: String = RAW.iter().map(|byte| format!("{byte:02X}")).collect();
        let padded = STANDARD.encode(RAW);
        let texts =
            [format!(" {hex}\n"), padded.clone(), padded.trim_end_matches('=').to_owned(), URL_SAFE.encode(RAW)];
        for text in texts {
            assert_eq!(RingKey::parse(text.as_bytes()).expect(&text).bytes(), &RAW);
        }
        assert_eq!(RingKey::parse(&RAW).expect("raw").bytes(), &RAW);
    }

    #[test]
    fn a_written_key_reads_back() {
        let key = RingKey::generate();
        assert_eq!(RingKey::parse(key.to_text().as_bytes()).expect("own text").bytes(), key.bytes());
    }

    #[test]
    fn words_place_holders_and_other_lengths_are_refused() {
        for guessable in [&b"correct horse battery staple 123"[..], &[0; 32], "00".repeat(32).as_bytes()] {
            assert!(matches!(RingKey::parse(guessable), Err(RingKeyError::Guessable)));
        }
        for shape in [&b""[..], &[7; 31], &[7; 33], "zz".repeat(32).as_bytes(), "*".repeat(44).as_bytes()] {
            assert!(matches!(RingKey::parse(shape), Err(RingKeyError::Shape)));
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = RingKey::from_env("SCRAPERING_NO_SUCH_VARIABLE").expect_err("unset").to_string();
        assert!(error.contains("SCRAPERING_NO_SUCH_VARIABLE"));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", RingKey::generate()), "RingKey(secret)");
    }
}
