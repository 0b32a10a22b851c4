//! A node that is no member any more deletes its copy, once every member of the view serves it.

use super::message::{Reply, Request};
use super::{Standing, View};
use crate::id::{NodeId, Partition};
use crate::register::message::{Envelope, Reply as RegisterReply, Request as RegisterRequest};
use crate::register::proposal::Transmit;
use crate::time::Instant;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// How long members may take to say how they stand, and each piece of the deletion.
const PATIENCE: Duration = Duration::from_secs(2);

/// A retirement in progress; drain [`Retirement::poll_transmit`] after every `handle_*`.
#[derive(Debug)]
pub struct Retirement {
    me: NodeId,
    partition: Partition,
    view: View,
    waiting: BTreeSet<NodeId>,
    round: u64,
    until: Instant,
    outbox: VecDeque<Transmit>,
    outcome: Option<bool>,
}

impl Retirement {
    /// Starts to delete what `me`, no member of `view`, holds of `partition`.
    #[must_use]
    pub fn new(me: NodeId, partition: Partition, view: View, now: Instant) -> Self {
        let waiting: BTreeSet<NodeId> = view.members.iter().copied().collect();
        let (outbox, until) = (VecDeque::new(), now + PATIENCE);
        let mut retirement = Self { me, partition, view, waiting, round: 0, until, outbox, outcome: None };
        for member in retirement.waiting.clone() {
            retirement.ask(member, Request::Status);
        }
        retirement
    }

    /// The next request to send; ask until `None`.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// When to call [`Retirement::handle_timeout`] unless an answer comes first.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.until
    }

    /// Whether everything is deleted, as soon as that is known.
    #[must_use]
    pub const fn poll_outcome(&self) -> Option<&bool> {
        self.outcome.as_ref()
    }

    /// An answer to the request of `round`.
    pub fn handle_reply(&mut self, from: NodeId, round: u64, reply: RegisterReply, now: Instant) {
        if self.outcome.is_some() || round != self.round {
            return;
        }
        let RegisterReply::View(Reply::Report(report)) = reply else {
            self.outcome = Some(false);
            return;
        };
        if self.waiting.is_empty() {
            if report.root.entries == 0 {
                self.outcome = Some(true)
            } else {
                self.delete(now)
            }
            return;
        }
        let serves = matches!(report.standing, Standing::Active | Standing::Sealed) && report.view == self.view;
        if !serves {
            self.outcome = Some(false);
        } else if self.waiting.remove(&from) && self.waiting.is_empty() {
            self.delete(now);
        }
    }

    /// Time has passed: gives up until another time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now >= self.until && self.outcome.is_none() {
            self.outcome = Some(false);
        }
    }

    fn delete(&mut self, now: Instant) {
        self.round += 1;
        self.until = now + PATIENCE;
        self.ask(self.me, Request::Retire);
    }

    fn ask(&mut self, to: NodeId, request: Request) {
        let request = RegisterRequest::View(request);
        let envelope = Envelope { partition: self.partition, epoch: self.view.epoch, request };
        self.outbox.push_back(Transmit { to, round: self.round, envelope });
    }
}
