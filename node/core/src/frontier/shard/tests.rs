//! Tests of a shard: by hand, one rule at a time, and in a small seeded world of failing registers, a web and
//! successive owners.

mod acknowledgement;
mod budget;
mod cookies;
mod crawl;
mod dice;
mod hosts;
mod jobs;
mod operator;
mod pace;
mod records;
mod registers;
mod revised;
mod revisits;
mod robots;
mod shares;
mod world;

use super::*;
use crate::frontier::keys::Name;
use crate::frontier::record::RobotsFile;
use crate::frontier::record::{
    AttemptEnd, AttemptRecord, FetchedPage, Items, UrlRecord, UrlState, Way, decode, encode,
};
use crate::job::{
    BreakerRules, Credentials, Dedup, Limits, OverMax, Patterns, Politeness, Proxies, RequestOptions, Retry, Scope,
    ScopeType, Timeouts, UrlRules,
};
use crate::register::{Change, Outcome};
use registers::Registers;
use std::time::Duration;

const PARTITION: Partition = Partition(3);
const JOB: JobId = JobId([1; 16]);
const OTHER_JOB: JobId = JobId([2; 16]);
const ORIGIN: &str = "http://a.test:80";

fn at(ms: u64) -> Instant {
    Instant(Duration::from_millis(ms))
}

fn url(text: &str) -> NormalizedUrl {
    NormalizedUrl::parse(text).expect("a URL of the test")
}

fn link(text: &str) -> Link {
    Link { url: url(text), depth: 0, way: Way::default() }
}

/// One request at a time, a second apart, two retries.
fn job() -> ValidatedJob {
    ValidatedJob {
        name: "test".to_owned(),
        weight: 51,
        parallelism: None,
        seeds: Vec::new(),
        scope: Scope::new(ScopeType::Host, &[], 9, Patterns::default(), Patterns::default()),
        labels: Vec::new(),
        follow: Vec::new(),
        extract: Vec::new(),
        politeness: Politeness {
            obey_robots: true,
            user_agent_token: "test".to_owned(),
            delay: Duration::from_secs(1),
            concurrent_requests_per_host: 1,
            delay_per_ip: Duration::ZERO,
            concurrent_requests_per_ip: 1,
            robots_lifetime: Duration::from_secs(86_400),
            max_crawl_delay: Duration::from_secs(30),
            over_max_crawl_delay: OverMax::Skip,
            auto_throttle: None,
            breaker: BreakerRules {
                consecutive_failures: 5,
                open_for: Duration::from_secs(60),
                half_open_probes: 1,
                max_opens: 2,
            },
            per_host: Vec::new(),
        },
        request: RequestOptions {
            user_agent: "test".to_owned(),
            headers: Vec::new(),
            credentials: Credentials::default(),
            takes_cookies: true,
            proxies: Proxies::default(),
            timeouts: Timeouts {
                connect: Duration::from_secs(10),
                first_byte: Duration::from_secs(20),
                total: Duration::from_secs(30),
            },
            max_redirects: 5,
            redirects_leave_scope: false,
        },
        limits: Limits {
            max_pages: None,
            max_pages_per_host: None,
            max_items: None,
            max_bytes: None,
            max_body_bytes: 1 << 20,
            max_duration: None,
            max_failed: None,
        },
        url_rules: UrlRules::default(),
        retry: Retry {
            max_retries: 2,
            status_codes: [503].into(),
            backoff: Duration::from_secs(10),
            factor_milli: 2_000,
            max_backoff: Duration::from_secs(15),
            jitter_milli: 0,
        },
        dedup: Dedup::default(),
        recrawl: None,
    }
}

fn fetched() -> PageResult {
    PageResult::Fetched(FetchedPage {
        status: 200,
        fetched_ms: 0,
        attempts: 1,
        bytes: 100,
        items: 2,
        item_errors: 1,
        content: Items::Inline("{}\n{}".to_owned()),
        stored: None,
        history: None,
    })
}

fn failed() -> Attempt {
    Attempt::Failed { reason: SkipReason::HttpError, detail: "503".to_owned() }
}

/// A shard with its registers, which never fail unless told.
struct Bench {
    shard: Shard,
    registers: Registers,
}

impl Bench {
    fn new() -> Self {
        Self { shard: Shard::open(PARTITION, Token(1), at(0), Previous::Nobody), registers: Registers::default() }
    }

