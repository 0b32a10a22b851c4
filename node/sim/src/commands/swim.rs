//! `swim`: measures the membership in rings of several sizes and prints the figures as tables in Markdown.

use clap::Args;
use scrapering_sim::swim::{chaos, measure};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// How long a paused node stands still.
const PAUSE: Duration = Duration::from_secs(30);
/// A quiet ring is watched for so long.
const QUIET: Duration = Duration::from_secs(120);

/// Arguments of `swim`.
#[derive(Args)]
pub(crate) struct SwimArgs {
    /// Sizes of the rings.
    #[arg(long, value_delimiter = ',', default_values_t = [5, 50, 500], value_parser = clap::value_parser!(u64).range(2..=1000))]
    nodes: Vec<u64>,
    /// The seed.
    #[arg(long, default_value_t = 2_026)]
    seed: u64,
    /// Node-hours that each ring is watched under loss.
    #[arg(long, default_value_t = 50)]
    node_hours: u64,
    /// Crashes in a ring of up to 50 nodes; larger ones get fewer.
    #[arg(long, default_value_t = 100)]
    crashes: usize,
    /// Seeds of small rings under all faults at once; exit code 1 on any violation.
    #[arg(long, default_value_t = 1_000)]
    chaos: u64,
}

/// Runs the command.
pub(crate) fn run(args: &SwimArgs) -> ExitCode {
    println!("seed {}; times in seconds: median / p99 / worst\n", args.seed);
    let (mut detection, mut errors) = (String::new(), String::new());
    let rows = std::thread::scope(|scope| {
        let rings = args.nodes.iter().map(|nodes| scope.spawn(move || rows(args, *nodes as usize)));
        let rings: Vec<_> = rings.collect();
        rings.into_iter().map(|ring| ring.join().expect("a ring that panics ends the run")).collect::<Vec<_>>()
    });
    for (of_detection, of_errors) in rows {
        detection += &of_detection;
        errors += &of_errors;
    }
    println!(
        "| nodes | crash | loss | crashes | first knows | all know | back for all | missed | others held for down |"
    );
    println!("|---|---|---|---|---|---|---|---|---|\n{detection}");
    println!(
        "| nodes | messages a node and second, quiet | with 5 % loss | false downs a node-hour, 5 % loss | suspicions a node-hour | 30 s pauses | of others about others | of the paused about others | paused back | partitions | healed |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|\n{errors}");
    let bad: Vec<_> = (0..args.chaos)
        .map(|number| args.seed.wrapping_add(number))
        .filter_map(|seed| chaos::run(seed).violation.map(|violation| (seed, violation)))
        .collect();
    println!("{} seeds of all faults at once: {} violations", args.chaos, bad.len());
    for (seed, violation) in &bad {
        println!("VIOLATED by seed {seed}: {} ({})", violation.rule, violation.details);
    }
    if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A ring's lines of both tables.
fn rows(args: &SwimArgs, nodes: usize) -> (String, String) {
    let count = if nodes <= 50 { args.crashes } else { args.crashes / 5 }.max(1);
    let mut detection = String::new();
    for (crash, loss, refuses) in
        [("process killed", 0.0, true), ("machine gone", 0.0, false), ("machine gone", 0.05, false)]
    {
        let seen = measure::crashes(nodes, args.seed, loss, refuses, count);
        let _ = writeln!(
            detection,
            "| {nodes} | {crash} | {:.0} % | {count} | {} | {} | {} | {} | {} |",
            loss * 100.0,
            times(&seen.first),
            times(&seen.everybody),
            times(&seen.back),
            seen.missed,
            seen.false_downs
        );
    }
    let quiet = measure::steady(nodes, args.seed, 0.0, QUIET);
    let span = Duration::from_secs(args.node_hours * 3600 / nodes as u64);
    let lossy = measure::steady(nodes, args.seed, 0.05, span);
    let count = (count / 5).max(1);
    let pauses = measure::pauses(nodes, args.seed, 0.0, PAUSE, count);
    let partitions = measure::partitions(nodes, args.seed, 0.0, count);
    let errors = format!(
        "| {nodes} | {:.1} | {:.1} | {:.3} ({} in {:.0} h) | {:.1} | {count} | {} | {} | {} | {count} | {} |\n",
        quiet.messages,
        lossy.messages,
        lossy.false_downs as f64 / lossy.node_hours,
        lossy.false_downs,
        lossy.node_hours,
        lossy.suspicions as f64 / lossy.node_hours,
        pauses.by_others,
        pauses.by_paused,
        times(&pauses.back),
        times(&partitions),
    );
    (detection, errors)
}

fn times(times: &measure::Times) -> String {
    let seconds = |part: f64| times.quantile(part).as_secs_f64();
    format!("{:.1} / {:.1} / {:.1}", seconds(0.5), seconds(0.99), seconds(1.0))
}
