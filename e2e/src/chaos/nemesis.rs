//! What goes wrong in a chaos run, drawn from seeded dice: never more than two nodes impaired at once, and never a
//! fault before the ring is whole again after the last one.

use super::fleet::Fleet;
use super::history::{Fault, Line, Recorder};
use super::load::Tally;
use crate::door::until;
use crate::ring::name;
use anyhow::Context;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nodes that a ring has when nothing is added.
pub const NODES: usize = 5;
/// Most nodes that are impaired at once.
const IMPAIRED: usize = 2;
/// Longest that a process stands still.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long clients may get no acknowledgement while no more than two nodes are impaired.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// Acknowledged changes that must have been made during a fault before it ends.
const PROGRESS: u64 = 10;
/// How long a ring may take until it is whole again; a node that stays away is replaced after one minute.
pub const WHOLE_LIMIT: Duration = Duration::from_secs(300);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL to two nodes at once, which come back with their disks.
    Kill,
    /// SIGSTOP to one or two nodes.
    Pause,
    /// Nobody in a pair hears anybody outside.
    SplitTwo,
    /// Nobody hears one node.
    SplitOne,
    /// One or two nodes lose packets.
    Loss,
    /// One or two nodes are killed and come back without their data folders.
    Wipe,
    /// A node is added, or one of more than five is removed.
    Resize,
    /// A node is killed and stays away until it has been replaced.
    Replace,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill two",
            Self::Pause => "pause",
            Self::SplitTwo => "partition 2|3",
            Self::SplitOne => "partition 1|4",
            Self::Loss => "loss",
            Self::Wipe => "wipe",
            Self::Resize => "resize",
            Self::Replace => "replace",
        })
    }
}

/// What a nemesis does, each kind as often as it stands here, before it begins again in another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deck(pub Vec<Kind>);

impl Deck {
    /// Everything; without packet faults where there are none.
    pub fn whole(has_packet_faults: bool) -> Self {
        let mut kinds = vec![Kind::Kill, Kind::Kill, Kind::Pause, Kind::Pause, Kind::Wipe, Kind::Resize, Kind::Replace];
        if has_packet_faults {
            kinds.extend([Kind::SplitTwo, Kind::SplitOne, Kind::Loss]);
        }
        Self(kinds)
    }
}

/// The nemesis.
pub struct Nemesis {
    /// The dice.
    pub dice: SmallRng,
    /// Where faults are written down.
    pub recorder: Recorder,
    /// How the clients get on.
    pub tally: Arc<Tally>,
    /// Longest that a fault lasts once clients have got on.
    pub longest_hold: Duration,
    /// Tells the crawl's judge, and whoever watches, what is going on.
    pub say: fn(&str),
}

/// What a fault is about and when its cause ended.
struct Over {
    nodes: Vec<usize>,
    end_ns: u64,
    down: Vec<usize>,
    what: String,
}

impl Nemesis {
    /// Plays the deck until `duration` is over, and the last fault with it.
    ///
    /// # Errors
    /// The ring does not do what it promises, or a fault cannot be brought about.
    pub async fn play(&mut self, fleet: &mut Fleet, deck: &Deck, duration: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut hand: Vec<Kind> = Vec::new();
        while began.elapsed() < duration {
            if hand.is_empty() {
                hand.clone_from(&deck.0);
                hand.shuffle(&mut self.dice);
            }
            let Some(kind) = hand.pop() else { break };
            self.fault(fleet, kind).await.with_context(|| format!("while it was about \"{kind}\""))?;
        }
        Ok(())
    }

    /// Brings about one fault, and waits until the ring is whole again.
    async fn fault(&mut self, fleet: &mut Fleet, kind: Kind) -> anyhow::Result<()> {
        let kind = if kind == Kind::Replace && fleet.members().len() <= NODES { Kind::Resize } else { kind };
        let start_ns = self.recorder.now_ns();
        let over = match kind {
            Kind::Kill => self.kill(fleet).await,
            Kind::Pause => self.pause(fleet).await,
            Kind::SplitTwo => self.split(fleet, 2).await,
            Kind::SplitOne => self.split(fleet, 1).await,
            Kind::Loss => self.lose(fleet).await,
            Kind::Wipe => self.wipe(fleet).await,
            Kind::Resize if fleet.members().len() <= NODES => self.add(fleet).await,
            Kind::Resize => self.remove(fleet).await,
            Kind::Replace => self.stay_away(fleet).await,
        }?;
        self.settle(fleet, start_ns, over).await
    }

    /// Waits until the ring is whole, and writes the fault down.
    async fn settle(&mut self, fleet: &mut Fleet, start_ns: u64, over: Over) -> anyhow::Result<()> {
        let received = |fleet: &Fleet| -> Option<u64> {
            over.nodes.iter().map(|&node| fleet.network().received_bytes(node)).sum()
        };
        let before = received(fleet);
        let whole_ns = fleet.whole(&over.down, WHOLE_LIMIT, &self.recorder).await?;
        let received_bytes = before.zip(received(fleet)).map(|(before, after)| after.saturating_sub(before));
        let nodes: Vec<String> = over.nodes.iter().copied().map(name).collect();
        let ms = |from: u64, to: u64| to.saturating_sub(from) / 1_000_000;
        (self.say)(&format!(
            "{:>7.1} s  {} {}: {} ms, whole again {} ms later",
            self.recorder.now_ns() as f64 / 1e9,
            over.what,
            nodes.join(" "),
            ms(start_ns, over.end_ns),
            ms(over.end_ns, whole_ns)
        ));
        for &node in &over.down {
            fleet.run(node)?;
        }
        if !over.down.is_empty() {
            fleet.whole(&[], WHOLE_LIMIT, &self.recorder).await?;
        }
        let fault = Fault { kind: over.what, nodes, start_ns, end_ns: over.end_ns, whole_ns, received_bytes };
        self.recorder.record(Line::Fault(fault)).await
    }

