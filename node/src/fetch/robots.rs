//! Fetching robots.txt as RFC 9309 section 2.3.1 says: what is absent allows everything, what cannot be reached forbids everything.

use scrapering_core::job::robots::Robots;
use scrapering_core::job::{NormalizedUrl, RequestOptions};

use super::body::{self, Cap};
use super::clock::Deadline;
use super::error::FetchError;
use super::{AcceptedTypes, Fetcher, StatusClass, headers, redirect};

/// RFC 9309 section 2.3.1.2: "at least five consecutive redirects".
const MAX_REDIRECTS: usize = 5;

/// RFC 9309 section 2.5: at least 500 kibibytes are parsed; what follows is left unread.
const MAX_ROBOTS_BYTES: u64 = 500 * 1024;

/// The rules of a host and where they come from.
#[derive(Debug)]
pub struct RobotsAnswer {
    /// What may be fetched.
    pub robots: Robots,
    /// Where the rules come from.
    pub outcome: RobotsOutcome,
}

/// Where the rules of a host come from.
#[derive(Debug)]
pub enum RobotsOutcome {
    /// From its robots.txt.
    Found {
        /// The file, cut at 500 KiB; bytes that are not UTF-8 are replaced.
        text: String,
    },
    /// It has none (4xx, or redirects that lead nowhere): everything is allowed.
    Unavailable {
        /// The last HTTP status.
        status: u16,
    },
    /// It could not say (5xx, 429, see RFC 9309 section 2.3.1.4): nothing is allowed for now; ask again.
    ServerError {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, if there was one.
        retry_after: Option<String>,
    },
    /// It could not be reached: nothing is allowed for now. If the error has a skip reason, it holds for every URL of the host.
    Unreachable(FetchError),
}

impl RobotsAnswer {
    fn unavailable(status: u16) -> Self {
        Self { robots: Robots::allow_all(), outcome: RobotsOutcome::Unavailable { status } }
    }
}

impl Fetcher {
    /// Fetches `/robots.txt` of the origin of `url` and reads the rules for the product token `token`.
    ///
    /// Redirects are followed across origins, as RFC 9309 asks, through the guard; the job's headers stay at home. This never fails: what cannot be
    /// read forbids everything.
    pub async fn fetch_robots(&self, url: &NormalizedUrl, options: &RequestOptions, token: &str) -> RobotsAnswer {
        match self.robots_of(url, options, token).await {
            Ok(answer) => answer,
            Err(error) => RobotsAnswer { robots: Robots::disallow_all(), outcome: RobotsOutcome::Unreachable(error) },
        }
    }

    async fn robots_of(
        &self,
        url: &NormalizedUrl,
        options: &RequestOptions,
        token: &str,
    ) -> Result<RobotsAnswer, FetchError> {
        let deadline = Deadline::after(options.total_timeout);
        let mut next = url.join("/robots.txt").map_err(|_| FetchError::NotHttp)?;
        let mut hops = 0;
        loop {
            let headers = if next.origin() == url.origin() {
                headers::of_job(options, AcceptedTypes::Any)?
            } else {
                headers::of_stranger(options, AcceptedTypes::Any)?
            };
            let answer = self.send(&next, headers, deadline).await?;
            let status = answer.response.status();
            match redirect::target(status, answer.response.headers(), &next) {
                Err(_) => return Ok(RobotsAnswer::unavailable(status.as_u16())),
                Ok(Some(_)) if hops == MAX_REDIRECTS => {
                    return Ok(RobotsAnswer::unavailable(status.as_u16()));
                }
                Ok(Some(location)) => {
                    body::drain(answer.response, deadline).await;
                    next = location;
                    hops += 1;
                }
                Ok(None) => return self.read_robots(answer, deadline, token).await,
            }
        }
    }

    async fn read_robots(
        &self,
        answer: super::Answer,
        deadline: Deadline,
        token: &str,
    ) -> Result<RobotsAnswer, FetchError> {
        let status = answer.response.status().as_u16();
        if StatusClass::of(status) == StatusClass::Success {
            let cap = Cap::Cut(MAX_ROBOTS_BYTES);
            let bytes = body::read(answer.response, cap, self.idle_timeout, deadline).await?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok(RobotsAnswer { robots: Robots::parse(&bytes, token), outcome: RobotsOutcome::Found { text } });
        }
        let retry_after = headers::ResponseHeaders::of(answer.response.headers()).retry_after;
        body::drain(answer.response, deadline).await;
        // 429 asks for less, and "everything is allowed" would be the wrong answer to that.
        if status >= 500 || status == 429 {
            return Ok(RobotsAnswer {
                robots: Robots::disallow_all(),
                outcome: RobotsOutcome::ServerError { status, retry_after },
            });
        }
        Ok(RobotsAnswer::unavailable(status))
    }
}
