//! Everything at once: crashes, restarts, pauses, partitions, lost disks, leaves and newcomers under loss; then
//! quiet, in which all tables must come to agree.

use super::invariant::{Watch, invariant_tables_converge_to_the_truth};
use super::world::{Dials, Verdict, World};
use crate::invariant::Violation;
use rand::Rng;
use rand::seq::IndexedRandom;
use scrapering_core::membership::Member;
use std::collections::BTreeSet;
use std::time::Duration;

/// Faults in a run, a random time of up to five seconds apart.
const FAULTS: usize = 40;
/// Quiet after which all tables must agree: every suspicion and an exchange of tables have their time in it.
const QUIET: Duration = Duration::from_secs(60);
/// Most nodes that are down at a time, in the mind of who breaks them.
const MOST_DOWN: usize = 2;

/// What a run showed.
#[derive(Debug)]
pub struct Report {
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    /// Every change of mind: the same for the same seed.
    pub verdicts: Vec<Verdict>,
    /// How often each fault happened: crash, restart, pause, partition, lost disk, leave, newcomer.
    pub faults: [usize; 7],
}

struct Chaos {
    world: World,
    watch: Watch,
    gone: BTreeSet<usize>,
    generation: u64,
    faults: [usize; 7],
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64) -> Report {
    let mut world = World::new(seed, 3, Dials { loss: 0.05, refuses: seed.is_multiple_of(2) });
    let more = world.dice.random_range(0..5);
    world.dials.loss = world.dice.random_range(0.0..0.15);
    let mut chaos = Chaos { world, watch: Watch::default(), gone: BTreeSet::new(), generation: 1, faults: [0; 7] };
    (0..more).for_each(|_| chaos.newcomer());
    let violation = chaos.rage().or_else(|| chaos.calm());
    Report { violation, verdicts: chaos.world.verdicts, faults: chaos.faults }
}

impl Chaos {
    fn rage(&mut self) -> Option<Violation> {
        for _ in 0..FAULTS {
            let pause = self.world.dice.random_range(0..5_000);
            for _ in 0..=pause / 250 {
                self.world.run(Duration::from_millis(250));
                if let Some(violation) = self.watch.look(&self.world) {
                    return Some(violation);
                }
            }
            self.fault();
        }
        None
    }

    /// Faults end, who crashed last stays down; then everybody must know everything.
    fn calm(&mut self) -> Option<Violation> {
        self.world.partition(BTreeSet::new());
        self.world.dials.loss = 0.0;
        for number in 0..self.world.nodes.len() {
            if self.world.nodes[number].up && !self.world.works(number) {
                self.world.resume(number);
            }
        }
        self.world.run(QUIET);
        self.watch.look(&self.world).or_else(|| invariant_tables_converge_to_the_truth(&self.world, &self.gone))
    }

    fn fault(&mut self) {
        let present: Vec<usize> = (0..self.world.nodes.len()).filter(|number| !self.gone.contains(number)).collect();
        let working: Vec<usize> = present.iter().copied().filter(|number| self.world.works(*number)).collect();
        let broken: Vec<usize> = present.iter().copied().filter(|number| !self.world.works(*number)).collect();
        let (worker, broken_one) =
            (working.choose(&mut self.world.dice).copied(), broken.choose(&mut self.world.dice).copied());
        match (self.world.dice.random_range(0..12), worker, broken_one) {
            (0..=2, Some(number), _) if broken.len() < MOST_DOWN => self.count(0, |it| it.world.crash(number)),
            (3..=5, _, Some(number)) => self.mend(number),
            (6 | 7, Some(number), _) if broken.len() < MOST_DOWN => self.count(2, |it| it.world.pause(number)),
            (8, ..) => self.count(3, |it| {
                let half = present.iter().copied().filter(|_| it.world.dice.random()).collect();
                it.world.partition(half);
            }),
            (9, _, Some(number)) => self.count(4, |it| it.lose_disk(number)),
            (10, Some(number), _) if working.len() > 3 => self.count(5, |it| {
                it.world.with(number, |machine, now| machine.leave(now));
                it.gone.insert(number);
            }),
            (11, ..) if present.len() < 9 => self.newcomer(),
            _ => self.world.partition(BTreeSet::new()),
        }
    }

    fn count(&mut self, fault: usize, what: impl FnOnce(&mut Self)) {
        self.faults[fault] += 1;
        what(self);
    }

    fn mend(&mut self, number: usize) {
        if self.world.nodes[number].up {
            return self.world.resume(number);
        }
        // What a disk remembers: who there was, and who is gone.
        let known = self.world.nodes[number].machine.entries();
        let known = known.into_iter().filter(|entry| entry.member.node != self.world.nodes[number].member.node);
        let known = known.collect();
        self.count(1, |it| it.world.restart(number, known));
    }

    /// The node comes back under its name with an empty disk.
    fn lose_disk(&mut self, number: usize) {
        self.world.crash(number);
        self.gone.insert(number);
        let old = self.world.nodes[number].member.clone();
        self.join(Member::new(old.name, self.generation + 1, old.address));
    }

    fn newcomer(&mut self) {
        let name = format!("new-{}", self.world.nodes.len());
        self.count(6, |it| it.join(Member::new(name.clone(), it.generation + 1, format!("{name}:7443"))));
    }

    fn join(&mut self, member: Member) {
        self.generation += 1;
        let others = self.world.nodes.iter().enumerate().filter(|(number, _)| !self.gone.contains(number));
        let contacts: Vec<Member> =
            others.map(|(_, node)| node.member.clone()).filter(|other| other.name != member.name).collect();
        self.world.add(member, contacts);
    }
}
