//! Pages that are visited again.

use super::super::records::READ_AHEAD;
use super::world::{Faults, World};
use super::*;
use crate::body::BodyHash;
use crate::frontier::history::{History, Sight, Validators};
use crate::frontier::record::StoredResponse;
use crate::job::recrawl::{Emit, Recrawl};

const PAGE: &str = "http://a.test/p";
const MINUTE: u64 = 60_000;
const RECRAWL: Recrawl = Recrawl {
    conditional: true,
    min: Duration::from_millis(MINUTE),
    max: Duration::from_millis(8 * MINUTE),
    incr_permille: 1_000,
    decr_permille: 500,
    emit: Emit::Changed,
};

fn recrawling(emit: Emit) -> ValidatedJob {
    ValidatedJob { recrawl: Some(Recrawl { emit, ..RECRAWL }), ..job() }
}

fn page_of(items: u32, history: History) -> Attempt {
    let PageResult::Fetched(page) = fetched() else { panic!("not a page") };
    Attempt::Closed(PageResult::Fetched(FetchedPage { items, history: Some(Box::new(history)), ..page }))
}

/// With the page itself, as it was read at `read_ms`.
fn kept(page: Attempt, read_ms: u64) -> Attempt {
    let Attempt::Closed(PageResult::Fetched(page)) = page else { panic!("not a page") };
    let (protocol, headers) = ("HTTP/1.1".to_owned(), Vec::new());
    let stored = StoredResponse { body: BodyHash([1; 32]), read_ms, protocol, address: None, headers };
    Attempt::Closed(PageResult::Fetched(FetchedPage { stored: Some(stored), ..page }))
}

fn first(now_ms: u64) -> History {
    let etag = Validators { etag: Some("\"a\"".to_owned()), last_modified: None };
    History::first(&RECRAWL, etag, [1; 20], now_ms)
}

/// A bench whose one page was fetched at `at(0)`.
fn visited(emit: Emit) -> (Bench, NormalizedUrl, History) {
    let mut bench = Bench::running(recrawling(emit), &[PAGE]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(2_000)).expect("the page");
    bench.end(&page, page_of(3, first(0)), at(2_000));
    (bench, page, first(0))
}

fn unchanged(history: &History, now_ms: u64) -> Attempt {
    Attempt::Unchanged(Box::new(history.after(&RECRAWL, Sight::Unchanged, now_ms)))
}

fn changed(history: &History, now_ms: u64) -> History {
    let sight = Sight::Page { validators: Validators::default(), content: [2; 20] };
    history.after(&RECRAWL, sight, now_ms)
}

fn history_of(work: Option<Work>) -> History {
    match work {
        Some(Work::Fetch { history: Some(history), .. }) => *history,
        other => panic!("{other:?} instead of another visit"),
    }
}

fn shown(bench: &Bench) -> Vec<u64> {
    bench.shard.results(JOB, 0, 10, |_| true).into_iter().map(|(sequence, ..)| sequence).collect()
}

/// What a new owner counts out of the records.
fn recount(bench: Bench, now: u64) -> Counters {
    bench.taken_over(at(now), Previous::Myself).shard.counters(JOB)
}

#[test]
fn a_page_is_visited_again_when_its_time_has_come_with_what_is_known_of_it() {
    let (mut bench, _, history) = visited(Emit::Changed);
    assert!(bench.work(at(3_000)).is_none());
    assert_eq!(bench.shard.poll_timeout(), Some(at(MINUTE)));
    assert_eq!(bench.shard.counters(JOB).next_visit_ms, Some(MINUTE));
    assert!(bench.work(at(MINUTE - 1)).is_none());
    let seen = history_of(bench.work(at(MINUTE)));
    assert_eq!((seen.validators, seen.next_ms), (history.validators, MINUTE));
    let counters = bench.shard.counters(JOB);
    assert_eq!((counters.done(), counters.discovered, counters.in_flight), (1, 1, 1), "what is done stays done");
}

