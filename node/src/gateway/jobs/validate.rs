//! A job checked without being submitted: what it would be with all defaults, and which URLs belong to it.

use super::own;
use crate::auth::Caller;
use crate::gateway::body::JobBody;
use crate::gateway::object::hide_secrets;
use crate::gateway::openapi::{Input, Operation, Parameter};
use crate::gateway::problem::{Kind, Problem};
use crate::job;
use axum::extract::FromRequestParts;
use axum::{Extension, Json};
use http::request::Parts;
use schemars::{JsonSchema, json_schema};
use scrapering_core::job::NormalizedUrl;
use scrapering_crds::ScrapeJobFile;
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;

/// Most URLs that are judged in one request.
const MOST_URLS: usize = 100;

/// `?url=`, any number of times.
pub(in crate::gateway) struct Samples(Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for Samples {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut urls = Vec::new();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if name != "url" || urls.len() == MOST_URLS {
                let detail = format!("there is only the parameter url here, up to {MOST_URLS} times");
                return Err(Problem::new(Kind::InvalidParameter, detail));
            }
            urls.push(value.into_owned());
        }
        Ok(Self(urls))
    }
}

impl Input for Samples {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::query(
            "url",
            "URLs to judge by the job's scope, as if a seed linked to them.",
            |_| json_schema!({"type": "array", "items": {"type": "string"}, "maxItems": MOST_URLS}),
        ));
        operation.may_fail(&[Kind::InvalidParameter]);
    }
}

/// A valid job.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::gateway) struct Validation {
    /// The document with every default; what is secret in it is hidden.
    #[schemars(with = "ScrapeJobFile")]
    job: Value,
    /// The URLs that were asked for, in their order.
    urls: Vec<Verdict>,
}

/// Whether a URL belongs to a job.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::gateway) struct Verdict {
    /// As it was asked for.
    url: String,
    /// As the job would write it; absent if it is no URL that can be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical: Option<String>,
    /// Whether it would be fetched, as far as the scope is concerned.
    in_scope: bool,
    /// Why not: a word from the closed list, or what is wrong with the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `POST /v1/jobs:validate`
pub(super) async fn validate(
    Extension(caller): Extension<Caller>,
    Samples(samples): Samples,
    JobBody(mut file): JobBody,
) -> Result<Json<Validation>, Problem> {
    own(&mut file, &caller.tenant)?;
    // The body was checked when it was read.
    let job = job::validate(&file.metadata, &file.spec).ok();
    let urls = samples.into_iter().map(|url| match NormalizedUrl::parse(&url) {
        Err(error) => Verdict { url, canonical: None, in_scope: false, reason: Some(error.to_string()) },
        Ok(canonical) => {
            let verdict = job.as_ref().map_or(Ok(0), |job| job.scope.verdict(&canonical, 1, 0));
            let reason = verdict.err().map(|reason| reason.to_string());
            Verdict { url, canonical: Some(canonical.to_string()), in_scope: reason.is_none(), reason }
        }
    });
    let urls = urls.collect();
    let mut job = serde_json::to_value(&file).expect("a document is JSON");
    if let Some(spec) = job.get_mut("spec") {
        hide_secrets(spec);
    }
    Ok(Json(Validation { urls, job }))
}
