//! The guard: which addresses may be dialled at all.
//!
//! A crawler fetches what strangers wrote, from inside somebody's network. So only addresses that are globally routable are dialled, and those the
//! operator opened by name. [`Guard::check_url`] judges hosts that are written as an address, because the HTTP client asks no resolver for those;
//! the resolver in [`super::resolver`] judges every address a name stands for. Refusals say nothing about what is behind the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use url::{Host, Url};

use super::cidr::Cidr;
use super::error::FetchError;
use super::ports;

/// An address that is neither globally routable nor opened by the operator. Opaque on purpose: whoever wrote the URL learns nothing about the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("address not allowed")]
pub struct AddressNotAllowed;

/// Decides which addresses may be dialled; a cheap clone.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Arc<[Cidr]>,
}

impl Guard {
    /// A guard that allows globally routable addresses and the blocks in `allowed`.
    #[must_use]
    pub fn new(allowed: &[Cidr]) -> Self {
        Self { allowed: allowed.into() }
    }

    /// Whether `address` may be dialled.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        is_globally_routable(address) || self.allowed.iter().any(|block| block.contains(address))
    }

    /// Checks all that can be checked before a name is resolved: scheme, port, and the address if the host is written as one.
    ///
    /// # Errors
    /// [`FetchError::AddressNotAllowed`] for an address literal that may not be dialled, [`FetchError::PortNotAllowed`] for a port that is never
    /// HTTP, [`FetchError::NotHttp`] for another scheme than http and https or no host.
    pub fn check_url(&self, url: &Url) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::NotHttp);
        }
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(Host::Domain(_)) => None,
            None => return Err(FetchError::NotHttp),
        };
        if address.is_some_and(|address| !self.allows(address)) {
            return Err(FetchError::AddressNotAllowed);
        }
        match url.port_or_known_default() {
            Some(port) if !ports::is_blocked(port) => Ok(()),
            port => Err(FetchError::PortNotAllowed { port: port.unwrap_or_default() }),
        }
    }

    /// Keeps a resolver's answer if every address in it may be dialled.
    ///
    /// One bad address spoils the answer: a public name that also stands for a private address is how DNS rebinding starts, and dropping only
    /// the bad one would make the verdict depend on which half of the answer arrived.
    ///
    /// # Errors
    /// [`AddressNotAllowed`] if one address may not be dialled.
    pub fn check_all(&self, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, AddressNotAllowed> {
        if addresses.iter().all(|address| self.allows(*address)) { Ok(addresses) } else { Err(AddressNotAllowed) }
    }
}

/// IPv4 blocks that are not on the public Internet (IANA IPv4 Special-Purpose Address Registry, RFC 6890, RFC 5771, RFC 1112).
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, cloud metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
];

/// Blocks inside the global unicast space 2000::/3 that are not ordinary public addresses (IANA IPv6 Special-Purpose Address Registry).
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: an IPv4 address in disguise
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// All IPv6 unicast addresses in use on the public Internet (RFC 4291 section 2.4). Loopback, mapped, compatible, NAT64, discard-only,
/// unique local, link-local, site-local, segment routing and multicast addresses all lie outside.
const GLOBAL_UNICAST_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Whether `address` is an ordinary unicast address of the public Internet.
#[must_use]
pub fn is_globally_routable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|block| in_v4(v4, *block)),
        IpAddr::V6(v6) => in_v6(v6, GLOBAL_UNICAST_V6) && !SPECIAL_V6.iter().any(|block| in_v6(v6, *block)),
    }
}

fn in_v4(address: Ipv4Addr, (network, bits): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0
}

fn in_v6(address: Ipv6Addr, (network, bits): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0
}

#[cfg(test)]
pub(super) mod tests;
