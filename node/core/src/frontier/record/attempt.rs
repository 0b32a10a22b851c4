//! Requests as they are remembered: when, what came of each, and how long it took.
//!
//! They stand in the record of their URL. An attempt that is to be repeated is written at once, so that the next owner
//! knows of it; the last one is written with the page's result, and costs no write of its own.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Attempts that are remembered of one URL; with more, the oldest go. A job makes 21 at most, until its failed pages are
/// opened again.
pub const ATTEMPTS_KEPT: usize = 32;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// When it began, milliseconds since 1970.
    pub at_ms: u64,
    /// Until its end, milliseconds.
    pub took_ms: u32,
    /// What came of it.
    pub end: AttemptEnd,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptEnd {
    /// An answer with this status (RFC 9110).
    Status(u16),
    /// No answer, or none that could be used.
    Error(ErrorClass),
}

/// Why there was no answer that could be used: a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorClass {
    /// The address may not be visited; nothing was sent.
    Address,
    /// The name could not be resolved; nothing was sent.
    Resolve,
    /// No connection.
    Connect,
    /// No trusted TLS connection.
    Tls,
    /// No connection in time.
    ConnectTimeout,
    /// No head of an answer in time.
    FirstByteTimeout,
    /// The body stopped coming.
    IdleTimeout,
    /// The answer was not complete in time.
    TotalTimeout,
    /// The connection broke.
    Reset,
    /// The answer was not HTTP.
    Protocol,
    /// The body was larger than the job takes in.
    TooLarge,
    /// The body was of a kind that is not read.
    MimeType,
    /// The body could not be decompressed.
    Decode,
    /// The request could not be written.
    Request,
    /// The node broke it off, because another one may own the host.
    BrokenOff,
    /// There was no way through the proxy.
    Proxy,
}

impl ErrorClass {
    /// The word that users know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ConnectTimeout => "connectTimeout",
            Self::FirstByteTimeout => "firstByteTimeout",
            Self::IdleTimeout => "idleTimeout",
            Self::TotalTimeout => "totalTimeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::TooLarge => "tooLarge",
            Self::MimeType => "mimeType",
            Self::Decode => "decode",
            Self::Request => "request",
            Self::BrokenOff => "brokenOff",
            Self::Proxy => "proxy",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The requests that were made for one URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Those that failed and count against the job's `maxRetries`.
    pub failed: u32,
    /// Pause after the last of these until the next one, milliseconds.
    pub pause_ms: u64,
    /// The last of all, the oldest first; at most [`ATTEMPTS_KEPT`].
    pub last: Vec<AttemptRecord>,
}

impl Attempts {
    /// One more was made.
    pub fn push(&mut self, attempt: AttemptRecord) {
        if self.last.len() >= ATTEMPTS_KEPT {
            self.last.remove(0);
        }
        self.last.push(attempt);
    }

    /// What is left of the pause at `wall_ms`, milliseconds since 1970. Whoever's clock is behind waits the whole pause again.
    #[must_use]
    pub fn pause_left(&self, wall_ms: u64) -> Duration {
        let ended_ms = self.last.last().map_or(wall_ms, |last| last.at_ms + u64::from(last.took_ms));
        Duration::from_millis(ended_ms.saturating_add(self.pause_ms).saturating_sub(wall_ms).min(self.pause_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_attempts_are_remembered() {
        let mut attempts = Attempts::default();
        for at_ms in 0..40 {
            attempts.push(AttemptRecord { at_ms, took_ms: 1, end: AttemptEnd::Status(503) });
        }
        assert_eq!(attempts.last.len(), ATTEMPTS_KEPT);
        assert_eq!((attempts.last[0].at_ms, attempts.last[31].at_ms), (8, 39));
    }

    #[test]
    fn what_is_left_of_a_pause_is_never_more_than_the_pause() {
        let made = AttemptRecord { at_ms: 1_000, took_ms: 500, end: AttemptEnd::Status(503) };
        let attempts = Attempts { failed: 1, pause_ms: 10_000, last: vec![made] };
        for (wall_ms, left) in [(1_500, 10_000), (4_000, 7_500), (11_500, 0), (u64::MAX, 0), (0, 10_000)] {
            assert_eq!(attempts.pause_left(wall_ms), Duration::from_millis(left), "at {wall_ms}");
        }
        assert_eq!(Attempts { last: Vec::new(), ..attempts }.pause_left(4_000), Duration::from_secs(10));
    }
}
