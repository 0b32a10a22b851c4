//! Whole reconciles of a job against an API server in memory and a ring that is played here.

use std::collections::BTreeMap;
use std::sync::Mutex;

use kube::runtime::controller::Action;
use reqwest::StatusCode;
use scrapering_crds::ScrapeJobFile;
use serde_json::{Value, json};

use super::reconcile::Error;
use super::ways::Ways;
use super::*;
use crate::gateway::{self, Asked, Change, Identity, Jobs, Parallelism, Phase, Problem, Progress, Report};
use crate::memory_api::Server;

const JOB: &str = "/apis/scrapering.io/v1alpha1/namespaces/web/scrapejobs/docs";
const RING: &str = "/apis/scrapering.io/v1alpha1/namespaces/web/scraperings/main";
const SECRET: &str = "/api/v1/namespaces/web/secrets/tokens";

/// A ring that keeps what it is given, and does not answer while it is silent.
#[derive(Clone, Default)]
struct Ring(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    jobs: BTreeMap<String, (ScrapeJobFile, Progress)>,
    calls: Vec<String>,
    is_silent: bool,
    loses_answers: bool,
    refuses: Option<&'static str>,
    refuses_changes: bool,
}

impl Ring {
    fn with<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().expect("no test panics while it holds this"))
    }

    fn calls(&self) -> Vec<String> {
        self.with(|inside| std::mem::take(&mut inside.calls))
    }

    fn ask<T>(
        &self,
        call: &str,
        answer: impl FnOnce(&mut Inside) -> Result<T, gateway::Error>,
    ) -> Result<T, gateway::Error> {
        self.with(|inside| {
            inside.calls.push(call.to_owned());
            if inside.is_silent {
                return Err(gateway::Error::Nobody);
            }
            let answer = answer(inside);
            if inside.loses_answers { Err(gateway::Error::Nobody) } else { answer }
        })
    }
}

fn problem(status: StatusCode, slug: &str, job: Option<String>) -> gateway::Error {
    gateway::Error::Refused(Box::new(Problem { status, slug: slug.to_owned(), text: format!("it is {slug}"), job }))
}

fn report(inside: &Inside, id: &str) -> Result<Report, gateway::Error> {
    let (file, progress) = inside.jobs.get(id).ok_or_else(|| problem(StatusCode::NOT_FOUND, "job-not-found", None))?;
    let spec = Asked { priority: Some(file.spec.priority), parallelism: file.spec.parallelism };
    Ok(Report { metadata: Identity { uid: id.to_owned() }, spec, status: progress.clone() })
}

impl Jobs for Ring {
    async fn submit(&self, key: &str, job: &ScrapeJobFile) -> Result<Report, gateway::Error> {
        self.ask("submit", |inside| {
            if let Some(slug) = inside.refuses {
                return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, slug, None));
            }
            let phase = if job.spec.suspend { Phase::Paused } else { Phase::Running };
            let progress = Progress { phase, ..Progress::default() };
            let kept = inside.jobs.entry(key.to_owned()).or_insert_with(|| (job.clone(), progress));
            if kept.0 != *job {
                let id = Some(key.to_owned());
                return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", id));
            }
            report(inside, key)
        })
    }

    async fn read(&self, id: &str) -> Result<Report, gateway::Error> {
        self.ask("read", |inside| report(inside, id))
    }

    async fn change(&self, id: &str, change: &Change) -> Result<Report, gateway::Error> {
        let call = match (change.suspend, change.priority) {
            (Some(true), _) => "pause",
            (Some(false), _) => "resume",
            (None, _) => "change",
        };
        self.ask(call, |inside| {
            if inside.refuses_changes {
                return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-patch", None));
            }
            if let Some((file, progress)) = inside.jobs.get_mut(id) {
                let phase = change.suspend.map(|held| if held { Phase::Paused } else { Phase::Running });
                progress.phase = phase.unwrap_or(progress.phase);
                file.spec.priority = change.priority.unwrap_or(file.spec.priority);
                file.spec.parallelism = change.parallelism.map_or(file.spec.parallelism, |wanted| wanted.0);
            }
            report(inside, id)
        })
    }

    async fn delete(&self, id: &str) -> Result<(), gateway::Error> {
        self.ask("delete", |inside| {
            inside.jobs.remove(id);
            Ok(())
        })
    }
}

