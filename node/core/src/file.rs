//! Files: immutable chunks kept as bodies, and one manifest that names them.
//!
//! Chunk n of an upload is a body in the partition of its own register, `chunk/UPLOAD/n`, so that the chunks of a file
//! spread over the ring; the register is what refers to the body. The manifest is a value of the key-value store, in a
//! name space of its own for each tenant: whoever replaces it replaces the file at once, or not at all.

use crate::body::BodyHash;
use crate::id::{Key, Partition};
use serde::{Deserialize, Serialize};

/// What the names of all chunks' registers begin with.
pub const PREFIX: &[u8] = b"chunk/";
/// Bytes of each chunk but the last.
pub const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Most chunks of a file: their hashes fit into one value.
pub const MOST_CHUNKS: usize = 16 * 1024;
/// Largest file, bytes.
pub const MAX_BYTES: u64 = CHUNK_BYTES as u64 * MOST_CHUNKS as u64;

const FORMAT: u8 = 1;

/// One attempt to store a file; drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UploadId(pub [u8; 16]);

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The attempt that stored it.
    pub upload: UploadId,
    /// Length.
    pub bytes: u64,
    /// SHA-256 of the whole.
    pub sha256: [u8; 32],
    /// Milliseconds since 1970.
    pub stored_ms: u64,
    /// In order.
    pub chunks: Vec<BodyHash>,
}

/// What a chunk's register holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Whose file it is of.
    pub tenant: String,
    /// The file's name.
    pub name: String,
    /// The attempt it is of.
    pub upload: UploadId,
    /// Milliseconds since 1970.
    pub stored_ms: u64,
    /// The body.
    pub hash: BodyHash,
}

/// Bytes that are of another kind, or of a format newer than this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is stored of a file has an unknown format or is damaged")]
pub struct FileError;

/// The name space of the manifests of `tenant`: no tenant has a name with a dot.
#[must_use]
pub fn name_space(tenant: &str) -> String {
    format!("_files.{tenant}")
}

/// The register of a chunk.
#[must_use]
pub fn register(upload: UploadId, index: u32) -> Key {
    let name = [PREFIX, &upload.0, &index.to_be_bytes()].concat();
    Key::new(Partition::of(&name), name)
}

/// The bytes of a manifest or a chunk.
#[must_use]
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    postcard::to_extend(record, vec![FORMAT]).expect("texts, numbers and lists can always be written")
}

/// The manifest or chunk in `bytes`.
///
/// # Errors
/// [`FileError`] for anything that [`encode`] of the same type does not write.
pub fn decode<'bytes, T: Deserialize<'bytes>>(bytes: &'bytes [u8]) -> Result<T, FileError> {
    let [FORMAT, content @ ..] = bytes else { return Err(FileError) };
    postcard::from_bytes(content).map_err(|_| FileError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_manifest_fits_into_a_value() {
        let manifest = Manifest {
            upload: UploadId([0xff; 16]),
            bytes: MAX_BYTES,
            sha256: [0xff; 32],
            stored_ms: u64::MAX,
            chunks: vec![BodyHash([0xff; 32]); MOST_CHUNKS],
        };
        let bytes = encode(&manifest);
        assert!(bytes.len() <= crate::kv::Value::MAX_BYTES);
        assert_eq!(decode(&bytes), Ok(manifest));
    }

    #[test]
    fn a_chunk_is_read_back_and_anything_else_is_refused() {
        let (tenant, name) = ("team".to_owned(), "a/b".to_owned());
        let chunk = Chunk { tenant, name, upload: UploadId([7; 16]), stored_ms: 9, hash: BodyHash([3; 32]) };
        assert_eq!(decode(&encode(&chunk)), Ok(chunk));
        for bytes in [&b""[..], b"\x01", b"\x02\x00", b"\x01\xff"] {
            assert_eq!(decode::<Chunk>(bytes), Err(FileError), "{bytes:?}");
        }
    }

    #[test]
    fn chunks_of_an_upload_have_registers_of_their_own_above_the_frontiers() {
        let keys: Vec<Key> = (0..300).map(|index| register(UploadId([1; 16]), index)).collect();
        assert!(keys.is_sorted_by_key(|key| key.name.clone()) && keys[0].name.as_slice() > crate::frontier::keys::END);
        let partitions: std::collections::BTreeSet<_> = keys.iter().map(|key| key.partition).collect();
        assert!(partitions.len() > 100, "they spread over the ring");
    }
}
