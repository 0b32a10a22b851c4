//! What one tenant has is not there for another: every operation of the OpenAPI document is either tried as another
//! tenant, or named here as one that nobody owns.

use super::{Answer, Described, House, operations};
use crate::auth::Tenant;
use http::StatusCode;
use serde_json::json;
use std::collections::BTreeSet;

/// Operations on what is everybody's or nobody's: the ring, its hosts and tokens, and what is only looked at.
const OF_NOBODY: [&str; 18] = [
    "createOptOut",
    "deleteOptOut",
    "limitHost",
    "listHosts",
    "listOptOuts",
    "lookupKey",
    "readHost",
    "readLedger",
    "readMetrics",
    "readRing",
    "readRingMap",
    "readRobots",
    "recoverRing",
    "removeNode",
    "resetBreaker",
    "revokeToken",
    "testExtract",
    "validateJob",
];
/// Operations that make something of the caller's own, whatever another tenant has under the same name.
const MAKERS: [&str; 6] = ["createJob", "createSchedule", "scrapePage", "writeKey", "writeFile", "acquireLock"];
/// Removing what is not there is done already, also when it is there for another.
const REMOVERS: [&str; 2] = ["deleteKey", "deleteFile"];
/// Lists, which begin empty.
const LISTS: [&str; 5] = ["listJobs", "listSchedules", "listKeys", "listFiles", "readUrl"];
/// A job that there is not.
const NO_JOB: &str = "/v1/jobs/0198c1d2-7f3e-7abc-9def-0123456789ab";

pub(super) fn other() -> Tenant {
    "other".parse().expect("tenant")
}

