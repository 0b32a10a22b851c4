//! The seam between the world and the machines under test: the world asks [`Rules`] for every part, and
//! [`Honest`] hands out what is in `scrapering-core`. A mutant replaces one part and nothing else.

use crate::wire::Answer;
use bytes::Bytes;
use rand::rngs::SmallRng;
use scrapering_core::body::{BodyFetch, BodyHash, BodyPut, PutOutcome};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::proposal::{Item, Transmit};
use scrapering_core::register::{Acceptor, BallotClock, Envelope, Outcome, Proposal, Reply};
use scrapering_core::store::{StoreError, Transaction};
use scrapering_core::sync::Transfer;
use scrapering_core::time::Instant;
use scrapering_core::view::reconfiguration::{Outcome as Came, Plan};
use scrapering_core::view::{Reconfiguration, Recovery, Retirement, View};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// What a [`Proposal`] does, so that something else can stand in its place.
pub trait Propose: Debug {
    /// As [`Proposal::poll_transmit`].
    fn poll_transmit(&mut self) -> Option<Transmit>;
    /// As [`Proposal::poll_timeout`].
    fn poll_timeout(&self) -> Instant;
    /// As [`Proposal::poll_outcomes`].
    fn poll_outcomes(&self) -> Option<Vec<Outcome>>;
    /// As [`Proposal::handle_reply`].
    fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant);
    /// As [`Proposal::handle_timeout`].
    fn handle_timeout(&mut self, now: Instant);
}

impl Propose for Proposal {
    fn poll_transmit(&mut self) -> Option<Transmit> {
        Self::poll_transmit(self)
    }
    fn poll_timeout(&self) -> Instant {
        Self::poll_timeout(self)
    }
    fn poll_outcomes(&self) -> Option<Vec<Outcome>> {
        Self::poll_outcomes(self)
    }
    fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
        Self::handle_reply(self, from, round, reply, now);
    }
    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }
}

/// How a machine that moves views or copies ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether it did what it was there for.
    pub done: bool,
    /// A view that it came to know.
    pub view: Option<View>,
}

/// What the machines that move views and copies have in common.
pub trait Carry: Debug {
    /// As [`Reconfiguration::poll_transmit`].
    fn poll_transmit(&mut self) -> Option<Transmit>;
    /// As [`Reconfiguration::poll_timeout`].
    fn poll_timeout(&self) -> Instant;
    /// As [`Reconfiguration::poll_outcome`].
    fn poll_ended(&self) -> Option<Ended>;
    /// As [`Reconfiguration::handle_reply`].
    fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant);
    /// As [`Reconfiguration::handle_timeout`].
    fn handle_timeout(&mut self, now: Instant);
}

macro_rules! carry {
    ($($machine:ty: $outcome:pat => $done:expr, $view:expr;)+) => {$(
        impl Carry for $machine {
            fn poll_transmit(&mut self) -> Option<Transmit> {
                Self::poll_transmit(self)
            }
            fn poll_timeout(&self) -> Instant {
                Self::poll_timeout(self)
            }
            fn poll_ended(&self) -> Option<Ended> {
                self.poll_outcome().map(|$outcome| Ended { done: $done, view: $view })
            }
            fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
                Self::handle_reply(self, from, round, reply, now);
            }
            fn handle_timeout(&mut self, now: Instant) {
                Self::handle_timeout(self, now);
            }
        }
    )+};
}
carry! {
    Reconfiguration: outcome => matches!(outcome, Came::Installed(_)), match outcome {
        Came::Installed(view) | Came::Superseded(view) => Some(view.clone()),
        Came::Unfinished => None,
    };
    Transfer: outcome => outcome.is_ok(), None;
    Recovery: done => *done, None;
    Retirement: done => *done, None;
}

/// What a [`BodyPut`] does, so that something else can stand in its place.
pub trait PutBody {
    /// As [`BodyPut::poll_transmit`].
    fn poll_transmit(&mut self) -> Option<NodeId>;
    /// As [`BodyPut::handle_reply`].
    fn handle_reply(&mut self, from: NodeId, stored: bool);
    /// As [`BodyPut::poll_outcome`].
    fn poll_outcome(&self) -> Option<PutOutcome>;
}

impl PutBody for BodyPut {
    fn poll_transmit(&mut self) -> Option<NodeId> {
        Self::poll_transmit(self)
    }
    fn handle_reply(&mut self, from: NodeId, stored: bool) {
        Self::handle_reply(self, from, stored);
    }
    fn poll_outcome(&self) -> Option<PutOutcome> {
        Self::poll_outcome(self)
    }
}

/// What a [`BodyFetch`] does, so that something else can stand in its place.
pub trait FetchBody {
    /// As [`BodyFetch::poll_transmit`].
    fn poll_transmit(&mut self) -> Option<NodeId>;
    /// As [`BodyFetch::handle_reply`].
    fn handle_reply(&mut self, content: Option<Bytes>);
    /// As [`BodyFetch::into_found`].
    fn into_found(self: Box<Self>) -> Option<Bytes>;
}

