//! Puts and fetches of bodies that forget a rule.

use crate::rules::{FetchBody, PutBody};
use bytes::Bytes;
use scrapering_core::body::{BodyPut, PutOutcome};
use scrapering_core::id::NodeId;
use std::collections::{BTreeSet, VecDeque};

/// Counts a second answer of a node as that of another that was asked.
pub(super) struct Twice {
    inner: BodyPut,
    silent: BTreeSet<NodeId>,
}

impl Twice {
    pub(super) fn new(holders: &[NodeId], nodes: usize) -> Self {
        Self { inner: BodyPut::new(holders.iter().copied(), nodes), silent: BTreeSet::new() }
    }
}

impl PutBody for Twice {
    fn poll_transmit(&mut self) -> Option<NodeId> {
        let node = self.inner.poll_transmit()?;
        self.silent.insert(node);
        Some(node)
    }

    fn handle_reply(&mut self, from: NodeId, stored: bool) {
        let counted = if self.silent.remove(&from) { Some(from) } else { self.silent.pop_first() };
        self.inner.handle_reply(counted.unwrap_or(from), stored);
    }

    fn poll_outcome(&self) -> Option<PutOutcome> {
        self.inner.poll_outcome()
    }
}

/// Is content with two copies.
pub(super) struct Frugal {
    waiting: VecDeque<NodeId>,
    asked: BTreeSet<NodeId>,
    stored: BTreeSet<NodeId>,
}

impl Frugal {
    pub(super) fn new(holders: &[NodeId]) -> Self {
        Self { waiting: holders.iter().copied().collect(), asked: BTreeSet::new(), stored: BTreeSet::new() }
    }
}

impl PutBody for Frugal {
    fn poll_transmit(&mut self) -> Option<NodeId> {
        if self.asked.len() + self.stored.len() >= 2 {
            return None;
        }
        let node = self.waiting.pop_front()?;
        self.asked.insert(node);
        Some(node)
    }

    fn handle_reply(&mut self, from: NodeId, stored: bool) {
        if self.asked.remove(&from) && stored {
            self.stored.insert(from);
        }
    }

    fn poll_outcome(&self) -> Option<PutOutcome> {
        if self.stored.len() >= 2 {
            return Some(PutOutcome::Stored);
        }
        (self.asked.is_empty() && self.waiting.is_empty()).then_some(PutOutcome::Unavailable)
    }
}

/// Takes the first content that anybody has.
pub(super) struct Trusting {
    waiting: VecDeque<NodeId>,
    found: Option<Bytes>,
}

impl Trusting {
    pub(super) fn new(holders: &[NodeId]) -> Self {
        Self { waiting: holders.iter().copied().collect(), found: None }
    }
}

impl FetchBody for Trusting {
    fn poll_transmit(&mut self) -> Option<NodeId> {
        if self.found.is_some() { None } else { self.waiting.pop_front() }
    }

    fn handle_reply(&mut self, content: Option<Bytes>) {
        self.found = self.found.take().or(content);
    }

    fn into_found(self: Box<Self>) -> Option<Bytes> {
        self.found
    }
}
