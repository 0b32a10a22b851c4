//! The HTTP client of the stores: the one that everything else here uses.

use crate::fetch::Fetcher;
use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

/// Makes clients for stores.
#[derive(Debug)]
pub(super) enum Connector {
    /// For whoever sits at the machine: it reaches what the machine reaches.
    Plain,
    /// For jobs: it reaches what pages may be fetched from.
    Guarded(Box<Fetcher>),
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        if let Self::Guarded(fetcher) = self {
            return Ok(HttpClient::new(GuardedClient(Fetcher::clone(fetcher))));
        }
        // An error means that the process already has its provider.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let fault = |source: reqwest::Error| object_store::Error::Generic { store: "HTTP", source: Box::new(source) };
        let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).build();
        Ok(HttpClient::new(Client(client.map_err(fault)?)))
    }
}

/// Longest time for name lookup, TCP and TLS together.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// Most bytes of an answer to a job: a store has not much to say to who writes.
const ANSWER_BYTES: usize = 1 << 20;
/// Longest time for one request with its answer; a part has some ten megabytes.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let url = parts.uri.to_string();
        let request = self.0.request(parts.method, url).headers(parts.headers).body(body);
        let answer = request.send().await.map_err(|error| HttpError::new(kind(&error), error))?;
        let (parts, body) = http::Response::from(answer).into_parts();
        let body = body.map_err(|error| HttpError::new(kind(&error), error));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

#[derive(Debug)]
struct GuardedClient(Fetcher);

#[async_trait]
impl HttpService for GuardedClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let url =
            url::Url::parse(&parts.uri.to_string()).map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        let answer = self.0.call(parts.method, url, parts.headers, body, TIMEOUT).await.map_err(|error| {
            let kind = if error.is_retryable() { HttpErrorKind::Connect } else { HttpErrorKind::Unknown };
            HttpError::new(kind, error)
        })?;
        let (parts, body) = http::Response::from(answer).into_parts();
        let body = Limited::new(body, ANSWER_BYTES).map_err(|error| {
            let kind = error.downcast_ref().map_or(HttpErrorKind::Decode, kind);
            HttpError::new_boxed(kind, error)
        });
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

fn kind(error: &reqwest::Error) -> HttpErrorKind {
    if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Request
    }
}
