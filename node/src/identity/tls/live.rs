//! Certificates that change while the node runs: whoever renews them writes new files, and the next handshake uses them.
//!
//! Connections that stand go on with what they were made with. Files that cannot be used (half written, of another key)
//! are told once and change nothing: the old certificate is better than none.

use super::{Pair, TlsError, gateway, ring_client, ring_server};
use crate::causes;
use crate::storage::files;
use jiff::Timestamp;
use rustls::{ClientConfig, ServerConfig};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at. A kubelet takes about a minute to bring them.
const LOOK: Duration = Duration::from_secs(5);

/// A setting of which there may be a newer one at any time. A cheap clone.
#[derive(Debug)]
pub struct Live<T>(watch::Receiver<Arc<T>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Live<T> {
    /// What holds now.
    #[must_use]
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// The next one; pending for ever when there will be none.
    pub async fn next(&mut self) -> Arc<T> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}

/// One that never changes.
impl<T> From<Arc<T>> for Live<T> {
    fn from(it: Arc<T>) -> Self {
        Self(watch::Sender::new(it).subscribe())
    }
}

/// Everything that a node does with its certificate, as its files say now. A cheap clone.
#[derive(Clone, Debug)]
pub struct LiveTls {
    /// How it serves its peers.
    pub of_ring: Live<ServerConfig>,
    /// How it dials its peers.
    pub to_ring: Live<ClientConfig>,
    /// How it serves people and programs.
    pub of_gateway: Live<ServerConfig>,
}

/// Looks after the files.
#[derive(Debug)]
pub struct Reloader {
    pair: Pair,
    ca: PathBuf,
    seen: [u8; 32],
    /// What was seen is not used: it may become usable without another byte, by its permissions or with the time.
    is_refused: bool,
    of_ring: watch::Sender<Arc<ServerConfig>>,
    to_ring: watch::Sender<Arc<ClientConfig>>,
    of_gateway: watch::Sender<Arc<ServerConfig>>,
}

impl LiveTls {
    /// What the files say at `now`, and who looks after them from now on.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(pair: &Pair, ca: &std::path::Path, now: Timestamp) -> Result<(Self, Reloader), TlsError> {
        // Before the files are used: what is written in between is seen by the next look.
        let seen = fingerprint(pair, ca);
        let reloader = Reloader {
            pair: pair.clone(),
            ca: ca.to_owned(),
            seen,
            is_refused: false,
            of_ring: watch::Sender::new(ring_server(pair, ca, now)?),
            to_ring: watch::Sender::new(ring_client(pair, ca, now)?),
            of_gateway: watch::Sender::new(gateway(pair, now)?),
        };
        let live = Self {
            of_ring: Live(reloader.of_ring.subscribe()),
            to_ring: Live(reloader.to_ring.subscribe()),
            of_gateway: Live(reloader.of_gateway.subscribe()),
        };
        Ok((live, reloader))
    }
}

impl Reloader {
    /// Looks at the files again and again until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            match self.look(Timestamp::now()) {
                Ok(true) => {
                    tracing::info!(certificate = %self.pair.certificate.display(), "the certificate was renewed")
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(
                        error = causes::told(&error),
                        "the new certificate cannot be used; the old one is kept"
                    );
                }
            }
        }
    }

    /// Whether the files had changed, and are used now.
    ///
    /// # Errors
    /// [`TlsError`], once for each state of the files; nothing changed.
    pub fn look(&mut self, now: Timestamp) -> Result<bool, TlsError> {
        let seen = fingerprint(&self.pair, &self.ca);
        let is_news = seen != self.seen;
        if !is_news && !self.is_refused {
            return Ok(false);
        }
        self.seen = seen;
        let used = self.take_up(now);
        self.is_refused = used.is_err();
        match used {
            Err(_) if !is_news => Ok(false),
            used => used.map(|()| true),
        }
    }

    fn take_up(&self, now: Timestamp) -> Result<(), TlsError> {
        let of_ring = ring_server(&self.pair, &self.ca, now)?;
        let to_ring = ring_client(&self.pair, &self.ca, now)?;
        let of_gateway = gateway(&self.pair, now)?;
        self.of_ring.send_replace(of_ring);
        self.to_ring.send_replace(to_ring);
        self.of_gateway.send_replace(of_gateway);
        Ok(())
    }
}

/// Of the three files together; a file that cannot be read counts as empty.
fn fingerprint(pair: &Pair, ca: &std::path::Path) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for path in [&pair.certificate, &pair.key, &ca.to_owned()] {
        let bytes = files::read(path).ok().flatten();
        let bytes = bytes.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().into()
}
