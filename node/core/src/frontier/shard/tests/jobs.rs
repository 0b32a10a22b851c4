//! Pausing, ending and removing a job.

use super::*;

const PAGES: [&str; 2] = ["http://a.test/1", "http://a.test/2"];

#[test]
fn a_job_that_is_on_hold_fetches_nothing_and_goes_on_when_told() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), "");
    bench.shard.handle_control(JOB, Control::Hold);
    assert!(bench.shard.poll_work(at(1_000)).is_none());
    bench.shard.handle_control(JOB, Control::Run);
    assert!(bench.fetch(at(1_000)).is_some());
}

#[test]
fn a_job_whose_file_is_not_known_is_asked_for_once_and_holds() {
    let mut bench = Bench::new();
    bench.shard.handle_links(JOB, vec![link(PAGES[0])], Waiter(0));
    assert!(matches!(bench.work(at(0)), Some(Work::Job(JOB))));
    bench.commit(at(0));
    assert!(bench.work(at(60_000)).is_none());
}

#[test]
fn a_job_that_ends_closes_what_waits_and_what_is_being_created_but_lets_a_request_end() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("a page");
    bench.shard.handle_links(JOB, vec![link("http://a.test/3")], Waiter(1));
    bench.shard.handle_control(JOB, Control::Close(SkipReason::TimeLimit));
    bench.commit(at(1_000));
    assert_eq!(bench.shard.counters(JOB).skipped, 2);
    let UrlState::Closed { result, .. } = bench.stored("http://a.test/3").expect("a record").state else {
        panic!("it is open")
    };
    assert_eq!(result, PageResult::Skipped { reason: SkipReason::TimeLimit, detail: None });
    bench.end(&page, Attempt::Closed(fetched()), at(2_000));
    let counters = bench.shard.counters(JOB);
    assert_eq!((counters.succeeded, counters.done(), counters.discovered, counters.in_flight), (1, 3, 3, 0));
}

#[test]
fn a_page_that_fails_while_its_job_ends_is_not_tried_again() {
    let mut bench = Bench::running(job(), &PAGES[..1]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("a page");
    bench.shard.handle_control(JOB, Control::Close(SkipReason::JobStopped));
    bench.end(&page, failed(), at(2_000));
    assert_eq!(bench.shard.counters(JOB).skipped, 1);
}

#[test]
fn a_purge_removes_every_record_of_the_job_and_nothing_else() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.start(OTHER_JOB, job(), &PAGES);
    bench.robots(at(0), "");
    bench.shard.handle_links(JOB, vec![link("http://a.test/3")], Waiter(1));
    bench.shard.handle_purge(JOB, Waiter(9));
    bench.events();
    bench.commit(at(0));
    assert!(bench.events().contains(&Event::Acknowledged(Waiter(9))));
    let left: Vec<Name> = bench
        .registers
        .map
        .iter()
        .filter(|(_, value)| value.content.is_some())
        .filter_map(|(key, _)| Name::parse(key))
        .collect();
    assert!(left.iter().all(|name| matches!(name, Name::Host(_) | Name::Url(OTHER_JOB, _))), "{left:?}");
    assert_eq!(left.len(), 3);
    assert_eq!(bench.shard.jobs().collect::<Vec<_>>(), [OTHER_JOB]);
}

#[test]
fn a_host_goes_on_for_other_jobs_when_a_job_is_removed_during_its_request() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.start(OTHER_JOB, job(), &PAGES);
    assert!(matches!(bench.work(at(0)), Some(Work::Robots { job: JOB, .. })));
    bench.shard.handle_purge(JOB, Waiter(9));
    bench.robots_file(RobotsFile::AllowAll, at(0));
    bench.start(JOB, job(), &PAGES);
    let Some(Work::Fetch { job: first, url: page, .. }) = bench.work(at(1_000)) else { panic!("no page") };
    bench.shard.handle_purge(first, Waiter(10));
    let visit = Visit { job: first, url: UrlHash::of(&page), origin: ORIGIN, made: None };
    bench.shard.handle_fetched(visit.job, ORIGIN, &Exchange::untold(false), at(2_000));
    bench.shard.handle_outcome(&visit, Attempt::Closed(fetched()), Vec::new(), at(2_000));
    bench.commit(at(2_000));
    assert!(matches!(bench.work(at(3_000)), Some(Work::Fetch { .. })));
}

#[test]
fn a_job_that_does_not_exist_any_more_is_removed() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.shard.handle_job_gone(JOB);
    bench.commit(at(0));
    assert!(bench.registers.map.values().all(|value| value.content.is_none()));
}
