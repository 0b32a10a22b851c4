//! Politeness: the gap, robots.txt, Retry-After, retries, turns, and the lease.

use super::*;
use crate::frontier::LEASE_HOLD;

const PAGES: [&str; 3] = ["http://a.test/1", "http://a.test/2", "http://a.test/3"];

#[test]
fn the_gap_is_counted_from_the_answer_to_the_next_request() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), "");
    assert!(bench.work(at(999)).is_none(), "robots.txt is a request like any other");
    let page = bench.fetch(at(1_000)).expect("a page");
    bench.shard.handle_answered(JOB, ORIGIN, at(5_000));
    let visit = Visit { job: JOB, url: UrlHash::of(&page), origin: ORIGIN, made: None };
    bench.shard.handle_fetched(visit.job, ORIGIN, &Exchange::untold(true), at(5_100));
    bench.shard.handle_outcome(&visit, Attempt::Closed(fetched()), Vec::new(), at(5_100));
    assert!(bench.work(at(5_999)).is_none());
    assert!(bench.fetch(at(6_000)).is_some());
}

#[test]
fn the_crawl_delay_holds_from_the_answer_that_told_it() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), "User-agent: *\nCrawl-delay: 8\n");
    assert!(bench.work(at(7_999)).is_none());
    assert!(bench.fetch(at(8_000)).is_some());
}

#[test]
fn the_gentlest_wish_of_two_jobs_counts_for_both_and_they_take_turns() {
    let mut gentle = job();
    gentle.politeness.delay = Duration::from_secs(4);
    let mut bench = Bench::running(job(), &PAGES);
    bench.start(OTHER_JOB, gentle, &PAGES);
    bench.robots(at(0), "");
    let mut served = Vec::new();
    for now in [4_000, 8_000, 12_000, 16_000] {
        assert!(bench.work(at(now - 1)).is_none());
        let Some(Work::Fetch { job, hash, .. }) = bench.work(at(now)) else { panic!("nothing at {now}") };
        let visit = Visit { job, url: hash, origin: ORIGIN, made: None };
        bench.shard.handle_fetched(visit.job, ORIGIN, &Exchange::untold(false), at(now));
        bench.shard.handle_outcome(&visit, Attempt::Closed(fetched()), Vec::new(), at(now));
        served.push(job);
    }
    assert_eq!(served, [JOB, OTHER_JOB, JOB, OTHER_JOB]);
}

#[test]
fn no_more_requests_are_in_flight_than_the_job_allows() {
    let mut parallel = job();
    parallel.politeness.delay = Duration::ZERO;
    parallel.politeness.concurrent_requests_per_host = 2;
    let mut bench = Bench::running(parallel, &PAGES);
    bench.robots(at(0), "");
    let first = bench.fetch(at(0)).expect("one");
    bench.fetch(at(0)).expect("two");
    assert!(bench.work(at(0)).is_none());
    assert_eq!(bench.shard.counters(JOB).in_flight, 2);
    bench.end(&first, Attempt::Closed(fetched()), at(1));
    assert!(bench.fetch(at(1)).is_some());
}

#[test]
fn nothing_is_requested_before_the_record_of_robots_txt_is_durable() {
    let mut bench = Bench::running(job(), &PAGES);
    assert!(matches!(bench.work(at(0)), Some(Work::Robots { .. })));
    bench.robots_file(RobotsFile::AllowAll, at(0));
    assert!(bench.work(at(2_000)).is_none(), "the next owner would not know it");
    bench.commit(at(2_000));
    assert!(bench.fetch(at(2_000)).is_some());
}

#[test]
fn what_robots_txt_forbids_is_skipped_with_the_reason() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), "User-agent: *\nDisallow: /\n");
    assert!(bench.work(at(9_000)).is_none());
    bench.commit(at(9_000));
    assert_eq!(bench.shard.counters(JOB).skipped, 3);
    let UrlState::Closed { result, .. } = bench.stored(PAGES[0]).expect("a record").state else { panic!("it is open") };
    assert_eq!(result, PageResult::Skipped { reason: SkipReason::RobotsTxt, detail: None });
}

