//! Redirects are followed by our own loop: every hop is one more request to a host, so it passes the guard, the job's scope, robots.txt and politeness.

use std::future::Future;

use http::{HeaderMap, StatusCode, header};
use scrapering_core::job::{NormalizedUrl, SkipReason};

use super::error::FetchError;

/// Asked before each hop of a redirect inside the origin of the request, and told of each answer.
pub trait RedirectGate: Send {
    /// The server has begun to answer a request: from here on the gap to the next one is counted.
    fn answered(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Waits for the host's next politeness slot and returns `Ok` if `location` may be requested now; the wait does not count towards the
    /// request's timeout.
    ///
    /// # Errors
    /// Why the job does not go there (scope, robots.txt); the fetch ends with [`FetchError::RedirectRefused`].
    fn may_follow(&mut self, location: &NormalizedUrl) -> impl Future<Output = Result<(), SkipReason>> + Send;
}

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