#[test]
fn what_has_not_changed_keeps_its_result_and_is_shown_again_only_if_the_job_says_so() {
    for (emit, sequences) in [(Emit::Changed, vec![1]), (Emit::All, vec![2])] {
        let (mut bench, page, history) = visited(emit);
        bench.work(at(MINUTE));
        bench.end(&page, unchanged(&history, MINUTE), at(MINUTE));
        let counters = bench.shard.counters(JOB);
        assert_eq!((counters.items, counters.not_modified, counters.succeeded), (3, 1, 1));
        assert_eq!(shown(&bench), sequences, "{emit:?}");
        assert!(bench.work(at(2 * MINUTE)).is_none(), "nothing changed: the pause has doubled");
        assert_eq!(history_of(bench.work(at(3 * MINUTE))).not_modified, 1);
    }
}

#[test]
fn what_has_changed_takes_the_place_of_what_was_there() {
    let (mut bench, page, history) = visited(Emit::Changed);
    bench.work(at(MINUTE));
    bench.end(&page, page_of(5, changed(&history, MINUTE)), at(MINUTE));
    let counters = Counters { next_visit_ms: None, ..bench.shard.counters(JOB) };
    assert_eq!((counters.items, counters.not_modified, counters.succeeded), (5, 0, 1));
    assert_eq!(shown(&bench), [2]);
    let heir = bench.taken_over(at(MINUTE), Previous::Myself);
    assert_eq!(heir.shard.counters(JOB), counters);
    assert_eq!(shown(&heir), [2]);
}

#[test]
fn what_is_kept_of_a_page_stays_with_it_until_it_has_changed() {
    let mut bench = Bench::running(recrawling(Emit::All), &[PAGE]);
    bench.robots(at(0), "");
    let page = bench.fetch(at(2_000)).expect("the page");
    bench.end(&page, kept(page_of(3, first(0)), 2_000), at(2_000));
    let kept_since = |bench: &Bench| match bench.stored(PAGE).expect("a record").state {
        UrlState::Closed { result: PageResult::Fetched(page), .. } => page.stored.map(|stored| stored.read_ms),
        other => panic!("{other:?} instead of a page"),
    };
    let same = first(0).after(&RECRAWL, Sight::Page { validators: Validators::default(), content: [1; 20] }, MINUTE);
    bench.work(at(MINUTE));
    bench.end(&page, page_of(3, same.clone()), at(MINUTE));
    assert_eq!(kept_since(&bench), Some(2_000));
    bench.work(at(3 * MINUTE));
    bench.end(&page, page_of(3, changed(&same, 3 * MINUTE)), at(3 * MINUTE));
    assert_eq!(kept_since(&bench), None, "bytes of another page");
}

#[test]
fn a_visit_that_fails_is_retried_and_then_changes_nothing_but_when_the_next_one_is_due() {
    let (mut bench, page, _) = visited(Emit::Changed);
    for now in [MINUTE, MINUTE + 15_000, MINUTE + 30_000] {
        assert!(bench.fetch(at(now)).is_some());
        bench.end(&page, failed(), at(now));
    }
    let counters = bench.shard.counters(JOB);
    assert_eq!((counters.succeeded, counters.failed, counters.in_flight, counters.items), (1, 0, 0, 3));
    assert!(matches!(&bench.stored(PAGE).expect("a record").state, UrlState::Closed { sequence: 1, .. }));
    let next = MINUTE + 30_000 + 2 * MINUTE;
    assert_eq!(counters.next_visit_ms, Some(next));
    assert!(bench.work(at(next - 1)).is_none());
    assert!(bench.fetch(at(next)).is_some());
    assert_eq!(recount(bench, next), Counters { next_visit_ms: None, ..counters });
}

#[test]
fn a_page_that_is_gone_keeps_its_items_and_says_since_when() {
    let (mut bench, page, _) = visited(Emit::All);
    bench.work(at(MINUTE));
    let made = AttemptRecord { at_ms: MINUTE, took_ms: 1, end: AttemptEnd::Status(410) };
    let result = PageResult::Failed { reason: SkipReason::HttpError, detail: "status 410".to_owned() };
    bench.end_made(&page, Some(made), Attempt::Closed(result), at(MINUTE));
    let record = bench.stored(PAGE).expect("a record");
    let history = record.history().expect("a history");
    assert_eq!((history.gone_ms, history.visits, history.next_ms), (Some(MINUTE), 1, 3 * MINUTE));
    assert_eq!(record.attempts.last, [made], "the request is on record");
    let counters = bench.shard.counters(JOB);
    assert_eq!((counters.items, counters.failed, counters.not_modified), (3, 0, 0));
    assert_eq!(shown(&bench), [1], "readers are told nothing new");
}

