//! A short chaos run on loopback, kills and pauses only: what `make chaos` does for ten minutes, and with more kinds of faults.

use anyhow::ensure;
use scrapering_e2e::chaos::nemesis::{Deck, Kind};
use scrapering_e2e::chaos::{Plan, Round};
use std::time::Duration;

/// How long faults go on.
const DURATION: Duration = Duration::from_secs(35);
/// Longest that one lasts once clients have got on.
const LONGEST_HOLD: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_saw_while_nodes_were_killed_and_paused_could_have_happened_on_one_machine() -> anyhow::Result<()>
{
    let folder = tempfile::tempdir()?;
    let round = Round {
        seed: u64::from(std::process::id()),
        folder: folder.path().to_owned(),
        plan: Plan::Faults {
            deck: Deck(vec![Kind::Kill, Kind::Kill, Kind::Pause]),
            duration: DURATION,
            longest_hold: LONGEST_HOLD,
        },
        namespaces: false,
        say: |words| println!("{words}"),
    };
    let report = round.run().await?;
    println!("{}", report.text);
    ensure!(report.failures.is_empty(), "{}", report.text);
    Ok(())
}
