//! What a job needs of Secrets: read when it is handed in, marked so that the ring shows it to nobody.
//!
//! Each reference of a job has a [`Kind`], which says where it stands and of which type its Secret is. Only a Secret of the type
//! that belongs to its use is read: whoever may create jobs but not read Secrets could otherwise have any Secret of the
//! namespace sent to a server of their own. [`references`] lists them, [`fill`] puts what was read in their places.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use scrapering_crds::ScrapeJob;
use scrapering_crds::job::{AuthSpec, BasicSpec, BearerSpec, CookieSpec, HeaderSpec, OutputSpec, SecretRef};
use thiserror::Error;

/// What a Secret holds by its keys.
pub type Entries = BTreeMap<String, String>;

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
    /// It holds the key of the webhook at this place.
    Webhook(usize),
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
            Self::Webhook(_) => "scrapering.io/webhook",
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
            Self::Webhook(place) => write!(f, "spec.webhooks[{place}].secretRef"),
            Self::Output(place) => write!(f, "spec.outputs[{place}]"),
        }
    }
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
    /// Without what its use needs.
    #[error("{kind}: Secret {name} must have the {wanted}")]
    Key {
        /// What it is for.
        kind: Kind,
        /// Its name.
        name: String,
        /// The key or keys.
        wanted: &'static str,
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
            Self::Type { .. } | Self::Value { .. } | Self::Key { .. } => "SecretInvalid",
            Self::Api { .. } => "SecretUnreadable",
        }
    }
}

/// Every Secret that a job refers to, by name.
pub fn references(job: &ScrapeJob) -> Vec<(Kind, String)> {
    let request = &job.spec.request;
    let of_request = [
        (Kind::Headers, request.headers_secret_ref.as_ref()),
        (Kind::Auth, request.auth.as_ref().and_then(|auth| auth.secret_ref.as_ref())),
        (Kind::Cookies, request.cookies.secret_ref.as_ref()),
        (Kind::Proxies, request.proxy.as_ref().and_then(|proxy| proxy.secret_ref.as_ref())),
    ];
    let webhooks = job.spec.webhooks.iter().enumerate();
    let webhooks = webhooks.map(|(place, webhook)| (Kind::Webhook(place), webhook.secret_ref.as_ref()));
    let outputs = job.spec.outputs.iter().enumerate();
    let outputs = outputs.map(|(place, output)| (Kind::Output(place), credentials(output)));
    let all = of_request.into_iter().chain(webhooks).chain(outputs);
    all.filter_map(|(kind, reference)| Some((kind, reference?.name.clone()))).collect()
}

fn credentials(output: &OutputSpec) -> Option<&SecretRef> {
    let s3 = output.s3.as_ref().and_then(|s3| s3.credentials_ref.as_ref());
    s3.or_else(|| output.gcs.as_ref().and_then(|gcs| gcs.credentials_ref.as_ref()))
}

/// The entries of the Secret called `name`, without the line end of a file.
///
/// # Errors
/// [`Error`].
pub fn entries(kind: Kind, name: &str, secret: Option<Secret>) -> Result<Entries, Error> {
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

/// Puts what stands in the Secret called `name` in the place of the reference to it; further headers, cookies and proxies come
/// after those that the job names itself.
///
/// # Errors
/// [`Error::Key`].
pub fn fill(job: &mut ScrapeJob, kind: Kind, name: &str, mut entries: Entries) -> Result<(), Error> {
    let lacks = |wanted| Error::Key { kind, name: name.to_owned(), wanted };
    let spec = &mut job.spec;
    match kind {
        Kind::Headers => {
            let secret = entries.into_iter().map(|(name, value)| HeaderSpec { name, value, secret: true });
            spec.request.headers.extend(secret);
            spec.request.headers_secret_ref = None;
        }
        Kind::Auth => {
            let wanted = "keys username and password, or the key token";
            spec.request.auth = Some(auth(entries).ok_or_else(|| lacks(wanted))?);
        }
        Kind::Cookies => {
            let cookies = entries.into_iter().map(|(name, value)| CookieSpec { name, value });
            spec.request.cookies.start.extend(cookies);
            spec.request.cookies.secret_ref = None;
        }
        Kind::Proxies => {
            let Some(proxy) = spec.request.proxy.as_mut() else { return Ok(()) };
            proxy.urls.extend(entries.into_values());
            proxy.secret_ref = None;
        }
        Kind::Webhook(place) => {
            let Some(webhook) = spec.webhooks.get_mut(place) else { return Ok(()) };
            webhook.secret = Some(entries.remove("secret").ok_or_else(|| lacks("key secret"))?);
            webhook.secret_ref = None;
        }
        Kind::Output(place) => {
            let Some(output) = spec.outputs.get_mut(place) else { return Ok(()) };
            if let Some(s3) = output.s3.as_mut() {
                s3.access_key_id = Some(entries.remove("accessKeyId").ok_or_else(|| lacks("key accessKeyId"))?);
                let secret = entries.remove("secretAccessKey").ok_or_else(|| lacks("key secretAccessKey"))?;
                s3.secret_access_key = Some(secret);
                s3.credentials_ref = None;
            }
            if let Some(gcs) = output.gcs.as_mut() {
                let key = entries.remove("serviceAccountKey").ok_or_else(|| lacks("key serviceAccountKey"))?;
                gcs.service_account_key = Some(key);
                gcs.credentials_ref = None;
            }
        }
    }
    Ok(())
}

/// What the job says of itself: a user with a password, or a token.
fn auth(mut entries: Entries) -> Option<AuthSpec> {
    match ["username", "password", "token"].map(|key| entries.remove(key)) {
        [Some(username), Some(password), None] => {
            Some(AuthSpec { basic: Some(BasicSpec { username, password }), ..AuthSpec::default() })
        }
        [None, None, Some(token)] => Some(AuthSpec { bearer: Some(BearerSpec { token }), ..AuthSpec::default() }),
        _ => None,
    }
}

/// Takes out whatever would need a Secret: for a job that shall never fetch anything.
pub fn strip(job: &mut ScrapeJob) {
    let spec = &mut job.spec;
    spec.request.headers_secret_ref = None;
    spec.request.auth.take_if(|auth| auth.secret_ref.is_some());
    spec.request.cookies.secret_ref = None;
    spec.request.proxy.take_if(|proxy| proxy.secret_ref.is_some());
    spec.webhooks.retain(|webhook| webhook.secret_ref.is_none());
    spec.outputs.retain(|output| credentials(output).is_none());
}

#[cfg(test)]
mod tests;
