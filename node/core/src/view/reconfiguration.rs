//! Changes who keeps a partition: one Synod whose value is the next members and their exact start state.
//!
//! By a member of the present view, in stages: *seal* a majority; make one's own copy the newest of what they
//! hold (or take over what a predecessor had accepted); make theirs, and the new members', the same; have a
//! majority accept; *install*. Whoever stops on the way can be taken over from by any other member: a sealed
//! partition is opened again by the next reconfiguration, be it to the same members.
//!
//! Safe because a majority of the old epoch is sealed and intersects every majority that chose a value in it, and
//! because the start state is part of what is decided: nobody serves the next epoch with anything else.

mod stage;

use super::message::{Guard, Next, Reply, Request};
use super::{Standing, View};
use crate::dice::Jitter;
use crate::id::{NodeId, Partition};
use crate::register::message::{Envelope, Reply as RegisterReply, Request as RegisterRequest};
use crate::register::proposal::Transmit;
use crate::register::{Ballot, BallotClock};
use crate::sync::Root;
use crate::sync::transfer::{Interrupted, Mode, Side, Transfer};
use crate::time::Instant;
use stage::{Promise, Stage};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Members that have not answered are asked again after this long.
const RESEND_AFTER: Duration = Duration::from_millis(200);
/// How long a member that is not needed for a majority is waited for: what it holds need not be sent again.
const GRACE: Duration = Duration::from_millis(60);
/// How long new members may take to receive the state before the old ones go on without them.
const SPREAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a lost race is drawn from up to this, doubled each time, eight times.
const BACKOFF: Duration = Duration::from_millis(10);

/// What came of a reconfiguration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This view is decided and served by a majority. Its members may be others than those asked for.
    Installed(View),
    /// The epoch had ended before; this is a newer view.
    Superseded(View),
    /// Nothing may have changed, or the partition may be sealed: a member tries again.
    Unfinished,
}

/// A reconfiguration in progress on a member of the present view.
///
/// After every `handle_*`, and whenever [`Reconfiguration::poll_timeout`] has passed, drain
/// [`Reconfiguration::poll_transmit`] and ask [`Reconfiguration::poll_outcome`].
#[derive(Debug)]
pub struct Reconfiguration {
    me: NodeId,
    partition: Partition,
    view: View,
    desired: Vec<NodeId>,
    needed: usize,
    clock: Arc<BallotClock>,
    ballot: Ballot,
    stage: Stage,
    stage_since: Instant,
    round: u64,
    sent_at: Instant,
    attempts: u32,
    deadline: Instant,
    jitter: Jitter,
    /// What is sent to whom until it has answered.
    unanswered: BTreeMap<NodeId, Request>,
    promises: BTreeMap<NodeId, Promise>,
    denied: BTreeSet<NodeId>,
    transfers: BTreeMap<u32, Transfer>,
    channels: u32,
    /// Nodes whose copy is the start state.
    alike: BTreeSet<NodeId>,
    decided: Option<View>,
    serving: BTreeSet<NodeId>,
    outbox: VecDeque<Transmit>,
    outcome: Option<Outcome>,
}

/// What a reconfiguration starts from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The member that carries it through.
    pub me: NodeId,
    /// The partition.
    pub partition: Partition,
    /// The present view.
    pub view: View,
    /// Who should be in the next one, in order of preference.
    pub desired: Vec<NodeId>,
    /// How many members must take part: [`View::quorum`], unless an administrator has given up the others. What was
    /// acknowledged by those alone is then lost, and they must never serve this epoch again.
    pub needed: usize,
}

impl Reconfiguration {
    /// Starts to lead `plan.view` over to `plan.desired`; at `deadline` it gives up. `seed` spreads the pauses of
    /// rivals.
    #[must_use]
    pub fn new(plan: Plan, clock: Arc<BallotClock>, now: Instant, deadline: Instant, seed: u64) -> Self {
        let Plan { me, partition, view, desired, needed } = plan;
        let mut reconfiguration = Self {
            me,
            partition,
            view,
            desired,
            needed,
            clock,
            ballot: Ballot::default(),
            stage: Stage::Resting { until: now },
            stage_since: now,
            round: 0,
            sent_at: now,
            attempts: 0,
            deadline,
            jitter: Jitter::new(seed),
            unanswered: BTreeMap::new(),
            promises: BTreeMap::new(),
            denied: BTreeSet::new(),
            transfers: BTreeMap::new(),
            channels: 0,
            alike: BTreeSet::new(),
            decided: None,
            serving: BTreeSet::new(),
            outbox: VecDeque::new(),
            outcome: None,
        };
        reconfiguration.seal(now);
        reconfiguration
    }

