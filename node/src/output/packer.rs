//! Items on their way into parts: gathered by type, written in one format, compressed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use scrapering_crds::job::output::OutputCompression;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ExportError, Format, Part, Table, csv, parquet};

/// Items of one part, at most.
const PART_ITEMS: usize = 50_000;
/// Bytes of the items of one part before it is written, at most about.
const PART_BYTES: usize = 32 << 20;
/// How hard Zstandard tries.
const ZSTD_LEVEL: i32 = 3;

/// Items that are not in a part yet.
pub struct Packer {
    format: Format,
    compression: OutputCompression,
    tables: BTreeMap<String, Table>,
    open: BTreeMap<String, Open>,
    numbers: BTreeMap<String, u32>,
}

/// The items of the next part of one type.
#[derive(Default)]
struct Open {
    items: Vec<Box<RawValue>>,
    bytes: usize,
}

/// What is looked at before an item is written.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "_type", borrow, default)]
    kind: Option<Cow<'a, str>>,
}

impl Open {
    fn is_full(&self) -> bool {
        self.items.len() >= PART_ITEMS || self.bytes >= PART_BYTES
    }
}

impl Packer {
    /// `tables`: the columns of each type of item; a type that is not among them gets one column, `item`.
    #[must_use]
    pub fn new(format: Format, compression: OutputCompression, tables: BTreeMap<String, Table>) -> Self {
        Self { format, compression, tables, open: BTreeMap::new(), numbers: BTreeMap::new() }
    }

    /// The same, going on with these numbers of parts.
    #[must_use]
    pub fn with_numbers(self, numbers: BTreeMap<String, u32>) -> Self {
        Self { numbers, ..self }
    }

    /// The number of the next part of each type.
    #[must_use]
    pub fn numbers(&self) -> BTreeMap<String, u32> {
        self.numbers.clone()
    }

    /// Adds items.
    ///
    /// # Errors
    /// [`ExportError::Item`].
    pub fn add(&mut self, items: Vec<Box<RawValue>>) -> Result<(), ExportError> {
        for item in items {
            let head: Head<'_> = serde_json::from_str(item.get()).map_err(ExportError::Item)?;
            let kind = head.kind.map_or_else(|| "item".to_owned(), Cow::into_owned);
            let open = self.open.entry(kind).or_default();
            open.bytes += item.get().len();
            open.items.push(item);
        }
        Ok(())
    }

    /// Whether all types together have enough for parts.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let (items, bytes) =
            self.open.values().fold((0, 0), |(items, bytes), open| (items + open.items.len(), bytes + open.bytes));
        items >= PART_ITEMS || bytes >= PART_BYTES
    }

    /// A part of a type that has enough for one.
    ///
    /// # Errors
    /// [`ExportError::Item`], [`ExportError::Parquet`], [`ExportError::Compress`].
    pub fn close_full(&mut self) -> Result<Option<(Part, Bytes)>, ExportError> {
        let full = self.open.iter().find(|(_, open)| open.is_full()).map(|(kind, _)| kind.clone());
        full.map(|kind| self.close(&kind)).transpose().map(Option::flatten)
    }

    /// A part of every type that has items.
    ///
    /// # Errors
    /// As [`Packer::close_full`].
    pub fn close_all(&mut self) -> Result<Vec<(Part, Bytes)>, ExportError> {
        let kinds: Vec<String> = self.open.keys().cloned().collect();
        kinds.iter().filter_map(|kind| self.close(kind).transpose()).collect()
    }

    fn close(&mut self, kind: &str) -> Result<Option<(Part, Bytes)>, ExportError> {
        let Some(open) = self.open.remove(kind).filter(|open| !open.items.is_empty()) else { return Ok(None) };
        let number = self.numbers.entry(kind.to_owned()).or_default();
        let table = self.tables.get(kind).cloned().unwrap_or_else(Table::whole);
        let content = match self.format {
            Format::Jsonl => lines(&open.items),
            Format::Csv => csv::write(&table, &open.items)?,
            Format::Parquet => parquet::write(&table, &open.items)?,
        };
        let (content, ending) = packed(content, self.compression).map_err(ExportError::Compress)?;
        let name = format!("{kind}/part-{number:05}.{}{ending}", self.format.extension());
        *number += 1;
        Ok(Some((Part::of(name, open.items.len(), &content), content.into())))
    }
}

fn lines(items: &[Box<RawValue>]) -> Vec<u8> {
    let mut text = Vec::new();
    for item in items {
        text.extend_from_slice(item.get().as_bytes());
        text.push(b'\n');
    }
    text
}

/// The content compressed, and the ending of its name.
fn packed(content: Vec<u8>, compression: OutputCompression) -> std::io::Result<(Vec<u8>, &'static str)> {
    Ok(match compression {
        OutputCompression::None => (content, ""),
        OutputCompression::Gzip => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::default());
            packed.write_all(&content)?;
            (packed.finish()?, ".gz")
        }
        OutputCompression::Zstd => (zstd::bulk::compress(&content, ZSTD_LEVEL)?, ".zst"),
    })
}
