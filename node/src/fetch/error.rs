//! Why a page was not fetched, and what follows from it: try again, or give a reason.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use scrapering_core::frontier::record::ErrorClass;
use scrapering_core::job::{NormalizedUrl, SkipReason};

use super::connecting::ConnectTimedOut;
use super::guard::AddressNotAllowed;
use super::proxy::ProxyError;

/// Which clock ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Name lookup, TCP and TLS handshakes.
    Connect,
    /// From the request to the end of the response header.
    FirstByte,
    /// Between two pieces of the body.
    Idle,
    /// The whole exchange.
    Total,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection within request.timeouts.connect",
            Self::FirstByte => "no answer within request.timeouts.firstByte",
            Self::Idle => "the answer stopped half way",
            Self::Total => "no complete answer within request.timeouts.total",
        })
    }
}

/// Why there is no page. An HTTP status is not an error; see [`super::Fetched::class`].
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The host is, or resolves to, an address that is not globally routable and was not opened by the operator.
    #[error("address not allowed")]
    AddressNotAllowed,
    /// A port that never speaks HTTP.
    #[error("port {port} is never used for web pages")]
    PortNotAllowed {
        /// The port of the URL.
        port: u16,
    },
    /// Neither http nor https, or without a host.
    #[error("only http and https URLs can be fetched")]
    NotHttp,
    /// A header of the job cannot be sent; the job is at fault.
    #[error("header \"{name}\" {problem}")]
    BadHeader {
        /// Name of the header.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The host's name could not be resolved.
    #[error("the host name could not be resolved")]
    Resolve(#[source] reqwest::Error),
    /// As [`FetchError::Resolve`], before a request was made.
    #[error("the host name could not be resolved")]
    Lookup(#[source] io::Error),
    /// No connection: refused, unreachable.
    #[error("could not connect")]
    Connect(#[source] reqwest::Error),
    /// The TLS handshake failed, for example because of an expired certificate.
    #[error("no trusted TLS connection")]
    Tls(#[source] reqwest::Error),
    /// The host was too slow.
    #[error("timed out: {phase}")]
    Timeout {
        /// Which clock ran out.
        phase: Phase,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection broke")]
    Reset(#[source] reqwest::Error),
    /// There was no way through the proxy, or none to the host behind it.
    #[error(transparent)]
    Proxy(ProxyError),
    /// The answer is not HTTP, or its header is too large.
    #[error("the answer is not valid HTTP")]
    Protocol(#[source] reqwest::Error),
    /// The body is larger than the job takes in.
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit, after decompression.
        limit_bytes: u64,
    },
    /// The body is of a type nobody asked for.
    #[error("content type \"{content_type}\" is not accepted")]
    MimeType {
        /// The type as the server wrote it.
        content_type: String,
    },
    /// The body is encoded in a way we never offered.
    #[error("content encoding \"{encoding}\" is not supported")]
    ContentEncoding {
        /// The header as the server wrote it.
        encoding: String,
    },
    /// The body could not be decompressed.
    #[error("the body could not be decompressed")]
    Decode(#[source] reqwest::Error),
    /// The page has moved. Not a failure: a discovered link.
    #[error("redirected to {location}")]
    Redirected {
        /// Where the page is now.
        location: NormalizedUrl,
        /// The status of the redirect.
        status: u16,
        /// From the request to the end of the header of the redirect.
        latency: Duration,
    },
    /// The `Location` of a redirect is no URL of a web page.
    #[error("redirected to \"{location}\", which is no http or https URL")]
    BadRedirect {
        /// The header, shortened to 200 characters.
        location: String,
    },
}

impl FetchError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Proxy(error) => error.is_retryable(),
            Self::Resolve(_) | Self::Lookup(_) | Self::Connect(_) | Self::Timeout { .. } | Self::Reset(_) => true,
            _ => false,
        }
    }

    /// Whether the host is to blame: it cannot be reached, keeps silent or breaks off.
    #[must_use]
    pub fn is_hosts_failure(&self) -> bool {
        // What a proxy does says nothing about the host behind it.
        !matches!(self, Self::Proxy(_)) && (self.is_retryable() || matches!(self, Self::Tls(_) | Self::Protocol(_)))
    }

    /// The word for it in the list of a page's attempts; `None` for a redirect, which is an answer.
    #[must_use]
    pub fn class(&self) -> Option<ErrorClass> {
        Some(match self {
            Self::AddressNotAllowed | Self::PortNotAllowed { .. } => ErrorClass::Address,
            Self::NotHttp | Self::BadHeader { .. } => ErrorClass::Request,
            Self::Resolve(_) | Self::Lookup(_) => ErrorClass::Resolve,
            Self::Connect(_) => ErrorClass::Connect,
            Self::Tls(_) => ErrorClass::Tls,
            Self::Timeout { phase: Phase::Connect } | Self::Proxy(ProxyError::Timeout) => ErrorClass::ConnectTimeout,
            Self::Timeout { phase: Phase::FirstByte } => ErrorClass::FirstByteTimeout,
            Self::Timeout { phase: Phase::Idle } => ErrorClass::IdleTimeout,
            Self::Timeout { phase: Phase::Total } => ErrorClass::TotalTimeout,
            Self::Reset(_) => ErrorClass::Reset,
            Self::Proxy(_) => ErrorClass::Proxy,
            Self::Protocol(_) | Self::BadRedirect { .. } => ErrorClass::Protocol,
            Self::TooLarge { .. } => ErrorClass::TooLarge,
            Self::MimeType { .. } => ErrorClass::MimeType,
            Self::ContentEncoding { .. } | Self::Decode(_) => ErrorClass::Decode,
            Self::Redirected { .. } => return None,
        })
    }

    /// The reason to record for the URL if it is not tried again.
    #[must_use]
    pub fn skip_reason(&self) -> SkipReason {
        match self {
            Self::AddressNotAllowed | Self::PortNotAllowed { .. } => SkipReason::PrivateAddress,
            Self::TooLarge { .. } => SkipReason::TooLarge,
            Self::MimeType { .. } => SkipReason::MimeType,
            Self::Redirected { .. } => SkipReason::DuplicateUrl,
            _ => SkipReason::FetchError,
        }
    }

    /// Reads the cause out of the HTTP client's error; the URL is left out of it, since it may carry secrets.
    pub(super) fn from_client(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let facts = Facts::of(&error);
        if facts.refused {
            return Self::AddressNotAllowed;
        }
        if facts.connect_timed_out || (error.is_timeout() && error.is_connect()) {
            return Self::Timeout { phase: Phase::Connect };
        }
        if error.is_timeout() {
            return Self::Timeout { phase: Phase::Idle };
        }
        if error.is_dns() {
            Self::Resolve(error)
        } else if facts.tls && error.is_connect() {
            Self::Tls(error)
        } else if error.is_connect() {
            Self::Connect(error)
        } else if facts.malformed {
            Self::Protocol(error)
        } else if error.is_decode() && !facts.transport {
            Self::Decode(error)
        } else {
            Self::Reset(error)
        }
    }
}

/// What stands in the chain of causes of a client error.
#[derive(Default)]
struct Facts {
    refused: bool,
    connect_timed_out: bool,
    tls: bool,
    transport: bool,
    malformed: bool,
}

/// No chain of causes we know is a quarter as long.
const MAX_CAUSES: usize = 32;

impl Facts {
    fn of(error: &reqwest::Error) -> Self {
        let mut facts = Self::default();
        let mut next: Option<&(dyn Error + 'static)> = error.source();
        for _ in 0..MAX_CAUSES {
            let Some(cause) = next else { break };
            facts.note(cause);
            // `io::Error::source` skips the very error it wraps.
            next = match cause.downcast_ref::<io::Error>() {
                Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
                None => cause.source(),
            };
        }
        facts
    }

    fn note(&mut self, cause: &(dyn Error + 'static)) {
        self.refused |= cause.is::<AddressNotAllowed>();
        self.connect_timed_out |= cause.is::<ConnectTimedOut>();
        self.tls |= cause.is::<rustls::Error>();
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
            self.transport = true;
            self.malformed |= hyper.is_parse();
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            let bad_data = matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
            self.malformed |= self.transport && bad_data;
        }
    }
}