/// Headers, body and query of a request that only its tenant can be wrong of.
fn request_of(operation: &Described) -> (Vec<(&'static str, &'static str)>, &'static str, &'static str) {
    let json = vec![("content-type", "application/json")];
    match operation.id.as_str() {
        "patchJob" | "patchSchedule" => (json, r#"{"spec":{"suspend":true}}"#, ""),
        "addSeeds" => (json, r#"{"urls":["https://books.example/more"]}"#, ""),
        "createExport" => (json, super::exports::OUTPUT, ""),
        "addExclusion" => (json, r#"{"pattern":"/lamp"}"#, ""),
        "removeExclusion" => (vec![], "", "?pattern=/lamp"),
        "renewLock" => (json, r#"{"token":1}"#, ""),
        "releaseLock" => (vec![], "", "?token=1"),
        "listDeliveries" => (vec![], "", "?job={job}"),
        "readUrl" => (vec![], "", "?url=https://books.example/"),
        _ => (vec![], "", ""),
    }
}

/// Sends an operation as another tenant, to the job at `job` and the name `name`.
async fn sent(house: &House, operation: &Described, job: &str, name: &str) -> Answer {
    let (headers, body, query) = request_of(operation);
    let id = job.rsplit('/').next().expect("a path has an end");
    let place = operation.path.replace("/v1/jobs/{id}", job).replace("{key}", name).replace("{name}", name);
    let place = place.replace("/deliveries/{id}", &format!("/deliveries/{id}-0-1")).replace("{page}", &"00".repeat(22));
    let place = place.replace("{export}", "0198c1d2-7f3e-7abc-9def-0123456789ab");
    let query = query.replace("{job}", id);
    house.call_as(other(), &operation.method, &format!("{place}{query}"), &headers, body).await
}

/// A house in which the default tenant has one of everything.
pub(super) async fn furnished() -> (House, String) {
    let house = House::new();
    let job = house.submit(&[]).await.header("location").to_owned();
    let json = [("content-type", "application/json")];
    for (method, path, body) in [
        ("PUT", "/v1/kv/mine", "secret"),
        ("PUT", "/v1/files/mine", "secret"),
        ("POST", "/v1/locks/mine", r#"{"ttlSeconds":60}"#),
        ("POST", "/v1/schedules", super::schedules::MINE),
    ] {
        let answer = house.call(method, path, &json, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.status);
    }
    (house, job)
}

#[tokio::test]
async fn no_operation_of_the_document_reaches_what_another_tenant_has() {
    let (house, job) = furnished().await;
    let mut tried = 0;
    for operation in operations() {
        let id = operation.id.as_str();
        if operation.scope.is_none() || OF_NOBODY.contains(&id) {
            continue;
        }
        tried += 1;
        if MAKERS.contains(&id) || REMOVERS.contains(&id) {
            continue;
        }
        let answer = sent(&house, &operation, &job, "mine").await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("secret") && !text.contains("books"), "{id}: {text}");
        if LISTS.contains(&id) {
            assert_eq!(answer.json()["items"], json!([]), "{id}");
            continue;
        }
        assert!([StatusCode::NOT_FOUND, StatusCode::CONFLICT].contains(&answer.status), "{id}: {text}");
        let nothing = sent(&house, &operation, NO_JOB, "none").await;
        assert_eq!(
            (nothing.status, nothing.problem().title),
            (answer.status, answer.problem().title),
            "{id} tells apart what is not there and what is another's"
        );
    }
    assert!(tried >= 25, "{tried} operations were tried");
    is_untouched(&house, &job).await;
}

#[tokio::test]
async fn what_a_tenant_makes_or_removes_is_its_own() {
    let (house, job) = furnished().await;
    let all = operations();
    let of = |id: &str| all.iter().find(|operation| operation.id == id).expect("it is in the document");
    for id in REMOVERS {
        assert_eq!(sent(&house, of(id), &job, "mine").await.status, StatusCode::NO_CONTENT, "{id}");
    }
    is_untouched(&house, &job).await;
    for (path, method) in [("/v1/kv/mine", "PUT"), ("/v1/files/mine", "PUT")] {
        let made = house.call_as(other(), method, path, &[("if-none-match", "*")], "theirs").await;
        assert_eq!(made.status, StatusCode::CREATED, "{path}");
    }
    let json = [("content-type", "application/json")];
    let held = house.call_as(other(), "POST", "/v1/locks/mine", &json, r#"{"ttlSeconds":60}"#).await;
    assert!(held.status.is_success(), "both hold a lock of that name");
    is_untouched(&house, &job).await;
}

pub(super) async fn is_untouched(house: &House, job: &str) {
    for path in ["/v1/kv/mine", "/v1/files/mine"] {
        assert_eq!(house.get(path).await.body, b"secret", "{path}");
    }
    assert_eq!(house.get(job).await.json()["status"]["phase"], "Running");
    assert_eq!(house.get("/v1/locks/mine").await.status, StatusCode::OK);
    assert_eq!(house.get("/v1/schedules/mine").await.json()["spec"]["suspend"], false);
}

#[test]
fn the_operations_that_are_named_here_are_in_the_document() {
    let known: BTreeSet<String> = operations().into_iter().map(|operation| operation.id).collect();
    let named = OF_NOBODY.iter().chain(&MAKERS).chain(&REMOVERS).chain(&LISTS);
    assert_eq!(named.filter(|id| !known.contains(**id)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[tokio::test]
async fn tenants_have_the_same_names_for_different_things() {
    let house = House::new();
    let key = [("idempotency-key", "one"), ("content-type", "application/yaml")];
    let ours = house.submit(&key[..1]).await;
    let theirs = house.call_as(other(), "POST", "/v1/jobs", &key, super::GOOD_JOB).await;
    assert_ne!(ours.header("location"), theirs.header("location"));
    assert_eq!(theirs.json()["metadata"]["namespace"], "other");
    house.call("PUT", "/v1/kv/name", &[], "ours").await;
    let put = house.call_as(other(), "PUT", "/v1/kv/name", &[("if-none-match", "*")], "theirs").await;
    assert_eq!(put.status, StatusCode::CREATED);
    assert_eq!(house.get("/v1/kv/name").await.body, b"ours");
}

#[tokio::test]
async fn a_job_that_names_another_namespace_is_refused_by_its_field() {
    let house = House::new();
    let job = super::GOOD_JOB.replace("{name: books}", "{name: books, namespace: other}");
    let yaml = [("content-type", "application/yaml")];
    let third = "third".parse().expect("tenant");
    let refused = house.call_as(third, "POST", "/v1/jobs", &yaml, job.clone()).await;
    assert_eq!(refused.problem().errors[0].pointer, "/metadata/namespace");
    let accepted = house.call_as(other(), "POST", "/v1/jobs", &yaml, job.clone()).await;
    assert_eq!(accepted.status, StatusCode::CREATED);
    let alone = house.call("POST", "/v1/jobs", &yaml, job).await;
    assert_eq!(alone.json()["metadata"]["namespace"], "default", "a ring that is not shared takes every file");
}
