//! The gateway over gRPC: every call becomes the HTTP request that it stands for, inside the process.
//!
//! So there is one check of tokens, one reading of jobs and one table of problems; this file only says which call is
//! which request. `call` carries it there and back, `streams` reads lists and watches, `about` says what there is.

mod about;
mod call;
mod files;
mod streams;

use axum::Router;
use call::{Doors, document, done, number, path, query, version};
use futures::stream::BoxStream;
use http::{Method, header};
use scrapering_proto::gateway::v1::gateway_server::{Gateway, GatewayServer};
use scrapering_proto::gateway::v1::put_value_request::Precondition;
use scrapering_proto::gateway::v1::{
    AcquireLockRequest, AddSeedsRequest, CreateExportRequest, CreateScheduleRequest, DeleteValueRequest, Document,
    Done, Event, ExclusionRequest, ExportRequest, FilePiece, FindUrlRequest, FollowJobRequest, GetFileRequest,
    GetHostRequest, GetRingRequest, GetValueRequest, HeldLockRequest, JobRequest, LeaveRingRequest, LimitHostRequest,
    ListFrontierRequest, ListHostsRequest, ListJobsRequest, ListKeysRequest, ListOptOutsRequest, ListRequest,
    LookUpRequest, OptInRequest, OptOutRequest, PageBodyRequest, PatchJobRequest, PatchScheduleRequest, Piece,
    PutFileRequest, PutValueRequest, ReadLedgerRequest, ReadRequest, RecoverRingRequest, RedeliverRequest,
    RevokeTokenRequest, ScheduleRequest, ShowLockRequest, SubmitJobRequest, TriggerScheduleRequest, ValidateJobRequest,
    Value, WatchKeysRequest, Written,
};
use serde_json::json;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// Most bytes of a message: a value, and what stands around it.
const LARGEST_MESSAGE_BYTES: usize = 2 * 1024 * 1024;

/// The routes of the service, whose calls are answered by `rest`.
pub(super) fn router(rest: Router) -> Router {
    let doors = Doors::new(rest);
    let server = GatewayServer::new(doors.clone()).max_decoding_message_size(LARGEST_MESSAGE_BYTES);
    Router::new().route_service("/scrapering.gateway.v1.Gateway/{method}", server).merge(about::router(doors))
}

