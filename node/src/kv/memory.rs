//! Registers in memory for tests, with a clock that is moved by hand and faults to order.

use super::Registers;
use super::hints::{Hint, Hints};
use crate::driver::registers::{Page, Unavailable};
use futures::future::{BoxFuture, ready};
use scrapering_core::id::{Key, OperationId, Partition};
use scrapering_core::register::{Change, Outcome, Versioned};
use scrapering_core::time::Instant;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Entries in one page of a scan; small, so that pages have to be merged.
const PAGE: usize = 3;

/// How changes fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no majority; copies can still be read.
    NoMajority,
    /// Changes are done, and nobody is told so.
    DoneUnknown,
    /// Changes are not done, and nobody is told so.
    LostUnknown,
}

#[derive(Default)]
struct State {
    map: BTreeMap<Key, Versioned>,
    fault: Option<Fault>,
    now: Instant,
    told: bool,
}

/// Registers in memory. A cheap clone.
#[derive(Clone)]
pub(crate) struct MemoryRegisters {
    state: Arc<Mutex<State>>,
    hints: Hints,
    stop: CancellationToken,
}

impl Default for MemoryRegisters {
    fn default() -> Self {
        let stop = CancellationToken::new();
        Self { state: Arc::default(), hints: Hints::silent(stop.clone()), stop }
    }
}

impl MemoryRegisters {
    /// From now on changes fail so, or no more.
    pub(crate) fn fail_with(&self, fault: Option<Fault>) {
        self.state.lock().expect("lock").fault = fault;
    }

    /// Whether changes are hinted at from now on; when they were not, a gap is told at the end.
    pub(crate) fn tell(&self, told: bool) {
        self.state.lock().expect("lock").told = told;
        if told {
            self.hints.tell(Hint::Gap);
        }
    }

    /// The node stops.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, time: Duration) {
        let mut state = self.state.lock().expect("lock");
        state.now = state.now + time;
    }
}

impl State {
    fn change(&mut self, key: &Key, change: Change, operation: OperationId) -> Outcome {
        let current = self.map.get(key).cloned();
        let version = current.as_ref().map_or(0, |value| value.version);
        let present = current.as_ref().is_some_and(|value| value.content.is_some());
        if current.as_ref().is_some_and(|value| value.operation == operation) {
            return Outcome::Done { value: current, replaced: version > 1 };
        }
        let content = match change {
            Change::Read => return Outcome::Done { value: current, replaced: false },
            Change::Delete { .. } if !present => return Outcome::Done { value: current, replaced: false },
            Change::Put(content) => Some(content),
            Change::Create(content) if !present => Some(content),
            Change::CompareAndSet { version: expected, content } if present && expected == version => Some(content),
            Change::Delete { version: expected } if expected.is_none_or(|expected| expected == version) => None,
            _ => return Outcome::Conflict { current },
        };
        if self.fault == Some(Fault::LostUnknown) {
            return Outcome::Indeterminate;
        }
        let value = Versioned { version: version + 1, operation, content };
        self.map.insert(key.clone(), value.clone());
        if self.fault == Some(Fault::DoneUnknown) {
            Outcome::Indeterminate
        } else {
            Outcome::Done { value: Some(value), replaced: present }
        }
    }
}

impl Registers for MemoryRegisters {
    fn change(&self, key: Key, change: Change, operation: OperationId) -> BoxFuture<'_, Outcome> {
        let mut state = self.state.lock().expect("lock");
        let outcome = match state.fault {
            Some(Fault::NoMajority) => Outcome::Unavailable,
            _ => state.change(&key, change, operation),
        };
        if state.told {
            self.hints.tell(Hint::Written(key.name.as_slice().into()));
        }
        Box::pin(ready(outcome))
    }

    fn copy(&self, key: Key) -> BoxFuture<'_, Result<Option<Versioned>, Unavailable>> {
        Box::pin(ready(Ok(self.state.lock().expect("lock").map.get(&key).cloned())))
    }

    fn scan(
        &self,
        partition: Partition,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<Page, Unavailable>> {
        let state = self.state.lock().expect("lock");
        if state.fault == Some(Fault::NoMajority) {
            return Box::pin(ready(Err(Unavailable)));
        }
        let fits = |key: &Key| {
            key.partition == partition
                && key.name.starts_with(&prefix)
                && after.as_ref().is_none_or(|after| key.name > *after)
        };
        let all: Vec<_> = state.map.iter().filter(|(key, _)| fits(key)).collect();
        let next = (all.len() > PAGE).then(|| all[PAGE - 1].0.name.clone());
        let page = all.into_iter().take(PAGE).filter(|(_, value)| value.content.is_some());
        let entries = page.map(|(key, value)| (key.clone(), value.clone())).collect();
        Box::pin(ready(Ok(Page { entries, next })))
    }

    fn now(&self) -> Instant {
        self.state.lock().expect("lock").now
    }

    fn hints(&self) -> &Hints {
        &self.hints
    }
}