#[test]
fn a_page_that_robots_txt_forbids_by_now_is_not_asked_for_and_keeps_its_result() {
    let (mut bench, ..) = visited(Emit::Changed);
    let day = 25 * 60 * MINUTE;
    assert!(matches!(bench.work(at(day)), Some(Work::Robots { .. })));
    bench.robots_file(RobotsFile::Text("User-agent: *\nDisallow: /p\n".to_owned()), at(day));
    bench.commit(at(day));
    assert!(bench.work(at(day + 2_000)).is_none());
    bench.commit(at(day + 2_000));
    let counters = bench.shard.counters(JOB);
    assert_eq!((counters.succeeded, counters.skipped, counters.items), (1, 0, 3));
    assert_eq!(counters.next_visit_ms, Some(day + 2_000 + 2 * MINUTE), "it is looked at again");
}

#[test]
fn a_job_that_is_stopped_leaves_its_pages_as_they_are() {
    let (mut bench, page, history) = visited(Emit::Changed);
    bench.work(at(MINUTE));
    bench.shard.handle_control(JOB, Control::Close(SkipReason::JobStopped));
    assert_eq!(bench.shard.counters(JOB).in_flight, 1, "the visit still lands");
    bench.end(&page, unchanged(&history, MINUTE), at(MINUTE));
    let counters = bench.shard.counters(JOB);
    assert_eq!((counters.succeeded, counters.skipped, counters.in_flight, counters.not_modified), (1, 0, 0, 1));
    assert_eq!(counters.next_visit_ms, None);
    assert!(bench.work(at(100 * MINUTE)).is_none() && bench.shard.poll_timeout().is_none());
}

#[test]
fn a_job_that_is_paused_visits_nothing_and_makes_up_for_it_later() {
    let (mut bench, ..) = visited(Emit::Changed);
    bench.shard.handle_control(JOB, Control::Hold);
    assert!(bench.work(at(9 * MINUTE)).is_none() && bench.shard.poll_timeout().is_none());
    assert_eq!(bench.shard.counters(JOB).next_visit_ms, None);
    bench.shard.handle_control(JOB, Control::Run);
    assert!(bench.fetch(at(9 * MINUTE)).is_some());
}

#[test]
fn a_page_that_waits_for_its_turn_when_the_job_ends_is_visited_if_the_job_goes_on_again() {
    let (mut bench, ..) = visited(Emit::Changed);
    bench.shard.handle_control(JOB, Control::Hold);
    bench.shard.handle_control(JOB, Control::Run);
    // The host is closed to requests meanwhile: the page is in its queue.
    let origin = url(PAGE).origin();
    let closed = crate::frontier::record::HostLimits { closed: true, ..Default::default() };
    bench.shard.handle_limits(&origin, closed, false, at(MINUTE), MINUTE);
    assert!(bench.work(at(MINUTE)).is_none());
    bench.shard.handle_control(JOB, Control::Close(SkipReason::JobStopped));
    bench.commit(at(MINUTE));
    let counters = bench.shard.counters(JOB);
    assert_eq!((counters.succeeded, counters.skipped, counters.done()), (1, 0, 1));
    bench.shard.handle_limits(&origin, Default::default(), false, at(MINUTE), MINUTE);
    bench.shard.handle_control(JOB, Control::Run);
    assert!(bench.fetch(at(2 * MINUTE)).is_some());
}

#[test]
fn a_job_whose_pages_are_used_up_skips_what_it_finds_and_goes_on_with_its_visits() {
    let (mut bench, page, history) = visited(Emit::Changed);
    bench.shard.handle_links(JOB, vec![link("http://a.test/open")], Waiter(1));
    bench.commit(at(2_000));
    bench.shard.handle_control(JOB, Control::Revisit(SkipReason::PageLimit));
    bench.shard.handle_links(JOB, vec![link("http://a.test/late")], Waiter(2));
    bench.commit(at(2_000));
    for skipped in ["http://a.test/open", "http://a.test/late"] {
        let UrlState::Closed { result, .. } = bench.stored(skipped).expect("a record").state else { panic!("open") };
        assert_eq!(result, PageResult::Skipped { reason: SkipReason::PageLimit, detail: None });
    }
    assert!(bench.work(at(3_000)).is_none());
    assert_eq!(bench.fetch(at(MINUTE)), Some(page.clone()));
    bench.end(&page, unchanged(&history, MINUTE), at(MINUTE));
    let counters = bench.shard.counters(JOB);
    assert!(counters.waits_for_a_visit());
    assert_eq!((counters.discovered, counters.skipped, counters.succeeded), (3, 2, 1));
}