impl Ways for Ring {
    type Jobs = Self;

    async fn to(&self, _: &ScrapeRing) -> Result<Arc<Self>, ways::Error> {
        Ok(Arc::new(self.clone()))
    }

    fn forget(&self, _: &ScrapeRing) {}
}

/// A cluster with a ring and a job that it has not been given yet.
fn cluster(spec: Value) -> Server {
    let server = Server::default();
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": kind,
            "metadata": { "name": name, "namespace": "web", "uid": format!("{name}-1"), "generation": 1 }, "spec": spec,
        })
    };
    server.put(RING, object("ScrapeRing", "main", json!({})));
    server.put(JOB, object("ScrapeJob", "docs", json!({ "seeds": [{ "url": "https://example.org/" }] })));
    server.edit(JOB, &json!({ "spec": spec }));
    server
}

/// A reconcile by an operator that remembers nothing of the ones before.
async fn reconciled(server: &Server, ring: &Ring) -> Result<Action, Error> {
    let context = Arc::new(Context::new(server.client(), ring.clone(), Metrics::default()));
    again(server, &context).await
}

async fn again(server: &Server, context: &Arc<Context<Ring>>) -> Result<Action, Error> {
    let job: ScrapeJob = serde_json::from_value(server.get(JOB).expect("the job")).expect("a ScrapeJob");
    reconcile::reconcile(Arc::new(DeserializeGuard(Ok(job))), Arc::clone(context)).await
}

fn status(server: &Server) -> Value {
    server.get(JOB).expect("the job")["status"].clone()
}

/// `True/Submitted` of the condition.
fn condition(server: &Server, type_: &str) -> String {
    let status = status(server);
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == type_);
    let word = |key: &str| found.and_then(|condition| condition[key].as_str()).unwrap_or("-").to_owned();
    format!("{}/{}", word("status"), word("reason"))
}

fn finish(ring: &Ring, phase: Phase) {
    ring.with(|inside| {
        for (_, progress) in inside.jobs.values_mut() {
            progress.phase = phase;
            progress.start_time = Some("2026-01-01T00:00:00Z".to_owned());
            progress.completion_time = Some("2026-01-01T00:01:00Z".to_owned());
        }
    });
}

#[tokio::test]
async fn a_job_is_kept_handed_in_and_told_of() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(server.take_writes(), [JOB, &format!("{JOB}/status")]);
    assert_eq!(server.get(JOB).expect("the job")["metadata"]["finalizers"], json!([FINALIZER]));
    assert_eq!((ring.calls(), status(&server)["phase"].clone()), (vec!["submit".to_owned()], json!("Running")));
    assert_eq!(
        (condition(&server, "Accepted"), server.take_events()),
        ("True/Submitted".to_owned(), vec!["Submitted".to_owned()])
    );
    reconciled(&server, &ring).await.expect("success");
    assert_eq!((ring.calls(), server.take_writes()), (vec!["read".to_owned()], Vec::new()));
}

#[tokio::test]
async fn a_write_of_the_status_does_not_cause_the_next_look_but_a_change_does() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    let context = Arc::new(Context::new(server.client(), ring.clone(), Metrics::default()));
    again(&server, &context).await.expect("success");
    again(&server, &context).await.expect("success");
    assert_eq!(ring.calls(), ["submit"]);
    server.edit(JOB, &json!({ "metadata": { "generation": 2 }, "spec": { "suspend": true } }));
    again(&server, &context).await.expect("success");
    assert_eq!(ring.calls(), ["read", "pause"]);
    assert_eq!(condition(&server, "Suspended"), "True/JobSuspended");
    server.edit(JOB, &json!({ "metadata": { "generation": 3 }, "spec": { "suspend": false } }));
    again(&server, &context).await.expect("success");
    assert_eq!(
        (ring.calls(), condition(&server, "Suspended")),
        (vec!["read".to_owned(), "resume".to_owned()], "False/JobResumed".to_owned())
    );
}

