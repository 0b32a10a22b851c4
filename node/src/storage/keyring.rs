//! A node's data keys: made on the node, kept in its data folder wrapped by the ring's key.
//!
//! One data key is current and seals what is written; older ones still open what they sealed. A random 96-bit
//! nonce bounds one data key to 2^32 values (NIST SP 800-38D, section 8.3): at 10,000 writes a second five days,
//! so a busy node must be given a new key before that. Dropping the keyring erases the data for good.

use super::files::{self, FileError, Readers};
use super::ring_key::{LENGTH_BYTES, RingKey};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use scrapering_core::id::RingId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The keyring's name in a data folder.
pub const FILE: &str = "keyring.json";
/// The only format so far.
const FORMAT: u32 = 1;

/// A node's data keys, opened. Cheap to clone.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<BTreeMap<u32, RandomizedNonceKey>>,
    current: u32,
}

/// Why a data folder's keys cannot be used. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file could not be read or written.
    #[error("the keyring of the data folder cannot be used")]
    File(#[from] FileError),
    /// Another key than the one that wrapped the data keys, or a data folder of another ring or node.
    #[error("the ring key does not open this data folder ({folder}); give the key the ring was made with")]
    WrongRingKey {
        /// The data folder.
        folder: PathBuf,
    },
    /// There is data and no key to it.
    #[error(
        "{folder} holds data but no {FILE}, without which nothing in it can be read; restore the file, or empty the folder to start as a new node"
    )]
    Missing {
        /// The data folder.
        folder: PathBuf,
    },
    /// The file contradicts itself.
    #[error("{path} names key {current} as current and does not hold it; restore it from a backup")]
    NoCurrentKey {
        /// The file.
        path: PathBuf,
        /// The id that is missing.
        current: u32,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringFile {
    format: u32,
    #[serde(with = "uuid::serde::simple")]
    ring_id: Uuid,
    keys: Vec<WrappedKey>,
    current: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrappedKey {
    id: u32,
    /// Base64 of nonce, ciphertext and tag.
    wrapped: String,
    created: Timestamp,
}

/// What a wrapped key is bound to, besides its id.
struct Owner<'a> {
    ring_id: RingId,
    node: &'a str,
}

impl Keyring {
    /// Opens the keys of `node` in its data folder, or makes the first one in a folder without a store.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn open_or_create(
        folder: &Path,
        ring_key: &RingKey,
        ring_id: RingId,
        node: &str,
    ) -> Result<Self, KeyringError> {
        let path = folder.join(FILE);
        let owner = Owner { ring_id, node };
        match files::read_json::<KeyringFile>(&path, FORMAT)? {
            Some(file) => Self::unwrap(&file, ring_key, &owner, folder),
            None if folder.join(super::rocks::FOLDER).exists() => {
                Err(KeyringError::Missing { folder: folder.to_owned() })
            }
            None => {
                files::create_folder(folder)?;
                let first =
                    WrappedKey { id: 1, wrapped: wrap(ring_key, &owner, 1, &fresh()), created: Timestamp::now() };
                let file =
                    KeyringFile { format: FORMAT, ring_id: Uuid::from_bytes(ring_id.0), keys: vec![first], current: 1 };
                files::write_json(&path, &file, Readers::Owner)?;
                Self::unwrap(&file, ring_key, &owner, folder)
            }
        }
    }

    fn unwrap(file: &KeyringFile, ring_key: &RingKey, owner: &Owner<'_>, folder: &Path) -> Result<Self, KeyringError> {
        let mut keys = BTreeMap::new();
        for key in &file.keys {
            let bytes =
                unwrap(ring_key, owner, key).ok_or_else(|| KeyringError::WrongRingKey { folder: folder.to_owned() })?;
            keys.insert(key.id, cipher(&bytes));
        }
        if !keys.contains_key(&file.current) {
            return Err(KeyringError::NoCurrentKey { path: folder.join(FILE), current: file.current });
        }
        Ok(Self { keys: Arc::new(keys), current: file.current })
    }

    /// The key that seals what is written now, and its id.
    pub(super) fn current(&self) -> (u32, &RandomizedNonceKey) {
        (self.current, &self.keys[&self.current])
    }

    /// The key `id`, if the node holds it.
    pub(super) fn key(&self, id: u32) -> Option<&RandomizedNonceKey> {
        self.keys.get(&id)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("ids", &self.keys.keys())
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

fn fresh() -> Zeroizing<[u8; LENGTH_BYTES]> {
    let mut bytes = Zeroizing::new([0; LENGTH_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).expect("AWS-LC seeds itself from the system before first use");
    bytes
}

fn cipher(bytes: &[u8]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("32 bytes are an AES-256 key")
}

fn associated(owner: &Owner<'_>, id: u32) -> Aad<Vec<u8>> {
    let mut data = owner.ring_id.0.to_vec();
    data.extend_from_slice(owner.node.as_bytes());
    data.push(0);
    data.extend_from_slice(&id.to_be_bytes());
    Aad::from(data)
}

fn wrap(ring_key: &RingKey, owner: &Owner<'_>, id: u32, data_key: &[u8; LENGTH_BYTES]) -> String {
    let mut text = Zeroizing::new(*data_key);
    let (nonce, tag) = cipher(ring_key.bytes())
        .seal_in_place_separate_tag(associated(owner, id), text.as_mut_slice())
        .expect("32 bytes are within what AES-256-GCM seals");
    STANDARD.encode([nonce.as_ref(), text.as_slice(), tag.as_ref()].concat())
}

fn unwrap(ring_key: &RingKey, owner: &Owner<'_>, key: &WrappedKey) -> Option<Zeroizing<Vec<u8>>> {
    let wrapped = STANDARD.decode(&key.wrapped).ok()?;
    let (nonce, text) = wrapped.split_first_chunk::<NONCE_LEN>()?;
    let mut text = Zeroizing::new(text.to_vec());
    let opened =
        cipher(ring_key.bytes()).open_in_place(Nonce::from(nonce), associated(owner, key.id), &mut text).ok()?.len();
    text.truncate(opened);
    (opened == LENGTH_BYTES).then_some(text)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const RING: RingId = RingId([7; 16]);

    /// Data keys with these ids, each always the same; the last is current.
    pub(crate) fn ring_of(ids: &[u32]) -> Keyring {
        let keys = ids.iter().map(|id| (*id, cipher(&[*id as u8; LENGTH_BYTES]))).collect();
        Keyring { keys: Arc::new(keys), current: *ids.last().expect("an id") }
    }

    #[test]
    fn the_same_keys_come_back_and_the_file_is_for_the_owner_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let ring_key = RingKey::generate();
        let made = Keyring::open_or_create(folder.path(), &ring_key, RING, "ring-0").expect("made");
        let sealed = made.seal("views", b"key", b"value");
        let opened = Keyring::open_or_create(folder.path(), &ring_key, RING, "ring-0").expect("opened");
        assert_eq!(&opened.open("views", b"key", &sealed).expect("same key")[..], b"value");
        let mode = std::fs::metadata(folder.path().join(FILE)).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn another_ring_key_ring_or_node_does_not_open_the_folder() {
        let folder = tempfile::tempdir().expect("folder");
        let ring_key = RingKey::generate();
        Keyring::open_or_create(folder.path(), &ring_key, RING, "ring-0").expect("made");
        for (key, ring, node) in [
            (&RingKey::generate(), RING, "ring-0"),
            (&ring_key, RingId([8; 16]), "ring-0"),
            (&ring_key, RING, "ring-1"),
        ] {
            let error = Keyring::open_or_create(folder.path(), key, ring, node).expect_err("refused");
            assert!(error.to_string().starts_with("the ring key does not open this data folder"), "{error}");
        }
    }

    #[test]
    fn a_store_without_its_keyring_is_not_given_a_new_one() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir(folder.path().join(crate::storage::rocks::FOLDER)).expect("store");
        let refused = Keyring::open_or_create(folder.path(), &RingKey::generate(), RING, "ring-0");
        assert!(matches!(refused, Err(KeyringError::Missing { .. })));
    }

    #[test]
    fn a_keyring_of_the_future_or_without_its_current_key_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let ring_key = RingKey::generate();
        Keyring::open_or_create(folder.path(), &ring_key, RING, "ring-0").expect("made");
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).expect("write");
        let future = Keyring::open_or_create(folder.path(), &ring_key, RING, "ring-0");
        assert!(matches!(future, Err(KeyringError::File(FileError::UnknownFormat { found: 2, .. }))));
        std::fs::write(&path, text.replace("\"current\": 1", "\"current\": 9")).expect("write");
        let lost = Keyring::open_or_create(folder.path(), &ring_key, RING, "ring-0");
        assert!(matches!(lost, Err(KeyringError::NoCurrentKey { current: 9, .. })));
    }
}
