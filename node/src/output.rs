//! The items of a job as files: JSON lines, CSV or Parquet, in a local folder, an S3-compatible store or Google Cloud Storage.
//!
//! Items of each type go into a folder of its name, in parts. A part appears whole or not at all, and the marker `_SUCCESS` appears last: where it
//! stands, every item is there. It names the parts with their sizes and digests.

mod columns;
mod csv;
mod destination;
mod parquet;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use columns::{Column, ColumnType, Table};
pub use destination::{Destination, DestinationError};

/// The marker of a complete export.
pub const SUCCESS: &str = "_SUCCESS";
/// Items of one part, at most.
const PART_ITEMS: usize = 50_000;
/// Bytes of the items of one part before it is written, at most about.
const PART_BYTES: usize = 32 << 20;

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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

/// What the marker says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Success<'a> {
    items: usize,
    parts: &'a [Part],
}

/// An export on its way.
pub struct Export {
    destination: Destination,
    format: Format,
    tables: BTreeMap<String, Table>,
    open: BTreeMap<String, Open>,
    parts: Vec<Part>,
}

/// The items of the next part of one type.
#[derive(Default)]
struct Open {
    number: usize,
    items: Vec<Map<String, Value>>,
    bytes: usize,
}

impl Export {
    /// Begins an export where there is none yet. `tables`: the columns of each type of item; a type that is not among them gets one column, `item`.
    ///
    /// # Errors
    /// [`DestinationError::Occupied`] if a complete export stands there.
    pub async fn begin(
        destination: Destination,
        format: Format,
        tables: BTreeMap<String, Table>,
    ) -> Result<Self, ExportError> {
        destination.expect_absent(SUCCESS).await?;
        Ok(Self { destination, format, tables, open: BTreeMap::new(), parts: Vec::new() })
    }

    /// Adds items.
    ///
    /// # Errors
    /// [`ExportError`] if a part that became full could not be written.
    pub async fn add(&mut self, items: &[Box<RawValue>]) -> Result<(), ExportError> {
        for raw in items {
            let item: Map<String, Value> = serde_json::from_str(raw.get()).map_err(ExportError::Item)?;
            let kind = item.get("_type").and_then(Value::as_str).unwrap_or("item").to_owned();
            let open = self.open.entry(kind.clone()).or_default();
            open.items.push(item);
            open.bytes += raw.get().len();
            if open.items.len() >= PART_ITEMS || open.bytes >= PART_BYTES {
                self.close(&kind).await?;
            }
        }
        Ok(())
    }

    /// Writes what is left, and then the marker.
    ///
    /// # Errors
    /// [`ExportError`]; without the marker the export is not complete.
    pub async fn finish(mut self) -> Result<Vec<Part>, ExportError> {
        for kind in self.open.keys().cloned().collect::<Vec<_>>() {
            self.close(&kind).await?;
        }
        let success = Success { items: self.parts.iter().map(|part| part.items).sum(), parts: &self.parts };
        let text = serde_json::to_vec_pretty(&success).map_err(ExportError::Item)?;
        self.destination.put(SUCCESS, text.into()).await?;
        Ok(self.parts)
    }

    async fn close(&mut self, kind: &str) -> Result<(), ExportError> {
        let Some(open) = self.open.get_mut(kind).filter(|open| !open.items.is_empty()) else { return Ok(()) };
        let items = std::mem::take(&mut open.items);
        let name = format!("{kind}/part-{:05}.{}", open.number, self.format.extension());
        open.number += 1;
        open.bytes = 0;
        let table = self.tables.get(kind).cloned().unwrap_or_else(Table::whole);
        let content: Bytes = match self.format {
            Format::Jsonl => lines(&items).into(),
            Format::Csv => csv::write(&table, &items).into(),
            Format::Parquet => parquet::write(&table, &items)?.into(),
        };
        let sha256 = digest(&SHA256, &content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let part = Part { name, items: items.len(), bytes: content.len(), sha256 };
        self.destination.put(&part.name, content).await?;
        self.parts.push(part);
        Ok(())
    }
}

fn lines(items: &[Map<String, Value>]) -> Vec<u8> {
    let mut text = Vec::new();
    for item in items {
        text.extend_from_slice(&serde_json::to_vec(item).expect("a JSON object is JSON"));
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests;
