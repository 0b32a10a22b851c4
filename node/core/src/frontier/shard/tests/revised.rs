//! A job that its user changes or opens again, and limits of single hosts.

use super::*;
use crate::frontier::keys::Name;

const PAGES: [&str; 3] = ["http://a.test/1", "http://a.test/2", "http://a.test/3"];

fn quick() -> ValidatedJob {
    let mut job = job();
    job.politeness.delay = Duration::ZERO;
    job.retry.max_retries = 0;
    job
}

#[test]
fn pages_that_are_excluded_later_are_skipped_and_seeds_are_not() {
    let mut bench = Bench::running(quick(), &PAGES[..1]);
    let deeper = Link { depth: 1, ..link(PAGES[1]) };
    bench.shard.handle_links(JOB, vec![deeper], Waiter(7));
    bench.commit(at(0));
    let mut revised = quick();
    revised.scope.exclude = Patterns::compile(&["/[12]$"]).expect("a pattern");
    bench.shard.handle_revised(JOB, Arc::new(revised));
    bench.robots(at(0), "");
    let seed = bench.fetch(at(0)).expect("the seed");
    assert_eq!(seed, url(PAGES[0]));
    bench.end(&seed, Attempt::Closed(fetched()), at(0));
    assert!(bench.work(at(9_000)).is_none());
    bench.commit(at(9_000));
    assert_eq!(bench.shard.counters(JOB).skipped, 1);
}

#[test]
fn failed_pages_are_opened_again_and_counted_once() {
    let mut bench = Bench::running(quick(), &PAGES[..2]);
    bench.robots(at(0), "");
    for attempt in [failed(), Attempt::Closed(fetched())] {
        let page = bench.fetch(at(0)).expect("a page");
        bench.end(&page, attempt, at(0));
    }
    assert_eq!((bench.shard.counters(JOB).failed, bench.shard.counters(JOB).succeeded), (1, 1));
    let pages: Vec<Reopened> = PAGES[..2]
        .iter()
        .map(|page| {
            let hash = UrlHash::of(&url(page));
            let value = bench.registers.map[&Name::Url(JOB, hash).key(PARTITION)].clone();
            let record = decode(&value.content.expect("a record")).expect("a record");
            Reopened { hash, record, version: value.version }
        })
        .collect();
    bench.events();
    bench.shard.handle_reopen(JOB, pages.clone(), Waiter(5));
    bench.commit(at(1));
    assert_eq!(bench.events(), [Event::Acknowledged(Waiter(5))]);
    bench.shard.handle_reopen(JOB, pages, Waiter(6));
    bench.commit(at(1));
    assert_eq!(bench.shard.counters(JOB).failed, 0);
    assert_eq!(bench.shard.results(JOB, 0, 9, |_| true).len(), 1, "the old failure is no result any more");
    let page = bench.fetch(at(1)).expect("the page that had failed");
    bench.end(&page, Attempt::Closed(fetched()), at(1));
    assert_eq!((bench.shard.counters(JOB).succeeded, bench.shard.counters(JOB).discovered), (2, 2));
    assert!(bench.work(at(9_000)).is_none());
}

#[test]
fn no_host_gets_more_pages_than_its_limit_also_under_the_next_owner() {
    let mut limited = quick();
    limited.limits.max_pages_per_host = Some(2);
    let mut bench = Bench::running(limited.clone(), &PAGES);
    bench.robots(at(0), "");
    assert!(bench.work(at(0)).is_none(), "what is admitted has to be durable first");
    bench.commit(at(0));
    let page = bench.fetch(at(0)).expect("a page");
    bench.end(&page, Attempt::Closed(fetched()), at(0));
    let mut successor = bench.taken_over(at(1), Previous::Myself);
    successor.work(at(1));
    successor.shard.handle_job(JOB, Arc::new(limited), 0);
    successor.shard.handle_control(JOB, Control::Run);
    let page = successor.fetch(at(9_000)).expect("a page");
    successor.end(&page, Attempt::Closed(fetched()), at(9_000));
    assert!(successor.work(at(20_000)).is_none());
    successor.commit(at(20_000));
    let Counters { succeeded, skipped, admitted, .. } = successor.shard.counters(JOB);
    assert_eq!((succeeded, skipped, admitted), (2, 1, 2));
}

#[test]
fn a_path_with_too_many_queries_is_a_trap() {
    let mut wary = quick();
    wary.url_rules.max_query_variants_per_path = 2;
    let mut bench = Bench::running(wary, &PAGES[..1]);
    let links = (0..4).map(|number| Link { depth: 1, ..link(&format!("http://a.test/s?id={number}")) }).collect();
    bench.shard.handle_links(JOB, links, Waiter(7));
    bench.commit(at(0));
    assert!(bench.events().contains(&Event::Acknowledged(Waiter(7))));
    let counters = bench.shard.counters(JOB);
    assert_eq!((counters.discovered, counters.unfollowed), (3, 2));
}
