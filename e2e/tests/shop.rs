//! Visits the fixture shop over HTTP as a crawler would, and lets the judge read the log of the visit.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails like the test itself")]

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url};
use scraper::{Html, Selector};
use scrapering_e2e::access_log;
use scrapering_e2e::judge::{Breach, Rules, Verdict, judge};
use scrapering_e2e::shop::{self, Config, Shop};

async fn open(products: u32, log: &Path) -> (Shop, Client) {
    // Another test of this process may have been first: the provider is the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = Config { products, access_log: Some(log.to_owned()), ..Config::default() };
    let shop = shop::start(config).await.unwrap();
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).user_agent("shop-test").build().unwrap();
    (shop, client)
}

async fn visit(client: &Client, shop: &Shop, path: &str) -> Response {
    client.get(format!("{}{path}", shop.url().trim_end_matches('/'))).send().await.unwrap()
}

fn links(base: &Url, page: &str) -> Vec<Url> {
    let selector = Selector::parse("a[href]").unwrap();
    Html::parse_document(page).select(&selector).filter_map(|a| base.join(a.attr("href")?).ok()).collect()
}

fn verdict(log: &Path) -> Verdict {
    let mut verdicts = judge(&access_log::read(log).unwrap(), &Rules::default());
    assert_eq!(verdicts.len(), 1);
    verdicts.pop_first().unwrap().1
}

/// Follows every link but the disallowed ones, one request at a time, and says what was answered with 200.
async fn crawl(client: &Client, shop: &Shop) -> BTreeSet<String> {
    visit(client, shop, "/robots.txt").await;
    let mut known = BTreeSet::from([shop.url()]);
    let mut open = VecDeque::from([Url::parse(&shop.url()).unwrap()]);
    let mut answered = BTreeSet::new();
    while let Some(url) = open.pop_front() {
        let response = client.get(url.clone()).send().await.unwrap();
        let found = match response.status() {
            StatusCode::OK => {
                answered.insert(url.path().to_owned());
                links(&url, &response.text().await.unwrap())
            }
            StatusCode::MOVED_PERMANENTLY => {
                vec![url.join(response.headers()["location"].to_str().unwrap()).unwrap()]
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                assert_eq!(response.headers()["retry-after"], "1");
                open.push_back(url);
                continue;
            }
            StatusCode::NOT_FOUND => continue,
            other => panic!("{url} answered {other}"),
        };
        let allowed = |url: &Url| !url.path().starts_with("/cart") && !url.path().starts_with("/admin");
        open.extend(found.into_iter().filter(allowed).filter(|url| known.insert(url.to_string())));
    }
    answered
}

#[tokio::test]
async fn a_polite_crawl_finds_every_product_and_the_judge_finds_no_breach() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.jsonl");
    let (shop, client) = open(60, &log).await;
    let answered = crawl(&client, &shop).await;
    let products = answered.iter().filter(|path| path.starts_with("/product/")).count();
    assert_eq!(products, 60);
    assert!(answered.contains("/company/about"), "the moved page was not found");
    shop.close().await.unwrap();
    let verdict = verdict(&log);
    assert_eq!(verdict.breaches, []);
    assert_eq!((verdict.retries, verdict.most_in_flight), (1, 1));
}

#[tokio::test]
async fn a_rude_visitor_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.jsonl");
    let (shop, client) = open(60, &log).await;
    visit(&client, &shop, "/product/1").await;
    visit(&client, &shop, "/robots.txt").await;
    visit(&client, &shop, "/cart?add=1").await;
    visit(&client, &shop, "/product/1").await;
    shop.close().await.unwrap();
    let breaches = verdict(&log).breaches;
    assert!(matches!(&breaches[0], Breach::BeforeRobots { path, .. } if path == "/product/1"), "{breaches:?}");
    assert_eq!(
        breaches[1..],
        [
            Breach::Disallowed { path: "/cart?add=1".to_owned() },
            Breach::Repeat { path: "/product/1".to_owned(), previous_status: 200 },
        ]
    );
}

#[tokio::test]
async fn requests_that_overlap_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.jsonl");
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let slow = Config { latency: Duration::from_secs(1), access_log: Some(log.clone()), ..Config::default() };
    let shop = shop::start(slow).await.unwrap();
    let client = Client::new();
    tokio::join!(visit(&client, &shop, "/"), visit(&client, &shop, "/product/1"), visit(&client, &shop, "/product/2"));
    shop.close().await.unwrap();
    assert_eq!(verdict(&log).most_in_flight, 3);
}

#[tokio::test]
async fn a_page_has_one_path_only() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, client) = open(60, &folder.path().join("access.jsonl")).await;
    for path in [
        "/product/0",
        "/product/01",
        "/product/+1",
        "/product/61",
        "/category/toys?page=01",
        "/category/toys?page=9",
        "/category/none?page=1",
    ] {
        assert_eq!(visit(&client, &shop, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let post = client.post(shop.url()).send().await.unwrap();
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn bad_settings_are_refused_with_their_reason() {
    let taken = shop::start(Config::default()).await.unwrap();
    let error = shop::start(Config { listen: taken.address(), ..Config::default() }).await.unwrap_err();
    assert!(error.to_string().contains("port 0 for any free port"), "{error}");
    let error = shop::start(Config { products: 0, ..Config::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), "a shop has 1 to 100000 products, not 0");
    let error = shop::start(Config { access_log: Some("/nowhere/log".into()), ..Config::default() }).await.unwrap_err();
    assert!(error.to_string().contains("check that its folder exists"), "{error}");
}
