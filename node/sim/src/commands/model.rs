//! `model`: every reachable state of one register while its view changes, printed as a table.

use anyhow::{Context, bail};
use clap::Args;
use scrapering_sim::history::Action;
use scrapering_sim::model::{Exploration, Exploring, Small, worlds};
use scrapering_sim::mutant::Mutant;
use scrapering_sim::rules::{Honest, Rules};
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// Arguments of `model`.
#[derive(Args)]
pub(crate) struct ModelArgs {
    /// Take the rule of this mutant out, and print what it leads to.
    #[arg(long)]
    mutant: Option<String>,
    /// Only this world.
    #[arg(long, conflicts_with = "clients")]
    world: Option<String>,
    /// A world of your own: what each client asks for (p put, r read, c compare-and-set, d delete), as in `p,pr`.
    #[arg(long)]
    clients: Option<String>,
    /// In a world of your own, who leads the view over, and to which nodes, as in `0:012,1:120`.
    #[arg(long, default_value = "0:012")]
    moves: String,
    /// In a world of your own, nodes; three of them are members at the beginning.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=6))]
    nodes: u8,
    /// In a world of your own, let members 0 and 1 hold the first write of the first client at the beginning.
    #[arg(long)]
    written: bool,
    /// In a world of your own, let members that lack their view's state fetch it.
    #[arg(long)]
    late: bool,
    /// In a world of your own, ballots that a change takes at most.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    attempts: u8,
    /// In a world of your own, ballots that a reconfiguration takes at most.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    tries: u8,
    /// Only the worlds that take seconds.
    #[arg(long)]
    quick: bool,
    /// Stop after so many steps; 0 is never.
    #[arg(long, default_value_t = 0)]
    most: usize,
    /// Threads [default: all processors].
    #[arg(long)]
    threads: Option<NonZeroUsize>,
}

/// Runs the command: the protocol must hold in every world, and what a mutant does must be found.
pub(crate) fn run(args: &ModelArgs) -> anyhow::Result<ExitCode> {
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let chosen = chosen(args)?;
    println!(
        "| world | rule taken out | states | steps | longest way | seconds | found |\n|---|---|---|---|---|---|---|"
    );
    if let Some(slug) = &args.mutant {
        let mutant = Mutant::ALL.iter().find(|mutant| mutant.slug() == slug);
        let mutant =
            mutant.with_context(|| format!("there is no mutant {slug:?}; `scrapering-sim mutants` lists them"))?;
        let mut caught = false;
        for (name, small) in chosen {
            let found = explore(&name, small, Some(mutant), NonZeroUsize::MIN, args.most);
            caught |= found.counterexample.is_some();
            print_way(&found);
            if caught {
                break;
            }
        }
        return Ok(if caught { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut good = true;
    for (name, small) in chosen {
        let found = explore(&name, small, None, threads, args.most);
        good &= found.counterexample.is_none() && found.unseen.is_empty();
        print_way(&found);
    }
    if args.clients.is_none() && args.world.is_none() {
        for (mutant, name) in worlds::MUTANTS {
            let small = worlds::named(name).context("a mutant names a world that is not there")?;
            // One thread goes level by level, so what it finds first is shortest.
            let found = explore(name, small, Some(mutant), NonZeroUsize::MIN, args.most);
            good &= found.counterexample.is_some();
            if **mutant == Mutant::NoSeal {
                print_way(&found);
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn explore(
    name: &str,
    small: Small,
    mutant: Option<&'static Mutant>,
    threads: NonZeroUsize,
    most: usize,
) -> Exploration {
    let rules: &'static dyn Rules = mutant.map_or(&Honest, |mutant| mutant);
    let found = Exploring::new(small, rules).explore(threads, most);
    let Exploration { states, transitions, depth, complete, counterexample, unseen, elapsed } = &found;
    let verdict = match (counterexample, complete) {
        (Some(_), _) => "a counterexample",
        (None, false) => "stopped early",
        (None, true) if unseen.is_empty() || mutant.is_some() => "nothing wrong",
        (None, true) => "not everything that should happen",
    };
    let rule = mutant.map_or("none", |mutant| mutant.slug());
    println!("| {name} | {rule} | {states} | {transitions} | {depth} | {:.1} | {verdict} |", elapsed.as_secs_f64());
    found
}

fn print_way(found: &Exploration) {
    for never in &found.unseen {
        println!("  on no way: {never}");
    }
    let Some(counterexample) = &found.counterexample else { return };
    println!("  not true in the last state: {}", counterexample.property);
    counterexample.steps.iter().for_each(|step| println!("  {step}"));
}

fn chosen(args: &ModelArgs) -> anyhow::Result<Vec<(String, Small)>> {
    if let Some(clients) = &args.clients {
        return Ok(vec![("one's own".to_owned(), own(args, clients)?)]);
    }
    if let Some(name) = &args.world {
        let names: Vec<&str> = worlds::ALL.iter().map(|world| world.0).collect();
        let small = worlds::named(name)
            .with_context(|| format!("there is no world {name:?}; choose one of {}", names.join(", ")))?;
        return Ok(vec![(name.clone(), small)]);
    }
    let wanted = worlds::ALL.iter().filter(|(_, is_quick, _)| *is_quick || !args.quick);
    Ok(wanted.map(|(name, _, small)| ((*name).to_owned(), small())).collect())
}

fn own(args: &ModelArgs, clients: &str) -> anyhow::Result<Small> {
    let action = |letter: char| match letter {
        'p' => Ok(Action::Put),
        'r' => Ok(Action::Read),
        'c' => Ok(Action::CompareAndSet { version: 1 }),
        'd' => Ok(Action::Delete { version: None }),
        other => bail!("--clients: {other:?} is not one of p, r, c, d"),
    };
    let scripts = clients.split(',').filter(|script| !script.is_empty());
    let clients =
        scripts.map(|script| script.chars().map(action).collect()).collect::<anyhow::Result<Vec<Vec<Action>>>>()?;
    let digit = |letter: char| {
        let node = letter.to_digit(10).filter(|node| *node < u32::from(args.nodes));
        node.map(|node| node as usize).with_context(|| format!("--moves: {letter:?} is none of the nodes"))
    };
    let one = |text: &str| {
        let (by, to) = text.split_once(':').with_context(|| format!("--moves: {text:?} is not of the form 0:012"))?;
        let by = by.chars().map(digit).next().context("--moves: nobody is named before the colon")??;
        if by >= 3 {
            bail!("--moves: node {by} is no member and cannot lead the view over");
        }
        Ok((by, to.chars().map(digit).collect::<anyhow::Result<Vec<usize>>>()?))
    };
    let moves = args.moves.split(',').filter(|text| !text.is_empty()).map(one).collect::<anyhow::Result<Vec<_>>>()?;
    if args.written && !matches!(clients.first().and_then(|script| script.first()), Some(Action::Put)) {
        bail!("--written: the first client must begin with a put");
    }
    let attempts = [usize::from(args.attempts), usize::from(args.tries)];
    Ok(Small { nodes: usize::from(args.nodes), clients, moves, written: args.written, late: args.late, attempts })
}
