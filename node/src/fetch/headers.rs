//! Request headers out of a job's options, and the few response headers the crawl looks at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use scrapering_core::frontier::history::Validators;
use scrapering_core::job::{Auth, NormalizedUrl, RequestOptions};

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

/// The headers of a request for `url`: those of the job, its credentials if they are for this origin, and cookies.
///
/// # Errors
/// [`FetchError::BadHeader`] names the header that cannot be sent.
pub(super) fn of_page(
    options: &RequestOptions,
    url: &NormalizedUrl,
    cookies: Option<&str>,
    accept: AcceptedTypes<'_>,
) -> Result<HeaderMap, FetchError> {
    let mut headers = of_job(options, accept)?;
    if options.credentials.are_for(url) {
        for (name, value) in &options.credentials.headers {
            set(&mut headers, name, value.reveal())?;
        }
        if let Some(auth) = &options.credentials.auth {
            set(&mut headers, header::AUTHORIZATION.as_str(), &authorization(auth))?;
        }
    }
    if let Some(cookies) = cookies {
        let own = headers.get(header::COOKIE).and_then(|value| value.to_str().ok()).map(|own| format!("{own}; "));
        set(&mut headers, header::COOKIE.as_str(), &format!("{}{cookies}", own.unwrap_or_default()))?;
    }
    for name in [header::AUTHORIZATION, header::COOKIE] {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    Ok(headers)
}

/// RFC 7617, section 2, and RFC 6750, section 2.1.
fn authorization(auth: &Auth) -> String {
    match auth {
        Auth::Basic { username, password } => {
            format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.reveal())))
        }
        Auth::Bearer(token) => format!("Bearer {}", token.reveal()),
    }
}

/// The headers of the job that are for every origin.
///
/// # Errors
/// [`FetchError::BadHeader`] names the header that cannot be sent.
pub(super) fn of_job(options: &RequestOptions, accept: AcceptedTypes<'_>) -> Result<HeaderMap, FetchError> {
    let mut headers = of_stranger(options, accept)?;
    for (name, value) in &options.headers {
        set(&mut headers, name, value)?;
    }
    Ok(headers)
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), FetchError> {
    let bad = |problem| FetchError::BadHeader { name: name.to_owned(), problem };
    let header: HeaderName = name.parse().map_err(|_| bad("is no header name"))?;
    if OURS.contains(&header) {
        return Err(bad("is set by the client and cannot be set by a job"));
    }
    let value = HeaderValue::from_str(value).map_err(|_| bad("has a value with characters that cannot be sent"))?;
    headers.insert(header, value);
    Ok(())
}

/// The headers of a request to any other origin: who we are and what we read, nothing that belongs to the job.
///
/// # Errors
/// [`FetchError::BadHeader`] if the user agent cannot be sent.
pub(super) fn of_stranger(options: &RequestOptions, accept: AcceptedTypes<'_>) -> Result<HeaderMap, FetchError> {
    let user_agent = HeaderValue::from_str(&options.user_agent).map_err(|_| FetchError::BadHeader {
        name: "user-agent".to_owned(),
        problem: "has a value with characters that cannot be sent",
    })?;
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, user_agent);
    let accept = HeaderValue::from_str(&accept.header_value()).expect("media types are visible ASCII");
    headers.insert(header::ACCEPT, accept);
    Ok(headers)
}

/// Cookies that are taken from one answer.
const SET_COOKIES_MAX: usize = 50;

/// What the host wants to be sent back: every `Set-Cookie`, in order; at most 50.
pub(super) fn set_cookies(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(header::SET_COOKIE).iter().take(SET_COOKIES_MAX).map(text).collect()
}

/// A value as text; what is none is made one.
pub(super) fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Asks for a page only if it is another by now (RFC 9110, sections 13.1.2 and 13.1.3). A condition that the job sets itself
/// stays.
pub(super) fn add_conditions(headers: &mut HeaderMap, validators: &Validators) {
    let conditions =
        [(header::IF_NONE_MATCH, &validators.etag), (header::IF_MODIFIED_SINCE, &validators.last_modified)];
    for (name, value) in conditions {
        if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_str) {
            headers.entry(name).or_insert(value);
        }
    }
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
    /// `ETag` and `Last-Modified`.
    pub validators: Validators,
}

impl ResponseHeaders {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            content_type: headers.get(header::CONTENT_TYPE).map(text),
            x_robots_tag: headers.get_all("x-robots-tag").iter().map(text).collect(),
            retry_after: headers.get(header::RETRY_AFTER).map(text),
            validators: Validators {
                etag: headers.get(header::ETAG).map(text),
                last_modified: headers.get(header::LAST_MODIFIED).map(text),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_sent_as_they_were_received_and_a_jobs_own_stay() {
        let mut received = HeaderMap::new();
        received.insert(header::ETAG, HeaderValue::from_static("W/\"a\""));
        received.insert(header::LAST_MODIFIED, HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
        let validators = ResponseHeaders::of(&received).validators;
        let mut sent = HeaderMap::new();
        add_conditions(&mut sent, &validators);
        assert_eq!(sent[header::IF_NONE_MATCH], "W/\"a\"");
        assert_eq!(sent[header::IF_MODIFIED_SINCE], "Thu, 01 Jan 2026 00:00:00 GMT");
        let mut own = HeaderMap::new();
        own.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"mine\""));
        add_conditions(&mut own, &validators);
        assert_eq!(own[header::IF_NONE_MATCH], "\"mine\"");
    }

    #[test]
    fn what_cannot_be_sent_is_left_out() {
        let mut sent = HeaderMap::new();
        add_conditions(&mut sent, &Validators { etag: Some("\"ä\n\"".to_owned()), last_modified: None });
        assert!(sent.is_empty());
    }
}
