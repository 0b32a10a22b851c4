//! The judge of politeness: reads what a server saw and names every breach.
//!
//! Nothing that the visitor says about itself is used, only the server's own access log. Rules hold for each host by
//! itself; [`web`] adds what holds for the addresses that hosts share.

pub mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::access_log::{Record, STATUS_CLIENT_GONE};

/// What the visitors had to keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Most requests to one host that may be open at the same moment.
    pub max_in_flight: u32,
    /// Least time between the starts of two requests to one host.
    pub min_gap: Duration,
    /// How much shorter a gap may look, because the server's threads do not wake up at once.
    pub tolerance: Duration,
    /// What robots.txt forbids: beginnings of paths, and endings where a `*` stands in front.
    pub disallowed: Vec<String>,
    /// How often robots.txt itself may be fetched, where that is limited.
    pub max_robots: Option<usize>,
    /// How many pages may be fetched again although they had been answered (0 unless a visitor was killed).
    pub max_repeats: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_in_flight: 1,
            min_gap: Duration::ZERO,
            tolerance: Duration::from_millis(1),
            disallowed: vec!["/cart".to_owned(), "/admin".to_owned()],
            max_robots: None,
            max_repeats: 0,
        }
    }
}

/// One thing that a visitor should not have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// A page was asked for before robots.txt had been answered.
    BeforeRobots {
        /// The page.
        path: String,
        /// When, in nanoseconds of the log's clock.
        start_ns: u64,
    },
    /// robots.txt forbids this path.
    Disallowed {
        /// The path.
        path: String,
    },
    /// More requests were open than allowed.
    InFlight {
        /// The request that was one too many.
        path: String,
        /// How many were open with it.
        seen: u32,
        /// How many were allowed.
        allowed: u32,
    },
    /// A request came too soon after the one before.
    Gap {
        /// The request that came too soon.
        path: String,
        /// The one before.
        previous: String,
        /// Time between the two starts, in nanoseconds.
        seen_ns: u64,
        /// Time that was owed, in nanoseconds.
        owed_ns: u64,
    },
    /// The host had asked to be left alone, and the time was not over.
    Window {
        /// The request that came too soon.
        path: String,
        /// The one whose answer asked for the pause.
        after: String,
        /// What was left of the pause, in nanoseconds.
        left_ns: u64,
    },
    /// robots.txt was fetched again although it was known.
    RobotsAgain {
        /// How often it was fetched.
        times: usize,
        /// How often it may be.
        allowed: usize,
    },
    /// A page was fetched again, and the answer before was no reason to try again.
    Repeat {
        /// The page.
        path: String,
        /// The status of the answer before.
        previous_status: u16,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeRobots { path, start_ns } => {
                write!(f, "{path} was asked for at {} before robots.txt had been answered", millis(*start_ns))
            }
            Self::Disallowed { path } => {
                write!(f, "{path} is disallowed by robots.txt and was fetched")
            }
            Self::InFlight { path, seen, allowed } => {
                write!(f, "{path} was the {seen}. open request, {allowed} are allowed")
            }
            Self::Gap { path, previous, seen_ns, owed_ns } => {
                write!(f, "{path} came {} after {previous}, {} were owed", millis(*seen_ns), millis(*owed_ns))
            }
            Self::Window { path, after, left_ns } => {
                write!(
                    f,
                    "{path} was asked for {} before the pause was over that {after} had asked for",
                    millis(*left_ns)
                )
            }
            Self::RobotsAgain { times, allowed } => {
                write!(f, "robots.txt was fetched {times} times, {allowed} are allowed")
            }
            Self::Repeat { path, previous_status } => {
                write!(f, "{path} was fetched again after it had been answered with {previous_status}")
            }
        }
    }
}

/// What the log of one host shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Every breach, in the order of the requests.
    pub breaches: Vec<Breach>,
    /// Requests in the log.
    pub requests: usize,
    /// Different paths among them.
    pub paths: usize,
    /// Fetches that followed an answer which asked for another try.
    pub retries: usize,
    /// Pages fetched again after they had been answered, forgiven ones included.
    pub repeats: usize,
    /// Most requests that were open at once.
    pub most_in_flight: u32,
    /// Shortest time between two starts, when there were two.
    pub shortest_gap: Option<Duration>,
}

