//! A job that has been checked: what the frontier schedules by and what the crawler extracts by.
//!
//! Everything a user may write lives in the `scrapering-crds` crate; the node turns it, in one file,
//! into a [`ValidatedJob`]. Nothing here can be wrong any more: URLs are canonical, patterns are
//! compiled, bounds hold.

pub mod canonical;
pub mod politeness;
pub mod robots;
pub mod scope;
pub mod skip;
pub mod url_rules;

pub use canonical::NormalizedUrl;
pub use politeness::{AutoThrottle, BreakerRules, HostRule, OverMax, Politeness};
pub use robots::Robots;
pub use scope::{Patterns, Scope, ScopeType};
pub use skip::SkipReason;
pub use url_rules::UrlRules;

use std::time::Duration;

/// A checked job, ready to run.
#[derive(Clone, Debug)]
pub struct ValidatedJob {
    /// Name chosen by the user (`metadata.name`).
    pub name: String,
    /// Where the crawl starts, at depth 0, in the order of the file, without repetitions.
    pub seeds: Vec<NormalizedUrl>,
    /// Which URLs belong to the job.
    pub scope: Scope,
    /// What becomes of URLs before they are followed.
    pub url_rules: UrlRules,
    /// How links are found; a job without rules follows nothing.
    pub follow: Vec<FollowRule>,
    /// What is taken from each page; a job without rules only crawls.
    pub extract: Vec<ExtractRule>,
    /// How gently each host is visited.
    pub politeness: Politeness,
    /// Headers of every request.
    pub request: RequestOptions,
    /// When to stop.
    pub limits: Limits,
    /// How often a page is tried again.
    pub retry: Retry,
}

/// Links worth following: `attribute` of every element that `selector` matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowRule {
    /// A CSS selector, known to parse.
    pub selector: String,
    /// The attribute that holds the URL, usually `href`.
    pub attribute: String,
}

/// One kind of item: where it sits on a page and which fields it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractRule {
    /// Name of the item type; appears in each item as `_type`.
    pub name: String,
    /// CSS selector of the element around one item; `None` takes the whole page as one item.
    pub base_selector: Option<String>,
    /// The fields in the order in which they are written.
    pub fields: Vec<Field>,
}

/// One field of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Key in the item.
    pub name: String,
    /// CSS selector below the item's element; `None` takes the element itself.
    pub selector: Option<String>,
    /// What is read from the matched element.
    pub kind: FieldKind,
    /// An item without this field is an item error, not an item.
    pub required: bool,
    /// Value (a JSON document) when nothing matched.
    pub default: Option<serde_json::Value>,
}

/// What a field reads from the element it matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Text content, white space collapsed.
    Text,
    /// The value of an attribute.
    Attribute(String),
    /// Inner HTML.
    Html,
    /// The first number in the text (or in an attribute), as a JSON number.
    Number {
        /// Read from this attribute instead of the text.
        attribute: Option<String>,
    },
    /// An absolute URL, resolved against the page, from an attribute (default `href`, or `src`).
    Url {
        /// The attribute to read; `None` means `href`, else `src`.
        attribute: Option<String>,
    },
    /// Every match instead of the first: a list of what `element` reads, or of objects if `fields` is not empty.
    List {
        /// What is read from each match when `fields` is empty.
        element: Box<FieldKind>,
        /// Fields of each element.
        fields: Vec<Field>,
    },
    /// An object made of further fields below the first match.
    Nested(Vec<Field>),
}

/// What every request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestOptions {
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Further headers, names in lower case; dropped when a redirect leaves the origin.
    pub headers: Vec<(String, String)>,
    /// From the first byte sent to the last byte read, redirects included.
    pub total_timeout: Duration,
    /// Most redirects followed for one page.
    pub max_redirects: u32,
}

/// When a job stops, and what it never takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Exactly this many pages are requested, if there are so many; `None` is no limit.
    pub max_pages: Option<u64>,
    /// As `max_pages`, of each host.
    pub max_pages_per_host: Option<u64>,
    /// The job ends when so many items are committed.
    pub max_items: Option<u64>,
    /// The job ends when so many bytes of pages are committed.
    pub max_bytes: Option<u64>,
    /// Larger bodies (after decompression) are cut off and skipped, bytes.
    pub max_body_bytes: u64,
    /// The job ends this long after it started; `None` is no limit.
    pub max_duration: Option<Duration>,
}

impl Limits {
    /// Whether a page has to be admitted, durably, before it is requested.
    #[must_use]
    pub const fn are_admitted(&self) -> bool {
        self.max_pages.is_some() || self.max_pages_per_host.is_some()
    }
}

/// How often and how soon a failed page is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts after the first.
    pub max_retries: u32,
    /// Pause before the first retry; doubled each time.
    pub backoff: Duration,
    /// Longest pause.
    pub max_backoff: Duration,
}
