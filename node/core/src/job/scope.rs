//! Which URLs belong to a job.
//!
//! Seeds always do. Everything else must be where the seeds are, match `include` if there is any, match no
//! `exclude`, pass the filters, and be no deeper than `max_depth`. Pages outside may be followed for a few hops.

use std::collections::BTreeSet;

use regex::{RegexBuilder, RegexSet, RegexSetBuilder};

use super::canonical::NormalizedUrl;
use super::domain::Domains;
use super::extension::Extensions;
use super::extract::DocumentKind;
use super::media::MediaTypes;
use super::skip::SkipReason;

/// Most patterns in one list.
pub const PATTERNS_MAX: usize = 100;
/// Longest pattern, bytes.
pub const PATTERN_BYTES_MAX: usize = 4_096;
/// Largest program one pattern may compile to, bytes.
const PATTERN_PROGRAM_BYTES_MAX: usize = 1 << 20;
/// Largest program a whole list may compile to, bytes.
const LIST_PROGRAM_BYTES_MAX: usize = 8 << 20;

/// How far a job may wander from its seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeType {
    /// The host of a seed, at the same port; http and https on their own ports count as one.
    Host,
    /// Like `Host`, and the path begins with a seed's path up to its last `/`.
    Prefix,
    /// The registrable domain of a seed (public suffix list), any subdomain, any port.
    Domain,
    /// The seeds alone.
    Page,
    /// Every URL.
    Any,
    /// What `include` matches.
    Custom,
}

/// The checked scope of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    scope_type: ScopeType,
    roots: BTreeSet<String>,
    /// Most links between a seed and a page; seeds have depth 0.
    pub max_depth: u32,
    /// Most links in a row that lead outside.
    pub extra_hops: u32,
    /// With any pattern, a URL must match one of them.
    pub include: Patterns,
    /// A URL that matches one of them is out.
    pub exclude: Patterns,
    /// What else is left out.
    pub filters: Filters,
}

/// What is left out of a scope, however near it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// With any domain, every host outside of them, also for extra hops.
    pub allowed_domains: Domains,
    /// Links that end so.
    pub deny_extensions: Extensions,
    /// With any type, pages of all others; whoever fetches them looks at that.
    pub media_types: MediaTypes,
}

/// Compiled regular expressions, any of which may match anywhere in the URL.
#[derive(Clone, Debug, Default)]
pub struct Patterns(RegexSet);

/// Why a list of patterns was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// More than [`PATTERNS_MAX`].
    #[error("has {0} patterns; at most {PATTERNS_MAX} are allowed")]
    TooMany(usize),
    /// Longer than [`PATTERN_BYTES_MAX`].
    #[error("is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong {
        /// Which pattern, counted from 0.
        index: usize,
    },
    /// Not a regular expression of the linear-time kind.
    #[error("is not a regular expression (look-around and back references do not exist): {message}")]
    Syntax {
        /// Which pattern, counted from 0.
        index: usize,
        /// What the compiler says.
        message: String,
    },
    /// One pattern compiles to a program that is too large.
    #[error("compiles to more than {PATTERN_PROGRAM_BYTES_MAX} bytes; use smaller repetitions")]
    TooComplex {
        /// Which pattern, counted from 0.
        index: usize,
    },
    /// The patterns together compile to a program that is too large.
    #[error("compiles to more than {LIST_PROGRAM_BYTES_MAX} bytes in all; use fewer or simpler patterns")]
    ListTooComplex,
}

impl Patterns {
    /// Compiles a list.
    ///
    /// # Errors
    /// The first pattern that is refused; see [`PatternError`].
    pub fn compile<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        if patterns.len() > PATTERNS_MAX {
            return Err(PatternError::TooMany(patterns.len()));
        }
        for (index, pattern) in patterns.iter().enumerate() {
            check_pattern(index, pattern.as_ref())?;
        }
        RegexSetBuilder::new(patterns)
            .size_limit(LIST_PROGRAM_BYTES_MAX)
            .build()
            .map(Self)
            .map_err(|_| PatternError::ListTooComplex)
    }

    /// Whether any pattern matches somewhere in `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns as they were written.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        self.0.patterns()
    }
}

fn check_pattern(index: usize, pattern: &str) -> Result<(), PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong { index });
    }
    match RegexBuilder::new(pattern).size_limit(PATTERN_PROGRAM_BYTES_MAX).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(PatternError::TooComplex { index }),
        Err(error) => Err(PatternError::Syntax { index, message: last_line(&error.to_string()) }),
    }
}

