//! `churn`: a large ring in which nodes come and go, and the account of it.

use clap::Args;
use scrapering_sim::churn::{self, Account, Dials};
use std::process::ExitCode;
use std::time::Instant;

/// Most that may be moved, in parts of what placement says must be.
const MOST: f64 = 1.3;

/// Arguments of `churn`.
#[derive(Args)]
pub(crate) struct ChurnArgs {
    /// Nodes at any time.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=500))]
    nodes: u32,
    /// Simulated minutes of coming and going.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// Nodes in a hundred that go every minute; as many come.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=20))]
    percent: u32,
    /// How many of them crash, every minute, and never come back.
    #[arg(long, default_value_t = 1)]
    crashes: u32,
    /// Keys.
    #[arg(long, default_value_t = 2_048, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    keys: u32,
    /// Operations a second.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// The seed [default: random].
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(args: &ChurnArgs) -> ExitCode {
    let seed = args.seed.unwrap_or_else(rand::random);
    let replaced_a_minute = (args.nodes * args.percent).div_ceil(100) as usize;
    let dials = Dials {
        nodes: args.nodes as usize,
        minutes: u64::from(args.minutes),
        replaced_a_minute,
        crashes_a_minute: args.crashes as usize,
        keys: args.keys as usize,
        operations_a_second: u64::from(args.rate),
        ..Dials::default()
    };
    println!(
        "seed {seed}: {} nodes; every minute {replaced_a_minute} go ({} of them crash) and as many come, for {} minutes",
        dials.nodes,
        dials.crashes_a_minute.min(replaced_a_minute),
        dials.minutes
    );
    let started = Instant::now();
    let account = churn::run(seed, &dials);
    print(&account);
    println!("| seconds of this run | {:.0} |", started.elapsed().as_secs_f64());
    let kept = account.lost + account.not_linearizable + account.unreadable == 0;
    if kept && account.ratio() <= MOST { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(account: &Account) {
    let mega = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let rows = [
        ("nodes that came / left / crashed", format!("{} / {} / {}", account.joined, account.left, account.crashed)),
        (
            "came and does not serve yet / still hands over",
            format!("{} / {}", account.still_joining, account.still_leaving),
        ),
        ("views begun", account.views.to_string()),
        ("copies that placement asked for", account.ideal_copies.to_string()),
        ("bytes in these: the ideal", mega(account.ideal_bytes)),
        ("bytes moved", mega(account.moved_bytes)),
        (
            "of these to nodes that were to come in / while a view changed",
            format!("{} / {}", mega(account.taught_bytes), mega(account.aligned_bytes)),
        ),
        ("moved in parts of the ideal", format!("{:.3}", account.ratio())),
        (
            "operations acknowledged / unknown / not done",
            format!("{} / {} / {}", account.acknowledged, account.unknown, account.unavailable),
        ),
        ("writes acknowledged", account.writes.to_string()),
        ("of these lost", account.lost.to_string()),
        (
            "keys with a history that is not linearizable / that could not be read at the end",
            format!("{} / {}", account.not_linearizable, account.unreadable),
        ),
        ("partition-seconds with all five copies", format!("{:.2} %", account.whole_share * 100.0)),
        (
            "fewest copies / longest with fewer than five",
            format!("{} / {} s", account.fewest_copies, account.worst_short_s),
        ),
        ("partitions that others keep than should, at the end", account.misplaced.to_string()),
        ("messages", account.messages.to_string()),
        ("simulated", format!("{:.1} minutes", account.simulated_s as f64 / 60.0)),
    ];
    println!("\n| what | figure |\n|---|---|");
    rows.iter().for_each(|(what, figure)| println!("| {what} | {figure} |"));
}
