//! Results over HTTP: their forms, versions, numbers and events.

use super::House;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn job(house: &House) -> String {
    house.submit(&[]).await.header("location").to_owned()
}

#[tokio::test]
async fn lists_come_as_lines_as_one_object_and_as_a_table() {
    let house = House::new();
    let job = job(&house).await;
    let get = async |list: &str, accept: &str| {
        house.call("GET", &format!("{job}/{list}"), &[("accept", accept)], Body::empty()).await
    };
    let object = get("items", "application/json").await;
    assert_eq!(object.header("content-type"), "application/json");
    assert_eq!(object.json()["items"], json!([{"_type": "book", "title": "a\nb"}]));
    assert_eq!(object.json()["cursor"], object.header("scrapering-cursor"));
    assert_eq!(object.json()["complete"], false);
    let table = get("items", "text/csv").await;
    assert_eq!(table.body, b"_type,_url,title\r\nbook,,\"a\nb\"\r\n");
    let table = get("skipped", "text/csv").await;
    assert_eq!(table.body, b"url,reason,detail\r\nhttps://books.example/private,robotsTxt,\r\n");
    let lines = get("pages", "*/*").await;
    assert_eq!(serde_json::from_slice::<Value>(&lines.body).expect("one line")["status"], 200);
    let next = get(&format!("pages?cursor={}", lines.header("scrapering-cursor")), "text/csv").await;
    assert!(next.body.starts_with(b"id,url,depth,") && next.body.ends_with(b"itemErrors\r\n"), "only the header");
    let refused = get("items", "image/png").await;
    assert_eq!((refused.status, refused.problem().slug()), (StatusCode::NOT_ACCEPTABLE, "not-acceptable"));
}