/// The compiler draws a picture of several lines; the sentence stands in the last.
fn last_line(message: &str) -> String {
    let sentence = message.lines().next_back().unwrap_or(message);
    sentence.strip_prefix("error: ").unwrap_or(sentence).to_owned()
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Scope {
    /// The scope around `seeds`.
    #[must_use]
    pub fn new(
        scope_type: ScopeType,
        seeds: &[NormalizedUrl],
        max_depth: u32,
        include: Patterns,
        exclude: Patterns,
    ) -> Self {
        let roots = seeds.iter().map(|seed| root(scope_type, seed)).collect();
        Self { scope_type, roots, max_depth, extra_hops: 0, include, exclude, filters: Filters::default() }
    }

    /// With pages outside the scope, up to so many links behind its last.
    #[must_use]
    pub fn with_extra_hops(self, extra_hops: u32) -> Self {
        Self { extra_hops, ..self }
    }

    /// Without what `filters` leave out.
    #[must_use]
    pub fn with_filters(self, filters: Filters) -> Self {
        Self { filters, ..self }
    }

    /// How far the job may wander.
    #[must_use]
    pub fn scope_type(&self) -> ScopeType {
        self.scope_type
    }

    /// Whether a URL found `depth` links away from a seed belongs to the job, on a page that is `hops` links outside the
    /// scope itself; returns how many the URL is.
    ///
    /// # Errors
    /// [`SkipReason::OutOfScope`], [`SkipReason::Extension`] or [`SkipReason::Depth`].
    pub fn verdict(&self, url: &NormalizedUrl, depth: u32, hops: u32) -> Result<u32, SkipReason> {
        if depth == 0 {
            return Ok(0);
        }
        let hops = self.hops(url, self.is_near(url), hops)?;
        self.check_extension(url)?;
        if depth > self.max_depth {
            return Err(SkipReason::Depth);
        }
        Ok(hops)
    }

    /// As [`Scope::verdict`] for a URL that is no link further away: where a page redirects, where it says that it belongs,
    /// what a sitemap names. With [`ScopeType::Page`] it may be anywhere on the host of a seed. Only pages are left out for
    /// their extension: sitemaps are often packed.
    ///
    /// # Errors
    /// [`SkipReason::OutOfScope`] or [`SkipReason::Extension`].
    pub fn verdict_beside(&self, url: &NormalizedUrl, kind: DocumentKind, hops: u32) -> Result<u32, SkipReason> {
        let is_of_seed = self.scope_type == ScopeType::Page && self.roots.contains(url.authority());
        let hops = self.hops(url, is_of_seed || self.is_near(url), hops)?;
        if kind == DocumentKind::Page {
            self.check_extension(url)?;
        }
        Ok(hops)
    }

    /// Whether nothing leaves the URL out for good: it may only be too far away.
    #[must_use]
    pub fn admits(&self, url: &NormalizedUrl, kind: DocumentKind) -> bool {
        let is_denied = kind == DocumentKind::Page && self.filters.deny_extensions.end(url);
        !is_denied && !self.is_fenced_out(url) && !self.excludes(url)
    }

    fn is_fenced_out(&self, url: &NormalizedUrl) -> bool {
        let allowed = &self.filters.allowed_domains;
        !allowed.is_empty() && !allowed.hold(url)
    }

    fn check_extension(&self, url: &NormalizedUrl) -> Result<(), SkipReason> {
        if self.filters.deny_extensions.end(url) { Err(SkipReason::Extension) } else { Ok(()) }
    }

    fn hops(&self, url: &NormalizedUrl, is_near: bool, hops: u32) -> Result<u32, SkipReason> {
        let included = self.include.is_empty() || self.include.is_match(url.as_str());
        let hops = if is_near && included { 0 } else { hops + 1 };
        let is_out = self.is_fenced_out(url) || self.excludes(url) || hops > self.extra_hops;
        if is_out { Err(SkipReason::OutOfScope) } else { Ok(hops) }
    }

    /// Whether `exclude` leaves the URL out.
    #[must_use]
    pub fn excludes(&self, url: &NormalizedUrl) -> bool {
        self.exclude.is_match(url.as_str())
    }

    fn is_near(&self, url: &NormalizedUrl) -> bool {
        match self.scope_type {
            ScopeType::Page => false,
            ScopeType::Any | ScopeType::Custom => true,
            ScopeType::Host => self.roots.contains(url.authority()),
            ScopeType::Domain => self.roots.contains(domain(url)),
            ScopeType::Prefix => {
                let key = format!("{}{}", url.authority(), url.path());
                key.match_indices('/').any(|(at, _)| self.roots.contains(&key[..=at]))
            }
        }
    }
}

fn root(scope_type: ScopeType, seed: &NormalizedUrl) -> String {
    match scope_type {
        ScopeType::Host | ScopeType::Page | ScopeType::Any | ScopeType::Custom => seed.authority().to_owned(),
        ScopeType::Domain => domain(seed).to_owned(),
        ScopeType::Prefix => {
            let folder_end = seed.path().rfind('/').map_or(0, |at| at + 1);
            format!("{}{}", seed.authority(), &seed.path()[..folder_end])
        }
    }
}

/// The registrable domain; an address or a public suffix stands for itself.
fn domain(url: &NormalizedUrl) -> &str {
    if url.host_is_address() {
        return url.host();
    }
    psl::domain_str(url.host()).unwrap_or(url.host())
}

#[cfg(test)]
mod tests;
