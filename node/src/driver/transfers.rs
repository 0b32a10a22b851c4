//! Runs the machines that move copies and views, over the same envelopes as registers.

use super::Driver;
use futures::stream::{FuturesUnordered, StreamExt};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::message::{Envelope, Reply, Request};
use scrapering_core::register::proposal::Transmit;
use scrapering_core::sync::transfer::{Interrupted, Mode, Side, Transfer};
use scrapering_core::time::Instant;
use scrapering_core::view::message::{Guard, Reply as ViewReply, Report, Request as ViewRequest};
use scrapering_core::view::reconfiguration::{Outcome, Plan, Reconfiguration};
use scrapering_core::view::{Epoch, Recovery, Retirement, View};
use std::time::Duration;

/// How long a reconfiguration may take before it is left to the next attempt.
const RECONFIGURE_TIMEOUT: Duration = Duration::from_secs(30);

/// What both machines have in common.
trait Machine {
    type Outcome: Clone;
    fn poll_transmit(&mut self) -> Option<Transmit>;
    fn poll_timeout(&self) -> Instant;
    fn poll_outcome(&self) -> Option<&Self::Outcome>;
    fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant);
    fn handle_timeout(&mut self, now: Instant);
}

macro_rules! machine {
    ($machine:ty: $outcome:ty) => {
        impl Machine for $machine {
            type Outcome = $outcome;
            fn poll_transmit(&mut self) -> Option<Transmit> {
                Self::poll_transmit(self)
            }
            fn poll_timeout(&self) -> Instant {
                Self::poll_timeout(self)
            }
            fn poll_outcome(&self) -> Option<&$outcome> {
                Self::poll_outcome(self)
            }
            fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
                Self::handle_reply(self, from, round, reply, now);
            }
            fn handle_timeout(&mut self, now: Instant) {
                Self::handle_timeout(self, now);
            }
        }
    };
}
machine!(Transfer: Result<Option<Report>, Interrupted>);
machine!(Reconfiguration: Outcome);
machine!(Recovery: bool);
machine!(Retirement: bool);

impl Driver {
    /// Brings the copy of `to` in the newest view up to that of `from` in `epoch`.
    pub(super) async fn transfer(
        &self,
        partition: Partition,
        from: (NodeId, Epoch),
        to: (NodeId, Epoch),
        guard: Guard,
    ) -> Result<Option<Report>, Interrupted> {
        let side = |(node, epoch)| Side { node, epoch };
        let now = self.clock().now();
        let mut transfer = Transfer::new(partition, side(from), side(to), Mode::Exact, guard, now);
        let outcome = self.run(&mut transfer).await;
        self.views().count_moved(transfer.bytes());
        if let Err(Interrupted::Stale(view)) = &outcome {
            self.views().learn(partition, view);
        }
        outcome
    }

    /// Leads `view` over to the `desired` members, this node being a member of it.
    /// `needed` of its members must take part.
    pub(super) async fn reconfigure(
        &self,
        partition: Partition,
        view: View,
        desired: Vec<NodeId>,
        needed: usize,
    ) -> Outcome {
        let now = self.clock().now();
        let plan = Plan { me: self.me(), partition, view, desired, needed };
        let deadline = now + RECONFIGURE_TIMEOUT;
        let mut machine = Reconfiguration::new(plan, self.inner.ballots.clone(), now, deadline, rand::random());
        let outcome = self.run(&mut machine).await;
        if let Outcome::Installed(view) | Outcome::Superseded(view) = &outcome {
            self.views().learn(partition, view);
        }
        outcome
    }

    /// Fetches the state of `view` for this node, a member, from one of `sources`; whether it serves it then.
    pub(super) async fn recover(&self, partition: Partition, view: View, sources: Vec<NodeId>) -> bool {
        self.run(&mut Recovery::new(self.me(), partition, view, sources, self.clock().now())).await
    }

    /// Deletes this node's copy once every member of the view serves it; whether it is gone.
    pub(super) async fn retire(&self, partition: Partition) -> bool {
        let view = View::clone(&self.view(partition));
        self.run(&mut Retirement::new(self.me(), partition, view, self.clock().now())).await
    }

    /// Asks a replica something that is answered with a report.
    pub(super) async fn ask_view(
        &self,
        node: NodeId,
        partition: Partition,
        epoch: Epoch,
        request: ViewRequest,
    ) -> Option<Report> {
        let envelope = Envelope { partition, epoch, request: Request::View(request) };
        match self.ask(node, envelope).await? {
            Reply::View(ViewReply::Report(report)) => Some(report),
            _ => None,
        }
    }

    async fn run<M: Machine>(&self, machine: &mut M) -> M::Outcome {
        let mut calls = FuturesUnordered::new();
        loop {
            while let Some(Transmit { to, round, envelope }) = machine.poll_transmit() {
                calls.push(async move { (to, round, self.ask(to, envelope).await) });
            }
            if let Some(outcome) = machine.poll_outcome() {
                return outcome.clone();
            }
            let timeout = self.clock().deadline(machine.poll_timeout());
            tokio::select! {
                Some((from, round, reply)) = calls.next() => {
                    if let Some(reply) = reply {
                        machine.handle_reply(from, round, reply, self.clock().now());
                    }
                }
                () = tokio::time::sleep_until(timeout) => machine.handle_timeout(self.clock().now()),
            }
        }
    }
}
