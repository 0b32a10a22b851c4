//! Fetching: one URL in, one bounded body or one clear reason out.
//!
//! [`Fetcher`] is a shell around one HTTP client. What makes it fit for URLs that strangers wrote lies in its parts: [`guard`] and [`resolver`]
//! decide which addresses are dialled, `addresses` keeps each host at one of them, `body` and `clock` bound what a host can cost.
//! Nothing here is retried or throttled, and no redirect is followed: that is the frontier's work, and a second request that it does not know of would be impolite.

mod accept;
mod addresses;
mod body;
mod cidr;
mod clock;
mod connecting;
mod error;
mod fixed;
pub mod guard;
mod head;
mod headers;
mod ports;
mod post;
mod proxy;
mod redirect;
pub mod resolver;
pub mod retry_after;
mod robots;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::Metrics;
use bytes::Bytes;
use http::HeaderMap;
use reqwest::Response;
use reqwest::redirect::Policy;
use rustls_pki_types::CertificateDer;
use scrapering_core::frontier::history::Validators;
use scrapering_core::job::{NormalizedUrl, RequestOptions, Timeouts};

pub use accept::AcceptedTypes;
pub use cidr::{Cidr, CidrError};
pub use error::{FetchError, Phase};
pub use fixed::FixedName;
pub use guard::Guard;
pub use head::ResponseHead;
pub use headers::ResponseHeaders;
pub use post::Receipt;
pub use proxy::ProxyError;
pub use resolver::{Lookup, SystemLookup};
pub use robots::{RobotsAnswer, RobotsOutcome};

use addresses::{AddressError, Addresses};
use body::Cap;
use clock::Deadline;
use fixed::FixedLookup;
use proxy::Tunnels;
use resolver::GuardedResolver;

/// What the operator decides about all requests of a node; a job has no say in it.
#[derive(Clone, Debug)]
pub struct FetcherConfig {
    /// Blocks that may be crawled although they are not globally routable.
    pub allowed_private_cidrs: Vec<Cidr>,
    /// Names that are not looked up, because the operator says where they are.
    pub fixed_names: Vec<FixedName>,
    /// Longest silence between two pieces of a body.
    pub idle_timeout: Duration,
    /// Most connections kept open to one host between requests.
    pub max_idle_connections_per_host: usize,
    /// How long such a connection is kept.
    pub idle_connection_timeout: Duration,
    /// Certificate authorities trusted besides the platform's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Where requests are counted.
    pub metrics: Metrics,
}

