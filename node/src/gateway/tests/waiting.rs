//! What a job still has before it, from outside; that the store is read rightly is tested with a real ring.

use super::House;
use http::StatusCode;
use serde_json::json;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn patterns_are_added_once_read_and_taken_back() {
    let house = House::new();
    let job = house.submit(&[]).await.header("location").to_owned();
    let path = format!("{job}/exclusions");
    assert_eq!(house.get(&path).await.json(), json!({"items": []}));
    for _ in 0..2 {
        let added = house.call("POST", &path, &JSON, r#"{"pattern":"/a$"}"#).await;
        assert_eq!((added.status, added.json()), (StatusCode::OK, json!({"items": ["/a$"]})));
    }
    let both = house.call("POST", &path, &JSON, r#"{"pattern":"\\?b=c&d"}"#).await.json();
    assert_eq!(both, json!({"items": ["/a$", "\\?b=c&d"]}));
    assert_eq!(house.get(&job).await.json()["spec"]["scope"]["exclude"], both["items"]);
    let left = house.call("DELETE", &format!("{path}?pattern=%5C%3Fb%3Dc%26d"), &[], "").await;
    assert_eq!((left.status, left.json()), (StatusCode::OK, json!({"items": ["/a$"]})));
    let again = house.call("DELETE", &format!("{path}?pattern=none"), &[], "").await;
    assert_eq!(again.json(), left.json(), "one that is not there is no error");
}

#[tokio::test]
async fn a_bad_pattern_is_refused_as_the_field_that_it_was_given_in() {
    let house = House::new();
    let path = format!("{}/exclusions", house.submit(&[]).await.header("location"));
    let refused = house.call("POST", &path, &JSON, r#"{"pattern":"("}"#).await;
    assert_eq!((refused.status, refused.problem().slug()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-body"));
    assert_eq!(refused.problem().errors[0].pointer, "/pattern");
    let nothing = house.call("DELETE", &path, &[], "").await;
    assert_eq!((nothing.status, nothing.problem().slug()), (StatusCode::BAD_REQUEST, "invalid-parameter"));
    let stale = house.call("POST", &path, &[JSON[0], ("if-match", "\"99\"")], r#"{"pattern":"a"}"#).await;
    assert_eq!((stale.status, stale.problem().slug()), (StatusCode::PRECONDITION_FAILED, "precondition-failed"));
    assert_eq!(house.get(&path).await.json(), json!({"items": []}));
}

#[tokio::test]
async fn what_waits_is_read_by_host_and_pattern_and_a_bad_question_is_named() {
    let house = House::new();
    let path = format!("{}/frontier", house.submit(&[]).await.header("location"));
    let all = house.get(&path).await.json();
    assert_eq!(all, json!({"items": [{"url": "https://books.example/waiting", "depth": 1, "priority": 0}]}));
    assert_eq!(house.get(&format!("{path}?pattern=/none&host=books.example:8080")).await.json(), json!({"items": []}));
    for (query, slug, word) in [
        ("host=a/b", "invalid-parameter", "host"),
        ("pattern=(", "invalid-parameter", "pattern"),
        ("limit=0", "invalid-parameter", "limit"),
        ("limit=1001", "invalid-parameter", "limit"),
        ("cursor=nonsense", "bad-cursor", "cursor"),
        ("state=open", "invalid-parameter", "state"),
    ] {
        let refused = house.get(&format!("{path}?{query}")).await;
        let problem = refused.problem();
        assert_eq!((refused.status, problem.slug()), (StatusCode::BAD_REQUEST, slug), "{query}: {}", problem.detail);
        assert!(problem.detail.contains(word), "{query}: {}", problem.detail);
    }
}
