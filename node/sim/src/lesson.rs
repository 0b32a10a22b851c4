//! How a node that may come into a view is taught: it is told of the view, then given the copy.

use crate::rules::{Carry, Ended};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::proposal::Transmit;
use scrapering_core::register::{Envelope, Reply, Request};
use scrapering_core::sync::Transfer;
use scrapering_core::sync::transfer::{Mode, Side};
use scrapering_core::time::Instant;
use scrapering_core::view::View;
use scrapering_core::view::message::{Guard, Request as ViewRequest};
use std::time::Duration;

/// How long a newcomer may take to say that it knows the view in which it learns.
const PATIENCE: Duration = Duration::from_millis(500);

/// Tells a node of a view, then gives it the copy.
#[derive(Debug)]
pub(crate) struct Lesson {
    partition: Partition,
    teacher: Side,
    learner: Side,
    until: Instant,
    outbox: Option<Transmit>,
    transfer: Option<Transfer>,
    failed: bool,
}

impl Lesson {
    pub(crate) fn new(partition: Partition, view: &View, teacher: NodeId, learner: NodeId, now: Instant) -> Self {
        let side = |node| Side { node, epoch: view.epoch };
        let request = Request::View(ViewRequest::Install(view.clone()));
        let envelope = Envelope { partition, epoch: view.epoch, request };
        Self {
            partition,
            teacher: side(teacher),
            learner: side(learner),
            until: now + PATIENCE,
            outbox: Some(Transmit { to: learner, round: 0, envelope }),
            transfer: None,
            failed: false,
        }
    }
}

impl Carry for Lesson {
    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.take().or_else(|| self.transfer.as_mut().and_then(Transfer::poll_transmit))
    }

    fn poll_timeout(&self) -> Instant {
        self.transfer.as_ref().map_or(self.until, Transfer::poll_timeout)
    }

    fn poll_ended(&self) -> Option<Ended> {
        let over = Ended { done: false, view: None };
        if self.failed { Some(over) } else { self.transfer.as_ref().and_then(Carry::poll_ended) }
    }

    fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
        match &mut self.transfer {
            Some(transfer) => transfer.handle_reply(from, round, reply, now),
            None => {
                let transfer =
                    Transfer::new(self.partition, self.teacher, self.learner, Mode::Exact, Guard::Learner, now);
                self.transfer = Some(transfer);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match &mut self.transfer {
            Some(transfer) => transfer.handle_timeout(now),
            None => self.failed = true,
        }
    }
}
