//! No connection goes where the guard says no; a listener that must stay silent is the judge.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::*;
use crate::fetch::guard::tests::loopback_and_metadata_spellings;
use crate::fetch::resolver::LookupFuture;

/// Answers each lookup with the next of its lists, over and over.
struct Scripted(Vec<Vec<IpAddr>>, AtomicUsize);

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        Arc::new(Self(answers, AtomicUsize::new(0)))
    }
}

impl Lookup for Scripted {
    fn lookup(&self, _host: &str) -> LookupFuture {
        let turn = self.1.fetch_add(1, Ordering::Relaxed) % self.0.len();
        let answer = self.0[turn].clone();
        Box::pin(async move { Ok(answer) })
    }
}

/// A listener on IPv4 and, where the machine has it, IPv6 loopback, at the same port.
struct Canary(Vec<TcpListener>, u16);

impl Canary {
    async fn start() -> Self {
        let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = v4.local_addr().unwrap().port();
        let mut listeners = vec![v4];
        listeners.extend(TcpListener::bind(("::1", port)).await.ok());
        Self(listeners, port)
    }

    async fn assert_silent(&self) {
        for listener in &self.0 {
            let mut accept = std::pin::pin!(listener.accept());
            let connected =
                std::future::poll_fn(|context| std::task::Poll::Ready(accept.as_mut().poll(context).is_ready()));
            assert!(!connected.await, "something connected");
        }
    }
}

fn strict() -> FetcherConfig {
    FetcherConfig { allowed_private_cidrs: vec![], ..config() }
}

#[tokio::test]
async fn no_spelling_of_a_private_address_is_dialled() {
    let canary = Canary::start().await;
    let fetcher = Fetcher::new(&strict()).unwrap();
    let spellings = loopback_and_metadata_spellings();
    assert!(spellings.len() >= 150, "{}", spellings.len());
    for host in spellings {
        let Ok(url) = NormalizedUrl::parse(&format!("http://{host}:{}/", canary.1)) else {
            continue;
        };
        let error = fetch_with(&fetcher, &options(), &url).await.unwrap_err();
        assert!(matches!(error, FetchError::AddressNotAllowed), "{host}: {error:?}");
        assert_eq!(error.skip_reason(), SkipReason::PrivateAddress);
        assert!(!error.is_retryable());
        let robots = fetcher.fetch_robots(&url, None, &options()).await;
        assert!(
            matches!(robots.outcome, RobotsOutcome::Unreachable(FetchError::AddressNotAllowed)),
            "{host}: {:?}",
            robots.outcome
        );
    }
    canary.assert_silent().await;
}

#[tokio::test]
async fn names_of_private_addresses_are_not_dialled() {
    let canary = Canary::start().await;
    for answer in [
        &["127.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["0.0.0.0"],
        &["::"],
        &["8.8.8.8", "127.0.0.1"],
        &["2606:4700:4700::1111", "127.0.0.1"],
        &["127.0.0.1", "::1"],
    ] {
        let fetcher = Fetcher::with_lookup(&strict(), Scripted::new(&[answer])).unwrap();
        let url = url(&format!("http://inner.example:{}/", canary.1));
        let error = fetch_with(&fetcher, &options(), &url).await.unwrap_err();
        assert!(matches!(error, FetchError::AddressNotAllowed), "{answer:?}: {error:?}");
        assert_eq!(error.to_string(), "address not allowed");
    }
    canary.assert_silent().await;
}

#[tokio::test]
async fn localhost_asked_of_the_system_is_not_dialled() {
    let canary = Canary::start().await;
    let fetcher = Fetcher::new(&strict()).unwrap();
    let url = url(&format!("http://localhost:{}/", canary.1));
    let error = fetch_with(&fetcher, &options(), &url).await.unwrap_err();
    assert!(matches!(error, FetchError::AddressNotAllowed), "{error:?}");
    canary.assert_silent().await;
}

#[tokio::test]
async fn a_name_that_changes_its_address_reaches_only_the_checked_one() {
    let canary = Canary::start().await;
    let config = FetcherConfig { allowed_private_cidrs: vec!["127.0.0.2".parse().unwrap()], ..config() };
    let lookup = Scripted::new(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2", "127.0.0.1"]]);
    let fetcher = Fetcher::with_lookup(&config, lookup).unwrap();
    let url = url(&format!("http://rebind.example:{}/", canary.1));
    for turn in 0..300 {
        let error = fetch_with(&fetcher, &options(), &url).await.unwrap_err();
        if turn % 3 == 0 {
            assert!(matches!(error, FetchError::Connect(_)), "{error:?}");
        } else {
            assert!(matches!(error, FetchError::AddressNotAllowed), "{error:?}");
        }
    }
    canary.assert_silent().await;
}

#[tokio::test]
async fn an_opened_name_is_reached_and_the_host_header_keeps_the_name() {
    let server = Server::start(|_| Reply::page(200, "", "inner")).await;
    let fetcher = Fetcher::with_lookup(&config(), Scripted::new(&[&["127.0.0.1"]])).unwrap();
    let url = url(&format!("http://inner.example:{}/", server.port()));
    let fetched = fetch_with(&fetcher, &options(), &url).await.unwrap();
    assert_eq!(&fetched.body[..], b"inner");
    assert!(server.requests()[0].contains(&format!("host: inner.example:{}", server.port())));
}

#[tokio::test]
async fn the_address_that_is_paced_is_the_one_that_is_dialled() {
    let server = Server::start(|_| Reply::page(200, "", "inner")).await;
    let lookup = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.3"]]);
    let fetcher = Fetcher::with_lookup(&config(), lookup).unwrap();
    let url = url(&format!("http://inner.example:{}/", server.port()));
    for _ in 0..3 {
        assert_eq!(fetcher.address(&url, PATIENT).await.unwrap(), IpAddr::from([127, 0, 0, 1]));
        fetch_with(&fetcher, &options(), &url).await.unwrap();
    }
}

#[tokio::test]
async fn a_fixed_name_is_not_looked_up_and_passes_the_guard_like_any_other() {
    let server = Server::start(|_| Reply::page(200, "", "inner")).await;
    let fixed_names = vec!["*.shop.test=127.0.0.1".parse().unwrap()];
    let url = url(&format!("http://a.shop.test:{}/", server.port()));
    let open = Fetcher::new(&FetcherConfig { fixed_names: fixed_names.clone(), ..config() }).unwrap();
    assert_eq!(&fetch_with(&open, &options(), &url).await.unwrap().body[..], b"inner");
    let closed = Fetcher::new(&FetcherConfig { fixed_names, ..strict() }).unwrap();
    assert!(matches!(fetch_with(&closed, &options(), &url).await, Err(FetchError::AddressNotAllowed)));
    assert!(matches!(closed.address(&url, PATIENT).await, Err(FetchError::AddressNotAllowed)));
}

#[tokio::test]
async fn a_name_without_address_can_be_tried_again() {
    struct Nowhere;
    impl Lookup for Nowhere {
        fn lookup(&self, _host: &str) -> LookupFuture {
            Box::pin(async { Err(std::io::Error::other("no such name")) })
        }
    }
    let fetcher = Fetcher::with_lookup(&config(), Arc::new(Nowhere)).unwrap();
    let error = fetch_with(&fetcher, &options(), &url("http://gone.example/")).await.unwrap_err();
    assert!(matches!(error, FetchError::Resolve(_)), "{error:?}");
    assert!(error.is_retryable());
}
