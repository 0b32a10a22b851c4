//! A whole web on loopback for crawlers to visit: thousands of hosts on a few addresses, generated from a seed.
//!
//! [`site`] decides what a host is like (its robots.txt, its size), [`answers`] what it says to each request, [`oddities`]
//! everything that goes wrong out there, both in the words of [`exchange`], and [`server`] speaks HTTP by hand, because
//! half of it is not HTTP that a library would send. Every request is in the access log, which is what the judge reads.
//!
//! Host names carry their address: `h17.ip1.web.test` is at the second address. A visitor is told so by one rule an
//! address (`*.ip1.web.test`); see [`Web::resolve_rules`]. Who asks for an address itself finds the [shop](crate::shop),
//! if there is one.

mod answers;
mod charsets;
mod exchange;
mod oddities;
mod server;
pub mod site;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use server::{Error, Web, start};

/// Most hosts of a web.
pub const MAX_HOSTS: u32 = 100_000;
/// Most addresses of a web.
pub const MAX_ADDRESSES: usize = 64;
/// The domain that all hosts are below.
pub const DOMAIN: &str = "web.test";
/// A name that stands for an address of the web and for one inside somebody's network at once, as a name does that rebinds:
/// nobody may ask it for anything.
pub const REBINDING: &str = "rebinding.web.test";

/// How a web is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen, 1 to [`MAX_ADDRESSES`] loopback addresses; host number n is at address n modulo their number.
    pub addresses: Vec<IpAddr>,
    /// The port on every address; 0 takes one that is free on all of them.
    pub port: u16,
    /// The same seed gives the same web.
    pub seed: u64,
    /// How many hosts there are, 1 to [`MAX_HOSTS`].
    pub hosts: u32,
    /// How many pages a host has at most beside its front page.
    pub pages: u32,
    /// Products of the shop that stands at the bare addresses, where no name is asked for; 0: there is none.
    pub products: u32,
    /// Where the access log goes; without it requests are only counted.
    pub access_log: Option<PathBuf>,
    /// How long an answer takes beyond the work that it is.
    pub latency: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addresses: vec![IpAddr::from([127, 0, 0, 1])],
            port: 0,
            seed: 1,
            hosts: 100,
            pages: 20,
            products: 0,
            access_log: None,
            latency: Duration::ZERO,
        }
    }
}
