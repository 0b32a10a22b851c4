//! Proposers that forget a rule: each wraps the real proposal and tampers with what goes in or comes out.

use crate::rules::{Propose, Start};
use scrapering_core::id::NodeId;
use scrapering_core::register::proposal::{Item, Transmit};
use scrapering_core::register::{Accepted, Change, Outcome, Proposal, Reply, Request};
use scrapering_core::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// Hands on the methods that a wrapper leaves alone.
macro_rules! forward {
    ($inner:ident: $($method:ident),+) => { $(forward!(@ $inner $method);)+ };
    (@ $inner:ident poll_transmit) => {
        fn poll_transmit(&mut self) -> Option<Transmit> { self.$inner.poll_transmit() }
    };
    (@ $inner:ident poll_timeout) => {
        fn poll_timeout(&self) -> Instant { self.$inner.poll_timeout() }
    };
    (@ $inner:ident poll_outcomes) => {
        fn poll_outcomes(&self) -> Option<Vec<Outcome>> { self.$inner.poll_outcomes() }
    };
    (@ $inner:ident handle_reply) => {
        fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) { self.$inner.handle_reply(from, round, reply, now); }
    };
    (@ $inner:ident handle_timeout) => {
        fn handle_timeout(&mut self, now: Instant) { self.$inner.handle_timeout(now); }
    };
}

/// More rounds than any one proposal has.
const ROUNDS_PER_ATTEMPT: u64 = 1_000_000;

/// Starts unfinished changes anew until the deadline.
#[derive(Debug)]
pub(super) struct Stubborn {
    start: Start,
    inner: Proposal,
    attempts: u64,
    /// The items of `start` that `inner` carries.
    open: Vec<usize>,
    outcomes: Vec<Option<Outcome>>,
}

impl Stubborn {
    pub(super) fn new(start: Start) -> Self {
        let open = (0..start.items.len()).collect();
        Self { inner: start.clone().proposal(), attempts: 0, open, outcomes: vec![None; start.items.len()], start }
    }

    fn go_on(&mut self, now: Instant) {
        let Some(outcomes) = self.inner.poll_outcomes() else { return };
        for (item, outcome) in self.open.iter().zip(outcomes) {
            self.outcomes[*item] = (outcome != Outcome::Indeterminate || now >= self.start.deadline).then_some(outcome);
        }
        self.open.retain(|item| self.outcomes[*item].is_none());
        if !self.open.is_empty() {
            self.attempts += 1;
            let items = self.open.iter().map(|item| self.start.items[*item].clone()).collect();
            self.inner = Start { items, now, ..self.start.clone() }.proposal();
        }
    }
}

impl Propose for Stubborn {
    forward!(inner: poll_timeout);

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.inner.poll_transmit()?;
        Some(Transmit { round: transmit.round + self.attempts * ROUNDS_PER_ATTEMPT, ..transmit })
    }

    fn poll_outcomes(&self) -> Option<Vec<Outcome>> {
        self.outcomes.iter().cloned().collect()
    }

    fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
        if round / ROUNDS_PER_ATTEMPT == self.attempts {
            self.inner.handle_reply(from, round % ROUNDS_PER_ATTEMPT, reply, now);
            self.go_on(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
        self.go_on(now);
    }
}

/// What an [`Early`] proposer answers without the second round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EarlyAnswer {
    Read,
    FailedCas,
}

/// Answers from what was prepared instead of sending accepts that change nothing.
#[derive(Debug)]
pub(super) struct Early {
    items: Vec<Item>,
    answer: EarlyAnswer,
    inner: Proposal,
    outcomes: Option<Vec<Outcome>>,
}

impl Early {
    pub(super) fn new(start: Start, answer: EarlyAnswer) -> Self {
        Self { items: start.items.clone(), answer, inner: start.proposal(), outcomes: None }
    }

    fn early_outcomes(&self, transmit: &Transmit) -> Option<Vec<Outcome>> {
        let Request::Accept { writes, .. } = &transmit.envelope.request else { return None };
        let early = |item: &Item| {
            let (_, value) = writes.iter().find(|(key, _)| *key == item.key)?;
            let kept = value.as_ref().is_none_or(|value| value.operation != item.operation);
            match (self.answer, &item.change) {
                (EarlyAnswer::Read, Change::Read) => Some(Outcome::Done { value: value.clone(), replaced: false }),
                (EarlyAnswer::FailedCas, Change::CompareAndSet { .. }) if kept => {
                    Some(Outcome::Conflict { current: value.clone() })
                }
                _ => None,
            }
        };
        self.items.iter().map(early).collect()
    }
}

