//! A small shop on loopback for crawlers to visit: generated from a seed, nothing of it is checked in.
//!
//! [`catalog`] decides what is for sale, [`pages`] writes the HTML, `counter` finds
//! the page that is asked for, [`server`] answers and keeps the access log.
//! The shop has what a real one has: categories with pagination, products with specifications and related products,
//! a robots.txt whose disallowed pages are linked everywhere, a dead link, a moved page, and one page that is busy
//! the first time it is asked for.

pub mod catalog;
pub(crate) mod counter;
pub mod pages;
pub mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use server::{Error, Shop, start};

/// Most products that a shop can hold: every page may end up in memory, at about 10 KB each.
pub const MAX_PRODUCTS: u32 = 100_000;

/// How a shop is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What the catalogue is made from: the same seed gives the same pages, byte for byte.
    pub seed: u64,
    /// How many products there are, 1 to [`MAX_PRODUCTS`].
    pub products: u32,
    /// Where the access log goes; without it requests are only counted.
    pub access_log: Option<PathBuf>,
    /// The `Crawl-delay` that robots.txt asks for, in seconds; none by default.
    pub crawl_delay_s: Option<u32>,
    /// Whether one product answers 503 the first time it is asked for.
    pub busy_once: bool,
    /// How long each answer takes beyond the work that it is.
    pub latency: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            products: 200,
            access_log: None,
            crawl_delay_s: None,
            busy_once: true,
            latency: Duration::ZERO,
        }
    }
}
