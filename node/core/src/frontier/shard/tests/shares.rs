//! Jobs that wait for the same host are served by their weights; those for which a node has no place wait.

use super::*;

fn weighted(weight: u32) -> ValidatedJob {
    ValidatedJob { weight, ..job() }
}

/// Serves `turns` pages and counts whose they were.
fn served(bench: &mut Bench, turns: u64) -> BTreeMap<JobId, u32> {
    let mut served = BTreeMap::new();
    for turn in 1..=turns {
        let now = at(turn * 1_000);
        let Some(Work::Fetch { job: id, hash, .. }) = bench.work(now) else { panic!("nothing at turn {turn}") };
        *served.entry(id).or_default() += 1;
        bench.shard.handle_fetched(id, ORIGIN, &Exchange::untold(false), now);
        let visit = Visit { job: id, url: hash, origin: ORIGIN, made: None };
        bench.shard.handle_outcome(&visit, Attempt::Closed(fetched()), Vec::new(), now);
        bench.commit(now);
    }
    served
}

fn two_jobs(first: u32, second: u32) -> Bench {
    let urls: Vec<String> = (0..200).map(|number| format!("http://a.test/{number}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut bench = Bench::running(weighted(first), &urls);
    bench.start(OTHER_JOB, weighted(second), &urls);
    bench.robots(at(0), "");
    bench
}

#[test]
fn a_host_is_shared_by_weight_and_the_lightest_job_is_served_too() {
    let counts = served(&mut two_jobs(30, 10), 120);
    assert!(counts[&JOB].abs_diff(90) <= 1 && counts[&OTHER_JOB].abs_diff(30) <= 1, "{counts:?}");
    let counts = served(&mut two_jobs(101, 1), 204);
    assert!(counts[&OTHER_JOB] >= 2, "{counts:?}");
}

#[test]
fn a_weight_that_is_changed_counts_from_the_next_turn_on() {
    let mut bench = two_jobs(1, 1);
    bench.shard.handle_revised(JOB, Arc::new(weighted(9)));
    let counts = served(&mut bench, 100);
    assert!(counts[&JOB].abs_diff(90) <= 2, "{counts:?}");
}

#[test]
fn a_job_without_a_place_waits_and_the_others_go_on() {
    let mut bench = two_jobs(1, 1);
    bench.shard.handle_barred([JOB].into());
    let counts = served(&mut bench, 5);
    assert_eq!(counts.get(&OTHER_JOB), Some(&5), "{counts:?}");
    bench.shard.handle_barred([JOB, OTHER_JOB].into());
    assert!(bench.work(at(10_000)).is_none());
    assert_eq!(bench.shard.turned_away().collect::<Vec<_>>(), [JOB, OTHER_JOB]);
    bench.shard.handle_barred(BTreeSet::new());
    assert!(bench.work(at(10_000)).is_some());
    assert_eq!(bench.shard.turned_away().count(), 0);
}
