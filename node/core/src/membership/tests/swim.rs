//! SWIM (Das, Gupta, Motivala, DSN 2002).

use super::*;

#[test]
fn a_member_is_probed_directly_then_through_k_others_then_suspected_then_down_swim_3_1_and_4_2() {
    let mut bench = Bench::of(5);
    let probe = bench.probe_of(node(1));
    assert_eq!(probe.timeout, Duration::from_millis(500));
    bench.reply(&probe, None);
    let helpers = bench.sent();
    assert_eq!(helpers.len(), 3);
    assert!(!to_whom(&helpers).contains(&node(1)) && !to_whom(&helpers).contains(&node(0)));
    for helper in &helpers {
        assert!(matches!(helper.request, Request::PingReq { target, .. } if target == node(1)));
        assert_eq!(bench.it.liveness(node(1)), Liveness::Alive, "nobody is suspected before all have tried");
        bench.reply(helper, Some(Reply::Relayed(None)));
    }
    assert_eq!((bench.it.liveness(node(1)), bench.it.down_since(node(1))), (Liveness::Suspect, None));
    bench.run(Duration::from_secs(9), |to| to != node(1));
    assert_eq!(bench.it.liveness(node(1)), Liveness::Down);
    assert!(bench.it.down_since(node(1)).is_some_and(|since| since <= bench.now));
    assert_eq!(liveness_events(&bench.events(), node(1)), [Liveness::Suspect, Liveness::Down]);
}

#[test]
fn one_helper_that_reaches_the_member_clears_it_swim_3_1() {
    let mut bench = Bench::of(5);
    let probe = bench.probe_of(node(1));
    bench.reply(&probe, None);
    let helpers = bench.sent();
    bench.reply(&helpers[0], Some(Reply::Relayed(None)));
    bench.reply(&helpers[1], Some(Reply::Relayed(Some(alive(1, 1)))));
    bench.reply(&helpers[2], None);
    assert_eq!((bench.it.liveness(node(1)), bench.it.local_health()), (Liveness::Alive, 0));
}

#[test]
fn a_suspect_refutes_under_a_higher_incarnation_which_only_it_can_raise_swim_4_2() {
    let mut suspected = Bench::of(3);
    let before = suspected.it.own().incarnation;
    let ack = suspected.it.handle_ping(says(alive(1, 1), [news(with(0, before, Liveness::Suspect))]), suspected.now);
    assert_eq!((ack.speaker.incarnation, ack.speaker.liveness), (before + 1, Liveness::Alive));
    let mut other = Bench::of(3);
    let _ack = other.it.handle_ping(says(alive(1, 1), [news(with(2, 1, Liveness::Suspect))]), other.now);
    assert_eq!(other.it.liveness(node(2)), Liveness::Suspect);
    let _ack = other.it.handle_ping(says(alive(2, 1), []), other.now);
    assert_eq!(other.it.liveness(node(2)), Liveness::Suspect, "the same incarnation refutes nothing");
    let _ack = other.it.handle_ping(says(alive(2, 2), []), other.now);
    assert_eq!(other.it.liveness(node(2)), Liveness::Alive);
}

#[test]
fn what_a_former_life_said_is_outgrown() {
    let mut bench = Bench::of(1);
    let ack = bench.it.handle_ping(says(alive(1, 1), [news(with(0, 40, Liveness::Alive))]), bench.now);
    assert_eq!((ack.speaker.incarnation, bench.it.local_health()), (41, 0));
}

#[test]
fn every_member_of_a_large_ring_is_probed_within_two_rounds_in_random_order_swim_4_3() {
    let mut bench = Bench::of(30);
    let (mut probed, mut order) = (BTreeSet::new(), Vec::new());
    let begin = bench.now;
    while bench.now.since(begin) < 60 * SECOND {
        for transmit in bench.tick() {
            if matches!(transmit.request, Request::Ping(_)) {
                probed.insert(transmit.to);
                order.push(transmit.to);
            }
            let reply = bench.sound_reply(&transmit);
            bench.reply(&transmit, Some(reply));
        }
    }
    assert_eq!(probed.len(), 30);
    assert!((59..=61).contains(&order.len()), "one probe a period, {} in 60", order.len());
    assert!(!order.is_sorted());
}

#[test]
fn in_a_small_ring_everybody_is_probed_in_every_period() {
    let mut bench = Bench::of(4);
    let mut pings = BTreeMap::new();
    for _ in 0..3 {
        let sent = bench.tick();
        for transmit in sent.iter().filter(|transmit| matches!(transmit.request, Request::Ping(_))) {
            *pings.entry(transmit.to).or_insert(0) += 1;
        }
        for transmit in sent {
            let reply = bench.sound_reply(&transmit);
            bench.reply(&transmit, Some(reply));
        }
    }
    assert_eq!(pings.len(), 4);
}

#[test]
fn any_health_answer_shows_that_the_member_lives_and_what_it_does_is_another_question() {
    let mut bench = Bench::of(3);
    let probe = bench.probe_of(node(1));
    bench.reply(&probe, Some(Reply::Ack(None)));
    assert!(bench.sent().is_empty(), "no helper is needed");
    let leaving = Entry { serving: Serving::Leaving, ..alive(1, 2) };
    let _ack = bench.it.handle_ping(says(leaving, []), bench.now);
    let entry = bench.it.entry(node(1)).expect("known");
    assert_eq!((entry.liveness, entry.serving), (Liveness::Alive, Serving::Leaving));
    assert!(bench.events().contains(&Event::Record { node: node(1) }));
}

#[test]
fn a_member_that_is_down_is_spoken_to_now_and_then_and_comes_back_with_its_table() {
    let mut bench = Bench::of(3);
    let _ack = bench.it.handle_ping(says(alive(1, 1), [news(with(2, 1, Liveness::Down))]), bench.now);
    assert_eq!(bench.it.liveness(node(2)), Liveness::Down);
    let call = bench.probe_of(node(2));
    let Request::Ping(gossip) = &call.request else { panic!("a ping") };
    assert_eq!(gossip.updates[0], news(with(2, 1, Liveness::Down)), "it is told what is believed of it");
    bench.reply(&call, Some(Reply::Ack(Some(says(alive(2, 2), [])))));
    assert_eq!(bench.it.liveness(node(2)), Liveness::Alive);
    let sent = bench.sent();
    assert!(sent.iter().any(|it| it.to == node(2) && matches!(it.request, Request::Exchange(_))), "{sent:?}");
}

#[test]
fn a_hint_brings_one_probe_forward_and_writes_no_liveness() {
    let mut bench = Bench::of(4);
    bench.run(SECOND / 2, |_| true);
    bench.it.handle_hint(node(1), bench.now);
    bench.it.handle_hint(node(1), bench.now);
    let sent = bench.sent();
    assert_eq!((sent.len(), sent[0].to, bench.it.liveness(node(1))), (1, node(1), Liveness::Alive));
    bench.reply(&sent[0], Some(Reply::Ack(None)));
    bench.it.handle_hint(node(1), bench.now);
    assert!(bench.sent().is_empty(), "it was probed a moment ago");
    bench.it.handle_hint(node(0), bench.now);
    bench.it.handle_hint(NodeId([9; 20]), bench.now);
    assert!(bench.sent().is_empty(), "neither itself nor a stranger");
}
