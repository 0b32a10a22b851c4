//! Jobs as the doors see them: submit, watch, read, pause, delete, through any node.

use super::cursor::Cursor;
use super::outputs::OutputStatus;
use crate::auth::Tenant;
use crate::job::FieldError;
use schemars::JsonSchema;
use scrapering_core::body::BodyHash;
use scrapering_core::frontier::delivery::DeliveryId;
use scrapering_core::frontier::export::{ExportId, MOST_EXPORTS};
use scrapering_core::frontier::history::History;
use scrapering_core::frontier::record::{AttemptEnd, AttemptRecord, JobId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A job as a caller names it: another tenant's is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRef {
    /// Whose it must be.
    pub tenant: Tenant,
    /// Which one.
    pub id: JobId,
}

/// What its user asks of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobChange {
    /// Pause (true) or resume it, and change the spec by a merge patch (RFC 7396): both at once, or none.
    Patch {
        /// Leaves it as it is if absent.
        suspend: Option<bool>,
        /// Only of a job that has not ended.
        spec: Option<Value>,
    },
    /// End it and keep what it found: what is being fetched still lands, the rest is skipped.
    Stop,
    /// End it and remove what it found; the job itself stays.
    Cancel,
    /// Open the failed pages of a job that has ended again; it goes on with them.
    RetryFailed,
    /// Remove it and everything it found, from every copy; done in the background.
    Delete,
}

impl JobChange {
    /// Pauses (true) or resumes.
    #[must_use]
    pub const fn suspend(suspend: bool) -> Self {
        Self::Patch { suspend: Some(suspend), spec: None }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Accepted and stored; its seeds are not in the frontier yet.
    Pending,
    /// Pages are being fetched.
    Running,
    /// Suspended by its user; what was being fetched still lands.
    Pausing,
    /// Suspended by its user; nothing is fetched, and everything that was has landed.
    Paused,
    /// Everything in scope was done, or a limit was reached (see `reason`).
    Completed,
    /// Nothing could be fetched, or more pages failed than the job allows (see `reason` and `message`).
    Failed,
    /// Being removed from every copy.
    Deleting,
    /// Ended by its user: what was being fetched still lands, the rest is being skipped.
    Stopping,
    /// Ended by its user; what was found is kept.
    Stopped,
    /// Ended by its user: what was found is being removed.
    Cancelling,
    /// Ended by its user; what was found is gone.
    Cancelled,
}

impl Phase {
    /// Whether its user has suspended the job.
    #[must_use]
    pub const fn is_suspended(self) -> bool {
        matches!(self, Self::Pausing | Self::Paused)
    }
}

/// Pages of a job by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageCounts {
    /// URLs in scope that are known.
    pub discovered: u64,
    /// Not fetched yet.
    pub queued: u64,
    /// Being fetched now, or fetched with a result that is not committed yet.
    pub in_flight: u64,
    /// Fetched, with a committed result.
    pub succeeded: u64,
    /// Given up after the last retry.
    pub failed: u64,
    /// Not fetched for a reason from the closed list.
    pub skipped: u64,
    /// Further visits that found a page as it was before.
    #[serde(default)]
    pub not_modified: u64,
}

/// A job and how far it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// The job.
    pub id: JobId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: Tenant,
    /// Grows with every change that a user makes, and with every phase.
    #[serde(skip)]
    pub version: u64,
    /// `metadata.name` of its file.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// A word for why, if the phase alone does not say it: `pageLimit`, `timeLimit`, `nothingFetched`, `backoffLimitExceeded`; `recrawl` while a
    /// running job only waits for pages to be visited again.
    pub reason: Option<String>,
    /// A sentence for people.
    pub message: Option<String>,
    /// Counters, exact when the job has ended.
    pub pages: PageCounts,
    /// Items committed.
    pub items: u64,
    /// Items dropped because a required field was missing.
    pub item_errors: u64,
    /// Bytes of the pages that were fetched, decompressed.
    pub bytes: u64,
    /// RFC 3339.
    pub submitted_at: String,
    /// RFC 3339; absent while pending.
    pub started_at: Option<String>,
    /// RFC 3339; absent until the job has ended.
    pub completed_at: Option<String>,
    /// How far its outputs are.
    pub outputs: Vec<OutputStatus>,
    /// When the next page is to be visited again, RFC 3339.
    pub next_visit_at: Option<String>,
    /// The job file as it was accepted, or last changed.
    pub file: Box<RawValue>,
    /// The job file as it was accepted, if it was changed since.
    #[serde(skip)]
    pub accepted: Option<Box<RawValue>>,
}

