//! What the frontier's registers hold. Every record begins with the byte of its format.

pub mod attempt;
mod jar;

pub use attempt::{AttemptEnd, AttemptRecord, Attempts, ErrorClass};
pub use jar::JarRecord;

use super::history::History;
use crate::body::BodyHash;
use crate::id::NodeId;
use crate::job::{DocumentKind, NormalizedUrl, SkipReason};
use bytes::Bytes;
use core::net::IpAddr;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const FORMAT: u8 = 1;

/// A job: a UUID (RFC 9562), shown and read as one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub [u8; 16]);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job id is a UUID such as 0198c1d2-7f3e-7abc-9def-0123456789ab")]
pub struct JobIdError;

impl FromStr for JobId {
    type Err = JobIdError;

    fn from_str(text: &str) -> Result<Self, JobIdError> {
        uuid::Uuid::try_parse(text).map(|uuid| Self(uuid.into_bytes())).map_err(|_| JobIdError)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        uuid::Uuid::from_bytes(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        uuid::Uuid::deserialize(deserializer).map(|uuid| Self(uuid.into_bytes()))
    }
}

/// SHA-1 of a canonical URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UrlHash(pub [u8; 20]);

impl UrlHash {
    /// The hash of `url`.
    #[must_use]
    pub fn of(url: &NormalizedUrl) -> Self {
        Self(Sha1::digest(url.as_str().as_bytes()).into())
    }
}

/// A fencing token: the version of a partition's owner register when its owner claimed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token(pub u64);

/// Who owns a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    /// The owner.
    pub node: NodeId,
    /// The life of its process: a restarted owner claims anew.
    pub boot: u32,
}

/// Where a job stands, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobPhase {
    /// Its seeds are not in the frontier yet.
    Pending,
    /// Being worked on, unless suspended.
    Running,
    /// A limit was reached: what is open is being skipped for this reason.
    Closing(SkipReason),
    /// Ended; the reason if a limit ended it.
    Completed(Option<SkipReason>),
    /// Ended without one page fetched, or, for a reason, with less than it should have.
    Failed(Option<SkipReason>),
    /// Being removed.
    Deleting,
    /// Ended by its user; what was found is kept.
    Stopped,
    /// Its user wants nothing of it: what was found is being removed.
    Discarding,
    /// Ended by its user; what was found is gone.
    Cancelled,
    /// It had ended; its failed pages are being opened again.
    Reopening,
}

impl JobPhase {
    /// Whether the job has ended.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed(_) | Self::Failed(_) | Self::Stopped | Self::Cancelled)
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// The job file as it was accepted, or last changed, JSON.
    pub file: String,
    /// The job file as it was accepted, if it was changed since.
    pub accepted: Option<String>,
    /// How often the file was changed.
    pub revision: u32,
    /// The revision whose seeds are in the frontier.
    pub seeded: u32,
    /// Where it stands.
    pub phase: JobPhase,
    /// Whether its user has suspended it.
    pub suspended: bool,
    /// Milliseconds since 1970.
    pub submitted_ms: u64,
    /// Milliseconds since 1970; 0 until its seeds are in the frontier.
    pub started_ms: u64,
    /// Milliseconds since 1970; 0 until it has ended.
    pub completed_ms: u64,
    /// Final counters; zero until it has ended.
    pub totals: Counters,
    /// A sentence for people.
    pub message: Option<String>,
    /// Whether something is left to be done beside the crawl, also after its end: messages to its webhooks, its outputs.
    pub errands: bool,
}

/// Counters of a job, or of its part in one partition. All but `in_flight` only grow, except that a page that is visited
/// again counts with what it shows now: its last items, errors and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// URLs in the frontier.
    pub discovered: u64,
    /// Closed with a page.
    pub succeeded: u64,
    /// Closed after the last retry.
    pub failed: u64,
    /// Closed without a request.
    pub skipped: u64,
    /// Links that are not followed, each once a host.
    pub unfollowed: u64,
    /// Admitted to be requested under the page limit.
    pub admitted: u64,
    /// Of these, closed.
    pub admitted_closed: u64,
    /// Items in committed results.
    pub items: u64,
    /// Items dropped because a required field was missing.
    pub item_errors: u64,
    /// Requests being made now.
    pub in_flight: u64,
    /// Bytes of the pages in committed results, decompressed.
    pub bytes: u64,
    /// Visits that found a page as it was before.
    pub not_modified: u64,
    /// When the next page is to be visited again, milliseconds since 1970; `None` if none is, or the job is held.
    pub next_visit_ms: Option<u64>,
}

