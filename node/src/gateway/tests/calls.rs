//! Every call of the gRPC service, walked from its definition: each is one operation of the HTTP interface, with its scope
//! and its tenant, and none of those is missing.

use super::tenants::{furnished, is_untouched, other};
use super::{GOOD_JOB, House, operations};
use crate::auth::Scope;
use crate::gateway::grpc;
use axum::Router;
use axum::body::Body;
use http::{Request, Uri};
use http_body_util::BodyExt;
use prost::Message;
use prost::bytes::{BufMut, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use scrapering_proto::gateway::DEFINITION;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tonic::Code;
use tower::ServiceExt;

/// What only Prometheus reads.
const HTTP_ONLY: [&str; 1] = ["readMetrics"];
/// Deepest message within a message.
const DEPTH: usize = 3;

fn definition() -> FileDescriptorProto {
    let mut all = FileDescriptorSet::decode(DEFINITION).expect("a definition");
    all.file.pop().expect("one file")
}

/// Every call: its name, and a request whose texts name something.
fn calls(id: &str) -> Vec<(String, Vec<u8>)> {
    let file = definition();
    let service = file.service.first().expect("one service");
    let calls = service.method.iter().map(|method| {
        let message = filled(&file, method.input_type(), id, DEPTH);
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).expect("short"));
        framed.put_slice(&message);
        (method.name().to_owned(), framed.to_vec())
    });
    calls.collect()
}

fn message<'a>(file: &'a FileDescriptorProto, name: &str) -> &'a DescriptorProto {
    let short = name.rsplit('.').next().expect("a name");
    file.message_type.iter().find(|message| message.name() == short).expect("it is defined")
}

/// A message in which every text field holds something that its call can take.
fn filled(file: &FileDescriptorProto, name: &str, id: &str, depth: usize) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for field in &message(file, name).field {
        let content = match field.r#type() {
            Type::String => text(field.name(), id).as_bytes().to_vec(),
            Type::Message if depth > 0 => filled(file, field.type_name(), id, depth - 1),
            _ => continue,
        };
        let number = u32::try_from(field.number()).expect("a field's number is positive");
        encode_key(number, WireType::LengthDelimited, &mut bytes);
        encode_varint(content.len() as u64, &mut bytes);
        bytes.put_slice(&content);
    }
    bytes.to_vec()
}

fn text<'a>(field: &str, id: &'a str) -> &'a str {
    match field {
        "id" => id,
        "job" => GOOD_JOB,
        "schedule" => super::schedules::MINE,
        "patch" => r#"{"spec":{"suspend":true}}"#,
        "urls" | "url" => "https://books.example/",
        "host" => "books.example",
        "export" => "0198c1d2-7f3e-7abc-9def-0123456789ab",
        "page" => "00000000000000000000000000000000000000000000",
        "key" | "name" | "node" => "mine",
        "pattern" => "/lamp",
        _ => "",
    }
}

/// Makes a call; its code, and the beginning of what it answers.
async fn made(router: &Router, name: &str, message: &[u8], token: Option<&str>) -> (Code, Vec<u8>) {
    let request = Request::post(format!("/scrapering.gateway.v1.Gateway/{name}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let request = token.into_iter().fold(request, |request, token| {
        let token = format!("Bearer {token}");
        request.header("authorization", token)
    });
    let request = request.body(Body::from(message.to_vec())).expect("request");
    let answer = router.clone().oneshot(request).await.expect("a router never fails");
    let code = answer.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    // A watch has no end; its first words show whose it is.
    let frame = answer.into_body().frame().await;
    let data = frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
    (code, data.map(|data| data.to_vec()).unwrap_or_default())
}

fn is_at(template: &str, path: &str) -> bool {
    let mut words = path.split('/');
    let fits = template.split('/').all(|word| {
        let found = words.next();
        if word.starts_with('{') { found.is_some_and(|found| !found.is_empty()) } else { found == Some(word) }
    });
    fits && words.next().is_none()
}

