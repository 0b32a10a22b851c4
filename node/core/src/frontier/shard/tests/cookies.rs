//! Cookies of a job at a host outlive the host's owner, and go with the job.

use super::*;
use crate::frontier::keys::origin_hash;
use crate::frontier::record::JarRecord;

fn cookies_of(bench: &mut Bench, now: Instant) -> Option<String> {
    let Some(Work::Fetch { cookies, .. }) = bench.work(now) else { panic!("no page") };
    cookies.map(|cookies| cookies.to_string())
}

fn with_a_cookie() -> Bench {
    let mut bench = Bench::running(job(), &["http://a.test/1", "http://a.test/2", "http://a.test/3"]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("a page");
    bench.shard.handle_cookies(JOB, ORIGIN, "sid=1");
    bench.end(&page, Attempt::Closed(fetched()), at(1_000));
    bench
}

fn jar(bench: &Bench) -> Option<JarRecord> {
    let key = Name::Jar(JOB, origin_hash(ORIGIN)).key(PARTITION);
    let content = bench.registers.map.get(&key)?.content.clone()?;
    Some(decode(&content).expect("a record"))
}

#[test]
fn what_a_host_gave_is_sent_back_by_its_next_owner_too() {
    let mut bench = with_a_cookie();
    assert_eq!(cookies_of(&mut bench, at(2_000)).as_deref(), Some("sid=1"));
    let mut next = bench.taken_over(at(3_000), Previous::Other);
    next.shard.handle_job(JOB, Arc::new(job()), 0);
    next.shard.handle_control(JOB, Control::Run);
    assert_eq!(cookies_of(&mut next, at(9_000)).as_deref(), Some("sid=1"));
}

#[test]
fn another_job_at_the_same_host_gets_none_of_it() {
    let mut bench = with_a_cookie();
    bench.start(OTHER_JOB, job(), &["http://a.test/4"]);
    assert_eq!(bench.shard.cookies(OTHER_JOB, ORIGIN), None);
    assert_eq!(bench.shard.cookies(JOB, "http://b.test:80"), None);
}

#[test]
fn a_jar_that_changes_while_it_is_written_is_written_once_more() {
    let mut bench = with_a_cookie();
    bench.shard.handle_cookies(JOB, ORIGIN, "sid=2");
    let first = bench.shard.poll_commit().expect("a batch");
    bench.shard.handle_cookies(JOB, ORIGIN, "sid=3");
    bench.shard.handle_cookies(JOB, ORIGIN, "sid=4");
    let outcomes = first.iter().map(|write| bench.registers.apply(&write.key, &write.change)).collect();
    bench.shard.handle_committed(outcomes, true, at(1_000));
    let second = bench.shard.poll_commit().expect("another batch");
    assert_eq!((first.len(), second.len()), (1, 1));
    let outcomes = second.iter().map(|write| bench.registers.apply(&write.key, &write.change)).collect();
    bench.shard.handle_committed(outcomes, true, at(1_000));
    assert!(bench.shard.poll_commit().is_none());
    assert_eq!(jar(&bench).expect("a jar").cookies, "sid=4");
}

#[test]
fn an_owner_of_the_past_does_not_write_over_a_later_ones_jar() {
    let mut bench = with_a_cookie();
    bench.shard.handle_cookies(JOB, ORIGIN, "late");
    let mut next = Bench { shard: Shard::open(PARTITION, Token(2), at(1_000), Previous::Other), ..Bench::new() };
    std::mem::swap(&mut next.registers, &mut bench.registers);
    for (key, value) in next.registers.map.clone() {
        next.shard.load(&key, &value, at(1_000), 1_000).expect("a record");
    }
    next.shard.handle_cookies(JOB, ORIGIN, "new");
    next.commit(at(1_000));
    std::mem::swap(&mut next.registers, &mut bench.registers);
    bench.commit(at(1_000));
    assert_eq!(jar(&bench).expect("a jar").cookies, "new");
}

#[test]
fn it_goes_with_its_job() {
    let mut bench = with_a_cookie();
    assert!(jar(&bench).is_some());
    bench.shard.handle_purge(JOB, Waiter(9));
    bench.commit(at(2_000));
    assert_eq!(jar(&bench), None);
}

#[test]
fn what_was_tried_is_known_to_the_next_owner_and_counts_against_the_retries() {
    let made = |at_ms| AttemptRecord { at_ms, took_ms: 7, end: crate::frontier::record::AttemptEnd::Status(503) };
    let mut bench = Bench::running(job(), &["http://a.test/1"]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("a page");
    let visit = |at_ms| Visit { job: JOB, url: UrlHash::of(&page), origin: ORIGIN, made: Some(made(at_ms)) };
    bench.shard.handle_fetched(JOB, ORIGIN, &Exchange::untold(false), at(1_000));
    bench.shard.handle_outcome(&visit(1_000), failed(), Vec::new(), at(1_000));
    bench.commit(at(1_000));
    let mut next = bench.taken_over(at(2_000), Previous::Other);
    next.shard.handle_job(JOB, Arc::new(job()), 0);
    next.shard.handle_control(JOB, Control::Run);
    for attempt in [2, 3] {
        let now = at(attempt * 20_000);
        let Some(Work::Fetch { attempt: told, .. }) = next.work(now) else { panic!("no attempt {attempt}") };
        assert_eq!(u64::from(told), attempt);
        next.shard.handle_fetched(JOB, ORIGIN, &Exchange::untold(false), now);
        next.shard.handle_outcome(&visit(attempt * 20_000), failed(), Vec::new(), now);
        next.commit(now);
    }
    let record = next.stored("http://a.test/1").expect("a record");
    assert!(matches!(record.state, UrlState::Closed { result: PageResult::Failed { .. }, .. }));
    let times: Vec<u64> = record.attempts.last.iter().map(|attempt| attempt.at_ms).collect();
    assert_eq!((record.attempts.failed, times), (2, vec![1_000, 40_000, 60_000]));
}
