//! How many requests a caller may send: a bucket each, refilled steadily (GCRA), so that a runaway loop of one caller is not everybody's.

use super::problem::{Kind, Problem};
use crate::auth::Caller;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::header::RETRY_AFTER;
use std::num::NonZeroU32;

/// Requests a second of one caller, unless the administrator says otherwise; twice as many may come at once.
pub(super) const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(5_000).expect("it is not zero");
/// When more callers than these are remembered, those whose buckets are full are forgotten.
const MOST_CALLERS: usize = 10_000;

/// The buckets of all callers.
pub(super) struct Limits {
    buckets: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl Limits {
    /// So many requests a second each.
    pub(super) fn new(requests_per_second: NonZeroU32) -> Self {
        let quota = Quota::per_second(requests_per_second).allow_burst(requests_per_second.saturating_mul(TWO));
        Self { buckets: RateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// Counts a request; the problem says when the next one may come.
    pub(super) fn count(&self, caller: &Caller) -> Result<(), Problem> {
        if self.buckets.len() > MOST_CALLERS {
            self.buckets.retain_recent();
        }
        let verdict = self.buckets.check_key(&format!("{}/{}", caller.tenant, caller.subject));
        verdict.map_err(|until| {
            let wait = until.wait_time_from(self.clock.now()).as_millis().div_ceil(1000).max(1);
            let detail =
                format!("{} sends more requests than it may; nothing was done, try again in {wait} s", caller.subject);
            Problem::new(Kind::RateLimited, detail).with(RETRY_AFTER, &wait.to_string())
        })
    }
}

const TWO: NonZeroU32 = NonZeroU32::new(2).expect("it is not zero");
