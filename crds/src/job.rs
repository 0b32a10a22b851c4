//! `ScrapeJob`: what a user may ask for, field by field, with defaults and bounds.
//!
//! Serde refuses what is misspelt or of the wrong type; what needs more than one field, a CSS parser or a
//! regex compiler to judge, the node judges when it turns this into its own checked job.

pub mod credentials;
pub mod dedup;
pub mod extract;
pub mod fetch;
pub mod output;
pub mod politeness;
pub mod proxy;
pub mod recrawl;
mod rules;
pub mod scope;
pub mod status;
pub mod webhook;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use credentials::{AuthSpec, BasicSpec, BearerSpec, CookieMode, CookieSpec, CookiesSpec};
pub use dedup::{ContentIdentity, DedupSpec};
pub use extract::{ElementType, ExtractSpec, FieldSpec, FieldType, MatchSpec, SourceType, TransformOp, TransformSpec};
pub use fetch::{
    BackoffSpec, HeaderSpec, LimitsSpec, OnOutOfScope, RedirectsSpec, RequestSpec, RetrySpec, SecretRef, TimeoutsSpec,
};
pub use output::{OutputSpec, StoreBody};
pub use politeness::{
    AutoThrottleSpec, CircuitBreakerSpec, DaySpec, HostRuleSpec, OverMaxSpec, PolitenessSpec, RobotsSpec, WindowSpec,
};
pub use proxy::{ProxySpec, RotationSpec};
pub use recrawl::{AdaptiveSpec, EmitSpec, RecrawlSpec};
pub use rules::MUTABLE;
pub use scope::{ScopeSpec, ScopeType};
pub use status::{JobPhase, PageCounts, ScrapeJobStatus};
pub use webhook::{WebhookEvent, WebhookSpec};

/// Largest `parallelism`.
pub const PARALLELISM_MAX: u32 = 10_000;
/// Largest `backoffLimit`.
pub const BACKOFF_LIMIT_MAX: u32 = 1_000_000_000;
/// Most seeds in one job.
pub const SEEDS_MAX: usize = 10_000;
/// Most entries in each of `scope.include` and `scope.exclude`.
pub const PATTERNS_MAX: usize = 100;
/// Longest pattern, characters.
pub const PATTERN_LENGTH_MAX: usize = 1_024;
/// Longest URL, bytes.
pub const URL_LENGTH_MAX: usize = 2_083;
/// CSS selector of a follow rule that has none, and no XPath.
pub const FOLLOW_SELECTOR_DEFAULT: &str = "a[href]";
/// Longest CSS selector, characters.
pub const SELECTOR_LENGTH_MAX: usize = 1_024;
/// Most entries in `follow` and in `extract`.
pub const RULES_MAX: usize = 64;
/// Priority of seeds, and of links without another.
pub const PRIORITY_DEFAULT: u32 = 50;
/// Highest priority of a link.
pub const PRIORITY_MAX: u32 = 100;
/// Largest `follow[].maxPages`.
pub const LISTING_PAGES_MAX: u32 = 10_000;
/// Largest `scope.maxDepth`.
pub const DEPTH_MAX: u32 = 100_000;