/// Judges a log, host by host.
pub fn judge(records: &[Record], rules: &Rules) -> BTreeMap<String, Verdict> {
    let mut hosts: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for record in records {
        hosts.entry(record.host.clone()).or_default().push(record);
    }
    hosts.into_iter().map(|(host, records)| (host, judge_host(records, rules))).collect()
}

fn judge_host(mut records: Vec<&Record>, rules: &Rules) -> Verdict {
    records.sort_by_key(|record| record.start_ns);
    let mut verdict = Verdict { requests: records.len(), ..Verdict::default() };
    let robots_known_ns = robots_known_ns(&records);
    let mut open = Vec::new();
    let mut window = None;
    // Jobs that visit the same host have agents of their own, and each may fetch a page once.
    let mut last: BTreeMap<(&str, &str), &Record> = BTreeMap::new();
    let mut repeats = Vec::new();
    for (index, &record) in records.iter().enumerate() {
        if record.path != "/robots.txt" && robots_known_ns.is_none_or(|known| record.start_ns < known) {
            verdict.breaches.push(Breach::BeforeRobots { path: record.path.clone(), start_ns: record.start_ns });
        }
        if is_disallowed(&record.path, rules) {
            verdict.breaches.push(Breach::Disallowed { path: record.path.clone() });
        }
        judge_in_flight(record, &mut open, rules, &mut verdict);
        judge_window(record, &mut window, rules, &mut verdict);
        if let Some(previous) = index.checked_sub(1).map(|before| records[before]) {
            judge_gap(previous, record, rules, &mut verdict);
        }
        let before = last.insert((&record.agent, &record.path), record).filter(|_| record.path != "/robots.txt");
        match before {
            None => {}
            Some(before) if asks_for_retry(before.status) => verdict.retries += 1,
            Some(before) => {
                repeats.push(Breach::Repeat { path: record.path.clone(), previous_status: before.status });
            }
        }
    }
    let times = records.iter().filter(|record| record.path == "/robots.txt").count();
    if let Some(allowed) = rules.max_robots.filter(|allowed| times > *allowed) {
        verdict.breaches.push(Breach::RobotsAgain { times, allowed });
    }
    verdict.paths = last.keys().map(|(_, path)| path).collect::<BTreeSet<_>>().len();
    verdict.repeats = repeats.len();
    if repeats.len() > rules.max_repeats {
        verdict.breaches.append(&mut repeats);
    }
    verdict
}

fn is_disallowed(path: &str, rules: &Rules) -> bool {
    let forbids = |rule: &String| match rule.strip_prefix('*') {
        Some(ending) => path.ends_with(ending),
        None => path.starts_with(rule.as_str()),
    };
    path != "/robots.txt" && rules.disallowed.iter().any(forbids)
}

/// Holds a request against the latest pause that an answer before it asked for.
fn judge_window<'a>(record: &'a Record, window: &mut Option<Window<'a>>, rules: &Rules, verdict: &mut Verdict) {
    // What was under way when the answer came could not know of it.
    if let Some(pause) = window.as_ref().filter(|pause| pause.from_ns <= record.start_ns) {
        let left_ns = pause.until_ns.saturating_sub(record.start_ns);
        if left_ns > nanos(rules.tolerance) {
            verdict.breaches.push(Breach::Window { path: record.path.clone(), after: pause.after.to_owned(), left_ns });
        }
    }
    let Some(pause_ms) = record.pause_ms else { return };
    let until_ns = record.end_ns.saturating_add(pause_ms.saturating_mul(1_000_000));
    if window.as_ref().is_none_or(|pause| pause.until_ns < until_ns) {
        *window = Some(Window { from_ns: record.end_ns, until_ns, after: &record.path });
    }
}

/// A pause that a host asked for.
struct Window<'a> {
    from_ns: u64,
    until_ns: u64,
    after: &'a str,
}

/// When the first robots.txt had been answered.
fn robots_known_ns(sorted: &[&Record]) -> Option<u64> {
    sorted.iter().find(|record| record.path == "/robots.txt").map(|record| record.end_ns)
}

