//! Hosts that say "later", fail, ask for long delays, or were forgotten; and what of that the next owner knows.

use super::*;
use crate::frontier::record::HostLimits;
use crate::job::AutoThrottle;

const PAGES: [&str; 4] = ["http://a.test/1", "http://a.test/2", "http://a.test/3", "http://a.test/4"];

/// No delay: what holds a request back is what the test is about.
fn eager() -> ValidatedJob {
    let mut job = job();
    job.politeness.delay = Duration::ZERO;
    job.politeness.concurrent_requests_per_host = 2;
    job.retry.max_retries = 0;
    job
}

fn started(job: ValidatedJob) -> Bench {
    let mut bench = Bench::running(job, &PAGES);
    bench.robots(at(0), "");
    bench
}

#[test]
fn retry_after_blocks_the_whole_host_before_another_request_can_leave() {
    let mut bench = started(eager());
    let page = bench.fetch(at(1_000)).expect("a page");
    let exchange = Exchange { health: Health::Busy(Some(Duration::from_secs(60))), ..Exchange::untold(false) };
    bench.shard.handle_fetched(JOB, ORIGIN, &exchange, at(2_000));
    assert!(bench.work(at(2_000)).is_none(), "the place is free, the host is not");
    let visit = Visit { job: JOB, url: UrlHash::of(&page), origin: ORIGIN, made: None };
    bench.shard.handle_outcome(&visit, failed(), Vec::new(), at(2_000));
    assert!(bench.work(at(61_999)).is_none());
    assert!(bench.fetch(at(62_000)).is_some());
}

#[test]
fn a_pause_survives_the_owner() {
    for asked in [Some(Duration::from_secs(600)), None] {
        let mut bench = started(eager());
        let page = bench.fetch(at(1_000)).expect("a page");
        bench.end_with(&page, Health::Busy(asked), failed(), at(1_000));
        let mut successor = bench.taken_over(at(2_000), Previous::Other);
        assert!(matches!(successor.work(at(2_000)), Some(Work::Job(JOB))));
        successor.shard.handle_job(JOB, Arc::new(eager()), 0);
        successor.shard.handle_control(JOB, Control::Run);
        let early = if asked.is_some() { 600_000 } else { 54_000 };
        assert!(successor.work(at(early)).is_none(), "{asked:?}");
        assert!(successor.fetch(at(602_001)).is_some(), "{asked:?}");
    }
}

#[test]
fn a_host_that_fails_again_and_again_is_left_alone_then_tried_with_one_request() {
    let mut bench = started(eager());
    for now in 1..=3 {
        let page = bench.fetch(at(now)).expect("a page");
        bench.end_with(&page, Health::Bad, Attempt::Abandoned, at(now));
    }
    let page = bench.fetch(at(4)).expect("a page");
    bench.end_with(&page, Health::Bad, Attempt::Abandoned, at(4));
    let page = bench.fetch(at(5)).expect("a page");
    bench.end_with(&page, Health::Bad, Attempt::Abandoned, at(5));
    assert!(bench.shard.host_status(ORIGIN, at(5)).is_some_and(|host| host.is_tripped));
    assert!(bench.work(at(60_004)).is_none());
    let probe = bench.fetch(at(60_005)).expect("a probe");
    assert!(bench.work(at(60_005)).is_none(), "one at a time while it is half-open");
    bench.end_with(&probe, Health::Good { is_page: true }, Attempt::Closed(fetched()), at(60_006));
    assert!(bench.fetch(at(60_006)).is_some() && bench.fetch(at(60_006)).is_some());
}

#[test]
fn a_host_that_fails_each_time_it_is_tried_is_given_up_with_the_reason() {
    let mut bench = started(eager());
    for now in [1, 2, 3, 4, 5, 60_005] {
        let page = bench.fetch(at(now)).expect("a page");
        bench.end_with(&page, Health::Bad, Attempt::Abandoned, at(now));
    }
    assert_eq!(bench.shard.counters(JOB).failed, 3, "all but the page that was being tried");
    let UrlState::Closed { result, .. } = bench.stored(PAGES[3]).expect("a record").state else { panic!("it is open") };
    assert!(matches!(result, PageResult::Failed { reason: SkipReason::HostBroken, .. }));
}

