//! Lifeguard (Dadgar, Phillips, Currey, 2018): a slow node doubts itself before it doubts others.

use super::*;

#[test]
fn helpers_that_do_not_even_say_no_stretch_period_and_timeout_lha_probe() {
    let mut bench = Bench::of(5);
    let probe = bench.probe_of(node(1));
    bench.reply(&probe, None);
    for helper in bench.sent() {
        bench.reply(&helper, None);
    }
    assert_eq!(bench.it.local_health(), 3);
    let next = bench.tick();
    assert!(!next.is_empty() && next.iter().all(|it| it.timeout == 2 * SECOND), "four times half a second: {next:?}");
    next.iter().for_each(|it| bench.reply(it, Some(Reply::Ack(None))));
    bench.answer_everything(30 * SECOND);
    assert_eq!(bench.it.local_health(), 0, "answers make it well again");
}

#[test]
fn helpers_that_say_no_leave_the_prober_well_lha_probe() {
    let mut bench = Bench::of(5);
    let probe = bench.probe_of(node(1));
    bench.reply(&probe, None);
    for helper in bench.sent() {
        bench.reply(&helper, Some(Reply::Relayed(None)));
    }
    assert_eq!((bench.it.liveness(node(1)), bench.it.local_health()), (Liveness::Suspect, 0));
}

#[test]
fn local_health_has_a_bound() {
    let mut bench = Bench::of(5);
    bench.run(60 * SECOND, |_| false);
    assert!(bench.it.local_health() <= Config::default().max_local_health);
}

#[test]
fn a_suspicion_that_others_confirm_ends_sooner_lha_suspicion() {
    let time_to_down = |confirmed: bool| {
        let mut bench = Bench::of(9);
        let begin = bench.now;
        let accused = |accuser| Update { entry: with(1, 1, Liveness::Suspect), accuser: Some(node(accuser)) };
        let _ack = bench.it.handle_ping(says(alive(2, 1), [accused(2)]), bench.now);
        if confirmed {
            let _ack = bench.it.handle_ping(says(alive(3, 1), [accused(3), accused(4)]), bench.now);
        }
        while bench.it.liveness(node(1)) != Liveness::Down {
            for transmit in bench.tick() {
                // The suspect answers without refuting, so that nothing but gossip counts.
                let refutes = transmit.to != node(1);
                let reply = if refutes { bench.sound_reply(&transmit) } else { Reply::Ack(None) };
                bench.reply(&transmit, Some(reply));
            }
        }
        bench.now.since(begin)
    };
    assert_eq!((time_to_down(true), time_to_down(false)), (2 * SECOND, 8 * SECOND));
}

#[test]
fn a_suspect_is_told_first_what_is_believed_of_it_buddy_system() {
    let mut bench = Bench::of(9);
    let many = (2..8).map(|number| news(alive(number, 2)));
    let _ack = bench.it.handle_ping(says(alive(8, 1), many), bench.now);
    let _ack = bench.it.handle_ping(says(alive(8, 1), [news(with(1, 1, Liveness::Suspect))]), bench.now);
    let ack = bench.it.handle_ping(says(alive(1, 1), []), bench.now);
    assert_eq!(ack.updates[0], news(with(1, 1, Liveness::Suspect)));
    assert!(ack.updates.len() <= Config::default().updates_per_message);
}

#[test]
fn a_machine_that_stood_still_judges_nobody_by_late_timers() {
    let mut bench = Bench::of(4);
    let probe = bench.probe_of(node(3));
    let _ack = bench.it.handle_ping(says(alive(1, 1), [news(with(2, 1, Liveness::Suspect))]), bench.now);
    bench.now = bench.now + 30 * SECOND;
    // As after SIGCONT: the timeouts of the calls come first.
    bench.reply(&probe, None);
    assert!(bench.events().contains(&Event::StoodStill));
    let sent = bench.tick();
    assert!(!sent.iter().any(|transmit| matches!(transmit.request, Request::PingReq { .. })));
    assert_eq!(bench.it.liveness(node(2)), Liveness::Suspect, "the suspect gets all its time again");
    assert_eq!(bench.it.liveness(node(3)), Liveness::Alive);
    assert!(to_whom(&sent).len() >= 3, "everybody is asked at once");
}

#[test]
fn news_after_a_long_silence_is_no_sign_of_standing_still() {
    let mut bench = Bench::of(4);
    bench.answer_everything(10 * SECOND);
    for number in [1, 2] {
        let _ack = bench.it.handle_ping(says(alive(number, 5), []), bench.now);
    }
    assert!(!bench.events().contains(&Event::StoodStill));
}
