//! The gateway over gRPC: the same doors, tokens and problems.

use super::{GOOD_JOB, House};
use crate::auth::Scope;
use crate::gateway::ProblemBody;
use axum::Router;
use futures::StreamExt;
use scrapering_proto::gateway::v1::gateway_client::GatewayClient;
use scrapering_proto::gateway::v1::put_value_request::Precondition;
use scrapering_proto::gateway::v1::{
    AcquireLockRequest, GetRingRequest, GetValueRequest, HeldLockRequest, JobRequest, LookUpRequest, PutValueRequest,
    ReadRequest, SubmitJobRequest, WatchKeysRequest,
};
use tonic::{Code, Request, Status};

fn client(house: &House) -> GatewayClient<Router> {
    GatewayClient::new(house.router.clone())
}

impl House {
    /// A call by somebody who may do everything.
    fn asked<T>(&self, message: T) -> Request<T> {
        self.asked_with(message, &Scope::ALL)
    }

    fn asked_with<T>(&self, message: T, scopes: &[Scope]) -> Request<T> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.token(scopes)).parse().expect("ASCII");
        request.metadata_mut().insert("authorization", token);
        request
    }
}

fn problem(status: &Status) -> ProblemBody {
    let bytes = status.metadata().get_bin("problem-bin").expect("a problem").to_bytes().expect("bytes");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn put(key: &str, precondition: Option<Precondition>) -> PutValueRequest {
    PutValueRequest {
        key: key.to_owned(),
        content: b"hello".to_vec().into(),
        precondition,
        ..PutValueRequest::default()
    }
}

#[tokio::test]
async fn a_job_is_submitted_read_steered_and_its_items_come_as_a_stream() {
    let house = House::new();
    let mut client = client(&house);
    assert_eq!(client.get_ring(GetRingRequest {}).await.expect_err("no token").code(), Code::Unauthenticated);
    let job = SubmitJobRequest { job: GOOD_JOB.to_owned(), idempotency_key: "k".to_owned() };
    let document = client.submit_job(house.asked(job.clone())).await.expect("submitted").into_inner().json;
    let id = serde_json::from_str::<serde_json::Value>(&document).expect("JSON")["metadata"]["uid"].clone();
    let id = id.as_str().expect("an id").to_owned();
    assert!(client.submit_job(house.asked(job)).await.expect("again").into_inner().json.contains(&id));
    let paused = client.pause_job(house.asked(JobRequest { id: id.clone() })).await.expect("paused");
    assert!(paused.into_inner().json.contains("Paused"));
    let read = ReadRequest { id: id.clone(), ..ReadRequest::default() };
    let mut items = client.read_items(house.asked(read)).await.expect("items").into_inner();
    let mut lines = Vec::new();
    while let Some(piece) = items.next().await {
        lines.extend(piece.expect("a piece").lines);
    }
    assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with('{')), "{lines:?}");
    client.delete_job(house.asked(JobRequest { id: id.clone() })).await.expect("deleted");
    let gone = client.get_job(house.asked(JobRequest { id })).await.expect_err("gone");
    assert_eq!((gone.code(), problem(&gone).slug()), (Code::NotFound, "job-not-found"));
}

#[tokio::test]
async fn a_bad_job_is_refused_with_its_fields_and_a_token_without_the_scope_is_refused() {
    let house = House::new();
    let bad = SubmitJobRequest { job: GOOD_JOB.replace("https:", "gopher:"), ..SubmitJobRequest::default() };
    let refused = client(&house).submit_job(house.asked(bad)).await.expect_err("bad");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(problem(&refused).errors[0].pointer, "/spec/seeds/0/url");
    let job = SubmitJobRequest { job: GOOD_JOB.to_owned(), ..SubmitJobRequest::default() };
    let refused = client(&house).submit_job(house.asked_with(job, &[Scope::JobsRead])).await.expect_err("scope");
    assert_eq!((refused.code(), problem(&refused).slug()), (Code::PermissionDenied, "forbidden"));
}

#[tokio::test]
async fn keys_are_put_compared_read_and_watched() {
    let house = House::new();
    let mut client = client(&house);
    assert!(client.watch_keys(WatchKeysRequest::default()).await.is_err(), "a stranger may watch");
    let absent = Some(Precondition::Absent(true));
    let written = client.put_value(house.asked(put("a b/c", absent))).await.expect("put").into_inner();
    assert_eq!((written.version, written.operation_id.len()), (1, 32));
    let conflict = client.put_value(house.asked(put("a b/c", absent))).await.expect_err("there already");
    assert_eq!((conflict.code(), problem(&conflict).slug()), (Code::FailedPrecondition, "precondition-failed"));
    let version = Some(Precondition::Version(1));
    assert_eq!(client.put_value(house.asked(put("a b/c", version))).await.expect("put").into_inner().version, 2);
    let get = GetValueRequest { key: "a b/c".to_owned(), any: false };
    let value = client.get_value(house.asked(get)).await.expect("value").into_inner();
    assert_eq!((value.content.as_ref(), value.version), (&b"hello"[..], 2));
    let watch = WatchKeysRequest { prefix: "a".to_owned(), ..WatchKeysRequest::default() };
    let mut events = client.watch_keys(house.asked(watch)).await.expect("watch").into_inner();
    let first = events.next().await.expect("an event").expect("good");
    assert!(first.name == "put" && first.json.contains("a b/c") && !first.id.is_empty(), "{first:?}");
}

#[tokio::test]
async fn locks_and_the_ring_answer_as_over_http() {
    let house = House::new();
    let mut client = client(&house);
    let acquire = AcquireLockRequest { name: "nightly".to_owned(), ttl_seconds: 30, owner: String::new() };
    let lock = client.acquire_lock(house.asked(acquire.clone())).await.expect("taken").into_inner().json;
    let token = serde_json::from_str::<serde_json::Value>(&lock).expect("JSON")["token"].as_u64().expect("a token");
    assert_eq!(client.acquire_lock(house.asked(acquire)).await.expect_err("held").code(), Code::FailedPrecondition);
    let held = HeldLockRequest { name: "nightly".to_owned(), token };
    client.release_lock(house.asked(held)).await.expect("released");
    assert!(client.get_ring(house.asked(GetRingRequest {})).await.expect("ring").into_inner().json.contains("ring-0"));
    let key = LookUpRequest { key: "books.example".to_owned() };
    assert!(client.look_up(house.asked(key)).await.expect("found").into_inner().json.contains("owners"));
}
