//! The judge as a program: reads the access log of a fixture web and prints every breach of politeness.
//! Status 0 without a breach, 1 with one, 2 when the log cannot be judged.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints its verdict")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use scrapering_crds::ScrapeJob;
use scrapering_e2e::access_log;
use scrapering_e2e::judge::web::{WebRules, judge_web};
use scrapering_e2e::judge::{Rules, Verdict, judge};
use scrapering_e2e::web::Config;

/// Judges how polite the visitors of a fixture web were, from the web's own access log.
#[derive(Debug, Parser)]
struct Options {
    /// The access log of the fixture shop or web.
    log: PathBuf,
    /// The job that visited the shop; what it asks for is what it is held to.
    #[arg(long)]
    shop_job: PathBuf,
    /// The job that visited the hosts; without it there were none.
    #[arg(long)]
    web_job: Option<PathBuf>,
    /// How many hosts the web has.
    #[arg(long, default_value_t = 1000)]
    web_hosts: u32,
    /// How many pages a host has at most beside its front page.
    #[arg(long, default_value_t = 20)]
    web_pages: u32,
    /// How many addresses the web has.
    #[arg(long, default_value_t = 1)]
    web_addresses: usize,
    /// What the web was made from.
    #[arg(long, default_value_t = 1)]
    web_seed: u64,
    /// How many milliseconds shorter a gap may look, because threads do not wake up at once.
    #[arg(long, default_value_t = 1)]
    tolerance_ms: u64,
}

fn main() -> ExitCode {
    match judged(&Options::parse()) {
        Ok(breaches) => ExitCode::from(u8::from(breaches > 0)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Prints the verdict; the number of breaches.
fn judged(options: &Options) -> anyhow::Result<usize> {
    let records = access_log::read(&options.log)?;
    ensure!(!records.is_empty(), "nobody visited: {} is empty", options.log.display());
    // The shop stands at the bare address, the hosts have names.
    let (shop, web): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| is_address(&record.host));
    let rules = options.rules_of(&options.shop_job)?;
    let mut breaches = 0;
    for (host, verdict) in judge(&shop, &Rules { disallowed: Rules::default().disallowed, ..rules.host }) {
        print(&format!("The shop at {host}"), &verdict);
        breaches += verdict.breaches.len();
    }
    let Some(web_job) = &options.web_job else { return Ok(breaches) };
    let verdict = judge_web(&web, &options.web(), &options.rules_of(web_job)?);
    let retries: usize = verdict.hosts.values().map(|verdict| verdict.retries).sum();
    let found = verdict.breaches();
    println!(
        "{} hosts at {} addresses: {} requests, {retries} retries, {} breaches",
        verdict.hosts.len(),
        verdict.addresses.len(),
        verdict.requests(),
        found.len()
    );
    found.iter().for_each(|breach| println!("  {breach}"));
    Ok(breaches + found.len())
}

impl Options {
    /// What a job asks for is what it is held to.
    fn rules_of(&self, file: &Path) -> anyhow::Result<WebRules> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let job: ScrapeJob = serde_saphyr::from_str(&text)?;
        let politeness = job.spec.politeness;
        let host = Rules {
            max_in_flight: politeness.concurrent_requests_per_host,
            min_gap: politeness.delay.0,
            tolerance: Duration::from_millis(self.tolerance_ms),
            disallowed: Vec::new(),
            max_robots: None,
            max_repeats: 0,
        };
        Ok(WebRules {
            host,
            max_crawl_delay: politeness.robots.max_crawl_delay.0,
            max_in_flight_per_address: politeness.concurrent_requests_per_ip.unwrap_or(u32::MAX),
            min_gap_per_address: politeness.delay_per_ip.0,
        })
    }

    fn web(&self) -> Config {
        Config {
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST); self.web_addresses],
            seed: self.web_seed,
            hosts: self.web_hosts,
            pages: self.web_pages,
            ..Config::default()
        }
    }
}

fn is_address(host: &str) -> bool {
    host.rsplit_once(':').map_or(host, |(name, _)| name).parse::<IpAddr>().is_ok()
}

fn print(host: &str, verdict: &Verdict) {
    let gap =
        verdict.shortest_gap.map_or_else(|| "none".to_owned(), |gap| format!("{:.3} ms", gap.as_secs_f64() * 1000.0));
    println!(
        "{host}: {} requests for {} paths, {} retries, {} repeats, most in flight {}, shortest gap {gap}, {} breaches",
        verdict.requests,
        verdict.paths,
        verdict.retries,
        verdict.repeats,
        verdict.most_in_flight,
        verdict.breaches.len()
    );
    verdict.breaches.iter().for_each(|breach| println!("  {breach}"));
}
