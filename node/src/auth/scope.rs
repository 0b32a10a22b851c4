//! Scopes: the rights a token carries, as the space-separated words of `scope` (RFC 8693 section 4.2, RFC 6749 section 3.3).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See jobs and how far they are.
    JobsRead,
    /// Submit, pause, resume and delete jobs.
    JobsWrite,
    /// Read what jobs found.
    ResultsRead,
    /// Read keys.
    KvRead,
    /// Write keys.
    KvWrite,
    /// Change how hosts are treated.
    HostsWrite,
    /// Read the numbers of a node.
    MetricsRead,
    /// See and steer the ring itself.
    RingAdmin,
}

/// A word that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\" is not a scope; the scopes are {}", Scopes::all())]
pub struct ScopeError {
    /// What was written, cut at 64 characters.
    pub word: String,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Self; 8] = [
        Self::JobsRead,
        Self::JobsWrite,
        Self::ResultsRead,
        Self::KvRead,
        Self::KvWrite,
        Self::HostsWrite,
        Self::MetricsRead,
        Self::RingAdmin,
    ];

    /// The word in a token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobsRead => "jobs:read",
            Self::JobsWrite => "jobs:write",
            Self::ResultsRead => "results:read",
            Self::KvRead => "kv:read",
            Self::KvWrite => "kv:write",
            Self::HostsWrite => "hosts:write",
            Self::MetricsRead => "metrics:read",
            Self::RingAdmin => "ring:admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(word: &str) -> Result<Self, ScopeError> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == word);
        known.ok_or_else(|| ScopeError { word: word.chars().take(64).collect() })
    }
}

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Every scope there is.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether `scope` is among them.
    #[must_use]
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The scopes, in their own order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }

    /// Reads a token's `scope`. Words of other services are left out, as a token may be meant for several.
    #[must_use]
    pub(super) fn of_claim(claim: &str) -> Self {
        claim.split(' ').filter_map(|word| word.parse().ok()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{scope}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_back_from_its_word() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert_eq!(Scopes::of_claim(&Scopes::all().to_string()), Scopes::all());
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        let error = "jobs:*".parse::<Scope>().expect_err("no wildcard").to_string();
        assert!(error.contains("\"jobs:*\"") && error.contains("jobs:read jobs:write"), "{error}");
    }

    #[test]
    fn scopes_of_other_services_grant_nothing_here() {
        let scopes = Scopes::of_claim("openid jobs:read  JOBS:WRITE jobs:write2");
        assert_eq!(scopes.to_string(), "jobs:read");
    }
}