#[test]
fn a_successor_visits_what_is_due_and_waits_for_what_is_not() {
    let (bench, ..) = visited(Emit::Changed);
    let mut heir = bench.taken_over(at(3_000), Previous::Myself);
    heir.shard.handle_job(JOB, Arc::new(recrawling(Emit::Changed)), 0);
    heir.shard.handle_control(JOB, Control::Run);
    assert!(heir.work(at(4_000)).is_none());
    assert!(heir.fetch(at(MINUTE)).is_some());
}

#[test]
fn what_a_deposed_owner_saw_at_the_last_moment_is_counted_and_shown_once() {
    for is_new in [true, false] {
        let (mut bench, page, history) = visited(Emit::Changed);
        bench.work(at(MINUTE));
        let visit = Visit { job: JOB, url: UrlHash::of(&page), origin: ORIGIN, made: None };
        let seen = if is_new { page_of(5, changed(&history, MINUTE)) } else { unchanged(&history, MINUTE) };
        bench.shard.handle_outcome(&visit, seen, Vec::new(), at(MINUTE));
        let late = bench.shard.poll_commit().expect("the visit");
        let mut heir = bench.taken_over(at(MINUTE), Previous::Myself);
        for write in late {
            heir.registers.apply(&write.key, &write.change);
        }
        heir.shard.handle_job(JOB, Arc::new(recrawling(Emit::Changed)), 0);
        heir.shard.handle_control(JOB, Control::Run);
        let due = MINUTE + 1_000;
        assert!(heir.work(at(due)).is_none(), "it was visited just now");
        heir.commit(at(due));
        assert!(heir.work(at(due)).is_none());
        assert_eq!(shown(&heir), if is_new { [2] } else { [1] });
        let counters = heir.shard.counters(JOB);
        assert_eq!((counters.items, counters.not_modified), if is_new { (5, 0) } else { (3, 1) });
        assert_eq!(counters.next_visit_ms, Some(if is_new { 2 } else { 3 } * MINUTE));
        assert_eq!(recount(heir, due), Counters { next_visit_ms: None, ..counters });
    }
}

#[test]
fn pages_that_are_due_take_up_a_place_in_their_hosts_queue_and_no_more() {
    let many = 20 * READ_AHEAD;
    let paths: Vec<String> = (0..many).map(|number| format!("http://a.test/p{number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut spec = recrawling(Emit::Changed);
    spec.politeness.delay = Duration::ZERO;
    let mut bench = Bench::running(spec, &paths);
    bench.robots(at(0), "");
    let mut now = 1_000;
    while let Some(page) = bench.fetch(at(now)) {
        bench.end(&page, page_of(1, first(now)), at(now));
        now += 1;
    }
    assert_eq!((bench.shard.counters(JOB).succeeded, bench.shard.records.len()), (many as u64, 0));
    let later = now + 2 * MINUTE;
    let mut seen = std::collections::BTreeSet::new();
    for visit in 0..many as u64 {
        let page = bench.fetch(at(later + visit)).expect("another visit");
        assert!(bench.shard.records.len() <= 2, "{} records in memory", bench.shard.records.len());
        let history = bench.stored(page.as_str()).and_then(|record| record.history().cloned()).expect("a history");
        bench.end(&page, unchanged(&history, later + visit), at(later + visit));
        assert!(seen.insert(page), "twice");
    }
    assert_eq!(bench.shard.counters(JOB).not_modified, many as u64);
}

#[test]
fn visits_go_on_politely_and_lose_nothing_whatever_fails() {
    let mut often = 0;
    for seed in 0..400 {
        let max_pages = (seed % 3 == 0).then_some(1 + seed % 7);
        let faults = Faults { lost_answers: true, takeovers: seed % 4, max_pages, concurrency: 1, recrawl: true };
        let world = World::run(seed, faults);
        world.check_end();
        world.check_visits();
        often += usize::from(world.most_requests() > 3);
    }
    assert!(often > 300, "in {often} of 400 worlds pages are visited again and again");
}
