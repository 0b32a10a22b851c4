//! What the operator and the owners of sites ask for: hosts that are left alone, for a time or for good.

use super::*;
use crate::frontier::opt_out::{OptOut, OptOuts};
use crate::frontier::record::{AttemptEnd, HostLimits, HostRecord, RobotsAsked};

const PAGES: [&str; 2] = ["http://a.test/1", "http://a.test/2"];

fn opt_outs(host: &str) -> Arc<OptOuts> {
    let entry = OptOut { host: host.to_owned(), subdomains: true, note: String::new(), since_ms: 0 };
    Arc::new(OptOuts { list: vec![entry] })
}

fn host_record(bench: &Bench) -> HostRecord {
    let key = Name::Host(crate::frontier::keys::origin_hash(ORIGIN)).key(PARTITION);
    decode(bench.registers.map[&key].content.as_deref().expect("content")).expect("a record")
}

#[test]
fn a_host_whose_owner_does_not_want_to_be_visited_is_visited_no_more_by_any_job() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.start(OTHER_JOB, job(), &["http://a.test/3"]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(1_000)).expect("a page");
    bench.shard.handle_opt_outs(opt_outs("test"));
    bench.end(&page, failed(), at(1_000));
    for second in 2..60 {
        assert!(bench.work(at(second * 1_000)).is_none());
        bench.commit(at(second * 1_000));
    }
    for (id, skipped) in [(JOB, 2), (OTHER_JOB, 1)] {
        assert_eq!(bench.shard.counters(id).skipped, skipped);
    }
    let UrlState::Closed { result, .. } = bench.stored(PAGES[1]).expect("a record").state else { panic!("open") };
    assert!(matches!(result, PageResult::Skipped { reason: SkipReason::OptedOut, .. }));
    bench.shard.handle_links(JOB, vec![link("http://a.test/9")], Waiter(4));
    bench.commit(at(70_000));
    assert!(bench.work(at(70_000)).is_none());
    bench.commit(at(70_000));
    assert_eq!(bench.shard.counters(JOB).skipped, 3, "what is found of it later is skipped, too");
    bench.shard.handle_opt_outs(Arc::default());
    bench.shard.handle_links(JOB, vec![link("http://a.test/10")], Waiter(5));
    bench.commit(at(80_000));
    assert!(bench.fetch(at(80_000)).is_some());
}

#[test]
fn not_even_robots_txt_is_asked_for_where_nobody_is_wanted() {
    let mut bench = Bench::new();
    bench.shard.handle_opt_outs(opt_outs("a.test"));
    bench.start(JOB, job(), &PAGES);
    assert!(bench.work(at(0)).is_none());
    bench.commit(at(0));
    assert_eq!(bench.shard.counters(JOB).skipped, 2);
}

#[test]
fn a_host_that_the_operator_blocks_is_left_alone_until_then_also_by_the_next_owner() {
    let mut bench = Bench::running(job(), &PAGES);
    bench.robots(at(0), "");
    let limits = HostLimits { block_until_ms: 60_000, ..HostLimits::default() };
    bench.shard.handle_limits(ORIGIN, limits, false, at(1_000), 1_000);
    bench.commit(at(1_000));
    assert!(bench.work(at(59_999)).is_none());
    let mut next = bench.taken_over(at(30_000), Previous::Other);
    next.shard.handle_job(JOB, Arc::new(job()), 0);
    next.shard.handle_control(JOB, Control::Run);
    assert!(next.work(at(59_999)).is_none());
    assert!(next.fetch(at(60_000)).is_some());
}

#[test]
fn a_breaker_that_is_reset_lets_requests_pass_and_what_the_host_asked_for_still_holds() {
    let mut bench = Bench::running(job(), &["http://a.test/1", "http://a.test/2", "http://a.test/3"]);
    bench.robots(at(0), "");
    for _ in 0..5 {
        bench.shard.handle_fetched(
            JOB,
            ORIGIN,
            &Exchange { health: Health::Bad, ..Exchange::untold(false) },
            at(1_000),
        );
    }
    assert!(bench.work(at(10_000)).is_none(), "it is open");
    bench.shard.handle_breaker_reset(ORIGIN, at(10_000));
    assert!(bench.fetch(at(10_000)).is_some());
    let busy = Exchange { health: Health::Busy(Some(Duration::from_secs(50))), ..Exchange::untold(false) };
    bench.shard.handle_fetched(JOB, ORIGIN, &busy, at(10_000));
    bench.shard.handle_breaker_reset(ORIGIN, at(10_000));
    assert!(bench.work(at(59_999)).is_none());
    assert!(bench.fetch(at(60_000)).is_some());
}

#[test]
fn requests_for_robots_txt_are_in_the_hosts_record_and_outlive_its_owner() {
    let mut bench = Bench::running(job(), &PAGES);
    let asked = |at_ms| RobotsAsked {
        job: JOB,
        moved: None,
        attempt: AttemptRecord { at_ms, took_ms: 3, end: AttemptEnd::Status(200) },
    };
    assert!(matches!(bench.work(at(0)), Some(Work::Robots { .. })));
    bench.shard.handle_robots_asked(ORIGIN, asked(5));
    bench.robots_file(RobotsFile::Text(String::new()), at(0));
    bench.commit(at(0));
    assert_eq!(host_record(&bench).asked, [asked(5)]);
    let mut next = bench.taken_over(at(1_000), Previous::Other);
    for number in 0..20 {
        next.shard.handle_robots_asked(ORIGIN, asked(10 + number));
    }
    next.shard.handle_breaker_reset(ORIGIN, at(1_000));
    next.commit(at(1_000));
    let kept: Vec<u64> = host_record(&next).asked.iter().map(|asked| asked.attempt.at_ms).collect();
    assert_eq!(kept, (14..30).collect::<Vec<_>>());
}
