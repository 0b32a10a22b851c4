//! Whole crawls in the small world.

use super::world::{Faults, Web, World};

#[test]
fn every_page_has_exactly_one_result_and_the_counters_are_a_recount_whatever_fails() {
    for seed in 0..3_000 {
        let faults = Faults {
            lost_answers: true,
            takeovers: seed % 5,
            max_pages: None,
            concurrency: 1 + (seed % 3) as u32,
            ..Faults::default()
        };
        World::run(seed, faults).check_end();
    }
}

#[test]
fn a_reader_sees_each_result_exactly_once_while_owners_do_not_change() {
    for seed in 0..1_000 {
        let world = World::run(seed, Faults { lost_answers: true, concurrency: 2, ..Faults::default() });
        world.check_end();
        assert!(world.times_read().values().all(|times| *times == 1), "seed {seed}: {:?}", world.times_read());
    }
}

#[test]
fn a_reader_sees_each_result_exactly_once_across_a_takeover_that_its_successor_survives() {
    for seed in 0..2_000 {
        let world = World::run(seed, Faults { lost_answers: true, takeovers: 1, concurrency: 2, ..Faults::default() });
        world.check_end();
        assert!(world.times_read().values().all(|times| *times == 1), "seed {seed}: {:?}", world.times_read());
    }
}

#[test]
fn the_page_limit_is_exact_whatever_fails() {
    for seed in 0..3_000 {
        let max = seed % 9;
        let faults = Faults {
            lost_answers: true,
            takeovers: seed % 5,
            max_pages: Some(max),
            concurrency: 1,
            ..Faults::default()
        };
        let world = World::run(seed, faults);
        world.check_end();
        let allowed = world.web.reachable(2).iter().filter(|page| Web::is_allowed(page)).count() as u64;
        assert_eq!(world.admitted(), max.min(allowed), "seed {seed}");
        assert!(world.requested() <= max, "seed {seed}: no other page is requested");
    }
}

#[test]
fn the_same_seed_gives_the_same_crawl() {
    let faults = Faults { lost_answers: true, takeovers: 3, concurrency: 2, ..Faults::default() };
    let [first, second] = [World::run(42, faults), World::run(42, faults)];
    assert_eq!(format!("{:?}", first.seen), format!("{:?}", second.seen));
    assert_eq!(first.registers.map, second.registers.map);
}
