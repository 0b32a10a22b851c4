//! Jobs over HTTP: what good requests get, and which problem each bad one gets.

use super::memory::{Fault, ITEM};
use super::{GOOD_JOB, House};
use crate::crawl::jobs::JobsError;
use axum::body::Body;
use http::StatusCode;
use scrapering_core::frontier::record::JobId;
use serde_json::{Value, json};

const UNKNOWN: &str = "/v1/jobs/0198c1d2-7f3e-7abc-9def-0123456789ab";
const YAML: (&str, &str) = ("content-type", "application/yaml");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_submitted_job_is_created_at_its_location_as_a_whole_object() {
    let house = House::new();
    let answer = house.submit(&[]).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let job = answer.json();
    let uid = job["metadata"]["uid"].as_str().expect("uid");
    assert_eq!(answer.header("location"), format!("/v1/jobs/{uid}"));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((&job["apiVersion"], &job["kind"]), (&json!("scrapering.io/v1alpha1"), &json!("ScrapeJob")));
    assert_eq!(job["metadata"]["name"], "books");
    assert_eq!(job["metadata"]["creationTimestamp"], "2026-01-02T03:04:05Z");
    assert_eq!(job["spec"]["seeds"][0]["url"], "https://books.example/");
    assert_eq!(job["status"]["phase"], "Running");
    assert_eq!(job["status"]["pages"]["discovered"], 3);
    assert_eq!(house.get(answer.header("location")).await.json(), job);
    assert_eq!(house.get("/v1/jobs").await.json()["items"], json!([job]));
}

