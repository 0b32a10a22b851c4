//! A job that has been checked: what the frontier schedules by and what the crawler extracts by.
//!
//! Everything a user may write lives in the `scrapering-crds` crate; the node turns it, in one file,
//! into a [`ValidatedJob`]. Nothing here can be wrong any more: URLs are canonical, patterns are
//! compiled, bounds hold.

pub mod canonical;
pub mod domain;
pub mod extension;
pub mod extract;
pub mod media;
pub mod politeness;
pub mod proxy;
pub mod recrawl;
pub mod robots;
pub mod scope;
pub mod secret;
pub mod skip;
pub mod url_rules;

pub use canonical::{NormalizedUrl, resolve};
pub use domain::{Domain, Domains};
pub use extension::{Extension, Extensions};
pub use extract::{DocumentKind, ExtractRule, Field, FieldKind, FollowRule, Seed, Selector, Source, Transform};
pub use media::{MediaRange, MediaTypes};
pub use politeness::{AutoThrottle, BreakerRules, HostRule, OverMax, Politeness};
pub use proxy::{Proxies, Proxy, ProxyKind, Rotation};
pub use recrawl::Recrawl;
pub use robots::Robots;
pub use scope::{Filters, Patterns, Scope, ScopeType};
pub use secret::{Auth, Credentials, Secret};
pub use skip::SkipReason;
pub use url_rules::UrlRules;

use std::collections::BTreeSet;
use std::time::Duration;

/// A checked job, ready to run.
#[derive(Clone, Debug)]
pub struct ValidatedJob {
    /// Name chosen by the user (`metadata.name`).
    pub name: String,
    /// Its part where jobs share something, at least 1.
    pub weight: u32,
    /// Most of its pages that are fetched at once, by all nodes together; `None` is no limit.
    pub parallelism: Option<u32>,
    /// Where the crawl starts, at depth 0, in the order of the file, without repetitions.
    pub seeds: Vec<Seed>,
    /// The labels that seeds and links may have; a page's label is its place here, counted from 1.
    pub labels: Vec<String>,
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
    /// When two pages count as one.
    pub dedup: Dedup,
    /// How pages are visited again; `None`: each is visited once.
    pub recrawl: Option<Recrawl>,
}

/// When two pages count as one although their URLs differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dedup {
    /// What is compared.
    pub content: ContentIdentity,
    /// Most bits in which the simhashes of two texts that count as one may differ.
    pub simhash_distance: Option<u32>,
}

impl Dedup {
    /// Whether pages are compared at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.content != ContentIdentity::Nothing || self.simhash_distance.is_some()
    }

    /// Whether the visible text of a page is needed for that.
    #[must_use]
    pub fn needs_text(&self) -> bool {
        self.content == ContentIdentity::Text || self.simhash_distance.is_some()
    }
}

/// What of two pages is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentIdentity {
    /// Nothing.
    #[default]
    Nothing,
    /// The bytes.
    Body,
    /// The visible text.
    Text,
}

/// What every request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestOptions {
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Further headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What goes to some origins only.
    pub credentials: Credentials,
    /// Whether hosts may give the job cookies.
    pub takes_cookies: bool,
    /// Through whom requests go.
    pub proxies: Proxies,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Most redirects followed for one page.
    pub max_redirects: u32,
    /// Whether a redirect may lead out of the scope.
    pub redirects_leave_scope: bool,
}

/// How long one request may take; a redirect is followed by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To look the name up, to connect and to agree on TLS; nothing on a connection that is open already.
    pub connect: Duration,
    /// From then to the end of the head of the answer.
    pub first_byte: Duration,
    /// All of it, to the last byte of the body; ends the others too.
    pub total: Duration,
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
    /// The job fails when more pages than these have failed for good; `None` is no limit.
    pub max_failed: Option<u64>,
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
    /// Answers with these statuses are worth another attempt.
    pub status_codes: BTreeSet<u16>,
    /// Pause before the first retry.
    pub backoff: Duration,
    /// Each pause is so many times as long as the one before, in thousandths.
    pub factor_milli: u32,
    /// Longest pause.
    pub max_backoff: Duration,
    /// A pause is longer or shorter by up to this part of it, in thousandths.
    pub jitter_milli: u32,
}

impl Retry {
    /// The pause after so many failed attempts, at least one; `dice` is in [0, 1).
    #[must_use]
    pub fn pause(&self, failed: u32, dice: f64) -> Duration {
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = (f64::from(self.factor_milli) / 1_000.0).powi(exponent);
        let pause = (self.backoff.as_secs_f64() * factor).min(self.max_backoff.as_secs_f64());
        let jitter = f64::from(self.jitter_milli) / 1_000.0;
        Duration::try_from_secs_f64(pause * (1.0 - jitter + 2.0 * jitter * dice)).unwrap_or(self.max_backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(factor_milli: u32, jitter_milli: u32) -> Retry {
        Retry {
            max_retries: 20,
            status_codes: BTreeSet::new(),
            backoff: Duration::from_secs(5),
            factor_milli,
            max_backoff: Duration::from_secs(600),
            jitter_milli,
        }
    }

    #[test]
    fn a_pause_grows_by_the_factor_up_to_the_longest() {
        for (factor_milli, failed, seconds) in [
            (2_000, 1, 5.0),
            (2_000, 2, 10.0),
            (2_000, 4, 40.0),
            (2_000, 20, 600.0),
            (1_000, 9, 5.0),
            (1_500, 3, 11.25),
        ] {
            assert_eq!(retry(factor_milli, 0).pause(failed, 0.9).as_secs_f64(), seconds, "{factor_milli} {failed}");
        }
    }

    #[test]
    fn jitter_makes_it_longer_or_shorter_by_its_part() {
        for (dice, seconds) in [(0.0, 9.0), (0.5, 10.0), (1.0, 11.0)] {
            let pause = retry(2_000, 100).pause(2, dice).as_secs_f64();
            assert!((pause - seconds).abs() < 1e-9, "{pause}");
        }
    }
}