    /// The next request to send; ask until `None`. Its answer goes to [`Reconfiguration::handle_reply`].
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        for (channel, transfer) in &mut self.transfers {
            if let Some(transmit) = transfer.poll_transmit() {
                return Some(Transmit { round: u64::from(*channel) << 32 | transmit.round, ..transmit });
            }
        }
        self.outbox.pop_front()
    }

    /// When to call [`Reconfiguration::handle_timeout`] unless an answer comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let own = match self.stage {
            Stage::Resting { until } => until,
            Stage::Sealing if self.has_enough_promises() => self.stage_since + GRACE,
            _ => self.sent_at + RESEND_AFTER,
        };
        let transfers = self.transfers.values().filter(|transfer| transfer.poll_outcome().is_none());
        transfers.map(Transfer::poll_timeout).fold(own, Instant::min).min(self.deadline)
    }

    /// How it ended, as soon as it has.
    #[must_use]
    pub fn poll_outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// An answer to the request of `round`.
    pub fn handle_reply(&mut self, from: NodeId, round: u64, reply: RegisterReply, now: Instant) {
        if self.outcome.is_some() {
            return;
        }
        let (channel, round) = ((round >> 32) as u32, round & u64::from(u32::MAX));
        if channel > 0 {
            if let Some(transfer) = self.transfers.get_mut(&channel) {
                transfer.handle_reply(from, round, reply, now);
            }
        } else if round == self.round {
            match reply {
                RegisterReply::View(reply) => self.handle_own(from, reply),
                RegisterReply::Stale(view) => self.handle_stale(view),
                _ => {}
            }
        }
        self.advance(now);
    }

    /// Time has passed: asks silent nodes again, goes on without them, or gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.outcome.is_some() {
            return;
        }
        if now >= self.deadline {
            return self.finish(Outcome::Unfinished);
        }
        self.transfers.values_mut().for_each(|transfer| transfer.handle_timeout(now));
        match self.stage {
            Stage::Resting { until } if now >= until => return self.seal(now),
            Stage::Resting { .. } => return,
            _ if now >= self.sent_at + RESEND_AFTER => self.resend(now),
            _ => {}
        }
        self.advance(now);
    }

    fn handle_own(&mut self, from: NodeId, reply: Reply) {
        match (&self.stage, reply) {
            (Stage::Sealing, Reply::Sealed { accepted, root }) => {
                self.unanswered.remove(&from);
                self.promises.insert(from, Promise { accepted, root });
            }
            (_, Reply::Denied(higher)) => {
                self.clock.witness(higher);
                self.unanswered.remove(&from);
                self.denied.insert(from);
            }
            (Stage::Measuring { .. }, Reply::Report(report)) if report.view == self.view => {
                self.unanswered.remove(&from);
                self.measured(report.root);
            }
            (Stage::Introducing { .. }, Reply::Report(_)) => {
                self.unanswered.remove(&from);
            }
            (Stage::Deciding { .. }, Reply::Decided) => {
                self.unanswered.remove(&from);
                self.serving.insert(from);
            }
            (Stage::Installing, Reply::Report(report)) => {
                self.unanswered.remove(&from);
                self.installed(from, report.standing, report.view);
            }
            _ => {}
        }
    }

    fn handle_stale(&mut self, view: View) {
        match &self.decided {
            Some(decided) if view.epoch <= decided.epoch => {}
            _ => self.finish(Outcome::Superseded(view)),
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.outbox.clear();
        self.transfers.clear();
    }

    /// Starts a stage in which each of `requests` is sent until it is answered.
    fn enter(&mut self, stage: Stage, requests: BTreeMap<NodeId, Request>, now: Instant) {
        (self.stage, self.stage_since) = (stage, now);
        self.round += 1;
        self.unanswered = requests;
        self.denied.clear();
        self.resend(now);
    }

    fn resend(&mut self, now: Instant) {
        self.sent_at = now;
        for (to, request) in &self.unanswered {
            let request = RegisterRequest::View(request.clone());
            let envelope = Envelope { partition: self.partition, epoch: self.view.epoch, request };
            self.outbox.push_back(Transmit { to: *to, round: self.round, envelope });
        }
    }

    fn transfer(&mut self, source: NodeId, target: NodeId, mode: Mode, guard: Guard, now: Instant) {
        let side = |node| Side { node, epoch: self.view.epoch };
        self.channels += 1;
        let transfer = Transfer::new(self.partition, side(source), side(target), mode, guard, now);
        self.transfers.insert(self.channels, transfer);
    }

    fn quorum_of_present(&self, nodes: &BTreeSet<NodeId>) -> bool {
        self.view.members.iter().filter(|member| nodes.contains(member)).count() >= self.needed
    }
}

/// A majority of `members` is among `nodes`.
fn is_quorum(members: &[NodeId], nodes: &BTreeSet<NodeId>) -> bool {
    members.iter().filter(|member| nodes.contains(member)).count() > members.len() / 2
}
