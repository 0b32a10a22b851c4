//! When a link counts as known, and what readers see.

use super::*;

fn batch(bench: &mut Bench) -> Vec<Outcome> {
    let batch = bench.shard.poll_commit().expect("a batch");
    batch.iter().map(|write| bench.registers.apply(&write.key, &write.change)).collect()
}

#[test]
fn a_link_is_acknowledged_only_after_its_register_is_created_and_the_ownership_confirmed() {
    let mut bench = Bench::new();
    bench.shard.handle_links(JOB, vec![link("http://a.test/1")], Waiter(7));
    assert_eq!(bench.events(), []);
    let outcomes = batch(&mut bench);
    assert_eq!(bench.events(), [], "it is created, but may be unknown to a new owner");
    bench.shard.handle_committed(outcomes, true, at(0));
    assert_eq!(bench.events(), [Event::Acknowledged(Waiter(7))]);
}

#[test]
fn a_link_is_never_acknowledged_by_an_owner_that_was_deposed() {
    let mut bench = Bench::new();
    bench.shard.handle_links(JOB, vec![link("http://a.test/1")], Waiter(7));
    let outcomes = batch(&mut bench);
    bench.shard.handle_committed(outcomes, false, at(0));
    assert_eq!(bench.events(), [Event::Lost]);
    assert!(bench.shard.is_lost() && bench.shard.poll_commit().is_none() && bench.shard.poll_work(at(0)).is_none());
}

#[test]
fn a_link_whose_creation_is_unknown_waits_until_it_is_settled() {
    let mut bench = Bench::new();
    bench.shard.handle_links(JOB, vec![link("http://a.test/1"), link("http://a.test/2")], Waiter(7));
    bench.shard.poll_commit().expect("a batch");
    bench.shard.handle_committed(vec![Outcome::Indeterminate, Outcome::Unavailable], true, at(0));
    assert_eq!(bench.events(), []);
    bench.commit(at(0));
    assert_eq!(bench.events(), [Event::Acknowledged(Waiter(7))]);
    assert_eq!(bench.shard.counters(JOB).discovered, 2);
}

#[test]
fn a_known_link_is_acknowledged_at_once() {
    let mut bench = Bench::running(job(), &["http://a.test/1"]);
    bench.events();
    bench.shard.handle_links(JOB, vec![link("http://a.test/1")], Waiter(8));
    assert_eq!(bench.events(), [Event::Acknowledged(Waiter(8))]);
    assert!(bench.shard.poll_commit().is_none());
}

#[test]
fn whoever_brings_a_link_that_is_being_created_waits_for_the_same_batch() {
    let mut bench = Bench::new();
    bench.shard.handle_links(JOB, vec![link("http://a.test/1")], Waiter(1));
    let outcomes = batch(&mut bench);
    bench.shard.handle_links(JOB, vec![link("http://a.test/1")], Waiter(2));
    assert_eq!(bench.events(), []);
    bench.shard.handle_committed(outcomes, true, at(0));
    assert_eq!(bench.events(), [Event::Acknowledged(Waiter(1)), Event::Acknowledged(Waiter(2))]);
    assert!(bench.shard.poll_commit().is_none(), "it is created once");
}

#[test]
fn no_result_is_shown_before_an_earlier_one_that_is_not_settled() {
    let mut bench = Bench::running(job(), &["http://a.test/1", "http://a.test/2", "http://a.test/3"]);
    bench.shard.handle_control(JOB, Control::Close(SkipReason::JobStopped));
    let mut outcomes = batch(&mut bench);
    outcomes[1] = Outcome::Indeterminate;
    bench.shard.handle_committed(outcomes, true, at(0));
    let shown = |bench: &Bench| {
        bench.shard.results(JOB, 0, 9, |_| true).into_iter().map(|(sequence, ..)| sequence).collect::<Vec<_>>()
    };
    assert_eq!(shown(&bench), [1]);
    bench.commit(at(0));
    assert_eq!(shown(&bench), [1, 2, 3]);
    assert_eq!(bench.shard.results(JOB, 1, 1, |_| true).len(), 1, "at most as many as asked for");
}

#[test]
fn two_results_with_one_sequence_both_move_behind_what_readers_have_passed() {
    let mut bench = Bench::running(job(), &["http://a.test/1", "http://a.test/2"]);
    bench.shard.handle_control(JOB, Control::Close(SkipReason::JobStopped));
    bench.commit(at(0));
    for text in ["http://a.test/1", "http://a.test/2"] {
        let mut record = bench.stored(text).expect("a record");
        let UrlState::Closed { sequence, .. } = &mut record.state else { panic!("{text} is open") };
        *sequence = 5;
        let key = Name::Url(JOB, UrlHash::of(&url(text))).key(PARTITION);
        bench.registers.apply(&key, &Change::Put(encode(&record)));
    }
    let mut successor = bench.taken_over(at(0), Previous::Other);
    successor.commit(at(0));
    assert_eq!(
        successor.shard.results(JOB, 5, 9, |_| true).len(),
        2,
        "a reader that passed 5 with one of them misses neither"
    );
    assert_eq!(successor.shard.results(JOB, 0, 9, |_| true).len(), 2);
    assert_eq!(successor.shard.counters(JOB).done(), 2);
}

#[test]
fn the_links_of_a_page_are_stored_before_the_page_is_closed() {
    let mut bench = Bench::running(job(), &["http://a.test/1"]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("the page");
    let visit = Visit { job: JOB, url: UrlHash::of(&page), origin: ORIGIN, made: None };
    let outside = vec![(url("http://b.test/"), SkipReason::OutOfScope)];
    bench.shard.handle_fetched(visit.job, ORIGIN, &Exchange::untold(false), at(1_000));
    bench.shard.handle_outcome(&visit, Attempt::Closed(fetched()), outside, at(1_000));
    let first = bench.shard.poll_commit().expect("a batch");
    assert!(first.iter().all(|write| matches!(Name::parse(&write.key), Some(Name::Link(..)))), "{first:?}");
    bench.shard.handle_committed(vec![Outcome::Unavailable], true, at(1_000));
    let again = bench.shard.poll_commit().expect("the same batch");
    assert_eq!(again.len(), 1, "the page still waits");
    let outcomes = again.iter().map(|write| bench.registers.apply(&write.key, &write.change)).collect();
    bench.shard.handle_committed(outcomes, true, at(1_000));
    bench.commit(at(1_000));
    assert!(matches!(bench.stored("http://a.test/1").expect("a record").state, UrlState::Closed { .. }));
    assert_eq!(bench.shard.counters(JOB).unfollowed, 1);
}