#[tokio::test]
async fn a_priority_that_is_changed_reaches_the_ring_once_and_a_refusal_ends_no_job() {
    let (server, ring) = (cluster(json!({ "priority": 10 })), Ring::default());
    let context = Arc::new(Context::new(server.client(), ring.clone(), Metrics::default()));
    again(&server, &context).await.expect("success");
    assert_eq!(ring.calls(), ["submit"]);
    server.edit(JOB, &json!({ "metadata": { "generation": 2 }, "spec": { "priority": 90 } }));
    again(&server, &context).await.expect("success");
    assert_eq!(ring.calls(), ["read", "change"]);
    assert_eq!(ring.with(|inside| inside.jobs.values().next().expect("a job").0.spec.priority), 90);
    server.edit(JOB, &json!({ "metadata": { "generation": 3 } }));
    again(&server, &context).await.expect("success");
    assert_eq!(ring.calls(), ["read"]);
    ring.with(|inside| inside.refuses_changes = true);
    server.edit(JOB, &json!({ "metadata": { "generation": 4 }, "spec": { "priority": 5 } }));
    again(&server, &context).await.expect("success");
    assert_eq!(
        (condition(&server, "Accepted"), condition(&server, "Failed")),
        ("True/Submitted".to_owned(), "-/-".to_owned())
    );
}

#[tokio::test]
async fn a_limit_of_pages_at_once_reaches_the_ring_when_it_is_set_changed_and_taken_away() {
    let (server, ring) = (cluster(json!({ "parallelism": 2 })), Ring::default());
    let context = Arc::new(Context::new(server.client(), ring.clone(), Metrics::default()));
    again(&server, &context).await.expect("success");
    assert_eq!(ring.calls(), ["submit"]);
    for (generation, wanted) in [(2, json!(5)), (3, json!(null))] {
        server.edit(JOB, &json!({ "metadata": { "generation": generation }, "spec": { "parallelism": wanted } }));
        again(&server, &context).await.expect("success");
        assert_eq!(ring.calls(), ["read", "change"]);
        let limit = ring.with(|inside| inside.jobs.values().next().expect("a job").0.spec.parallelism);
        assert_eq!(json!(limit), wanted);
    }
    assert_eq!(
        serde_json::to_value(Change { parallelism: Some(Parallelism(None)), ..Change::default() }).expect("JSON"),
        json!({ "parallelism": null }),
        "a limit that is taken away is told"
    );
    server.edit(JOB, &json!({ "metadata": { "generation": 4 } }));
    again(&server, &context).await.expect("success");
    assert_eq!(ring.calls(), ["read"]);
}

#[tokio::test]
async fn a_job_suspended_from_the_start_is_not_handed_in() {
    let (server, ring) = (cluster(json!({ "suspend": true })), Ring::default());
    assert_eq!(reconciled(&server, &ring).await.expect("success"), Action::await_change());
    assert_eq!((ring.calls(), status(&server)["phase"].clone()), (Vec::new(), json!("Suspended")));
}

#[tokio::test]
async fn an_answer_that_is_lost_leads_to_the_same_job() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    ring.with(|inside| inside.loses_answers = true);
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(condition(&server, "Accepted"), "False/RingSilent");
    ring.with(|inside| inside.loses_answers = false);
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(
        (condition(&server, "Accepted"), ring.with(|inside| inside.jobs.len())),
        ("True/Submitted".to_owned(), 1)
    );
}

