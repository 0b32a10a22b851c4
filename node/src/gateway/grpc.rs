//! The gateway over gRPC: every call becomes the HTTP request that it stands for, inside the process.
//!
//! So there is one check of tokens, one reading of jobs and one table of problems; this file only says which call is
//! which request. `call` carries it there and back, `streams` reads lists and watches.

mod call;
mod streams;

use axum::Router;
use call::{Doors, document, done, query, version};
use futures::stream::BoxStream;
use http::{Method, header};
use scrapering_proto::gateway::v1::gateway_server::{Gateway, GatewayServer};
use scrapering_proto::gateway::v1::put_value_request::Precondition;
use scrapering_proto::gateway::v1::{
    AcquireLockRequest, DeleteValueRequest, Document, Done, Event, GetRingRequest, GetValueRequest, HeldLockRequest,
    JobRequest, LeaveRingRequest, ListJobsRequest, ListKeysRequest, LookUpRequest, Piece, PutValueRequest, ReadRequest,
    ShowLockRequest, SubmitJobRequest, ValidateJobRequest, Value, WatchKeysRequest, Written,
};
use serde_json::json;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// Most bytes of a message: a value, and what stands around it.
const LARGEST_MESSAGE_BYTES: usize = 2 * 1024 * 1024;

/// The routes of the service, whose calls are answered by `rest`.
pub(super) fn router(rest: Router) -> Router {
    let server = GatewayServer::new(Doors::new(rest)).max_decoding_message_size(LARGEST_MESSAGE_BYTES);
    Router::new().route_service("/scrapering.gateway.v1.Gateway/{method}", server)
}

#[tonic::async_trait]
impl Gateway for Doors {
    type ReadItemsStream = Stream<Piece>;
    type ReadSkippedStream = Stream<Piece>;
    type WatchKeysStream = Stream<Event>;

    async fn submit_job(&self, request: Request<SubmitJobRequest>) -> Answer<Document> {
        let (call, asked) = self.call(request)?;
        let call = call.header(header::CONTENT_TYPE, "application/yaml");
        let call = call.optional(super::IDEMPOTENCY_KEY_HEADER, &asked.idempotency_key);
        document(call.send(Method::POST, "/v1/jobs", asked.job).await?).await
    }

    async fn validate_job(&self, request: Request<ValidateJobRequest>) -> Answer<Document> {
        let (call, asked) = self.call(request)?;
        let call = call.header(header::CONTENT_TYPE, "application/yaml");
        document(call.send(Method::POST, "/v1/jobs:validate", asked.job).await?).await
    }