#[test]
fn an_open_breaker_survives_the_owner() {
    let mut bench = started(eager());
    for now in [1, 2, 3, 4, 5] {
        let page = bench.fetch(at(now)).expect("a page");
        bench.end_with(&page, Health::Bad, Attempt::Abandoned, at(now));
    }
    let mut successor = bench.taken_over(at(1_000), Previous::Other);
    successor.work(at(1_000));
    successor.shard.handle_job(JOB, Arc::new(eager()), 0);
    successor.shard.handle_control(JOB, Control::Run);
    assert!(successor.work(at(60_000)).is_none());
    assert!(successor.fetch(at(61_005)).is_some());
}

#[test]
fn a_crawl_delay_above_the_jobs_patience_is_skipped_or_cut() {
    let robots = "User-agent: *\nCrawl-delay: 60\n";
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), robots);
    assert!(bench.work(at(90_000)).is_none());
    bench.commit(at(90_000));
    assert_eq!(bench.shard.counters(JOB).skipped, 4);
    let mut patient = job();
    patient.politeness.over_max_crawl_delay = OverMax::Clamp;
    let mut bench = Bench::running(patient, &PAGES);
    bench.robots(at(0), robots);
    assert!(bench.work(at(29_999)).is_none());
    assert!(bench.fetch(at(30_000)).is_some());
}

#[test]
fn the_throttle_slows_down_with_the_host() {
    let mut slow = job();
    slow.politeness.auto_throttle = Some(AutoThrottle { target_milli: 1_000, max_delay: Duration::from_secs(60) });
    let mut bench = started(slow);
    let page = bench.fetch(at(1_000)).expect("a page");
    let exchange = Exchange {
        latency: Some(Duration::from_secs(8)),
        health: Health::Good { is_page: true },
        ..Exchange::untold(false)
    };
    bench.shard.handle_fetched(JOB, ORIGIN, &exchange, at(9_000));
    let visit = Visit { job: JOB, url: UrlHash::of(&page), origin: ORIGIN, made: None };
    bench.shard.handle_outcome(&visit, Attempt::Closed(fetched()), Vec::new(), at(9_000));
    assert!(bench.work(at(16_999)).is_none());
    assert!(bench.fetch(at(17_000)).is_some());
}

#[test]
fn a_robots_txt_that_moved_is_fetched_there_in_its_turn() {
    let mut bench = Bench::running(job(), &PAGES);
    assert!(matches!(bench.work(at(0)), Some(Work::Robots { moved: None, .. })));
    for hop in 1..=5_u64 {
        bench.shard.handle_fetched(JOB, ORIGIN, &Exchange::untold(false), at(hop * 10_000));
        bench.shard.handle_robots_moved(ORIGIN, url("http://a.test/rules.txt"), at(hop * 10_000), 0);
        assert!(bench.work(at(hop * 10_000 + 999)).is_none(), "a hop is a request like any other");
        assert!(matches!(bench.work(at(hop * 10_000 + 1_000)), Some(Work::Robots { moved: Some(_), .. })));
    }
    bench.shard.handle_fetched(JOB, ORIGIN, &Exchange::untold(false), at(90_000));
    bench.shard.handle_robots_moved(ORIGIN, url("http://a.test/rules.txt"), at(90_000), 0);
    bench.commit(at(90_000));
    assert!(bench.fetch(at(91_000)).is_some(), "behind the sixth there is none");
}

#[test]
fn a_busy_address_puts_a_page_and_robots_txt_back() {
    let mut bench = Bench::running(job(), &PAGES);
    assert!(matches!(bench.work(at(0)), Some(Work::Robots { .. })));
    bench.shard.handle_deferred(JOB, ORIGIN, None, at(5_000));
    assert!(bench.work(at(4_999)).is_none());
    bench.robots(at(5_000), "");
    let page = bench.fetch(at(6_000)).expect("a page");
    bench.shard.handle_deferred(JOB, ORIGIN, Some(UrlHash::of(&page)), at(7_000));
    assert_eq!(bench.shard.counters(JOB).in_flight, 0);
    assert!(bench.work(at(6_999)).is_none());
    assert_eq!(bench.fetch(at(7_000)), Some(page), "nothing was asked: no gap is owed");
}

