//! Cuts the power of a ring's nodes under load and demands back everything that was acknowledged; see [`scrapering_e2e::power`].
//!
//! Exit status: 0 nothing was lost, 1 something was or went wrong, 77 nothing was tested, because this machine cannot.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints what it sees")]

use anyhow::Context;
use clap::Parser;
use scrapering_e2e::power::cut::Cut;
use scrapering_e2e::power::rounds::Plan;
use scrapering_e2e::power::{control, corrupt, disk, report, rounds};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

/// Exit status of a run that tested nothing.
const SKIPPED: u8 = 77;
/// Exit status of a run that was interrupted.
const INTERRUPTED: u8 = 130;

/// Cuts the power of a ring's nodes under load: nothing acknowledged may be lost.
#[derive(Debug, Parser)]
struct Options {
    /// Cuts of one node's power.
    #[arg(long, default_value_t = 50)]
    single: usize,
    /// Cuts of the whole ring's power.
    #[arg(long, default_value_t = 10)]
    whole: usize,
    /// Leave out the control, in which fsync is swallowed and writes must be lost.
    #[arg(long)]
    no_control: bool,
    /// Instead of cutting the power, damage the files of one node this many times.
    #[arg(long, value_name = "TIMES")]
    corrupt: Option<usize>,
    /// Decides the order of the cuts and what is written [default: drawn and printed].
    #[arg(long)]
    seed: Option<u64>,
    /// A folder on the disk that is used; it is emptied first, and removed unless something went wrong.
    #[arg(long, default_value = ".scrapering/power")]
    data: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let folder = emptied(&options.data)?;
    if let Err(unable) = disk::check_able(&folder) {
        eprintln!("SKIPPED, NOTHING WAS TESTED: {unable}");
        return Ok(ExitCode::from(SKIPPED));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(async {
        let (mut interrupt, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whatever comes first: the run is dropped, and with it its processes and its mounts.
        tokio::select! {
            done = run(&options, &folder) => done.map(|()| true),
            _ = interrupt.recv() => Ok(false),
            _ = end.recv() => Ok(false),
        }
    });
    drop(runtime);
    match done {
        Ok(true) => std::fs::remove_dir_all(&folder).map(|()| ExitCode::SUCCESS).context("the folder stays"),
        Ok(false) => {
            eprintln!("interrupted; what was mounted is unmounted");
            Ok(ExitCode::from(INTERRUPTED))
        }
        Err(error) => {
            eprintln!(
                "POWER CUTS FAILED: {error:#}\nWhat the nodes said, and their disks, are in {}",
                folder.display()
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn run(options: &Options, folder: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    let say = |line: String| println!("{:>6.1} s  {line}", began.elapsed().as_secs_f64());
    println!("{}", report::fsync_text(folder)?);
    let seed = options.seed.unwrap_or_else(rand::random);
    if let Some(rounds) = options.corrupt {
        println!("{rounds} times one node's files are damaged under load, seed {seed}");
        println!("{}", corrupt::run(&below(folder, "corrupt")?, rounds, seed, &say).await?);
        return Ok(());
    }
    let plan = Plan { single: options.single, whole: options.whole, seed };
    println!("{} single and {} whole-ring power cuts under load, seed {seed}", plan.single, plan.whole);
    let tally = rounds::run(&below(folder, "cuts")?, plan, &say).await?;
    if !options.no_control {
        for (cut, place) in [(Cut::Narrow, "control-single"), (Cut::Whole, "control-whole")] {
            control::run(&below(folder, place)?, cut, seed, &say).await?;
        }
    }
    println!("\n{}", tally.text());
    println!("took {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn below(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    Ok(path)
}

/// An empty folder in place of what an earlier run has left; with an absolute path, as mounts have.
fn emptied(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let folder = folder.canonicalize()?;
    disk::clear(&folder)?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
    std::fs::create_dir(&folder)?;
    Ok(folder)
}