/// What a job is told to do by its path alone.
async fn steer(doors: &Doors, request: Request<JobRequest>, what: &str) -> Answer<Document> {
    doors.ask(request, Method::POST, |JobRequest { id }| path("/v1/jobs", &id, what)).await
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
    type ReadPageBodyStream = Stream<FilePiece>;
    type WatchKeysStream = Stream<Event>;
    type GetFileStream = Stream<FilePiece>;

    async fn submit_job(&self, request: Request<SubmitJobRequest>) -> Answer<Document> {
        let (call, asked) = self.call(request)?;
        let call = call.header(header::CONTENT_TYPE, "application/yaml");
        let call = call.optional(super::IDEMPOTENCY_KEY_HEADER, &asked.idempotency_key);
        document(call.send(Method::POST, "/v1/jobs", asked.job).await?).await
    }

    async fn validate_job(&self, request: Request<ValidateJobRequest>) -> Answer<Document> {
        let (call, ValidateJobRequest { job, urls }) = self.call(request)?;
        let urls: Vec<(&str, &str)> = urls.iter().map(|url| ("url", url.as_str())).collect();
        let call = call.header(header::CONTENT_TYPE, "application/yaml");
        document(call.send(Method::POST, &query("/v1/jobs:validate", &urls), job).await?).await
    }

    async fn get_job(&self, request: Request<JobRequest>) -> Answer<Document> {
        self.read(request, |JobRequest { id }| path("/v1/jobs", &id, "")).await
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> Answer<Document> {
        let place = |ListJobsRequest { cursor, phase, label, limit }| {
            let pairs = [("cursor", &*cursor), ("phase", &phase), ("label", &label), ("limit", &number(limit))];
            query("/v1/jobs", &pairs)
        };
        self.read(request, place).await
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
        told(call.any_or_version(version), Method::PATCH, &path("/v1/jobs", &id, ""), patch).await
    }

    async fn add_seeds(&self, request: Request<AddSeedsRequest>) -> Answer<Document> {
        let (call, AddSeedsRequest { id, urls }) = self.call(request)?;
        let body = json!({"urls": urls}).to_string();
        told(call, Method::POST, &path("/v1/jobs", &id, "/seeds"), body).await
    }

    async fn list_frontier(&self, request: Request<ListFrontierRequest>) -> Answer<Document> {
        let place = |ListFrontierRequest { id, host, pattern, cursor, limit }| {
            let limit = number(limit);
            let pairs = [("host", &*host), ("pattern", &pattern), ("cursor", &cursor), ("limit", &limit)];
            path("/v1/jobs", &id, &query("/frontier", &pairs))
        };
        self.read(request, place).await
    }

    async fn list_exclusions(&self, request: Request<JobRequest>) -> Answer<Document> {
        self.read(request, |JobRequest { id }| path("/v1/jobs", &id, "/exclusions")).await
    }

    async fn add_exclusion(&self, request: Request<ExclusionRequest>) -> Answer<Document> {
        let (call, ExclusionRequest { id, pattern, version }) = self.call(request)?;
        let body = json!({"pattern": pattern}).to_string();
        told(call.any_or_version(version), Method::POST, &path("/v1/jobs", &id, "/exclusions"), body).await
    }

    async fn remove_exclusion(&self, request: Request<ExclusionRequest>) -> Answer<Document> {
        let (call, ExclusionRequest { id, pattern, version }) = self.call(request)?;
        let place = path("/v1/jobs", &id, &query("/exclusions", &[("pattern", &pattern)]));
        document(call.any_or_version(version).send(Method::DELETE, &place, "").await?).await
    }

    async fn delete_job(&self, request: Request<JobRequest>) -> Answer<Done> {
        self.remove(request, |JobRequest { id }| path("/v1/jobs", &id, "")).await
    }

    async fn get_stats(&self, request: Request<JobRequest>) -> Answer<Document> {
        self.read(request, |JobRequest { id }| path("/v1/jobs", &id, "/stats")).await
    }

    async fn follow_job(&self, request: Request<FollowJobRequest>) -> Answer<Self::FollowJobStream> {
        let (call, FollowJobRequest { id, last_event_id }) = self.call(request)?;
        streams::events(call, &path("/v1/jobs", &id, "/events"), &last_event_id).await
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

    async fn read_page_body(&self, request: Request<PageBodyRequest>) -> Answer<Self::ReadPageBodyStream> {
        let (call, PageBodyRequest { id, page }) = self.call(request)?;
        files::body(call, &path("/v1/jobs", &id, &path("/pages", &page, "/body"))).await
    }

    async fn create_export(&self, request: Request<CreateExportRequest>) -> Answer<Document> {
        let (call, CreateExportRequest { id, output, idempotency_key }) = self.call(request)?;
        let call = call.optional(super::IDEMPOTENCY_KEY_HEADER, &idempotency_key);
        told(call, Method::POST, &path("/v1/jobs", &id, "/exports"), output).await
    }

    async fn list_exports(&self, request: Request<JobRequest>) -> Answer<Document> {
        self.read(request, |JobRequest { id }| path("/v1/jobs", &id, "/exports")).await
    }

    async fn get_export(&self, request: Request<ExportRequest>) -> Answer<Document> {
        self.read(request, |ExportRequest { id, export }| path("/v1/jobs", &id, &path("/exports", &export, ""))).await
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
        self.read(request, |GetHostRequest { host }| path("/v1/hosts", &host, "")).await
    }

    async fn list_hosts(&self, request: Request<ListHostsRequest>) -> Answer<Document> {
        let place = |ListHostsRequest { state, cursor, limit }| {
            query("/v1/hosts", &[("state", &state), ("cursor", &cursor), ("limit", &number(limit))])
        };
        self.read(request, place).await
    }

    async fn reset_breaker(&self, request: Request<GetHostRequest>) -> Answer<Document> {
        self.ask(request, Method::DELETE, |GetHostRequest { host }| path("/v1/hosts", &host, "/breaker")).await
    }

    async fn get_robots(&self, request: Request<GetHostRequest>) -> Answer<Document> {
        self.read(request, |GetHostRequest { host }| path("/v1/hosts", &host, "/robots")).await
    }

    async fn read_ledger(&self, request: Request<ReadLedgerRequest>) -> Answer<Document> {
        let place = |ReadLedgerRequest { host, cursor, limit }| {
            path("/v1/hosts", &host, &query("/ledger", &[("cursor", &cursor), ("limit", &number(limit))]))
        };
        self.read(request, place).await
    }

    async fn list_opt_outs(&self, request: Request<ListOptOutsRequest>) -> Answer<Document> {
        self.read(request, |ListOptOutsRequest {}| "/v1/optouts".to_owned()).await
    }

    async fn opt_out(&self, request: Request<OptOutRequest>) -> Answer<Document> {
        let (call, OptOutRequest { host, alone, note }) = self.call(request)?;
        let body = json!({"host": host, "subdomains": !alone, "note": note}).to_string();
        told(call, Method::POST, "/v1/optouts", body).await
    }

    async fn opt_in(&self, request: Request<OptInRequest>) -> Answer<Done> {
        self.remove(request, |OptInRequest { host }| path("/v1/optouts", &host, "")).await
    }

    async fn find_url(&self, request: Request<FindUrlRequest>) -> Answer<Document> {
        self.read(request, |FindUrlRequest { url }| query("/v1/urls", &[("url", &url)])).await
    }

    async fn list_deliveries(&self, request: Request<JobRequest>) -> Answer<Document> {
        self.read(request, |JobRequest { id }| query("/v1/webhooks/deliveries", &[("job", &id)])).await
    }

    async fn redeliver(&self, request: Request<RedeliverRequest>) -> Answer<Document> {
        let place = |RedeliverRequest { id }| path("/v1/webhooks/deliveries", &id, "/redeliver");
        self.ask(request, Method::POST, place).await
    }

    async fn create_schedule(&self, request: Request<CreateScheduleRequest>) -> Answer<Document> {
        let (call, CreateScheduleRequest { schedule }) = self.call(request)?;
        let call = call.header(header::CONTENT_TYPE, "application/yaml");
        document(call.send(Method::POST, "/v1/schedules", schedule).await?).await
    }

    async fn list_schedules(&self, request: Request<ListRequest>) -> Answer<Document> {
        let place =
            |ListRequest { cursor, limit }| query("/v1/schedules", &[("cursor", &cursor), ("limit", &number(limit))]);
        self.read(request, place).await
    }

    async fn get_schedule(&self, request: Request<ScheduleRequest>) -> Answer<Document> {
        self.read(request, |ScheduleRequest { name }| path("/v1/schedules", &name, "")).await
    }

    async fn patch_schedule(&self, request: Request<PatchScheduleRequest>) -> Answer<Document> {
        let (call, PatchScheduleRequest { name, patch, version }) = self.call(request)?;
        told(call.any_or_version(version), Method::PATCH, &path("/v1/schedules", &name, ""), patch).await
    }

    async fn delete_schedule(&self, request: Request<ScheduleRequest>) -> Answer<Done> {
        self.remove(request, |ScheduleRequest { name }| path("/v1/schedules", &name, "")).await
    }

    async fn trigger_schedule(&self, request: Request<TriggerScheduleRequest>) -> Answer<Document> {
        let (call, TriggerScheduleRequest { name, idempotency_key }) = self.call(request)?;
        let call = call.optional(super::IDEMPOTENCY_KEY_HEADER, &idempotency_key);
        document(call.send(Method::POST, &path("/v1/schedules", &name, "/trigger"), "").await?).await
    }

    async fn list_runs(&self, request: Request<ScheduleRequest>) -> Answer<Document> {
        self.read(request, |ScheduleRequest { name }| path("/v1/schedules", &name, "/runs")).await
    }

    async fn limit_host(&self, request: Request<LimitHostRequest>) -> Answer<Document> {
        let (call, LimitHostRequest { host, change }) = self.call(request)?;
        told(call, Method::PATCH, &path("/v1/hosts", &host, ""), change).await
    }

    async fn get_value(&self, request: Request<GetValueRequest>) -> Answer<Value> {
        let (call, asked) = self.call(request)?;
        let more = if asked.any { "?consistency=any" } else { "" };
        let answer = call.send(Method::GET, &path("/v1/kv", &asked.key, more), "").await?;
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
        let answer = call.send(Method::PUT, &path("/v1/kv", &asked.key, ""), asked.content).await?;
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
        told(call, Method::POST, &path("/v1/locks", &asked.name, ""), body.to_string()).await
    }

    async fn renew_lock(&self, request: Request<HeldLockRequest>) -> Answer<Document> {
        let (call, HeldLockRequest { name, token }) = self.call(request)?;
        told(call, Method::PUT, &path("/v1/locks", &name, ""), json!({"token": token}).to_string()).await
    }

    async fn release_lock(&self, request: Request<HeldLockRequest>) -> Answer<Done> {
        let place = |HeldLockRequest { name, token }| path("/v1/locks", &name, &format!("?token={token}"));
        self.remove(request, place).await
    }

    async fn show_lock(&self, request: Request<ShowLockRequest>) -> Answer<Document> {
        self.read(request, |ShowLockRequest { name }| path("/v1/locks", &name, "")).await
    }

    async fn get_ring(&self, request: Request<GetRingRequest>) -> Answer<Document> {
        self.read(request, |GetRingRequest {}| "/v1/ring".to_owned()).await
    }

    async fn get_ring_map(&self, request: Request<GetRingRequest>) -> Answer<Document> {
        self.read(request, |GetRingRequest {}| "/v1/ring/map".to_owned()).await
    }

    async fn look_up(&self, request: Request<LookUpRequest>) -> Answer<Document> {
        self.read(request, |LookUpRequest { key }| query("/v1/ring/lookup", &[("key", &key)])).await
    }

    async fn leave_ring(&self, request: Request<LeaveRingRequest>) -> Answer<Done> {
        self.remove(request, |LeaveRingRequest { node }| path("/v1/nodes", &node, "")).await
    }

    async fn recover_ring(&self, request: Request<RecoverRingRequest>) -> Answer<Document> {
        let (call, RecoverRingRequest { give_up }) = self.call(request)?;
        told(call, Method::POST, "/v1/ring/recover", json!({"giveUp": give_up}).to_string()).await
    }

    async fn revoke_token(&self, request: Request<RevokeTokenRequest>) -> Answer<Done> {
        self.remove(request, |RevokeTokenRequest { id }| path("/v1/tokens", &id, "")).await
    }
}