#[cfg(test)]
impl JobStatus {
    /// A job that runs and has done nothing yet.
    pub(crate) fn begun(job: &JobRef, file: &scrapering_crds::ScrapeJobFile, submitted_at: &str) -> Self {
        Self {
            id: job.id,
            tenant: job.tenant.clone(),
            version: 1,
            name: file.metadata.name.clone(),
            phase: Phase::Running,
            reason: None,
            message: None,
            pages: PageCounts::default(),
            items: 0,
            item_errors: 0,
            bytes: 0,
            submitted_at: submitted_at.to_owned(),
            started_at: None,
            completed_at: None,
            outputs: Vec::new(),
            next_visit_at: None,
            file: serde_json::value::to_raw_value(file).expect("JSON"),
            accepted: None,
        }
    }
}

/// What became of a URL that was added to a running job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeedVerdict {
    /// As it was given.
    pub url: String,
    /// Whether it is in the job now.
    pub status: SeedStatus,
    /// What is wrong with it, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether a URL was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SeedStatus {
    /// It is durable, and will be fetched.
    Ok,
    /// It was a seed already.
    Skipped,
    /// It is no URL that can be fetched.
    Fail,
}

/// The work that a node coordinates: its jobs that have not ended, and their URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Jobs.
    pub jobs: u64,
    /// URLs that wait.
    pub queued: u64,
    /// URLs that are being fetched.
    pub in_flight: u64,
}

/// A page of results and where to go on.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// In a stable order.
    pub entries: Vec<T>,
    /// Hands out what follows, now or when there is more.
    pub cursor: Cursor,
    /// Whether the job has ended and nothing follows.
    pub complete: bool,
}

/// A URL that was not fetched, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The canonical URL.
    pub url: String,
    /// A word from the closed list (`SkipReason::as_str`).
    pub reason: String,
    /// What exactly happened, if there is more to say: a status, an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The requests that were made for it, the oldest first; at most the last 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
}

/// A page that was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FetchedPage {
    /// Names the page: `GET /v1/jobs/{id}/pages/{page}/body` reads it, if it is kept.
    pub id: String,
    /// The canonical URL.
    pub url: String,
    /// Links followed from a seed.
    pub depth: u32,
    /// HTTP status.
    pub status: u16,
    /// RFC 3339.
    pub fetched_at: String,
    /// Requests made for it, redirects not counted.
    pub attempts: u32,
    /// Length of its body, decompressed.
    pub bytes: u64,
    /// Items found on it.
    pub items: u32,
    /// Items dropped because a required field was missing.
    pub item_errors: u32,
    /// The requests that were made for it, the oldest first; at most the last 32.
    #[serde(default)]
    pub tries: Vec<Try>,
    /// The page as it was read, if its job keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredResponse>,
    /// What is known of its visits, if its job visits pages again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<PageHistory>,
}

/// The visits to a page of a job that visits pages again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageHistory {
    /// How often it was found.
    pub visits: u32,
    /// Of these, how often as it was before.
    pub not_modified: u32,
    /// When it was first found as it is now, RFC 3339.
    pub changed_at: String,
    /// When it is to be visited next, RFC 3339.
    pub next_visit_at: String,
    /// Since when its host says that it is gone (404, 410), RFC 3339; its last items stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<String>,
}

impl From<History> for PageHistory {
    fn from(history: History) -> Self {
        let History { visits, not_modified, changed_ms, next_ms, gone_ms, .. } = history;
        let at = |ms| super::doors::moment(ms).unwrap_or_default();
        let (changed_at, next_visit_at, gone_since) = (at(changed_ms), at(next_ms), gone_ms.map(at));
        Self { visits, not_modified, changed_at, next_visit_at, gone_since }
    }
}