fn judge_in_flight(record: &Record, open: &mut Vec<u64>, rules: &Rules, verdict: &mut Verdict) {
    open.retain(|&end_ns| end_ns > record.start_ns);
    open.push(record.end_ns);
    // The server's own count also knows requests that never came to an end; the overlaps also know those of another log.
    let seen = record.in_flight.max(u32::try_from(open.len()).unwrap_or(u32::MAX));
    verdict.most_in_flight = verdict.most_in_flight.max(seen);
    if seen > rules.max_in_flight {
        verdict.breaches.push(Breach::InFlight { path: record.path.clone(), seen, allowed: rules.max_in_flight });
    }
}

fn judge_gap(previous: &Record, record: &Record, rules: &Rules, verdict: &mut Verdict) {
    let gap = Duration::from_nanos(record.start_ns - previous.start_ns);
    verdict.shortest_gap = Some(verdict.shortest_gap.map_or(gap, |shortest| shortest.min(gap)));
    if gap + rules.tolerance < rules.min_gap {
        verdict.breaches.push(Breach::Gap {
            path: record.path.clone(),
            previous: previous.path.clone(),
            seen_ns: nanos(gap),
            owed_ns: nanos(rules.min_gap),
        });
    }
}

/// Whether an answer is a reason to ask again: the server said "later", or nobody heard it.
fn asks_for_retry(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | STATUS_CLIENT_GONE | 500..=599)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns % 1_000_000 / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn visit(path: &str, start_ms: u64, end_ms: u64, status: u16) -> Record {
        Record {
            start_ns: start_ms * MS,
            start_unix_ms: start_ms,
            end_ns: end_ms * MS,
            method: "GET".to_owned(),
            host: "shop".to_owned(),
            path: path.to_owned(),
            status,
            agent: "bot".to_owned(),
            in_flight: 1,
            address: String::new(),
            pause_ms: None,
        }
    }

    fn polite_visits() -> Vec<Record> {
        vec![
            visit("/robots.txt", 0, 2, 200),
            visit("/", 100, 105, 200),
            visit("/product/1", 200, 205, 503),
            visit("/product/2", 300, 305, 200),
            visit("/product/1", 400, 405, 200),
        ]
    }

    fn rules() -> Rules {
        Rules { min_gap: Duration::from_millis(100), ..Rules::default() }
    }

    fn verdict(records: &[Record], rules: &Rules) -> Verdict {
        judge(records, rules).remove("shop").unwrap()
    }

    #[test]
    fn polite_visits_have_no_breach() {
        let verdict = verdict(&polite_visits(), &rules());
        assert_eq!(verdict.breaches, []);
        assert_eq!((verdict.requests, verdict.paths, verdict.retries, verdict.repeats), (5, 4, 1, 0));
        assert_eq!((verdict.most_in_flight, verdict.shortest_gap), (1, Some(Duration::from_millis(100))));
    }

    #[test]
    fn a_page_before_robots_is_a_breach() {
        let mut visits = polite_visits();
        visits.swap(0, 1);
        visits[0].start_ns = 0;
        visits[0].end_ns = MS;
        visits[1].start_ns = 100 * MS;
        visits[1].end_ns = 101 * MS;
        let breaches = verdict(&visits, &rules()).breaches;
        assert_eq!(breaches[0], Breach::BeforeRobots { path: "/".to_owned(), start_ns: 0 });
    }

    #[test]
    fn a_page_while_robots_is_still_being_answered_is_a_breach() {
        let visits = [visit("/robots.txt", 0, 150, 200), visit("/", 100, 160, 200)];
        let generous = Rules { max_in_flight: 2, ..rules() };
        let breaches = verdict(&visits, &generous).breaches;
        assert_eq!(breaches, [Breach::BeforeRobots { path: "/".to_owned(), start_ns: 100 * MS }]);
    }

    #[test]
    fn a_disallowed_path_is_a_breach() {
        let mut visits = polite_visits();
        visits.push(visit("/cart?add=7", 500, 505, 200));
        let breaches = verdict(&visits, &rules()).breaches;
        assert_eq!(breaches, [Breach::Disallowed { path: "/cart?add=7".to_owned() }]);
    }

    #[test]
    fn two_open_requests_are_a_breach_where_one_is_allowed() {
        let mut visits = polite_visits();
        visits[3].end_ns = 401 * MS;
        let breach = Breach::InFlight { path: "/product/1".to_owned(), seen: 2, allowed: 1 };
        assert_eq!(verdict(&visits, &rules()).breaches, [breach]);
        assert_eq!(verdict(&visits, &Rules { max_in_flight: 2, ..rules() }).breaches, []);
    }

    #[test]
    fn the_servers_own_count_of_open_requests_is_believed() {
        let mut visits = polite_visits();
        visits[4].in_flight = 3;
        let breach = Breach::InFlight { path: "/product/1".to_owned(), seen: 3, allowed: 1 };
        assert_eq!(verdict(&visits, &rules()).breaches, [breach]);
    }

    #[test]
    fn a_gap_shorter_than_the_tolerance_forgives_is_a_breach() {
        let mut visits = polite_visits();
        visits[4].start_ns = 399 * MS;
        assert_eq!(verdict(&visits, &rules()).breaches, []);
        visits[4].start_ns -= 1;
        let breach = Breach::Gap {
            path: "/product/1".to_owned(),
            previous: "/product/2".to_owned(),
            seen_ns: 99 * MS - 1,
            owed_ns: 100 * MS,
        };
        assert_eq!(verdict(&visits, &rules()).breaches, [breach]);
    }

    #[test]
    fn a_page_fetched_twice_without_a_reason_is_a_breach() {
        for status in [200, 301, 404] {
            let mut visits = polite_visits();
            visits[2].status = status;
            let breach = Breach::Repeat { path: "/product/1".to_owned(), previous_status: status };
            assert_eq!(verdict(&visits, &rules()).breaches, [breach]);
        }
    }

    #[test]
    fn two_jobs_with_agents_of_their_own_may_fetch_the_same_page() {
        let mut visits = polite_visits();
        visits.push(Record { agent: "other".to_owned(), ..visit("/product/2", 500, 505, 200) });
        assert_eq!(verdict(&visits, &rules()).breaches, []);
    }

    #[test]
    fn repeats_are_forgiven_up_to_the_number_that_a_killed_visitor_may_cause() {
        let mut visits = polite_visits();
        visits[2].status = 200;
        let forgiving = Rules { max_repeats: 1, ..rules() };
        let verdict = verdict(&visits, &forgiving);
        assert_eq!((verdict.breaches.len(), verdict.repeats), (0, 1));
    }

    #[test]
    fn robots_may_be_fetched_again_unless_that_is_limited() {
        let mut visits = polite_visits();
        visits.push(visit("/robots.txt", 500, 505, 200));
        assert_eq!(verdict(&visits, &rules()).breaches, []);
        let breach = Breach::RobotsAgain { times: 2, allowed: 1 };
        assert_eq!(verdict(&visits, &Rules { max_robots: Some(1), ..rules() }).breaches, [breach]);
    }

    #[test]
    fn a_request_inside_the_pause_that_a_host_asked_for_is_a_breach() {
        let mut visits = polite_visits();
        visits[2].pause_ms = Some(150);
        let breach = Breach::Window { path: "/product/2".to_owned(), after: "/product/1".to_owned(), left_ns: 55 * MS };
        assert_eq!(verdict(&visits, &rules()).breaches, [breach]);
        visits[2].pause_ms = Some(95);
        assert_eq!(verdict(&visits, &rules()).breaches, []);
    }

    #[test]
    fn an_ending_that_robots_txt_forbids_is_told_from_a_beginning() {
        let mut visits = polite_visits();
        visits.push(visit("/a.tmp", 500, 505, 200));
        visits.push(visit("/.tmp/a", 600, 605, 200));
        let wild = Rules { disallowed: vec!["*.tmp".to_owned()], ..rules() };
        assert_eq!(verdict(&visits, &wild).breaches, [Breach::Disallowed { path: "/a.tmp".to_owned() }]);
    }

    #[test]
    fn each_host_is_judged_by_itself() {
        let mut visits = polite_visits();
        let mut other = polite_visits();
        other.iter_mut().for_each(|visit| visit.host = "other".to_owned());
        visits.append(&mut other);
        let verdicts = judge(&visits, &rules());
        assert_eq!(verdicts.len(), 2);
        assert!(verdicts.values().all(|verdict| verdict.breaches.is_empty()));
    }
}
