//! What this ring adds: unheard members, generations, leaving for good, ends that are announced.

use super::*;

fn generation(number: usize, generation: u64) -> Member {
    Member::new(format!("ring-{number}"), generation, format!("ring-{number}:7443"))
}

#[test]
fn nobody_counts_as_alive_before_it_has_spoken_and_silence_takes_its_time_to_be_down() {
    let now = Instant::default();
    let known = (1..4).map(|number| Entry::unheard(member(number)));
    let mut bench = Bench { now, it: Membership::new(alive(0, 1), known, Config::default(), 3, now) };
    let liveness = |bench: &Bench, number| bench.it.liveness(node(number));
    assert_eq!(
        [0, 1, 2].map(|number| liveness(&bench, number)),
        [Liveness::Alive, Liveness::Suspect, Liveness::Suspect]
    );
    let _ack = bench.it.handle_ping(says(alive(1, 1), []), now);
    bench.run(7 * SECOND, |to| to == node(1));
    assert_eq!([1, 2].map(|number| liveness(&bench, number)), [Liveness::Alive, Liveness::Suspect]);
    bench.run(2 * SECOND, |to| to == node(1));
    assert_eq!([1, 2].map(|number| liveness(&bench, number)), [Liveness::Alive, Liveness::Down]);
    assert_eq!(bench.it.liveness(NodeId([9; 20])), Liveness::Down, "a stranger is down");
}

#[test]
fn a_higher_generation_of_a_name_ends_every_lower_one_at_once() {
    let mut bench = Bench::of(3);
    let (old, new) = (node(1), generation(1, 50));
    let _ack = bench.it.handle_ping(says(Entry::own(new.clone(), 1, Serving::Joining), []), bench.now);
    assert_eq!((bench.it.liveness(old), bench.it.liveness(new.node)), (Liveness::Left, Liveness::Alive));
    let _ack = bench.it.handle_ping(says(alive(1, 99), []), bench.now);
    assert_eq!(bench.it.liveness(old), Liveness::Left, "no incarnation brings it back");
    let between = Entry::own(generation(1, 20), 1, Serving::Serving);
    let _ack = bench.it.handle_ping(says(between.clone(), []), bench.now);
    assert_eq!(bench.it.liveness(between.member.node), Liveness::Left, "nor one between");
}

#[test]
fn the_answer_of_a_new_generation_is_no_sign_of_life_of_the_old_one() {
    let mut bench = Bench::of(4);
    let probe = bench.probe_of(node(1));
    let new = Entry::own(generation(1, 50), 1, Serving::Joining);
    bench.reply(&probe, Some(Reply::Ack(Some(says(new, [])))));
    assert_eq!(bench.it.liveness(node(1)), Liveness::Left);
}

#[test]
fn left_is_final_and_known_to_the_node_that_was_removed() {
    let mut bench = Bench::of(3);
    bench.it.remove(node(1), bench.now);
    let ack = bench.it.handle_ping(says(alive(1, 77), []), bench.now);
    assert_eq!(bench.it.liveness(node(1)), Liveness::Left);
    assert_eq!(ack.updates[0].entry.liveness, Liveness::Left);
    let mut gone = Membership::new(alive(1, 77), [], Config::default(), 3, bench.now);
    let _ack = gone.handle_ping(says(alive(0, 1), ack.updates), bench.now);
    let events: Vec<Event> = std::iter::from_fn(|| gone.poll_event()).collect();
    assert!(events.contains(&Event::Removed) && gone.own().liveness == Liveness::Left, "{events:?}");
    let _ack = gone.handle_ping(says(alive(0, 1), [news(with(1, 77, Liveness::Suspect))]), bench.now);
    assert_eq!(gone.own().liveness, Liveness::Left, "it refutes nothing any more");
}

#[test]
fn a_tombstone_that_was_remembered_still_holds() {
    let (now, known) = (Instant::default(), [with(1, 3, Liveness::Left), with(2, 3, Liveness::Down)]);
    let mut it = Membership::new(alive(0, 1), known, Config::default(), 3, now);
    let _ack = it.handle_ping(says(alive(1, 99), []), now);
    assert_eq!([1, 2].map(|number| it.liveness(node(number))), [Liveness::Left, Liveness::Suspect]);
    assert_eq!(it.poll_event(), None);
}

#[test]
fn a_node_that_leaves_spreads_the_word_and_then_is_silent() {
    let mut bench = Bench::of(4);
    bench.it.leave(bench.now);
    let mut told = BTreeSet::new();
    while bench.it.poll_timeout().is_some() {
        for transmit in bench.tick() {
            let Request::Ping(gossip) = &transmit.request else { panic!("only gossip: {transmit:?}") };
            assert_eq!(gossip.speaker.liveness, Liveness::Left);
            told.insert(transmit.to);
        }
    }
    assert!(told.len() >= 2, "{told:?}");
    let ack = bench.it.handle_ping(says(alive(1, 1), []), bench.now);
    assert_eq!(ack.speaker.liveness, Liveness::Left, "it still answers");
}

#[test]
fn a_process_that_ends_says_so_and_its_next_life_is_believed() {
    let mut bench = Bench::of(4);
    bench.it.handle_stop(bench.now);
    let farewells = bench.sent();
    assert_eq!((to_whom(&farewells).len(), bench.it.poll_timeout()), (4, None));
    let Request::Ping(gossip) = &farewells[0].request else { panic!("a ping") };
    let mut other = Bench::of(4);
    let speaker = Entry { member: member(1), ..gossip.speaker.clone() };
    let _ack = other.it.handle_ping(says(speaker, []), other.now);
    assert_eq!(other.it.liveness(node(1)), Liveness::Down, "nobody has to find out");
    let _ack = other.it.handle_ping(says(alive(1, 1 << 32), []), other.now);
    assert_eq!(other.it.liveness(node(1)), Liveness::Alive);
}
