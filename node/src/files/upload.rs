//! A file on its way in: cut into chunks, each stored before the next is read, and a manifest at the end.

use super::{FileError, FileInfo, Files};
use crate::auth::Tenant;
use crate::kv::{KvError, Precondition};
use bytes::{Bytes, BytesMut};
use scrapering_core::body::BodyHash;
use scrapering_core::file::{self, CHUNK_BYTES, Chunk, MOST_CHUNKS, Manifest, UploadId};
use scrapering_core::id::OperationId;
use scrapering_core::kv::{UserKey, Value};
use scrapering_core::register::Change;
use sha2::{Digest, Sha256};

/// How often a manifest is put against others who replace the same file.
const RACES: usize = 20;

/// A file on its way in. Dropped before its end, it leaves nothing.
pub struct Upload {
    files: Files,
    tenant: Tenant,
    name: UserKey,
    content_type: String,
    id: UploadId,
    pending: BytesMut,
    chunks: Vec<BodyHash>,
    bytes: u64,
    hash: Sha256,
    is_kept: bool,
}

impl Upload {
    pub(super) fn new(files: Files, tenant: Tenant, name: UserKey, content_type: String) -> Self {
        let id = UploadId(rand::random());
        let (pending, chunks, hash) = (BytesMut::new(), Vec::new(), Sha256::new());
        Self { files, tenant, name, content_type, id, pending, chunks, bytes: 0, hash, is_kept: false }
    }

    /// Takes the next piece of the content; returns when what is due of it is on disks.
    ///
    /// # Errors
    /// [`FileError`]; the upload is over.
    pub async fn push(&mut self, mut piece: Bytes) -> Result<(), FileError> {
        self.bytes += piece.len() as u64;
        if self.bytes > file::MAX_BYTES {
            return Err(FileError::TooLarge);
        }
        self.hash.update(&piece);
        while !piece.is_empty() {
            let room = CHUNK_BYTES - self.pending.len();
            self.pending.extend_from_slice(&piece.split_to(room.min(piece.len())));
            if self.pending.len() == CHUNK_BYTES {
                self.store().await?;
            }
        }
        Ok(())
    }

    /// Stores what is pending as a chunk: the body in its copies first, then the register that refers to it.
    async fn store(&mut self) -> Result<(), FileError> {
        let index = u32::try_from(self.chunks.len()).ok().filter(|index| (*index as usize) < MOST_CHUNKS);
        let register = file::register(self.id, index.ok_or(FileError::TooLarge)?);
        let content = self.pending.split().freeze();
        let bodies = &self.files.bodies;
        let hash = bodies.put(register.partition, content).await.map_err(|_| FileError::Unavailable)?;
        let chunk = Chunk {
            tenant: self.tenant.to_string(),
            name: self.name.to_string(),
            upload: self.id,
            stored_ms: bodies.wall_ms(),
            hash,
        };
        // Counted before it is written: whatever becomes of the write, the register is removed with the others.
        self.chunks.push(hash);
        let change = Change::Put(file::encode(&chunk).into());
        match self.files.kv.change(register, change, OperationId(rand::random())).await {
            Ok(_) => Ok(()),
            Err(KvError::Damaged) => Err(KvError::Damaged.into()),
            // The manifest does not name it yet: nobody can tell whether it was written, and nobody needs to.
            Err(_) => Err(FileError::Unavailable),
        }
    }

    /// Makes the file be there, if `precondition` holds and the content has the hash that was expected.
    ///
    /// # Errors
    /// [`FileError`]; nothing changed unless it is [`KvError::Unknown`].
    pub async fn finish(
        mut self,
        precondition: Precondition,
        operation: OperationId,
        expected: Option<[u8; 32]>,
    ) -> Result<(FileInfo, bool), FileError> {
        if !self.pending.is_empty() {
            self.store().await?;
        }
        let sha256: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        if expected.is_some_and(|expected| expected != sha256) {
            return Err(FileError::Digest);
        }
        let chunks = std::mem::take(&mut self.chunks);
        let stored_ms = self.files.bodies.wall_ms();
        let manifest = Manifest { upload: self.id, bytes: self.bytes, sha256, stored_ms, chunks };
        let stored = self.put(&manifest, precondition, operation).await;
        match stored {
            Ok((version, created)) => {
                self.is_kept = true;
                let (name, content_type) = (self.name.to_string(), std::mem::take(&mut self.content_type));
                Ok((FileInfo { name, version, operation, content_type, manifest }, created))
            }
            Err(error) => {
                // Whoever does not know whether the manifest is there must not take its chunks away.
                self.is_kept = error == KvError::Unknown;
                self.chunks = manifest.chunks;
                Err(error.into())
            }
        }
    }

    /// Puts the manifest in the place of the one that is there, and forgets that one's chunks.
    async fn put(
        &self,
        manifest: &Manifest,
        precondition: Precondition,
        operation: OperationId,
    ) -> Result<(u64, bool), KvError> {
        let (tenant, content) = (self.tenant.files(), file::encode(manifest).into());
        let value = Value { content_type: self.content_type.clone(), content };
        for _ in 0..RACES {
            let old = self.files.info(&self.tenant, &self.name).await?;
            let expected = match (precondition, &old) {
                (Precondition::None, Some(old)) => Precondition::Version(old.version),
                (Precondition::None, None) => Precondition::Absent,
                (given, _) => given,
            };
            match self.files.kv.put(&tenant, &self.name, &value, expected, operation).await {
                Ok(written) => {
                    // The same operation may have been done before: then what is there is what was put.
                    let replaced = old.filter(|old| old.operation != operation && old.version < written.version);
                    let created = replaced.is_none();
                    if let Some(old) = replaced {
                        self.files.forget(old.manifest.upload, old.manifest.chunks.len());
                    }
                    return Ok((written.version, created));
                }
                Err(KvError::Precondition { .. }) if precondition == Precondition::None => {}
                Err(error) => return Err(error),
            }
        }
        Err(KvError::Unavailable)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_kept {
            self.files.forget(self.id, self.chunks.len());
        }
    }
}