#[tokio::test]
async fn a_job_waits_for_its_ring_and_fails_when_the_ring_that_had_it_is_gone() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    let main = server.get(RING).expect("the ring");
    server.remove(RING);
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(
        (condition(&server, "Accepted"), condition(&server, "Failed")),
        ("False/RingNotFound".to_owned(), "-/-".to_owned())
    );
    server.put(RING, main);
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(condition(&server, "Accepted"), "True/Submitted");
    server.edit(RING, &json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } }));
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(
        (condition(&server, "Failed"), status(&server)["phase"].clone()),
        ("True/RingNotFound".to_owned(), json!("Failed"))
    );
    assert!(ring.calls().iter().all(|call| call != "delete"), "results are not lost with the ring");
}

#[tokio::test]
async fn a_job_that_the_ring_refuses_has_failed_and_is_not_sent_again() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    ring.with(|inside| inside.refuses = Some("invalid-job"));
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(
        (condition(&server, "Failed"), condition(&server, "Accepted")),
        ("True/InvalidJob".to_owned(), "False/InvalidJob".to_owned())
    );
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(ring.calls(), ["submit"]);
}

#[tokio::test]
async fn a_ring_that_lost_the_job_makes_it_fail_and_a_silent_one_does_not() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    reconciled(&server, &ring).await.expect("success");
    ring.with(|inside| inside.is_silent = true);
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(
        (condition(&server, "Accepted"), status(&server)["phase"].clone()),
        ("True/RingSilent".to_owned(), json!("Running"))
    );
    ring.with(|inside| (inside.is_silent, inside.jobs) = (false, BTreeMap::new()));
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(condition(&server, "Failed"), "True/JobLost");
}

#[tokio::test]
async fn headers_of_a_secret_reach_the_ring_and_nothing_else() {
    let spec = json!({ "request": { "headersSecretRef": { "name": "tokens" } } });
    let (server, ring) = (cluster(spec), Ring::default());
    reconciled(&server, &ring).await.expect("success");
    assert_eq!((condition(&server, "Accepted"), ring.calls()), ("False/SecretNotFound".to_owned(), Vec::new()));
    let secret = |type_: &str, data: &str| json!({ "apiVersion": "v1", "kind": "Secret", "type": type_, "metadata": { "name": "tokens" }, "data": { "authorization": data } });
    server.put(SECRET, secret("Opaque", "QmVhcmVyIHg="));
    reconciled(&server, &ring).await.expect("success");
    assert_eq!((condition(&server, "Accepted"), ring.calls()), ("False/SecretInvalid".to_owned(), Vec::new()));
    server.put(SECRET, secret(super::secrets::Kind::Headers.secret_type(), "QmVhcmVyIHg="));
    ring.with(|inside| inside.loses_answers = true);
    reconciled(&server, &ring).await.expect("success");
    // The Secret changes while nobody knows whether the job was taken: it was, with the old one.
    server.put(SECRET, secret(super::secrets::Kind::Headers.secret_type(), "QmVhcmVyIHk="));
    ring.with(|inside| inside.loses_answers = false);
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(
        (condition(&server, "Accepted"), ring.calls()),
        ("True/Submitted".to_owned(), vec!["submit".to_owned(), "submit".to_owned(), "read".to_owned()])
    );
    let sent = ring.with(|inside| inside.jobs.values().next().expect("a job").0.spec.request.headers[0].clone());
    assert_eq!((sent.value.as_str(), sent.secret), ("Bearer x", true));
    assert!(!server.get(JOB).expect("the job").to_string().contains("Bearer"));
}

