//! The gateway over gRPC: the same doors, tokens and problems.

use super::{GOOD_JOB, House};
use crate::auth::Scope;
use crate::gateway::ProblemBody;
use axum::Router;
use futures::{StreamExt, stream};
use scrapering_proto::gateway::v1::gateway_client::GatewayClient;
use scrapering_proto::gateway::v1::put_value_request::Precondition;
use scrapering_proto::gateway::v1::{
    AcquireLockRequest, AddSeedsRequest, DeleteValueRequest, Document, FileHead, FollowJobRequest, GetFileRequest,
    GetHostRequest, GetRingRequest, GetValueRequest, HeldLockRequest, JobRequest, LimitHostRequest, ListJobsRequest,
    ListKeysRequest, LookUpRequest, PatchJobRequest, PutFileRequest, PutValueRequest, ReadRequest, RecoverRingRequest,
    RevokeTokenRequest, SubmitJobRequest, WatchKeysRequest,
};
use sha2::{Digest, Sha256};
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
async fn a_job_is_changed_followed_stopped_and_its_pages_and_errors_are_read() {
    let house = House::new();
    let mut client = client(&house);
    let job = SubmitJobRequest { job: GOOD_JOB.to_owned(), ..SubmitJobRequest::default() };
    let document = client.submit_job(house.asked(job)).await.expect("submitted").into_inner().json;
    let id = serde_json::from_str::<serde_json::Value>(&document).expect("JSON")["metadata"]["uid"].clone();
    let id = id.as_str().expect("an id").to_owned();
    let patch =
        PatchJobRequest { id: id.clone(), patch: r#"{"spec": {"limits": {"maxItems": 7}}}"#.to_owned(), version: 1 };
    client.patch_job(house.asked(patch.clone())).await.expect("changed");
    let conflict = client.patch_job(house.asked(patch)).await.expect_err("in another version now");
    assert_eq!(problem(&conflict).slug(), "precondition-failed");
    let seeds = AddSeedsRequest { id: id.clone(), urls: vec!["https://books.example/2".to_owned()] };
    assert!(client.add_seeds(house.asked(seeds)).await.expect("verdicts").into_inner().json.contains("OK"));
    let job = || JobRequest { id: id.clone() };
    assert!(client.stop_job(house.asked(job())).await.expect("stopped").into_inner().json.contains("Stopped"));
    let follow = FollowJobRequest { id: id.clone(), ..FollowJobRequest::default() };
    let mut events = client.follow_job(house.asked(follow)).await.expect("events").into_inner();
    let mut names = Vec::new();
    while let Some(event) = events.next().await {
        names.push(event.expect("an event").name);
    }
    assert_eq!(names, ["status", "pages", "end"]);
    let read = ReadRequest { id: id.clone(), ..ReadRequest::default() };
    let mut pages = client.read_pages(house.asked(read.clone())).await.expect("pages").into_inner();
    assert!(pages.next().await.expect("a piece").expect("good").lines[0].contains("fetchedAt"));
    let mut errors = client.read_errors(house.asked(read)).await.expect("errors").into_inner();
    assert!(errors.next().await.expect("a piece").expect("good").lines[0].contains("is no number"));
    assert!(client.get_stats(house.asked(job())).await.is_ok());
    assert!(client.retry_failed(house.asked(job())).await.expect("open").into_inner().json.contains("Running"));
    assert!(client.cancel_job(house.asked(job())).await.expect("over").into_inner().json.contains("Cancelled"));
}

#[tokio::test]
async fn a_file_is_put_in_pieces_read_from_any_byte_listed_and_deleted() {
    let house = House::new();
    let mut client = client(&house);
    let content: Vec<u8> = (0..5_000_000_u32).map(|index| (index % 251) as u8).collect();
    let sha256: Vec<u8> = Sha256::digest(&content).to_vec();
    let head = FileHead { name: "dir/a b".to_owned(), sha256: sha256.clone().into(), ..FileHead::default() };
    let pieces = |head: FileHead, content: &[u8]| {
        let rest = content.chunks(1_000_000).map(|piece| (None, piece.to_vec())).collect::<Vec<_>>();
        let all = std::iter::once((Some(head), Vec::new())).chain(rest);
        stream::iter(all.map(|(head, content)| PutFileRequest { head, content: content.into() }).collect::<Vec<_>>())
    };
    let put = client.put_file(house.asked(pieces(head.clone(), &content))).await.expect("stored").into_inner().json;
    assert!(put.contains("5000000"), "{put}");
    let wrong = client.put_file(house.asked(pieces(head, b"other"))).await.expect_err("another hash");
    assert_eq!((wrong.code(), problem(&wrong).slug()), (Code::InvalidArgument, "digest-mismatch"));
    let nameless = client.put_file(house.asked(stream::iter([PutFileRequest::default()]))).await.expect_err("no name");
    assert_eq!(nameless.code(), Code::InvalidArgument);
    for (offset, length, expected) in [(0, 0, 0..5_000_000), (4_999_000, 0, 4_999_000..5_000_000), (7, 9, 7..16)] {
        let get = GetFileRequest { name: "dir/a b".to_owned(), offset, length };
        let mut pieces = client.get_file(house.asked(get)).await.expect("content").into_inner();
        let facts = pieces.next().await.expect("facts").expect("good").facts.expect("they come first");
        assert_eq!((facts.bytes, facts.sha256.as_ref()), (expected.len() as u64, sha256.as_slice()));
        let mut read = Vec::new();
        while let Some(piece) = pieces.next().await {
            let content = piece.expect("a piece").content;
            assert!(content.len() <= 1024 * 1024, "readers take messages of 4 MiB unless told otherwise");
            read.extend_from_slice(&content);
        }
        assert!(read == content[expected], "from {offset}");
    }
    let list = ListKeysRequest { prefix: "dir/".to_owned(), ..ListKeysRequest::default() };
    assert!(client.list_files(house.asked(list)).await.expect("list").into_inner().json.contains("dir/a b"));
    let name = DeleteValueRequest { key: "dir/a b".to_owned(), ..DeleteValueRequest::default() };
    client.delete_file(house.asked(name)).await.expect("deleted");
    let get = GetFileRequest { name: "dir/a b".to_owned(), ..GetFileRequest::default() };
    assert_eq!(client.get_file(house.asked(get)).await.expect_err("gone").code(), Code::NotFound);
}

#[tokio::test]
async fn hosts_single_pages_lost_nodes_and_tokens_answer_as_over_http() {
    let house = House::new();
    let mut client = client(&house);
    let limit =
        LimitHostRequest { host: "books.example".to_owned(), change: r#"{"limits": {"delayMs": 5000}}"#.to_owned() };
    assert!(client.limit_host(house.asked(limit)).await.expect("limited").into_inner().json.contains("5000"));
    let host = GetHostRequest { host: "books.example:8080".to_owned() };
    assert!(client.get_host(house.asked(host)).await.expect("host").into_inner().json.contains("8080"));
    let trial = r#"{"content": "<h1>x</h1>", "extract": [{"name": "a", "fields": [{"name": "t", "selector": "h1"}]}]}"#;
    let found = client.test_extract(house.asked(Document { json: trial.to_owned() })).await.expect("a report");
    assert!(found.into_inner().json.contains("\"t\":\"x\""));
    let refused = client.scrape_page(house.asked(Document { json: trial.to_owned() })).await.expect_err("no page");
    assert_eq!(problem(&refused).slug(), "invalid-body");
    let nobody = RecoverRingRequest { give_up: Vec::new() };
    let refused = client.recover_ring(house.asked(nobody)).await.expect_err("who is lost?");
    assert_eq!((refused.code(), problem(&refused).slug()), (Code::FailedPrecondition, "not-recovered"));
    let lost = RecoverRingRequest { give_up: vec!["ring-1".to_owned()] };
    assert!(client.recover_ring(house.asked(lost)).await.expect("done").into_inner().json.contains("recovered"));
    let token = house.token(&Scope::ALL);
    let id = crate::auth::token_id(&token).expect("an id");
    client.revoke_token(house.asked(RevokeTokenRequest { id })).await.expect("revoked");
    let mut request = Request::new(ListJobsRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    assert_eq!(client.list_jobs(request).await.expect_err("revoked").code(), Code::Unauthenticated);
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
