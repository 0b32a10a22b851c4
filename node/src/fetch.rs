//! Fetching: one URL in, one bounded body or one clear reason out.
//!
//! [`Fetcher`] is a shell around one HTTP client. What makes it fit for URLs that strangers wrote lies in its parts: [`guard`] and [`resolver`]
//! decide which addresses are dialled, [`redirect`] asks the frontier before each hop, `body` and `clock` bound what a host can cost.
//! Nothing here is retried and nothing is throttled: that is the frontier's work, and a second request that it does not know of would be impolite.

mod accept;
mod body;
mod cidr;
mod clock;
mod error;
pub mod guard;
mod headers;
mod ports;
pub mod redirect;
pub mod resolver;
pub mod retry_after;
mod robots;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use reqwest::Response;
use reqwest::redirect::Policy;
use rustls_pki_types::CertificateDer;
use scrapering_core::job::{NormalizedUrl, RequestOptions};

pub use accept::AcceptedTypes;
pub use cidr::{Cidr, CidrError};
pub use error::{FetchError, Phase};
pub use guard::Guard;
pub use headers::ResponseHeaders;
pub use redirect::RedirectGate;
pub use resolver::{Lookup, SystemLookup};
pub use robots::{RobotsAnswer, RobotsOutcome};

use body::Cap;
use clock::Deadline;
use resolver::GuardedResolver;

/// What the operator decides about all requests of a node; a job has no say in it.
#[derive(Clone, Debug)]
pub struct FetcherConfig {
    /// Blocks that may be crawled although they are not globally routable.
    pub allowed_private_cidrs: Vec<Cidr>,
    /// Longest time for name lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Longest time from the open connection to the end of the response header.
    pub first_byte_timeout: Duration,
    /// Longest silence between two pieces of a body.
    pub idle_timeout: Duration,
    /// Most connections kept open to one host between requests.
    pub max_idle_connections_per_host: usize,
    /// How long such a connection is kept.
    pub idle_connection_timeout: Duration,
    /// Certificate authorities trusted besides the platform's.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl Default for FetcherConfig {
    fn default() -> Self {
        Self {
            allowed_private_cidrs: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(15),
            max_idle_connections_per_host: 8,
            idle_connection_timeout: Duration::from_secs(20),
            extra_roots: Vec::new(),
        }
    }
}

/// Why there is no [`Fetcher`]; the machine or the operator's configuration is at fault.
#[derive(Debug, thiserror::Error)]
pub enum FetcherError {
    /// An extra root is no certificate.
    #[error("extra root certificate {index} cannot be read")]
    Root {
        /// Position in the configuration, counted from 0.
        index: usize,
        /// What the TLS library said.
        #[source]
        source: reqwest::Error,
    },
    /// The HTTP client could not be made, for example because the platform has no root certificates.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

/// Fetches pages; a cheap clone that shares its connections.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: reqwest::Client,
    guard: Guard,
    /// The connection is part of the wait: it is bounded on its own, inside the client.
    header_timeout: Duration,
    idle_timeout: Duration,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest<'a> {
    /// The page.
    pub url: &'a NormalizedUrl,
    /// The job's user agent, headers, total timeout and number of redirects.
    pub options: &'a RequestOptions,
    /// Largest body after decompression, bytes.
    pub max_body_bytes: u64,
    /// Bodies of other types are not read.
    pub accept: AcceptedTypes,
}

/// What a status means for the page (RFC 9110 section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 2xx: there is a page.
    Success,
    /// The same request may succeed later: 408, 425, 429, 500, 502, 503, 504.
    Retryable,
    /// Everything else: asking again would give the same answer.
    Permanent,
}

impl StatusClass {
    /// The class of `status`.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            408 | 425 | 429 | 500 | 502 | 503 | 504 => Self::Retryable,
            _ => Self::Permanent,
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The page that answered; differs from the requested one after redirects.
    pub final_url: NormalizedUrl,
    /// The HTTP status, whatever it is.
    pub status: u16,
    /// The response headers the crawl acts on.
    pub headers: ResponseHeaders,
    /// The decompressed body; empty unless the status is a success.
    pub body: Bytes,
    /// Each page a redirect led to, in order; the last is `final_url`. Empty without redirects.
    pub redirects: Vec<NormalizedUrl>,
    /// From the last hop's request, with its connection if a new one was needed, to the end of the response header.
    pub latency: Duration,
}

impl Fetched {
    /// What the status means for the page.
    #[must_use]
    pub fn class(&self) -> StatusClass {
        StatusClass::of(self.status)
    }
}

impl Fetcher {
    /// A fetcher that resolves names as the operating system does.
    ///
    /// # Errors
    /// [`FetcherError`] if TLS cannot be set up.
    pub fn new(config: &FetcherConfig) -> Result<Self, FetcherError> {
        Self::with_lookup(config, Arc::new(SystemLookup::default()))
    }

