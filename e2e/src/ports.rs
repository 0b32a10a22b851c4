//! Ports for rings that must be able to come back to the same ones, while other tests look for theirs.

use anyhow::Context;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Ports of one ring: the first is the lock, half of the rest is for nodes among themselves, half for gateways.
const BLOCK: u16 = 64;
/// Below the ports that the system hands out by itself (32768 and up on Linux), so that no outgoing connection
/// takes one while its node is down.
const LOWEST: u16 = 12_000;
const BLOCKS: u16 = 300;

/// A block of ports that no other test of this machine uses until this is dropped.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    _lock: TcpListener,
}

impl Ports {
    /// Takes a block in which every port is free now.
    ///
    /// # Errors
    /// There is none.
    pub fn take() -> anyhow::Result<Self> {
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS))?;
        let blocks = (0..BLOCKS).map(|step| LOWEST + (start + step) % BLOCKS * BLOCK);
        let free = |first: u16| {
            let lock = bind(first)?;
            let rest: Option<Vec<TcpListener>> = (first + 1..first + BLOCK).map(bind).collect();
            rest.map(|_| Self { first, _lock: lock })
        };
        blocks.into_iter().find_map(free).context("there are no 64 free ports in a row between 12000 and 31200")
    }

    /// The first of the ports on which nodes speak to each other; there are 31.
    pub fn ring(&self) -> u16 {
        self.first + 1
    }

    /// The first of the gateways' ports; there are 31.
    pub fn gateway(&self) -> u16 {
        self.first + 32
    }

    /// A port that nobody of the ring uses.
    pub fn spare(&self) -> u16 {
        self.first + BLOCK - 1
    }

    /// The options that give these ports to a new ring.
    pub fn options(&self) -> [String; 4] {
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, self.gateway()));
        ["--gateway".to_owned(), gateway.to_string(), "--ring-port".to_owned(), self.ring().to_string()]
    }
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rings_never_get_the_same_ports() {
        let (one, other) = (Ports::take().unwrap(), Ports::take().unwrap());
        assert!(one.first.abs_diff(other.first) >= BLOCK);
        assert!(one.ring() + 31 <= one.gateway() && one.gateway() + 31 <= one.spare());
        const { assert!(LOWEST + BLOCKS * BLOCK <= 32_768) };
        TcpListener::bind((Ipv4Addr::LOCALHOST, one.ring())).unwrap();
    }
}
