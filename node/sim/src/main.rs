//! The command line of the simulator: run seeds, replay one, or show that every rule matters.
#![allow(clippy::print_stdout, reason = "what the program found is its output")]

mod commands;

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
    /// Run the register protocol, with views that move, under many seeds; exit code 1 on any violation.
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
    /// Run registers that refer to bodies under many seeds, with two rotten disks; exit code 1 on any violation.
    Bodies {
        /// Seeds; each runs with every chosen number of copies.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// The first seed [default: random].
        #[arg(long)]
        base: Option<u64>,
        /// Copies of each register.
        #[arg(long, value_enum, default_value_t = ReplicasChoice::All)]
        replicas: ReplicasChoice,
        /// Threads [default: all processors].
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Measure how membership sees crashes, pauses and partitions under loss; exit code 1 on any violation.
    Swim(commands::swim::SwimArgs),
    /// Draw the tables of the Chord papers and heal many small rings; exit code 1 if one does not heal.
    Chord(commands::chord::ChordArgs),
    /// Let nodes of a large ring come and go for an hour under load; exit code 1 on a lost write or too much moved.
    Churn(commands::churn::ChurnArgs),
    /// Explore every reachable state of a small ring; exit code 1 if it breaks, or if lists of two do not.
    Zave(commands::zave::ZaveArgs),
    /// Explore every reachable state of one register while its view changes; exit code 1 on any violation.
    Model(commands::model::ModelArgs),
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
    Bodies,
    /// All in which the command means something.
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
    /// The chosen profiles; `all` if there was no choice.
    fn profiles(self, all: &[Profile]) -> Vec<Profile> {
        match self.profile {
            ProfileChoice::Normal => vec![Profile::Normal],
            ProfileChoice::Hot => vec![Profile::Hot],
            ProfileChoice::Bodies => vec![Profile::Bodies],
            ProfileChoice::All => all.to_vec(),
        }
    }

    fn plan(self, seeds: u64, base: Option<u64>, all: &[Profile]) -> Plan {
        let base = base.unwrap_or_else(rand::random);
        Plan { base, seeds, profiles: self.profiles(all), replicas: self.replicas.counts(), stop_at_first: false }
    }
}

impl ReplicasChoice {
    fn counts(self) -> Vec<usize> {
        match self {
            Self::Three => vec![3],
            Self::Five => vec![5],
            Self::All => vec![3, 5],
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Register { seeds, base, worlds, threads } => {
            Ok(run(&worlds.plan(seeds, base, &Profile::OF_REGISTERS), threads))
        }
        Command::Bodies { seeds, base, replicas, threads } => {
            let worlds = Worlds { profile: ProfileChoice::All, replicas };
            Ok(run(&worlds.plan(seeds, base, &Profile::WITH_BODIES), threads))
        }
        Command::Swim(args) => Ok(commands::swim::run(&args)),
        Command::Chord(args) => Ok(commands::chord::run(&args)),
        Command::Churn(args) => Ok(commands::churn::run(&args)),
        Command::Zave(args) => Ok(commands::zave::run(&args)),
        Command::Model(args) => commands::model::run(&args),
        Command::Replay { seed, worlds, mutant } => replay(seed, worlds, mutant.as_deref()),
        Command::Mutants { only, seeds, base, worlds, threads } => {
            mutants(only.as_deref(), worlds, &worlds.plan(seeds, base, &[]), threads)
        }
    }
}

fn run(plan: &Plan, threads: Option<usize>) -> ExitCode {
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
    if stats.moves > 0 {
        println!("views           {} begun by {} reconfigurations", stats.views, stats.moves);
        println!(
            "  copies fetched late {}, compared {}, deleted {}",
            stats.recoveries, stats.relays, stats.retirements
        );
    }
    if stats.bodies_put > 0 {
        println!(
            "bodies          {} put, {} of them stored, {} with a copy to be made later",
            stats.bodies_put, stats.bodies_stored, stats.bodies_short
        );
        println!("  looked for: {} found, {} not found while faults lasted", stats.bodies_found, stats.bodies_missed);
        println!("  copies lost or damaged on disk: {}", stats.copies_damaged);
    }
    println!("histories       {}", stats.histories);
    println!(
        "violations      {} runs with a history that is not linearizable, {} with a broken invariant",
        totals.bad_histories, totals.bad_states
    );
    println!("seconds         {seconds:.1}");
}

fn replay(seed: u64, worlds: Worlds, mutant: Option<&str>) -> anyhow::Result<ExitCode> {
    let (&[profile], &[replicas]) = (&worlds.profiles(&[])[..], &worlds.replicas.counts()[..]) else {
        bail!("a replay needs one world: give --profile normal|hot|bodies and --replicas 3|5");
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

fn mutants(only: Option<&str>, worlds: Worlds, plan: &Plan, threads: Option<usize>) -> anyhow::Result<ExitCode> {
    let chosen = match only {
        Some(slug) => vec![named(slug)?],
        None => Mutant::ALL.to_vec(),
    };
    println!("base seed {}, {} seeds a world; runs caught by the history / by an invariant", plan.base, plan.seeds);
    let (mut survivors, mut judged) = (Vec::new(), 0);
    for all in [&Profile::OF_REGISTERS[..], &Profile::WITH_BODIES[..]] {
        let profiles: Vec<Profile> = worlds.profiles(all).into_iter().filter(|profile| all.contains(profile)).collect();
        let mutants: Vec<Mutant> = chosen.iter().copied().filter(|mutant| mutant.profiles() == all).collect();
        if !profiles.is_empty() && !mutants.is_empty() {
            judged += mutants.len();
            survivors.extend(table(&mutants, &Plan { profiles, ..plan.clone() }, threads));
        }
    }
    if judged == 0 {
        bail!("the rule of this mutant does not matter in the chosen profile; choose another or leave --profile out");
    }
    println!("\n{} of {judged} mutants caught", judged - survivors.len());
    if !survivors.is_empty() {
        println!("NOT CAUGHT: {}", survivors.join(", "));
    }
    Ok(verdict(survivors.is_empty()))
}

/// Prints a line for each mutant, a column for each world; returns the mutants that nobody noticed.
fn table(mutants: &[Mutant], plan: &Plan, threads: Option<usize>) -> Vec<&'static str> {
    let one = |profile: &Profile, replicas: &usize| Plan {
        profiles: vec![*profile],
        replicas: vec![*replicas],
        ..plan.clone()
    };
    let worlds: Vec<Plan> = plan
        .replicas
        .iter()
        .flat_map(|replicas| plan.profiles.iter().map(move |profile| one(profile, replicas)))
        .collect();
    let heads: Vec<String> =
        worlds.iter().map(|world| format!("{} R={}", world.profiles[0].name(), world.replicas[0])).collect();
    println!("\n| {:26} | {} | rule taken out |\n|---|{}---|", "mutant", heads.join(" | "), "---|".repeat(heads.len()));
    let mut survivors = Vec::new();
    for mutant in mutants {
        let totals: Vec<Totals> = worlds.iter().map(|world| world.run(mutant, threads)).collect();
        let cells: Vec<String> =
            totals.iter().map(|totals| format!("{} / {}", totals.bad_histories, totals.bad_states)).collect();
        println!("| {:26} | {} | {} |", mutant.slug(), cells.join(" | "), mutant.rule());
        if totals.iter().all(|totals| totals.failures.is_empty()) {
            survivors.push(mutant.slug());
        }
    }
    survivors
}

fn verdict(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
