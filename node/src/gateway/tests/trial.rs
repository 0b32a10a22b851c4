//! One page at once over HTTP: rules tried on a page that comes along, and a page that is scraped by a job of its own.

use super::House;
use super::memory::ITEM;
use crate::crawl::jobs::JobsError;
use http::StatusCode;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Rules that ask for a label, as those of a crawl do.
fn rules() -> Value {
    json!([{"name": "book", "match": {"labels": ["detail"]}, "fields": [{"name": "title", "selector": "h1", "required": true}]}])
}

#[tokio::test]
async fn rules_are_tried_on_the_page_in_the_body() {
    let house = House::new();
    let body = json!({"url": "https://books.example/a/", "content": "<h1>Emma</h1><a href=b>", "extract": rules(),
        "follow": [{"selector": "a"}]});
    let answer = house.call("POST", "/v1/extract:test", &[JSON], body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let report = answer.json();
    assert_eq!(report["items"], json!([{"_type": "book", "title": "Emma"}]));
    assert_eq!(report["links"], json!(["https://books.example/a/b"]));
    let body = json!({"url": "https://books.example/a/", "content": "<h1>Emma</h1><p><a href=b>", "follow": [{"xpath": "//p/a/@href"}],
        "extract": [{"name": "book", "baseXPath": "//body", "fields": [{"name": "title", "xpath": "string(h1)"}]}]});
    let report = house.call("POST", "/v1/extract:test", &[JSON], body.to_string()).await.json();
    assert_eq!(report["items"], json!([{"_type": "book", "title": "Emma"}]));
    assert_eq!(report["links"], json!(["https://books.example/a/b"]));
    let body = json!({"content": "<p>", "extract": rules()});
    let report = house.call("POST", "/v1/extract:test", &[JSON], body.to_string()).await.json();
    assert_eq!((&report["items"], &report["itemErrors"][0]["field"]), (&json!([]), &json!("title")));
    assert_eq!(house.jobs.count(), 0);
}

#[tokio::test]
async fn what_is_wrong_with_a_trial_is_told_with_its_field() {
    let house = House::new();
    let selector = json!([{"name": "a", "fields": [{"name": "b", "selector": "["}]}]);
    let cases = [
        ("/v1/extract:test", json!({"content": "", "extract": selector}), "extract[0].fields[0].selector"),
        ("/v1/extract:test", json!({"content": "", "follow": [{"xpath": "//a["}]}), "follow[0].xpath"),
        ("/v1/extract:test", json!({"extract": rules()}), "content"),
        ("/v1/extract:test", json!({"content": "", "url": "shop"}), "url"),
        (
            "/v1/extract:test",
            json!({"content": "", "follow": [{"selector": "a", "priority": 101}]}),
            "follow[0].priority",
        ),
        ("/v1/scrape", json!({"url": "https://books.example/", "extract": selector}), "extract[0].fields[0].selector"),
        ("/v1/scrape", json!({"extract": rules()}), "url"),
        ("/v1/scrape", json!({"url": "ftp://books.example/"}), "url"),
        ("/v1/scrape", json!({"url": "https://books.example/", "content": "<p>"}), "content"),
    ];
    for (path, body, field) in cases {
        let answer = house.call("POST", path, &[JSON], body.to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}");
        let problem = answer.problem();
        assert_eq!((problem.slug(), problem.errors[0].path.as_str()), ("invalid-body", field), "{path} {body}");
    }
    assert_eq!(house.jobs.count(), 0);
}

#[tokio::test]
async fn a_scraped_page_is_a_job_that_is_gone_when_its_items_are_there() {
    let house = House::new();
    let tenant = "other".parse().expect("tenant");
    let body = json!({"url": "https://books.example/1", "extract": rules()});
    let scrape = house.call_as(tenant, "POST", "/v1/scrape", &[JSON], body.to_string());
    let crawl = async {
        loop {
            if let Some(file) = house.jobs.complete() {
                break file;
            }
            tokio::task::yield_now().await;
        }
    };
    let (answer, file) = tokio::join!(scrape, crawl);
    assert_eq!(answer.status, StatusCode::OK);
    let report = answer.json();
    assert_eq!(report["items"], json!([serde_json::from_str::<Value>(ITEM).expect("JSON")]));
    assert_eq!(report["itemErrors"][0]["message"], "`free` is no number");
    assert_eq!(report["skipped"][0]["reason"], "robotsTxt");
    assert_eq!(house.jobs.count(), 0);
    let loaded = crate::job::load(&file).expect("a job that can run");
    assert_eq!(loaded.file.metadata.namespace.as_deref(), Some("other"));
}

#[tokio::test]
async fn a_ring_that_cannot_take_the_job_of_a_page_says_so() {
    let house = House::new();
    house.jobs.fail_with(|| JobsError::Unavailable);
    let body = json!({"url": "https://books.example/1", "extract": rules()});
    let answer = house.call("POST", "/v1/scrape", &[JSON], body.to_string()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn item_errors_are_read_page_by_page() {
    let house = House::new();
    let job = house.submit(&[]).await;
    let location = job.header("location");
    let first = house.get(&format!("{location}/errors")).await;
    assert_eq!(first.status, StatusCode::OK);
    let line: Value = serde_json::from_slice(&first.body).expect("one line");
    assert_eq!((&line["rule"], &line["field"]), (&json!("book"), &json!("price")));
    assert!(first.header("link").contains("/errors?"), "{}", first.header("link"));
}