impl Counters {
    /// URLs that are closed.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.succeeded + self.failed + self.skipped
    }

    /// Whether everything is done until a page is to be visited again.
    #[must_use]
    pub const fn waits_for_a_visit(&self) -> bool {
        self.next_visit_ms.is_some() && self.in_flight == 0 && self.done() == self.discovered
    }

    /// Adds another part of the same job.
    pub fn add(&mut self, other: &Self) {
        let Self {
            discovered,
            succeeded,
            failed,
            skipped,
            unfollowed,
            admitted,
            admitted_closed,
            items,
            item_errors,
            in_flight,
            bytes,
            not_modified,
            next_visit_ms,
        } = other;
        self.discovered += discovered;
        self.succeeded += succeeded;
        self.failed += failed;
        self.skipped += skipped;
        self.unfollowed += unfollowed;
        self.admitted += admitted;
        self.admitted_closed += admitted_closed;
        self.items += items;
        self.item_errors += item_errors;
        self.in_flight += in_flight;
        self.bytes += bytes;
        self.not_modified += not_modified;
        self.next_visit_ms = [self.next_visit_ms, *next_visit_ms].into_iter().flatten().min();
    }
}

/// How a URL was come upon, and so what is to be done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Redirects in a row that led here.
    pub redirects: u32,
    /// Links in a row outside the scope that led here.
    pub hops: u32,
    /// What stands there.
    pub kind: DocumentKind,
    /// Which of the job's labels it has, counted from 1; 0 is none.
    pub label: u16,
    /// Which follow rule led from page to page of one listing, counted from 1; 0: none did.
    pub rule: u16,
    /// Pages of that listing so far, this one included; without a rule, how many sitemaps or feeds led here.
    pub page: u16,
    /// Of two URLs of one host the one with the higher priority is requested first.
    pub priority: u8,
}

impl Way {
    /// Whether a sitemap, a feed or a robots.txt names the URL.
    #[must_use]
    pub const fn is_listed(&self) -> bool {
        self.rule == 0 && self.page > 0
    }
}

/// A URL of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRecord {
    /// Canonical.
    pub url: String,
    /// Links followed from a seed.
    pub depth: u32,
    /// How it was come upon.
    pub way: Way,
    /// Whether the page limit has room for it; stays false in jobs without one.
    pub admitted: bool,
    /// The requests that were made for it.
    pub attempts: Attempts,
    /// What became of it.
    pub state: UrlState,
}

/// What became of a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UrlState {
    /// Nothing yet.
    Open,
    /// It is closed.
    Closed {
        /// Orders the results of a job in one partition; readers go on after the last they saw.
        sequence: u64,
        /// How it ended.
        result: PageResult,
    },
}

/// How a URL ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageResult {
    /// A page was fetched.
    Fetched(FetchedPage),
    /// Given up after the last retry.
    Failed {
        /// From the closed list.
        reason: SkipReason,
        /// Status or error.
        detail: String,
    },
    /// Not requested.
    Skipped {
        /// From the closed list.
        reason: SkipReason,
        /// More, if there is more to say.
        detail: Option<String>,
    },
}

/// A fetched page and what was extracted from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedPage {
    /// HTTP status.
    pub status: u16,
    /// Milliseconds since 1970.
    pub fetched_ms: u64,
    /// Requests made for the page, redirects not counted.
    pub attempts: u32,
    /// Length of the body, decompressed.
    pub bytes: u64,
    /// Number of items.
    pub items: u32,
    /// Items dropped because a required field was missing or the schema was broken.
    pub item_errors: u32,
    /// The items.
    pub content: Items,
    /// The page as it was read, if its job keeps it.
    pub stored: Option<StoredResponse>,
    /// What is remembered for the next visit, if there is to be one.
    pub history: Option<Box<History>>,
}

/// A page as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// The body, decompressed, stored before the record.
    pub body: BodyHash,
    /// When it was read, milliseconds since 1970.
    pub read_ms: u64,
    /// How it was spoken: `HTTP/1.1`, `HTTP/2.0`.
    pub protocol: String,
    /// The address that answered.
    pub address: Option<IpAddr>,
    /// The headers of the answer, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// The items of one page, JSON objects joined by line feeds. Lines that begin with `!` are not items, but say why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Items {
    /// Few enough to live in the record.
    Inline(String),
    /// In a body, stored before the record.
    Body(BodyHash),
}

