//! Spans of one request on several nodes, as a collector of OpenTelemetry receives them (OTLP over gRPC).

use anyhow::{Context, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use scrapering_e2e::door::{client, until};
use scrapering_e2e::ring::Ring;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// The trace of the request, and the span of the program that asks.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ASKER: &str = "00f067aa0ba902b7";
/// How long spans may take: they leave every few seconds.
const LIMIT: Duration = Duration::from_secs(90);

/// Keeps every span with the node that sent it. A cheap clone.
#[derive(Clone, Debug, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<(String, Span)>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for sent in request.into_inner().resource_spans {
            let node = instance(sent.resource.as_ref());
            let spans = sent.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.extend(spans.map(|span| (node.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn instance(resource: Option<&Resource>) -> String {
    let attributes = resource.into_iter().flat_map(|resource| &resource.attributes);
    let named = attributes.filter(|attribute| attribute.key == "service.instance.id");
    let value = named.filter_map(|attribute| attribute.value.as_ref()?.value.as_ref()).next();
    if let Some(Value::StringValue(name)) = value { name.clone() } else { String::new() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Collector {
    /// Listens on a free port; the address to send to.
    async fn listen(&self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let service = tonic::transport::Server::builder().add_service(TraceServiceServer::new(self.clone()));
        tokio::spawn(service.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(address)
    }

    fn of_trace(&self, trace: &str) -> Vec<(String, Span)> {
        let kept = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|(_, span)| hex(&span.trace_id) == trace).cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_followed_from_its_gateway_through_the_ring_to_the_disks() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::default();
    let options = ["--otlp-endpoint".to_owned(), collector.listen().await?];
    let mut ring = Ring::init(folder.path(), 3).await?.with_options(options.to_vec());
    ring.start_all().await?;
    let http = client(&ring.root().join("ca.pem"))?.build()?;
    let url = format!("https://127.0.0.1:{}/v1/kv/followed", ring.ports().gateway());
    let put = || http.put(&url).bearer_auth(ring.door().token()).body("x");
    let answer = put().header("traceparent", format!("00-{TRACE}-{ASKER}-01")).send().await?;
    ensure!(answer.status().is_success() && answer.headers()["trace-id"] == TRACE, "{answer:?}");
    until("spans of one trace from every node", LIMIT, async || {
        let spans = collector.of_trace(TRACE);
        let committed = |(node, span): &(String, Span)| (span.name == "commit").then(|| node.clone());
        let nodes: BTreeSet<String> = spans.iter().filter_map(committed).collect();
        let has = |name: &str| spans.iter().any(|(_, span)| span.name == name);
        Ok((nodes.len() == 3 && has("request") && has("propose") && has("exchange")).then_some(()))
    })
    .await?;
    let spans = collector.of_trace(TRACE);
    let known: BTreeMap<String, &(String, Span)> = spans.iter().map(|kept| (hex(&kept.1.span_id), kept)).collect();
    for (node, span) in spans.iter().filter(|(_, span)| span.name == "commit") {
        let mut way = vec![(node.as_str(), span.name.as_str())];
        let mut parent = hex(&span.parent_span_id);
        while parent != ASKER {
            let (node, span) = known.get(&parent).with_context(|| format!("{way:?} leads to no span"))?;
            way.push((node, &span.name));
            parent = hex(&span.parent_span_id);
        }
        let names: Vec<&str> = way.iter().map(|(_, name)| *name).collect();
        let expected: &[&str] = match node.as_str() {
            "ring-0" => &["commit", "propose", "request"],
            _ => &["commit", "accept", "exchange", "propose", "request"],
        };
        ensure!(names == expected && way.last() == Some(&("ring-0", "request")), "{way:?}");
    }
    // Without a traceparent the answer names the trace that the collector knows.
    let answer = put().send().await?;
    let drawn = answer.headers()["trace-id"].to_str()?.to_owned();
    until("the spans of a trace that began at the gateway", LIMIT, async || {
        Ok(collector.of_trace(&drawn).iter().any(|(_, span)| span.name == "request").then_some(()))
    })
    .await?;
    ring.stop().await
}