    /// A fetcher that resolves names with `lookup`; what it answers passes the guard like every other answer.
    ///
    /// # Errors
    /// [`FetcherError`] if TLS cannot be set up.
    pub fn with_lookup(config: &FetcherConfig, lookup: Arc<dyn Lookup>) -> Result<Self, FetcherError> {
        // An error means that the process already has its provider.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let guard = Guard::new(&config.allowed_private_cidrs);
        let roots = config
            .extra_roots
            .iter()
            .enumerate()
            .map(|(index, der)| {
                reqwest::Certificate::from_der(der).map_err(|source| FetcherError::Root { index, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(GuardedResolver {
                guard: guard.clone(),
                lookup,
            }))
            // A proxy would dial for us, past the guard.
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(config.max_idle_connections_per_host)
            .pool_idle_timeout(config.idle_connection_timeout)
            .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
            .tls_certs_merge(roots)
            .build()
            .map_err(FetcherError::Client)?;
        Ok(Self {
            client,
            guard,
            header_timeout: config.connect_timeout + config.first_byte_timeout,
            idle_timeout: config.idle_timeout,
        })
    }

    /// Fetches a page, following redirects inside its origin as far as `gate` lets it.
    ///
    /// # Errors
    /// [`FetchError`]; an HTTP status is none. Nothing is kept of a failed fetch. [`FetchError::RedirectElsewhere`] means that the page has moved to
    /// another origin, to which nothing was sent.
    pub async fn fetch(&self, request: FetchRequest<'_>, gate: &mut impl RedirectGate) -> Result<Fetched, FetchError> {
        let headers = headers::of_job(request.options, request.accept)?;
        let mut deadline = Deadline::after(request.options.total_timeout);
        let mut redirects: Vec<NormalizedUrl> = Vec::new();
        loop {
            let url = redirects.last().unwrap_or(request.url);
            let answer = self.send(url, headers.clone(), deadline).await?;
            gate.answered().await;
            let Some(location) = redirect::target(answer.response.status(), answer.response.headers(), url)? else {
                let url = url.clone();
                return self.take(request, url, redirects, answer, deadline).await;
            };
            if location.origin() != request.url.origin() {
                return Err(FetchError::RedirectElsewhere { location, latency: answer.latency });
            }
            if location == *request.url || redirects.contains(&location) {
                return Err(FetchError::RedirectLoop { location });
            }
            let limit = request.options.max_redirects;
            if redirects.len() >= limit as usize {
                return Err(FetchError::TooManyRedirects { limit });
            }
            body::drain(answer.response, deadline).await;
            let asked = Instant::now();
            if let Err(reason) = gate.may_follow(&location).await {
                return Err(FetchError::RedirectRefused { location, reason });
            }
            deadline.extend(asked.elapsed());
            redirects.push(location);
        }
    }

    /// Reads the answer that is not a redirect.
    async fn take(
        &self,
        request: FetchRequest<'_>,
        final_url: NormalizedUrl,
        redirects: Vec<NormalizedUrl>,
        answer: Answer,
        deadline: Deadline,
    ) -> Result<Fetched, FetchError> {
        let mut fetched = Fetched {
            final_url,
            status: answer.response.status().as_u16(),
            headers: ResponseHeaders::of(answer.response.headers()),
            body: Bytes::new(),
            redirects,
            latency: answer.latency,
        };
        if fetched.class() != StatusClass::Success {
            body::drain(answer.response, deadline).await;
            return Ok(fetched);
        }
        let content_type = fetched.headers.content_type.as_deref();
        if !request.accept.accepts(content_type) {
            return Err(FetchError::MimeType {
                content_type: content_type.unwrap_or_default().chars().take(200).collect(),
            });
        }
        let cap = Cap::Refuse(request.max_body_bytes);
        fetched.body = body::read(answer.response, cap, self.idle_timeout, deadline).await?;
        Ok(fetched)
    }

    /// One request and the header of its answer; the only place where anything is sent.
    async fn send(&self, url: &NormalizedUrl, headers: HeaderMap, deadline: Deadline) -> Result<Answer, FetchError> {
        let url = url.as_url();
        self.guard.check_url(url)?;
        let started = Instant::now();
        let sending = self.client.get(url.clone()).headers(headers).send();
        let response =
            deadline.limit(self.header_timeout, Phase::FirstByte, sending).await?.map_err(FetchError::from_client)?;
        Ok(Answer { response, latency: started.elapsed() })
    }
}

/// The header of an answer, its body still to be read.
struct Answer {
    response: Response,
    latency: Duration,
}

/// As generous as HTTP/1 servers are with each other; a page needs a tenth of it.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;

#[cfg(test)]
mod tests;