/// A link that is not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// Canonical.
    pub url: String,
    /// From the closed list.
    pub reason: SkipReason,
    /// As in [`UrlState::Closed`].
    pub sequence: u64,
}

/// Pages of one content, or with one block of their simhashes in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRecord {
    /// The canonical URL of each, and its simhash; the first is the oldest.
    pub pages: Vec<(String, u64)>,
}

/// What of a host outlives its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// `scheme://host:port`.
    pub origin: String,
    /// The owner that wrote it.
    pub token: Token,
    /// What `/robots.txt` said, and when it was fetched, milliseconds since 1970.
    pub robots: Option<(RobotsFile, u64)>,
    /// It said "later": until when it is left alone, milliseconds since 1970, or 0.
    pub paused_until_ms: u64,
    /// Pauses in a row for which it gave no length.
    pub pauses: u32,
    /// It failed: until when it is left alone, milliseconds since 1970, or 0.
    pub open_until_ms: u64,
    /// Times in a row that it was left alone for failing.
    pub opens: u32,
    /// Failures in a row.
    pub failures: u32,
    /// The delay that AutoThrottle has come to.
    pub throttle_ms: u64,
    /// What the operator asks for this host.
    pub limits: HostLimits,
    /// The last requests for its robots.txt, the oldest first; at most [`ROBOTS_ASKED_KEPT`].
    pub asked: Vec<RobotsAsked>,
}

/// Requests for a robots.txt that are remembered of one host.
pub const ROBOTS_ASKED_KEPT: usize = 16;

/// A request for a host's robots.txt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotsAsked {
    /// The job that it was made for.
    pub job: JobId,
    /// Where, if that is not `/robots.txt` of the host: it has moved.
    pub moved: Option<String>,
    /// When, and what came of it.
    pub attempt: AttemptRecord,
}

impl HostRecord {
    /// Whether nothing in it is worth keeping. `wall_ms`: milliseconds since 1970.
    #[must_use]
    pub fn is_stale(&self, wall_ms: u64) -> bool {
        let lifetime_ms = u64::try_from(super::host::ROBOTS_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let robots =
            self.robots.as_ref().is_none_or(|(_, fetched_ms)| fetched_ms.saturating_add(lifetime_ms) <= wall_ms);
        robots
            && self.limits == HostLimits::default()
            && self.paused_until_ms <= wall_ms
            && self.open_until_ms <= wall_ms
    }
}

/// What the operator of the ring asks for one host; jobs can only be gentler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLimits {
    /// Shortest delay, in milliseconds; 0 asks for none.
    pub delay_ms: u64,
    /// Most requests in flight.
    pub concurrent_requests: Option<u32>,
    /// Nothing is requested at all.
    pub closed: bool,
    /// Nothing is requested before then, milliseconds since 1970.
    pub block_until_ms: u64,
}

impl HostLimits {
    /// Shortest delay.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// These, or `other` where nothing is asked for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::default() { other } else { self }
    }
}

/// The answer to a request for `/robots.txt` (RFC 9309, section 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RobotsFile {
    /// There is none (status 4xx): everything is allowed.
    AllowAll,
    /// It cannot be had (status 5xx): nothing is allowed.
    DisallowAll,
    /// Its text, cut at 500 KiB.
    Text(String),
}

/// How the pages of a job's limit are handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRecord {
    /// Pages not handed out yet.
    pub remaining: u64,
    /// Pages handed out to each partition, in all.
    pub granted: BTreeMap<u16, u64>,
    /// The newest owner of each partition that asked.
    pub claimed: BTreeMap<u16, Token>,
}

/// Bytes that are not a record of the expected kind, or of a format newer than this program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored record has an unknown format or is damaged")]
pub struct RecordError;

/// The bytes of a record.
#[must_use]
pub fn encode<T: Serialize>(record: &T) -> Bytes {
    let bytes = postcard::to_extend(record, vec![FORMAT]).expect("records hold nothing that cannot be written");
    bytes.into()
}

/// The record in `bytes`.
///
/// # Errors
/// [`RecordError`] for anything that [`encode`] of the same type does not write.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    let (FORMAT, content) = bytes.split_first().map(|(format, content)| (*format, content)).ok_or(RecordError)? else {
        return Err(RecordError);
    };
    postcard::from_bytes(content).map_err(|_| RecordError)
}