#[test]
fn a_retry_obeys_a_newer_robots_txt() {
    let mut bench = Bench::running(job(), &PAGES[..1]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("the page");
    let tomorrow = 25 * 60 * 60 * 1_000;
    bench.end(&page, failed(), at(tomorrow));
    bench.robots(at(tomorrow + 60_000), "User-agent: *\nDisallow: /\n");
    assert!(bench.work(at(tomorrow + 120_000)).is_none());
    bench.commit(at(tomorrow + 120_000));
    assert_eq!(bench.shard.counters(JOB).skipped, 1);
}

#[test]
fn robots_txt_survives_a_takeover_until_it_is_a_day_old() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), "");
    let mut successor = bench.taken_over(at(0), Previous::Other);
    assert!(matches!(successor.work(at(0)), Some(Work::Job(JOB))));
    successor.shard.handle_job(JOB, Arc::new(job()), 0);
    successor.shard.handle_control(JOB, Control::Run);
    assert!(
        successor.work(at(5_999)).is_none(),
        "a lease and the delay: the former owner may have fetched until just now"
    );
    let page = successor.fetch(at(6_000)).expect("a page, not robots.txt");
    let tomorrow = 25 * 60 * 60 * 1_000;
    successor.end(&page, Attempt::Closed(fetched()), at(tomorrow));
    assert!(matches!(successor.work(at(tomorrow + 1_000)), Some(Work::Robots { .. })));
}

fn unreached(reason: SkipReason) -> Result<RobotsFile, Unreached> {
    Err(Unreached { reason, detail: "refused".to_owned() })
}

#[test]
fn a_host_that_cannot_be_reached_is_asked_three_times_then_its_pages_fail_with_the_reason() {
    let mut bench = Bench::running(job(), &PAGES);
    let mut reckless = job();
    reckless.politeness.obey_robots = false;
    bench.start(OTHER_JOB, reckless, &[]);
    bench.shard.handle_links(OTHER_JOB, vec![link("http://a.test/4")], Waiter(3));
    bench.shard.handle_control(OTHER_JOB, Control::Hold);
    bench.commit(at(0));
    for now in [0, 10_000, 20_000] {
        assert_eq!(bench.shard.counters(JOB).failed, 0);
        assert!(matches!(bench.work(at(now)), Some(Work::Robots { .. })));
        bench.shard.handle_fetched(JOB, ORIGIN, &Exchange::untold(false), at(now));
        bench.shard.handle_robots(JOB, ORIGIN, unreached(SkipReason::FetchError), at(now), 0);
        assert!(bench.work(at(now + 400)).is_none(), "it is left alone for a moment");
    }
    bench.commit(at(20_000));
    assert_eq!(bench.shard.counters(JOB).failed, 3);
    assert_eq!(
        bench.shard.counters(OTHER_JOB).done(),
        0,
        "a job that does not ask for robots.txt does not depend on it"
    );
    let UrlState::Closed { result, .. } = bench.stored(PAGES[0]).expect("a record").state else { panic!("it is open") };
    assert_eq!(result, PageResult::Failed { reason: SkipReason::FetchError, detail: "refused".to_owned() });
}

#[test]
fn a_host_at_a_private_address_is_given_up_at_once() {
    let mut bench = Bench::running(job(), &PAGES);
    assert!(matches!(bench.work(at(0)), Some(Work::Robots { .. })));
    bench.shard.handle_fetched(JOB, ORIGIN, &Exchange::untold(false), at(0));
    bench.shard.handle_robots(JOB, ORIGIN, unreached(SkipReason::PrivateAddress), at(0), 0);
    bench.commit(at(0));
    assert_eq!(bench.shard.counters(JOB).skipped, 3);
    assert!(bench.work(at(60_000)).is_none());
}

#[test]
fn a_failed_page_is_tried_again_after_a_growing_pause_until_its_attempts_are_used_up() {
    let mut bench = Bench::running(job(), &PAGES[..1]);
    bench.robots(at(0), "");
    for (attempt, due) in [(1, 1_000), (2, 11_000), (3, 26_000)] {
        assert!(bench.work(at(due - 1)).is_none());
        let Some(Work::Fetch { attempt: told, url, .. }) = bench.work(at(due)) else { panic!("nothing at {due}") };
        assert_eq!(told, attempt);
        assert_eq!(bench.shard.counters(JOB).failed, 0);
        bench.end(&url, failed(), at(due));
    }
    assert_eq!(bench.shard.counters(JOB).failed, 1);
    assert!(bench.work(at(90_000)).is_none());
}

