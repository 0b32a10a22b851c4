//! The judge as a program: reads an access log of the fixture shop and prints every breach of politeness.
//! Status 0 without a breach, 1 with one, 2 when the log cannot be judged.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints its verdict")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use scrapering_e2e::access_log;
use scrapering_e2e::judge::{Rules, Verdict, judge};

/// Judges how polite the visitors of a server were, from the server's own access log.
#[derive(Debug, Parser)]
struct Options {
    /// The access log of the fixture shop.
    log: PathBuf,
    /// Most requests to one host that may be open at once.
    #[arg(long, default_value_t = 1)]
    max_in_flight: u32,
    /// Least milliseconds between the starts of two requests to one host.
    #[arg(long, default_value_t = 0)]
    min_gap_ms: u64,
    /// How many milliseconds shorter a gap may look, because threads do not wake up at once.
    #[arg(long, default_value_t = 1)]
    tolerance_ms: u64,
    /// A path prefix that robots.txt forbids; may be given many times. Without it: those of the fixture shop.
    #[arg(long)]
    disallow: Vec<String>,
    /// How many answered pages may be fetched again: what was in flight when a visitor was killed.
    #[arg(long, default_value_t = 0)]
    max_repeats: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let defaults = Rules::default();
    let rules = Rules {
        max_in_flight: options.max_in_flight,
        min_gap: Duration::from_millis(options.min_gap_ms),
        tolerance: Duration::from_millis(options.tolerance_ms),
        disallowed: if options.disallow.is_empty() { defaults.disallowed } else { options.disallow },
        max_robots: None,
        max_repeats: options.max_repeats,
    };
    let records = match access_log::read(&options.log) {
        Ok(records) => records,
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::new(error));
            return ExitCode::from(2);
        }
    };
    if records.is_empty() {
        eprintln!("error: nobody visited: {} is empty", options.log.display());
        return ExitCode::from(2);
    }
    let verdicts = judge(&records, &rules);
    for (host, verdict) in &verdicts {
        print(host, verdict);
    }
    ExitCode::from(u8::from(verdicts.values().any(|verdict| !verdict.breaches.is_empty())))
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
    for breach in &verdict.breaches {
        println!("  {breach}");
    }
}
