//! The command line of the simulator: run seeds, replay one, or show that every rule matters.
#![allow(clippy::print_stdout, reason = "what the program found is its output")]

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use scrapering_sim::campaign::{Plan, Totals};
use scrapering_sim::mutant::Mutant;
use scrapering_sim::rules::{Honest, Rules};
use scrapering_sim::world::{Profile, Setup, World};
use std::process::ExitCode;

/// Runs ScrapeRing's machines in a seeded world of faults and judges what clients saw.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the register protocol under many seeds; exit code 1 on any violation.
    Register {
        /// Seeds; each runs in every chosen world.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// The first seed [default: random].
        #[arg(long)]
        base: Option<u64>,
        #[command(flatten)]
        worlds: Worlds,
        /// Threads [default: all processors].
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Print every event of one run.
    Replay {
        /// The seed that was printed.
        #[arg(long)]
        seed: u64,
        #[command(flatten)]
        worlds: Worlds,
        /// Take the rule of this mutant out.
        #[arg(long)]
        mutant: Option<String>,
    },
    /// Take each rule of the protocol out in turn; exit code 1 if nobody notices.
    Mutants {
        /// Only this mutant.
        #[arg(long)]
        only: Option<String>,
        /// Seeds a mutant; each runs in every chosen world.
        #[arg(long, default_value_t = 500)]
        seeds: u64,
        /// The first seed [default: random].
        #[arg(long)]
        base: Option<u64>,
        #[command(flatten)]
        worlds: Worlds,
        /// Threads [default: all processors].
        #[arg(long)]
        threads: Option<usize>,
    },
}

#[derive(Args, Clone, Copy)]
struct Worlds {
    /// How rough.
    #[arg(long, value_enum, default_value_t = ProfileChoice::All)]
    profile: ProfileChoice,
    /// Copies of each register.
    #[arg(long, value_enum, default_value_t = ReplicasChoice::All)]
    replicas: ReplicasChoice,
}

#[derive(ValueEnum, Clone, Copy)]
enum ProfileChoice {
    Normal,
    Hot,
    All,
}

#[derive(ValueEnum, Clone, Copy)]
enum ReplicasChoice {
    #[value(name = "3")]
    Three,
    #[value(name = "5")]
    Five,
    All,
}

impl Worlds {
    fn profiles(self) -> Vec<Profile> {
        match self.profile {
            ProfileChoice::Normal => vec![Profile::Normal],
            ProfileChoice::Hot => vec![Profile::Hot],
            ProfileChoice::All => vec![Profile::Normal, Profile::Hot],
        }
    }

    fn replicas(self) -> Vec<usize> {
        match self.replicas {
            ReplicasChoice::Three => vec![3],
            ReplicasChoice::Five => vec![5],
            ReplicasChoice::All => vec![3, 5],
        }
    }

    fn plan(self, seeds: u64, base: Option<u64>) -> Plan {
        let base = base.unwrap_or_else(rand::random);
        Plan { base, seeds, profiles: self.profiles(), replicas: self.replicas(), stop_at_first: false }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Register { seeds, base, worlds, threads } => Ok(register(&worlds.plan(seeds, base), threads)),
        Command::Replay { seed, worlds, mutant } => replay(seed, worlds, mutant.as_deref()),
        Command::Mutants { only, seeds, base, worlds, threads } => {
            mutants(only.as_deref(), &worlds.plan(seeds, base), threads)
        }
    }
}

fn register(plan: &Plan, threads: Option<usize>) -> ExitCode {
    println!(
        "base seed {}: {} seeds x {} profiles x {} replica counts",
        plan.base,
        plan.seeds,
        plan.profiles.len(),
        plan.replicas.len()
    );
    let totals = plan.run(&Honest, threads);
    print_totals(&totals);
    for failure in &totals.failures {
        let Setup { seed, profile, replicas } = failure.setup;
        println!("VIOLATED: {} ({})", failure.violation.rule, failure.violation.details);
        println!("  scrapering-sim replay --seed {seed} --profile {} --replicas {replicas}", profile.name());
    }
    verdict(totals.bad_histories + totals.bad_states == 0)
}

