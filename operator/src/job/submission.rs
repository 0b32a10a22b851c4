//! The document that a ring is given for a job, as a pure function of the object.
//!
//! The same key always means the same job: a submission whose answer was lost is simply sent again. (A Secret, or what may be
//! changed of the object, may be another by then; the ring answers with the job that it has under that key.)

use std::collections::BTreeMap;

use kube::ResourceExt;
use scrapering_crds::{API_VERSION, JobMetadata, ScrapeJob, ScrapeJobFile};

/// What a ring is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Names this object among all that ever were.
    pub key: String,
    /// The job.
    pub file: ScrapeJobFile,
}

/// The submission of a job in which nothing refers to a Secret any more.
///
/// `None` when the object did not come from an API server.
pub fn submission(job: &ScrapeJob) -> Option<Submission> {
    let (name, namespace) = (job.name_any(), job.namespace()?);
    let key = format!("kubernetes/{namespace}/{name}/{}", job.uid()?);
    let mut spec = job.spec.clone();
    // The operator itself pauses, resumes and removes.
    spec.suspend = false;
    spec.ttl_seconds_after_finished = None;
    let metadata = JobMetadata { name, namespace: None, labels: BTreeMap::new(), annotations: BTreeMap::new() };
    let file = ScrapeJobFile { api_version: API_VERSION.to_owned(), kind: "ScrapeJob".to_owned(), metadata, spec };
    Some(Submission { key, file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(spec: serde_json::Value) -> ScrapeJob {
        serde_json::from_value(json!({
            "apiVersion": API_VERSION, "kind": "ScrapeJob",
            "metadata": { "name": "docs", "namespace": "web", "uid": "u1", "labels": { "a": "b" } }, "spec": spec,
        }))
        .expect("a job")
    }

    #[test]
    fn what_the_operator_sees_to_itself_changes_nothing_in_the_document() {
        let seeds = json!([{ "url": "https://example.org/" }]);
        let first = submission(&job(json!({ "seeds": seeds }))).expect("a submission");
        let changed = json!({ "seeds": seeds, "suspend": true, "ttlSecondsAfterFinished": 5 });
        let mut later = job(changed);
        later.metadata.labels = None;
        assert_eq!(submission(&later), Some(first.clone()));
        assert_eq!(first.key, "kubernetes/web/docs/u1");
    }

    #[test]
    fn an_object_without_identity_is_not_submitted() {
        let mut job = job(json!({ "seeds": [{ "url": "https://example.org/" }] }));
        job.metadata.uid = None;
        assert_eq!(submission(&job), None);
    }
}