impl Default for FetcherConfig {
    fn default() -> Self {
        Self {
            allowed_private_cidrs: Vec::new(),
            fixed_names: Vec::new(),
            idle_timeout: Duration::from_secs(15),
            max_idle_connections_per_host: 8,
            idle_connection_timeout: Duration::from_secs(20),
            extra_roots: Vec::new(),
            metrics: Metrics::default(),
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
    /// TLS could not be set up for requests through proxies.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client could not be made, for example because the platform has no root certificates.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

/// Fetches pages; a cheap clone that shares its connections.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: reqwest::Client,
    tunnels: Tunnels,
    guard: Guard,
    addresses: Addresses,
    idle_timeout: Duration,
    metrics: Metrics,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest<'a> {
    /// The page.
    pub url: &'a NormalizedUrl,
    /// The job's user agent, headers and timeouts.
    pub options: &'a RequestOptions,
    /// The value of the `Cookie` header, for this URL.
    pub cookies: Option<&'a str>,
    /// Largest body after decompression, bytes.
    pub max_body_bytes: u64,
    /// Bodies of other types are not read.
    pub accept: AcceptedTypes<'a>,
    /// What is known of the page already: if it is so still, the answer may be 304 without a body.
    pub validators: Option<&'a Validators>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The HTTP status, whatever it is.
    pub status: u16,
    /// The response headers the crawl acts on.
    pub headers: ResponseHeaders,
    /// The decompressed body; empty unless the status is a success.
    pub body: Bytes,
    /// From the request, with its connection if a new one was needed, to the end of the response header.
    pub latency: Duration,
    /// The whole head of the answer, for who keeps pages; see [`Begun::head`].
    pub head: Option<Box<ResponseHead>>,
}

impl Fetched {
    /// Whether the status says that there is a page (RFC 9110 section 15.3).
    #[must_use]
    pub fn is_success(&self) -> bool {
        is_success(self.status)
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
        let lookup = Arc::new(FixedLookup { names: config.fixed_names.clone(), otherwise: lookup });
        let addresses = Addresses::new(guard.clone(), lookup);
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(GuardedResolver(addresses.clone())))
            // A proxy of this client would resolve for us, past the guard; those of jobs have a connector of their own.
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connector_layer(connecting::Timed)
            .pool_max_idle_per_host(config.max_idle_connections_per_host)
            .pool_idle_timeout(config.idle_connection_timeout)
            .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
            .tls_certs_merge(roots)
            .build()
            .map_err(FetcherError::Client)?;
        let tunnels = Tunnels::new(config, addresses.clone(), guard.clone()).map_err(FetcherError::Tls)?;
        Ok(Self {
            client,
            tunnels,
            guard,
            addresses,
            idle_timeout: config.idle_timeout,
            metrics: config.metrics.clone(),
        })
    }

    /// The address at which the host of `url` is visited now, if it may be; the next request to it goes there.
    ///
    /// # Errors
    /// [`FetchError`] if there is none: the request would fail in the same way.
    pub async fn address(&self, url: &NormalizedUrl, timeouts: Timeouts) -> Result<IpAddr, FetchError> {
        self.guard.check_url(url.as_url())?;
        match url.as_url().host() {
            Some(url::Host::Ipv4(v4)) => Ok(v4.into()),
            Some(url::Host::Ipv6(v6)) => Ok(v6.into()),
            Some(url::Host::Domain(name)) => match self.looked_up(name, timeouts).await? {
                Ok(address) => Ok(address),
                Err(AddressError::NotAllowed(_)) => Err(FetchError::AddressNotAllowed),
                Err(AddressError::Lookup(error)) => Err(FetchError::Lookup(error)),
            },
            None => Err(FetchError::NotHttp),
        }
    }

    async fn looked_up(&self, name: &str, timeouts: Timeouts) -> Result<Result<IpAddr, AddressError>, FetchError> {
        Deadline::after(timeouts.total).limit(timeouts.connect, Phase::Connect, self.addresses.of(name)).await
    }

    /// Asks for a page and returns when its host begins to answer.
    ///
    /// # Errors
    /// [`FetchError`]; an HTTP status is none.
    pub async fn begin<'a>(&self, request: FetchRequest<'a>) -> Result<Begun<'a>, FetchError> {
        let mut headers = headers::of_page(request.options, request.url, request.cookies, request.accept)?;
        if let Some(validators) = request.validators {
            headers::add_conditions(&mut headers, validators);
        }
        let deadline = Deadline::after(request.options.timeouts.total);
        let answer = self.send(request.url, headers, request.options, deadline).await?;
        Ok(Begun { request, answer, deadline, idle_timeout: self.idle_timeout })
    }

    /// One request and the header of its answer; the only place where a page is asked for.
    async fn send(
        &self,
        page: &NormalizedUrl,
        headers: HeaderMap,
        options: &RequestOptions,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let url = page.as_url();
        self.guard.check_url(url)?;
        let started = Instant::now();
        let sending = async {
            if options.proxies.list.is_empty() {
                self.client.get(url.clone()).headers(headers).send().await.map_err(FetchError::from_client)
            } else {
                self.tunnels.send(&options.proxies, page, headers).await
            }
        };
        let sent = connecting::answered(options.timeouts, deadline, sending).await;
        let sent = sent.flatten();
        let latency = started.elapsed();
        self.metrics.fetched(sent.as_ref().ok().map(|response| response.status().as_u16()), latency);
        if let Some(url::Host::Domain(name)) = url.host() {
            match &sent {
                Ok(response) => {
                    if let Some(remote) = response.remote_addr() {
                        self.addresses.handle_reached(name, remote.ip());
                    }
                }
                Err(FetchError::Connect(_) | FetchError::Timeout { phase: Phase::Connect }) => {
                    self.addresses.handle_failed(name);
                }
                Err(_) => {}
            }
        }
        Ok(Answer { response: sent?, latency })
    }
}

/// A page whose host has begun to answer.
#[derive(Debug)]
pub struct Begun<'a> {
    request: FetchRequest<'a>,
    answer: Answer,
    deadline: Deadline,
    idle_timeout: Duration,
}

impl Begun<'_> {
    /// From the request to the end of the header of the answer.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.answer.latency
    }

    /// What the host wants to be sent back, each as it wrote it (RFC 6265, section 4.1).
    #[must_use]
    pub fn set_cookies(&self) -> Vec<String> {
        headers::set_cookies(self.answer.response.headers())
    }

    /// The head of the answer.
    #[must_use]
    pub fn head(&self) -> ResponseHead {
        ResponseHead::of(&self.answer.response)
    }

    /// Reads the answer to its end.
    ///
    /// # Errors
    /// [`FetchError`]. Nothing is kept of a failed fetch. [`FetchError::Redirected`] means that the page has moved; nothing was sent there.
    pub async fn finish(self) -> Result<Fetched, FetchError> {
        let Self { request, answer: Answer { response, latency }, deadline, idle_timeout } = self;
        let (status, headers) = (response.status().as_u16(), ResponseHeaders::of(response.headers()));
        if let Some(location) = redirect::target(response.status(), response.headers(), request.url)? {
            body::drain(response, deadline).await;
            return Err(FetchError::Redirected { location, status, latency });
        }
        let mut fetched = Fetched { status, headers, body: Bytes::new(), latency, head: None };
        if !fetched.is_success() {
            body::drain(response, deadline).await;
            return Ok(fetched);
        }
        let content_type = fetched.headers.content_type.as_deref();
        if !request.accept.accepts(content_type) {
            return Err(FetchError::MimeType {
                content_type: content_type.unwrap_or_default().chars().take(200).collect(),
            });
        }
        fetched.body = body::read(response, Cap::Refuse(request.max_body_bytes), idle_timeout, deadline).await?;
        Ok(fetched)
    }
}

fn is_success(status: u16) -> bool {
    (200..=299).contains(&status)
}

/// The header of an answer, its body still to be read.
#[derive(Debug)]
struct Answer {
    response: Response,
    latency: Duration,
}

/// As generous as HTTP/1 servers are with each other; a page needs a tenth of it.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;

#[cfg(test)]
mod tests;
