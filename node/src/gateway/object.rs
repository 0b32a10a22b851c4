//! A job as a resource: the shape of a Kubernetes object, with the spec as it was submitted and the status as the ring knows it.

use crate::crawl::jobs::{JobStatus, PageCounts, Phase};
use crate::crawl::outputs::OutputStatus;
use schemars::JsonSchema;
use scrapering_core::frontier::record::JobId;
use scrapering_crds::file::JOB_KIND;
use scrapering_crds::{API_VERSION, ScrapeJobSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `kind` of a list of jobs.
const LIST_KIND: &str = "ScrapeJobList";
/// What stands in the place of a secret value.
const HIDDEN: &str = "[secret]";

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobObject {
    /// Always `scrapering.io/v1alpha1`.
    pub api_version: String,
    /// Always `ScrapeJob`.
    pub kind: String,
    /// Who it is.
    pub metadata: ObjectMetadata,
    /// What it does.
    #[schemars(with = "ScrapeJobSpec")]
    pub spec: Value,
    /// How far it is.
    pub status: StatusObject,
}

/// Who a job is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMetadata {
    /// Chosen by the user; several jobs may share it.
    pub name: String,
    /// The job's id.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub uid: JobId,
    /// Grows with every change; the `ETag` of the job without its quotes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// RFC 3339.
    pub creation_timestamp: String,
    /// What else the user wrote.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusObject {
    /// Where it stands.
    pub phase: Phase,
    /// A word for why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Pages by what became of them.
    pub pages: PageCounts,
    /// Items committed.
    pub items: u64,
    /// Items dropped because a required field was missing.
    pub item_errors: u64,
    /// Bytes of the pages that were fetched, decompressed.
    #[serde(default)]
    pub bytes: u64,
    /// RFC 3339; absent while pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// RFC 3339; absent until the job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// How far its outputs are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputStatus>,
    /// When the next page is to be visited again, RFC 3339; absent if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_visit_time: Option<String>,
}

/// Several jobs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobList {
    /// Always `scrapering.io/v1alpha1`.
    pub api_version: String,
    /// Always `ScrapeJobList`.
    pub kind: String,
    /// The jobs.
    pub items: Vec<JobObject>,
    /// Cursor of what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<JobStatus> for JobObject {
    fn from(job: JobStatus) -> Self {
        let mut file: Map<String, Value> = serde_json::from_str(job.file.get()).unwrap_or_default();
        let mut spec = file.remove("spec").unwrap_or_default();
        hide_secrets(&mut spec);
        if let Some(spec) = spec.as_object_mut() {
            // The file says how the job began; whether it is paused now is known by its phase.
            spec.insert("suspend".to_owned(), Value::Bool(job.phase.is_suspended()));
        }
        let mut rest = match file.remove("metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        for own in ["name", "uid", "resourceVersion", "creationTimestamp"] {
            rest.remove(own);
        }
        Self {
            api_version: API_VERSION.to_owned(),
            kind: JOB_KIND.to_owned(),
            metadata: ObjectMetadata {
                name: job.name,
                uid: job.id,
                resource_version: job.version.to_string(),
                creation_timestamp: job.submitted_at,
                rest,
            },
            spec,
            status: StatusObject {
                phase: job.phase,
                reason: job.reason,
                message: job.message,
                pages: job.pages,
                items: job.items,
                item_errors: job.item_errors,
                bytes: job.bytes,
                start_time: job.started_at,
                completion_time: job.completed_at,
                outputs: job.outputs,
                next_visit_time: job.next_visit_at,
            },
        }
    }
}

