//! `spec.request`, `limits` and `retry`: how pages are fetched, and when to stop.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::credentials::{AuthSpec, CookiesSpec};
use super::proxy::ProxySpec;
use super::rules;
use crate::units::{ByteSize, Span};

/// What each request carries and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestSpec {
    /// The User-Agent header. Say who you are and where to complain, such as `examplebot/1.0 (+https://example.io/bot)`.
    #[serde(default = "default_user_agent")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[ -~]+$"))]
    pub user_agent: String,
    /// Further headers. Those marked secret go to the origins in `credentialOrigins` only, and so do Authorization and Cookie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), transform = rules::of_headers, extend("x-kubernetes-list-type" = "atomic"))]
    pub headers: Vec<HeaderSpec>,
    /// A Secret of type `scrapering.io/headers` in the job's namespace: its keys are names of further headers, its values theirs. They are read once, when the ring takes the job, and shown nowhere. Only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_secret_ref: Option<SecretRef>,
    /// Who the job says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,
    /// What becomes of cookies.
    #[serde(default)]
    pub cookies: CookiesSpec,
    /// Through whom requests go; without it they go straight to their hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxySpec>,
    /// The origins that get `auth`, the first cookies and secret headers, such as `https://shop.example` or `https://shop.example:8443`; no other does, wherever links and redirects lead. Without it: the origins of the seeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 300), regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+/?$")), extend("x-kubernetes-list-type" = "atomic"))]
    pub credential_origins: Vec<String>,
    /// How long a request may take.
    #[serde(default)]
    pub timeouts: TimeoutsSpec,
    /// How redirects are followed.
    #[serde(default)]
    pub redirects: RedirectsSpec,
}

/// One header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_header)]
pub struct HeaderSpec {
    /// Name of the header, in any case.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))]
    pub name: String,
    /// Its value: printable ASCII, spaces and tabs.
    #[schemars(length(max = 4096), regex(pattern = r"^[ -~\t]*$"))]
    pub value: String,
    /// Keeps the value out of every answer: whoever reads the job sees `[secret]` in its place. It is sent to the origins in `credentialOrigins` only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How long a request may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_timeouts)]
pub struct TimeoutsSpec {
    /// To look the host up, to connect to it (through a proxy, if there is one) and to agree on TLS; 100ms to 10m. A connection that is open already takes no time.
    #[serde(default = "default_connect_timeout")]
    pub connect: Span,
    /// From then to the end of the head of the answer; 100ms to 10m.
    #[serde(default = "default_first_byte_timeout")]
    pub first_byte: Span,
    /// From the beginning of one request to the last byte of its answer; 100ms to 10m. It ends the other two as well, however long they are. What a redirect leads to is a request of its own.
    #[serde(default = "default_total_timeout")]
    pub total: Span,
}

/// How redirects are followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedirectsSpec {
    /// Most redirects for one page.
    #[serde(default = "default_max_redirects")]
    #[schemars(with = "i32", range(min = 0, max = 20))]
    pub max: u32,
    /// What becomes of a redirect that leads out of the scope. skip: the page is skipped. follow: what is there is taken in, unless `scope.exclude`, `allowedDomains` or `denyExtensions` leave it out; its links are judged like any others.
    #[serde(default)]
    pub on_out_of_scope: OnOutOfScope,
}

/// What becomes of a redirect that leads out of the scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnOutOfScope {
    /// The page is skipped.
    #[default]
    Skip,
    /// What is there is taken in.
    Follow,
}

/// When to stop and what is too large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_limits)]
pub struct LimitsSpec {
    /// Exactly this many pages are requested, if there are so many. Without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1, max = 1_000_000_000_000_i64))]
    pub max_pages: Option<u64>,
    /// At most this many pages of each host are requested, exactly. Without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1, max = 1_000_000_000_000_i64))]
    pub max_pages_per_host: Option<u64>,
    /// The job ends when this many items are committed; pages under way may still add theirs. Without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1, max = 1_000_000_000_000_i64))]
    pub max_items: Option<u64>,
    /// The job ends when pages of so many bytes (after decompression) are committed, 1Ki to 999999Ti; pages under way may still add theirs. Without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<ByteSize>,
    /// A larger body (after decompression) is not taken in; 1Ki to 1Gi.
    #[serde(default = "default_max_body")]
    pub max_body_bytes: ByteSize,
    /// The job ends this long after its start; 1s to 87600h. Without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Span>,
}

