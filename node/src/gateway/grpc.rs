//! The gateway over gRPC: every call becomes the HTTP request that it stands for, inside the process.
//!
//! So there is one check of tokens, one reading of jobs and one table of problems; this file only says which call is
//! which request. `call` carries it there and back, `streams` reads lists and watches.

mod call;
mod files;
mod streams;

use axum::Router;
use call::{Doors, document, done, query, version};
use futures::stream::BoxStream;
use http::{Method, header};
use scrapering_proto::gateway::v1::gateway_server::{Gateway, GatewayServer};
use scrapering_proto::gateway::v1::put_value_request::Precondition;
use scrapering_proto::gateway::v1::{
    AcquireLockRequest, AddSeedsRequest, DeleteValueRequest, Document, Done, Event, FilePiece, FollowJobRequest,
    GetFileRequest, GetHostRequest, GetRingRequest, GetValueRequest, HeldLockRequest, JobRequest, LeaveRingRequest,
    LimitHostRequest, ListJobsRequest, ListKeysRequest, LookUpRequest, PatchJobRequest, Piece, PutFileRequest,
    PutValueRequest, ReadRequest, RecoverRingRequest, RevokeTokenRequest, ShowLockRequest, SubmitJobRequest,
    ValidateJobRequest, Value, WatchKeysRequest, Written,
};
use serde_json::json;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// Most bytes of a message: a value, and what stands around it.
const LARGEST_MESSAGE_BYTES: usize = 2 * 1024 * 1024;

/// The routes of the service, whose calls are answered by `rest`.
pub(super) fn router(rest: Router) -> Router {
    let server = GatewayServer::new(Doors::new(rest)).max_decoding_message_size(LARGEST_MESSAGE_BYTES);
    Router::new().route_service("/scrapering.gateway.v1.Gateway/{method}", server)
}

/// What a job is told to do by its path alone.
async fn steer(doors: &Doors, request: Request<JobRequest>, what: &str) -> Answer<Document> {
    let (call, JobRequest { id }) = doors.call(request)?;
    document(call.send(Method::POST, &call::path("/v1/jobs", &id, what), "").await?).await
}

/// A document that is sent as it came.
async fn told(call: call::Call, method: Method, path: &str, json: String) -> Answer<Document> {
    let call = call.header(header::CONTENT_TYPE, "application/json");
    document(call.send(method, path, json).await?).await
}

