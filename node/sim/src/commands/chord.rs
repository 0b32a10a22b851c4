//! `chord`: draws the tables of the Chord papers anew and heals many small rings, all printed as Markdown.

use clap::Args;
use scrapering_sim::chord::healing::{self, Dials, Lookups, Verdict};
use scrapering_sim::chord::paths::{self, Circle};
use scrapering_sim::chord::seeds;
use std::process::ExitCode;
use std::time::Instant;

/// Lookups for one mean path.
const LOOKUPS: usize = 4_000;
/// Largest ring with 32 virtual nodes a node, as a power of two: larger ones need more memory than they teach.
const MOST_WITH_VIRTUAL_NODES: u32 = 9;

/// Arguments of `chord`.
#[derive(Args)]
pub(crate) struct ChordArgs {
    /// Seeds of small rings that are to heal; exit code 1 if one does not.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed [default: random].
    #[arg(long)]
    base: Option<u64>,
    /// Threads [default: all processors].
    #[arg(long)]
    threads: Option<usize>,
    /// Leave the tables of the papers out.
    #[arg(long)]
    only_healing: bool,
}

/// Runs the command.
pub(crate) fn run(args: &ChordArgs) -> ExitCode {
    let base = args.base.unwrap_or_else(rand::random);
    println!("base seed {base}\n");
    if !args.only_healing {
        print_paths(base);
        print_failures(base);
        print_load(base);
    }
    let started = Instant::now();
    let dials = Dials::default();
    let verdicts = seeds::run(base, args.seeds, args.threads, |seed| healing::run(seed, &dials));
    if print_healing(&verdicts, started) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_paths(seed: u64) {
    println!(
        "Mean number of nodes asked in {LOOKUPS} lookups, no failures. In the first two columns a node has one point and"
    );
    println!("knows one successor, as in the paper; the other two are what our lists and virtual nodes make of it.\n");
    println!("| nodes | half of log2 N | one successor | longest | lists of 4 nodes | lists of 4, 32 virtual nodes |");
    println!("|---|---|---|---|---|---|");
    for exponent in 3..=14 {
        let nodes = 1 << exponent;
        let mean = |virtual_nodes, list| Circle::new(nodes, virtual_nodes, list, seed).measure(LOOKUPS, 0.0);
        let (plain, lists) = (mean(1, 1), mean(1, 4));
        let ours = (exponent <= MOST_WITH_VIRTUAL_NODES).then(|| format!("{:.2}", mean(32, 4).mean));
        println!(
            "| {nodes} | {:.1} | {:.2} | {} | {:.2} | {} |",
            f64::from(exponent) / 2.0,
            plain.mean,
            plain.longest,
            lists.mean,
            ours.unwrap_or_default()
        );
    }
}

fn print_failures(seed: u64) {
    println!("\n1,000 nodes of which some die at once; 10,000 lookups before anybody has noticed.\n");
    println!(
        "| died | list of 20: mean path | time-outs a lookup | failed | list of 4: mean path | time-outs a lookup | failed |"
    );
    println!("|---|---|---|---|---|---|---|");
    for tenths in 0..=5_u32 {
        let [long, short] =
            [20, 4].map(|list| Circle::new(1_000, 1, list, seed).measure(10_000, f64::from(tenths) / 10.0));
        println!(
            "| {tenths}0 % | {:.2} | {:.2} | {:.2} % | {:.2} | {:.2} | {:.2} % |",
            long.mean,
            long.timeouts,
            100.0 * long.failed,
            short.mean,
            short.timeouts,
            100.0 * short.failed
        );
    }
}

fn print_load(seed: u64) {
    println!("\nLoad of 10,000 nodes under 1,000,000 keys, in parts of the mean.\n");
    println!("| virtual nodes | 1st percentile | 99th percentile |\n|---|---|---|");
    for virtual_nodes in [1, 2, 5, 10, 20, 32] {
        let load = paths::load(10_000, virtual_nodes, 1_000_000, seed);
        println!("| {virtual_nodes} | {:.2} | {:.2} |", load.first_percentile, load.last_percentile);
    }
}

/// Prints what became of the rings; whether all is well.
fn print_healing(verdicts: &[Verdict], started: Instant) -> bool {
    let sum = |count: fn(&Verdict) -> u64| verdicts.iter().map(count).sum::<u64>();
    let mut lookups = Lookups::default();
    verdicts.iter().for_each(|verdict| lookups.add(&verdict.lookups));
    let mut healed: Vec<u64> = verdicts.iter().filter_map(|verdict| verdict.healed_after_ms).collect();
    healed.sort_unstable();
    let after = |part: f64| {
        let index = (healed.len().saturating_sub(1) as f64 * part) as usize;
        healed.get(index).map_or(f64::NAN, |ms| *ms as f64 / 1000.0)
    };
    println!(
        "\nRings of 6 to 10 nodes with 1 to 8 virtual nodes each; two die at once, five times, while others join.\n"
    );
    println!("| what | figure |\n|---|---|");
    println!("| seeds | {} in {:.0} s |", verdicts.len(), started.elapsed().as_secs_f64());
    println!("| simulated | {:.1} hours |", sum(|verdict| verdict.simulated_ms) as f64 / 3.6e6);
    println!("| died / joined or came back | {} / {} |", sum(|verdict| verdict.deaths), sum(|verdict| verdict.joins));
    println!("| batches of messages | {} |", sum(|verdict| verdict.batches));
    println!("| healed | {} |", healed.len());
    println!(
        "| s after the last death, arrival or news: median / p99 / worst | {:.2} / {:.2} / {:.2} |",
        after(0.5),
        after(0.99),
        after(1.0)
    );
    let share = |count: u64| 100.0 * count as f64 / lookups.ended.max(1) as f64;
    println!("| lookups meanwhile | {} |", lookups.ended);
    println!("| of these: brought nobody | {:.2} % |", share(lookups.nobody));
    println!(
        "| of these: named another than the first living one (the view corrects it) | {:.2} % |",
        share(lookups.mistaken)
    );
    println!("| of these: named one that had died unheard | {:.2} % |", share(lookups.died_unheard));
    println!("| of these: named one that the asker knew to be down | {} |", lookups.known_down);
    println!("| asked one that the asker knew to be down | {} |", lookups.asked_down);
    let bad = verdicts.iter().filter(|verdict| verdict.healed_after_ms.is_none());
    for verdict in bad.take(10) {
        println!(
            "VIOLATED by seed {}: the ring did not heal: {}",
            verdict.seed,
            verdict.wrong.as_deref().unwrap_or_default()
        );
    }
    healed.len() == verdicts.len() && lookups.known_down + lookups.asked_down == 0
}
