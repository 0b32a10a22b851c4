//! Connections between nodes: a stream of finished handshakes for the server, a dialler for the client.
//!
//! tonic takes the stream in `serve_with_incoming` (it then offers `Request::peer_certs`) and the dialler in
//! `Endpoint::connect_with_connector`. Its own TLS would also speak 1.2 and resume sessions.

use super::live::Live;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tokio_stream::wrappers::ReceiverStream;

/// A peer that has not shaken hands by then is gone or means no good.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes at a time: a ring's nodes times a few connections; more wait in the listener's backlog.
const HANDSHAKES: usize = 128;
/// Finished connections that wait for the server.
const FINISHED: usize = 32;
/// How long accepting pauses when the process is out of file handles.
const PAUSE: Duration = Duration::from_millis(100);

/// A peer's connection to this node, its certificate checked against the ring's authority.
pub type Accepted = server::TlsStream<TcpStream>;
/// This node's connection to a peer.
pub type Dialled = client::TlsStream<TcpStream>;

/// The peers that connect to `listener` and prove themselves; ends accepting when dropped.
///
/// Must be called within a tokio runtime. A failed handshake is logged and costs nobody else anything.
#[must_use]
pub fn accept(listener: TcpListener, config: impl Into<Live<ServerConfig>>) -> ReceiverStream<io::Result<Accepted>> {
    let config = config.into();
    let (sender, receiver) = mpsc::channel(FINISHED);
    tokio::spawn(async move {
        tokio::select! {
            () = accept_all(listener, config, sender.clone()) => {}
            () = sender.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept_all(listener: TcpListener, config: Live<ServerConfig>, sender: Sender<io::Result<Accepted>>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(shake(TlsAcceptor::from(config.now()), stream, peer, sender.clone(), place));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a peer's connection");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn shake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    sender: Sender<io::Result<Accepted>>,
    _place: OwnedSemaphorePermit,
) {
    let shaken = async {
        stream.set_nodelay(true)?;
        timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await?
    };
    match shaken.await {
        // The server is gone when nobody receives, and the connection ends with it.
        Ok(stream) => drop(sender.send(Ok(stream)).await),
        Err(error) => tracing::info!(%peer, %error, "a peer did not prove to be of this ring"),
    }
}

/// Connects to `address` (host and port), where the node `name` must prove itself.
///
/// # Errors
/// From the network; [`io::ErrorKind::InvalidInput`] when `name` is no DNS name, [`io::ErrorKind::TimedOut`],
/// and [`io::ErrorKind::InvalidData`] when the peer is not `name` of this ring.
pub async fn dial(address: &str, name: &str, config: Arc<ClientConfig>) -> io::Result<Dialled> {
    let name =
        ServerName::try_from(name.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(config).connect(name, stream).await
    };
    timeout(HANDSHAKE_TIMEOUT, connected).await?
}
