//! Power cuts under load, one after the other, on one ring that must come back from each.

use super::check::{Findings, check};
use super::cut::Cut;
use super::load::{Held, Load};
use super::report::Tally;
use super::ring::{Fsync, NODES, PoweredRing, all};
use crate::ring::name;
use anyhow::{Context, ensure};
use rand::rngs::SmallRng;
use rand::seq::{SliceRandom, index};
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::time::Duration;

/// Writes that must be acknowledged before each cut, so that each has something to lose.
const WRITES: u64 = 60;
/// How long they may take.
const WRITES_LIMIT: Duration = Duration::from_secs(120);
/// Longest time from then to the cut.
const LONGEST_MS: u64 = 1_000;
/// How long a key may be unreadable after the ring is whole again.
const READ_LIMIT: Duration = Duration::from_secs(60);
/// How many faults are shown.
const SHOWN: usize = 20;

/// Where a line of progress goes.
pub type Say<'a> = &'a (dyn Fn(String) + Sync);

/// How many cuts, and the seed of their order and of the load.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Cuts of one node; every other one is [`Cut::Narrow`].
    pub single: usize,
    /// Cuts of all nodes.
    pub whole: usize,
    /// Decides the order, the nodes, the moments and what is written.
    pub seed: u64,
}

impl Plan {
    /// Every cut in its turn.
    fn cuts(&self, random: &mut SmallRng) -> Vec<Cut> {
        let single = (0..self.single).map(|turn| if turn % 2 == 0 { Cut::Single } else { Cut::Narrow });
        let mut cuts: Vec<Cut> = single.chain((0..self.whole).map(|_| Cut::Whole)).collect();
        cuts.shuffle(random);
        cuts
    }
}

/// Cuts the power of a ring below `folder` as planned; what was seen.
///
/// # Errors
/// The ring does not come back, a node refuses to start, something acknowledged is gone, or the machine does not play along.
pub async fn run(folder: &Path, plan: Plan, say: Say<'_>) -> anyhow::Result<Tally> {
    let mut random = SmallRng::seed_from_u64(plan.seed);
    let ring = PoweredRing::start(folder).await?;
    let load = Load::start(ring.store().clone(), NODES, plan.seed);
    let mut site = Site { ring, load };
    let mut tally = Tally::default();
    let cuts = plan.cuts(&mut random);
    for (turn, &cut) in cuts.iter().enumerate() {
        let context = || format!("cut {} of {} ({cut})", turn + 1, cuts.len());
        let line = site.round(cut, &mut random, &mut tally).await.with_context(context)?;
        say(format!("{:>3}/{} {cut:<21} {line}", turn + 1, cuts.len()));
    }
    let held = site.load.hold().await?;
    site.check(&held, &all(), &mut tally).await.context("the check at the end")?;
    site.load.go_on(held);
    site.load.end().await?;
    tally.note_writes(&site.load.ledger());
    site.ring.stop(&all()).await?;
    Ok(tally)
}

/// A ring and who writes to it.
pub(super) struct Site {
    pub(super) ring: PoweredRing,
    pub(super) load: Load,
}

impl Site {
    async fn round(&mut self, cut: Cut, random: &mut SmallRng, tally: &mut Tally) -> anyhow::Result<String> {
        let nodes = index::sample(random, NODES, NODES).into_vec();
        let before = self.load.ledger().acknowledged;
        let moment = Duration::from_millis(random.random_range(0..=LONGEST_MS));
        let (held, back) = match cut {
            Cut::Single => self.single(nodes[0], moment).await?,
            Cut::Narrow => self.narrow(&nodes, moment).await?,
            Cut::Whole => self.whole(moment).await?,
        };
        let writes = self.load.ledger().acknowledged - before;
        // After a narrow cut two nodes stand still, and nobody but the cut one can tell what they were told.
        let places = if cut == Cut::Narrow { vec![nodes[0], nodes[3], nodes[4]] } else { all() };
        let findings = self.check(&held, &places, tally).await?;
        if cut == Cut::Narrow {
            self.ring.resume(&nodes[1..3]).await?;
        }
        self.load.use_only(&all());
        self.load.go_on(held);
        tally.note_cut(cut, back);
        let who = if cut == Cut::Whole { "all".to_owned() } else { name(nodes[0]) };
        Ok(format!(
            "{who:<6} {writes:>5} writes acknowledged, serving again after {:>5.2} s, {} keys read in {:.1} s, 0 lost",
            back.as_secs_f64(),
            findings.read,
            findings.took.as_secs_f64()
        ))
    }