    fn over(&self, what: impl Into<String>, nodes: Vec<usize>) -> Over {
        Over { nodes, end_ns: self.recorder.now_ns(), down: Vec::new(), what: what.into() }
    }

    async fn kill(&mut self, fleet: &mut Fleet) -> anyhow::Result<Over> {
        let victims = self.victims(fleet, IMPAIRED);
        fleet.kill(&victims).await?;
        self.hold().await?;
        victims.iter().try_for_each(|&node| fleet.run(node))?;
        Ok(self.over(Kind::Kill.to_string(), victims))
    }

    async fn pause(&mut self, fleet: &mut Fleet) -> anyhow::Result<Over> {
        let victims = self.one_or_two(fleet);
        fleet.signal(&victims, "STOP").await?;
        let held = self.hold_up_to(LONGEST_PAUSE.min(self.longest_hold * 2)).await;
        fleet.signal(&victims, "CONT").await?;
        held?;
        Ok(self.over(Kind::Pause.to_string(), victims))
    }

    async fn split(&mut self, fleet: &Fleet, few: usize) -> anyhow::Result<Over> {
        let victims = self.victims(fleet, few);
        fleet.split(&victims)?;
        let held = self.hold().await;
        fleet.heal()?;
        held?;
        let kind = if few == 1 { Kind::SplitOne } else { Kind::SplitTwo };
        Ok(self.over(kind.to_string(), victims))
    }

    async fn lose(&mut self, fleet: &Fleet) -> anyhow::Result<Over> {
        let victims = self.one_or_two(fleet);
        let percent = self.dice.random_range(5..=25);
        fleet.lose(&victims, percent)?;
        let held = self.hold().await;
        fleet.heal()?;
        held?;
        Ok(self.over(format!("loss {percent} %"), victims))
    }

    async fn wipe(&mut self, fleet: &mut Fleet) -> anyhow::Result<Over> {
        let victims = self.one_or_two(fleet);
        fleet.kill(&victims).await?;
        self.hold().await?;
        for &node in &victims {
            fleet.wipe(node)?;
            fleet.run(node)?;
        }
        Ok(self.over(Kind::Wipe.to_string(), victims))
    }

    async fn stay_away(&mut self, fleet: &mut Fleet) -> anyhow::Result<Over> {
        let victims = self.victims(fleet, 1);
        fleet.kill(&victims).await?;
        Ok(Over { down: victims.clone(), ..self.over(Kind::Replace.to_string(), victims) })
    }

    /// Adds a node.
    ///
    /// # Errors
    /// It cannot be added, or the ring does not become whole.
    pub async fn grow(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        let start_ns = self.recorder.now_ns();
        let over = self.add(fleet).await?;
        self.settle(fleet, start_ns, over).await
    }

    /// Removes a node, whichever the dice name.
    ///
    /// # Errors
    /// It does not leave, or the ring does not become whole.
    pub async fn shrink(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        let start_ns = self.recorder.now_ns();
        let over = self.remove(fleet).await?;
        self.settle(fleet, start_ns, over).await
    }

    async fn add(&mut self, fleet: &mut Fleet) -> anyhow::Result<Over> {
        let node = fleet.add().await?;
        Ok(self.over("add", vec![node]))
    }

    async fn remove(&mut self, fleet: &mut Fleet) -> anyhow::Result<Over> {
        let victims = self.victims(fleet, 1);
        for &node in &victims {
            fleet.leave(node).await?;
        }
        Ok(self.over("leave", victims))
    }

    fn victims(&mut self, fleet: &Fleet, count: usize) -> Vec<usize> {
        let mut victims: Vec<usize> = fleet.members().choose_multiple(&mut self.dice, count).copied().collect();
        victims.sort_unstable();
        victims
    }

    fn one_or_two(&mut self, fleet: &Fleet) -> Vec<usize> {
        let count = self.dice.random_range(1..=IMPAIRED);
        self.victims(fleet, count)
    }

    async fn hold(&mut self) -> anyhow::Result<()> {
        self.hold_up_to(self.longest_hold).await
    }

    /// Lets a fault last until clients have got on, and a while longer.
    async fn hold_up_to(&mut self, longest: Duration) -> anyhow::Result<()> {
        let tally = Arc::clone(&self.tally);
        let goal = tally.changes_done() + PROGRESS;
        let got_on = async || Ok((tally.changes_done() >= goal).then_some(()));
        until(&format!("{PROGRESS} acknowledged changes during a fault"), STALL_LIMIT, got_on).await?;
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX).max(1);
        tokio::time::sleep(Duration::from_millis(self.dice.random_range(0..longest_ms))).await;
        Ok(())
    }
}