/// What to crawl, how gently, and what to take from each page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "scrapering.io",
        version = "v1alpha1",
        kind = "ScrapeJob",
        plural = "scrapejobs",
        shortname = "sjob",
        category = "scraping",
        namespaced,
        doc = "A crawl: where it starts, which pages belong to it, and what is taken from each.",
        status = "ScrapeJobStatus",
        derive = "PartialEq",
        validation = kube::core::Rule::new(rules::NAME.rule).message(rules::NAME.message),
        selectable = ".spec.ringRef.name",
        selectable = ".status.phase",
        printcolumn(
            name = "Status",
            type_ = "string",
            json_path = ".status.phase",
            description = "State of the job in one word"
        ),
        printcolumn(
            name = "Ring",
            type_ = "string",
            json_path = ".spec.ringRef.name",
            description = "The ring that runs the job"
        ),
        printcolumn(
            name = "Pages",
            type_ = "string",
            json_path = ".status.progress",
            description = "Pages that are settled, of those that are known"
        ),
        printcolumn(
            name = "Failed",
            type_ = "integer",
            json_path = ".status.pages.failed",
            description = "Pages given up"
        ),
        printcolumn(name = "Items", type_ = "integer", json_path = ".status.items", description = "Items extracted"),
        printcolumn(
            name = "Started",
            type_ = "date",
            json_path = ".status.startTime",
            description = "When the ring began"
        ),
        printcolumn(
            name = "Duration",
            type_ = "string",
            json_path = ".status.duration",
            description = "How long the job took, once it has ended"
        ),
        printcolumn(
            name = "Next-Visit",
            type_ = "string",
            json_path = ".status.nextVisitTime",
            description = "When the next page is visited again, while the job only waits for that",
            priority = 1
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Failed\")].reason",
            description = "Why the job failed",
            priority = 1
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_spec)]
pub struct ScrapeJobSpec {
    /// The ring that runs the job, in the same namespace. Read in Kubernetes; elsewhere the job goes to the ring that is asked.
    #[serde(default)]
    pub ring_ref: RingRef,
    /// How large the job's share is where it waits for the same host, or for the same places of a node, as other jobs: a share of `priority` + 1 parts. No job gets nothing. May be changed while the job runs.
    #[serde(default = "default_priority")]
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub priority: u32,
    /// Most pages of the job that are fetched at the same time, by all nodes of the ring together, each until its links are found; robots.txt files count too. Without it there is no limit beyond politeness and the nodes' own places. May be changed while the job runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 10_000))]
    pub parallelism: Option<u32>,
    /// Where the crawl starts.
    #[schemars(length(min = 1, max = 10_000), extend("x-kubernetes-list-type" = "atomic"))]
    pub seeds: Vec<SeedSpec>,
    /// Which pages belong to the job.
    #[serde(default)]
    pub scope: ScopeSpec,
    /// What becomes of URLs before they are followed.
    #[serde(default)]
    pub url: UrlSpec,
    /// How links are found; an empty list follows nothing.
    #[serde(default = "default_follow")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub follow: Vec<FollowSpec>,
    /// What is taken from each page; an empty list only crawls.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub extract: Vec<ExtractSpec>,
    /// How gently each host is visited, by all nodes together.
    #[serde(default)]
    pub politeness: PolitenessSpec,
    /// When a host that fails is left alone.
    #[serde(default)]
    pub circuit_breaker: CircuitBreakerSpec,
    /// What each request carries and how long it may take.
    #[serde(default)]
    pub request: RequestSpec,
    /// When to stop and what is too large.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// How often a failed page is tried again.
    #[serde(default)]
    pub retry: RetrySpec,
    /// When two pages count as one.
    #[serde(default)]
    pub dedup: DedupSpec,
    /// Where what the job found goes, beside the ring's own lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub outputs: Vec<OutputSpec>,
    /// Who is told what becomes of the job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub webhooks: Vec<WebhookSpec>,
    /// How pages are visited again; without it each is visited once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recrawl: Option<RecrawlSpec>,
    /// Pauses the job; nothing is lost.
    #[serde(default)]
    pub suspend: bool,
    /// The job is ended and counts as failed this long after its start, seconds. Like `limits.maxDuration`, which is no failure; the shorter of the two holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub active_deadline_seconds: Option<i64>,
    /// The job is ended and counts as failed once more than so many of its pages have failed for good: answered with an error, or given up after the last attempt that `retry` allows. What it found is kept. Pages that are skipped for other reasons do not count. Without it no number of failed pages ends the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 0, max = 1_000_000_000))]
    pub backoff_limit: Option<u32>,
    /// The job object, and with it the job and its results in the ring, are removed this long after the job has ended, seconds, whether its outputs are written or not. Read in Kubernetes; without it they stay until they are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 315_360_000))]
    pub ttl_seconds_after_finished: Option<i32>,
}

impl ScrapeJobSpec {
    /// How long the job may take: the shorter of `limits.maxDuration` and `activeDeadlineSeconds`.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        let deadline = self.deadline();
        let longest = self.limits.max_duration.map(|span| span.0);
        deadline.into_iter().chain(longest).min()
    }

    /// Whether a job that ran into its time limit ran into its deadline, and so has failed.
    #[must_use]
    pub fn deadline_is_limit(&self) -> bool {
        self.deadline().is_some() && self.deadline() == self.time_limit()
    }

    fn deadline(&self) -> Option<Duration> {
        self.active_deadline_seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    }
}

/// A ring of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingRef {
    /// Name of the `ScrapeRing`.
    #[serde(default = "default_ring")]
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

