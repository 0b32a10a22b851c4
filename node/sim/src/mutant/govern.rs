//! Stewards that forget a rule: what they say of a copy is not what is there.

use crate::rules::{Carry, Ended};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::proposal::Transmit;
use scrapering_core::register::{Envelope, Reply, Request};
use scrapering_core::time::Instant;
use scrapering_core::view::View;
use scrapering_core::view::message::Request as ViewRequest;
use std::time::Duration;

/// A recovery that reports its end before it has begun.
#[derive(Debug)]
pub(super) struct Careless {
    outbox: Option<Transmit>,
    until: Instant,
    ended: Option<Ended>,
}

impl Careless {
    pub(super) fn new(me: NodeId, partition: Partition, view: &View, now: Instant) -> Self {
        let envelope = Envelope { partition, epoch: view.epoch, request: Request::View(ViewRequest::Finish) };
        let outbox = Some(Transmit { to: me, round: 1, envelope });
        Self { outbox, until: now + Duration::from_millis(500), ended: None }
    }
}

impl Carry for Careless {
    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.take()
    }

    fn poll_timeout(&self) -> Instant {
        self.until
    }

    fn poll_ended(&self) -> Option<Ended> {
        self.ended.clone()
    }

    fn handle_reply(&mut self, _from: NodeId, _round: u64, _reply: Reply, _now: Instant) {
        self.ended = Some(Ended { done: true, view: None });
    }

    fn handle_timeout(&mut self, _now: Instant) {
        self.ended = Some(Ended { done: false, view: None });
    }
}