    /// A shard that runs `job` for [`JOB`] with these URLs known.
    fn running(job: ValidatedJob, urls: &[&str]) -> Self {
        let mut bench = Self::new();
        bench.start(JOB, job, urls);
        bench
    }

    fn start(&mut self, id: JobId, job: ValidatedJob, urls: &[&str]) {
        self.shard.handle_links(id, urls.iter().map(|text| link(text)).collect(), Waiter(0));
        self.commit(at(0));
        self.shard.handle_job(id, Arc::new(job), 0);
        self.shard.handle_control(id, Control::Run);
    }

    /// Another owner takes over all records.
    fn taken_over(self, now: Instant, previous: Previous) -> Self {
        let wall_ms = now.0.as_millis() as u64;
        let shard = Shard::open(PARTITION, Token(self.shard.token().0 + 1), now, previous);
        let mut shard = shard.with_policy(Policy::default(), now, wall_ms);
        for (key, value) in &self.registers.map {
            shard.load(key, value, now, wall_ms).expect("a record");
        }
        Self { shard, registers: self.registers }
    }

    /// Commits everything that is on its way.
    fn commit(&mut self, now: Instant) {
        while let Some(batch) = self.shard.poll_commit() {
            let outcomes = batch.iter().map(|write| self.registers.apply(&write.key, &write.change)).collect();
            self.shard.handle_committed(outcomes, true, now);
        }
    }

    /// What is to be done at `now`, confirmations and budgets aside.
    fn work(&mut self, now: Instant) -> Option<Work> {
        loop {
            match self.shard.poll_work(now) {
                Some(Work::Confirm) => self.shard.handle_confirmed(Some(true), now),
                Some(Work::Read { job, urls }) => {
                    self.shard.handle_read(job, self.registers.read_urls(PARTITION, job, urls));
                }
                work => return work,
            }
        }
    }

    /// The path to be fetched at `now`.
    fn fetch(&mut self, now: Instant) -> Option<NormalizedUrl> {
        match self.work(now)? {
            Work::Fetch { url, .. } => Some(url),
            other => panic!("{other:?} instead of a page"),
        }
    }

    /// Answers the request for robots.txt.
    fn robots(&mut self, now: Instant, text: &str) {
        assert!(matches!(self.work(now), Some(Work::Robots { .. })));
        self.robots_file(RobotsFile::Text(text.to_owned()), now);
        self.commit(now);
    }

    /// Robots.txt was answered; its record is not stored yet.
    fn robots_file(&mut self, file: RobotsFile, now: Instant) {
        self.shard.handle_fetched(JOB, ORIGIN, &Exchange::untold(false), now);
        self.shard.handle_robots(JOB, ORIGIN, Ok(file), now, now.0.as_millis() as u64);
    }

    fn end(&mut self, url: &NormalizedUrl, attempt: Attempt, now: Instant) {
        self.end_made(url, None, attempt, now);
    }

    /// A page ended after a request that is to be remembered.
    fn end_made(&mut self, url: &NormalizedUrl, made: Option<AttemptRecord>, attempt: Attempt, now: Instant) {
        let visit = Visit { job: JOB, url: UrlHash::of(url), origin: ORIGIN, made };
        self.shard.handle_fetched(visit.job, ORIGIN, &Exchange::untold(made.is_some()), now);
        self.shard.handle_outcome(&visit, attempt, Vec::new(), now);
        self.commit(now);
    }

    /// A page ended, and its host showed itself to be like this.
    fn end_with(&mut self, url: &NormalizedUrl, health: Health, attempt: Attempt, now: Instant) {
        let visit = Visit { job: JOB, url: UrlHash::of(url), origin: ORIGIN, made: None };
        let exchange = Exchange { health, ..Exchange::untold(false) };
        self.shard.handle_fetched(visit.job, ORIGIN, &exchange, now);
        self.shard.handle_outcome(&visit, attempt, Vec::new(), now);
        self.commit(now);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.shard.poll_event()).collect()
    }

    /// The results committed in registers.
    fn stored(&self, text: &str) -> Option<UrlRecord> {
        let key = Name::Url(JOB, UrlHash::of(&url(text))).key(PARTITION);
        let content = self.registers.map.get(&key)?.content.clone()?;
        Some(decode(&content).expect("a record"))
    }
}
