//! What a job sends to some origins only: who it is there, and what nobody else may read.

use super::NormalizedUrl;
use std::collections::BTreeSet;
use std::fmt;

/// A text that is not shown: neither its `Debug` nor anything else prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, to be sent where it belongs.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Who the job says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// User and password (RFC 7617).
    Basic {
        /// The user, without colons.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token (RFC 6750).
    Bearer(Secret),
}

/// What goes to the origins in `origins` and to no other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `scheme://host:port`.
    pub origins: BTreeSet<String>,
    /// Who the job says it is.
    pub auth: Option<Auth>,
    /// Headers, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Cookies that the job begins with.
    pub cookies: Vec<(String, Secret)>,
}

impl Credentials {
    /// Whether they are for `url`.
    #[must_use]
    pub fn are_for(&self, url: &NormalizedUrl) -> bool {
        self.origins.contains(&url.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_printed_by_nobody_and_go_to_their_origins_only() {
        let credentials = Credentials {
            origins: ["https://a.example:443".to_owned()].into(),
            auth: Some(Auth::Basic { username: "u".to_owned(), password: Secret::new("hush".to_owned()) }),
            headers: vec![("x-key".to_owned(), Secret::new("hush".to_owned()))],
            cookies: vec![("sid".to_owned(), Secret::new("hush".to_owned()))],
        };
        assert!(!format!("{credentials:?}").contains("hush"));
        for (url, expected) in [
            ("https://a.example/x", true),
            ("http://a.example/x", false),
            ("https://a.example:8443/", false),
            ("https://b.a.example/", false),
        ] {
            let url = NormalizedUrl::parse(url).expect("a URL");
            assert_eq!(credentials.are_for(&url), expected, "{}", url.as_str());
        }
    }
}