/// The operation, by its name and scope, that each call is.
async fn meanings() -> Vec<(String, String, Scope)> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let recorder = Router::new().fallback(async move |method: http::Method, uri: Uri| {
        seen.lock().expect("lock").push((method.to_string(), uri.path().to_owned()));
    });
    let (router, operations) = (grpc::router(recorder), operations());
    let mut meanings = Vec::new();
    for (name, message) in calls("0198c1d2-7f3e-7abc-9def-0123456789ab") {
        made(&router, &name, &message, None).await;
        let asked: BTreeSet<(String, String)> = std::mem::take(&mut *asked.lock().expect("lock")).into_iter().collect();
        assert_eq!(asked.len(), 1, "{name} is not one operation: {asked:?}");
        let (method, path) = asked.first().expect("one");
        let operation = operations.iter().find(|one| one.method == *method && is_at(&one.path, path));
        let operation = operation.unwrap_or_else(|| panic!("{name} asks for {method} {path}, which is not described"));
        meanings.push((name, operation.id.clone(), operation.scope.expect("calls are for those with a token")));
    }
    meanings
}

#[tokio::test]
async fn every_operation_that_needs_a_token_can_be_called_over_grpc() {
    let called: BTreeSet<String> = meanings().await.into_iter().map(|(_, operation, _)| operation).collect();
    let closed = operations().into_iter().filter(|one| one.scope.is_some()).map(|one| one.id);
    let missing: Vec<String> = closed.filter(|id| !called.contains(id) && !HTTP_ONLY.contains(&&**id)).collect();
    assert_eq!(missing, Vec::<String>::new(), "operations without a call");
}

#[tokio::test]
async fn every_call_refuses_no_token_and_every_scope_but_that_of_its_operation() {
    let house = House::new();
    let messages = calls("0198c1d2-7f3e-7abc-9def-0123456789ab");
    for ((name, message), (_, _, scope)) in messages.iter().zip(meanings().await) {
        let stranger = made(&house.router, name, message, None).await;
        assert_eq!(stranger.0, Code::Unauthenticated, "{name}");
        let others: Vec<Scope> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
        let wrong = made(&house.router, name, message, Some(&house.token(&others))).await;
        assert_eq!(wrong.0, Code::PermissionDenied, "{name} without {scope:?}");
        let right = made(&house.router, name, message, Some(&house.token(&[scope]))).await;
        assert!(![Code::Unauthenticated, Code::PermissionDenied].contains(&right.0), "{name} with {scope:?}");
    }
}

#[tokio::test]
async fn no_call_reaches_what_another_tenant_has() {
    let (house, job) = furnished().await;
    let id = job.rsplit('/').next().expect("a path has an end");
    // Makers answer with what they made of their own.
    let own = ["SubmitJob", "ValidateJob", "CreateSchedule", "TestExtract", "ScrapePage"];
    let everybodys = ["Host", "Breaker", "Robots", "Ledger", "Opt", "Ring", "LookUp", "Token", "LeaveRing"];
    let mut tried = 0;
    for (name, message) in calls(id) {
        if own.contains(&&*name) || everybodys.iter().any(|word| name.contains(word)) {
            continue;
        }
        tried += 1;
        let (_, answer) = made(&house.router, &name, &message, Some(&house.token_of(other(), &Scope::ALL))).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(!answer.contains("secret") && !answer.contains("books"), "{name}: {answer}");
        is_untouched(&house, &job).await;
    }
    assert!(tried >= 30, "{tried} calls were tried");
    let (name, message) = calls(id).into_iter().find(|(name, _)| name == "GetJob").expect("it is a call");
    let (code, answer) = made(&house.router, &name, &message, Some(&house.token(&Scope::ALL))).await;
    assert!(code == Code::Ok && String::from_utf8_lossy(&answer).contains("books"), "the owner reads it: {code:?}");
}
