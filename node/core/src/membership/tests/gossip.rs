//! How news spreads, and what it costs.

use super::*;

#[test]
fn a_message_bears_a_bounded_number_of_updates_and_no_more_are_taken_in() {
    let mut bench = Bench::of(1);
    let flood = (10..40).map(|number| news(alive(number, 1)));
    let ack = bench.it.handle_ping(says(alive(1, 1), flood), bench.now);
    let most = Config::default().updates_per_message;
    assert_eq!((bench.it.entries().len(), ack.updates.len()), (2 + most, most));
}

#[test]
fn a_quiet_ring_sends_nothing_but_probes() {
    let mut bench = Bench::of(4);
    let begin = bench.now;
    let mut requests = 0;
    while bench.now.since(begin) < 10 * SECOND {
        for transmit in bench.tick() {
            let Request::Ping(gossip) = &transmit.request else { continue };
            assert!(gossip.updates.is_empty());
            requests += 1;
            let reply = bench.sound_reply(&transmit);
            bench.reply(&transmit, Some(reply));
        }
    }
    assert!((36..=44).contains(&requests), "four probes a second, {requests} in ten");
}

#[test]
fn news_is_told_between_probes_until_it_has_died_out() {
    let mut bench = Bench::of(9);
    bench.it.set_serving(Serving::Leaving, bench.now);
    let (begin, mut told) = (bench.now, Vec::new());
    while bench.now.since(begin) < 10 * SECOND {
        for transmit in bench.tick() {
            if let Request::Ping(gossip) = &transmit.request
                && gossip.updates.iter().any(|update| update.entry.member.node == node(0))
            {
                told.push(bench.now);
            }
            let reply = bench.sound_reply(&transmit);
            bench.reply(&transmit, Some(reply));
        }
    }
    assert_eq!(told.len(), Config::default().spread);
    assert!(told.iter().all(|at| at.since(begin) <= SECOND), "fast at first: {told:?}");
}

#[test]
fn the_whole_table_is_exchanged_at_the_start_and_rarely_afterwards() {
    let now = Instant::default();
    let known = (1..4).map(|number| Entry::unheard(member(number)));
    let mut bench = Bench { now, it: Membership::new(alive(0, 1), known, Config::default(), 3, now) };
    let first = bench.tick();
    for transmit in &first {
        let asked = matches!(transmit.request, Request::Exchange(_));
        let reply = (!asked).then(|| bench.sound_reply(transmit));
        bench.reply(transmit, reply);
    }
    let mut exchanges = Vec::new();
    while bench.now < now + 70 * SECOND {
        for transmit in bench.tick() {
            if matches!(transmit.request, Request::Exchange(_)) {
                exchanges.push(bench.now);
            }
            let reply = bench.sound_reply(&transmit);
            bench.reply(&transmit, Some(reply));
        }
    }
    assert_eq!(
        exchanges,
        [Instant(SECOND), Instant(31 * SECOND), Instant(61 * SECOND)],
        "again soon until one answers"
    );
}

#[test]
fn what_a_table_says_against_a_living_member_is_told_to_it_and_not_believed() {
    let mut bench = Bench::of(4);
    bench.run(SECOND / 2, |_| true);
    let table = bench.it.handle_exchange(vec![alive(1, 1), with(2, 5, Liveness::Down)], bench.now);
    assert_eq!(table.len(), 5);
    assert_eq!(bench.it.liveness(node(2)), Liveness::Alive);
    let sent = bench.sent();
    let Request::Ping(gossip) = &sent[0].request else { panic!("a probe") };
    assert_eq!((sent[0].to, &gossip.updates[0]), (node(2), &news(with(2, 5, Liveness::Down))));
    bench.reply(&sent[0], Some(Reply::Ack(Some(says(alive(2, 6), [])))));
    assert_eq!(bench.it.entry(node(2)).map(|entry| entry.incarnation), Some(6));
}
