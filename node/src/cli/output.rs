//! Where items go: standard output, or a file that can be continued after any crash without an item missing or twice.
//!
//! Beside `items.jsonl` stands `items.jsonl.cursor`: how many bytes of the file are good, and the cursor that hands out what follows them.
//! Items are written and synced first, the cursor after them; going on cuts the file back to the good bytes.

use super::failure::BadInput;
use crate::storage::files::{self, Readers};
use anyhow::Context;
use scrapering_core::frontier::record::JobId;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The only format so far.
const FORMAT: u32 = 1;

/// What stands in the file beside the items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mark {
    format: u32,
    job: JobId,
    /// Hands out what follows; empty at the beginning.
    cursor: String,
    /// Good bytes of the items file.
    length_bytes: u64,
}

/// Where items go.
#[derive(Debug)]
pub(super) enum Output {
    /// Standard output, a pipe or a device: nothing can be continued there.
    Stream {
        /// For messages.
        name: String,
        /// Where to.
        stream: Stream,
    },
    /// A file.
    File(ItemsFile),
}

/// What cannot be cut or synced.
#[derive(Debug)]
pub(super) enum Stream {
    /// Standard output.
    Stdout,
    /// A pipe or a device that was named.
    Other(File),
}

/// Items in a file, with its mark beside it.
#[derive(Debug)]
pub(super) struct ItemsFile {
    path: PathBuf,
    file: File,
    length_bytes: u64,
    /// There was no such file before, and nothing has begun: it goes again.
    is_unused: bool,
}

impl Drop for ItemsFile {
    fn drop(&mut self) {
        if self.is_unused {
            // An empty file that stays is harmless.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Output {
    /// Opens `path` (standard output if absent or `-`) without changing anything in it yet; `resumed` is the job to go on with.
    pub(super) fn open(path: Option<&Path>, resumed: Option<JobId>) -> anyhow::Result<Self> {
        let path = match path {
            None => return Ok(Self::stdout()),
            Some(path) if path == Path::new("-") => return Ok(Self::stdout()),
            Some(path) => path,
        };
        let cannot = |error: io::Error| {
            BadInput::one(format!("{} cannot be written: {error}; choose another --output", path.display()))
        };
        let was_there = path.exists();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Ok(Self::Stream { name: path.display().to_string(), stream: Stream::Other(file) });
        }
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(BadInput::one(format!(
                    "{} is being written by another scrapering; choose another --output",
                    path.display()
                )));
            }
            // Not every file system can lock; two writers there are the user's own doing.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let open = ItemsFile { path: path.to_owned(), file, length_bytes: 0, is_unused: !was_there };
        open.check_mark(resumed, was_there)?;
        Ok(Self::File(open))
    }

    fn stdout() -> Self {
        Self::Stream { name: "standard output".to_owned(), stream: Stream::Stdout }
    }

    /// Begins to write the items of `job`, or goes on; returns the cursor to read from.
    pub(super) fn begin(&mut self, job: JobId) -> anyhow::Result<String> {
        match self {
            Self::Stream { .. } => Ok(String::new()),
            Self::File(file) => file.begin(job),
        }
    }

    /// Appends whole lines; they are on disk when this returns, and `cursor` hands out what follows them.
    pub(super) fn append(&mut self, job: JobId, lines: &[u8], cursor: &str) -> anyhow::Result<()> {
        match self {
            Self::Stream { stream: Stream::Stdout, name } => write_and_flush(io::stdout().lock(), lines, name),
            Self::Stream { stream: Stream::Other(file), name } => write_and_flush(file, lines, name),
            Self::File(file) => file.append(job, lines, cursor),
        }
    }

    /// Nothing follows any more: the mark has done its work.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Stream { .. } => Ok(()),
            Self::File(file) => match fs::remove_file(mark_path(&file.path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(error).context("the cursor file could not be removed")
                }
                _ => Ok(()),
            },
        }
    }
}

fn write_and_flush(mut stream: impl Write, lines: &[u8], name: &str) -> anyhow::Result<()> {
    stream
        .write_all(lines)
        .and_then(|()| stream.flush())
        .with_context(|| format!("items could not be written to {name}"))
}

impl ItemsFile {
    fn check_mark(&self, resumed: Option<JobId>, was_there: bool) -> anyhow::Result<()> {
        let (path, mark) = (self.path.display(), self.read_mark()?);
        let length = self.file.metadata().with_context(|| format!("{path} cannot be read"))?.len();
        match (resumed, mark) {
            (Some(job), Some(mark)) if mark.job != job => Err(BadInput::one(format!(
                "{path} holds items of the job {}, not of {job}; choose another --output",
                mark.job
            ))),
            (Some(_), Some(mark)) if mark.length_bytes > length => Err(BadInput::one(format!(
                "{path} has {length} bytes and had {} when its cursor was written; remove it and {path}.cursor to write all items again",
                mark.length_bytes
            ))),
            (Some(_), None) if length > 0 => Err(BadInput::one(format!(
                "{path} has no {path}.cursor beside it, so it is not known where to go on; remove it to write all items again, or choose another --output"
            ))),
            (None, Some(mark)) if was_there => Err(BadInput::one(format!(
                "{path} belongs to the unfinished job {job}: go on with --resume {job}, choose another --output, or remove {path}.cursor to write over it",
                job = mark.job
            ))),
            _ => Ok(()),
        }
    }

    fn read_mark(&self) -> anyhow::Result<Option<Mark>> {
        let path = mark_path(&self.path);
        let wrong =
            || BadInput::one(format!("{} cannot be understood; remove it to write all items again", path.display()));
        let Some(text) = files::read(&path)? else { return Ok(None) };
        let mark: Mark = serde_json::from_slice(&text).map_err(|_| wrong())?;
        if mark.format == FORMAT { Ok(Some(mark)) } else { Err(wrong()) }
    }

    /// The mark's job is another one only if its items file is gone, and then the mark is worth nothing.
    fn begin(&mut self, job: JobId) -> anyhow::Result<String> {
        let mark = self.read_mark()?.filter(|mark| mark.job == job);
        let mark = mark.unwrap_or(Mark { format: FORMAT, job, cursor: String::new(), length_bytes: 0 });
        self.is_unused = false;
        self.length_bytes = mark.length_bytes;
        let cut =
            self.file.set_len(mark.length_bytes).and_then(|()| self.file.seek(SeekFrom::Start(mark.length_bytes)));
        cut.and_then(|_| self.file.sync_all())
            .with_context(|| format!("{} could not be written", self.path.display()))?;
        self.write_mark(&mark)?;
        Ok(mark.cursor)
    }

    fn append(&mut self, job: JobId, lines: &[u8], cursor: &str) -> anyhow::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("items could not be written to {}", self.path.display()))?;
        self.length_bytes += lines.len() as u64;
        self.write_mark(&Mark { format: FORMAT, job, cursor: cursor.to_owned(), length_bytes: self.length_bytes })
    }

    fn write_mark(&self, mark: &Mark) -> anyhow::Result<()> {
        Ok(files::write_json(&mark_path(&self.path), mark, Readers::Everybody)?)
    }
}

fn mark_path(items: &Path) -> PathBuf {
    let mut name = items.as_os_str().to_owned();
    name.push(".cursor");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
