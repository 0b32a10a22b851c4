//! The gateway from outside, with jobs in memory behind it.

mod about;
mod access;
mod calls;
mod exports;
mod files;
mod grpc;
mod jobs;
mod kv;
mod locks;
pub(crate) mod memory;
mod results;
mod schedules;
pub(crate) mod serving;
mod tenants;
mod tokens;
mod trial;
mod waiting;

use super::{GatewayState, ProblemBody, openapi, routes};
use crate::auth::{Grant, Issuer, Scope, Tenant};
use crate::crawl::Schedules;
use crate::files::Files;
use crate::files::memory::MemoryBodies;
use crate::kv::Kv;
use crate::kv::memory::MemoryRegisters;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use memory::{MemoryJobs, NoHosts, OneNode};
use scrapering_core::id::RingId;
use std::time::Duration;
use tower::ServiceExt;

/// The ring of these tests.
pub(crate) const RING: RingId = RingId([0xab; 16]);

/// A job that both doors accept.
pub(crate) const GOOD_JOB: &str = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: books}\nspec: {seeds: [{url: 'https://books.example/'}]}\n";

/// A gateway whose tokens can be made.
pub(crate) struct House {
    pub(crate) jobs: MemoryJobs,
    pub(crate) registers: MemoryRegisters,
    bodies: MemoryBodies,
    pub(crate) issuer: Issuer,
    private_pem: String,
    public_pem: String,
    router: Router,
    state: GatewayState,
}

/// An operation as the OpenAPI document describes it.
struct Described {
    id: String,
    /// In capitals.
    method: String,
    /// Parameters in braces.
    path: String,
    /// What its caller needs; nothing if it is open to everybody.
    scope: Option<Scope>,
}

/// Every operation of the document.
fn operations() -> Vec<Described> {
    let document = openapi::value();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("every operation has a name").to_owned();
            let security = operation["security"].as_array().expect("every operation says who may call it");
            let scope = security.first().map(|one| one["token"][0].as_str().expect("a scope"));
            let scope = scope.map(|scope| scope.parse().expect("a scope that there is"));
            all.push(Described { id, method: method.to_uppercase(), path: path.clone(), scope });
        }
    }
    all
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl House {
    pub(crate) fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
        let issuer = Issuer::new(pair.serialize_pem().as_bytes(), RING).expect("issuer");
        let jobs = MemoryJobs::default();
        let registers = MemoryRegisters::default();
        let (kv, bodies) = (Kv::new(registers.clone()), MemoryBodies::default());
        let files = Files::new(kv.clone(), bodies.clone());
        let schedules = Schedules::new(registers.clone(), jobs.clone());
        let state = GatewayState::new(jobs.clone(), NoHosts, schedules, OneNode, files, kv, issuer.verifier());
        let router = routes::router(&state);
        Self {
            jobs,
            registers,
            bodies,
            issuer,
            private_pem: pair.serialize_pem(),
            public_pem: pair.public_key_pem(),
            router,
            state,
        }
    }

    pub(crate) fn token(&self, scopes: &[Scope]) -> String {
        self.token_of(Tenant::default(), scopes)
    }

    fn token_of(&self, tenant: Tenant, scopes: &[Scope]) -> String {
        let scopes = scopes.iter().copied().collect();
        let ttl = Duration::from_secs(600);
        let grant = Grant { subject: "test".to_owned(), tenant, scopes, ttl };
        self.issuer.issue(&grant).expect("token")
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.expect("a router never fails");
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request by somebody who may do everything.
    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        self.call_as(Tenant::default(), method, path, headers, body).await
    }

    /// The same, of another tenant.
    async fn call_as(
        &self,
        tenant: Tenant,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let token = self.token_of(tenant, &Scope::ALL);
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("request")).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], Body::empty()).await
    }

    /// The node's numbers.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
        String::from_utf8(answer.body).expect("text")
    }

    async fn submit(&self, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-type", "application/yaml")];
        all.extend_from_slice(headers);
        self.call("POST", "/v1/jobs", &all, GOOD_JOB).await
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII")).unwrap_or_default()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The problem in the body, which must be one in every respect.
    fn problem(&self) -> ProblemBody {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem: ProblemBody = serde_json::from_slice(&self.body).expect("problem");
        assert_eq!(problem.status, self.status.as_u16());
        assert!(!problem.slug().is_empty() && !problem.title.is_empty() && !problem.detail.is_empty());
        problem
    }
}
