//! A frontier that is larger than memory: records are read when their turn is near, long work is done piece by piece.

use super::super::commit::BATCH;
use super::super::records::READ_AHEAD;
use super::*;

const MANY: usize = 3_000;
const ROOM: usize = 10;

fn pages(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("http://a.test/{number}")).collect()
}

fn impatient() -> ValidatedJob {
    let mut job = job();
    job.politeness.delay = Duration::ZERO;
    job
}

/// A shard that keeps few records and knows this many pages.
fn roomy(count: usize) -> Bench {
    let mut bench = Bench::new();
    bench.shard = bench.shard.with_room(ROOM);
    let pages = pages(count);
    bench.start(JOB, impatient(), &pages.iter().map(String::as_str).collect::<Vec<_>>());
    bench
}

impl Bench {
    /// Commits and reads until nothing is left to do, and never has much on its way.
    fn settle(&mut self, now: Instant) {
        loop {
            assert!(self.work(now).is_none());
            assert!(self.shard.records.len() <= 2 * READ_AHEAD + ROOM, "{} records", self.shard.records.len());
            let Some(batch) = self.shard.poll_commit() else { return };
            assert!(self.shard.pipeline.len() <= BATCH);
            let outcomes = batch.iter().map(|write| self.registers.apply(&write.key, &write.change)).collect();
            self.shard.handle_committed(outcomes, true, now);
        }
    }
}

#[test]
fn a_page_whose_record_is_not_in_memory_is_read_with_those_behind_it_and_fetched_in_its_turn() {
    let mut bench = roomy(ROOM + 2 * READ_AHEAD);
    assert_eq!(bench.shard.records.len(), ROOM);
    bench.robots(at(0), "");
    for expected in pages(ROOM) {
        let page = bench.fetch(at(0)).expect("a page that is in memory");
        assert_eq!(page, url(&expected));
        bench.end(&page, Attempt::Closed(fetched()), at(0));
    }
    let Some(Work::Read { job: JOB, urls }) = bench.shard.poll_work(at(0)) else { panic!("nothing is read") };
    assert_eq!(urls.len(), READ_AHEAD);
    assert!(bench.shard.poll_work(at(0)).is_none(), "what is being read is waited for");
    let records = bench.registers.read_urls(PARTITION, JOB, urls);
    bench.shard.handle_read(JOB, records);
    for expected in &pages(ROOM + 2 * READ_AHEAD)[ROOM..] {
        let page = bench.fetch(at(0)).expect("a page");
        assert_eq!(page, url(expected));
        bench.end(&page, Attempt::Closed(fetched()), at(0));
    }
    assert_eq!(bench.shard.counters(JOB).succeeded, (ROOM + 2 * READ_AHEAD) as u64);
    assert_eq!(bench.shard.records.len(), 0, "closed pages need no room");
}

#[test]
fn a_job_with_many_pages_ends_piece_by_piece() {
    let mut bench = roomy(MANY);
    bench.shard.handle_control(JOB, Control::Close(SkipReason::JobStopped));
    bench.settle(at(0));
    assert_eq!(bench.shard.counters(JOB).skipped, MANY as u64);
    let last = bench.stored(&pages(MANY)[MANY - 1]).expect("a record");
    assert!(matches!(last.state, UrlState::Closed { .. }), "{last:?}");
}

#[test]
fn a_job_with_many_pages_is_removed_piece_by_piece_and_then_whoever_waits_is_told() {
    let mut bench = roomy(MANY);
    bench.events();
    bench.shard.handle_purge(JOB, Waiter(7));
    let mut batches = 0;
    while let Some(batch) = bench.shard.poll_commit() {
        assert!(bench.shard.pipeline.len() <= BATCH && bench.events().is_empty(), "told after {batches} batches");
        let outcomes = batch.iter().map(|write| bench.registers.apply(&write.key, &write.change)).collect();
        bench.shard.handle_committed(outcomes, true, at(0));
        batches += 1;
    }
    assert_eq!(bench.events(), [Event::Acknowledged(Waiter(7))]);
    assert!(batches >= MANY / BATCH);
    assert!(bench.registers.map.values().all(|value| value.content.is_none()), "a record is left");
}

#[test]
fn late_admissions_are_ruled_out_piece_by_piece_before_any_page_is_admitted() {
    let mut bench = roomy(MANY).taken_over(at(9_000), Previous::Myself);
    bench.shard = bench.shard.with_room(ROOM);
    let mut limited = impatient();
    limited.limits.max_pages = Some(5);
    assert!(matches!(bench.work(at(9_000)), Some(Work::Job(JOB))));
    bench.shard.handle_job(JOB, Arc::new(limited), 5);
    bench.shard.handle_control(JOB, Control::Run);
    bench.robots(at(20_000), "");
    let fenced = |bench: &Bench| bench.registers.map.values().filter(|value| value.version == 2).count();
    while fenced(&bench) < MANY {
        assert!(bench.work(at(20_000)).is_none(), "a page is asked for after {} fences", fenced(&bench));
        bench.commit(at(20_000));
    }
    bench.work(at(20_000));
    bench.commit(at(20_000));
    assert!(bench.fetch(at(20_000)).is_some());
    assert_eq!(bench.shard.counters(JOB).admitted, 5);
}

#[test]
fn a_page_that_was_removed_meanwhile_is_passed_over() {
    let mut bench = roomy(ROOM + 2);
    bench.robots(at(0), "");
    let lost = UrlHash::of(&url(&pages(ROOM + 1)[ROOM]));
    bench.registers.map.remove(&Name::Url(JOB, lost).key(PARTITION));
    for _ in 0..ROOM {
        let page = bench.fetch(at(0)).expect("a page");
        bench.end(&page, Attempt::Closed(fetched()), at(0));
    }
    assert_eq!(bench.fetch(at(0)), Some(url(&pages(ROOM + 2)[ROOM + 1])));
    assert!(bench.work(at(0)).is_none());
}
