//! The console: the web page at `/` of every gateway, with which people look at a ring and steer its jobs.
//!
//! The page holds nothing but itself: everything it shows it reads from `/v1` with the token of the person in front of it.
//! Its files are in this binary. The page is asked for afresh each time; the rest lives under the fingerprint of all
//! files together, and may be kept for ever.

mod assets;

use assets::{ASSETS, Asset, PAGE};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Only files of the gateway itself, no script or style inside the page, no frame around it, and no string that becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// One year: browsers come back by TLS only (RFC 6797).
const TLS_ONLY: &str = "max-age=31536000";
/// What the page may never use.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
/// Where the page says which files belong to it.
const PLACE_OF_FINGERPRINT: &str = "FINGERPRINT";

/// The page as it is sent, and the fingerprint of everything it is made of.
struct Page {
    html: String,
    fingerprint: String,
}

static SERVED: LazyLock<Page> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    hash.update(PAGE);
    for asset in ASSETS {
        hash.update(asset.name);
        hash.update((asset.bytes.len() as u64).to_be_bytes());
        hash.update(asset.bytes);
    }
    let fingerprint: String = hash.finalize()[..10].iter().map(|byte| format!("{byte:02x}")).collect();
    Page { html: PAGE.replace(PLACE_OF_FINGERPRINT, &fingerprint), fingerprint }
});

/// The console's routes: `/` and what the page asks for. Open to everybody, since they say nothing about the ring.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(page)).route("/console/{fingerprint}/{file}", get(file))
}

async fn page(headers: HeaderMap) -> Response {
    let tag = format!("\"{}\"", SERVED.fingerprint);
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(CONTENT_TYPE, "text/html; charset=utf-8")], SERVED.html.as_str()).into_response(),
    };
    harden(response.headers_mut());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(ETAG, HeaderValue::from_str(&tag).expect("hex digits and quotes are visible ASCII"));
    response
}

async fn file(Path((fingerprint, name)): Path<(String, String)>) -> Response {
    let asset = ASSETS.iter().find(|asset| asset.name == name).filter(|_| fingerprint == SERVED.fingerprint);
    let mut response = match asset {
        Some(Asset { content_type, bytes, .. }) => {
            let kept = (CACHE_CONTROL, "public, max-age=31536000, immutable");
            ([(CONTENT_TYPE, *content_type), kept], *bytes).into_response()
        }
        // An open page of another version asks for files that are gone; it must not keep this answer.
        None => (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "no-store")], "not of this version; load the page again\n")
            .into_response(),
    };
    harden(response.headers_mut());
    response
}

fn harden(headers: &mut HeaderMap) {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (STRICT_TRANSPORT_SECURITY, TLS_ONLY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests;
