//! What tools ask a gateway over gRPC before anything else: which services there are, and whether they serve.

use super::House;
use futures::{StreamExt, stream};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SERVICE: &str = "scrapering.gateway.v1.Gateway";

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn a_stranger_learns_whether_the_gateway_serves() {
    let house = House::new();
    let mut health = HealthClient::new(house.router.clone());
    for service in ["", SERVICE] {
        let status = health.check(of(service)).await.expect("an answer").into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service:?}");
    }
    assert_eq!(health.check(of("other")).await.expect_err("nobody").code(), Code::NotFound);
    for (service, expected) in [(SERVICE, ServingStatus::Serving), ("other", ServingStatus::ServiceUnknown)] {
        let mut changes = health.watch(of(service)).await.expect("a watch").into_inner();
        let first = changes.next().await.expect("the state now").expect("good").status();
        assert_eq!(first, expected, "{service}");
    }
}

#[tokio::test]
async fn a_tool_that_knows_nothing_learns_every_service() {
    let house = House::new();
    let mut reflection = ServerReflectionClient::new(house.router.clone());
    let ask = |what| ServerReflectionRequest { host: String::new(), message_request: Some(what) };
    let asked = stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SERVICE.to_owned())),
    ]);
    let mut answers = reflection.server_reflection_info(asked).await.expect("answers").into_inner();
    let mut next = async || answers.next().await.expect("an answer").expect("good").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = next().await else { panic!("no list") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&SERVICE) && names.contains(&"grpc.health.v1.Health"), "{names:?}");
    let Some(MessageResponse::FileDescriptorResponse(file)) = next().await else { panic!("no file") };
    let file = String::from_utf8_lossy(&file.file_descriptor_proto.concat()).into_owned();
    assert!(file.contains("SubmitJob") && !file.contains("scrapering.v1."), "what nodes say to each other is not told");
}
