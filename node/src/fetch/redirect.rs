//! Redirects are not followed here: where one leads is a link like any other, which passes the guard, the job's scope, robots.txt and politeness in its turn.

use http::{HeaderMap, StatusCode, header};
use scrapering_core::job::NormalizedUrl;

use super::error::FetchError;

/// Where an answer with `status` and `headers` to a request for `url` points, if it is a redirect (RFC 9110 section 15.4).
///
/// # Errors
/// [`FetchError::BadRedirect`] if the `Location` is no http or https URL.
pub(super) fn target(
    status: StatusCode,
    headers: &HeaderMap,
    url: &NormalizedUrl,
) -> Result<Option<NormalizedUrl>, FetchError> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(header::LOCATION) else {
        return Ok(None);
    };
    // Servers do send raw UTF-8 here; browsers read it as such.
    let location = String::from_utf8_lossy(location.as_bytes());
    match url.join(&location) {
        Ok(target) => Ok(Some(target)),
        Err(_) => Err(FetchError::BadRedirect { location: location.chars().take(200).collect() }),
    }
}