#[tokio::test]
async fn a_job_is_changed_only_in_the_version_that_was_read() {
    let house = House::new();
    let job = job(&house).await;
    let tag = house.get(&job).await.header("etag").to_owned();
    assert_eq!(
        tag,
        format!("\"{}\"", house.get(&job).await.json()["metadata"]["resourceVersion"].as_str().expect("text"))
    );
    let paused = house.call("POST", &format!("{job}/pause"), &[("if-match", &tag)], Body::empty()).await;
    assert_eq!(paused.status, StatusCode::OK);
    assert_ne!(paused.header("etag"), tag);
    for (method, path, body) in [
        ("POST", format!("{job}/resume"), ""),
        ("PATCH", job.clone(), r#"{"spec":{"suspend":false}}"#),
        ("PATCH", job.clone(), "{}"),
        ("DELETE", job.clone(), ""),
    ] {
        let headers = [("if-match", tag.as_str()), ("content-type", "application/json")];
        let answer = house.call(method, &path, &headers, body).await;
        assert_eq!(answer.problem().slug(), "precondition-failed", "{method} {path}");
        assert_eq!(answer.header("etag"), paused.header("etag"));
    }
    let wrong = house.call("DELETE", &job, &[("if-match", "7")], Body::empty()).await;
    assert_eq!(wrong.problem().slug(), "invalid-header");
    assert_eq!(house.call("DELETE", &job, &[("if-match", "*")], Body::empty()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn jobs_are_listed_by_phase_and_label_piece_by_piece() {
    let house = House::new();
    for labels in ["{team: a}", "{team: b}", "{team: a, urgent: 'yes'}"] {
        let job = super::GOOD_JOB.replace("{name: books}", &format!("{{name: books, labels: {labels}}}"));
        house.call("POST", "/v1/jobs", &[("content-type", "application/yaml")], job).await;
    }
    let count = async |query: &str| {
        house.get(&format!("/v1/jobs{query}")).await.json()["items"].as_array().expect("items").len()
    };
    assert_eq!(count("?label=team%3Da").await, 2);
    assert_eq!((count("?label=urgent").await, count("?label=team%3Dc").await), (1, 0));
    assert_eq!((count("?phase=Running").await, count("?phase=Paused").await), (3, 0));
    let (mut seen, mut path) = (Vec::new(), "/v1/jobs?limit=2".to_owned());
    loop {
        let page = house.get(&path).await.json();
        seen.extend(page["items"].as_array().expect("items").iter().map(|job| job["metadata"]["uid"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/jobs?limit=2&cursor={next}");
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "every job once");
    for (query, slug) in [
        ("?limit=0", "invalid-parameter"),
        ("?phase=Asleep", "invalid-parameter"),
        ("?label==x", "invalid-parameter"),
        ("?cursor=AAAA", "bad-cursor"),
        ("?page=2", "invalid-parameter"),
    ] {
        assert_eq!(house.get(&format!("/v1/jobs{query}")).await.problem().slug(), slug, "{query}");
    }
}

#[tokio::test]
async fn a_job_is_checked_without_being_submitted_and_urls_are_judged_by_its_scope() {
    let house = House::new();
    let yaml = [("content-type", "application/yaml")];
    let path =
        "/v1/jobs:validate?url=https%3A%2F%2Fbooks.example%2Fa%23b&url=https%3A%2F%2Felse.example%2F&url=nonsense";
    let checked = house.call("POST", path, &yaml, super::GOOD_JOB).await;
    assert_eq!(checked.status, StatusCode::OK);
    let checked = checked.json();
    assert_eq!(checked["job"]["metadata"], json!({"name": "books", "namespace": "default"}));
    assert_eq!(
        checked["urls"][0],
        json!({"url": "https://books.example/a#b", "canonical": "https://books.example/a", "inScope": true})
    );
    assert_eq!((&checked["urls"][1]["inScope"], &checked["urls"][1]["reason"]), (&json!(false), &json!("outOfScope")));
    assert!(checked["urls"][2]["reason"].as_str().is_some() && checked["urls"][2].get("canonical").is_none());
    let bad = super::GOOD_JOB.replace("seeds", "seedz");
    assert_eq!(house.call("POST", "/v1/jobs:validate", &yaml, bad).await.problem().slug(), "invalid-job");
    assert_eq!(house.jobs.count(), 0);
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_and_from_where_a_follower_was() {
    let house = House::new();
    let job = job(&house).await;
    house.call("POST", &format!("{job}/pause"), &[], Body::empty()).await;
    let all = house.get(&format!("{job}/events")).await;
    assert_eq!(all.header("content-type"), "text/event-stream");
    let text = String::from_utf8(all.body).expect("text");
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["status", "pages", "end"]);
    let id = text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().expect("an id");
    let rest = house.call("GET", &format!("{job}/events"), &[("last-event-id", id)], Body::empty()).await;
    let rest = String::from_utf8(rest.body).expect("text");
    assert!(!rest.contains("event: pages") && rest.contains("event: end"), "{rest}");
    let wrong = house.call("GET", &format!("{job}/events"), &[("last-event-id", "%")], Body::empty()).await;
    assert_eq!(wrong.problem().slug(), "invalid-header");
}

#[tokio::test]
async fn a_follower_of_a_running_job_is_told_at_once_what_is_there() {
    let house = House::new();
    let job = job(&house).await;
    let token = house.token(&crate::auth::Scope::ALL);
    let request = Request::get(format!("{job}/events")).header("authorization", format!("Bearer {token}"));
    let answer = house.router.clone().oneshot(request.body(Body::empty()).expect("request")).await.expect("answer");
    let (mut body, mut text) = (answer.into_body(), String::new());
    while !text.contains("event: pages") {
        let frame = body.frame().await.expect("more").expect("whole");
        text.push_str(std::str::from_utf8(frame.data_ref().expect("data")).expect("text"));
    }
    assert!(text.contains("\"phase\":\"Running\"") && text.contains("https://books.example/"), "{text}");
}

#[tokio::test]
async fn a_job_has_numbers() {
    let house = House::new();
    let job = job(&house).await;
    let stats = house.get(&format!("{job}/stats")).await.json();
    assert_eq!(
        (&stats["phase"], &stats["itemsPerPage"], &stats["failureShare"]),
        (&json!("Running"), &json!(0.5), &json!(0.0))
    );
    assert_eq!((&stats["elapsedSeconds"], &stats["pagesPerSecond"]), (&json!(0.0), &json!(0.0)), "it has not started");
}
