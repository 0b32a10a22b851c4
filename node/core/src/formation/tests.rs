//! A seeded world of disks that are asked, killed and lost while their ring is being formed.

use super::*;

const MOST_NODES: u64 = 5;

/// The same seed, the same world.
struct Dice(crate::dice::Dice);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next() % bound
    }
}

/// What a disk holds: the record, and whether it came to its ring as a new generation.
#[derive(Clone, Debug)]
struct Disk {
    record: Record,
    joined: bool,
}

/// A process: the answers of its round so far.
#[derive(Clone, Debug, Default)]
struct Process {
    answers: BTreeMap<String, Record>,
}

struct World {
    dice: Dice,
    names: Vec<String>,
    disks: BTreeMap<String, Disk>,
    processes: BTreeMap<String, Process>,
    /// Every disk that ever answered as an acceptor of the first generation, with the record of its ring.
    served: Vec<(String, Nonce, Founders)>,
    /// The rule taken out: a node pledges, hears that all are there, and goes on without hearing that all are pledged.
    hasty: bool,
}

impl World {
    fn new(seed: u64, hasty: bool) -> Self {
        let mut dice = Dice(crate::dice::Dice::new(seed));
        let names: Vec<String> = (0..=dice.below(MOST_NODES)).map(|number| format!("ring-{number}")).collect();
        Self { dice, names, disks: BTreeMap::new(), processes: BTreeMap::new(), served: Vec::new(), hasty }
    }

    fn start(&mut self, name: &str) {
        let genesis = self.names.iter().cloned().collect();
        let nonce = Nonce(u128::from(self.dice.0.next()).to_be_bytes());
        let fresh = Disk { record: Record { nonce, genesis, stage: Stage::Candidate }, joined: false };
        self.disks.entry(name.to_owned()).or_insert(fresh);
        self.processes.insert(name.to_owned(), Process::default());
    }

    /// One node that runs hears from one other, or ends its round.
    fn step(&mut self) {
        let place = self.dice.below(self.names.len() as u64) as usize;
        let name = self.names[place].clone();
        let mine = self.disks.get(&name).map(|disk| disk.record.clone());
        let (Some(process), Some(mine)) = (self.processes.get_mut(&name), mine) else { return };
        if matches!(mine.stage, Stage::Formed(_)) {
            return;
        }
        if self.dice.below(10) > 0 {
            let other = self.names[self.dice.below(self.names.len() as u64) as usize].clone();
            let answers = other != name && self.processes.contains_key(&other);
            // An answer is as old as the question, never older: later ones take its place, so that old words are tried too.
            if let (true, Some(disk)) = (answers, self.disks.get(&other)) {
                let said = disk.record.clone();
                self.processes.get_mut(&name).expect("it runs").answers.entry(other).or_insert(said);
            }
            return;
        }
        let answers = std::mem::take(&mut process.answers);
        let verdict = conclude(&name, &mine, &answers, true);
        self.record(&name, verdict);
    }

    fn record(&mut self, name: &str, verdict: Verdict) {
        let disk = self.disks.get_mut(name).expect("who concludes has a disk");
        match verdict {
            Verdict::Wait(_) => {}
            Verdict::Pledge(founders) if !self.hasty => disk.record.stage = Stage::Pledged(founders),
            Verdict::Found(founders) | Verdict::Pledge(founders) => {
                disk.record.stage = Stage::Formed(founders.clone());
                self.served.push((name.to_owned(), disk.record.nonce, founders));
            }
            Verdict::Join(founders) => {
                disk.record.stage = Stage::Formed(founders);
                disk.joined = true;
            }
        }
    }

    fn disturb(&mut self) {
        let name = self.names[self.dice.below(self.names.len() as u64) as usize].clone();
        match self.dice.below(4) {
            0 => drop(self.processes.remove(&name)),
            1 => {
                self.processes.remove(&name);
                self.disks.remove(&name);
            }
            _ => self.start(&name),
        }
    }

    fn formed(&self) -> impl Iterator<Item = (&String, &Disk, &Founders)> {
        self.disks.iter().filter_map(|(name, disk)| match &disk.record.stage {
            Stage::Formed(founders) => Some((name, disk, founders)),
            Stage::Candidate | Stage::Pledged(_) => None,
        })
    }

    fn invariant_all_living_disks_that_are_formed_are_of_one_ring(&self) -> Result<(), String> {
        let rings: BTreeSet<&Founders> = self.formed().map(|(_, _, founders)| founders).collect();
        if rings.len() > 1 { Err(format!("two rings: {rings:?}")) } else { Ok(()) }
    }

