//! What a job found as files: items as JSON lines, CSV or Parquet, pages as WARC, in a local folder, an S3-compatible store or Google Cloud Storage.
//!
//! Items of each type go into a folder of its name, in parts. A part appears whole or not at all, and the marker `_SUCCESS` appears last: where it
//! stands, everything is there. It names the parts with their sizes and digests.

mod columns;
mod csv;
mod destination;
mod packer;
mod parquet;
pub mod warc;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use scrapering_crds::ScrapeJobSpec;
use serde::Serialize;
use serde_json::value::RawValue;

pub use columns::{Column, ColumnType, Table};
pub use destination::{Destination, DestinationError};
pub use packer::Packer;
pub use parquet::ParquetFile;

/// The marker of a complete export.
pub const SUCCESS: &str = "_SUCCESS";

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values (RFC 4180) with a header; lists and objects as JSON.
    Csv,
    /// Apache Parquet, compressed with zstd; lists and objects as JSON.
    Parquet,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Why an export ended early. There is no marker, so nobody takes it for complete.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The destination did not take a file.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// An item is not a JSON object.
    #[error("an item is not a JSON object")]
    Item(#[source] serde_json::Error),
    /// What was packed could not be compressed.
    #[error("the items cannot be compressed")]
    Compress(#[source] std::io::Error),
    /// The items could not be written as Parquet.
    #[error("the items cannot be written as Parquet")]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Below the destination.
    pub name: String,
    /// Items in it.
    pub items: usize,
    /// Its size.
    pub bytes: usize,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Part {
    /// The part called `name` that holds `content`.
    #[must_use]
    pub fn of(name: String, items: usize, content: &[u8]) -> Self {
        let sha256 = data_encoding::HEXLOWER.encode(digest(&SHA256, content).as_ref());
        Self { name, items, bytes: content.len(), sha256 }
    }
}

/// What the marker says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Success<'a> {
    items: usize,
    parts: &'a [Part],
}

/// The text of the marker behind `parts`.
#[must_use]
pub fn success(parts: &[Part]) -> Bytes {
    let success = Success { items: parts.iter().map(|part| part.items).sum(), parts };
    serde_json::to_vec_pretty(&success).expect("texts and numbers are JSON").into()
}

/// The columns of each type of item that a job extracts.
#[must_use]
pub fn tables(spec: &ScrapeJobSpec) -> BTreeMap<String, Table> {
    spec.extract.iter().map(|rule| (rule.name.clone(), Table::of(rule))).collect()
}

/// An export on its way.
pub struct Export {
    destination: Destination,
    packer: Packer,
    parts: Vec<Part>,
}

impl Export {
    /// Begins an export where there is none yet.
    ///
    /// # Errors
    /// [`DestinationError::Occupied`] if a complete export stands there.
    pub async fn begin(destination: Destination, packer: Packer) -> Result<Self, ExportError> {
        destination.expect_absent(SUCCESS).await?;
        Ok(Self { destination, packer, parts: Vec::new() })
    }

    /// Adds items.
    ///
    /// # Errors
    /// [`ExportError`] if a part that became full could not be written.
    pub async fn add(&mut self, items: Vec<Box<RawValue>>) -> Result<(), ExportError> {
        self.packer.add(items)?;
        while let Some((part, content)) = self.packer.close_full()? {
            self.put(part, content).await?;
        }
        Ok(())
    }

    /// Writes what is left, and then the marker.
    ///
    /// # Errors
    /// [`ExportError`]; without the marker the export is not complete.
    pub async fn finish(mut self) -> Result<Vec<Part>, ExportError> {
        for (part, content) in self.packer.close_all()? {
            self.put(part, content).await?;
        }
        self.destination.put(SUCCESS, success(&self.parts)).await?;
        Ok(self.parts)
    }

    async fn put(&mut self, part: Part, content: Bytes) -> Result<(), ExportError> {
        self.destination.put(&part.name, content).await?;
        self.parts.push(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