#[tonic::async_trait]
impl Gateway for Doors {
    type FollowJobStream = Stream<Event>;
    type ReadItemsStream = Stream<Piece>;
    type ReadPagesStream = Stream<Piece>;
    type ReadSkippedStream = Stream<Piece>;
    type ReadErrorsStream = Stream<Piece>;
    type WatchKeysStream = Stream<Event>;
    type GetFileStream = Stream<FilePiece>;

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
        let (call, ListJobsRequest { cursor }) = self.call(request)?;
        document(call.send(Method::GET, &query("/v1/jobs", &[("cursor", &cursor)]), "").await?).await
    }

    async fn pause_job(&self, request: Request<JobRequest>) -> Answer<Document> {
        steer(self, request, "/pause").await
    }

    async fn resume_job(&self, request: Request<JobRequest>) -> Answer<Document> {
        steer(self, request, "/resume").await
    }

    async fn stop_job(&self, request: Request<JobRequest>) -> Answer<Document> {
        steer(self, request, "/stop").await
    }

    async fn cancel_job(&self, request: Request<JobRequest>) -> Answer<Document> {
        steer(self, request, "/cancel").await
    }

    async fn retry_failed(&self, request: Request<JobRequest>) -> Answer<Document> {
        steer(self, request, "/retry-failed").await
    }

    async fn patch_job(&self, request: Request<PatchJobRequest>) -> Answer<Document> {
        let (call, PatchJobRequest { id, patch, version }) = self.call(request)?;
        let condition = if version == 0 { String::new() } else { format!("\"{version}\"") };
        told(call.optional("if-match", &condition), Method::PATCH, &call::path("/v1/jobs", &id, ""), patch).await
    }

    async fn add_seeds(&self, request: Request<AddSeedsRequest>) -> Answer<Document> {
        let (call, AddSeedsRequest { id, urls }) = self.call(request)?;
        let body = json!({"urls": urls}).to_string();
        told(call, Method::POST, &call::path("/v1/jobs", &id, "/seeds"), body).await
    }

    async fn delete_job(&self, request: Request<JobRequest>) -> Answer<Done> {
        let (call, JobRequest { id }) = self.call(request)?;
        done(call.send(Method::DELETE, &call::path("/v1/jobs", &id, ""), "").await?)
    }

    async fn get_stats(&self, request: Request<JobRequest>) -> Answer<Document> {
        let (call, JobRequest { id }) = self.call(request)?;
        document(call.send(Method::GET, &call::path("/v1/jobs", &id, "/stats"), "").await?).await
    }

    async fn follow_job(&self, request: Request<FollowJobRequest>) -> Answer<Self::FollowJobStream> {
        let (call, FollowJobRequest { id, last_event_id }) = self.call(request)?;
        streams::events(call, &call::path("/v1/jobs", &id, "/events"), &last_event_id).await
    }

    async fn read_items(&self, request: Request<ReadRequest>) -> Answer<Self::ReadItemsStream> {
        let (call, asked) = self.call(request)?;
        streams::pieces(call, "items", asked).await
    }

    async fn read_pages(&self, request: Request<ReadRequest>) -> Answer<Self::ReadPagesStream> {
        let (call, asked) = self.call(request)?;
        streams::pieces(call, "pages", asked).await
    }

    async fn read_skipped(&self, request: Request<ReadRequest>) -> Answer<Self::ReadSkippedStream> {
        let (call, asked) = self.call(request)?;
        streams::pieces(call, "skipped", asked).await
    }

    async fn read_errors(&self, request: Request<ReadRequest>) -> Answer<Self::ReadErrorsStream> {
        let (call, asked) = self.call(request)?;
        streams::pieces(call, "errors", asked).await
    }

    async fn test_extract(&self, request: Request<Document>) -> Answer<Document> {
        let (call, Document { json }) = self.call(request)?;
        told(call, Method::POST, "/v1/extract:test", json).await
    }

    async fn scrape_page(&self, request: Request<Document>) -> Answer<Document> {
        let (call, Document { json }) = self.call(request)?;
        told(call, Method::POST, "/v1/scrape", json).await
    }

    async fn get_host(&self, request: Request<GetHostRequest>) -> Answer<Document> {
        let (call, GetHostRequest { host }) = self.call(request)?;
        document(call.send(Method::GET, &call::path("/v1/hosts", &host, ""), "").await?).await
    }

    async fn limit_host(&self, request: Request<LimitHostRequest>) -> Answer<Document> {
        let (call, LimitHostRequest { host, change }) = self.call(request)?;
        told(call, Method::PATCH, &call::path("/v1/hosts", &host, ""), change).await
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
            Some(Precondition::Version(version)) => call.only_version(version),
            Some(Precondition::Absent(absent)) => call.only_if_absent(absent),
        };
        let call = call.optional("content-type", &asked.content_type).optional("operation-id", &asked.operation_id);
        let answer = call.send(Method::PUT, &call::path("/v1/kv", &asked.key, ""), asked.content).await?;
        Ok(Response::new(call::written(&answer)))
    }

    async fn delete_value(&self, request: Request<DeleteValueRequest>) -> Answer<Written> {
        Ok(Response::new(call::written(&self.delete("/v1/kv", request).await?)))
    }

    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Answer<Document> {
        streams::listing(self, request, "/v1/kv").await
    }

    async fn watch_keys(&self, request: Request<WatchKeysRequest>) -> Answer<Self::WatchKeysStream> {
        let (call, WatchKeysRequest { prefix, last_event_id }) = self.call(request)?;
        streams::events(call, &query("/v1/kv", &[("prefix", &prefix), ("watch", "true")]), &last_event_id).await
    }

    async fn put_file(&self, request: Request<Streaming<PutFileRequest>>) -> Answer<Document> {
        let (call, pieces) = self.call(request)?;
        files::put(call, pieces).await
    }

    async fn get_file(&self, request: Request<GetFileRequest>) -> Answer<Self::GetFileStream> {
        let (call, asked) = self.call(request)?;
        files::get(call, asked).await
    }

    async fn list_files(&self, request: Request<ListKeysRequest>) -> Answer<Document> {
        streams::listing(self, request, "/v1/files").await
    }

    async fn delete_file(&self, request: Request<DeleteValueRequest>) -> Answer<Done> {
        done(self.delete("/v1/files", request).await?)
    }

    async fn acquire_lock(&self, request: Request<AcquireLockRequest>) -> Answer<Document> {
        let (call, asked) = self.call(request)?;
        let body = match asked.owner.is_empty() {
            true => json!({"ttlSeconds": asked.ttl_seconds}),
            false => json!({"ttlSeconds": asked.ttl_seconds, "owner": asked.owner}),
        };
        told(call, Method::POST, &call::path("/v1/locks", &asked.name, ""), body.to_string()).await
    }

    async fn renew_lock(&self, request: Request<HeldLockRequest>) -> Answer<Document> {
        let (call, HeldLockRequest { name, token }) = self.call(request)?;
        told(call, Method::PUT, &call::path("/v1/locks", &name, ""), json!({"token": token}).to_string()).await
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

    async fn recover_ring(&self, request: Request<RecoverRingRequest>) -> Answer<Document> {
        let (call, RecoverRingRequest { give_up }) = self.call(request)?;
        told(call, Method::POST, "/v1/ring/recover", json!({"giveUp": give_up}).to_string()).await
    }

    async fn revoke_token(&self, request: Request<RevokeTokenRequest>) -> Answer<Done> {
        let (call, RevokeTokenRequest { id }) = self.call(request)?;
        done(call.send(Method::DELETE, &call::path("/v1/tokens", &id, ""), "").await?)
    }
}
