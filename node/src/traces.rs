//! Traces for those who collect them: what a request causes, from its gateway over the ring's calls to the disk, sent to an
//! OpenTelemetry collector (OTLP over gRPC).
//!
//! Off unless a collector is named. Spans of [`TARGET`] reach nothing but the exporter; without one nobody listens to
//! them, and a span to which nobody listens is a comparison. A span goes on at another node by `traceparent` (W3C Trace
//! Context): in the metadata of a call, and beside each envelope, because one call carries envelopes of many requests.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

/// Spans that are exported have this target, and the level `TRACE`.
pub const TARGET: &str = "scrapering::traces";
/// Where a call carries its trace.
pub const HEADER: &str = "traceparent";
/// How long the last spans may take to leave when the node stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether anybody collects: who asks for the present span first asks here.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// The collector cannot be used; nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("spans cannot be sent to {endpoint}; name the collector as --otlp-endpoint http://HOST:4317")]
pub struct TracesError {
    endpoint: String,
    #[source]
    source: ExporterBuildError,
}

/// The export of this process's spans.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends spans to the collector at `endpoint`, as those of `instance`. Must be called within a tokio runtime.
    ///
    /// Sampling, headers and certificates are taken from the environment as OpenTelemetry names them.
    ///
    /// # Errors
    /// [`TracesError`]: the endpoint is no URL. A collector that does not answer is none: its spans are lost.
    pub fn start(endpoint: &str, instance: Option<&str>) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
        let exporter = exporter.map_err(|source| TracesError { endpoint: endpoint.to_owned(), source })?;
        let mut resource = Resource::builder().with_service_name("scrapering");
        if let Some(instance) = instance {
            resource = resource.with_attribute(KeyValue::new("service.instance.id", instance.to_owned()));
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        IS_ON.store(true, Ordering::Relaxed);
        Ok(Self { provider })
    }

    /// Brings the spans of [`TARGET`], and no others, to the export.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.provider.tracer("scrapering"));
        let layer = layer.with_threads(false).with_location(false).with_tracked_inactivity(false).with_target(false);
        layer.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
    }

    /// Sends what is left, for a moment.
    pub fn end(self) {
        // What did not leave in time is lost, as it would be without a collector.
        let _ = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT);
    }
}

/// The present span, to be the parent of what goes on elsewhere; none if nobody collects.
#[must_use]
pub fn here() -> Span {
    if IS_ON.load(Ordering::Relaxed) { Span::current() } else { Span::none() }
}

/// What a call says to go on with `span` at another node; `None` if nobody collects it.
#[must_use]
pub fn carried(span: &Span) -> Option<String> {
    let context = if span.is_disabled() { return None } else { context_of(span)? };
    let flags = context.trace_flags().to_u8();
    Some(format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
}

/// The trace that `span` belongs to; `None` if nobody collects it.
#[must_use]
pub fn trace_of(span: &Span) -> Option<u128> {
    let context = if span.is_disabled() { return None } else { context_of(span)? };
    Some(u128::from_be_bytes(context.trace_id().to_bytes()))
}

/// Goes on in `span` with what another program or node has begun; text that says nothing begins a trace.
pub fn go_on(span: &Span, traceparent: &str) {
    if let Some(parent) = parsed(traceparent)
        && !span.is_disabled()
    {
        // It fails only for a span that was entered already, and then it stays in the trace that it began.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// A span of the node's work for a call that another node makes; none if that is in no trace, or nobody collects.
#[must_use]
pub fn served(what: &str, traceparent: Option<&str>) -> Span {
    match traceparent {
        Some(traceparent) if IS_ON.load(Ordering::Relaxed) => {
            let span =
                tracing::trace_span!(target: TARGET, "served", otel.name = what, otel.kind = "server", node = Empty);
            go_on(&span, traceparent);
            span
        }
        _ => Span::none(),
    }
}

fn context_of(span: &Span) -> Option<SpanContext> {
    let context = span.context().span().span_context().clone();
    context.is_valid().then_some(context)
}

/// Reads `traceparent`; a version after 00 may have more parts.
fn parsed(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = [(version, 2), (trace, 32), (parent, 16), (flags, 2)];
    if version == "ff" || lengths.iter().any(|(part, length)| part.len() != *length) {
        return None;
    }
    let (trace, parent) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(parent).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    Some(SpanContext::new(trace, parent, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_only_from_a_good_traceparent() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = parsed(good).expect("good");
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in ["", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", &good[..54], &good[1..]] {
            assert!(parsed(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn without_a_collector_there_are_no_spans_and_nothing_is_carried() {
        assert!(here().is_disabled());
        assert!(served("x", Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")).is_disabled());
        let span = tracing::trace_span!(target: TARGET, "x");
        assert!(span.is_disabled() && carried(&span).is_none() && trace_of(&span).is_none());
    }
}
