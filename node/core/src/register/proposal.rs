//! One batch of changes or reads on its way through the members of a view.
//!
//! The keys share a partition and a ballot, and are judged one by one. The rules, each of which the simulator
//! shows to matter:
//! - a read answers after one round only if a majority accepted the same ballot;
//! - a change always writes back in the second round, also when its precondition failed;
//! - once an accept was sent, a mutation that lost to a rival is repeated only if the register shows that it was not
//!   done and cannot be any more ([`settle`]); one that nobody answered is [`Outcome::Indeterminate`];
//! - the same accept may be sent again: it is the same ballot and the same value;
//! - a newer view is asked from the beginning; what was sent to be accepted in the old one is not repeated.
//!
//! A batch whose values are too large for one answer is prepared, and so decided, in several pieces.

mod change;
mod round;
mod settle;

pub use change::{BallotClock, Change, Outcome};

use super::message::{Envelope, MAX_KEYS, Reply, Request};
use crate::dice::Jitter;
use crate::id::{Key, NodeId, OperationId, Partition};
use crate::time::Instant;
use crate::view::View;
use change::decide;
use round::{Round, Stage};
use settle::Sent;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Unanswered members are asked again after this long, and then after twice as long each time ...
pub const RESEND_AFTER: Duration = Duration::from_millis(100);
/// ... so many times: whoever is slow is not made slower by being asked again.
const RESEND_DOUBLINGS: u32 = 4;
/// The pause after a lost race is drawn from twice as long a span each time, from this ...
const BACKOFF_MIN: Duration = Duration::from_millis(2);
/// ... up to this.
const BACKOFF_MAX: Duration = Duration::from_millis(256);

/// One key of a batch and what is to be done with it.
#[derive(Clone, Debug)]
pub struct Item {
    /// A key of the batch's partition, distinct from the others.
    pub key: Key,
    /// What is to be done.
    pub change: Change,
    /// Names this attempt in the value that it writes.
    pub operation: OperationId,
}

/// A request to be sent to a member. Its answer belongs to [`Proposal::handle_reply`] with the same `round`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The member.
    pub to: NodeId,
    /// Tells late answers from answers to the present round.
    pub round: u64,
    /// The request.
    pub envelope: Envelope,
}

/// A batch of changes or reads in progress.
///
/// After every `handle_*`, and whenever [`Proposal::poll_timeout`] has passed, drain
/// [`Proposal::poll_transmit`] and ask [`Proposal::poll_outcomes`].
#[derive(Debug)]
pub struct Proposal {
    view: View,
    /// A member knows this one.
    newer: Option<View>,
    partition: Partition,
    clock: Arc<BallotClock>,
    items: Vec<Item>,
    outcomes: Vec<Option<Outcome>>,
    /// What was sent to be accepted in this view and lost to a rival, by item.
    sent: Vec<Option<Sent>>,
    round: Option<Round>,
    rounds: u64,
    resume_at: Instant,
    attempts: u32,
    deadline: Instant,
    jitter: Jitter,
    outbox: VecDeque<Transmit>,
}

impl Proposal {
    /// Starts a batch of 1 to [`MAX_KEYS`] items on the members of `view`.
    ///
    /// The keys are distinct: members refuse a batch that names one twice.
    /// At `deadline` what is not settled becomes [`Outcome::Unavailable`] or [`Outcome::Indeterminate`].
    /// `seed` spreads the pauses of rivals; any number will do.
    #[must_use]
    pub fn new(
        view: View,
        partition: Partition,
        items: Vec<Item>,
        clock: Arc<BallotClock>,
        now: Instant,
        deadline: Instant,
        seed: u64,
    ) -> Self {
        debug_assert!(
            (1..=MAX_KEYS).contains(&items.len()) && items.iter().all(|item| item.key.partition == partition)
        );
        debug_assert!(are_distinct(&items), "a batch names a key twice");
        let (outcomes, sent) = (vec![None; items.len()], vec![None; items.len()]);
        let reads_only = items.iter().all(|item| matches!(item.change, Change::Read));
        let mut proposal = Self {
            view,
            newer: None,
            partition,
            clock,
            items,
            outcomes,
            sent,
            round: None,
            rounds: 0,
            resume_at: now,
            attempts: 0,
            deadline,
            jitter: Jitter::new(seed),
            outbox: VecDeque::new(),
        };
        if reads_only {
            proposal.start_reading(now)
        } else {
            proposal.start_preparing(now)
        }
        proposal
    }

