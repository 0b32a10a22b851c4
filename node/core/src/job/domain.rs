//! Names of hosts that stand for themselves and for everything below them.
//!
//! A part of a job's scope, which may be fenced in by them.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::canonical::NormalizedUrl;

/// A host as URLs have it: ASCII, lower case, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain(String);

/// A text that is no [`Domain`]; whoever wrote it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// More than a host, or nothing like one.
    #[error("is no host; write a name such as example.com, or an address, without scheme, port and path")]
    NoHost,
    /// A pattern.
    #[error("is a pattern; write example.com, which stands for every host below it too")]
    Pattern,
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text.contains('*') {
            return Err(DomainError::Pattern);
        }
        // The parser of URLs gives names the spelling in which they are compared; nothing but a host may stand before it.
        let is_address = text.starts_with('[') && text.ends_with(']');
        let is_more =
            |letter: char| letter.is_whitespace() || "/?#@\\%".contains(letter) || (letter == ':' && !is_address);
        if text.contains(is_more) {
            return Err(DomainError::NoHost);
        }
        let url = NormalizedUrl::parse(&format!("http://{text}/")).map_err(|_| DomainError::NoHost)?;
        Ok(Self(url.host().to_owned()))
    }
}

/// A set of domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains(BTreeSet<String>);

impl Domains {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the URL's host is one of them, or below one.
    #[must_use]
    pub fn hold(&self, url: &NormalizedUrl) -> bool {
        let host = url.host();
        if url.host_is_address() {
            return self.0.contains(host);
        }
        let above = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
        std::iter::once(host).chain(above).any(|name| self.0.contains(name))
    }
}

impl FromIterator<Domain> for Domains {
    fn from_iter<I: IntoIterator<Item = Domain>>(domains: I) -> Self {
        Self(domains.into_iter().map(|domain| domain.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_holds_itself_and_what_is_below_it_in_one_spelling() {
        let names = ["Example.COM", "bücher.example", "127.0.0.1", "[2001:DB8::1]", "rooted.example."];
        let domains: Domains = names.iter().map(|text| text.parse::<Domain>().expect(text)).collect();
        for (url, held) in [
            ("http://example.com/", true),
            ("https://a.b.example.com:8443/", true),
            ("https://xn--bcher-kva.example/", true),
            ("https://www.bücher.example/", true),
            ("http://127.0.0.1:8080/", true),
            ("http://[2001:db8:0::1]/", true),
            ("http://www.rooted.example/", true),
            ("http://notexample.com/", false),
            ("http://example.com.evil.test/", false),
            ("http://com/", false),
            ("http://127.0.0.2/", false),
        ] {
            assert_eq!(domains.hold(&NormalizedUrl::parse(url).expect(url)), held, "{url}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_a_host_is_refused() {
        for text in [
            "",
            " ",
            "a.test:80",
            "http://a.test",
            "a.test/",
            "a@b.test",
            "a%2eb",
            "a b",
            "[::1]:80",
            "[x]",
            "300.1.1.1",
        ] {
            assert_eq!(text.parse::<Domain>(), Err(DomainError::NoHost), "{text}");
        }
        assert_eq!("*.a.test".parse::<Domain>(), Err(DomainError::Pattern));
    }
}
