//! Chord under deaths and joins, and in every state of a small ring. The seeds are fresh in every build.
//!
//! `scrapering-sim chord` and `scrapering-sim zave` do the same at length and print tables.

use scrapering_sim::chord::healing::{self, Dials, Lookups};
use scrapering_sim::chord::paths::Circle;
use scrapering_sim::chord::seeds;
use scrapering_sim::zave::SmallRing;
use std::num::NonZeroUsize;

#[test]
fn every_small_ring_heals_and_no_lookup_meanwhile_names_whom_the_asker_knows_to_be_down() {
    let base: u64 = rand::random();
    println!("base seed {base}");
    let dials = Dials::default();
    let verdicts = seeds::run(base, 200, None, |seed| healing::run(seed, &dials));
    let mut lookups = Lookups::default();
    for verdict in &verdicts {
        assert!(verdict.healed_after_ms.is_some(), "{verdict:#?}");
        lookups.add(&verdict.lookups);
    }
    assert_eq!((lookups.known_down, lookups.asked_down), (0, 0), "base seed {base}");
    assert!(lookups.ended > 10_000 && verdicts.iter().all(|verdict| verdict.deaths >= 2), "{lookups:?}");
}

#[test]
fn a_seed_runs_the_same_way_twice() {
    assert_eq!(healing::run(7, &Dials::default()), healing::run(7, &Dials::default()));
}

#[test]
fn a_lookup_asks_half_the_binary_logarithm_of_the_ring_chord_section_6_3() {
    for exponent in [3, 6, 9] {
        let paths = Circle::new(1 << exponent, 1, 1, 2_026).measure(2_000, 0.0);
        let expected = f64::from(exponent) / 2.0;
        assert!((paths.mean - expected).abs() < 0.3 && paths.failed == 0.0, "{paths:?}");
    }
}

#[test]
fn when_a_third_of_a_ring_dies_at_once_every_lookup_still_succeeds_chord_section_6_4() {
    let paths = Circle::new(500, 1, 20, 2_026).measure(2_000, 0.33);
    assert!(paths.failed == 0.0 && paths.timeouts > 0.0, "{paths:?}");
}

#[test]
fn lists_of_two_do_not_survive_two_deaths() {
    let exploration = SmallRing { list: 2, repair: false, turned: false }.explore(NonZeroUsize::MIN);
    assert!(exploration.counterexample.is_some());
}
