//! Proxies: through which of them a request of a job goes.

use super::Secret;
use sha1::{Digest, Sha1};

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProxyKind {
    /// HTTP, asked to open a tunnel (`CONNECT`, RFC 9110 section 9.3.6).
    Http,
    /// SOCKS version 5 (RFC 1928).
    Socks5,
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Its name or address, lower case, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, Secret)>,
}

/// When the next proxy has its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// A host is visited through the same one as long as that works.
    #[default]
    PerHost,
    /// Each request goes through another one.
    PerRequest,
}

/// The proxies of a job; without any, its requests go straight to their hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// In the order of the file.
    pub list: Vec<Proxy>,
    /// When the next one has its turn.
    pub rotation: Rotation,
}

impl Proxies {
    /// The proxy for a request to `origin`: the first from its place that works, or else the one in its place. `request`
    /// counts requests; `works` knows which proxies have failed lately.
    pub fn choose(&self, origin: &str, request: u64, works: impl Fn(&Proxy) -> bool) -> Option<&Proxy> {
        let count = self.list.len() as u64;
        let turn = match self.rotation {
            Rotation::PerHost => place(origin),
            Rotation::PerRequest => request,
        };
        let start = usize::try_from(turn.checked_rem(count)?).ok()?;
        let (before, from) = self.list.split_at(start);
        from.iter().chain(before).find(|proxy| works(proxy)).or(from.first())
    }
}

/// The same for the same origin on every node.
fn place(origin: &str) -> u64 {
    let hash: [u8; 20] = Sha1::digest(origin.as_bytes()).into();
    hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn proxies(count: u16, rotation: Rotation) -> Proxies {
        let proxy = |port| Proxy { kind: ProxyKind::Http, host: "p.test".to_owned(), port, login: None };
        Proxies { list: (1..=count).map(proxy).collect(), rotation }
    }

    fn port(proxies: &Proxies, origin: &str, request: u64, failed: &[u16]) -> Option<u16> {
        proxies.choose(origin, request, |proxy| !failed.contains(&proxy.port)).map(|proxy| proxy.port)
    }

    #[test]
    fn a_host_stays_with_its_proxy_until_that_fails_and_hosts_share_them_all() {
        let proxies = proxies(3, Rotation::PerHost);
        let own = port(&proxies, "http://a.test:80", 0, &[]).expect("a proxy");
        assert!((1..9).all(|request| port(&proxies, "http://a.test:80", request, &[]) == Some(own)));
        let next = port(&proxies, "http://a.test:80", 0, &[own]).expect("another");
        assert_eq!(next, own % 3 + 1);
        assert_eq!(
            port(&proxies, "http://a.test:80", 0, &[1, 2, 3]),
            Some(own),
            "none works: the own one is tried again"
        );
        let used: BTreeSet<_> = (0..50).map(|n| port(&proxies, &format!("http://h{n}.test:80"), 0, &[])).collect();
        assert_eq!(used.len(), 3);
    }

    #[test]
    fn each_request_may_have_the_next_one() {
        let proxies = proxies(2, Rotation::PerRequest);
        let turns: Vec<_> = (0..4).map(|request| port(&proxies, "http://a.test:80", request, &[])).collect();
        assert_eq!(turns, [Some(1), Some(2), Some(1), Some(2)]);
        assert_eq!(port(&Proxies::default(), "http://a.test:80", 0, &[]), None);
    }
}