#[test]
fn the_operator_closes_a_host_for_every_job_and_opens_it_again() {
    let mut bench = started(job());
    let closed = HostLimits { closed: true, ..HostLimits::default() };
    bench.shard.handle_limits(ORIGIN, closed, false, at(1_000), 0);
    bench.commit(at(1_000));
    assert!(bench.work(at(3_600_000)).is_none());
    let mut successor = bench.taken_over(at(3_600_000), Previous::Myself);
    successor.work(at(3_600_000));
    successor.shard.handle_job(JOB, Arc::new(job()), 0);
    successor.shard.handle_control(JOB, Control::Run);
    assert!(successor.work(at(3_700_000)).is_none(), "the successor keeps it closed");
    successor.shard.handle_limits(
        ORIGIN,
        HostLimits { delay_ms: 9_000, ..HostLimits::default() },
        false,
        at(3_700_000),
        0,
    );
    successor.commit(at(3_700_000));
    let page = successor.fetch(at(3_700_000)).expect("a page");
    successor.end(&page, Attempt::Closed(fetched()), at(3_700_000));
    assert!(successor.work(at(3_708_999)).is_none());
    assert!(successor.fetch(at(3_709_000)).is_some());
}

#[test]
fn the_operators_policy_holds_for_every_job() {
    let mut bench = Bench::running(eager(), &PAGES);
    let policy = Policy { max_per_host: Some(1), min_delay: Duration::from_secs(3), ..Policy::default() };
    bench.shard = bench.shard.with_policy(policy, at(0), 0);
    bench.robots(at(0), "");
    assert!(bench.work(at(2_999)).is_none());
    assert!(bench.fetch(at(3_000)).is_some());
    assert!(bench.work(at(3_000)).is_none());
}

#[test]
fn a_robots_txt_that_is_too_old_is_not_made_new_by_another_write_of_its_host() {
    let mut bench = Bench::running(job(), &PAGES[..1]);
    bench.robots(at(0), "");
    let day_ms = 24 * 3_600_000;
    assert!(matches!(bench.work(at(day_ms)), Some(Work::Robots { .. })), "it is a day old");
    bench.shard.handle_breaker_reset(ORIGIN, at(day_ms));
    bench.commit(at(day_ms));
    assert!(bench.work(at(day_ms)).is_none(), "a page is requested by the old one");
    bench.robots_file(RobotsFile::DisallowAll, at(day_ms));
    bench.commit(at(day_ms));
    assert!(bench.work(at(day_ms)).is_none());
    assert!(bench.shard.host_status(ORIGIN, at(day_ms)).is_some_and(|host| host.robots == RobotsStatus::DisallowAll));
}

#[test]
fn a_host_that_nothing_waits_for_is_forgotten_and_read_again_before_it_is_visited() {
    let mut bench = Bench::running(job(), &PAGES[..1]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("the page");
    bench.end(&page, Attempt::Closed(fetched()), at(1_000));
    assert!(bench.work(at(602_000)).is_none());
    assert_eq!(bench.shard.host_status(ORIGIN, at(602_000)), None, "it is forgotten");
    bench.shard.handle_links(JOB, vec![link(PAGES[1])], Waiter(9));
    bench.commit(at(602_000));
    let Some(Work::Host { origin }) = bench.work(at(602_000)) else { panic!("its record is not read") };
    assert!(bench.work(at(602_000)).is_none());
    let key = Name::Host(crate::frontier::keys::origin_hash(&origin)).key(PARTITION);
    let stored = bench.registers.map[&key].clone();
    let record = decode(&stored.content.expect("a record")).expect("a record");
    bench.shard.handle_host(&origin, Some((record, stored.version)), at(602_000), 602_000);
    assert!(bench.fetch(at(602_000)).is_some(), "robots.txt is not fetched again");
    assert!(bench.shard.host_status(ORIGIN, at(602_000)).is_some_and(|host| host.robots == RobotsStatus::Text(0)));
}