impl FetchBody for BodyFetch {
    fn poll_transmit(&mut self) -> Option<NodeId> {
        Self::poll_transmit(self)
    }
    fn handle_reply(&mut self, content: Option<Bytes>) {
        Self::handle_reply(self, content);
    }
    fn into_found(self: Box<Self>) -> Option<Bytes> {
        Self::into_found(*self)
    }
}

/// Everything a proposal starts from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The members to ask.
    pub view: View,
    /// The partition of all items.
    pub partition: Partition,
    /// What to do.
    pub items: Vec<Item>,
    /// The process's ballots.
    pub clock: Arc<BallotClock>,
    /// The present.
    pub now: Instant,
    /// When to give up.
    pub deadline: Instant,
    /// For the pauses between rivals.
    pub seed: u64,
}

impl Start {
    /// The proposal of `scrapering-core`.
    #[must_use]
    pub fn proposal(self) -> Proposal {
        Proposal::new(self.view, self.partition, self.items, self.clock, self.now, self.deadline, self.seed)
    }
}

/// Everything a change of a view starts from.
#[derive(Clone, Debug)]
pub struct Move {
    /// From which view to which members.
    pub plan: Plan,
    /// The process's ballots.
    pub clock: Arc<BallotClock>,
    /// The present.
    pub now: Instant,
    /// When to give up.
    pub deadline: Instant,
    /// For the pauses between rivals.
    pub seed: u64,
}

impl Move {
    /// The reconfiguration of `scrapering-core`.
    #[must_use]
    pub fn reconfiguration(self) -> Reconfiguration {
        Reconfiguration::new(self.plan, self.clock, self.now, self.deadline, self.seed)
    }
}

/// The parts of a world. Every default is the protocol as it should be.
pub trait Rules: Sync {
    /// A proposal for a batch.
    fn propose(&self, start: Start) -> Box<dyn Propose> {
        Box::new(start.proposal())
    }

    /// A change of a view.
    fn reconfigure(&self, start: Move) -> Box<dyn Carry> {
        Box::new(start.reconfiguration())
    }

    /// The way of a member, `me`, to the state of `view`, from one of `sources`.
    fn recover(
        &self,
        me: NodeId,
        partition: Partition,
        view: &View,
        sources: Vec<NodeId>,
        now: Instant,
    ) -> Box<dyn Carry> {
        Box::new(Recovery::new(me, partition, view.clone(), sources, now))
    }

    /// The members that a coordinator believes in, given the true view and all nodes.
    fn believed_view(&self, view: &View, _nodes: &[NodeId], _dice: &mut SmallRng) -> View {
        view.clone()
    }

    /// The members that a scanning coordinator asks.
    fn scanned_view(&self, view: &View, _dice: &mut SmallRng) -> View {
        view.clone()
    }

    /// The acceptors of `node` at the beginning of the ring.
    fn acceptor(&self, node: NodeId, views: &BTreeMap<Partition, View>, _nodes: &[NodeId]) -> Acceptor {
        Acceptor::genesis(node, views)
    }

    /// An acceptor's answer to one message.
    ///
    /// # Errors
    /// As [`Acceptor::handle`].
    fn answer(
        &self,
        acceptor: &mut Acceptor,
        envelope: &Envelope,
        transaction: &mut Transaction<'_>,
    ) -> Result<Reply, StoreError> {
        acceptor.handle(envelope, transaction)
    }

    /// Whether `answer` waits until the disk has what it rests on.
    fn waits_for_disk(&self, _answer: &Answer) -> bool {
        true
    }

    /// A put to `holders`, best first, in a ring of `nodes`.
    fn put_body(&self, holders: &[NodeId], nodes: usize) -> Box<dyn PutBody> {
        Box::new(BodyPut::new(holders.iter().copied(), nodes))
    }

    /// A search for `hash` among `holders`, best first.
    fn fetch_body(&self, hash: BodyHash, holders: &[NodeId]) -> Box<dyn FetchBody> {
        Box::new(BodyFetch::new(hash, holders.iter().copied()))
    }

    /// Whether a record that refers to a body is written only when the body is stored.
    fn record_waits_for_body(&self) -> bool {
        true
    }

    /// Whether a node that restarts under its old identity finds its disk as it was.
    fn disk_survives(&self, _dice: &mut SmallRng) -> bool {
        true
    }

    /// The boot number after a restart.
    fn next_boot(&self, boot: u32) -> u32 {
        boot + 1
    }

    /// The ballot counter from which a restarted process goes on, given its newest one before.
    fn remembered_counter(&self, _newest: u64, _dice: &mut SmallRng) -> u64 {
        0
    }
}

/// The protocol as it is.
#[derive(Clone, Copy, Debug)]
pub struct Honest;

impl Rules for Honest {}