/// What is secret keeps its name and loses its value.
pub(in crate::gateway) fn hide_secrets(spec: &mut Value) {
    let headers = spec.pointer_mut("/request/headers").and_then(Value::as_array_mut);
    for header in headers.into_iter().flatten().filter(|header| header["secret"] == true) {
        header["value"] = Value::from(HIDDEN);
    }
    let webhooks = spec.pointer_mut("/webhooks").and_then(Value::as_array_mut);
    for secret in webhooks.into_iter().flatten().filter_map(|webhook| webhook.get_mut("secret")) {
        *secret = Value::from(HIDDEN);
    }
    let cookies = spec.pointer_mut("/request/cookies/start").and_then(Value::as_array_mut);
    for cookie in cookies.into_iter().flatten().filter_map(Value::as_object_mut) {
        cookie.insert("value".to_owned(), Value::from(HIDDEN));
    }
    let proxies = spec.pointer_mut("/request/proxy/urls").and_then(Value::as_array_mut);
    for proxy in proxies.into_iter().flatten() {
        let shown = proxy.as_str().and_then(|url| {
            let (scheme, rest) = url.split_once("://")?;
            rest.rsplit_once('@').map(|(_, place)| format!("{scheme}://{HIDDEN}@{place}"))
        });
        if let Some(shown) = shown {
            *proxy = Value::from(shown);
        }
    }
    for path in ["/request/auth/basic/password", "/request/auth/bearer/token"] {
        if let Some(value) = spec.pointer_mut(path) {
            *value = Value::from(HIDDEN);
        }
    }
    let outputs = spec.pointer_mut("/outputs").and_then(Value::as_array_mut);
    outputs.into_iter().flatten().for_each(hide_output);
}

/// The same of one output.
pub(in crate::gateway) fn hide_output(output: &mut Value) {
    for key in ["/s3/secretAccessKey", "/gcs/serviceAccountKey"] {
        if let Some(secret) = output.pointer_mut(key) {
            *secret = Value::from(HIDDEN);
        }
    }
}

impl FromIterator<JobStatus> for JobList {
    fn from_iter<I: IntoIterator<Item = JobStatus>>(jobs: I) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: LIST_KIND.to_owned(),
            items: jobs.into_iter().map(JobObject::from).collect(),
            next: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_secret_headers_are_hidden_and_the_others_are_shown() {
        let mut spec = json!({ "request": { "headers": [
            { "name": "authorization", "value": "Bearer abc", "secret": true },
            { "name": "accept-language", "value": "de" },
        ] } });
        hide_secrets(&mut spec);
        assert_eq!(
            spec["request"]["headers"][0],
            json!({ "name": "authorization", "value": "[secret]", "secret": true })
        );
        assert_eq!(spec["request"]["headers"][1]["value"], "de");
        hide_secrets(&mut json!({ "request": 3, "webhooks": ["x"] }));
        let mut spec = json!({ "outputs": [{ "ring": {} }, { "s3": { "accessKeyId": "a", "secretAccessKey": "b" } }, { "gcs": { "serviceAccountKey": "c" } }] });
        hide_secrets(&mut spec);
        assert_eq!(spec["outputs"][1]["s3"], json!({ "accessKeyId": "a", "secretAccessKey": "[secret]" }));
        assert_eq!(spec["outputs"][2]["gcs"]["serviceAccountKey"], "[secret]");
        let mut spec = json!({ "webhooks": [{ "url": "https://a.example/", "secret": "abc" }, { "url": "b" }] });
        hide_secrets(&mut spec);
        assert_eq!(spec["webhooks"], json!([{ "url": "https://a.example/", "secret": "[secret]" }, { "url": "b" }]));
    }

    #[test]
    fn passwords_tokens_and_first_cookies_are_hidden() {
        let mut spec = json!({ "request": {
            "auth": { "basic": { "username": "u", "password": "hush" }, "bearer": { "token": "hush" } },
            "cookies": { "mode": "perHost", "start": [{ "name": "sid", "value": "hush" }] },
            "proxy": { "urls": ["socks5://u:hush@p.example:1", "http://p.example:2"] },
        } });
        hide_secrets(&mut spec);
        let text = spec.to_string();
        assert!(!text.contains("hush") && text.contains("sid") && text.matches(HIDDEN).count() == 4, "{text}");
        assert_eq!(spec["request"]["proxy"]["urls"][1], "http://p.example:2");
    }
}
