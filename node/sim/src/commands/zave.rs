//! `zave`: every reachable state of a small ring, printed as a table.

use clap::Args;
use scrapering_sim::zave::{Exploration, FAILURES, IDENTIFIERS, SMALLEST_RING, SmallRing};
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// Arguments of `zave`.
#[derive(Args)]
pub(crate) struct ZaveArgs {
    /// Let members also propose their next living one, as the membership tells them: many more states.
    #[arg(long)]
    repair: bool,
    /// Threads [default: all processors].
    #[arg(long)]
    threads: Option<NonZeroUsize>,
}

/// Runs the command: lists of three must hold, lists of two must break.
pub(crate) fn run(args: &ZaveArgs) -> ExitCode {
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    println!(
        "{IDENTIFIERS} identifiers, rings of {SMALLEST_RING} or more at the start, any joins, {FAILURES} deaths at any moment."
    );
    println!("States that are a turn of each other count once in the lists of three.\n");
    println!("| list | states | steps | longest way | seconds | found |\n|---|---|---|---|---|---|");
    let three = SmallRing { list: 3, repair: args.repair, turned: true }.explore(threads);
    print_row(&three);
    // One thread goes level by level, so what it finds first is shortest.
    let two = SmallRing { list: 2, repair: args.repair, turned: false }.explore(NonZeroUsize::MIN);
    print_row(&two);
    for exploration in [&three, &two] {
        print_counterexample(exploration);
    }
    let as_expected = three.counterexample.is_none() && two.counterexample.is_some();
    if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_row(exploration: &Exploration) {
    let Exploration { ring, states, transitions, depth, counterexample, elapsed } = exploration;
    let found = counterexample.as_ref().map_or("nothing wrong", |_| "a counterexample");
    println!("| {} | {states} | {transitions} | {depth} | {:.1} | {found} |", ring.list, elapsed.as_secs_f64());
}

fn print_counterexample(exploration: &Exploration) {
    let Some(counterexample) = &exploration.counterexample else { return };
    println!("\nLists of {}, not true in the last state: {}.", exploration.ring.list, counterexample.property);
    println!("A member is written as predecessor<member>successors.\n");
    for (state, action) in &counterexample.steps {
        println!("    {state}");
        if let Some(action) = action {
            println!("      {action:?}");
        }
    }
}