#[tokio::test]
async fn a_job_that_has_ended_is_left_alone_until_its_ttl_is_over() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    reconciled(&server, &ring).await.expect("success");
    finish(&ring, Phase::Completed);
    assert_eq!(reconciled(&server, &ring).await.expect("success"), Action::await_change());
    assert_eq!(
        (condition(&server, "Complete"), status(&server)["duration"].clone()),
        ("True/AllPagesSettled".to_owned(), json!("1m"))
    );
    ring.calls();
    server.edit(JOB, &json!({ "spec": { "ttlSecondsAfterFinished": 2_000_000_000 } }));
    assert_eq!(reconciled(&server, &ring).await.expect("success"), Action::requeue(Duration::from_secs(3600)));
    server.edit(JOB, &json!({ "spec": { "ttlSecondsAfterFinished": 60 } }));
    reconciled(&server, &ring).await.expect("success");
    assert!(server.get(JOB).expect("kept by its finalizer")["metadata"]["deletionTimestamp"].is_string());
    reconciled(&server, &ring).await.expect("success");
    assert_eq!((server.get(JOB), ring.calls()), (None, vec!["delete".to_owned()]));
}

/// The job is deleted; the API server keeps it for its finalizer.
fn delete(server: &Server, since: &str) {
    server.edit(JOB, &json!({ "metadata": { "deletionTimestamp": since, "finalizers": ["other/one", FINALIZER] } }));
}

#[tokio::test]
async fn an_object_goes_when_its_ring_has_let_go_of_the_job_and_other_finalizers_stay() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    reconciled(&server, &ring).await.expect("success");
    delete(&server, "2100-01-01T00:00:00Z");
    ring.with(|inside| inside.is_silent = true);
    assert!(
        matches!(reconciled(&server, &ring).await, Err(Error::Ring(_))),
        "it is not done, so it must be tried again"
    );
    assert_eq!(server.get(JOB).expect("the job")["metadata"]["finalizers"], json!(["other/one", FINALIZER]));
    ring.with(|inside| inside.is_silent = false);
    reconciled(&server, &ring).await.expect("success");
    assert_eq!(server.get(JOB).expect("the job")["metadata"]["finalizers"], json!(["other/one"]));
    assert!(ring.with(|inside| inside.jobs.is_empty()));
}

#[tokio::test]
async fn an_object_whose_ring_is_gone_or_not_even_defined_goes_at_once() {
    let gone: [fn(&Server); 2] = [|server| server.remove(RING), |server| server.serve("/scraperings/", false)];
    for gone in gone {
        let (server, ring) = (cluster(json!({})), Ring::default());
        reconciled(&server, &ring).await.expect("success");
        ring.calls();
        gone(&server);
        delete(&server, "2100-01-01T00:00:00Z");
        reconciled(&server, &ring).await.expect("success");
        assert_eq!(server.get(JOB).expect("the job")["metadata"]["finalizers"], json!(["other/one"]));
        assert_eq!(ring.calls(), [""; 0]);
    }
}

#[tokio::test]
async fn a_silent_ring_holds_an_object_back_for_ten_minutes_and_not_against_its_owners_word() {
    for (since, annotation) in [("2026-01-01T00:00:00Z", "-"), ("2100-01-01T00:00:00Z", "true")] {
        let (server, ring) = (cluster(json!({})), Ring::default());
        reconciled(&server, &ring).await.expect("success");
        delete(&server, since);
        server.edit(JOB, &json!({ "metadata": { "annotations": { FORCE_DELETE: annotation } } }));
        ring.with(|inside| inside.is_silent = true);
        server.take_events();
        reconciled(&server, &ring).await.expect("success");
        assert_eq!(server.get(JOB).expect("the job")["metadata"]["finalizers"], json!(["other/one"]));
        assert_eq!(server.take_events(), ["RemovalGivenUp"]);
    }
}

#[tokio::test]
async fn a_job_whose_submission_was_never_answered_is_removed_too() {
    let (server, ring) = (cluster(json!({})), Ring::default());
    ring.with(|inside| inside.loses_answers = true);
    reconciled(&server, &ring).await.expect("success");
    ring.with(|inside| inside.loses_answers = false);
    delete(&server, "2100-01-01T00:00:00Z");
    reconciled(&server, &ring).await.expect("success");
    assert!(ring.with(|inside| inside.jobs.is_empty()), "a crawl for nobody goes on");
}
