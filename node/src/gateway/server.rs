//! Listens: TLS with HTTP/2 and HTTP/1.1, bounded in connections and in what each may cost, and a stop that lets running requests end.

use super::visitors::{self, Visitors};
use super::{GatewayState, routes};
use crate::identity::tls::live::Live;
use axum::Router;
use axum::response::Response;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioTimer;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// Most connections at a time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 1024;
/// Most requests at a time on one HTTP/2 connection.
const MOST_STREAMS: u32 = 128;
/// Longest header of a request, bytes: a token and a cursor fit many times.
const LARGEST_HEADER_BYTES: usize = 32 * 1024;
/// Longest time for a TLS handshake, and for the header of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// After so much silence an HTTP/2 peer is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long running requests may go on after a stop was asked for.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the gateway ended by itself; the machine is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener cannot be used.
    #[error("the gateway's listener cannot be used")]
    Listener(#[source] io::Error),
    /// Accepting failed for good.
    #[error("the gateway cannot accept connections any more")]
    Accept(#[source] io::Error),
}

/// Serves `state` on `listener` until `shutdown` is cancelled, then lets running requests end for some seconds.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    state: GatewayState,
    tls: Live<rustls::ServerConfig>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let visitors = state.visitors.clone();
    serve_router(listener, routes::router(&state), visitors, tls, shutdown).await
}

/// As [`serve`], for any router.
pub(super) async fn serve_router(
    listener: TcpListener,
    router: Router,
    visitors: Visitors,
    mut tls: Live<rustls::ServerConfig>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    listener.set_nonblocking(true).map_err(ServeError::Listener)?;
    let handle = Handle::new();
    let shown = RustlsConfig::from_config(tls.now());
    let mut server = axum_server::from_tcp_rustls(listener, shown.clone())
        .map_err(ServeError::Listener)?
        .handle(handle.clone())
        .map(|acceptor| acceptor.handshake_timeout(HEADER_TIMEOUT));
    let http = server.http_builder();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(LARGEST_HEADER_BYTES);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(HEADER_TIMEOUT)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(LARGEST_HEADER_BYTES as u32);
    let connections = Connections { router, visitors, permits: Arc::new(Semaphore::new(MOST_CONNECTIONS)) };
    let stop = async {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                renewed = tls.next() => shown.reload_from_config(renewed),
            }
        }
        handle.graceful_shutdown(Some(STOP_TIMEOUT));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = server.serve(connections) => served.map_err(ServeError::Accept),
        () = stop => Ok(()),
    }
}

/// Makes the service of each connection once there is room for it.
#[derive(Clone)]
struct Connections {
    router: Router,
    visitors: Visitors,
    permits: Arc<Semaphore>,
}

impl Service<SocketAddr> for Connections {
    type Response = Connection;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Connection>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: SocketAddr) -> Self::Future {
        let Self { router, visitors, permits } = self.clone();
        visitors.handle_connection();
        Box::pin(async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            Ok(Connection { router, visitors, _room: Arc::new(permit) })
        })
    }
}

/// How the router answers.
type Usual = <Router as Service<Request<Incoming>>>::Future;

/// The service of one connection; its room is free again when the connection and its requests are gone.
#[derive(Clone)]
struct Connection {
    router: Router,
    visitors: Visitors,
    _room: Arc<OwnedSemaphorePermit>,
}

impl Service<Request<Incoming>> for Connection {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Usual, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Incoming>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let version = request.version();
        let answer = self.router.call(request);
        if !self.visitors.are_seen_off() {
            return Either::Left(answer);
        }
        let last = answer.map(move |answer| answer.map(|answer| visitors::see_off(version, answer)));
        Either::Right(last.boxed())
    }
}
