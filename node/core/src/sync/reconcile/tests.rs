//! Comparisons against plain set difference, their bounds, and what they cost.

use super::*;
use proptest::prelude::*;

/// An element that is spread like a hash.
fn place(number: u64) -> Place {
    Place::of_body(BodyHash::of(&number.to_be_bytes()))
}

struct Comparison {
    difference: Difference,
    rounds: u32,
    bytes: usize,
    largest: usize,
}

fn compare(ours: &BTreeSet<Place>, theirs: &BTreeSet<Place>) -> Comparison {
    let (mut initiator, responder) = (Initiator::new(Set::new(ours.iter().copied())), Set::new(theirs.iter().copied()));
    let (mut rounds, mut bytes, mut largest) = (0, 0, 0);
    while let Some(question) = initiator.poll_transmit() {
        let answer = respond(&responder, &question).expect("a question of the protocol");
        rounds += 1;
        bytes += question.len() + answer.len();
        largest = largest.max(question.len()).max(answer.len());
        initiator.handle_reply(&answer).expect("an answer of the protocol");
    }
    Comparison { difference: initiator.into_difference(), rounds, bytes, largest }
}

fn minus(left: &BTreeSet<Place>, right: &BTreeSet<Place>) -> BTreeSet<EntryId> {
    left.difference(right).map(Place::id).collect()
}

fn numbers(range: std::ops::Range<u64>) -> BTreeSet<Place> {
    range.map(place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_comparison_finds_what_plain_set_difference_finds(
        common in 0..3000_u64, only_ours in 0..400_u64, only_theirs in 0..400_u64, seed in any::<u32>()
    ) {
        let from = u64::from(seed) << 20;
        let ours: BTreeSet<_> = (from..from + common + only_ours).map(place).collect();
        let theirs = (from..from + common).chain(from + 10_000..from + 10_000 + only_theirs).map(place).collect();
        let found = compare(&ours, &theirs);
        let expected = Difference { ours: minus(&ours, &theirs), theirs: minus(&theirs, &ours), is_complete: true };
        prop_assert_eq!(found.difference, expected);
        prop_assert!(found.largest <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn versions_of_few_registers_are_told_apart(
        ours in proptest::collection::btree_map(0..40_u8, 1..4_u64, 0..40),
        theirs in proptest::collection::btree_map(0..40_u8, 1..4_u64, 0..40),
    ) {
        let entry = |(name, counter): (&u8, &u64)| {
            let ballot = Ballot { counter: *counter, ..Ballot::default() };
            Place::of_entry(&Key::new(crate::id::Partition(1), [*name]), ballot)
        };
        let [ours, theirs] = [ours, theirs].map(|copy| copy.iter().map(entry).collect::<BTreeSet<_>>());
        let found = compare(&ours, &theirs).difference;
        prop_assert_eq!((found.ours, found.theirs), (minus(&ours, &theirs), minus(&theirs, &ours)));
    }

    #[test]
    fn nonsense_from_a_peer_is_an_error_or_an_answer_and_never_a_panic(
        message in proptest::collection::vec(any::<u8>(), 0..300), size in 0..200_u64
    ) {
        let known = [&[0x61], message.as_slice()].concat();
        for message in [&message, &known] {
            drop(respond(&Set::new(numbers(0..size)), message));
            let mut initiator = Initiator::new(Set::new(numbers(0..size)));
            drop(initiator.handle_reply(message));
        }
    }

    #[test]
    fn a_message_that_was_damaged_on_the_way_is_never_a_panic(
        size in 0..2000_u64, at in any::<prop::sample::Index>(), bits in 1..=255_u8
    ) {
        let mut message = Initiator::new(Set::new(numbers(0..size))).poll_transmit().expect("a first message");
        let at = at.index(message.len());
        message[at] ^= bits;
        drop(respond(&Set::new(numbers(100..size + 100)), &message));
    }
}

#[test]
fn sets_that_have_nothing_in_common_are_compared_in_bounded_pieces() {
    let (ours, theirs) = (numbers(0..40_000), numbers(50_000..90_000));
    let found = compare(&ours, &theirs);
    let findings = found.difference.ours.len() + found.difference.theirs.len();
    assert!(!found.difference.is_complete && (MAX_FINDINGS..MAX_FINDINGS + 8192).contains(&findings), "{findings}");
    assert!(found.difference.ours.is_subset(&minus(&ours, &theirs)));
    assert!(found.difference.theirs.is_subset(&minus(&theirs, &ours)));
    assert!(found.rounds <= MAX_ROUNDS && found.largest <= MAX_MESSAGE_BYTES);
}

#[test]
fn a_new_copy_is_told_of_everything_a_piece_at_a_time() {
    let (full, mut copy) = (numbers(0..50_000), BTreeSet::new());
    let mut comparisons = 0;
    loop {
        let found = compare(&copy, &full).difference;
        comparisons += 1;
        copy.extend(full.iter().filter(|place| found.theirs.contains(&place.id())).copied());
        if found.is_complete {
            break;
        }
    }
    assert!(copy == full && (2..6).contains(&comparisons), "{comparisons}");
}

#[test]
fn a_message_beyond_the_bound_is_refused() {
    let message = vec![0x61; MAX_MESSAGE_BYTES + 1];
    let refused = || ReconcileError::TooLong { found: message.len() };
    assert_eq!(respond(&Set::new([]), &message), Err(refused()));
    assert_eq!(Initiator::new(Set::new([])).handle_reply(&message), Err(refused()));
}

/// The bound is about a third above what was measured; run with `--nocapture` to see the figures.
#[test]
fn few_differences_cost_few_bytes_and_few_rounds() {
    for (items, differences, most_bytes) in
        [(10_000, 0, 1_000), (10_000, 1, 2_500), (10_000, 10, 20_000), (10_000, 100, 80_000), (100_000, 10, 30_000)]
    {
        let ours = numbers(0..items);
        let theirs = numbers(differences / 2..items + differences.div_ceil(2));
        let found = compare(&ours, &theirs);
        let count = found.difference.ours.len() + found.difference.theirs.len();
        println!("n={items} d={differences}: {} bytes in {} rounds", found.bytes, found.rounds);
        assert_eq!(count as u64, differences);
        assert!(found.bytes <= most_bytes && found.rounds <= 4, "{} bytes, {} rounds", found.bytes, found.rounds);
    }
}