fn print_totals(totals: &Totals) {
    let (stats, seconds) = (&totals.stats, totals.elapsed.as_secs_f64());
    println!("runs            {} ({:.0} a second)", totals.runs, totals.runs as f64 / seconds);
    println!("simulated       {:.1} hours", stats.simulated_ms as f64 / 3.6e6);
    println!("operations      {} and {} scans", stats.calls, stats.scans);
    println!(
        "  done {}, conflict {}, unknown {}, unavailable {}",
        stats.done, stats.conflicts, stats.indeterminate, stats.unavailable
    );
    println!("messages        {}", stats.messages);
    println!(
        "group commits   {} ({} of several messages, {} failed)",
        stats.fsyncs, stats.shared_fsyncs, stats.disk_failures
    );
    println!("crashes         {}", stats.crashes);
    println!("partitions      {}", stats.partitions);
    println!("frozen          {}", stats.pauses);
    println!("histories       {}", stats.histories);
    println!(
        "violations      {} runs with a history that is not linearizable, {} with a broken invariant",
        totals.bad_histories, totals.bad_states
    );
    println!("seconds         {seconds:.1}");
}

fn replay(seed: u64, worlds: Worlds, mutant: Option<&str>) -> anyhow::Result<ExitCode> {
    let (&[profile], &[replicas]) = (&worlds.profiles()[..], &worlds.replicas()[..]) else {
        bail!("a replay needs one world: give --profile normal|hot and --replicas 3|5");
    };
    let mutant = mutant.map(named).transpose()?;
    let rules: &dyn Rules = mutant.as_ref().map_or(&Honest, |mutant| mutant);
    let report = World::new(Setup { seed, profile, replicas }, rules, true).run();
    report.lines.iter().for_each(|line| println!("{line}"));
    for violation in report.invariants.iter().chain(&report.histories) {
        println!("VIOLATED: {} ({})", violation.rule, violation.details);
    }
    println!("trace {:016x}", report.trace_hash);
    Ok(verdict(report.violation().is_none()))
}

fn named(slug: &str) -> anyhow::Result<Mutant> {
    Mutant::named(slug).with_context(|| {
        let slugs: Vec<&str> = Mutant::ALL.iter().map(|mutant| mutant.slug()).collect();
        format!("there is no mutant {slug:?}; choose one of {}", slugs.join(", "))
    })
}

fn mutants(only: Option<&str>, plan: &Plan, threads: Option<usize>) -> anyhow::Result<ExitCode> {
    let chosen = match only {
        Some(slug) => vec![named(slug)?],
        None => Mutant::ALL.to_vec(),
    };
    println!("base seed {}, {} seeds a world; runs caught by the history / by an invariant", plan.base, plan.seeds);
    let worlds: Vec<Plan> = plan
        .replicas
        .iter()
        .flat_map(|replicas| {
            plan.profiles.iter().map(|profile| Plan {
                profiles: vec![*profile],
                replicas: vec![*replicas],
                ..plan.clone()
            })
        })
        .collect();
    let heads: Vec<String> =
        worlds.iter().map(|world| format!("{} R={}", world.profiles[0].name(), world.replicas[0])).collect();
    println!("| {:26} | {} | rule taken out |\n|---|{}---|", "mutant", heads.join(" | "), "---|".repeat(heads.len()));
    let mut survivors = Vec::new();
    for mutant in &chosen {
        let totals: Vec<Totals> = worlds.iter().map(|world| world.run(mutant, threads)).collect();
        let cells: Vec<String> =
            totals.iter().map(|totals| format!("{} / {}", totals.bad_histories, totals.bad_states)).collect();
        println!("| {:26} | {} | {} |", mutant.slug(), cells.join(" | "), mutant.rule());
        if totals.iter().all(|totals| totals.failures.is_empty()) {
            survivors.push(mutant.slug());
        }
    }
    println!("{} of {} mutants caught", chosen.len() - survivors.len(), chosen.len());
    if !survivors.is_empty() {
        println!("NOT CAUGHT: {}", survivors.join(", "));
    }
    Ok(verdict(survivors.is_empty()))
}

fn verdict(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
