//! One spelling for every URL: the key by which a page is known, owned and never fetched twice.
//!
//! The `url` crate does the WHATWG part (case, IDNA, default ports, dot segments); the rest is RFC 3986
//! section 6.2.2: upper-case percent-encoding, unreserved characters decoded.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Position, Url};

/// Longest canonical URL, bytes.
pub const URL_LENGTH_MAX: usize = 2_083;

/// Longest text looked at, bytes: a canonical URL is seldom shorter than an eighth of what was written.
const INPUT_LENGTH_MAX: usize = 8 * URL_LENGTH_MAX;

/// An absolute http or https URL in its only spelling, without user, password and fragment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NormalizedUrl(Url);

/// Why a text is no [`NormalizedUrl`]. Whoever wrote the URL is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL at all.
    #[error("is not an absolute URL")]
    Parse(#[from] url::ParseError),
    /// `mailto:`, `javascript:`, `ftp:` and the like.
    #[error("has the scheme `{0}`; only http and https are fetched")]
    Scheme(String),
    /// `https://user:password@host/`.
    #[error("carries a user name or password; send credentials as a header")]
    UserInfo,
    /// Port 0 cannot be connected to.
    #[error("has port 0, which cannot be connected to")]
    Port,
    /// Longer than [`URL_LENGTH_MAX`].
    #[error("is longer than {URL_LENGTH_MAX} bytes")]
    TooLong,
}

impl NormalizedUrl {
    /// Brings an absolute URL into its canonical spelling.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > INPUT_LENGTH_MAX {
            return Err(UrlError::TooLong);
        }
        Self::from_url(Url::parse(text)?)
    }

    /// Resolves a reference found on this page (RFC 3986 section 5), such as `../next?page=2`.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        if reference.len() > INPUT_LENGTH_MAX {
            return Err(UrlError::TooLong);
        }
        Self::from_url(resolve(&self.0, reference)?)
    }

    /// Canonical spelling of a URL that is parsed already.
    ///
    /// # Errors
    /// See [`UrlError`]; never [`UrlError::Parse`] for a URL with a host.
    pub fn from_url(mut url: Url) -> Result<Self, UrlError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme(url.scheme().chars().take(32).collect()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        if url.port() == Some(0) {
            return Err(UrlError::Port);
        }
        url.set_fragment(None);
        if let Some(rooted) = url.host_str().filter(|host| host.ends_with('.')).map(str::to_owned) {
            url.set_host(Some(rooted.trim_end_matches('.')))?;
        }
        if let Cow::Owned(path) = normalize_path(url.path()) {
            url.set_path(&path);
        }
        match url.query() {
            Some("") => url.set_query(None),
            Some(query) => {
                if let Cow::Owned(query) = normalize_percent(query) {
                    url.set_query(Some(&query));
                }
            }
            None => {}
        }
        if url.as_str().len() > URL_LENGTH_MAX {
            return Err(UrlError::TooLong);
        }
        Ok(Self(url))
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL, for clients that take one.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// The host: ASCII, lower case, IPv6 in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().expect("a URL with scheme http or https has a host")
    }

    /// The port, the scheme's own when none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().expect("http and https have a default port")
    }

    /// `scheme://host:port`, the port always written: what robots.txt, politeness and placement go by.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme(), self.host(), self.port())
    }

    /// The host, followed by the port unless it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterPort]
    }

    /// The path; begins with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The path and, if there is one, `?` and the query: what robots.txt rules are held against.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.0[Position::BeforePath..Position::AfterQuery]
    }

    /// Whether the host is an address instead of a name.
    #[must_use]
    pub fn host_is_address(&self) -> bool {
        !matches!(self.0.host(), Some(url::Host::Domain(_)))
    }
}

/// What a reference means on a page at `base`, as browsers read it: to three and more slashes they say "two", which the `url` crate does not.
///
/// # Errors
/// See [`url::ParseError`].
pub fn resolve(base: &Url, reference: &str) -> Result<Url, url::ParseError> {
    let written = reference.trim_start_matches(|letter: char| letter <= ' ');
    let slashes = written.bytes().take_while(|byte| matches!(byte, b'/' | b'\\')).count();
    if slashes > 2 && matches!(base.scheme(), "http" | "https") {
        return base.join(&format!("//{}", &written[slashes..]));
    }
    base.join(reference)
}

/// [`normalize_percent`], and `^` as the URL Standard writes it; the `url` crate leaves it alone.
fn normalize_path(path: &str) -> Cow<'_, str> {
    let normal = normalize_percent(path);
    if normal.contains('^') { Cow::Owned(normal.replace('^', "%5E")) } else { normal }
}

/// Decodes `%XX` of unreserved characters and writes the others' digits in upper case.
fn normalize_percent(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let Some(byte) = percent_byte(&bytes[at..]) else {
            at += 1;
            continue;
        };
        let before = if copied == at { out.as_bytes() } else { &bytes[copied..at] };
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let unreserved = unreserved && !(byte.is_ascii_hexdigit() && lacks_a_digit(before));
        if unreserved || bytes[at + 1].is_ascii_lowercase() || bytes[at + 2].is_ascii_lowercase() {
            out.push_str(&text[copied..at]);
            if unreserved {
                out.push(char::from(byte));
            } else {
                out.push_str(&text[at..at + 3].to_ascii_uppercase());
            }
            copied = at + 3;
        }
        at += 3;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Whether a hexadecimal digit behind `text` would complete, or begin to complete, a `%` that stands for itself.
fn lacks_a_digit(text: &[u8]) -> bool {
    matches!(text, [.., b'%'] | [.., b'%', b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F'])
}

/// The byte that a leading `%XX` stands for.
pub(crate) fn percent_byte(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

impl FromStr for NormalizedUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl AsRef<str> for NormalizedUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for NormalizedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NormalizedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NormalizedUrl({})", self.as_str())
    }
}

impl Serialize for NormalizedUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for NormalizedUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
