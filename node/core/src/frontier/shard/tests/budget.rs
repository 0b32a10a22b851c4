//! The page limit.

use super::*;

const PAGES: [&str; 3] = ["http://a.test/1", "http://a.test/2", "http://a.test/3"];

fn limited() -> ValidatedJob {
    let mut job = job();
    job.limits.max_pages = Some(10);
    job
}

#[test]
fn a_page_is_requested_only_after_it_was_admitted() {
    let mut bench = Bench::running(limited(), &PAGES);
    bench.robots(at(0), "");
    assert!(matches!(bench.work(at(1_000)), Some(Work::Budget { wanted: 3, .. })));
    assert!(bench.work(at(1_000)).is_none(), "it asks once");
    bench.shard.handle_budget(JOB, 2, at(1_000));
    assert!(
        bench.work(at(1_000)).is_none_or(|work| matches!(work, Work::Budget { .. })),
        "the admission is not durable"
    );
    bench.commit(at(1_000));
    assert!(bench.fetch(at(1_000)).is_some());
    assert_eq!(bench.shard.counters(JOB).admitted, 2);
}

#[test]
fn a_used_up_budget_is_asked_again_after_a_while() {
    let mut bench = Bench::running(limited(), &PAGES);
    bench.robots(at(0), "");
    assert!(matches!(bench.work(at(1_000)), Some(Work::Budget { .. })));
    bench.shard.handle_budget(JOB, 0, at(1_000));
    assert!(bench.work(at(1_999)).is_none());
    assert!(matches!(bench.work(at(2_000)), Some(Work::Budget { .. })));
}

#[test]
fn what_nobody_needs_is_given_back() {
    let mut bench = Bench::running(limited(), &PAGES);
    bench.robots(at(0), "");
    assert!(matches!(bench.work(at(1_000)), Some(Work::Budget { .. })));
    bench.shard.handle_control(JOB, Control::Close(SkipReason::JobStopped));
    bench.shard.handle_budget(JOB, 3, at(1_000));
    assert!(matches!(bench.work(at(1_000)), Some(Work::GiveBack { pages: 3, .. })));
    assert!(bench.work(at(1_000)).is_none());
}

#[test]
fn a_page_that_the_former_owner_admitted_at_the_last_moment_uses_up_its_share() {
    let mut bench = Bench::running(limited(), &PAGES);
    bench.robots(at(0), "");
    assert!(matches!(bench.work(at(1_000)), Some(Work::Budget { .. })));
    bench.shard.handle_budget(JOB, 1, at(1_000));
    while bench.work(at(1_000)).is_some() {}
    let late = bench.shard.poll_commit().expect("the admission");
    let mut successor = bench.taken_over(at(2_000), Previous::Other);
    for write in &late {
        successor.registers.apply(&write.key, &write.change);
    }
    successor.shard.handle_job(JOB, Arc::new(limited()), 1);
    successor.shard.handle_control(JOB, Control::Run);
    assert!(matches!(successor.work(at(9_000)), Some(Work::Job(JOB)) | None));
    assert!(successor.work(at(9_000)).is_none(), "nothing of the share is used before it is known what is left of it");
    successor.commit(at(9_000));
    assert_eq!(successor.shard.counters(JOB).admitted, 1);
    while matches!(successor.work(at(9_000)), Some(Work::Fetch { .. })) {}
    successor.commit(at(9_000));
    let admitted = PAGES.iter().filter(|page| successor.stored(page).is_some_and(|record| record.admitted)).count();
    assert_eq!(admitted, 1);
}