    async fn get_job(&self, request: Request<JobRequest>) -> Answer<Document> {
        let (call, JobRequest { id }) = self.call(request)?;
        document(call.send(Method::GET, &call::path("/v1/jobs", &id, ""), "").await?).await
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> Answer<Document> {
        let (call, ListJobsRequest {}) = self.call(request)?;
        document(call.send(Method::GET, "/v1/jobs", "").await?).await
    }

    async fn pause_job(&self, request: Request<JobRequest>) -> Answer<Document> {
        let (call, JobRequest { id }) = self.call(request)?;
        document(call.send(Method::POST, &call::path("/v1/jobs", &id, "/pause"), "").await?).await
    }

    async fn resume_job(&self, request: Request<JobRequest>) -> Answer<Document> {
        let (call, JobRequest { id }) = self.call(request)?;
        document(call.send(Method::POST, &call::path("/v1/jobs", &id, "/resume"), "").await?).await
    }

    async fn delete_job(&self, request: Request<JobRequest>) -> Answer<Done> {
        let (call, JobRequest { id }) = self.call(request)?;
        done(call.send(Method::DELETE, &call::path("/v1/jobs", &id, ""), "").await?)
    }

    async fn read_items(&self, request: Request<ReadRequest>) -> Answer<Self::ReadItemsStream> {
        let (call, asked) = self.call(request)?;
        streams::pieces(call, "items", asked).await
    }

    async fn read_skipped(&self, request: Request<ReadRequest>) -> Answer<Self::ReadSkippedStream> {
        let (call, asked) = self.call(request)?;
        streams::pieces(call, "skipped", asked).await
    }

    async fn get_value(&self, request: Request<GetValueRequest>) -> Answer<Value> {
        let (call, asked) = self.call(request)?;
        let more = if asked.any { "?consistency=any" } else { "" };
        let answer = call.send(Method::GET, &call::path("/v1/kv", &asked.key, more), "").await?;
        let content_type = call::header_text(&answer, "content-type");
        let operation_id = call::header_text(&answer, "operation-id");
        let version = version(&answer);
        let content = call::body(answer).await?;
        Ok(Response::new(Value { content, content_type, version, operation_id }))
    }

    async fn put_value(&self, request: Request<PutValueRequest>) -> Answer<Written> {
        let (call, asked) = self.call(request)?;
        let call = match asked.precondition {
            None => call,
            Some(Precondition::Version(version)) => call.header(header::IF_MATCH, &format!("\"{version}\"")),
            Some(Precondition::Absent(true)) => call.header(header::IF_NONE_MATCH, "*"),
            Some(Precondition::Absent(false)) => {
                return Err(Status::invalid_argument("absent is true or left out: a key cannot be asked to be there"));
            }
        };
        let call = call.optional("content-type", &asked.content_type).optional("operation-id", &asked.operation_id);
        let answer = call.send(Method::PUT, &call::path("/v1/kv", &asked.key, ""), asked.content).await?;
        Ok(Response::new(call::written(&answer)))
    }

    async fn delete_value(&self, request: Request<DeleteValueRequest>) -> Answer<Written> {
        let (call, asked) = self.call(request)?;
        let condition = asked.version.map(|version| format!("\"{version}\"")).unwrap_or_default();
        let call = call.optional("if-match", &condition).optional("operation-id", &asked.operation_id);
        let answer = call.send(Method::DELETE, &call::path("/v1/kv", &asked.key, ""), "").await?;
        Ok(Response::new(call::written(&answer)))
    }

    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Answer<Document> {
        let (call, asked) = self.call(request)?;
        let limit = if asked.limit == 0 { String::new() } else { asked.limit.to_string() };
        let path = query("/v1/kv", &[("prefix", &asked.prefix), ("cursor", &asked.cursor), ("limit", &limit)]);
        document(call.send(Method::GET, &path, "").await?).await
    }

    async fn watch_keys(&self, request: Request<WatchKeysRequest>) -> Answer<Self::WatchKeysStream> {
        let (call, asked) = self.call(request)?;
        streams::events(call, asked).await
    }

    async fn acquire_lock(&self, request: Request<AcquireLockRequest>) -> Answer<Document> {
        let (call, asked) = self.call(request)?;
        let body = match asked.owner.is_empty() {
            true => json!({"ttlSeconds": asked.ttl_seconds}),
            false => json!({"ttlSeconds": asked.ttl_seconds, "owner": asked.owner}),
        };
        let call = call.header(header::CONTENT_TYPE, "application/json");
        document(call.send(Method::POST, &call::path("/v1/locks", &asked.name, ""), body.to_string()).await?).await
    }

    async fn renew_lock(&self, request: Request<HeldLockRequest>) -> Answer<Document> {
        let (call, HeldLockRequest { name, token }) = self.call(request)?;
        let call = call.header(header::CONTENT_TYPE, "application/json");
        let body = json!({"token": token}).to_string();
        document(call.send(Method::PUT, &call::path("/v1/locks", &name, ""), body).await?).await
    }

    async fn release_lock(&self, request: Request<HeldLockRequest>) -> Answer<Done> {
        let (call, HeldLockRequest { name, token }) = self.call(request)?;
        let path = call::path("/v1/locks", &name, &format!("?token={token}"));
        done(call.send(Method::DELETE, &path, "").await?)
    }

    async fn show_lock(&self, request: Request<ShowLockRequest>) -> Answer<Document> {
        let (call, ShowLockRequest { name }) = self.call(request)?;
        document(call.send(Method::GET, &call::path("/v1/locks", &name, ""), "").await?).await
    }

    async fn get_ring(&self, request: Request<GetRingRequest>) -> Answer<Document> {
        let (call, GetRingRequest {}) = self.call(request)?;
        document(call.send(Method::GET, "/v1/ring", "").await?).await
    }

    async fn look_up(&self, request: Request<LookUpRequest>) -> Answer<Document> {
        let (call, LookUpRequest { key }) = self.call(request)?;
        document(call.send(Method::GET, &query("/v1/ring/lookup", &[("key", &key)]), "").await?).await
    }

    async fn leave_ring(&self, request: Request<LeaveRingRequest>) -> Answer<Done> {
        let (call, LeaveRingRequest { node }) = self.call(request)?;
        done(call.send(Method::DELETE, &call::path("/v1/nodes", &node, ""), "").await?)
    }
}
