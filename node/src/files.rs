//! Files: any length, any name, through any node; stored chunk by chunk, so that a node holds only a few chunks in memory.
//!
//! A file is there when its manifest is: chunks come first, each in its copies on disk. What an upload leaves that does
//! not end is removed by [`sweep`].

mod reader;
pub mod sweep;
mod upload;

pub use reader::Reader;
pub use upload::Upload;

use crate::auth::Tenant;
use crate::driver::Driver;
use crate::driver::registers::Unavailable;
use crate::kv::{Consistency, Cursor, Kv, KvError, Stored};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use scrapering_core::body::BodyHash;
use scrapering_core::file::{self, Manifest, UploadId};
use scrapering_core::id::{OperationId, Partition};
use scrapering_core::kv::UserKey;
use scrapering_core::register::Change;
use std::sync::Arc;

/// Manifests read at a time for a listing.
const CONCURRENCY: usize = 16;

/// What files need of the ring's bodies.
pub trait Bodies: Send + Sync + 'static {
    /// Stores a body in its copies; a record of the partition may refer to it from then on.
    fn put(&self, partition: Partition, content: Bytes) -> BoxFuture<'_, Result<BodyHash, Unavailable>>;
    /// A body that was put, whole and as it was; `None` if no node that answers has it.
    fn get(&self, partition: Partition, hash: BodyHash) -> BoxFuture<'_, Option<Bytes>>;
    /// Now, milliseconds since 1970.
    fn wall_ms(&self) -> u64;
}

impl Bodies for Driver {
    fn put(&self, partition: Partition, content: Bytes) -> BoxFuture<'_, Result<BodyHash, Unavailable>> {
        Box::pin(self.put_body(partition, content))
    }

    fn get(&self, partition: Partition, hash: BodyHash) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.body(partition, hash))
    }

    fn wall_ms(&self) -> u64 {
        self.clock().wall_ms()
    }
}

/// Why a file was not stored or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// As of the key-value store: whether anything changed stands there.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// Too few nodes took a chunk. Nothing changed.
    #[error("too few nodes of the ring take a part of the file; nothing was changed, try again")]
    Unavailable,
    /// The caller sent too much. Nothing changed.
    #[error("a file may have {} bytes", file::MAX_BYTES)]
    TooLarge,
    /// What came is not what the caller meant to send. Nothing changed.
    #[error("the content has another SHA-256 than the request says; nothing was changed, send it again")]
    Digest,
}

/// A file without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// Counts its changes.
    pub version: u64,
    /// The operation that stored it.
    pub operation: OperationId,
    /// Its media type; empty if none was given.
    pub content_type: String,
    /// What it is made of.
    pub manifest: Manifest,
}

/// A piece of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileListing {
    /// Ascending by name.
    pub items: Vec<FileInfo>,
    /// Goes on behind the last item; `None` at the end.
    pub next: Option<Cursor>,
}

/// The files of a ring. A cheap clone.
#[derive(Clone)]
pub struct Files {
    kv: Kv,
    bodies: Arc<dyn Bodies>,
}

impl Files {
    /// Files whose manifests are in `kv` and whose chunks are in `bodies`.
    #[must_use]
    pub fn new(kv: Kv, bodies: impl Bodies) -> Self {
        Self { kv, bodies: Arc::new(bodies) }
    }

    /// The file `name`; `None` if there is none.
    ///
    /// # Errors
    /// [`KvError::Unavailable`], [`KvError::Damaged`].
    pub async fn info(&self, tenant: &Tenant, name: &UserKey) -> Result<Option<FileInfo>, KvError> {
        let found = self.kv.get(&tenant.files(), name, Consistency::Strong).await?;
        let Some(Stored { version, operation, value: Some(value) }) = found else { return Ok(None) };
        let manifest = file::decode(&value.content).map_err(|_| KvError::Damaged)?;
        Ok(Some(FileInfo { name: name.to_string(), version, operation, content_type: value.content_type, manifest }))
    }

    /// Files whose names begin with `prefix`, behind `cursor`, at most `limit`.
    ///
    /// # Errors
    /// As [`Files::info`].
    pub async fn list(
        &self,
        tenant: &Tenant,
        prefix: &str,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<FileListing, KvError> {
        let listing = self.kv.list(&tenant.files(), prefix, cursor, limit).await?;
        let names = listing.items.into_iter().filter_map(|item| item.key.parse::<UserKey>().ok());
        let infos = stream::iter(names).map(|name| async move { self.info(tenant, &name).await });
        let infos: Vec<Option<FileInfo>> = infos.buffered(CONCURRENCY).try_collect().await?;
        Ok(FileListing { items: infos.into_iter().flatten().collect(), next: listing.next })
    }

    /// The content of a file.
    #[must_use]
    pub fn reader(&self, info: &FileInfo) -> Reader {
        Reader::new(Arc::clone(&self.bodies), info.manifest.clone())
    }

    /// Begins to store a file; nothing is changed until [`Upload::finish`].
    #[must_use]
    pub fn upload(&self, tenant: &Tenant, name: &UserKey, content_type: String) -> Upload {
        Upload::new(self.clone(), tenant.clone(), name.clone(), content_type)
    }

    /// Removes a file, if `version` is given only that version. What is not there is removed already.
    ///
    /// # Errors
    /// As [`Kv::delete`].
    pub async fn delete(
        &self,
        tenant: &Tenant,
        name: &UserKey,
        version: Option<u64>,
        operation: OperationId,
    ) -> Result<(), KvError> {
        let found = self.info(tenant, name).await?;
        self.kv.delete(&tenant.files(), name, version, operation).await?;
        if let Some(info) = found {
            // Somebody may have replaced it in between: then the sweep finds what is left.
            self.forget(info.manifest.upload, info.manifest.chunks.len());
        }
        Ok(())
    }

    /// Removes the registers of an upload's chunks in the background; their bodies go when they are old. What is
    /// missed is found by the sweep.
    fn forget(&self, upload: UploadId, chunks: usize) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let kv = self.kv.clone();
        runtime.spawn(async move {
            for index in 0..u32::try_from(chunks).unwrap_or(u32::MAX) {
                let change = Change::Delete { version: None };
                if kv.change(file::register(upload, index), change, OperationId(rand::random())).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
pub(crate) mod memory {
    //! Bodies in memory for tests.

    use super::{Bodies, BodyHash, Bytes, Partition, Unavailable};
    use futures::future::{BoxFuture, ready};
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    /// Bodies in memory. A cheap clone.
    #[derive(Clone, Default)]
    pub(crate) struct MemoryBodies {
        pub(crate) held: Arc<Mutex<BTreeMap<(Partition, BodyHash), Bytes>>>,
    }

    impl Bodies for MemoryBodies {
        fn put(&self, partition: Partition, content: Bytes) -> BoxFuture<'_, Result<BodyHash, Unavailable>> {
            let hash = BodyHash::of(&content);
            self.held.lock().expect("lock").insert((partition, hash), content);
            Box::pin(ready(Ok(hash)))
        }

        fn get(&self, partition: Partition, hash: BodyHash) -> BoxFuture<'_, Option<Bytes>> {
            Box::pin(ready(self.held.lock().expect("lock").get(&(partition, hash)).cloned()))
        }

        fn wall_ms(&self) -> u64 {
            1_700_000_000_000
        }
    }
}
