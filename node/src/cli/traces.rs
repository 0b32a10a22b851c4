//! Where the log goes, and for nodes where spans go: set up once for a process.

use super::Command;
use super::columns;
use crate::traces::{Traces, TracesError};
use clap::Args;
use std::io::IsTerminal;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Where spans are sent.
#[derive(Clone, Debug, Args)]
pub(super) struct TraceArgs {
    /// Collector that is sent a span of whatever a request causes (OTLP over gRPC), such as http://collector:4317 [default: none].
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub(super) otlp_endpoint: Option<String>,
}

/// Sets up the log, and the export of spans if `command` asks for it.
pub(super) fn set_up(command: &Command) -> Result<Option<Traces>, TracesError> {
    let traces = match command.traces() {
        Some((TraceArgs { otlp_endpoint: Some(endpoint) }, name)) => Some(Traces::start(endpoint, name)?),
        _ => None,
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(command.usual_log()));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(columns::has_colours(std::io::stderr().is_terminal()));
    // For those who collect logs: one JSON object a line, with the trace of the request that caused it.
    let log = if std::env::var("SCRAPERING_LOG_FORMAT").is_ok_and(|format| format == "json") {
        log.json().flatten_event(true).with_span_list(false).boxed()
    } else {
        log.boxed()
    };
    let export = traces.as_ref().map(Traces::layer);
    tracing_subscriber::registry().with(export).with(log.with_filter(filter)).init();
    Ok(traces)
}
