//! `spec.request`, `limits` and `retry`: bounds, and headers that are the node's own.

use super::credentials;
use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use scrapering_core::job::{Limits, RequestOptions, Retry, Secret, Seed, Timeouts};
use scrapering_crds::Span;
use scrapering_crds::job::{
    BACKOFF_LIMIT_MAX, CookieMode, HeaderSpec, OnOutOfScope, RequestSpec, RetrySpec, ScrapeJobSpec, TimeoutsSpec,
};

use super::proxy;
use super::report::{Faults, Place, excerpt};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
const TEN_YEARS: Duration = Duration::from_secs(87_600 * 3_600);
const DEADLINE_SECONDS_MAX: i64 = 315_360_000;
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
const HEADERS_MAX: usize = 32;
const HEADER_VALUE_BYTES_MAX: usize = 4_096;
const USER_AGENT_BYTES_MAX: usize = 256;
const REDIRECTS_MAX: u32 = 20;
const RETRIES_MAX: u32 = 20;
const STATUS_CODES_MAX: usize = 32;
const PAGES_MAX: u64 = 1_000_000_000_000;
const BODY_BYTES_MIN: u64 = 1 << 10;
const BODY_BYTES_MAX: u64 = 1 << 30;

/// Headers that the node writes itself; a job's own would break framing, negotiation or honesty.
const OWN_HEADERS: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub(super) fn request(written: &RequestSpec, seeds: &[Seed], at: &Place, faults: &mut Faults) -> RequestOptions {
    let user_agent = &written.user_agent;
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    if user_agent.trim().is_empty() || user_agent.len() > USER_AGENT_BYTES_MAX || !user_agent.bytes().all(printable) {
        faults.add(&at.field("userAgent"), format!("must be 1 to {USER_AGENT_BYTES_MAX} printable ASCII characters"));
    }
    if written.headers_secret_ref.is_some() {
        let message = "is read in Kubernetes only; here, write the headers into request.headers with `secret: true`";
        faults.add(&at.field("headersSecretRef"), message);
    }
    let max_redirects = written.redirects.max;
    if max_redirects > REDIRECTS_MAX {
        faults.add(&at.field("redirects").field("max"), format!("is {max_redirects}; use 0 to {REDIRECTS_MAX}"));
    }
    let headers = headers(&written.headers, &at.field("headers"), faults);
    let is_private = |index: usize, name: &str| {
        written.headers.get(index).is_some_and(|header| header.secret) || ["authorization", "cookie"].contains(&name)
    };
    let (private, headers): (Vec<_>, Vec<_>) =
        headers.into_iter().enumerate().partition(|(index, (name, _))| is_private(*index, name));
    let private = private.into_iter().map(|(_, (name, value))| (name, Secret::new(value))).collect();
    RequestOptions {
        user_agent: user_agent.clone(),
        headers: headers.into_iter().map(|(_, header)| header).collect(),
        credentials: credentials::credentials(written, private, seeds, at, faults),
        proxies: written
            .proxy
            .as_ref()
            .map(|proxy| proxy::proxies(proxy, &at.field("proxy"), faults))
            .unwrap_or_default(),
        takes_cookies: written.cookies.mode == CookieMode::PerHost,
        timeouts: timeouts(&written.timeouts, &at.field("timeouts"), faults),
        max_redirects,
        redirects_leave_scope: written.redirects.on_out_of_scope == OnOutOfScope::Follow,
    }
}

fn timeouts(written: &TimeoutsSpec, at: &Place, faults: &mut Faults) -> Timeouts {
    let fields = [("connect", written.connect), ("firstByte", written.first_byte), ("total", written.total)];
    for (field, timeout) in fields {
        check_span(timeout, TIMEOUT_MIN, TIMEOUT_MAX, &at.field(field), faults);
    }
    Timeouts { connect: written.connect.0, first_byte: written.first_byte.0, total: written.total.0 }
}

fn headers(written: &[HeaderSpec], at: &Place, faults: &mut Faults) -> Vec<(String, String)> {
    if written.len() > HEADERS_MAX {
        faults.add(at, format!("has {} entries; at most {HEADERS_MAX} are allowed", written.len()));
        return Vec::new();
    }
    let mut known = BTreeSet::new();
    let mut headers = Vec::with_capacity(written.len());
    for (index, header) in written.iter().enumerate() {
        let at_name = at.index(index).field("name");
        let name = header.name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            faults.add(&at_name, format!("`{}` is not the name of a header", excerpt(&header.name)));
        } else if name == "user-agent" {
            faults.add(&at_name, "`User-Agent` is set by request.userAgent");
        } else if OWN_HEADERS.contains(&name.as_str()) {
            faults.add(&at_name, format!("`{name}` is written by the node itself"));
        } else if !known.insert(name.clone()) {
            faults.add(&at_name, format!("`{name}` is set twice; write one entry"));
        }
        let visible = HeaderValue::from_str(&header.value).is_ok() && header.value.is_ascii();
        if !visible || header.value.len() > HEADER_VALUE_BYTES_MAX {
            let message =
                format!("must be at most {HEADER_VALUE_BYTES_MAX} printable ASCII characters, without line breaks");
            faults.add(&at.index(index).field("value"), message);
        }
        headers.push((name, header.value.clone()));
    }
    headers
}

