//! Schedules from outside; that runs are made at their times is tested where schedules are kept.

use super::{Answer, House};
use http::StatusCode;
use serde_json::{Value, json};

/// A schedule called `mine`.
pub(super) const MINE: &str = r#"{"apiVersion":"scrapering.io/v1alpha1","kind":"ScrapeSchedule","metadata":{"name":"mine"},"spec":{"schedule":"0 4 * * *","jobTemplate":{"spec":{"seeds":[{"url":"https://books.example/"}],"request":{"headers":[{"name":"authorization","value":"Bearer hush","secret":true}]}}}}}"#;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn made(house: &House) -> Answer {
    let made = house.call("POST", "/v1/schedules", &JSON, MINE).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/v1/schedules/mine"));
    made
}

#[tokio::test]
async fn a_schedule_is_made_once_read_changed_and_deleted() {
    let house = House::new();
    let first = made(&house).await;
    assert_eq!(made(&house).await.json()["metadata"]["uid"], first.json()["metadata"]["uid"]);
    let other = house.call("POST", "/v1/schedules", &JSON, MINE.replace("0 4", "0 5")).await;
    assert_eq!((other.status, other.problem().slug()), (StatusCode::CONFLICT, "conflict"));

    let read = house.get("/v1/schedules/mine").await.json();
    assert_eq!(read["metadata"]["namespace"], "default");
    assert!(read["status"]["nextScheduleTime"].as_str().is_some_and(|next| next.ends_with("T04:00:00Z")), "{read}");
    assert_eq!(house.get("/v1/schedules").await.json()["items"][0], read);

    let patch = r#"{"spec":{"suspend":true,"schedule":"0 5 * * *"}}"#;
    let tag = [JSON[0], ("if-match", first.header("etag"))];
    let changed = house.call("PATCH", "/v1/schedules/mine", &tag, patch).await;
    assert_eq!(changed.json()["status"], json!({"active": []}), "a suspended schedule has no next time");
    assert_eq!(changed.json()["spec"]["schedule"], "0 5 * * *");
    let late = house.call("PATCH", "/v1/schedules/mine", &tag, patch).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    let bad = house.call("PATCH", "/v1/schedules/mine", &JSON, r#"{"spec":{"schedule":"61 * * * *"}}"#).await;
    assert_eq!((bad.status, bad.problem().slug()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-schedule"));
    assert_eq!(bad.problem().errors[0].path, "spec.schedule");

    assert_eq!(house.call("DELETE", "/v1/schedules/mine", &tag, "").await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(house.call("DELETE", "/v1/schedules/mine", &[], "").await.status, StatusCode::NO_CONTENT);
    let gone = house.get("/v1/schedules/mine").await;
    assert_eq!((gone.status, gone.problem().slug()), (StatusCode::NOT_FOUND, "schedule-not-found"));
}

#[tokio::test]
async fn a_run_that_is_asked_for_is_a_job_and_the_same_request_makes_it_once() {
    let house = House::new();
    made(&house).await;
    let key = [("idempotency-key", "now")];
    let run = house.call("POST", "/v1/schedules/mine/trigger", &key, "").await;
    assert_eq!(run.status, StatusCode::CREATED);
    let job = house.get(run.header("location")).await.json();
    assert_eq!(job["metadata"]["labels"]["scrapering.io/schedule"], "mine");
    house.call("POST", "/v1/schedules/mine/trigger", &key, "").await;
    assert_eq!(house.jobs.count(), 1);
    house.call("POST", "/v1/schedules/mine/trigger", &[], "").await;
    let runs = house.get("/v1/schedules/mine/runs").await.json();
    let ids: Vec<&Value> = runs["items"].as_array().expect("runs").iter().map(|job| &job["metadata"]["uid"]).collect();
    assert_eq!((ids.len(), ids[1]), (2, &job["metadata"]["uid"]), "the newest comes first");
    assert_eq!(house.get("/v1/schedules/mine").await.json()["status"]["active"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn secrets_of_a_schedules_jobs_are_not_shown_and_survive_a_change() {
    let house = House::new();
    made(&house).await;
    let changed = house.call("PATCH", "/v1/schedules/mine", &JSON, r#"{"spec":{"suspend":true}}"#).await;
    let text = String::from_utf8_lossy(&changed.body).into_owned();
    assert!(text.contains("[secret]") && !text.contains("hush"), "{text}");
    house.call("POST", "/v1/schedules/mine/trigger", &[], "").await;
    let stored = house.jobs.complete().expect("a job");
    assert!(stored.contains("Bearer hush"), "{stored}");
}

#[tokio::test]
async fn every_bad_field_of_a_schedule_is_named_at_once() {
    let house = House::new();
    let bad = MINE.replace("0 4 * * *", "never").replace("https://books.example/", "books");
    let problem = house.call("POST", "/v1/schedules", &JSON, bad).await.problem();
    let paths: Vec<&str> = problem.errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["spec.schedule", "spec.jobTemplate.spec.seeds[0].url"]);
    let shape = MINE.replace("\"schedule\":", "\"cron\":");
    let problem = house.call("POST", "/v1/schedules", &JSON, shape).await.problem();
    assert_eq!(problem.slug(), "invalid-schedule");
    assert!(problem.errors.iter().any(|error| error.path.contains("cron")), "{:?}", problem.errors);
}

#[tokio::test]
async fn a_list_is_read_piece_by_piece_in_the_order_of_its_names() {
    let house = House::new();
    for name in ["c", "a", "b"] {
        let document = MINE.replace("mine", name);
        assert_eq!(house.call("POST", "/v1/schedules", &JSON, document).await.status, StatusCode::CREATED);
    }
    let (mut names, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let piece = house.get(&format!("/v1/schedules?{query}")).await.json();
        let items = piece["items"].as_array().expect("items").iter();
        names.extend(items.map(|item| item["metadata"]["name"].as_str().expect("a name").to_owned()));
        let Some(next) = piece["next"].as_str() else { break };
        query = format!("limit=2&cursor={next}");
    }
    assert_eq!(names, ["a", "b", "c"]);
}
