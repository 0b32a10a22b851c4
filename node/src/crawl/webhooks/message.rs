//! What is posted to a webhook: JSON with a type, a time and data, signed as the Standard Webhooks specification says.

use crate::crawl::doors::moment;
use crate::crawl::jobs::{FetchedPage, JobRef, JobStatus};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use scrapering_core::frontier::delivery::{DeliveryEvent, DeliveryId};
use serde_json::{Value, json};

const USER_AGENT: &str = concat!("scrapering/", env!("CARGO_PKG_VERSION"));

/// The job begins.
pub(super) fn started(job: &JobRef, name: &str, now_ms: u64) -> String {
    message(DeliveryEvent::Started, now_ms, json!({ "job": job.id, "name": name }))
}

/// Pages were fetched.
pub(super) fn pages(job: &JobRef, name: &str, pages: &[FetchedPage], now_ms: u64) -> String {
    // Heads of answers would make a message as large as the pages themselves.
    let pages: Vec<FetchedPage> = pages.iter().map(|page| FetchedPage { stored: None, ..page.clone() }).collect();
    message(DeliveryEvent::Page, now_ms, json!({ "job": job.id, "name": name, "pages": pages }))
}

/// The job has ended.
pub(super) fn ended(event: DeliveryEvent, job: &JobStatus, now_ms: u64) -> String {
    let data = json!({
        "job": job.id, "name": job.name, "phase": job.phase, "reason": job.reason, "message": job.message,
        "pages": job.pages, "items": job.items, "itemErrors": job.item_errors, "bytes": job.bytes,
        "startTime": job.started_at, "completionTime": job.completed_at,
    });
    message(event, now_ms, data)
}

fn message(event: DeliveryEvent, now_ms: u64, data: Value) -> String {
    json!({ "type": event.as_str(), "timestamp": moment(now_ms), "data": data }).to_string()
}

/// The headers of a message: its name, the time of this attempt in seconds since 1970, and the signature over both and
/// the body (Standard Webhooks, "Webhook metadata").
pub(super) fn headers(id: DeliveryId, seconds: u64, body: &str, key: Option<&[u8]>) -> HeaderMap {
    let visible = |text: &str| HeaderValue::from_str(text).expect("numbers, hexadecimal and base64 are visible ASCII");
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", visible(&id.to_string()));
    headers.insert("webhook-timestamp", visible(&seconds.to_string()));
    if let Some(key) = key {
        let signed = format!("{id}.{seconds}.{body}");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        headers.insert("webhook-signature", visible(&format!("v1,{}", STANDARD.encode(tag.as_ref()))));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_core::frontier::record::JobId;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        let id = DeliveryId { job: JobId([0; 16]), hook: 0, number: 7 };
        let headers = headers(id, 1_614_265_330, "{\"test\": 2432232314}", Some(b"a key of sixteen"));
        assert_eq!(headers["webhook-id"], "00000000-0000-0000-0000-000000000000-0-7");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], "v1,XatmEUZaknZABNv/GjPofpjsxXJ8/Bdny7aqIdu9EuQ=");
    }

    #[test]
    fn without_a_key_there_is_no_signature() {
        let id = DeliveryId { job: JobId([0; 16]), hook: 0, number: 0 };
        assert!(!headers(id, 1, "{}", None).contains_key("webhook-signature"));
    }
}