    fn invariant_no_acceptor_forgets_while_its_ring_lives(&self) -> Result<(), String> {
        for (name, disk, founders) in self.formed().filter(|(_, disk, _)| !disk.joined) {
            if founders.0.get(name) != Some(&disk.record.nonce) {
                return Err(format!("{name} speaks for another disk"));
            }
            let forgot = |(server, nonce, ring): &(String, Nonce, Founders)| {
                server == name && *nonce != disk.record.nonce && self.formed().any(|(_, _, living)| living == ring)
            };
            if self.served.iter().any(forgot) {
                return Err(format!("{name} serves again and has forgotten"));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        self.invariant_all_living_disks_that_are_formed_are_of_one_ring()?;
        self.invariant_no_acceptor_forgets_while_its_ring_lives()
    }

    /// Faults for a while, then none.
    fn run(&mut self) -> Result<(), String> {
        let (storm, calm) = (self.dice.below(2_000), 8 + self.dice.below(200));
        for _ in 0..storm {
            if self.dice.below(calm) == 0 {
                self.disturb()
            } else {
                self.step()
            }
            self.check()?;
        }
        for name in self.names.clone() {
            self.start(&name);
        }
        for _ in 0..10_000 {
            if self.formed().count() == self.names.len() {
                return Ok(());
            }
            self.step();
            self.check()?;
        }
        Err("the ring was never formed".to_owned())
    }
}

#[test]
fn through_crashes_and_lost_disks_at_most_one_ring_is_formed_and_in_the_end_one_is() {
    let (mut founded, mut joined) = (0, 0);
    for seed in 0..2_000 {
        let mut world = World::new(seed, false);
        world.run().unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        founded += world.formed().filter(|(_, disk, _)| !disk.joined).count();
        joined += world.formed().filter(|(_, disk, _)| disk.joined).count();
    }
    assert!(founded > 1_000 && joined > 100, "the world is too quiet: {founded} founders, {joined} successors");
}

#[test]
fn without_the_pledge_two_rings_are_formed() {
    let split = (0..500).filter(|seed| World::new(*seed, true).run().is_err()).count();
    assert!(split > 0);
}

fn record(nonce: u8, genesis: &[&str], stage: Stage) -> Record {
    Record { nonce: Nonce([nonce; 16]), genesis: genesis.iter().map(|name| (*name).to_owned()).collect(), stage }
}

fn founders(disks: &[(&str, u8)]) -> Founders {
    Founders(disks.iter().map(|(name, nonce)| ((*name).to_owned(), Nonce([*nonce; 16]))).collect())
}

#[test]
fn a_ring_of_one_is_formed_at_once() {
    let alone = founders(&[("a", 1)]);
    let mine = record(1, &["a"], Stage::Candidate);
    assert_eq!(conclude("a", &mine, &BTreeMap::new(), true), Verdict::Pledge(alone.clone()));
    let mine = record(1, &["a"], Stage::Pledged(alone.clone()));
    assert_eq!(conclude("a", &mine, &BTreeMap::new(), true), Verdict::Found(alone));
}

#[test]
fn a_disk_that_is_not_in_the_record_joins_and_one_that_is_takes_its_place() {
    let ring = founders(&[("a", 1), ("b", 2)]);
    let answers = BTreeMap::from([("b".to_owned(), record(2, &["a", "b"], Stage::Formed(ring.clone())))]);
    let lost = record(9, &["a", "b"], Stage::Candidate);
    assert_eq!(conclude("a", &lost, &answers, true), Verdict::Join(ring.clone()));
    let stranger = record(9, &["a", "b", "c"], Stage::Candidate);
    assert_eq!(conclude("c", &stranger, &answers, true), Verdict::Join(ring.clone()));
    let late = record(1, &["a", "b"], Stage::Pledged(ring.clone()));
    assert_eq!(conclude("a", &late, &answers, false), Verdict::Found(ring));
}

#[test]
fn what_is_missing_is_named() {
    let mine = record(1, &["a", "b", "c"], Stage::Candidate);
    let wait = |answers: &[(&str, Record)], may_found| {
        let answers = answers.iter().map(|(name, record)| ((*name).to_owned(), record.clone())).collect();
        conclude("a", &mine, &answers, may_found)
    };
    let same = || record(2, &["a", "b", "c"], Stage::Candidate);
    assert_eq!(wait(&[("b", same())], true), Verdict::Wait(Lack::Silent(vec!["c".to_owned()])));
    assert_eq!(wait(&[("b", same()), ("c", same())], false), Verdict::Wait(Lack::NoRing));
    let other = record(3, &["a", "b"], Stage::Candidate);
    assert_eq!(wait(&[("b", other)], true), Verdict::Wait(Lack::OtherList("b".to_owned())));
    let formed = |nonce| record(nonce, &["a", "b", "c"], Stage::Formed(founders(&[("b", nonce)])));
    let two = wait(&[("b", formed(2)), ("c", formed(3))], true);
    assert_eq!(two, Verdict::Wait(Lack::TwoRings("b".to_owned(), "c".to_owned())));
}
