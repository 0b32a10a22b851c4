//! Jobs through proxies: as polite as without, by addresses that the ring has checked, and on to the next when one fails.

use anyhow::ensure;
use scrapering_e2e::access_log;
use scrapering_e2e::judge::Rules;
use scrapering_e2e::judge::web::{WebRules, judge_web};
use scrapering_e2e::proxy::{Kind, Proxy};
use scrapering_e2e::ring::Ring;
use scrapering_e2e::web;
use std::time::Duration;

/// How long a part of a job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
const DELAY: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_go_through_their_proxies_by_checked_addresses_and_past_a_dead_one() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let addresses = vec![[127, 78, 0, 1].into(), [127, 78, 0, 2].into()];
    let access_log = Some(folder.path().join("access.jsonl"));
    let latency = Duration::from_millis(2);
    let web = web::start(web::Config { addresses, hosts: 6, pages: 3, access_log, latency, ..web::Config::default() })
        .await?;
    let mut ring = Ring::init(folder.path(), 3).await?.with_options(web.options());
    ring.start_all().await?;
    let http = Proxy::start(Kind::Http, Some(("reader", "open-sesame"))).await?;
    let socks = Proxy::start(Kind::Socks5, Some(("reader", "open-sesame"))).await?;
    // Nobody listens on port 9 of this address.
    let job = format!(
        "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: proxied}}
spec:
  seeds: [{{url: \"{url}\"}}]
  scope:
    scopeType: domain
    exclude: ['/(calendar|session|deep|slow-header|endless|broken|overloaded|chain|bomb|busy|unavailable)']
  request:
    # By host, six hosts might all have the same proxy: their names hold a port that is another one each time.
    proxy: {{urls: ['http://127.78.0.9:9', '{http}', '{socks}'], rotation: perRequest}}
    timeouts: {{total: 10s}}
  politeness: {{delay: {delay}ms}}
  retry: {{maxRetries: 3, backoff: {{initial: 100ms, max: 1s}}}}
",
        url = web.url(0),
        http = http.url(),
        socks = socks.url(),
        delay = DELAY.as_millis(),
    );
    let id = ring.door().submit(&job).await?;
    let status = ring.door().ended(&id, LIMIT).await?;
    ensure!(status["status"]["phase"] == "Completed", "{status}");
    ensure!(!status.to_string().contains("sesame"), "{status}");
    ensure!(status["status"]["pages"]["succeeded"].as_u64().is_some_and(|pages| pages > 10), "{status}");
    for proxy in [&http, &socks] {
        let asked = proxy.asked();
        ensure!(!asked.is_empty(), "{} was not used", proxy.url());
        ensure!(asked.iter().all(|target| target.starts_with("127.78.0.")), "a proxy was given a name: {asked:?}");
    }
    let rules = WebRules {
        host: Rules { max_in_flight: 1, min_gap: DELAY, disallowed: Vec::new(), ..Rules::default() },
        max_crawl_delay: Duration::from_secs(30),
        max_in_flight_per_address: 64,
        min_gap_per_address: Duration::ZERO,
    };
    let verdict = judge_web(&access_log::read(&folder.path().join("access.jsonl"))?, web.config(), &rules);
    ensure!(verdict.breaches().is_empty(), "{}", verdict.breaches().join("\n"));
    ring.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_no_way_to_an_address_that_is_not_allowed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut ring =
        Ring::init(folder.path(), 1).await?.with_options(vec!["--resolve".into(), "inside.test=10.1.2.3".into()]);
    ring.start_all().await?;
    let proxy = Proxy::start(Kind::Http, None).await?;
    let job = |name: &str, url: &str, proxy: &str| {
        format!(
            "apiVersion: scrapering.io/v1alpha1
kind: ScrapeJob
metadata: {{name: {name}}}
spec:
  seeds: [{{url: '{url}'}}]
  request: {{proxy: {{urls: ['{proxy}']}}}}
  retry: {{maxRetries: 0}}
"
        )
    };
    for (name, url) in [("by-name", "http://inside.test/"), ("by-address", "http://169.254.169.254/")] {
        let id = ring.door().submit(&job(name, url, &proxy.url())).await?;
        ring.door().ended(&id, LIMIT).await?;
        let skipped = ring.door().list(&id, "skipped").await?;
        ensure!(skipped.len() == 1 && skipped[0]["reason"] == "privateAddress", "{skipped:?}");
    }
    ensure!(proxy.asked().is_empty(), "the proxy was asked for {:?}", proxy.asked());
    let id = ring.door().submit(&job("proxy-inside", "http://127.0.0.1:8099/", "http://10.1.2.3:3128")).await?;
    let status = ring.door().ended(&id, LIMIT).await?;
    ensure!(status["status"]["pages"]["succeeded"] == 0, "{status}");
    ring.stop().await
}
