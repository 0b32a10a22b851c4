//! Headers from a Secret: read when a job is handed in, marked so that the ring shows their values to nobody.
//!
//! Only a Secret of the type [`SECRET_TYPE`] is read. Whoever may create jobs but not read Secrets could otherwise have
//! any Secret of the namespace sent to a server of their own.

use k8s_openapi::api::core::v1::Secret;
use scrapering_crds::job::HeaderSpec;
use thiserror::Error;

/// `type` of a Secret whose entries are headers.
pub const SECRET_TYPE: &str = "scrapering.io/headers";

/// Why there are no headers. Who wrote the Secret or the reference is at fault.
#[derive(Debug, Error)]
pub enum Error {
    /// No such Secret.
    #[error("spec.request.headersSecretRef: there is no Secret {0}; the job is handed to the ring once it is there")]
    Missing(String),
    /// A Secret for something else.
    #[error(
        "spec.request.headersSecretRef: Secret {0} is not of type {SECRET_TYPE}, so it is not read; make one that is"
    )]
    Type(String),
    /// Not a text.
    #[error("spec.request.headersSecretRef: Secret {secret}: the value of {key} is not UTF-8 text")]
    Value {
        /// The Secret.
        secret: String,
        /// Its key.
        key: String,
    },
    /// The API server, or what it lets the operator do, is at fault.
    #[error("spec.request.headersSecretRef: the Secret cannot be read")]
    Api(#[from] kube::Error),
}

impl Error {
    /// The same in one CamelCase word.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "SecretNotFound",
            Self::Type(_) | Self::Value { .. } => "SecretInvalid",
            Self::Api(_) => "SecretUnreadable",
        }
    }
}

/// The headers in the Secret called `name`.
///
/// # Errors
/// [`Error`].
pub fn of_secret(name: &str, secret: Option<Secret>) -> Result<Vec<HeaderSpec>, Error> {
    let secret = secret.ok_or_else(|| Error::Missing(name.to_owned()))?;
    if secret.type_.as_deref() != Some(SECRET_TYPE) {
        return Err(Error::Type(name.to_owned()));
    }
    let header = |(key, value): (String, k8s_openapi::ByteString)| match String::from_utf8(value.0) {
        Ok(value) => Ok(HeaderSpec { name: key, value: value.trim_end_matches(['\r', '\n']).to_owned(), secret: true }),
        Err(_) => Err(Error::Value { secret: name.to_owned(), key }),
    };
    secret.data.unwrap_or_default().into_iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(type_: &str, value: &[u8]) -> Option<Secret> {
        let data = Some([("authorization".to_owned(), ByteString(value.to_vec()))].into());
        Some(Secret { type_: Some(type_.to_owned()), data, ..Secret::default() })
    }

    #[test]
    fn entries_become_secret_headers_without_the_line_end_of_a_file() {
        let headers = of_secret("keys", secret(SECRET_TYPE, b"Bearer x\n")).expect("headers");
        let header = HeaderSpec { name: "authorization".to_owned(), value: "Bearer x".to_owned(), secret: true };
        assert_eq!(headers, [header]);
    }

    #[test]
    fn a_secret_for_something_else_is_not_read() {
        assert!(matches!(of_secret("keys", secret("Opaque", b"x")), Err(Error::Type(name)) if name == "keys"));
        assert!(matches!(of_secret("keys", None), Err(Error::Missing(name)) if name == "keys"));
        let garbled = of_secret("keys", secret(SECRET_TYPE, &[0xff]));
        assert!(matches!(garbled, Err(Error::Value { key, .. }) if key == "authorization"));
    }
}
