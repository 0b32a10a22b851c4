//! The document that a ring is given for a job, as a pure function of the object.
//!
//! It depends on nothing that may change while the object lives, because the same key must always stand for the same
//! document: a submission whose answer was lost is simply sent again.

use std::collections::BTreeMap;

use kube::ResourceExt;
use scrapering_crds::{API_VERSION, JobMetadata, ScrapeJob, ScrapeJobFile};

use super::secrets::Secrets;

/// What a ring is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Names this object among all that ever were.
    pub key: String,
    /// The job.
    pub file: ScrapeJobFile,
}

/// The submission of a job; `secrets` are from the Secrets that it refers to.
///
/// `None` when the object did not come from an API server.
pub fn submission(job: &ScrapeJob, secrets: Secrets) -> Option<Submission> {
    let (name, namespace) = (job.name_any(), job.namespace()?);
    let key = format!("kubernetes/{namespace}/{name}/{}", job.uid()?);
    let mut spec = job.spec.clone();
    let Secrets { headers, auth, cookies, proxies } = secrets;
    spec.request.headers.extend(headers);
    spec.request.headers_secret_ref = None;
    if spec.request.auth.as_ref().is_some_and(|auth| auth.secret_ref.is_some()) {
        spec.request.auth = auth;
    }
    spec.request.cookies.start.extend(cookies);
    spec.request.cookies.secret_ref = None;
    if let Some(proxy) = &mut spec.request.proxy {
        proxy.urls.extend(proxies);
        proxy.secret_ref = None;
    }
    // What may change is not part of the document: the operator itself pauses, resumes and removes.
    spec.suspend = false;
    spec.ttl_seconds_after_finished = None;
    let metadata = JobMetadata { name, namespace: None, labels: BTreeMap::new(), annotations: BTreeMap::new() };
    let file = ScrapeJobFile { api_version: API_VERSION.to_owned(), kind: "ScrapeJob".to_owned(), metadata, spec };
    Some(Submission { key, file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_crds::job::HeaderSpec;
    use serde_json::json;

    fn job(spec: serde_json::Value) -> ScrapeJob {
        serde_json::from_value(json!({
            "apiVersion": API_VERSION, "kind": "ScrapeJob",
            "metadata": { "name": "docs", "namespace": "web", "uid": "u1", "labels": { "a": "b" } }, "spec": spec,
        }))
        .expect("a job")
    }

    #[test]
    fn what_may_change_changes_nothing_in_the_document() {
        let seeds = json!([{ "url": "https://example.org/" }]);
        let first = submission(&job(json!({ "seeds": seeds })), Secrets::default()).expect("a submission");
        let changed = json!({ "seeds": seeds, "suspend": true, "ttlSecondsAfterFinished": 5 });
        let mut later = job(changed);
        later.metadata.labels = None;
        assert_eq!(submission(&later, Secrets::default()), Some(first.clone()));
        assert_eq!(first.key, "kubernetes/web/docs/u1");
    }

    #[test]
    fn headers_of_a_secret_come_after_the_others_and_the_reference_goes() {
        let spec = json!({
            "seeds": [{ "url": "https://example.org/" }],
            "request": { "headers": [{ "name": "accept", "value": "text/html" }], "headersSecretRef": { "name": "keys" } },
        });
        let secret = HeaderSpec { name: "authorization".to_owned(), value: "Bearer x".to_owned(), secret: true };
        let file = submission(&job(spec), Secrets { headers: vec![secret.clone()], ..Secrets::default() })
            .expect("a submission")
            .file;
        assert_eq!((file.spec.request.headers[1].clone(), file.spec.request.headers_secret_ref), (secret, None));
    }

    #[test]
    fn an_object_without_identity_is_not_submitted() {
        let mut job = job(json!({ "seeds": [{ "url": "https://example.org/" }] }));
        job.metadata.uid = None;
        assert_eq!(submission(&job, Secrets::default()), None);
    }
}