pub(super) fn limits(spec: &ScrapeJobSpec, at: &Place, faults: &mut Faults) -> Limits {
    let (written, at_limits) = (&spec.limits, at.field("limits"));
    let counts = [
        ("maxPages", written.max_pages),
        ("maxPagesPerHost", written.max_pages_per_host),
        ("maxItems", written.max_items),
    ];
    for (field, count) in counts {
        if let Some(count) = count.filter(|count| !(1..=PAGES_MAX).contains(count)) {
            let message = format!("is {count}; use 1 to {PAGES_MAX}, or leave it out for no limit");
            faults.add(&at_limits.field(field), message);
        }
    }
    if let Some(bytes) = written.max_bytes.filter(|bytes| bytes.0 < BODY_BYTES_MIN) {
        faults.add(&at_limits.field("maxBytes"), format!("is {bytes}; use 1Ki at least, or leave it out for no limit"));
    }
    let body = written.max_body_bytes;
    if !(BODY_BYTES_MIN..=BODY_BYTES_MAX).contains(&body.0) {
        faults.add(&at_limits.field("maxBodyBytes"), format!("is {body}; use 1Ki to 1Gi"));
    }
    if let Some(span) = written.max_duration {
        check_span(span, Duration::from_secs(1), TEN_YEARS, &at_limits.field("maxDuration"), faults);
    }
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| !(1..=DEADLINE_SECONDS_MAX).contains(seconds))
    {
        let message = format!("is {seconds}; use 1 to {DEADLINE_SECONDS_MAX}");
        faults.add(&at.field("activeDeadlineSeconds"), message);
    }
    if let Some(most) = spec.backoff_limit.filter(|most| *most > BACKOFF_LIMIT_MAX) {
        let message = format!("is {most}; use 0 to {BACKOFF_LIMIT_MAX}, or leave it out for no limit");
        faults.add(&at.field("backoffLimit"), message);
    }
    Limits {
        max_pages: written.max_pages,
        max_pages_per_host: written.max_pages_per_host,
        max_items: written.max_items,
        max_bytes: written.max_bytes.map(|bytes| bytes.0),
        max_body_bytes: body.0,
        max_duration: spec.time_limit(),
        max_failed: spec.backoff_limit.map(u64::from),
    }
}

pub(super) fn retry(written: &RetrySpec, at: &Place, faults: &mut Faults) -> Retry {
    let max_retries = written.max_retries;
    if max_retries > RETRIES_MAX {
        faults.add(&at.field("maxRetries"), format!("is {max_retries}; use 0 to {RETRIES_MAX}"));
    }
    let at_backoff = at.field("backoff");
    let backoff = &written.backoff;
    check_span(backoff.max, Duration::from_millis(1), DAY, &at_backoff.field("max"), faults);
    if backoff.initial > backoff.max {
        let message =
            format!("is {}, longer than backoff.max ({}); shorten it or raise max", backoff.initial, backoff.max);
        faults.add(&at_backoff.field("initial"), message);
    }
    let mut milli = |field: &str, value: f64, least: f64, most: f64| {
        if !(least..=most).contains(&value) {
            faults.add(&at_backoff.field(field), format!("is {value}; use {least} to {most}"));
        }
        // In bounds, or the job is refused.
        (value.clamp(least, most) * 1_000.0).round() as u32
    };
    let factor_milli = milli("factor", backoff.factor, 1.0, 10.0);
    let jitter_milli = milli("jitter", backoff.jitter, 0.0, 1.0);
    Retry {
        max_retries,
        status_codes: status_codes(&written.status_codes, &at.field("statusCodes"), faults),
        backoff: backoff.initial.0,
        factor_milli,
        max_backoff: backoff.max.0,
        jitter_milli,
    }
}

fn status_codes(written: &[u16], at: &Place, faults: &mut Faults) -> BTreeSet<u16> {
    if written.len() > STATUS_CODES_MAX {
        faults.add(at, format!("has {} entries; at most {STATUS_CODES_MAX} are allowed", written.len()));
    }
    for (index, status) in written.iter().enumerate().filter(|(_, status)| !(400..=599).contains(*status)) {
        faults.add(&at.index(index), format!("is {status}; use statuses of errors, 400 to 599"));
    }
    written.iter().copied().collect()
}

pub(super) fn check_span(span: Span, shortest: Duration, longest: Duration, at: &Place, faults: &mut Faults) {
    if !(shortest..=longest).contains(&span.0) {
        faults.add(at, format!("is {span}; use {} to {}", Span(shortest), Span(longest)));
    }
}
