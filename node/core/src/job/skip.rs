//! Why a page was not taken: a closed list, so that each page not fetched can be explained to the user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a URL was not fetched, or what came of it was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SkipReason {
    /// Outside the scope, or ruled out by `include` or `exclude`.
    OutOfScope,
    /// More links away from a seed than `maxDepth`.
    Depth,
    /// Disallowed by the host's robots.txt.
    RobotsTxt,
    /// `limits.maxPages` was used up.
    PageLimit,
    /// `limits.maxDuration` was over.
    TimeLimit,
    /// The same page under another spelling or at the end of a redirect.
    DuplicateUrl,
    /// Another page had the same content.
    DuplicateContent,
    /// The body is larger than `limits.maxBodyBytes`.
    TooLarge,
    /// Not a kind of document that is read.
    MimeType,
    /// The host's address is not globally routable.
    PrivateAddress,
    /// The host failed so often that it is left alone.
    HostBroken,
    /// A redirect led out of the scope.
    RedirectToExcluded,
    /// The page took longer to parse than any honest page does.
    HostileHtml,
    /// The server answered with an error status.
    HttpError,
    /// No answer: name, connection, TLS, timeout.
    FetchError,
    /// The job was stopped before the page's turn.
    JobStopped,
    /// The host asks for a longer `Crawl-delay` than the job waits for.
    CrawlDelay,
    /// `limits.maxPagesPerHost` was used up.
    HostPageLimit,
    /// `limits.maxItems` was reached.
    ItemLimit,
    /// `limits.maxBytes` was reached.
    ByteLimit,
    /// The URL looks like one of endlessly many: too long, repeating, or one query too many of its path.
    Trap,
    /// The host's owner does not want it to be visited.
    OptedOut,
    /// The path of the URL ends in one of `scope.denyExtensions`.
    Extension,
    /// More pages of the job had failed than `backoffLimit` allows.
    BackoffLimitExceeded,
}

impl SkipReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 24] = [
        Self::OutOfScope,
        Self::Depth,
        Self::RobotsTxt,
        Self::PageLimit,
        Self::TimeLimit,
        Self::DuplicateUrl,
        Self::DuplicateContent,
        Self::TooLarge,
        Self::MimeType,
        Self::PrivateAddress,
        Self::HostBroken,
        Self::RedirectToExcluded,
        Self::HostileHtml,
        Self::HttpError,
        Self::FetchError,
        Self::JobStopped,
        Self::CrawlDelay,
        Self::HostPageLimit,
        Self::ItemLimit,
        Self::ByteLimit,
        Self::Trap,
        Self::OptedOut,
        Self::Extension,
        Self::BackoffLimitExceeded,
    ];

    /// The word that users, the wire and the disk know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfScope => "outOfScope",
            Self::Depth => "depth",
            Self::RobotsTxt => "robotsTxt",
            Self::PageLimit => "pageLimit",
            Self::TimeLimit => "timeLimit",
            Self::DuplicateUrl => "duplicateUrl",
            Self::DuplicateContent => "duplicateContent",
            Self::TooLarge => "tooLarge",
            Self::MimeType => "mimeType",
            Self::PrivateAddress => "privateAddress",
            Self::HostBroken => "hostBroken",
            Self::RedirectToExcluded => "redirectToExcluded",
            Self::HostileHtml => "hostileHtml",
            Self::HttpError => "httpError",
            Self::FetchError => "fetchError",
            Self::JobStopped => "jobStopped",
            Self::CrawlDelay => "crawlDelay",
            Self::HostPageLimit => "hostPageLimit",
            Self::ItemLimit => "itemLimit",
            Self::ByteLimit => "byteLimit",
            Self::Trap => "trap",
            Self::OptedOut => "optedOut",
            Self::Extension => "extension",
            Self::BackoffLimitExceeded => "backoffLimitExceeded",
        }
    }
}

/// A word that is not in the list of [`SkipReason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason for skipping a page")]
pub struct UnknownSkipReason(String);

impl FromStr for SkipReason {
    type Err = UnknownSkipReason;

    fn from_str(word: &str) -> Result<Self, UnknownSkipReason> {
        let known = Self::ALL.into_iter().find(|reason| reason.as_str() == word);
        known.ok_or_else(|| UnknownSkipReason(word.chars().take(64).collect()))
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_json_and_enum_agree_for_every_reason() {
        for reason in SkipReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            let json = serde_json::to_string(&reason).expect("an enum is JSON");
            assert_eq!(json, format!("\"{reason}\""));
        }
        let distinct: std::collections::BTreeSet<_> = SkipReason::ALL.into_iter().collect();
        assert_eq!(distinct.len(), SkipReason::ALL.len());
        assert!("nonsense".parse::<SkipReason>().is_err());
    }
}