/// One request for a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Try {
    /// When it began, RFC 3339.
    pub at: String,
    /// Until its end, milliseconds.
    pub took_ms: u32,
    /// The HTTP status, if there was an answer that could be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A word for the error, if there was none: `address`, `resolve`, `connect`, `tls`, `connectTimeout`,
    /// `firstByteTimeout`, `idleTimeout`, `totalTimeout`, `reset`, `protocol`, `tooLarge`, `mimeType`,
    /// `decode`, `request`, `brokenOff` or `proxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<&AttemptRecord> for Try {
    fn from(attempt: &AttemptRecord) -> Self {
        let (status, error) = match attempt.end {
            AttemptEnd::Status(status) => (Some(status), None),
            AttemptEnd::Error(class) => (None, Some(class.to_string())),
        };
        let at = super::doors::moment(attempt.at_ms).unwrap_or_default();
        Self { at, took_ms: attempt.took_ms, status, error }
    }
}

/// A page that is kept as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredResponse {
    /// SHA-256 of its body, hexadecimal.
    pub sha256: String,
    /// When it was read, RFC 3339: before the page's last visit if that found it as it was and only changes are kept.
    pub read_at: String,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub protocol: String,
    /// The address that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Name and value of each header of the answer, names in lower case.
    pub headers: Vec<[String; 2]>,
}

impl StoredResponse {
    /// Its `Content-Type` without parameters.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        let [_, value] = self.headers.iter().find(|[name, _]| name == "content-type")?;
        Some(value.split(';').next().unwrap_or_default().trim()).filter(|essence| !essence.is_empty())
    }

    /// The hash under which its body is kept.
    pub(super) fn hash(&self) -> Option<BodyHash> {
        let bytes = data_encoding::HEXLOWER.decode(self.sha256.as_bytes()).ok()?;
        Some(BodyHash(bytes.try_into().ok()?))
    }
}

/// The first character of a line among a page's items that is an [`ItemFault`].
pub(super) const ITEM_ERROR_MARK: char = '!';

/// Why there is no item where there should be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemFault {
    /// The page.
    pub url: String,
    /// The rule's name.
    pub rule: String,
    /// The field, such as `specs[2].name`; empty if it is about the page as a whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// Why a request about jobs was not served.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The caller named a job that does not exist (any more). Nothing changed.
    #[error("there is no job {0}")]
    NotFound(JobId),
    /// The caller named a message to a webhook that is not, or not any more, in the log. Nothing changed.
    #[error("there is no delivery {0}; the log of a webhook keeps the last 50")]
    NoDelivery(DeliveryId),
    /// The caller named an export that is not, or not any more, kept. Nothing changed.
    #[error("there is no export {0}; the last {MOST_EXPORTS} of a job are kept")]
    NoExport(ExportId),
    /// The caller named a page that was not fetched, or is not kept. Nothing changed.
    #[error(
        "there is no such page, or it is not kept; a job keeps its pages with the output `ring: {{storeBody: all}}`"
    )]
    NoBody,
    /// The caller asked for something that the job's phase does not allow. Nothing changed.
    #[error("{0}")]
    Conflict(String),
    /// The job is in another version than the caller named. Nothing changed.
    #[error("the job has changed: it is in version {current} now; read it again")]
    Changed {
        /// Its version now.
        current: u64,
    },
    /// The caller's cursor is not one of ours. Nothing changed.
    #[error("the cursor is not valid; leave it out to read from the beginning")]
    BadCursor,
    /// Too few nodes answered. Nothing was acknowledged; try again.
    #[error("too few nodes of the ring answer; try again")]
    Unavailable,
    /// The disk of the node that was asked is full, and without it there is no majority. Nothing was acknowledged.
    #[error("the disk of this node is full; free some room where its data folder is, 100 MiB at least, and try again")]
    DiskFull,
    /// The caller's change would make a job that cannot run. Nothing changed.
    #[error("the job would not be valid")]
    Invalid(Vec<FieldError>),
    /// The change may or may not have been made: read the job to see.
    #[error("it is not known whether the change was made; read the job to see")]
    Indeterminate,
}
