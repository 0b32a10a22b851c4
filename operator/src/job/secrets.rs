//! What a job needs of Secrets: read when it is handed in, marked so that the ring shows it to nobody.
//!
//! Only a Secret of the type that belongs to its use is read. Whoever may create jobs but not read Secrets could
//! otherwise have any Secret of the namespace sent to a server of their own.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use scrapering_crds::job::{AuthSpec, BasicSpec, BearerSpec, CookieSpec, HeaderSpec};
use thiserror::Error;

/// What a Secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its entries are headers.
    Headers,
    /// It says who the job is.
    Auth,
    /// Its entries are cookies.
    Cookies,
    /// Its values are proxies.
    Proxies,
    /// It opens the store of the output at this place.
    Output(usize),
}

impl Kind {
    /// `type` of such a Secret.
    pub const fn secret_type(self) -> &'static str {
        match self {
            Self::Headers => "scrapering.io/headers",
            Self::Auth => "scrapering.io/credentials",
            Self::Cookies => "scrapering.io/cookies",
            Self::Proxies => "scrapering.io/proxies",
            Self::Output(_) => "scrapering.io/output",
        }
    }
}

/// The field that refers to it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers => f.write_str("spec.request.headersSecretRef"),
            Self::Auth => f.write_str("spec.request.auth.secretRef"),
            Self::Cookies => f.write_str("spec.request.cookies.secretRef"),
            Self::Proxies => f.write_str("spec.request.proxy.secretRef"),
            Self::Output(place) => write!(f, "spec.outputs[{place}]"),
        }
    }
}

/// What was found in the Secrets of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Secrets {
    /// Further headers.
    pub headers: Vec<HeaderSpec>,
    /// Who the job is.
    pub auth: Option<AuthSpec>,
    /// Further cookies to begin with.
    pub cookies: Vec<CookieSpec>,
    /// Further proxies.
    pub proxies: Vec<String>,
}

/// Why there is nothing. Who wrote the Secret or the reference is at fault.
#[derive(Debug, Error)]
pub enum Error {
    /// No such Secret.
    #[error("{kind}: there is no Secret {name}; the job is handed to the ring once it is there")]
    Missing {
        /// What it is for.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A Secret for something else.
    #[error("{kind}: Secret {name} is not of type {}, so it is not read; make one that is", kind.secret_type())]
    Type {
        /// What it is for.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// Not a text.
    #[error("{kind}: Secret {name}: the value of {key} is not UTF-8 text")]
    Value {
        /// What it is for.
        kind: Kind,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// Neither user and password nor a token.
    #[error("spec.request.auth.secretRef: Secret {0} must have the keys username and password, or the key token")]
    Keys(String),
    /// Without an entry that its use needs.
    #[error("{kind}: Secret {name} must have the key {key}")]
    Key {
        /// What it is for.
        kind: Kind,
        /// Its name.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// The API server, or what it lets the operator do, is at fault.
    #[error("{kind}: the Secret cannot be read")]
    Api {
        /// What it is for.
        kind: Kind,
        /// What was answered.
        source: kube::Error,
    },
}

impl Error {
    /// The same in one CamelCase word.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "SecretNotFound",
            Self::Type { .. } | Self::Value { .. } | Self::Keys(_) | Self::Key { .. } => "SecretInvalid",
            Self::Api { .. } => "SecretUnreadable",
        }
    }
}

/// The entries of the Secret called `name`, without the line end of a file.
///
/// # Errors
/// [`Error`].
pub fn entries(kind: Kind, name: &str, secret: Option<Secret>) -> Result<BTreeMap<String, String>, Error> {
    let name = name.to_owned();
    let Some(secret) = secret else { return Err(Error::Missing { kind, name }) };
    if secret.type_.as_deref() != Some(kind.secret_type()) {
        return Err(Error::Type { kind, name });
    }
    let entry = |(key, value): (String, k8s_openapi::ByteString)| match String::from_utf8(value.0) {
        Ok(value) => Ok((key, value.trim_end_matches(['\r', '\n']).to_owned())),
        Err(_) => Err(Error::Value { kind, name: name.clone(), key }),
    };
    secret.data.unwrap_or_default().into_iter().map(entry).collect()
}

/// Entries as headers.
pub fn headers(entries: BTreeMap<String, String>) -> Vec<HeaderSpec> {
    entries.into_iter().map(|(name, value)| HeaderSpec { name, value, secret: true }).collect()
}

/// Entries as cookies.
pub fn cookies(entries: BTreeMap<String, String>) -> Vec<CookieSpec> {
    entries.into_iter().map(|(name, value)| CookieSpec { name, value }).collect()
}

/// Entries of the Secret called `name` as what the job says of itself.
///
/// # Errors
/// [`Error::Keys`].
pub fn auth(name: &str, mut entries: BTreeMap<String, String>) -> Result<AuthSpec, Error> {
    let [username, password, token] = ["username", "password", "token"].map(|key| entries.remove(key));
    match (username, password, token) {
        (Some(username), Some(password), None) => {
            Ok(AuthSpec { basic: Some(BasicSpec { username, password }), ..AuthSpec::default() })
        }
        (None, None, Some(token)) => Ok(AuthSpec { bearer: Some(BearerSpec { token }), ..AuthSpec::default() }),
        _ => Err(Error::Keys(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(type_: &str, entries: &[(&str, &[u8])]) -> Option<Secret> {
        let data = entries.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect();
        Some(Secret { type_: Some(type_.to_owned()), data: Some(data), ..Secret::default() })
    }

    fn read(kind: Kind, entries: &[(&str, &[u8])]) -> BTreeMap<String, String> {
        super::entries(kind, "keys", secret(kind.secret_type(), entries)).expect("entries")
    }

    #[test]
    fn entries_become_secret_headers_and_cookies_without_the_line_end_of_a_file() {
        let header = HeaderSpec { name: "authorization".to_owned(), value: "Bearer x".to_owned(), secret: true };
        assert_eq!(headers(read(Kind::Headers, &[("authorization", b"Bearer x\n")])), [header]);
        let cookie = CookieSpec { name: "sid".to_owned(), value: "1".to_owned() };
        assert_eq!(cookies(read(Kind::Cookies, &[("sid", b"1")])), [cookie]);
    }

    #[test]
    fn a_user_with_a_password_or_a_token_says_who_the_job_is_and_nothing_else_does() {
        let user = auth("keys", read(Kind::Auth, &[("username", b"u"), ("password", b"p")])).expect("a user");
        assert_eq!(user.basic.expect("a user").password, "p");
        let token = auth("keys", read(Kind::Auth, &[("token", b"t")])).expect("a token");
        assert_eq!(token.bearer.expect("a token").token, "t");
        for wrong in [&[("username", b"u" as &[u8])][..], &[], &[("token", b"t"), ("password", b"p")]] {
            assert!(matches!(auth("keys", read(Kind::Auth, wrong)), Err(Error::Keys(name)) if name == "keys"));
        }
    }

    #[test]
    fn a_secret_for_something_else_is_not_read() {
        for kind in [Kind::Headers, Kind::Auth, Kind::Cookies, Kind::Proxies, Kind::Output(2)] {
            let entries = |secret| super::entries(kind, "keys", secret);
            assert!(matches!(entries(secret("Opaque", &[])), Err(Error::Type { .. })));
            assert!(matches!(entries(None), Err(Error::Missing { .. })));
            let garbled = entries(secret(kind.secret_type(), &[("a", &[0xff])]));
            assert!(matches!(garbled, Err(Error::Value { key, .. }) if key == "a"));
        }
    }
}
