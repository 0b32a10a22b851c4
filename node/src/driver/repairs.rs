//! Bodies that are known to lack copies, shared between those who notice and the task that repairs.

use super::clock::Clock;
use scrapering_core::body::BodyRef;
use scrapering_core::body::backlog::Backlog;
use scrapering_core::time::Instant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A handle to the bodies that are to be repaired. A cheap clone.
#[derive(Clone)]
pub struct Repairs {
    backlog: Arc<Mutex<Backlog>>,
    woken: Arc<Notify>,
    clock: Clock,
}

impl Repairs {
    /// Nothing to be repaired.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { backlog: Arc::default(), woken: Arc::default(), clock }
    }

    /// `body` lacks a copy. When very many do, further ones are left to the comparison of whole copies.
    pub fn queue(&self, body: BodyRef) {
        if self.lock().push(body, self.clock.now()) {
            self.woken.notify_one();
        }
    }

    /// A body whose repair is due.
    #[must_use]
    pub fn poll(&self) -> Option<BodyRef> {
        self.lock().poll(self.clock.now())
    }

    /// When the next repair is due; `None` if nothing is to be repaired.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lock().poll_timeout()
    }

    /// A repair is over; whether every copy is there.
    pub fn finish(&self, body: BodyRef, is_whole: bool) {
        self.lock().handle_outcome(body, is_whole, self.clock.now());
    }

    /// How many bodies are to be repaired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is to be repaired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns when a body was queued since the last call.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
