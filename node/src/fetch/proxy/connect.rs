//! The connector behind [`super::Tunnels`]: dials the proxy, asks it for a tunnel to a checked address, speaks TLS inside.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::Error as ClientError;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use scrapering_core::job::{Proxy, ProxyKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::{Service, service_fn};

use crate::fetch::addresses::{AddressError, Addresses};
use crate::fetch::connecting::connecting;
use crate::fetch::error::FetchError;
use crate::fetch::guard::{AddressNotAllowed, Guard};

/// Why there is no way through a proxy, or none to the host behind it.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The host's address may not be visited.
    #[error("address not allowed")]
    HostNotAllowed,
    /// The host's name could not be resolved.
    #[error("the host name could not be resolved")]
    HostUnknown(#[source] io::Error),
    /// The proxy's own address may not be visited: the operator of the ring has not opened the network it is in.
    #[error("the address of the proxy is not allowed")]
    ProxyNotAllowed,
    /// The proxy's name could not be resolved.
    #[error("the name of the proxy could not be resolved")]
    ProxyUnknown(#[source] io::Error),
    /// The proxy does not let us through, or cannot be reached.
    #[error("the proxy does not open a way to the host")]
    Refused(#[source] Box<dyn StdError + Send + Sync>),
    /// The TLS handshake with the host failed.
    #[error("no trusted TLS connection")]
    Tls(#[source] io::Error),
    /// All of it took too long.
    #[error("timed out on the way through the proxy")]
    Timeout,
    /// The connection broke, or what came was no HTTP.
    #[error("the connection through the proxy broke")]
    Broken(#[source] ClientError),
}

impl ProxyError {
    /// Whether another proxy may do better.
    pub(super) fn is_proxys_failure(&self) -> bool {
        matches!(self, Self::ProxyNotAllowed | Self::ProxyUnknown(_) | Self::Refused(_) | Self::Timeout)
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::HostNotAllowed | Self::ProxyNotAllowed | Self::Tls(_))
    }
}

/// The reason that [`Connector`] gave, out of the client's error around it.
pub(super) fn fetch_error(error: ClientError) -> FetchError {
    let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(cause) = next {
        if matches!(cause.downcast_ref::<ProxyError>(), Some(ProxyError::HostNotAllowed)) {
            return FetchError::AddressNotAllowed;
        }
        next = cause.source();
    }
    FetchError::Proxy(unwrapped(error))
}

/// A client's error is its connector's, if that is what it is about.
fn unwrapped(error: ClientError) -> ProxyError {
    let known = |error: &ProxyError| match error {
        ProxyError::HostNotAllowed => Some(ProxyError::HostNotAllowed),
        ProxyError::ProxyNotAllowed => Some(ProxyError::ProxyNotAllowed),
        ProxyError::Timeout => Some(ProxyError::Timeout),
        ProxyError::HostUnknown(source) => Some(ProxyError::HostUnknown(again(source))),
        ProxyError::ProxyUnknown(source) => Some(ProxyError::ProxyUnknown(again(source))),
        ProxyError::Tls(source) => Some(ProxyError::Tls(again(source))),
        ProxyError::Refused(source) => Some(ProxyError::Refused(source.to_string().into())),
        ProxyError::Broken(_) => None,
    };
    let cause = StdError::source(&error).and_then(|cause| cause.downcast_ref::<ProxyError>()).and_then(known);
    cause.unwrap_or(ProxyError::Broken(error))
}

fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// Makes connections through one proxy. A cheap clone.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) proxy: Arc<Proxy>,
    pub(super) addresses: Addresses,
    pub(super) guard: Guard,
    pub(super) tls: Arc<ClientConfig>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ProxyError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ProxyError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ProxyError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connector = self.clone();
        let connecting = connecting(async move { connector.connect(&url).await });
        Box::pin(async move { connecting.await.unwrap_or(Err(ProxyError::Timeout)).map(TokioIo::new) })
    }
}

impl Connector {
    async fn connect(&self, url: &Uri) -> Result<Stream, ProxyError> {
        let is_tls = url.scheme_str() == Some("https");
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let target = self.check(host).await.map_err(|error| match error {
            AddressError::NotAllowed(_) => ProxyError::HostNotAllowed,
            AddressError::Lookup(error) => ProxyError::HostUnknown(error),
        })?;
        let proxy = self.check(&self.proxy.host).await.map_err(|error| match error {
            AddressError::NotAllowed(_) => ProxyError::ProxyNotAllowed,
            AddressError::Lookup(error) => ProxyError::ProxyUnknown(error),
        })?;
        let stream = self.tunnel(SocketAddr::new(proxy, self.proxy.port), SocketAddr::new(target, port)).await?;
        // What is sent is whole; nothing is gained by waiting for more.
        stream.set_nodelay(true).map_err(|error| ProxyError::Refused(error.into()))?;
        if !is_tls {
            return Ok(Stream::Plain(stream));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|error| ProxyError::Tls(io::Error::other(error)))?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(ProxyError::Tls)?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// The address of a host, if it may be dialled.
    async fn check(&self, host: &str) -> Result<IpAddr, AddressError> {
        match host.parse::<IpAddr>() {
            Ok(address) if self.guard.allows(address) => Ok(address),
            Ok(_) => Err(AddressNotAllowed.into()),
            Err(_) => self.addresses.of(host).await,
        }
    }

    /// A connection to `target` by way of the proxy at `proxy`; both are addresses, so that nobody resolves anything.
    async fn tunnel(&self, proxy: SocketAddr, target: SocketAddr) -> Result<TcpStream, ProxyError> {
        let refused = |error: Box<dyn StdError + Send + Sync>| ProxyError::Refused(error);
        let uri = |address: SocketAddr| {
            format!("http://{address}").parse::<Uri>().expect("an address with a port is an authority")
        };
        let dial = service_fn(move |_: Uri| async move { TcpStream::connect(proxy).await.map(TokioIo::new) });
        let stream = match self.proxy.kind {
            ProxyKind::Http => {
                let mut tunnel = Tunnel::new(uri(proxy), dial);
                if let Some((user, password)) = &self.proxy.login {
                    let login = format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal())));
                    tunnel = tunnel.with_auth(HeaderValue::try_from(login).expect("base64 is printable"));
                }
                tunnel.call(uri(target)).await.map_err(|error| refused(error.into()))?
            }
            ProxyKind::Socks5 => {
                let mut socks = SocksV5::new(uri(proxy), dial);
                if let Some((user, password)) = &self.proxy.login {
                    socks = socks.with_auth(user.clone(), password.reveal().to_owned());
                }
                socks.call(uri(target)).await.map_err(|error| refused(error.to_string().into()))?
            }
        };
        Ok(stream.into_inner())
    }
}

/// A connection to a host behind a proxy.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let is_h2 = match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()),
        };
        if is_h2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