    async fn single(&mut self, node: usize, moment: Duration) -> anyhow::Result<(Held, Duration)> {
        self.load.acknowledges(WRITES, WRITES_LIMIT).await?;
        tokio::time::sleep(moment).await;
        self.ring.pause(&[node]).await?;
        self.ring.cut(&[node]).await?;
        let back = self.start_again(&[node]).await?;
        self.load.check()?;
        Ok((self.load.hold().await?, back))
    }

    /// Cuts the power of `nodes[0]`, whose majority is `nodes[..3]`; returns with `nodes[1..3]` standing still.
    async fn narrow(&mut self, nodes: &[usize], moment: Duration) -> anyhow::Result<(Held, Duration)> {
        self.only(&nodes[..3]).await?;
        self.load.acknowledges(WRITES, WRITES_LIMIT).await.context("two nodes of five stand still")?;
        tokio::time::sleep(moment).await;
        self.ring.pause(&nodes[..1]).await?;
        let held = self.load.hold();
        self.ring.cut(&nodes[..1]).await?;
        self.ring.resume(&nodes[3..]).await?;
        let back = self.start_again(&nodes[..1]).await?;
        self.load.check()?;
        let held = held.await?;
        self.ring.pause(&nodes[1..3]).await?;
        Ok((held, back))
    }

    /// Lets `nodes` work and makes the others stand still, with nobody waiting for them.
    pub(super) async fn only(&mut self, nodes: &[usize]) -> anyhow::Result<()> {
        let others: Vec<usize> = all().into_iter().filter(|node| !nodes.contains(node)).collect();
        let held = self.load.hold().await?;
        self.load.use_only(nodes);
        self.ring.pause(&others).await?;
        self.load.go_on(held);
        Ok(())
    }

    async fn whole(&mut self, moment: Duration) -> anyhow::Result<(Held, Duration)> {
        self.load.acknowledges(WRITES, WRITES_LIMIT).await?;
        tokio::time::sleep(moment).await;
        self.ring.pause(&all()).await?;
        let held = self.load.hold();
        self.ring.cut(&all()).await?;
        self.load.check()?;
        let held = held.await?;
        Ok((held, self.start_again(&all()).await?))
    }

    async fn start_again(&mut self, nodes: &[usize]) -> anyhow::Result<Duration> {
        self.ring.start_nodes(nodes, Fsync::Honest)?;
        self.ring.serving(nodes).await
    }

    async fn check(&mut self, held: &Held, places: &[usize], tally: &mut Tally) -> anyhow::Result<Findings> {
        let findings = check(&self.load, held, self.ring.store(), places, READ_LIMIT).await?;
        tally.note_check(&findings);
        ensure!(
            findings.is_good(),
            "{} of {} keys with acknowledged writes are lost, {} are wrong, {} cannot be read:\n{}{}",
            findings.lost(),
            findings.acknowledged,
            findings.faults.len() - findings.lost(),
            findings.unreadable.len(),
            findings.lines(SHOWN),
            self.ring.tails()
        );
        Ok(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_every_cut_and_its_seed_gives_their_order() {
        let plan = Plan { single: 51, whole: 10, seed: 1 };
        let cuts = |seed| plan.cuts(&mut SmallRng::seed_from_u64(seed));
        let count = |cut| cuts(1).iter().filter(|&&other| other == cut).count();
        assert_eq!((count(Cut::Single), count(Cut::Narrow), count(Cut::Whole)), (26, 25, 10));
        assert_eq!(cuts(1), cuts(1));
        assert_ne!(cuts(1), cuts(2));
    }
}