#[tokio::test]
async fn json_is_a_job_file_too() {
    let house = House::new();
    let body = json!({"apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob", "metadata": {"name": "j"},
        "spec": {"seeds": [{"url": "https://books.example/"}]}});
    let types = ["application/json", "Application/JSON; charset=utf-8"];
    for content_type in types {
        let answer = house.call("POST", "/v1/jobs", &[("content-type", content_type)], body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{content_type}");
    }
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_job_and_refuses_another_document() {
    let house = House::new();
    let key = ("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
    let first = house.submit(&[key]).await;
    let again = house.submit(&[key]).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(house.jobs.count(), 1);
    let quoted = house.submit(&[(key.0, "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")]).await;
    assert_eq!(quoted.header("location"), first.header("location"));
    let other = house.call("POST", "/v1/jobs", &[YAML, key], GOOD_JOB.replace("books}", "other}")).await;
    assert_eq!(other.problem().slug(), "idempotency-key-reused");
    assert_eq!(other.header("location"), first.header("location"));
    assert_eq!(house.jobs.count(), 1);
    house.submit(&[]).await;
    house.submit(&[]).await;
    assert_eq!(house.jobs.count(), 3, "without a key each submission is a job of its own");
}

#[tokio::test]
async fn a_submission_is_answered_as_the_first_time_although_the_job_was_changed_since() {
    let house = House::new();
    let key = ("idempotency-key", "nightly");
    let first = house.submit(&[key]).await;
    let patch = serde_json::json!({"spec": {"limits": {"maxItems": 7}}}).to_string();
    let json = [("content-type", "application/json")];
    for _ in 0..2 {
        let patched = house.call("PATCH", first.header("location"), &json, patch.clone()).await;
        assert_eq!(patched.status, StatusCode::OK);
        let again = house.submit(&[key]).await;
        assert_eq!((again.status, again.header("location")), (StatusCode::CREATED, first.header("location")));
    }
}

#[tokio::test]
async fn a_bad_idempotency_key_is_refused() {
    let house = House::new();
    let long = "k".repeat(256);
    for key in ["", "  ", "\"\"", &long] {
        assert_eq!(house.submit(&[("idempotency-key", key)]).await.problem().slug(), "invalid-header", "{key}");
    }
    let twice = house.submit(&[("idempotency-key", "a"), ("idempotency-key", "b")]).await;
    assert_eq!(twice.problem().slug(), "invalid-header");
    assert_eq!(house.jobs.count(), 0);
}

#[tokio::test]
async fn a_bad_job_is_refused_with_the_field_and_nothing_is_stored() {
    let house = House::new();
    let bad = GOOD_JOB.replace("seeds", "seedz");
    let answer = house.call("POST", "/v1/jobs", &[YAML], bad).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem();
    assert_eq!(problem.slug(), "invalid-job");
    let places: Vec<_> = problem.errors.iter().map(|error| (error.path.as_str(), error.pointer.as_str())).collect();
    assert_eq!(places, [("spec.seedz", "/spec/seedz"), ("spec.seeds", "/spec/seeds")], "every one is named");
    assert_eq!(house.jobs.count(), 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_problem_of_its_own() {
    let house = House::new();
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("not YAML", b"a: [".to_vec(), "malformed-body"),
        ("not text", b"\xff\xfe".to_vec(), "malformed-body"),
        ("empty", Vec::new(), "malformed-body"),
        ("two documents", format!("{GOOD_JOB}---\n{GOOD_JOB}").into_bytes(), "malformed-body"),
        ("too large", vec![b' '; (1 << 20) + 1], "body-too-large"),
    ];
    for (what, body, slug) in cases {
        let answer = house.call("POST", "/v1/jobs", &[YAML], body).await;
        assert_eq!(answer.problem().slug(), slug, "{what}");
    }
    for content_type in ["application/x-www-form-urlencoded", "text/plain", ""] {
        let answer = house.call("POST", "/v1/jobs", &[("content-type", content_type)], GOOD_JOB).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(answer.problem().slug(), "unsupported-media-type");
    }
    let patch = house.call("PATCH", UNKNOWN, &[JSON], "{").await;
    assert_eq!(patch.problem().slug(), "malformed-body");
    assert_eq!(house.jobs.count(), 0);
}

#[tokio::test]
async fn a_job_is_paused_and_resumed_by_verb_and_by_patch() {
    let house = House::new();
    let location = house.submit(&[]).await.header("location").to_owned();
    let patch = ("content-type", "application/merge-patch+json");
    for (path, headers, body, phase) in [
        ("/pause", vec![], Body::empty(), "Paused"),
        ("/pause", vec![], Body::empty(), "Paused"),
        ("/resume", vec![], Body::empty(), "Running"),
        ("", vec![patch], r#"{"spec":{"suspend":true}}"#.into(), "Paused"),
        ("", vec![patch], "{}".into(), "Paused"),
        ("", vec![patch], r#"{"spec":{"suspend":false}}"#.into(), "Running"),
    ] {
        let method = if path.is_empty() { "PATCH" } else { "POST" };
        let answer = house.call(method, &format!("{location}{path}"), &headers, body).await;
        assert_eq!(answer.status, StatusCode::OK);
        let job = answer.json();
        assert_eq!((&job["status"]["phase"], &job["spec"]["suspend"]), (&json!(phase), &json!(phase == "Paused")));
    }
    let refused = house.call("PATCH", &location, &[patch], r#"{"spec":{"suspend":true,"seeds":[]}}"#).await;
    assert_eq!(refused.problem().errors[0].pointer, "/spec/seeds");
    assert_eq!(house.get(&location).await.json()["status"]["phase"], "Running", "nothing of a bad patch is done");
}

#[tokio::test]
async fn a_deleted_job_is_gone() {
    let house = House::new();
    let location = house.submit(&[]).await.header("location").to_owned();
    let answer = house.call("DELETE", &location, &[], Body::empty()).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::ACCEPTED, 0));
    assert_eq!(house.call("DELETE", &location, &[], Body::empty()).await.problem().slug(), "job-not-found");
}

#[tokio::test]
async fn results_are_lines_with_a_cursor_to_go_on_from() {
    let house = House::new();
    let location = house.submit(&[]).await.header("location").to_owned();
    let answer = house.get(&format!("{location}/items?limit=7")).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert_eq!(answer.body, format!("{ITEM}\n").into_bytes());
    assert_eq!(answer.header("scrapering-complete"), "false");
    let cursor = answer.header("scrapering-cursor");
    let next: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
    assert_eq!(answer.header("link"), format!("<{location}/items?cursor={next}&limit=7>; rel=\"next\""));
    house.call("POST", &format!("{location}/pause"), &[], Body::empty()).await;
    let last = house.get(&format!("{location}/skipped")).await;
    assert_eq!((last.header("scrapering-complete"), last.header("link")), ("true", ""));
    let line: Value = serde_json::from_slice(&last.body).expect("one line");
    assert_eq!(line, json!({"url": "https://books.example/private", "reason": "robotsTxt"}));
    for path in ["items?cursor=%F0%9F%92%A5", "skipped?cursor=never-made-here"] {
        assert_eq!(house.get(&format!("{location}/{path}")).await.problem().slug(), "bad-cursor", "{path}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_too() {
    let house = House::new();
    for path in ["/v1", "/v1/jobs/", "/v2/jobs", "/v1/jobs/x/y", "/v1/jobs/../../etc/passwd"] {
        assert_eq!(house.get(path).await.problem().slug(), "no-such-route", "{path}");
    }
    for path in [UNKNOWN, "/v1/jobs/7", "/v1/jobs/%00", "/v1/jobs/%ff/items"] {
        assert_eq!(house.get(path).await.problem().slug(), "job-not-found", "{path}");
    }
    let answer = house.call("PUT", "/v1/jobs", &[], Body::empty()).await;
    assert_eq!(answer.problem().slug(), "method-not-allowed");
    let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn every_error_of_the_ring_has_its_status() {
    let faults: [(Fault, StatusCode, &str); 5] = [
        (|| JobsError::NotFound(JobId([7; 16])), StatusCode::NOT_FOUND, "job-not-found"),
        (|| JobsError::Conflict("the job has ended".to_owned()), StatusCode::CONFLICT, "conflict"),
        (|| JobsError::BadCursor, StatusCode::BAD_REQUEST, "bad-cursor"),
        (|| JobsError::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (|| JobsError::Indeterminate, StatusCode::GATEWAY_TIMEOUT, "outcome-unknown"),
    ];
    for (fault, status, slug) in faults {
        let house = House::new();
        house.jobs.fail_with(fault);
        for answer in [house.submit(&[]).await, house.get(UNKNOWN).await, house.get(&format!("{UNKNOWN}/items")).await]
        {
            assert_eq!((answer.status, answer.problem().slug()), (status, slug));
        }
        let retry = house.get("/v1/jobs").await;
        assert_eq!(retry.header("retry-after"), if status == StatusCode::SERVICE_UNAVAILABLE { "1" } else { "" });
        assert!(house.submit(&[]).await.header("location").starts_with("/v1/jobs/"), "where to look what became of it");
    }
}

#[tokio::test]
async fn a_node_is_made_to_leave_or_it_is_said_why_not() {
    let house = House::new();
    for (name, status, slug) in [
        ("ring-1", StatusCode::ACCEPTED, ""),
        ("ring-0", StatusCode::CONFLICT, "node-stays"),
        ("ring-2", StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ("ring-9", StatusCode::NOT_FOUND, "node-not-found"),
    ] {
        let answer = house.call("DELETE", &format!("/v1/nodes/{name}"), &[], Body::empty()).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(slug.is_empty() || answer.problem().slug() == slug, "{name}");
    }
}

#[tokio::test]
async fn the_ring_tells_its_administrator_who_owns_a_key() {
    let house = House::new();
    assert_eq!(house.get("/v1/ring").await.json()["nodes"][0]["liveness"], "alive");
    assert_eq!(house.get("/v1/ring/lookup?key=books.example").await.json()["owners"], json!(["ring-0"]));
    for query in ["", "?key=", "?kay=x", "?key=a&key=b"] {
        assert_eq!(
            house.get(&format!("/v1/ring/lookup{query}")).await.problem().slug(),
            "invalid-parameter",
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_job_is_stopped_cancelled_and_its_failed_pages_are_tried_again() {
    let house = House::new();
    let path = house.submit(&[]).await.header("location").to_owned();
    for (act, phase) in [("stop", "Stopped"), ("cancel", "Cancelled"), ("retry-failed", "Running")] {
        let answer = house.call("POST", &format!("{path}/{act}"), &[], Body::empty()).await;
        assert_eq!((answer.status, &answer.json()["status"]["phase"]), (StatusCode::OK, &json!(phase)), "{act}");
        let unknown = house.call("POST", &format!("{UNKNOWN}/{act}"), &[], Body::empty()).await;
        assert_eq!(unknown.problem().slug(), "job-not-found");
    }
}

#[tokio::test]
async fn seeds_are_added_to_a_job_each_with_its_verdict() {
    let house = House::new();
    let path = format!("{}/seeds", house.submit(&[]).await.header("location"));
    let body = json!({"urls": ["https://a.example/", "https://b.example/"]}).to_string();
    let answer = house.call("POST", &path, &[JSON], body).await;
    assert_eq!((answer.status, &answer.json()["items"][1]["status"]), (StatusCode::OK, &json!("OK")));
    let wrong = house.call("POST", &path, &[JSON], json!({"urls": "https://a.example/"}).to_string()).await;
    assert_eq!(wrong.problem().slug(), "invalid-body");
}

#[tokio::test]
async fn a_patch_of_the_spec_is_judged_with_the_whole_job() {
    let house = House::new();
    let path = house.submit(&[]).await.header("location").to_owned();
    let patch = |exclude: &str| json!({"spec": {"scope": {"exclude": [exclude]}}}).to_string();
    assert_eq!(house.call("PATCH", &path, &[JSON], patch("/private/")).await.status, StatusCode::OK);
    let bad = house.call("PATCH", &path, &[JSON], patch("(")).await;
    assert_eq!(bad.problem().slug(), "invalid-patch");
    assert_eq!(bad.json()["errors"][0]["pointer"], "/spec/scope/exclude/0");
}

#[tokio::test]
async fn a_host_is_read_and_limited_for_both_schemes() {
    let house = House::new();
    let answer = house.get("/v1/hosts/shop.example").await;
    let origins: Vec<Value> =
        answer.json()["items"].as_array().expect("a list").iter().map(|host| host["origin"].clone()).collect();
    assert_eq!(origins, ["http://shop.example:80", "https://shop.example:443"]);
    let change = json!({"limits": {"delayMs": 5000, "closed": true}}).to_string();
    let limited = house.call("PATCH", "/v1/hosts/127.0.0.1:8080", &[JSON], change).await.json();
    assert_eq!(limited["items"][0]["limits"], json!({"delayMs": 5000, "closed": true}));
    assert_eq!(limited["items"][0]["origin"], "http://127.0.0.1:8080");
    assert_eq!(house.get("/v1/hosts/a%2Fb").await.problem().slug(), "invalid-parameter");
}

#[tokio::test]
async fn hosts_are_listed_piece_by_piece_and_a_wrong_state_or_cursor_is_named() {
    let house = House::new();
    let first = house.get("/v1/hosts?state=broken&limit=2").await.json();
    assert_eq!(first["items"].as_array().map(Vec::len), Some(2));
    let next = first["next"].as_str().expect("a cursor");
    let rest = house.get(&format!("/v1/hosts?limit=2&cursor={next}")).await.json();
    assert_eq!((rest["items"][0]["origin"].as_str(), rest.get("next")), (Some("http://c.example:80"), None));
    for (query, slug) in
        [("state=sad", "invalid-parameter"), ("limit=0", "invalid-parameter"), ("cursor=%25", "bad-cursor")]
    {
        assert_eq!(house.get(&format!("/v1/hosts?{query}")).await.problem().slug(), slug, "{query}");
    }
    assert_eq!(house.get("/v1/hosts/a.example/ledger?cursor=x").await.problem().slug(), "bad-cursor");
    assert_eq!(house.get("/v1/urls").await.problem().slug(), "invalid-parameter");
    let bad = json!({"host": "https://a.example/"}).to_string();
    assert_eq!(house.call("POST", "/v1/optouts", &[JSON], bad).await.problem().slug(), "invalid-parameter");
    let good = json!({"host": "Bücher.example"}).to_string();
    let made = house.call("POST", "/v1/optouts", &[JSON], good).await.json();
    assert_eq!((made["host"].as_str(), made["subdomains"].as_bool()), (Some("xn--bcher-kva.example"), Some(true)));
}
