//! Which address each host is visited at: one, looked up and checked once in a while, so that whoever paces the
//! requests to an address and whoever dials it mean the same.
//!
//! A name with several addresses is visited at one of them until that cannot be connected to. A connection that is
//! kept alive decides: as long as requests travel on it, its address is the host's.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::guard::{AddressNotAllowed, Guard};
use super::resolver::Lookup;

/// How long an answer of the name server is believed.
const LIFETIME: Duration = Duration::from_secs(60);
/// Names that are remembered; when there are more, all are looked up again.
const MOST: usize = 50_000;

/// Why a name has no address to be visited at.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    /// One of its addresses may not be dialled.
    #[error(transparent)]
    NotAllowed(#[from] AddressNotAllowed),
    /// It could not be looked up.
    #[error("the name could not be resolved")]
    Lookup(#[source] io::Error),
}

/// The addresses of hosts. A cheap clone.
#[derive(Clone)]
pub(super) struct Addresses {
    guard: Guard,
    lookup: Arc<dyn Lookup>,
    pins: Arc<Mutex<BTreeMap<String, Pin>>>,
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addresses").field("guard", &self.guard).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
struct Pin {
    address: IpAddr,
    /// Looked up again from then on.
    until: Instant,
    /// It could not be connected to: another one is taken if there is one.
    failed: bool,
}

impl Addresses {
    pub(super) fn new(guard: Guard, lookup: Arc<dyn Lookup>) -> Self {
        Self { guard, lookup, pins: Arc::default() }
    }

    /// The address at which the host called `name` is visited now.
    pub(super) async fn of(&self, name: &str) -> Result<IpAddr, AddressError> {
        let pinned = self.pins().get(name).copied();
        if let Some(pin) = pinned.filter(|pin| !pin.failed && Instant::now() < pin.until) {
            return Ok(pin.address);
        }
        let found = self.lookup.lookup(name).await.map_err(AddressError::Lookup)?;
        let checked = self.guard.check_all(found)?;
        let address = choose(&checked, pinned)
            .ok_or_else(|| AddressError::Lookup(io::Error::new(io::ErrorKind::NotFound, "the name has no address")))?;
        let mut pins = self.pins();
        if pins.len() >= MOST {
            pins.clear();
        }
        pins.insert(name.to_owned(), Pin { address, until: Instant::now() + LIFETIME, failed: false });
        Ok(address)
    }

    /// A request to `name` went to `address`, on a connection that may be older than the last lookup.
    pub(super) fn handle_reached(&self, name: &str, address: IpAddr) {
        if let Some(pin) = self.pins().get_mut(name) {
            pin.address = address;
            pin.failed = false;
        }
    }

    /// The address of `name` could not be connected to.
    pub(super) fn handle_failed(&self, name: &str) {
        if let Some(pin) = self.pins().get_mut(name) {
            pin.failed = true;
        }
    }

    fn pins(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Pin>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pinned address while it is among those found, another one once it has failed.
fn choose(found: &[IpAddr], pinned: Option<Pin>) -> Option<IpAddr> {
    let Some(pin) = pinned else { return found.first().copied() };
    if !pin.failed && found.contains(&pin.address) {
        return Some(pin.address);
    }
    let place = found.iter().position(|address| *address == pin.address).map_or(0, |place| place + 1);
    found.get(place).or(found.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(address: &str, failed: bool) -> Option<Pin> {
        Some(Pin { address: address.parse().expect("an address"), until: Instant::now(), failed })
    }

    #[test]
    fn a_host_stays_at_its_address_until_that_fails_and_then_tries_each() {
        let found: Vec<IpAddr> = ["8.8.8.8", "8.8.4.4", "1.1.1.1"].map(|text| text.parse().expect("an address")).into();
        for (pinned, expected) in [
            (None, 0),
            (pin("8.8.4.4", false), 1),
            (pin("8.8.4.4", true), 2),
            (pin("1.1.1.1", true), 0),
            (pin("9.9.9.9", false), 0),
        ] {
            assert_eq!(choose(&found, pinned), Some(found[expected]));
        }
        assert_eq!(choose(&[], None), None);
    }
}
