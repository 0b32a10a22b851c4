//! robots.txt: what a host asks of crawlers, by RFC 9309.
//!
//! Only what concerns one product token is kept, so that the verdict can be stored with the host. Where the RFC
//! leaves room, the reading that asks less of the host is taken: common misspellings of `Disallow` count, a path
//! without its leading `/` counts as if it had one, and of several crawl delays the longest holds.

mod parse;
mod pattern;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use pattern::Pattern;

/// Most bytes of a robots.txt that are read (RFC 9309 section 2.5 asks for at least this much).
pub const BODY_BYTES_MAX: usize = 500 * 1024;

/// The rules of one host for one product token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Robots {
    rules: Vec<Rule>,
    crawl_delay_ms: Option<u64>,
    sitemaps: Vec<String>,
}

/// Whether paths that match the pattern are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rule(bool, Pattern);

impl Robots {
    /// Reads a robots.txt for the crawler that calls itself `product_token` (letters, `-`, `_`; any case).
    ///
    /// Any bytes are accepted; what is not understood is passed over. Only whole lines within the first
    /// [`BODY_BYTES_MAX`] are read.
    #[must_use]
    pub fn parse(body: &[u8], product_token: &str) -> Self {
        parse::robots(body, product_token)
    }

    /// Nothing is forbidden: the answer was 4xx (RFC 9309 section 2.3.1.3).
    #[must_use]
    pub fn allow_all() -> Self {
        Self::default()
    }

    /// Everything is forbidden: no answer, or 5xx (RFC 9309 section 2.3.1.4).
    #[must_use]
    pub fn disallow_all() -> Self {
        Self { rules: vec![Rule(false, Pattern::new(b"/"))], ..Self::default() }
    }

    /// Whether a path with its query (`/a/b?c`) may be fetched: the longest match decides, `Allow` wins a tie.
    #[must_use]
    pub fn allows(&self, path_and_query: &str) -> bool {
        if path_and_query == "/robots.txt" || self.rules.is_empty() {
            return true;
        }
        let path = pattern::normalize_path(path_and_query);
        let mut longest = 0;
        let mut allowed = true;
        for Rule(allow, pattern) in &self.rules {
            let decides = pattern.len() > longest || (pattern.len() == longest && *allow);
            if decides && pattern.matches(&path) {
                longest = pattern.len();
                allowed = *allow;
            }
        }
        allowed
    }

    /// The pause between two requests that the host asks for; not part of the RFC, but widely used.
    #[must_use]
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay_ms.map(Duration::from_millis)
    }

    /// URLs of sitemaps as written, for every crawler alike.
    #[must_use]
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }
}

#[cfg(test)]
mod tests;