/// How often a failed page is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetrySpec {
    /// Further attempts after the first.
    #[serde(default = "default_max_retries")]
    #[schemars(with = "i32", range(min = 0, max = 20))]
    pub max_retries: u32,
    /// Answers with these statuses are worth another attempt, besides failures to connect, timeouts and broken connections. Any other status is final.
    #[serde(default = "default_status_codes")]
    #[schemars(with = "Vec<i32>", length(max = 32), inner(range(min = 400, max = 599)), extend("x-kubernetes-list-type" = "atomic"))]
    pub status_codes: Vec<u16>,
    /// How long to wait before each.
    #[serde(default)]
    pub backoff: BackoffSpec,
}

/// Pauses before further attempts, each longer than the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_backoff)]
pub struct BackoffSpec {
    /// Pause before the first retry; not longer than `max`.
    #[serde(default = "default_backoff_initial")]
    pub initial: Span,
    /// Each pause is so many times as long as the one before.
    #[serde(default = "default_backoff_factor")]
    #[schemars(schema_with = "factor")]
    pub factor: f64,
    /// Longest pause; at most 24h.
    #[serde(default = "default_backoff_max")]
    pub max: Span,
    /// A pause is longer or shorter by up to this part of it, by chance, so that pages that failed together do not come back together.
    #[serde(default = "default_backoff_jitter")]
    #[schemars(schema_with = "jitter")]
    pub jitter: f64,
}

impl Default for RequestSpec {
    fn default() -> Self {
        Self {
            user_agent: default_user_agent(),
            headers: Vec::new(),
            headers_secret_ref: None,
            auth: None,
            cookies: CookiesSpec::default(),
            proxy: None,
            credential_origins: Vec::new(),
            timeouts: TimeoutsSpec::default(),
            redirects: RedirectsSpec::default(),
        }
    }
}

impl Default for TimeoutsSpec {
    fn default() -> Self {
        Self {
            connect: default_connect_timeout(),
            first_byte: default_first_byte_timeout(),
            total: default_total_timeout(),
        }
    }
}

impl Default for RedirectsSpec {
    fn default() -> Self {
        Self { max: default_max_redirects(), on_out_of_scope: OnOutOfScope::Skip }
    }
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            max_pages: None,
            max_pages_per_host: None,
            max_items: None,
            max_bytes: None,
            max_body_bytes: default_max_body(),
            max_duration: None,
        }
    }
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            max_retries: default_max_retries(),
            status_codes: default_status_codes(),
            backoff: BackoffSpec::default(),
        }
    }
}

impl Default for BackoffSpec {
    fn default() -> Self {
        Self {
            initial: default_backoff_initial(),
            factor: default_backoff_factor(),
            max: default_backoff_max(),
            jitter: default_backoff_jitter(),
        }
    }
}

fn default_user_agent() -> String {
    concat!("scrapering/", env!("CARGO_PKG_VERSION"), " (+https://scrapering.io/bot)").to_owned()
}

fn default_connect_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn default_first_byte_timeout() -> Span {
    Span(Duration::from_secs(20))
}

fn default_total_timeout() -> Span {
    Span(Duration::from_secs(60))
}

fn default_max_redirects() -> u32 {
    10
}

fn default_max_body() -> ByteSize {
    ByteSize(10 << 20)
}

fn default_max_retries() -> u32 {
    2
}

fn default_status_codes() -> Vec<u16> {
    vec![408, 425, 429, 500, 502, 503, 504]
}

/// Without `format: double`, which API servers warn of.
fn factor(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 1, "maximum": 10 })
}

/// As [`factor`].
fn jitter(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
}

fn default_backoff_factor() -> f64 {
    2.0
}

fn default_backoff_jitter() -> f64 {
    0.1
}

fn default_backoff_initial() -> Span {
    Span(Duration::from_secs(5))
}

fn default_backoff_max() -> Span {
    Span(Duration::from_secs(600))
}