impl Propose for Early {
    forward!(inner: poll_timeout, handle_reply, handle_timeout);

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.inner.poll_transmit()?;
        self.outcomes = self.outcomes.take().or_else(|| self.early_outcomes(&transmit));
        self.outcomes.is_none().then_some(transmit)
    }

    fn poll_outcomes(&self) -> Option<Vec<Outcome>> {
        self.outcomes.clone().or_else(|| self.inner.poll_outcomes())
    }
}

/// Reads the newest of a majority, whether they agree or not.
#[derive(Debug)]
pub(super) struct Hasty {
    inner: Proposal,
    quorum: usize,
    replied: BTreeSet<NodeId>,
    newest: Vec<Accepted>,
}

impl Hasty {
    pub(super) fn new(start: Start) -> Self {
        let newest = vec![Accepted::default(); start.items.len()];
        Self { quorum: start.view.quorum(), inner: start.proposal(), replied: BTreeSet::new(), newest }
    }
}

impl Propose for Hasty {
    forward!(inner: poll_transmit, poll_timeout, handle_timeout);

    fn poll_outcomes(&self) -> Option<Vec<Outcome>> {
        let read = || {
            self.newest
                .iter()
                .map(|accepted| Outcome::Done { value: accepted.value.clone(), replaced: false })
                .collect()
        };
        if self.replied.len() >= self.quorum { Some(read()) } else { self.inner.poll_outcomes() }
    }

    fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
        if let Reply::Read(answers) = &reply
            && self.replied.insert(from)
        {
            for (newest, accepted) in self.newest.iter_mut().zip(answers) {
                if accepted.ballot > newest.ballot {
                    *newest = accepted.clone();
                }
            }
        }
        self.inner.handle_reply(from, round, reply, now);
    }
}

/// Counts a second answer of a member as that of another.
#[derive(Debug)]
pub(super) struct Twice {
    inner: Proposal,
    members: Vec<NodeId>,
    replied: BTreeMap<u64, BTreeSet<NodeId>>,
}

impl Twice {
    pub(super) fn new(start: Start) -> Self {
        Self { members: start.view.members.clone(), inner: start.proposal(), replied: BTreeMap::new() }
    }
}

impl Propose for Twice {
    forward!(inner: poll_transmit, poll_timeout, poll_outcomes, handle_timeout);

    fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
        let replied = self.replied.entry(round).or_default();
        let silent = self.members.iter().copied().find(|member| !replied.contains(member) && *member != from);
        let counted = if replied.insert(from) { from } else { silent.unwrap_or(from) };
        self.inner.handle_reply(counted, round, reply, now);
    }
}

/// Takes every answer for one to the present round.
#[derive(Debug)]
pub(super) struct Forgetful {
    inner: Proposal,
    round: u64,
}

impl Forgetful {
    pub(super) fn new(start: Start) -> Self {
        Self { inner: start.proposal(), round: 0 }
    }
}

impl Propose for Forgetful {
    forward!(inner: poll_timeout, poll_outcomes, handle_timeout);

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.inner.poll_transmit()?;
        self.round = transmit.round;
        Some(transmit)
    }

    fn handle_reply(&mut self, from: NodeId, _round: u64, reply: Reply, now: Instant) {
        self.inner.handle_reply(from, self.round, reply, now);
    }
}

/// Reports what it cannot know as not done.
#[derive(Debug)]
pub(super) struct Impatient {
    inner: Proposal,
}

impl Impatient {
    pub(super) fn new(start: Start) -> Self {
        Self { inner: start.proposal() }
    }
}

impl Propose for Impatient {
    forward!(inner: poll_transmit, poll_timeout, handle_reply, handle_timeout);

    fn poll_outcomes(&self) -> Option<Vec<Outcome>> {
        let told = |outcome| if outcome == Outcome::Indeterminate { Outcome::Unavailable } else { outcome };
        self.inner.poll_outcomes().map(|outcomes| outcomes.into_iter().map(told).collect())
    }
}
