//! A few power cuts with real disks; `make power-cuts` makes many, and shows that they lose what is not synced.

use anyhow::Context;
use scrapering_e2e::power::rounds::{self, Plan};
use scrapering_e2e::power::{disk, report};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_with_a_disk_each_keeps_what_it_acknowledged_when_the_power_is_cut() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    if let Err(unable) = disk::check_able(folder.path()) {
        eprintln!("SKIPPED, NOTHING WAS TESTED: {unable}");
        return Ok(());
    }
    println!("{}", report::fsync_text(folder.path())?);
    let plan = Plan { single: 2, whole: 1, seed: rand::random() };
    let tally = rounds::run(folder.path(), plan, &|line| println!("{line}")).await;
    println!("{}", tally.with_context(|| format!("{plan:?}"))?.text());
    Ok(())
}
