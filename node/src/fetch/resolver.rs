//! Names to addresses, each address checked by the guard before the HTTP client may see it.
//!
//! A name is resolved once for a connection, and the connection goes to the very addresses that were checked, so that a second answer of a hostile
//! name server (DNS rebinding) has no effect.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::addresses::{AddressError, Addresses};

/// What a [`Lookup`] answers with.
pub type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a host name; no judgement about them.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of `host`, in the order in which they should be tried.
    fn lookup(&self, host: &str) -> LookupFuture;
}

/// Asks the operating system, as every other program on the machine does.
#[derive(Clone, Debug)]
pub struct SystemLookup {
    slots: Arc<Semaphore>,
}

/// A lookup blocks a thread for as long as the name server stays silent; these few cannot starve the thread pool that storage and extraction share.
const MAX_LOOKUPS: usize = 64;

impl Default for SystemLookup {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> LookupFuture {
        let slots = Arc::clone(&self.slots);
        let host = host.to_owned();
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
            tokio::task::spawn_blocking(move || {
                // Held by the thread, not by the future: a caller that gave up does not free the thread.
                let _slot = slot;
                let found = (host.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            })
            .await
            .map_err(io::Error::other)?
        })
    }
}

/// The resolver handed to the HTTP client: it dials the one address that requests to the host are paced by.
pub(super) struct GuardedResolver(pub(super) Addresses);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move {
            let address = addresses.of(name.as_str()).await.map_err(|error| match error {
                // As it is: whoever reads the client's error looks for it.
                AddressError::NotAllowed(refused) => Box::<dyn std::error::Error + Send + Sync>::from(refused),
                AddressError::Lookup(error) => error.into(),
            })?;
            // Port 0 is replaced by the URL's port.
            Ok(Box::new(std::iter::once(SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
