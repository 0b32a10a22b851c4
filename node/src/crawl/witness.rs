//! A second look at every request as it leaves this node: does it keep what its job and the ring's operator promise its host?
//!
//! The shard decides when a host is asked; the witness knows nothing of its reasons and counts, so that a breach does not stay
//! unseen. What it counts (`scrapering_politeness_violations_total`) is zero for ever.

use crate::metrics::{Breach, Metrics};
use scrapering_core::frontier::shard::Policy;
use scrapering_core::job::ValidatedJob;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// With so many hosts, and then each time that there are twice as many, those that were left alone for [`QUIET`] are forgotten.
const MANY_HOSTS: usize = 4_096;
/// After this a host is owed nothing that is not in its records: no delay is longer in practice.
const QUIET: Duration = Duration::from_secs(600);

/// The least that a host may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    /// From the header of one answer to the next request.
    delay: Duration,
    /// Requests between their beginning and the end of their answer.
    concurrent: u32,
}

impl Promise {
    /// What `job` and the ring's operator promise to `host`.
    pub(super) fn new(job: &ValidatedJob, policy: &Policy, host: &str) -> Self {
        let most = policy.max_per_host.unwrap_or(u32::MAX);
        Self {
            delay: job.politeness.delay_at(host).max(policy.min_delay),
            concurrent: job.politeness.concurrency_at(host).min(most),
        }
    }
}

/// What this node has asked of hosts lately. A cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    hosts: Arc<Mutex<Hosts>>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Hosts {
    asked: HashMap<Arc<str>, Asked>,
    /// With so many, the quiet ones are forgotten: looking at all for each request would be the crawl's own cost.
    full_at: usize,
}

impl Default for Hosts {
    fn default() -> Self {
        Self { asked: HashMap::new(), full_at: MANY_HOSTS }
    }
}

impl Hosts {
    fn make_room(&mut self, now: Instant) {
        if self.asked.len() < self.full_at {
            return;
        }
        let is_lately = |at: Instant| now.saturating_duration_since(at) < QUIET;
        self.asked.retain(|_, asked| asked.open > 0 || asked.answered_at.is_some_and(is_lately));
        self.full_at = MANY_HOSTS.max(self.asked.len() * 2);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    open: u32,
    unanswered: u32,
    answered_at: Option<Instant>,
}

impl Asked {
    fn breach(&self, promise: Promise, now: Instant) -> Option<Breach> {
        let since = self.answered_at.map(|at| now.saturating_duration_since(at));
        let is_early = self.unanswered > 0 || since.is_some_and(|since| since < promise.delay);
        if self.open >= promise.concurrent {
            Some(Breach::Concurrency)
        } else if is_early && !promise.delay.is_zero() {
            Some(Breach::Delay)
        } else {
            None
        }
    }
}

impl Witness {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { hosts: Arc::default(), metrics }
    }

    /// A request leaves for `origin` now; it ends when what is returned is dropped.
    pub(super) fn leaves(&self, origin: &Arc<str>, promise: Promise) -> Leaving {
        self.leaves_at(origin, promise, Instant::now())
    }

