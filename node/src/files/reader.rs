//! A file on its way out: chunk by chunk, each checked against its hash, one read ahead.

use super::Bodies;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use scrapering_core::file::{self, CHUNK_BYTES, Manifest};
use std::ops::Range;
use std::sync::Arc;

/// Chunks on their way at a time.
const AHEAD: usize = 2;

/// A chunk that no node which answers has. The reader has got less than the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no node that answers holds part {index} of the file; try again later")]
pub struct Lacking {
    /// Which chunk, counted from 0.
    pub index: u32,
}

/// Reads a file.
pub struct Reader {
    bodies: Arc<dyn Bodies>,
    manifest: Manifest,
}

impl Reader {
    pub(super) fn new(bodies: Arc<dyn Bodies>, manifest: Manifest) -> Self {
        Self { bodies, manifest }
    }

    /// The bytes of `range`, which must lie within the file.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, Lacking>> + Send + 'static {
        let chunk = CHUNK_BYTES as u64;
        let (first, behind) = (range.start / chunk, range.end.div_ceil(chunk).max(range.start / chunk));
        let Self { bodies, manifest } = self;
        let places: Vec<_> = (first..behind)
            .filter_map(|index| Some((u32::try_from(index).ok()?, *manifest.chunks.get(usize::try_from(index).ok()?)?)))
            .collect();
        let pieces = stream::iter(places).map(move |(index, hash)| {
            let (bodies, partition) = (Arc::clone(&bodies), file::register(manifest.upload, index).partition);
            let range = range.clone();
            async move {
                let content = bodies.get(partition, hash).await.ok_or(Lacking { index })?;
                let begin = u64::from(index) * chunk;
                let from = range.start.saturating_sub(begin).min(content.len() as u64);
                let to = range.end.saturating_sub(begin).min(content.len() as u64);
                Ok(content.slice(from as usize..to.max(from) as usize))
            }
        });
        pieces.buffered(AHEAD)
    }
}
