//! Who comes to the gateway: how many connections there were, and whether visitors are seen off.
//!
//! A node that is to be stopped goes on serving while clients learn to go elsewhere; nobody tells it when they have. It sees
//! that new connections stay away, and asks those who keep one to come back by another.

use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How often the count is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The count. A cheap clone.
#[derive(Clone, Debug, Default)]
pub struct Visitors {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    connections: AtomicU64,
    are_seen_off: AtomicBool,
}

impl Visitors {
    /// A connection was accepted.
    pub(super) fn handle_connection(&self) {
        self.inner.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on every answer over HTTP/1.1 is the last one of its connection. Those of HTTP/2 are told to go (GOAWAY,
    /// RFC 9113 section 6.8) when the gateway stops.
    pub fn see_off(&self) {
        self.inner.are_seen_off.store(true, Ordering::Relaxed);
    }

    /// Whether visitors are seen off.
    pub(super) fn are_seen_off(&self) -> bool {
        self.inner.are_seen_off.load(Ordering::Relaxed)
    }

    /// Returns once nobody has come for `quiet`, after `limit` at the latest; whether nobody has.
    pub async fn stay_away(&self, quiet: Duration, limit: Duration) -> bool {
        let count = || self.inner.connections.load(Ordering::Relaxed);
        let mut watch = Watch { begun: Instant::now(), count: count(), since: Instant::now() };
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Instant::now();
            if watch.is_quiet(count(), now, quiet) {
                return true;
            }
            if now - watch.begun >= limit {
                return false;
            }
        }
    }
}

/// A look at the count from time to time.
#[derive(Debug)]
struct Watch {
    begun: Instant,
    count: u64,
    /// Since when it is that.
    since: Instant,
}

impl Watch {
    /// Whether the count, which is `count` now, has been that for `quiet`.
    fn is_quiet(&mut self, count: u64, now: Instant, quiet: Duration) -> bool {
        if count != self.count {
            (self.count, self.since) = (count, now);
        }
        now - self.since >= quiet
    }
}

/// Says in an answer that its connection ends with it (RFC 9112, section 9.6).
pub(super) fn see_off(version: Version, mut answer: Response) -> Response {
    if version <= Version::HTTP_11 {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_quiet_when_the_last_visitor_has_been_away_for_long_enough() {
        let (begun, quiet) = (Instant::now(), Duration::from_secs(2));
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut watch = Watch { begun, count: 7, since: begun };
        assert!(!watch.is_quiet(7, at(1), quiet));
        assert!(!watch.is_quiet(8, at(2), quiet), "somebody came in time");
        assert!(!watch.is_quiet(8, at(3), quiet));
        assert!(watch.is_quiet(8, at(4), quiet));
    }

    #[tokio::test]
    async fn where_nobody_comes_nobody_is_waited_for() {
        let visitors = Visitors::default();
        visitors.handle_connection();
        assert!(visitors.stay_away(Duration::from_millis(1), Duration::from_secs(600)).await);
    }

    #[test]
    fn only_connections_of_http_1_are_told_in_their_answers() {
        for (version, told) in [(Version::HTTP_10, true), (Version::HTTP_11, true), (Version::HTTP_2, false)] {
            let answer = see_off(version, Response::default());
            assert_eq!(answer.headers().contains_key(CONNECTION), told, "{version:?}");
        }
    }
}
