//! The trace of a request: its id comes from `traceparent` (W3C Trace Context) or is drawn here, stands in every line of
//! the log that the request causes at this node, and goes back in the header `Trace-Id`.

use crate::traces;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Instrument;
use tracing::field::Empty;

/// Where an answer names its trace.
const TRACE_ID: HeaderName = HeaderName::from_static("trace-id");

/// A trace: 16 bytes, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceId(u128);

impl TraceId {
    /// The trace that a request continues.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("traceparent")?.to_str().ok()?;
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        // A version after 00 may have more parts; ff is forbidden.
        let fits = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !fits || !is_hex(trace, 32) || !is_hex(parent, 16) || !is_hex(flags, 2) {
            return None;
        }
        u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0).map(Self)
    }
}

impl std::fmt::Display for TraceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Gives a request its trace, and names it in the answer.
pub(super) async fn traced(mut request: Request, next: Next) -> Response {
    let continued = TraceId::of(request.headers());
    let span = span(&request);
    // Whoever collects spans finds them under the same id.
    let trace = traces::trace_of(&span).map(TraceId).or(continued);
    let trace = trace.unwrap_or_else(|| TraceId(rand::random::<u128>().max(1)));
    request.extensions_mut().insert(trace);
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    let value = HeaderValue::from_str(&trace.to_string()).expect("hex digits are visible ASCII");
    response.headers_mut().insert(TRACE_ID, value);
    response
}

/// The span of a request, for those who collect them.
fn span(request: &Request) -> tracing::Span {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let span = tracing::trace_span!(
        target: traces::TARGET, "request", otel.kind = "server", http.request.method = method, url.path = path,
        http.response.status_code = Empty
    );
    if let Some(parent) = request.headers().get(traces::HEADER).and_then(|value| value.to_str().ok()) {
        traces::go_on(&span, parent);
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_only_from_a_good_traceparent() {
        let of = |text: &str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("traceparent"), text.parse().expect("value"))]);
            TraceId::of(&headers).map(|trace| trace.to_string())
        };
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of(&format!("00-{trace}-00f067aa0ba902b7-01")), Some(trace.to_owned()));
        assert_eq!(of(&format!("01-{trace}-00f067aa0ba902b7-01-more")), Some(trace.to_owned()));
        for bad in [
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-01"),
            String::new(),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
    }
}