#[test]
fn a_failed_page_is_tried_again_no_sooner_by_the_next_owner() {
    let mut bench = Bench::running(job(), &PAGES[..1]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("the page");
    let made = AttemptRecord { at_ms: 900, took_ms: 100, end: AttemptEnd::Status(503) };
    bench.end_made(&page, Some(made), failed(), at(1_000));
    let mut heir = bench.taken_over(at(3_000), Previous::Other);
    heir.shard.handle_job(JOB, Arc::new(job()), 0);
    heir.shard.handle_control(JOB, Control::Run);
    assert!(heir.work(at(10_999)).is_none(), "the pause is not over");
    assert!(matches!(heir.work(at(11_000)), Some(Work::Fetch { attempt: 2, .. })));
}

#[test]
fn an_attempt_that_taught_nothing_does_not_count() {
    let mut bench = Bench::running(job(), &PAGES[..1]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("the page");
    bench.end(&page, Attempt::Abandoned, at(1_500));
    assert!(matches!(bench.work(at(2_500)), Some(Work::Fetch { attempt: 1, .. })));
}

#[test]
fn nothing_is_fetched_unless_the_ownership_was_confirmed_within_the_lease() {
    let mut bench = Bench::running(job(), &PAGES);
    let late = at(0) + LEASE_HOLD;
    assert!(matches!(bench.shard.poll_work(late), Some(Work::Confirm)));
    assert!(bench.shard.poll_work(late).is_none(), "one question at a time");
    assert_eq!(bench.shard.poll_timeout(), Some(at(5_000)), "until the lease lapses only the answer helps");
    bench.shard.handle_confirmed(None, late);
    assert!(matches!(bench.shard.poll_work(late), Some(Work::Confirm)), "no majority answered");
    bench.shard.handle_confirmed(Some(true), late);
    assert!(matches!(bench.shard.poll_work(late), Some(Work::Robots { .. })));
}

#[test]
fn an_owner_asks_for_its_confirmation_before_the_lease_runs_out_and_never_while_idle() {
    let mut bench = Bench::running(job(), &PAGES[..1]);
    let in_time = at(0) + LEASE_HOLD / 2;
    assert!(matches!(bench.shard.poll_work(in_time), Some(Work::Confirm)));
    assert!(
        matches!(bench.shard.poll_work(in_time), Some(Work::Robots { .. })),
        "the present confirmation still holds"
    );
    bench.shard.handle_confirmed(Some(true), in_time);
    bench.robots_file(RobotsFile::AllowAll, in_time);
    bench.commit(in_time);
    let page = bench.fetch(at(3_500)).expect("the page");
    bench.end(&page, Attempt::Closed(fetched()), at(4_000));
    assert!(bench.shard.poll_work(at(3_600_000)).is_none());
    assert_eq!(bench.shard.poll_timeout(), None);
}

#[test]
fn whoever_is_told_that_it_lost_the_partition_does_nothing_more() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.shard.handle_confirmed(Some(false), at(0));
    assert!(bench.events().contains(&Event::Lost));
    assert!(bench.shard.poll_work(at(0)).is_none() && bench.shard.poll_timeout().is_none());
}

#[test]
fn requests_are_broken_off_once_when_no_quorum_confirms_the_owner_for_a_lease() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), "");
    bench.fetch(at(1_000)).expect("a page");
    while bench.shard.poll_event().is_some() {}
    assert!(matches!(bench.shard.poll_work(at(2_500)), Some(Work::Confirm)));
    assert_eq!((bench.shard.poll_work(at(4_999)).is_none(), bench.shard.poll_timeout()), (true, Some(at(5_000))));
    assert_eq!(bench.shard.poll_event(), None);
    assert!(bench.shard.poll_work(at(5_000)).is_none());
    assert_eq!(bench.shard.poll_event(), Some(Event::Lapsed));
    assert!(bench.shard.poll_work(at(5_001)).is_none());
    assert_eq!((bench.shard.poll_event(), bench.shard.poll_timeout()), (None, None));
}
