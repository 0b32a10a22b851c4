//! A member that does not hold its view's state fetches it: from a member that serves, or, while none does, from
//! whoever holds exactly the state with which the view begins.

use super::message::{Guard, Reply, Request};
use super::{Epoch, Standing, View};
use crate::id::{NodeId, Partition};
use crate::register::message::{Envelope, Reply as RegisterReply, Request as RegisterRequest};
use crate::register::proposal::Transmit;
use crate::sync::transfer::{Mode, Side, Transfer};
use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a node may take to say how it stands, or the last step at home.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug)]
enum Step {
    /// The source is asked how it stands.
    Asking { source: NodeId },
    /// Its copy is being taken over; then this is the last step.
    Taking { last: Request },
    /// The copy is whole.
    Beginning,
}

/// A recovery in progress; drain [`Recovery::poll_transmit`] after every `handle_*`.
#[derive(Debug)]
pub struct Recovery {
    me: NodeId,
    partition: Partition,
    view: View,
    sources: VecDeque<NodeId>,
    step: Step,
    transfer: Option<Transfer>,
    round: u64,
    until: Instant,
    outbox: VecDeque<Transmit>,
    outcome: Option<bool>,
}

/// Marks the rounds of the transfer; the recovery's own are below.
const TRANSFER: u64 = 1 << 40;

impl Recovery {
    /// Starts to fetch the state of `view`, of which `me` is a member, from one of `sources`, best first.
    #[must_use]
    pub fn new(
        me: NodeId,
        partition: Partition,
        view: View,
        sources: impl IntoIterator<Item = NodeId>,
        now: Instant,
    ) -> Self {
        let mut recovery = Self {
            me,
            partition,
            view,
            sources: sources.into_iter().filter(|node| *node != me).collect(),
            step: Step::Beginning,
            transfer: None,
            round: 0,
            until: now,
            outbox: VecDeque::new(),
            outcome: None,
        };
        recovery.next_source(now);
        recovery
    }

    /// The next request to send; ask until `None`.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let of_transfer = self.transfer.as_mut().and_then(Transfer::poll_transmit);
        let marked =
            of_transfer.map(|transmit| Transmit { round: transmit.round | TRANSFER | self.round << 41, ..transmit });
        marked.or_else(|| self.outbox.pop_front())
    }

    /// When to call [`Recovery::handle_timeout`] unless an answer comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.transfer.as_ref().map_or(self.until, Transfer::poll_timeout)
    }

    /// Whether the view is served now, as soon as that is known.
    #[must_use]
    pub const fn poll_outcome(&self) -> Option<&bool> {
        self.outcome.as_ref()
    }

    /// An answer to the request of `round`.
    pub fn handle_reply(&mut self, from: NodeId, round: u64, reply: RegisterReply, now: Instant) {
        if self.outcome.is_some() {
            return;
        }
        if round & TRANSFER != 0 {
            if round >> 41 == self.round
                && let Some(transfer) = &mut self.transfer
            {
                transfer.handle_reply(from, round & (TRANSFER - 1), reply, now);
            }
            return self.go_on(now);
        }
        let RegisterReply::View(Reply::Report(report)) = reply else { return };
        match self.step {
            Step::Asking { source } if source == from && round == self.round => {
                let serves = matches!(report.standing, Standing::Active | Standing::Sealed);
                // A learner's copy may be on its way to becoming another; a learner does not give it away.
                let is_whole = serves || report.standing == Standing::Former;
                if serves && report.view == self.view {
                    self.take(source, self.view.epoch, Request::Finish, now);
                } else if is_whole && report.root.fingerprint == self.view.start {
                    let before = Epoch(self.view.epoch.0.saturating_sub(1));
                    self.take(source, before, Request::Install(self.view.clone()), now);
                } else {
                    self.next_source(now);
                }
            }
            Step::Beginning if from == self.me && round == self.round => {
                self.outcome = Some(matches!(report.standing, Standing::Active | Standing::Sealed));
            }
            _ => {}
        }
    }

    /// Time has passed: the next source, or the end.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.transfer {
            _ if self.outcome.is_some() => {}
            Some(transfer) => {
                transfer.handle_timeout(now);
                self.go_on(now);
            }
            None if now < self.until => {}
            None if matches!(self.step, Step::Beginning) => self.outcome = Some(false),
            None => self.next_source(now),
        }
    }

    fn ask(&mut self, to: NodeId, request: Request, now: Instant) {
        self.round += 1;
        self.until = now + PATIENCE;
        let request = RegisterRequest::View(request);
        let envelope = Envelope { partition: self.partition, epoch: self.view.epoch, request };
        self.outbox.push_back(Transmit { to, round: self.round, envelope });
    }

    fn next_source(&mut self, now: Instant) {
        self.transfer = None;
        match self.sources.pop_front() {
            Some(source) => {
                self.step = Step::Asking { source };
                self.ask(source, Request::Status, now);
            }
            None => self.outcome = Some(false),
        }
    }

    fn take(&mut self, source: NodeId, epoch: Epoch, last: Request, now: Instant) {
        let (from, to) = (Side { node: source, epoch }, Side { node: self.me, epoch: self.view.epoch });
        self.round += 1;
        self.transfer = Some(Transfer::new(self.partition, from, to, Mode::Exact, Guard::Learner, now));
        self.step = Step::Taking { last };
    }

    fn go_on(&mut self, now: Instant) {
        let Some(outcome) = self.transfer.as_ref().and_then(Transfer::poll_outcome) else { return };
        match (&self.step, outcome) {
            (Step::Taking { last }, Ok(_)) => {
                let last = last.clone();
                self.transfer = None;
                self.step = Step::Beginning;
                self.ask(self.me, last, now);
            }
            _ => self.next_source(now),
        }
    }
}
