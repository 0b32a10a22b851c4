//! Why a request is not let in. Each sentence may be shown to whoever sent it: it never holds the token or a key.

use super::scope::Scope;

/// Why a request is not let in. The caller is at fault; nothing was read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no token at all.
    #[error(
        "this needs a token: send the header \"Authorization: Bearer TOKEN\", with a token made by \"scrapering token create\""
    )]
    Missing,
    /// The header is something else than one bearer token.
    #[error("the Authorization header must be \"Bearer TOKEN\", once")]
    Header,
    /// Longer than any token of ours.
    #[error("the token is longer than {limit_bytes} bytes")]
    TooLong {
        /// The bound.
        limit_bytes: usize,
    },
    /// Not a token at all, or one with claims of another shape.
    #[error("the token is malformed: {what}")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// Signed in a way that is not accepted.
    #[error("the token is not signed with an algorithm that its issuer has a key for (EdDSA, ES256 or RS256)")]
    Algorithm,
    /// The signature does not fit.
    #[error("the token was not signed with a key of its issuer; make one with the ring's own: scrapering token create")]
    Signature,
    /// A claim that must be there is not.
    #[error("the token has no \"{claim}\" claim")]
    MissingClaim {
        /// Its name.
        claim: String,
    },
    /// Its time is over.
    #[error(
        "the token expired at {since}; get a new one where it came from (of the ring itself: scrapering token create)"
    )]
    Expired {
        /// RFC 3339.
        since: String,
    },
    /// Its time has not come.
    #[error("the token is not valid before {until}; is the clock of this machine or of its issuer wrong?")]
    NotYetValid {
        /// RFC 3339.
        until: String,
    },
    /// Made for something else.
    #[error("the token is not meant for a ScrapeRing gateway (its \"aud\" claim)")]
    Audience,
    /// Made by somebody else.
    #[error("the token is of an issuer that this ring does not trust, or of another ring (its \"iss\" claim)")]
    Issuer,
    /// Taken back.
    #[error("the token was revoked; get a new one where it came from (of the ring itself: scrapering token create)")]
    Revoked,
    /// Good, but not for this.
    #[error("the token does not carry the scope {needed}")]
    Scope {
        /// What the route needs.
        needed: Scope,
    },
}

impl AuthError {
    /// Whether the caller is known and merely not allowed (RFC 9110: 403 rather than 401).
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Scope { .. })
    }

    /// The error code of RFC 6750 section 3.1; none when there was no token.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::Header => Some("invalid_request"),
            Self::Scope { .. } => Some("insufficient_scope"),
            _ => Some("invalid_token"),
        }
    }
}
