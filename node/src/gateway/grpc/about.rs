//! What tools ask a gateway before anything else, open to everybody like the probes and the document over HTTP: which
//! services there are (`grpc.reflection`), and whether they serve (`grpc.health.v1`).

use super::call::Doors;
use axum::Router;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::Method;
use scrapering_proto::gateway::DEFINITION;
use std::time::Duration;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::server::Builder;

/// The service whose health can be asked for by name.
const SERVICE: &str = "scrapering.gateway.v1.Gateway";
/// Pause between two looks for who watches.
const PAUSE: Duration = Duration::from_secs(1);

/// The routes of both.
pub(super) fn router(doors: Doors) -> Router {
    let told = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DEFINITION)
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
    };
    let sound = "the definitions were made by a compiler";
    Router::new()
        .route_service("/grpc.reflection.v1.ServerReflection/{method}", told().build_v1().expect(sound))
        .route_service("/grpc.reflection.v1alpha.ServerReflection/{method}", told().build_v1alpha().expect(sound))
        .route_service("/grpc.health.v1.Health/{method}", HealthServer::new(doors))
}

impl Doors {
    async fn health(&self) -> ServingStatus {
        let Ok((call, ())) = self.call(Request::new(())) else { return ServingStatus::Unknown };
        match call.send(Method::GET, "/readyz", "").await {
            Ok(_) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        }
    }
}

#[tonic::async_trait]
impl Health for Doors {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(&request.get_ref().service) {
            return Err(Status::not_found(format!("the services here are {SERVICE} and the empty name")));
        }
        Ok(Response::new(HealthCheckResponse { status: self.health().await.into() }))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let known = is_known(&request.get_ref().service);
        let changes = stream::unfold((self.clone(), None), move |(doors, told)| async move {
            loop {
                let now = if known { doors.health().await } else { ServingStatus::ServiceUnknown };
                if told != Some(now) {
                    return Some((Ok(HealthCheckResponse { status: now.into() }), (doors, Some(now))));
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Ok(Response::new(changes.boxed()))
    }
}

fn is_known(service: &str) -> bool {
    service.is_empty() || service == SERVICE
}