impl Default for RingRef {
    fn default() -> Self {
        Self { name: default_ring() }
    }
}

fn default_ring() -> String {
    "main".to_owned()
}

/// One starting point: exactly one of `url`, `sitemap`, `feed` and `sitemapsOf`, each an absolute http or https URL without user and password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["url"]}, {"required": ["sitemap"]}, {"required": ["feed"]}, {"required": ["sitemapsOf"]}]))]
pub struct SeedSpec {
    /// A page; a fragment is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2083), regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+([/?#].*)?$"))]
    pub url: Option<String>,
    /// A sitemap (XML or text, also gzipped) or an index of sitemaps; the pages that it names are seeds, as far as they are in scope. It counts as a page itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2083), regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+([/?#].*)?$"))]
    pub sitemap: Option<String>,
    /// An RSS or Atom feed; the pages of its entries are seeds, as far as they are in scope. It counts as a page itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2083), regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+([/?#].*)?$"))]
    pub feed: Option<String>,
    /// Any URL of a host; every sitemap that the host's robots.txt names is a seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2083), regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+([/?#].*)?$"))]
    pub sitemaps_of: Option<String>,
    /// The label of these pages, which rules of `extract` can ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub label: Option<String>,
}

/// What becomes of URLs before they are followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UrlSpec {
    /// Query parameters that say nothing and are left out; a `*` at the end stands for any ending, such as `utm_*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64), regex(pattern = r"^[^*&=# ]+\*?$")))]
    pub drop_params: Vec<String>,
    /// Puts the parameters of a query in order, for sites to which their order means nothing.
    #[serde(default)]
    pub sort_query: bool,
    /// A longer URL is a trap, bytes.
    #[serde(default = "default_url_length")]
    #[schemars(with = "i32", range(min = 64, max = 2083))]
    pub max_length: u32,
    /// A path that holds the same segment more often is a trap.
    #[serde(default = "default_repeated_segments")]
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub max_repeated_segments: u32,
    /// A path with more different queries is a trap from then on.
    #[serde(default = "default_query_variants")]
    #[schemars(with = "i32", range(min = 1, max = 1_000_000))]
    pub max_query_variants_per_path: u32,
}

impl Default for UrlSpec {
    fn default() -> Self {
        Self {
            drop_params: Vec::new(),
            sort_query: false,
            max_length: default_url_length(),
            max_repeated_segments: default_repeated_segments(),
            max_query_variants_per_path: default_query_variants(),
        }
    }
}

fn default_url_length() -> u32 {
    2_083
}

fn default_repeated_segments() -> u32 {
    5
}

fn default_query_variants() -> u32 {
    10_000
}

/// Links worth following.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_follow)]
pub struct FollowSpec {
    /// CSS selector of the elements that carry the link; `a[href]` if neither this nor `xpath` is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub selector: Option<String>,
    /// XPath 1.0 in place of the selector, evaluated on the whole page: elements that carry the link, or the links themselves, such as `//nav//a/@href`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub xpath: Option<String>,
    /// The attribute that holds the URL.
    #[serde(default = "default_follow_attribute")]
    #[schemars(length(min = 1, max = 64))]
    pub attribute: String,
    /// Regular expressions; with any, the absolute URL must match at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 1024)))]
    pub allow: Vec<String>,
    /// Regular expressions; a URL that matches one is not followed by this rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 1024)))]
    pub deny: Vec<String>,
    /// The label of the pages behind these links, which rules of `extract` can ask for. The first rule that finds a link gives it its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub label: Option<String>,
    /// Of two URLs of one host the one with the higher priority is fetched first.
    #[serde(default = "default_priority")]
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub priority: u32,
    /// The links lead from one page of a listing to the next; no more pages of one listing than this, the first included, are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 10_000))]
    pub max_pages: Option<u32>,
}

impl Default for FollowSpec {
    fn default() -> Self {
        Self {
            selector: None,
            xpath: None,
            attribute: default_follow_attribute(),
            allow: Vec::new(),
            deny: Vec::new(),
            label: None,
            priority: default_priority(),
            max_pages: None,
        }
    }
}

fn default_priority() -> u32 {
    PRIORITY_DEFAULT
}

fn default_follow() -> Vec<FollowSpec> {
    vec![FollowSpec::default()]
}

fn default_follow_attribute() -> String {
    "href".to_owned()
}
