//! A node's places for pages that are being fetched or parsed, shared between jobs by weight.
//!
//! A place goes to whoever asks while others are free. Once a job has been turned away, its share is kept for it: others
//! that have theirs get no more until it has, too. So no job starves, and no place is kept for a job that does not ask.

use super::record::JobId;
use std::collections::{BTreeMap, BTreeSet};

/// A job at work on a node.
#[derive(Clone, Copy, Debug, Default)]
struct Seat {
    weight: u32,
    taken: usize,
    /// It was turned away, and has not had a place since.
    waits: bool,
}

/// Who has the places of a node.
#[derive(Debug)]
pub struct Places {
    most: usize,
    seats: BTreeMap<JobId, Seat>,
}

impl Places {
    /// So many places, at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), seats: BTreeMap::new() }
    }

    /// The job has this weight from now on.
    pub fn handle_weight(&mut self, job: JobId, weight: u32) {
        self.seats.entry(job).or_default().weight = weight.max(1);
    }

    /// The job takes a place.
    pub fn handle_taken(&mut self, job: JobId) {
        let seat = self.seats.entry(job).or_default();
        seat.taken += 1;
        seat.waits = false;
    }

    /// The job gives a place back.
    pub fn handle_given_back(&mut self, job: JobId) {
        let Some(seat) = self.seats.get_mut(&job) else { return };
        seat.taken = seat.taken.saturating_sub(1);
        if seat.taken == 0 && !seat.waits {
            self.seats.remove(&job);
        }
    }

    /// The job had something to fetch and got no place.
    pub fn handle_turned_away(&mut self, job: JobId) {
        self.seats.entry(job).or_default().waits = true;
    }

    /// The job has nothing to fetch any more, as far as anybody knows.
    pub fn handle_content(&mut self, job: JobId) {
        if let Some(seat) = self.seats.get_mut(&job) {
            seat.waits = false;
            if seat.taken == 0 {
                self.seats.remove(&job);
            }
        }
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.seats.values().map(|seat| seat.taken).sum()
    }

    /// Whether somebody waits for a place.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.seats.values().any(|seat| seat.waits)
    }

    /// The places that a job has.
    #[must_use]
    pub fn taken_by(&self, job: JobId) -> usize {
        self.seats.get(&job).map_or(0, |seat| seat.taken)
    }

    /// The jobs among `jobs` that get no place now.
    pub fn barred(&self, jobs: impl Iterator<Item = JobId>) -> BTreeSet<JobId> {
        jobs.filter(|job| !self.admits(*job)).collect()
    }

    /// Whether `job` may take a place now.
    #[must_use]
    pub fn admits(&self, job: JobId) -> bool {
        let taken = self.taken();
        if taken >= self.most {
            return false;
        }
        let own = self.seats.get(&job).map_or(0, |seat| seat.taken);
        if own < self.share(job) {
            return true;
        }
        // Beyond its share, a job leaves to those who wait what is missing of theirs.
        let others = self.seats.iter().filter(|(id, seat)| **id != job && seat.waits);
        let kept: usize = others.map(|(id, seat)| self.share(*id).saturating_sub(seat.taken)).sum();
        taken + kept < self.most
    }

    /// The places that `job` has a right to, among those that have or want some.
    fn share(&self, job: JobId) -> usize {
        let weight = |seat: &Seat| u64::from(seat.weight.max(1));
        let own = self.seats.get(&job).map_or(1, weight);
        let joins = if self.seats.contains_key(&job) { 0 } else { own };
        let all = joins + self.seats.values().map(weight).sum::<u64>();
        usize::try_from(self.most as u64 * own / all.max(1)).unwrap_or(self.most).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    fn job(number: u8) -> JobId {
        JobId([number; 16])
    }

    #[test]
    fn a_job_alone_has_every_place() {
        let mut places = Places::new(8);
        places.handle_weight(job(1), 1);
        for taken in 0..8 {
            assert!(places.admits(job(1)) && places.taken() == taken);
            places.handle_taken(job(1));
        }
        assert!(!places.admits(job(1)) && places.taken() == 8);
    }

    #[test]
    fn whoever_comes_late_gets_its_share_as_places_become_free() {
        let mut places = Places::new(8);
        places.handle_weight(job(1), 1);
        (0..8).for_each(|_| places.handle_taken(job(1)));
        places.handle_weight(job(2), 3);
        assert!(!places.admits(job(2)));
        places.handle_turned_away(job(2));
        for _ in 0..6 {
            places.handle_given_back(job(1));
            assert!(!places.admits(job(1)) && places.admits(job(2)));
            places.handle_taken(job(2));
            places.handle_turned_away(job(2));
        }
        places.handle_given_back(job(1));
        assert!(places.admits(job(1)), "two of eight are its share");
    }

    /// Jobs of any weights that always have work, in an order that the seed decides.
    #[test]
    fn in_any_order_each_job_has_its_share_in_the_long_run_and_none_starves() {
        for seed in 0..200 {
            let mut dice = Dice::new(seed);
            let count = 2 + dice.below(4);
            let weights: Vec<u32> = (0..count).map(|_| 1 + dice.below(101) as u32).collect();
            let mut places = Places::new(64);
            for (number, weight) in weights.iter().enumerate() {
                places.handle_weight(job(number as u8), *weight);
            }
            let (mut running, mut held) = (Vec::new(), vec![0_u64; count]);
            for round in 0..2_000 {
                if !running.is_empty() {
                    let done: usize = running.swap_remove(dice.below(running.len()));
                    places.handle_given_back(job(done as u8));
                }
                while running.len() < 64 {
                    for asking in dice.shuffle((0..count).collect()) {
                        if places.admits(job(asking as u8)) {
                            places.handle_taken(job(asking as u8));
                            running.push(asking);
                        } else {
                            places.handle_turned_away(job(asking as u8));
                        }
                    }
                }
                (0..count).for_each(|number| places.handle_turned_away(job(number as u8)));
                assert_eq!(running.len(), 64, "seed {seed}: no place is left empty while jobs wait");
                if round >= 1_000 {
                    running.iter().for_each(|number| held[*number] += 1);
                }
            }
            let all: u64 = weights.iter().copied().map(u64::from).sum();
            for (number, weight) in weights.iter().enumerate() {
                let share = (64 * u64::from(*weight) / all).max(1);
                assert!(held[number] * 10 >= share * 9_000, "seed {seed}: {held:?} of {weights:?}");
            }
        }
    }

    #[test]
    fn no_place_is_kept_for_a_job_that_does_not_ask() {
        let mut places = Places::new(4);
        places.handle_weight(job(1), 1);
        places.handle_weight(job(2), 100);
        places.handle_taken(job(2));
        (0..3).for_each(|_| {
            assert!(places.admits(job(1)));
            places.handle_taken(job(1));
        });
        places.handle_given_back(job(2));
        places.handle_turned_away(job(2));
        places.handle_content(job(2));
        assert!(places.admits(job(1)));
    }
}
