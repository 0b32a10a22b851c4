//! Tenants: whose jobs a token may touch; on Kubernetes the namespace.

use std::fmt;
use std::str::FromStr;

/// Longest name, characters: a DNS label (RFC 1123).
const LONGEST: usize = 63;

/// A tenant's name: lower-case letters, digits and `-`, as a Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(String);

/// A text that names no tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant is named by up to {LONGEST} lower-case letters, digits and \"-\", with no \"-\" at either end")]
pub struct TenantError;

impl Tenant {
    /// The name space of this tenant's files: a name that no token can have.
    #[must_use]
    pub fn files(&self) -> Self {
        Self(scrapering_core::file::name_space(&self.0))
    }

    /// The ring itself: a name that no token and no namespace can have.
    #[must_use]
    pub fn ring() -> Self {
        Self("_ring".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    /// The tenant of a ring that is not shared.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for Tenant {
    type Err = TenantError;

    fn from_str(text: &str) -> Result<Self, TenantError> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let edge = text.starts_with('-') || text.ends_with('-');
        if text.is_empty() || text.len() > LONGEST || edge || !text.bytes().all(good) {
            return Err(TenantError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_dns_label() {
        let longest = "a".repeat(LONGEST);
        for good in ["default", "team-a", "7", longest.as_str()] {
            assert_eq!(good.parse::<Tenant>().map(|tenant| tenant.to_string()), Ok(good.to_owned()));
        }
        let too_long = "a".repeat(LONGEST + 1);
        for bad in ["", "-a", "a-", "Team", "a.b", "a/b", "a b", "é", too_long.as_str()] {
            assert_eq!(bad.parse::<Tenant>(), Err(TenantError), "{bad}");
        }
    }
}
