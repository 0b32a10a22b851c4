//! Chaos as a program: runs a ring of real processes through faults under load, judges the history, prints the figures.
//! Status 0 when every promise was kept, 1 when one was broken, 2 when nothing could be said.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints its figures")]

use anyhow::Context;
use clap::{Parser, Subcommand};
use scrapering_e2e::chaos::nemesis::Deck;
use scrapering_e2e::chaos::net::Network;
use scrapering_e2e::chaos::{Plan, Report, Round, verdict};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Longest that a fault lasts once clients have got on.
const LONGEST_HOLD: Duration = Duration::from_secs(15);

/// Kills, pauses, splits, wipes, adds and removes nodes of a ring under load, and judges what its clients saw.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Wanted,
}

#[derive(Debug, Subcommand)]
enum Wanted {
    /// Runs both rounds: faults on five nodes, then 3 -> 7 -> 3.
    Run(RunOptions),
    /// Judges a history that was recorded before.
    Judge {
        /// The history.
        history: PathBuf,
    },
}

#[derive(Debug, Parser)]
struct RunOptions {
    /// Seconds of faults.
    #[arg(long, default_value_t = 600)]
    duration: u64,
    /// What the dice begin with; drawn and printed when it is not given. The same seed draws the same faults.
    #[arg(long)]
    seed: Option<u64>,
    /// Where histories, verdicts, logs and rings go: a folder in it for each run.
    #[arg(long, default_value = ".scrapering/chaos")]
    data: PathBuf,
    /// Keep every node on loopback, without partitions and loss, even where namespaces could be had.
    #[arg(long)]
    loopback: bool,
    /// Leave out 3 -> 7 -> 3.
    #[arg(long)]
    no_scale: bool,
    /// Leave out the faults.
    #[arg(long)]
    no_faults: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let run = async {
        match Options::parse().command {
            Wanted::Run(options) => run(&options).await,
            Wanted::Judge { history } => verdict(&history, &[], Vec::new()).map(|report| show("history", &report)),
        }
    };
    // Namespaces and nodes go with the run when it is dropped; a signal must not leave them behind.
    let ended = tokio::select! {
        ended = run => ended,
        interrupted = interrupted() => interrupted.and(Err(anyhow::anyhow!("interrupted"))),
    };
    match ended {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn interrupted() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => Ok(ended?),
        _ = terminate.recv() => Ok(()),
    }
}

async fn run(options: &RunOptions) -> anyhow::Result<bool> {
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let namespaces = !options.loopback && may_have_namespaces();
    let folder = options.data.join(format!("seed-{seed}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let folder = folder.canonicalize()?;
    println!("chaos: seed {seed}, artefacts in {}", folder.display());
    let deck = Deck::whole(namespaces);
    let duration = Duration::from_secs(options.duration);
    let plans = [
        (!options.no_faults, "faults", Plan::Faults { deck, duration, longest_hold: LONGEST_HOLD }),
        (!options.no_scale, "scale", Plan::Scale),
    ];
    let mut good = true;
    for (_, name, plan) in plans.into_iter().filter(|(wanted, _, _)| *wanted) {
        println!("{name}:");
        let round = Round { seed, folder: folder.join(name), plan, namespaces, say };
        good &= show(name, &round.run().await?);
    }
    Ok(good)
}

/// Whether there can be namespaces here; where not, says loudly what is left out.
fn may_have_namespaces() -> bool {
    match Network::namespaces() {
        Ok(_) => true,
        Err(error) => {
            eprintln!(
                "WARNING: no partitions and no packet loss in this run: every node is on loopback, because {error:#}"
            );
            false
        }
    }
}

fn say(words: &str) {
    println!("  {words}");
}

fn show(name: &str, report: &Report) -> bool {
    println!("--- {name}");
    print!("{}", report.text);
    report.failures.is_empty()
}
