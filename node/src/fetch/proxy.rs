//! Requests through a proxy, with the same guard as without: this node looks the host up, checks its address, and asks
//! the proxy for a tunnel to that very address. TLS and the `Host` header then go to the host by its name.
//!
//! So a proxy resolves nothing for us, and neither a name that rebinds nor a proxy inside somebody's network is a way
//! around the guard. The proxy's own address is checked as well; an operator opens the network it is in, or nobody.

mod connect;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::{Body, Response};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use scrapering_core::job::{NormalizedUrl, Proxies, Proxy, ProxyKind};
use tokio::time::Instant;
use tower::ServiceExt;
use tower_http::decompression::Decompression;

use super::addresses::Addresses;
use super::error::FetchError;
use super::guard::Guard;
use super::{FetcherConfig, MAX_HEADER_LIST_BYTES};
use connect::Connector;
pub use connect::ProxyError;

/// How long a proxy that failed is passed over, if there is another one.
const FAILED_FOR: Duration = Duration::from_secs(60);
/// Clients that are kept, one for each proxy with its login; when there are more, all are made anew.
const MOST_CLIENTS: usize = 256;

type ProxyClient = Decompression<Client<Connector, Empty<Bytes>>>;

/// What makes two proxies the same.
type Id = (ProxyKind, String, u16, Option<(String, String)>);

/// The way through proxies. A cheap clone.
#[derive(Clone)]
pub(super) struct Tunnels {
    addresses: Addresses,
    guard: Guard,
    tls: Arc<ClientConfig>,
    idle_timeout: Duration,
    idle_per_host: usize,
    clients: Arc<Mutex<BTreeMap<Id, ProxyClient>>>,
    /// Until when a proxy is passed over, for one origin.
    failed: Arc<Mutex<BTreeMap<(Id, String), Instant>>>,
    requests: Arc<AtomicU64>,
}

impl std::fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnels").finish_non_exhaustive()
    }
}

impl Tunnels {
    pub(super) fn new(config: &FetcherConfig, addresses: Addresses, guard: Guard) -> Result<Self, rustls::Error> {
        Ok(Self {
            addresses,
            guard,
            tls: Arc::new(tls(&config.extra_roots)?),
            idle_timeout: config.idle_connection_timeout,
            idle_per_host: config.max_idle_connections_per_host,
            clients: Arc::default(),
            failed: Arc::default(),
            requests: Arc::default(),
        })
    }

    /// Sends a request through one of `proxies`, which are not empty, and notes whether that worked.
    pub(super) async fn send(
        &self,
        proxies: &Proxies,
        url: &NormalizedUrl,
        headers: HeaderMap,
    ) -> Result<Response, FetchError> {
        let (origin, number) = (url.origin(), self.requests.fetch_add(1, Ordering::Relaxed));
        let now = Instant::now();
        let works = |proxy: &Proxy| self.failed().get(&(id(proxy), origin.clone())).is_none_or(|until| *until <= now);
        let Some(proxy) = proxies.choose(&origin, number, works) else { return Err(FetchError::NotHttp) };
        let answer = self.send_through(proxy, url, headers).await;
        if let Err(FetchError::Proxy(error)) = &answer
            && error.is_proxys_failure()
        {
            let mut failed = self.failed();
            if failed.len() >= MOST_CLIENTS * 4 {
                failed.retain(|_, until| *until > now);
            }
            failed.insert((id(proxy), origin), now + FAILED_FOR);
        }
        answer
    }

    async fn send_through(
        &self,
        proxy: &Proxy,
        url: &NormalizedUrl,
        headers: HeaderMap,
    ) -> Result<Response, FetchError> {
        let mut request = Request::get(url.as_str()).body(Empty::new()).map_err(|_| FetchError::NotHttp)?;
        *request.headers_mut() = headers;
        let response = self.client(proxy).oneshot(request).await.map_err(connect::fetch_error)?;
        Ok(Response::from(response.map(Body::wrap)))
    }

    fn client(&self, proxy: &Proxy) -> ProxyClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        let make = || {
            let connector = Connector {
                proxy: Arc::new(proxy.clone()),
                addresses: self.addresses.clone(),
                guard: self.guard.clone(),
                tls: Arc::clone(&self.tls),
            };
            let client = Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(self.idle_timeout)
                .pool_max_idle_per_host(self.idle_per_host)
                .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
                .retry_canceled_requests(false)
                .build(connector);
            Decompression::new(client)
        };
        clients.entry(id(proxy)).or_insert_with(make).clone()
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Id, String), Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(proxy: &Proxy) -> Id {
    let login = proxy.login.as_ref().map(|(user, password)| (user.clone(), password.reveal().to_owned()));
    (proxy.kind, proxy.host.clone(), proxy.port, login)
}

/// The same trust as without a proxy: the platform's authorities and the operator's.
fn tls(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra_roots.iter().cloned(), Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
