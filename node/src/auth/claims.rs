//! What stands in a token (RFC 7519 section 4.1, RFC 9068 section 2.2), and what the gateway keeps of it.

use super::scope::Scopes;
use super::tenant::Tenant;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// The claims of a token. A claim that comes twice or has another type makes the token malformed.
///
/// What must be there is optional here, so that its absence is reported by name and not as a fault of the JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Claims {
    /// Who signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iss: Option<String>,
    /// For whom it speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sub: Option<String>,
    /// What it is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aud: Option<Audience>,
    /// Not to be accepted from then on, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exp: Option<u64>,
    /// Not to be accepted before, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<u64>,
    /// When it was signed, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<u64>,
    /// Names this token in logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jti: Option<String>,
    /// Rights, separated by single spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    /// Rights, as some issuers write them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scp: Option<Audience>,
    /// Whose jobs it may touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<String>,
    /// Of a Kubernetes service account, whose namespace is the tenant.
    #[serde(rename = "kubernetes.io", skip_serializing_if = "Option::is_none")]
    pub(super) kubernetes: Option<Kubernetes>,
}

/// What a cluster says of a service account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kubernetes {
    /// Where the account is.
    namespace: String,
}

impl Claims {
    /// Whose jobs it may touch, if it says so.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref().or_else(|| self.kubernetes.as_ref().map(|account| account.namespace.as_str()))
    }

    /// Its rights.
    pub(super) fn scopes(&self) -> Scopes {
        let listed = match &self.scp {
            None => Vec::new(),
            Some(Audience::One(text)) => vec![text],
            Some(Audience::Many(texts)) => texts.iter().collect(),
        };
        let words = self.scope.iter().chain(listed);
        words.flat_map(|words| Scopes::of_claim(words).iter().collect::<Vec<_>>()).collect()
    }
}

/// `aud` is one text or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Who sent a request, as a checked token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person or program.
    pub subject: String,
    /// Whose jobs it may touch.
    pub tenant: Tenant,
    /// What it may do.
    pub scopes: Scopes,
    /// Names the token in logs, if it has a name.
    pub token_id: Option<String>,
    /// Until when the token is good.
    pub good_until: SystemTime,
}
