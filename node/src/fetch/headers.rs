//! Request headers out of a job's options, and the few response headers the crawl looks at.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use scrapering_core::job::RequestOptions;

use super::AcceptedTypes;
use super::error::FetchError;

/// Headers that frame the message, name the host or choose the encoding: the client sets them, and a job that could would speak for another host
/// or smuggle a second request.
const OURS: &[HeaderName] = &[
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers of a request inside the job's own origin.
///
/// # Errors
/// [`FetchError::BadHeader`] names the header that cannot be sent.
pub(super) fn of_job(options: &RequestOptions, accept: AcceptedTypes) -> Result<HeaderMap, FetchError> {
    let mut headers = of_stranger(options, accept)?;
    for (name, value) in &options.headers {
        let bad = |problem| FetchError::BadHeader { name: name.clone(), problem };
        let header: HeaderName = name.parse().map_err(|_| bad("is no header name"))?;
        if OURS.contains(&header) {
            return Err(bad("is set by the client and cannot be set by a job"));
        }
        let value = HeaderValue::from_str(value).map_err(|_| bad("has a value with characters that cannot be sent"))?;
        headers.insert(header, value);
    }
    Ok(headers)
}

/// The headers of a request to any other origin: who we are and what we read, nothing that belongs to the job.
///
/// # Errors
/// [`FetchError::BadHeader`] if the user agent cannot be sent.
pub(super) fn of_stranger(options: &RequestOptions, accept: AcceptedTypes) -> Result<HeaderMap, FetchError> {
    let user_agent = HeaderValue::from_str(&options.user_agent).map_err(|_| FetchError::BadHeader {
        name: "user-agent".to_owned(),
        problem: "has a value with characters that cannot be sent",
    })?;
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, user_agent);
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept.header_value()));
    Ok(headers)
}

/// The response headers the crawl acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// `Content-Type`, as the server wrote it.
    pub content_type: Option<String>,
    /// Every `X-Robots-Tag`, in order.
    pub x_robots_tag: Vec<String>,
    /// `Retry-After`, to be read with [`super::retry_after::parse`].
    pub retry_after: Option<String>,
}

impl ResponseHeaders {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            content_type: headers.get(header::CONTENT_TYPE).map(text),
            x_robots_tag: headers.get_all("x-robots-tag").iter().map(text).collect(),
            retry_after: headers.get(header::RETRY_AFTER).map(text),
        }
    }
}
