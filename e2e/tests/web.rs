//! The fixture web as a visitor sees it: virtual hosts on loopback, every kind of trouble, a log of all of it.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails like the test itself")]

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use scrapering_e2e::access_log;
use scrapering_e2e::web::site::{Robots, Site};
use scrapering_e2e::web::{self, Config, Web};

async fn open(folder: &std::path::Path) -> (Web, Client) {
    // Another test of this process may have been first: the provider is the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let addresses: Vec<IpAddr> = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into()].to_vec();
    let config = Config { addresses, access_log: Some(folder.join("access.jsonl")), ..Config::default() };
    let web = web::start(config).await.unwrap();
    let mut client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    for number in 0..web.config().hosts {
        let name = Site::new(web.config(), number).name(web.config());
        let address = web.config().addresses[number as usize % 2];
        client = client.resolve(&name, (address, web.port()).into());
    }
    (web, client.build().unwrap())
}

async fn get(web: &Web, client: &Client, host: u32, path: &str) -> Response {
    client.get(format!("{}{path}", web.url(host))).send().await.unwrap()
}

#[tokio::test]
async fn hosts_have_their_own_pages_and_robots_and_the_log_knows_their_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let (web, client) = open(folder.path()).await;
    let front = get(&web, &client, 1, "").await.text().await.unwrap();
    assert!(front.contains("Host 1") && front.contains("h2.ip0.web.test"), "{front}");
    for (number, robots) in Robots::ALL.iter().enumerate() {
        let answer = get(&web, &client, u32::try_from(number).unwrap(), "robots.txt").await;
        let expected = match robots {
            Robots::Missing => 404,
            Robots::Broken => 500,
            Robots::Busy => 503,
            Robots::Moved => 302,
            _ => 200,
        };
        assert_eq!(answer.status(), expected, "{robots:?}");
    }
    let records = access_log::read(&folder.path().join("access.jsonl")).unwrap();
    assert_eq!(records.len(), 13);
    assert_eq!((records[0].address.as_str(), records[1].address.as_str()), ("127.0.0.2", "127.0.0.1"));
}

#[tokio::test]
async fn busy_hosts_say_for_how_long_in_both_forms_and_the_log_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let (web, client) = open(folder.path()).await;
    let seconds = get(&web, &client, 0, "busy").await;
    assert_eq!(
        (seconds.status(), seconds.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "2")
    );
    let date = get(&web, &client, 0, "unavailable/date").await;
    assert_eq!(date.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(date.headers()["retry-after"].to_str().unwrap().ends_with(" GMT"));
    assert_eq!(get(&web, &client, 0, "busy").await.status(), StatusCode::OK);
    let records = access_log::read(&folder.path().join("access.jsonl")).unwrap();
    assert_eq!(records[0].pause_ms, Some(2_000));
    assert!(records[1].pause_ms.is_some_and(|pause_ms| (1..=3_000).contains(&pause_ms)));
    assert_eq!(records[2].pause_ms, None);
}

#[tokio::test]
async fn what_is_broken_breaks_as_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let (web, client) = open(folder.path()).await;
    let url = |path: &str| format!("{}{path}", web.url(0));
    assert!(client.get(url("reset")).send().await.is_err());
    assert!(client.get(url("slow-header")).timeout(Duration::from_millis(300)).send().await.unwrap_err().is_timeout());
    assert!(get(&web, &client, 0, "cut-off").await.bytes().await.is_err());
    let mut endless = get(&web, &client, 0, "endless").await;
    let mut read = 0;
    while read < 1 << 20 {
        read += endless.chunk().await.unwrap().unwrap().len();
    }
    assert_eq!(get(&web, &client, 0, "loop/a").await.headers()["location"], "/loop/b");
    for coding in ["gzip", "br", "zstd"] {
        let bomb = get(&web, &client, 0, &format!("bomb/{coding}")).await;
        assert!(bomb.content_length().is_none_or(|length| length < 100_000), "{coding}");
        assert_eq!(bomb.bytes().await.unwrap().len(), 64 << 20, "{coding}");
    }
}
