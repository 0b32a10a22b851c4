//! The access log of a visited server: what it saw, one JSON line for each request.
//!
//! The shop writes it and the judge reads it. Times are taken on one monotonic clock of the server, so that gaps
//! and overlaps can be read off without trusting the visitor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The status that stands in the log when the visitor went away before it was answered.
///
/// No server ever sends it; the number is the one that nginx writes for the same event.
pub const STATUS_CLIENT_GONE: u16 = 499;

/// Why a log could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be created, appended to or read. Nothing was changed.
    #[error("cannot open the access log {path}: check that its folder exists and is writable")]
    Open {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A line is not a record: the file is another one, or it was cut off in the middle of a write.
    #[error("line {line} of the access log {path} is not a record")]
    Line {
        /// The file that was read.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}

/// One request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When the request's head had arrived, in nanoseconds since the log was opened.
    pub start_ns: u64,
    /// The same moment in milliseconds since the Unix epoch, to be compared with other logs.
    pub start_unix_ms: u64,
    /// When the answer was ready to be sent, in nanoseconds since the log was opened.
    pub end_ns: u64,
    /// The request's method.
    pub method: String,
    /// The `Host` header, empty when there was none.
    pub host: String,
    /// Path and query as they were asked for.
    pub path: String,
    /// The answer's status, or [`STATUS_CLIENT_GONE`].
    pub status: u16,
    /// The `User-Agent` header, empty when there was none.
    pub agent: String,
    /// How many requests to the same host were being answered when this one began, itself included.
    pub in_flight: u32,
    /// The address of the server at which the request arrived; empty where a server has only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// How long the answer asked the visitor to stay away (`Retry-After`), in milliseconds from its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<u64>,
}

/// Reads a whole log, in the order of its lines (which is the order in which requests ended).
///
/// # Errors
/// [`Error::Open`] when the file cannot be read, [`Error::Line`] at the first line that is not a record.
pub fn read(path: &Path) -> Result<Vec<Record>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|source| Error::Line { path: path.to_owned(), line: index + 1, source })
        })
        .collect()
}

/// A log that is being written; it counts requests even when it has no file.
#[derive(Debug)]
pub struct AccessLog {
    file: Option<Mutex<File>>,
    opened: Instant,
    /// Open requests of each host.
    in_flight: Mutex<BTreeMap<String, u32>>,
    answered: AtomicU64,
    answered_ok: AtomicU64,
    broken: AtomicBool,
}

impl AccessLog {
    /// Opens a log that starts empty; without a path it only counts.
    ///
    /// # Errors
    /// [`Error::Open`] when the file cannot be created.
    pub fn create(path: Option<&Path>) -> Result<Arc<Self>, Error> {
        let file = path
            .map(|path| File::create(path).map_err(|source| Error::Open { path: path.to_owned(), source }))
            .transpose()?;
        Ok(Arc::new(Self {
            file: file.map(Mutex::new),
            opened: Instant::now(),
            in_flight: Mutex::default(),
            answered: AtomicU64::new(0),
            answered_ok: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        }))
    }

    /// Notes that a request began. The record is written when the visit is finished or dropped.
    pub fn begin(self: &Arc<Self>, method: &str, host: &str, path: &str, agent: &str) -> Visit {
        let in_flight = self.change_in_flight(host, |open| open + 1);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            start_ns: self.now_ns(),
            start_unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            end_ns: 0,
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            status: STATUS_CLIENT_GONE,
            agent: agent.to_owned(),
            in_flight,
            address: String::new(),
            pause_ms: None,
        };
        Visit { log: Arc::clone(self), record }
    }

    /// How many requests have been answered or given up so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// How many requests have been answered with a 2xx status so far.
    pub fn answered_ok(&self) -> u64 {
        self.answered_ok.load(Ordering::SeqCst)
    }

    /// Whether a record could not be written: from then on the log proves nothing.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Changes the number of open requests of a host; returns the new one.
    fn change_in_flight(&self, host: &str, change: impl FnOnce(u32) -> u32) -> u32 {
        let mut all = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let open = change(all.get(host).copied().unwrap_or(0));
        if open == 0 {
            all.remove(host);
        } else {
            all.insert(host.to_owned(), open);
        }
        open
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn write(&self, record: &Record) {
        let Some(file) = &self.file else { return };
        // One write for one line: a reader never sees half of it, and nothing waits in a buffer when the server is killed.
        let written = serde_json::to_vec(record).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            match file.lock() {
                Ok(mut file) => file.write_all(&line),
                Err(poisoned) => poisoned.into_inner().write_all(&line),
            }
        });
        if written.is_err() {
            self.broken.store(true, Ordering::SeqCst);
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Visit {
    log: Arc<AccessLog>,
    record: Record,
}

impl Visit {
    /// The request arrived at this address of the server.
    #[must_use]
    pub fn at_address(mut self, address: IpAddr) -> Self {
        self.record.address = address.to_string();
        self
    }

    /// The answer asks the visitor to stay away for so long.
    #[must_use]
    pub fn asking_for_a_pause(mut self, pause: Duration) -> Self {
        self.record.pause_ms = Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The answer is ready, with this status.
    pub fn finish(mut self, status: u16) {
        self.record.status = status;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.record.end_ns = self.log.now_ns();
        self.log.change_in_flight(&self.record.host, |open| open.saturating_sub(1));
        self.log.write(&self.record);
        self.log.answered.fetch_add(1, Ordering::SeqCst);
        if (200..300).contains(&self.record.status) {
            self.log.answered_ok.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.jsonl");
        let log = AccessLog::create(Some(&path)).unwrap();
        let first = log.begin("GET", "shop", "/robots.txt", "bot");
        let second = log.begin("GET", "shop", "/", "bot");
        second.finish(200);
        first.finish(200);
        let records = read(&path).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!((records[0].path.as_str(), records[0].in_flight), ("/", 2));
        assert_eq!((records[1].path.as_str(), records[1].in_flight), ("/robots.txt", 1));
        assert!(records[1].start_ns <= records[0].start_ns && records[0].end_ns <= records[1].end_ns);
        assert_eq!((log.answered(), log.answered_ok()), (2, 2));
    }

    #[test]
    fn a_visitor_who_went_away_is_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.jsonl");
        let log = AccessLog::create(Some(&path)).unwrap();
        drop(log.begin("GET", "shop", "/", "bot"));
        assert_eq!(read(&path).unwrap()[0].status, STATUS_CLIENT_GONE);
        assert_eq!((log.answered(), log.answered_ok()), (1, 0));
    }

    #[test]
    fn a_line_that_is_not_a_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.jsonl");
        std::fs::write(&path, "\n127.0.0.1 - - GET /\n").unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, Error::Line { line: 2, .. }), "{error}");
    }
}