    /// The next request to send; ask until `None`.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// When to call [`Proposal::handle_timeout`] unless an answer comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let next = self
            .round
            .as_ref()
            .map_or(self.resume_at, |round| round.sent_at + RESEND_AFTER * (1 << round.resends.min(RESEND_DOUBLINGS)));
        next.min(self.deadline)
    }

    /// A newer view than the proposal was given, if a member knew one.
    #[must_use]
    pub fn view(&self) -> &View {
        self.newer.as_ref().unwrap_or(&self.view)
    }

    /// One outcome an item, in the order of the items, as soon as all are known.
    #[must_use]
    pub fn poll_outcomes(&self) -> Option<Vec<Outcome>> {
        self.outcomes.iter().cloned().collect()
    }

    /// A member's answer to the request of `round`.
    pub fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
        if !self.view.members.contains(&from) {
            return;
        }
        let Some(current) = self.round.as_mut().filter(|current| current.number == round) else { return };
        match &reply {
            // Asked again when it is time.
            Reply::NotReady => return,
            Reply::Stale(view) if view.epoch > self.view.epoch => self.newer = Some(view.clone()),
            _ => {}
        }
        if current.stage != Stage::Accepting && self.newer.is_some() {
            // Nothing of this round was asked to be accepted yet: the newer view is asked instead.
            return self.start_over(now);
        }
        if let Some(highest) = current.record(from, reply) {
            self.clock.witness(highest);
        }
        let Some(current) = &self.round else { return };
        if current.refused.len() <= self.view.members.len() - self.view.quorum() {
            self.advance(false, now);
        } else if current.stage == Stage::Reading {
            // More than one answer may carry; a prepare is answered in pieces.
            self.start_preparing(now);
        } else if self.newer.is_some() {
            // Too few are left in the old view: what may have been accepted there is not repeated, the rest is.
            self.note_sent();
            self.start_over(now);
        } else {
            self.give_up();
        }
    }

    /// Asks the newer view for what is still open and was not asked to be accepted in the old one.
    fn start_over(&mut self, now: Instant) {
        self.outbox.clear();
        self.round = None;
        for index in self.open_items() {
            self.outcomes[index] = self.sent[index].is_some().then_some(Outcome::Indeterminate);
        }
        if !self.open_items().is_empty() {
            self.back_off(now);
        }
    }

    /// Keeps in mind what the present round has asked to be accepted.
    fn note_sent(&mut self) {
        let Some(Round { stage: Stage::Accepting, items, request, planned, .. }) = &self.round else { return };
        let Request::Accept { ballot, .. } = request else { return };
        for (index, decision) in items.iter().zip(planned).filter(|(_, decision)| decision.mutates) {
            Sent::add(&mut self.sent[*index], decision.value.as_ref(), *ballot);
        }
    }

    /// Time has passed: asks silent members again, starts the next attempt, or gives up at the deadline.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_outcomes().is_some() {
            return;
        }
        if now >= self.deadline {
            self.give_up();
        } else if self.round.is_none() {
            if now >= self.resume_at {
                self.start_preparing(now);
            }
        } else if now >= self.poll_timeout() {
            let before = self.rounds;
            self.advance(true, now);
            if self.rounds == before {
                if let Some(round) = &mut self.round {
                    round.resends += 1;
                }
                self.resend(now);
            }
        }
    }

    fn open_items(&self) -> Vec<usize> {
        (0..self.items.len()).filter(|index| self.outcomes[*index].is_none()).collect()
    }

    fn start_reading(&mut self, now: Instant) {
        let items = self.open_items();
        let keys = items.iter().map(|index| self.items[*index].key.clone()).collect();
        self.start_round(Stage::Reading, items, Request::Read { keys }, now);
    }

    fn start_preparing(&mut self, now: Instant) {
        if let Some(newer) = self.newer.take() {
            self.view = newer;
        }
        let items = self.open_items();
        let ballot = self.clock.next();
        let keys = items.iter().map(|index| self.items[*index].key.clone()).collect();
        self.start_round(Stage::Preparing, items, Request::Prepare { ballot, keys }, now);
    }

    fn start_round(&mut self, stage: Stage, items: Vec<usize>, request: Request, now: Instant) {
        self.rounds += 1;
        self.round = Some(Round::new(self.rounds, stage, items, request, now));
        self.resend(now);
    }

    /// Sends the round's request to every member that has not answered it.
    fn resend(&mut self, now: Instant) {
        let Some(round) = &mut self.round else { return };
        round.sent_at = now;
        for member in self.view.members.iter().filter(|member| !round.replied.contains(member)) {
            let envelope =
                Envelope { partition: self.partition, epoch: self.view.epoch, request: round.request.clone() };
            self.outbox.push_back(Transmit { to: *member, round: round.number, envelope });
        }
    }

    /// Goes on to the next round where the present one has said all it can, or all it is waited for.
    fn advance(&mut self, waited_long_enough: bool, now: Instant) {
        let Some(round) = &self.round else { return };
        let all_replied = round.replied.len() + round.refused.len() == self.view.members.len();
        match round.stage {
            Stage::Reading => self.advance_reading(waited_long_enough || all_replied, now),
            Stage::Preparing => self.advance_preparing(waited_long_enough || all_replied, now),
            Stage::Accepting => self.advance_accepting(all_replied, now),
        }
    }

    fn advance_reading(&mut self, no_more_answers: bool, now: Instant) {
        let Some(round) = &self.round else { return };
        let quorum = self.view.quorum();
        for (position, index) in round.items.iter().enumerate() {
            if let Some(agreed) = round.tallies[position].agreed(quorum) {
                self.outcomes[*index] = Some(Outcome::Done { value: agreed.value.clone(), replaced: false });
            }
        }
        let undecided = self.outcomes.iter().any(Option::is_none);
        if !undecided {
            self.round = None;
        } else if no_more_answers && round.replied.len() >= quorum {
            self.start_preparing(now);
        }
    }

    fn advance_preparing(&mut self, no_more_answers: bool, now: Instant) {
        let Some(round) = &self.round else { return };
        let (quorum, members) = (self.view.quorum(), self.view.members.len());
        let decided = round.tallies.iter().all(|tally| tally.granted >= quorum || tally.denied > members - quorum);
        let ready = round.tallies.iter().any(|tally| tally.granted >= quorum);
        let silent = round.replied.len() < quorum;
        if !decided && (!no_more_answers || silent) {
            return;
        }
        if ready { self.start_accepting(now) } else { self.back_off(now) }
    }

    fn start_accepting(&mut self, now: Instant) {
        let Some(round) = self.round.take() else { return };
        let Request::Prepare { ballot, .. } = round.request else { return };
        let (mut items, mut writes, mut planned) = (Vec::new(), Vec::new(), Vec::new());
        for (position, index) in round.items.iter().enumerate() {
            let tally = &round.tallies[position];
            if tally.granted < self.view.quorum() {
                continue;
            }
            let (item, current) = (&self.items[*index], tally.newest.value.as_ref());
            let decision = decide(&item.change, item.operation, current, self.view.epoch);
            if let Some(sent) = &mut self.sent[*index] {
                let chosen = tally.agreed(self.view.quorum()).map(|chosen| chosen.ballot);
                if !sent.allows(&decision, item.operation, current, chosen, self.view.epoch) {
                    self.outcomes[*index] = Some(Outcome::Indeterminate);
                    continue;
                }
            }
            items.push(*index);
            writes.push((item.key.clone(), decision.value.clone()));
            planned.push(decision);
        }
        if items.is_empty() {
            // What is left is unknown, or lost its race before it sent anything.
            return if self.open_items().is_empty() { self.outbox.clear() } else { self.back_off(now) };
        }
        self.start_round(Stage::Accepting, items, Request::Accept { ballot, writes }, now);
        if let Some(round) = &mut self.round {
            round.planned = planned;
        }
    }

    fn advance_accepting(&mut self, no_more_answers: bool, now: Instant) {
        let Some(round) = &self.round else { return };
        let (quorum, members) = (self.view.quorum(), self.view.members.len());
        let mut waiting = false;
        for (position, index) in round.items.iter().enumerate() {
            let (tally, decision) = (&round.tallies[position], &round.planned[position]);
            if tally.granted >= quorum {
                self.outcomes[*index] = Some(decision.outcome());
            } else if tally.denied <= members - quorum && !no_more_answers {
                waiting = true;
            }
        }
        if waiting {
            return;
        }
        // Some replica may hold what lost: the next round sees whether it counts.
        self.note_sent();
        self.round = None;
        if self.outcomes.iter().any(Option::is_none) {
            self.back_off(now);
        }
    }

    fn back_off(&mut self, now: Instant) {
        self.round = None;
        let span = BACKOFF_MIN.saturating_mul(1 << self.attempts.min(16)).min(BACKOFF_MAX);
        self.attempts += 1;
        self.resume_at = now + span.mul_f64(self.jitter.next());
    }

    fn give_up(&mut self) {
        self.note_sent();
        self.round = None;
        for index in self.open_items() {
            let unknown = self.sent[index].is_some();
            self.outcomes[index] = Some(if unknown { Outcome::Indeterminate } else { Outcome::Unavailable });
        }
        self.outbox.clear();
    }
}

fn are_distinct(items: &[Item]) -> bool {
    items.iter().map(|item| &item.key).collect::<BTreeSet<_>>().len() == items.len()
}

#[cfg(test)]
mod tests;
