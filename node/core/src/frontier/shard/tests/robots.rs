//! How old a robots.txt may be: as young as the jobs at work wish, a day at most, and what holds if there is no newer one.

use super::*;

const PAGES: [&str; 4] = ["http://a.test/1", "http://a.test/2", "http://a.test/3", "http://a.test/4"];
const MINUTE_MS: u64 = 60_000;

/// A job that believes a robots.txt for a minute.
fn doubting() -> ValidatedJob {
    let mut job = job();
    job.politeness.robots_lifetime = Duration::from_secs(60);
    job
}

fn asks_for_robots(bench: &mut Bench, now: Instant) -> bool {
    matches!(bench.work(now), Some(Work::Robots { .. }))
}

fn fetch_one(bench: &mut Bench, now: Instant) {
    let page = bench.fetch(now).expect("a page, not robots.txt");
    bench.end(&page, Attempt::Closed(fetched()), now);
}

#[test]
fn a_robots_txt_is_fetched_again_when_it_is_older_than_its_job_wishes() {
    let mut bench = Bench::running(doubting(), &PAGES);
    bench.robots(at(0), "");
    fetch_one(&mut bench, at(MINUTE_MS - 1));
    bench.robots(at(MINUTE_MS + 1_000), "");
    fetch_one(&mut bench, at(2 * MINUTE_MS));
    assert!(asks_for_robots(&mut bench, at(2 * MINUTE_MS + 1_000)));
}

#[test]
fn where_several_jobs_visit_a_host_the_shortest_wish_counts_and_one_request_serves_all() {
    let mut bench = Bench::running(job(), &PAGES[..2]);
    bench.start(OTHER_JOB, doubting(), &PAGES[2..]);
    bench.robots(at(0), "");
    bench.robots(at(MINUTE_MS), "");
    for second in 1..=4 {
        let page = bench.fetch(at(MINUTE_MS + second * 1_000)).expect("a page, not robots.txt");
        let id = if PAGES[..2].contains(&page.as_str()) { JOB } else { OTHER_JOB };
        let visit = Visit { job: id, url: UrlHash::of(&page), origin: ORIGIN, made: None };
        bench.shard.handle_fetched(id, ORIGIN, &Exchange::untold(false), at(MINUTE_MS + second * 1_000));
        bench.shard.handle_outcome(&visit, Attempt::Closed(fetched()), Vec::new(), at(MINUTE_MS + second * 1_000));
        bench.commit(at(MINUTE_MS + second * 1_000));
    }
    assert_eq!((bench.shard.counters(JOB).done(), bench.shard.counters(OTHER_JOB).done()), (2, 2));
}

#[test]
fn a_job_that_does_not_obey_robots_txt_has_no_wish() {
    let mut careless = doubting();
    careless.politeness.obey_robots = false;
    let mut bench = Bench::running(job(), &PAGES[..2]);
    bench.start(OTHER_JOB, careless, &PAGES[2..]);
    bench.robots(at(0), "");
    assert!(bench.fetch(at(2 * MINUTE_MS)).is_some(), "a page, not robots.txt");
}

#[test]
fn the_next_owner_counts_from_when_the_file_was_fetched() {
    let mut bench = Bench::running(doubting(), &PAGES);
    bench.robots(at(0), "");
    let mut heir = bench.taken_over(at(30_000), Previous::Other);
    assert!(matches!(heir.work(at(30_000)), Some(Work::Job(JOB))));
    heir.shard.handle_job(JOB, Arc::new(doubting()), 0);
    heir.shard.handle_control(JOB, Control::Run);
    fetch_one(&mut heir, at(MINUTE_MS - 1));
    assert!(asks_for_robots(&mut heir, at(MINUTE_MS + 1_000)));
}

#[test]
fn a_file_that_cannot_be_had_again_is_believed_on_but_not_beyond_its_day() {
    let mut bench = Bench::running(doubting(), &PAGES);
    bench.robots(at(0), "User-agent: *\nDisallow: /1\n");
    let fail = |bench: &mut Bench, now: Instant| {
        assert!(asks_for_robots(bench, now));
        bench.shard.handle_fetched(JOB, ORIGIN, &Exchange::untold(false), now);
        let unreached = Unreached { reason: SkipReason::RobotsTxt, detail: "status 500".to_owned() };
        bench.shard.handle_robots(JOB, ORIGIN, Err(unreached), now, now.0.as_millis() as u64);
        bench.commit(now);
    };
    for minute in [2, 3, 4] {
        fail(&mut bench, at(minute * MINUTE_MS));
    }
    let page = bench.fetch(at(5 * MINUTE_MS)).expect("a page by the old rules");
    assert_eq!(page.as_str(), PAGES[1]);
    bench.end(&page, Attempt::Closed(fetched()), at(5 * MINUTE_MS));
    for minute in [14, 15, 16] {
        fail(&mut bench, at(minute * MINUTE_MS));
    }
    fetch_one(&mut bench, at(17 * MINUTE_MS));
    let day = 24 * 60;
    for minute in [day, day + 1, day + 2] {
        fail(&mut bench, at(minute * MINUTE_MS));
    }
    assert!(bench.work(at((day + 3) * MINUTE_MS)).is_none(), "nothing may be asked for any more");
    bench.commit(at((day + 3) * MINUTE_MS));
    assert_eq!((bench.shard.counters(JOB).skipped, bench.shard.counters(JOB).done()), (2, 4));
}
