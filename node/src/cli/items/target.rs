//! Where items go and in which shape: lines or a table, into a stream, a file that can be gone on with, or one that is whole or not there.

use super::{ItemsArgs, ItemsFormat};
use crate::cli::client::Piece;
use crate::cli::failure::BadInput;
use crate::cli::output::Output;
use crate::cli::sheet::Sheet;
use crate::cli::whole::WholeFile;
use crate::gateway::object::JobObject;
use crate::output::{ParquetFile, Table};
use anyhow::Context;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::job::ExtractSpec;
use serde_json::value::RawValue;
use std::path::Path;

/// Where items go.
pub(super) struct Target {
    job: JobId,
    format: ItemsFormat,
    place: Place,
    sheet: Option<Sheet>,
    /// The line of names that is not written yet.
    head: Option<String>,
}

enum Place {
    /// A stream, or a file that can be gone on with.
    Open(Output),
    /// A file that is whole or not there.
    Whole(WholeFile),
    /// The same as a table, begun when the columns are known.
    Table(Box<ParquetFile<WholeFile>>),
    /// Finished.
    Closed,
}

impl Target {
    /// Opens what the arguments name, without changing anything in it yet.
    pub(super) fn open(args: &ItemsArgs) -> anyhow::Result<Self> {
        let path = args.output.as_deref();
        let needs_name = match args.format {
            ItemsFormat::Parquet => Some("a Parquet file is binary and has its index at its end: it"),
            _ if !args.encrypt_to.is_empty() => Some("an encrypted file"),
            _ => None,
        };
        let place = match (needs_name, path.filter(|path| *path != Path::new("-"))) {
            (Some(what), None) => {
                return Err(BadInput::one(format!("{what} needs a name; give it with --output FILE")));
            }
            (Some(_), Some(path)) => Place::Whole(WholeFile::create(path, &args.encrypt_to)?),
            (None, _) => Place::Open(Output::open(path, Some(args.id))?),
        };
        Ok(Self { job: args.id, format: args.format, place, sheet: None, head: None })
    }

    /// Whether nothing stays of it when it is not finished.
    pub(super) fn is_whole_or_nothing(&self) -> bool {
        !matches!(self.place, Place::Open(_))
    }

    /// Begins with the columns of `job`, or goes on; returns the cursor to read from.
    pub(super) fn begin(&mut self, job: &JobObject) -> anyhow::Result<String> {
        let cursor = match &mut self.place {
            Place::Open(output) => output.begin(self.job)?,
            _ => String::new(),
        };
        match self.format {
            ItemsFormat::Ndjson => {}
            ItemsFormat::Csv => {
                let sheet = Sheet::of(job);
                self.head = cursor.is_empty().then(|| sheet.head());
                self.sheet = Some(sheet);
            }
            ItemsFormat::Parquet => {
                let Place::Whole(file) = std::mem::replace(&mut self.place, Place::Closed) else {
                    anyhow::bail!("the file was begun already");
                };
                self.place = Place::Table(Box::new(ParquetFile::begin(table(job), file)?));
            }
        }
        Ok(cursor)
    }

    /// Adds the items of a piece.
    pub(super) fn add(&mut self, piece: &Piece) -> anyhow::Result<()> {
        if let Place::Table(file) = &mut self.place {
            return add_rows(file, &piece.lines);
        }
        let is_news = piece.complete || !piece.lines.is_empty();
        let mut bytes = self.head.take_if(|_| is_news).map(String::into_bytes).unwrap_or_default();
        match &self.sheet {
            None => bytes.extend_from_slice(&piece.lines),
            Some(sheet) => bytes.extend(sheet.rows(&piece.lines)?),
        }
        match &mut self.place {
            Place::Open(output) if !bytes.is_empty() => output.append(self.job, &bytes, &piece.cursor),
            Place::Whole(file) => file.append(&bytes),
            _ => Ok(()),
        }
    }

    /// Nothing more is written now; `complete` says that nothing ever follows.
    pub(super) fn end(&mut self, complete: bool) -> anyhow::Result<()> {
        match &mut self.place {
            Place::Open(output) if complete => output.finish(),
            Place::Open(_) | Place::Closed => Ok(()),
            Place::Whole(file) => file.finish(),
            Place::Table(_) => {
                let Place::Table(file) = std::mem::replace(&mut self.place, Place::Closed) else { return Ok(()) };
                file.finish()?.finish()
            }
        }
    }
}

/// The columns of the job's items; one for the whole item if the ring is of another version and tells them otherwise.
fn table(job: &JobObject) -> Table {
    let rules: Option<Vec<ExtractSpec>> = serde_json::from_value(job.spec["extract"].clone()).ok();
    rules.map_or_else(Table::whole, |rules| Table::of_all(&rules))
}

fn add_rows(file: &mut ParquetFile<WholeFile>, lines: &[u8]) -> anyhow::Result<()> {
    let lines = std::str::from_utf8(lines).context("the ring's answer is not UTF-8")?;
    for line in lines.lines() {
        let item: &RawValue = serde_json::from_str(line).context("the ring's answer is not JSON")?;
        file.add(item)?;
    }
    Ok(())
}
