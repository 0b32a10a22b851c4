//! `spec.request.auth` and `spec.request.cookies`: who a job is to the sites that it visits.
//!
//! All of it goes to the job's own origins only, and no answer shows what is secret of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fetch::SecretRef;

/// Who the job says it is; exactly one of `basic`, `bearer` and `secretRef`. It is sent to the origins in `request.credentialOrigins` only, from the first request on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["basic"]}, {"required": ["bearer"]}, {"required": ["secretRef"]}]))]
pub struct AuthSpec {
    /// User and password (RFC 7617).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicSpec>,
    /// A token (RFC 6750).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerSpec>,
    /// A Secret of type `scrapering.io/credentials` in the job's namespace, with the keys `username` and `password`, or the key `token`. It is read once, when the ring takes the job, and shown nowhere. Only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicSpec {
    /// The user: printable characters, no colon.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^:\x00-\x1f\x7f]+$"))]
    pub username: String,
    /// The password: printable characters. Whoever reads the job sees `[secret]` in its place.
    #[schemars(length(max = 1024), regex(pattern = r"^[^\x00-\x1f\x7f]*$"))]
    pub password: String,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BearerSpec {
    /// The token, without the word Bearer. Whoever reads the job sees `[secret]` in its place.
    #[schemars(length(min = 1, max = 4096), regex(pattern = r"^[A-Za-z0-9._~+/-]+=*$"))]
    pub token: String,
}

/// What becomes of cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CookiesSpec {
    /// perHost: what a host sets is sent back to the same host, for this job alone (RFC 6265; also a cookie for a whole domain goes to no other host). off: what hosts set is ignored.
    #[serde(default)]
    pub mode: CookieMode,
    /// Cookies that the job begins with, for the origins in `request.credentialOrigins`; hosts may change them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub start: Vec<CookieSpec>,
    /// A Secret of type `scrapering.io/cookies` in the job's namespace: its keys are names of further cookies of `start`, its values theirs. It is read once, when the ring takes the job, and shown nowhere. Only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// Whether hosts may give the job cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CookieMode {
    /// Each host has a jar.
    #[default]
    PerHost,
    /// What hosts set is ignored.
    Off,
}

/// A cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CookieSpec {
    /// Its name.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))]
    pub name: String,
    /// Its value. Whoever reads the job sees `[secret]` in its place.
    #[schemars(length(max = 4000), regex(pattern = r"^[!#-+--:<-\[\]-~]*$"))]
    pub value: String,
}
