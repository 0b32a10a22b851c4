//! Names that the operator has fixed to addresses, as in a hosts file: for tests and for networks without a name server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use super::resolver::{Lookup, LookupFuture};

/// A name, or all names below one (`*.NAME`), and their addresses. The guard judges them like any others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedName {
    pattern: String,
    addresses: Vec<IpAddr>,
}

/// A text that is not `NAME=ADDRESS[,ADDRESS…]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not NAME=ADDRESS[,ADDRESS…], such as shop.test=127.0.0.1 or *.shop.test=127.0.0.1,::1")]
pub struct FixedNameError(String);

impl FromStr for FixedName {
    type Err = FixedNameError;

    fn from_str(text: &str) -> Result<Self, FixedNameError> {
        let refused = || FixedNameError(text.chars().take(80).collect());
        let (pattern, addresses) = text.split_once('=').ok_or_else(refused)?;
        let name = pattern.strip_prefix("*.").unwrap_or(pattern);
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        let addresses = addresses.split(',').map(|address| address.parse().ok()).collect::<Option<_>>();
        let addresses = addresses.filter(|_| is_name).ok_or_else(refused)?;
        Ok(Self { pattern: pattern.to_ascii_lowercase(), addresses })
    }
}

impl fmt::Display for FixedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        write!(f, "{}={}", self.pattern, addresses.join(","))
    }
}

impl FixedName {
    fn covers(&self, host: &str) -> bool {
        match self.pattern.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => self.pattern == host,
        }
    }
}

/// Answers fixed names itself and asks `otherwise` for the rest.
pub(super) struct FixedLookup {
    pub(super) names: Vec<FixedName>,
    pub(super) otherwise: Arc<dyn Lookup>,
}

impl Lookup for FixedLookup {
    fn lookup(&self, host: &str) -> LookupFuture {
        match self.names.iter().find(|name| name.covers(host)) {
            Some(name) => {
                let addresses = name.addresses.clone();
                Box::pin(async move { Ok(addresses) })
            }
            None => self.otherwise.lookup(host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_all_names_below_one_are_fixed() {
        let one: FixedName = "shop.test=127.0.0.1".parse().expect("a rule");
        let below: FixedName = "*.Web.test=::1".parse().expect("a rule");
        assert!(one.covers("shop.test") && !one.covers("a.shop.test"));
        assert!(below.covers("h1.ip0.web.test") && !below.covers("web.test") && !below.covers("xweb.test"));
        let both: FixedName = "a=127.0.0.1,::1".parse().expect("a rule");
        assert_eq!((both.addresses.len(), both.to_string()), (2, "a=127.0.0.1,::1".to_owned()));
        for bad in ["shop.test", "a=127.0.0.1,", "=127.0.0.1", "*.=127.0.0.1", "a=b", "a b=127.0.0.1", "a=127.0.0.1:80"]
        {
            assert!(bad.parse::<FixedName>().is_err(), "{bad}");
        }
    }
}