    fn leaves_at(&self, origin: &Arc<str>, promise: Promise, now: Instant) -> Leaving {
        let mut hosts = self.hosts();
        hosts.make_room(now);
        let asked = hosts.asked.entry(Arc::clone(origin)).or_default();
        let breach = asked.breach(promise, now);
        asked.open += 1;
        asked.unanswered += 1;
        drop(hosts);
        if let Some(breach) = breach {
            tracing::error!(%origin, rule = breach.word(), "a request broke what its job promises; this is a fault of ScrapeRing");
            self.metrics.breached(breach);
        }
        Leaving { witness: self.clone(), origin: Arc::clone(origin), answered: false }
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Leaving {
    witness: Witness,
    origin: Arc<str>,
    answered: bool,
}

impl Leaving {
    /// The host began to answer.
    pub(super) fn answered(&mut self) {
        self.answered_at(Instant::now());
    }

    fn answered_at(&mut self, now: Instant) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        if let Some(asked) = self.witness.hosts().asked.get_mut(&self.origin) {
            asked.unanswered = asked.unanswered.saturating_sub(1);
            asked.answered_at = asked.answered_at.max(Some(now));
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.answered();
        if let Some(asked) = self.witness.hosts().asked.get_mut(&self.origin) {
            asked.open = asked.open.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(delay_ms: u64, concurrent: u32) -> Promise {
        Promise { delay: Duration::from_millis(delay_ms), concurrent }
    }

    /// What was counted: too soon, too many.
    fn counted(metrics: &Metrics) -> [u64; 2] {
        let text = metrics.text();
        Breach::WORDS.map(|word| {
            let line = format!("scrapering_politeness_violations_total{{rule=\"{word}\"}} ");
            let number = text.lines().find_map(|text| text.strip_prefix(&line)).expect("the metric");
            number.parse().expect("a number")
        })
    }

    #[test]
    fn a_request_that_leaves_too_soon_is_counted_and_one_in_time_is_not() {
        let metrics = Metrics::default();
        let (witness, origin, begin) = (Witness::new(metrics.clone()), Arc::from("http://a.test:80"), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        let mut first = witness.leaves_at(&origin, promise(1_000, 2), at(0));
        first.answered_at(at(200));
        drop(witness.leaves_at(&Arc::from("http://b.test:80"), promise(1_000, 2), at(200)));
        drop(witness.leaves_at(&origin, promise(0, 2), at(300)));
        assert_eq!(counted(&metrics), [0, 0], "another host, and a job that promises no delay");
        let mut second = witness.leaves_at(&origin, promise(1_000, 2), at(1_199));
        assert_eq!(counted(&metrics), [1, 0]);
        second.answered_at(at(1_300));
        drop(second);
        drop(witness.leaves_at(&origin, promise(1_000, 2), at(60_000)));
        assert_eq!(counted(&metrics), [1, 0], "the body of the first is still being read, and the gap is over");
    }

    #[test]
    fn nothing_is_asked_of_a_host_that_owes_an_answer_and_never_more_at_a_time_than_promised() {
        let metrics = Metrics::default();
        let (witness, origin, now) = (Witness::new(metrics.clone()), Arc::from("http://a.test:80"), Instant::now());
        let unanswered = witness.leaves_at(&origin, promise(0, 2), now);
        let second = witness.leaves_at(&origin, promise(0, 2), now);
        assert_eq!(counted(&metrics), [0, 0]);
        let third = witness.leaves_at(&origin, promise(0, 2), now);
        assert_eq!(counted(&metrics), [0, 1]);
        drop((third, second));
        drop(witness.leaves_at(&origin, promise(1, 2), now + QUIET));
        assert_eq!(counted(&metrics), [1, 1]);
        drop(unanswered);
        drop(witness.leaves_at(&origin, promise(1, 1), now + QUIET * 2));
        assert_eq!(counted(&metrics), [1, 1]);
    }
    #[test]
    fn quiet_hosts_are_forgotten_now_and_then_and_busy_ones_are_not() {
        let (witness, begin) = (Witness::new(Metrics::default()), Instant::now());
        let ask = |host: usize, now| witness.leaves_at(&format!("http://h{host}.test:80").into(), promise(0, 9), now);
        let open = ask(0, begin);
        for host in 1..MANY_HOSTS {
            ask(host, begin).answered_at(begin);
        }
        ask(MANY_HOSTS, begin).answered_at(begin);
        assert_eq!(witness.hosts().asked.len(), MANY_HOSTS + 1, "all were asked lately");
        let later = begin + QUIET;
        for host in MANY_HOSTS + 1..=2 * MANY_HOSTS {
            ask(host, later).answered_at(later);
        }
        let hosts = witness.hosts();
        assert!(hosts.asked.contains_key("http://h0.test:80"), "it owes an answer");
        assert!(!hosts.asked.contains_key("http://h1.test:80"));
        assert!(hosts.asked.len() <= MANY_HOSTS + 2, "{} are remembered", hosts.asked.len());
        drop(hosts);
        drop(open);
    }
}
