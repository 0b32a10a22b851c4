//! Fetching robots.txt as RFC 9309 section 2.3.1 says: what is absent allows everything, what cannot be reached forbids everything.

use std::time::Duration;

use scrapering_core::job::{NormalizedUrl, RequestOptions};

use super::body::{self, Cap};
use super::clock::Deadline;
use super::error::FetchError;
use super::{AcceptedTypes, Answer, Fetcher, headers, is_success, redirect};

/// RFC 9309 section 2.5: at least 500 kibibytes are parsed; what follows is left unread.
const MAX_ROBOTS_BYTES: u64 = 500 * 1024;

/// What a request for a robots.txt came to.
#[derive(Debug)]
pub struct RobotsAnswer {
    /// What was found.
    pub outcome: RobotsOutcome,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// From the request to the end of the header of the answer; `None` without an answer.
    pub latency: Option<Duration>,
}

impl RobotsAnswer {
    fn unreachable(error: FetchError) -> Self {
        Self { outcome: RobotsOutcome::Unreachable(error), status: None, latency: None }
    }
}

/// What was found where a robots.txt is looked for.
#[derive(Debug)]
pub enum RobotsOutcome {
    /// The file.
    Found {
        /// Cut at 500 KiB; bytes that are not UTF-8 are replaced.
        text: String,
    },
    /// There is none (4xx, or a redirect that leads nowhere): everything is allowed.
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// It has moved; RFC 9309 asks to look there, on other origins too.
    Moved(NormalizedUrl),
    /// The host could not say (5xx, 429, see RFC 9309 section 2.3.1.4): nothing is allowed for now; ask again.
    ServerError {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, if there was one.
        retry_after: Option<String>,
    },
    /// It could not be reached: nothing is allowed for now. If the error has a skip reason, it holds for every URL of the host.
    Unreachable(FetchError),
}

impl Fetcher {
    /// Makes one request for the robots.txt of `origin`, at `moved` if it has moved.
    ///
    /// It is fetched for all jobs, so that no job's credentials go with it; on another origin its headers stay at home too. This never fails: what cannot be read forbids everything.
    pub async fn fetch_robots(
        &self,
        origin: &NormalizedUrl,
        moved: Option<&NormalizedUrl>,
        options: &RequestOptions,
    ) -> RobotsAnswer {
        let deadline = Deadline::after(options.timeouts.total);
        let Ok(at_home) = origin.join("/robots.txt") else {
            return RobotsAnswer::unreachable(FetchError::NotHttp);
        };
        let target = moved.unwrap_or(&at_home);
        match self.ask_for_robots(origin, target, options, deadline).await {
            Ok(answer) => {
                let (latency, status) = (Some(answer.latency), Some(answer.response.status().as_u16()));
                let outcome = self.read_robots(target, answer, deadline).await;
                RobotsAnswer { outcome: outcome.unwrap_or_else(RobotsOutcome::Unreachable), status, latency }
            }
            Err(error) => RobotsAnswer::unreachable(error),
        }
    }

    async fn ask_for_robots(
        &self,
        origin: &NormalizedUrl,
        target: &NormalizedUrl,
        options: &RequestOptions,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let headers = if target.origin() == origin.origin() {
            headers::of_job(options, AcceptedTypes::Any)?
        } else {
            headers::of_stranger(options, AcceptedTypes::Any)?
        };
        self.send(target, headers, options, deadline).await
    }

    async fn read_robots(
        &self,
        asked: &NormalizedUrl,
        answer: Answer,
        deadline: Deadline,
    ) -> Result<RobotsOutcome, FetchError> {
        let status = answer.response.status().as_u16();
        match redirect::target(answer.response.status(), answer.response.headers(), asked) {
            Err(_) => return Ok(RobotsOutcome::Unavailable { status }),
            Ok(Some(location)) => {
                body::drain(answer.response, deadline).await;
                return Ok(RobotsOutcome::Moved(location));
            }
            Ok(None) => {}
        }
        if is_success(status) {
            let bytes = body::read(answer.response, Cap::Cut(MAX_ROBOTS_BYTES), self.idle_timeout, deadline).await?;
            return Ok(RobotsOutcome::Found { text: String::from_utf8_lossy(&bytes).into_owned() });
        }
        let retry_after = headers::ResponseHeaders::of(answer.response.headers()).retry_after;
        body::drain(answer.response, deadline).await;
        // 429 asks for less, and "everything is allowed" would be the wrong answer to that.
        if status >= 500 || status == 429 {
            return Ok(RobotsOutcome::ServerError { status, retry_after });
        }
        Ok(RobotsOutcome::Unavailable { status })
    }
}
