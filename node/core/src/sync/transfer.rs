//! Brings one copy of a partition up to another, page by page in the order of names.
//!
//! Both sides list names and ballots; what differs is fetched from the source and adopted by the target. Names never
//! vanish within an epoch, and every entry stands for itself, so that a source may go on serving meanwhile: the
//! target ends with all that the source held when the transfer began, or later versions of it.

use crate::id::{NodeId, Partition};
use crate::register::message::{Envelope, Reply, Request};
use crate::register::proposal::Transmit;
use crate::register::{Accepted, Ballot};
use crate::time::Instant;
use crate::view::message::{self, Guard, MAX_NAMES, Report};
use crate::view::{Epoch, View};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// A side that has not answered is asked again after this long ...
const RESEND_AFTER: Duration = Duration::from_millis(200);
/// ... and the transfer fails after so many askings of one thing.
const MAX_ASKINGS: u32 = 10;
/// Names listed, fetched and adopted at a time.
const PAGE: usize = MAX_NAMES / 2;
/// Most bytes of contents adopted at a time.
const ADOPT_BYTES: usize = 8 * 1024 * 1024;

/// What the target is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Exactly the source: entries that the source does not have are removed.
    Exact,
    /// The newer of both, entry by entry; nothing is removed.
    Newer,
}

/// One of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Who holds it.
    pub node: NodeId,
    /// The epoch in which it is asked.
    pub epoch: Epoch,
}

/// Why a transfer ended early. What was adopted stays; the target only came nearer to the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// A side knows a newer view.
    Stale(View),
    /// A side does not answer, or cannot in its present standing.
    Unavailable,
}

/// One side's listing, as far as it was read.
#[derive(Debug, Default)]
struct Listing {
    page: VecDeque<(Vec<u8>, Ballot)>,
    /// Everything up to here is in `page` or was dealt with; `None` before the first page.
    read_to: Option<Vec<u8>>,
    complete: bool,
    asked: bool,
}

impl Listing {
    fn is_wanted(&self) -> bool {
        self.page.is_empty() && !self.complete
    }
}

#[derive(Debug)]
enum Step {
    Listing,
    Fetching { names: VecDeque<(Vec<u8>, Ballot)>, remove: Vec<Vec<u8>>, entries: Vec<(Vec<u8>, Accepted)> },
    Adopting { left: VecDeque<(Vec<u8>, Ballot)> },
}

/// A transfer in progress; drain [`Transfer::poll_transmit`] after each `handle_*`.
#[derive(Debug)]
pub struct Transfer {
    partition: Partition,
    source: Side,
    target: Side,
    mode: Mode,
    guard: Guard,
    listings: [Listing; 2],
    step: Step,
    round: u64,
    askings: u32,
    resend_at: Instant,
    outbox: VecDeque<Transmit>,
    /// What is to be asked again.
    pending: Vec<(NodeId, Envelope)>,
    root: Option<Report>,
    outcome: Option<Result<Option<Report>, Interrupted>>,
    bytes: u64,
}

impl Transfer {
    /// Starts to bring `target` up to `source`; the target takes entries under `guard`.
    #[must_use]
    pub fn new(partition: Partition, source: Side, target: Side, mode: Mode, guard: Guard, now: Instant) -> Self {
        let mut transfer = Self {
            partition,
            source,
            target,
            mode,
            guard,
            listings: Default::default(),
            step: Step::Listing,
            round: 0,
            askings: 0,
            resend_at: now,
            outbox: VecDeque::new(),
            pending: Vec::new(),
            root: None,
            outcome: None,
            bytes: 0,
        };
        transfer.go_on(now);
        transfer
    }

    /// The next request to send; ask until `None`.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// When to call [`Transfer::handle_timeout`] unless an answer comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.resend_at
    }

    /// How it ended, as soon as it has: with the target's last report, `None` if nothing had to be adopted.
    #[must_use]
    pub fn poll_outcome(&self) -> Option<&Result<Option<Report>, Interrupted>> {
        self.outcome.as_ref()
    }

    /// Whose copy is brought up.
    #[must_use]
    pub const fn target(&self) -> NodeId {
        self.target.node
    }

    /// Bytes of contents handed over so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// An answer to the request of `round`.
    pub fn handle_reply(&mut self, from: NodeId, round: u64, reply: Reply, now: Instant) {
        if round != self.round || self.outcome.is_some() {
            return;
        }
        let reply = match reply {
            Reply::View(reply) => reply,
            Reply::Stale(view) => return self.interrupt(Interrupted::Stale(view)),
            Reply::Refused => return self.interrupt(Interrupted::Unavailable),
            // Asked again when it is time.
            _ => return,
        };
        match (&mut self.step, reply) {
            // Another proposer has overtaken ours: nothing was taken over.
            (_, message::Reply::Denied(_)) => self.interrupt(Interrupted::Unavailable),
            (Step::Listing, message::Reply::List { entries, next }) => self.handle_list(from, entries, next, now),
            (Step::Fetching { .. }, message::Reply::Fetch(entries)) if from == self.source.node => {
                self.handle_fetched(entries, now);
            }
            (Step::Adopting { left }, message::Reply::Report(report)) if from == self.target.node => {
                let left = std::mem::take(left);
                self.root = Some(report);
                self.fetch(left, Vec::new(), now);
            }
            _ => {}
        }
    }

    /// Time has passed: asks again, or gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.outcome.is_some() || now < self.resend_at {
            return;
        }
        self.askings += 1;
        if self.askings >= MAX_ASKINGS {
            return self.interrupt(Interrupted::Unavailable);
        }
        self.resend_at = now + RESEND_AFTER;
        let again = self.pending.iter().cloned();
        let round = self.round;
        self.outbox.extend(again.map(|(to, envelope)| Transmit { to, round, envelope }));
    }

    fn interrupt(&mut self, why: Interrupted) {
        self.outcome = Some(Err(why));
        self.outbox.clear();
    }

    fn ask(&mut self, requests: Vec<(Side, message::Request)>, now: Instant) {
        self.round += 1;
        self.askings = 0;
        self.resend_at = now + RESEND_AFTER;
        let partition = self.partition;
        let envelope = |(side, request): (Side, message::Request)| {
            (side.node, Envelope { partition, epoch: side.epoch, request: Request::View(request) })
        };
        self.pending = requests.into_iter().map(envelope).collect();
        let round = self.round;
        self.outbox.extend(self.pending.iter().cloned().map(|(to, envelope)| Transmit { to, round, envelope }));
    }

    /// Lists what is not known yet, or compares what is.
    fn go_on(&mut self, now: Instant) {
        self.step = Step::Listing;
        let mut requests = Vec::new();
        for (side, listing) in [self.source, self.target].into_iter().zip(&mut self.listings) {
            listing.asked = listing.is_wanted();
            if listing.asked {
                requests.push((side, message::Request::List { after: listing.read_to.clone(), limit: PAGE }));
            }
        }
        if requests.is_empty() { self.compare(now) } else { self.ask(requests, now) }
    }

    fn handle_list(&mut self, from: NodeId, entries: Vec<(Vec<u8>, Ballot)>, next: Option<Vec<u8>>, now: Instant) {
        let index = usize::from(from != self.source.node);
        let listing = &mut self.listings[index];
        if !std::mem::replace(&mut listing.asked, false) {
            return;
        }
        listing.page.extend(entries);
        listing.complete = next.is_none();
        listing.read_to = next.or(listing.read_to.take());
        self.pending.retain(|(node, _)| *node != from);
        if self.listings.iter().all(|listing| !listing.asked) {
            self.compare(now);
        }
    }

    /// Walks both listings side by side, as far as both are known.
    fn compare(&mut self, now: Instant) {
        let horizon = self.listings.iter().filter(|listing| !listing.complete).map(|listing| listing.read_to.clone());
        let horizon = horizon.min();
        let within = |entry: Option<&(Vec<u8>, Ballot)>| {
            entry.is_some_and(|(name, _)| horizon.as_ref().is_none_or(|horizon| Some(name) <= horizon.as_ref()))
        };
        let (mut names, mut remove) = (VecDeque::new(), Vec::new());
        let [source, target] = &mut self.listings;
        while names.len() < PAGE && remove.len() < PAGE {
            let (has_source, has_target) = (within(source.page.front()), within(target.page.front()));
            let order = match (source.page.front(), target.page.front()) {
                (Some((ours, _)), Some((theirs, _))) if has_source && has_target => ours.cmp(theirs),
                _ if has_source => std::cmp::Ordering::Less,
                _ if has_target => std::cmp::Ordering::Greater,
                _ => break,
            };
            let ours = if order.is_le() { source.page.pop_front() } else { None };
            let theirs = if order.is_ge() { target.page.pop_front() } else { None };
            match (ours, theirs) {
                (Some((_, ours)), Some((_, theirs))) if ours == theirs => {}
                (Some((_, ours)), Some((_, theirs))) if self.mode == Mode::Newer && ours < theirs => {}
                (Some(entry), _) => names.push_back(entry),
                (None, Some((name, _))) if self.mode == Mode::Exact => remove.push(name),
                _ => {}
            }
        }
        self.fetch(names, remove, now);
    }

    fn fetch(&mut self, names: VecDeque<(Vec<u8>, Ballot)>, remove: Vec<Vec<u8>>, now: Instant) {
        if names.is_empty() {
            return self.adopt(names, remove, Vec::new(), now);
        }
        let wanted = names.iter().map(|(name, _)| name.clone()).collect();
        self.step = Step::Fetching { names, remove, entries: Vec::new() };
        self.ask(vec![(self.source, message::Request::Fetch { names: wanted })], now);
    }

    fn handle_fetched(&mut self, found: Vec<Accepted>, now: Instant) {
        let Step::Fetching { names, remove, entries } = &mut self.step else { return };
        if found.is_empty() || found.len() > names.len() {
            return self.interrupt(Interrupted::Unavailable);
        }
        let mut bytes = 0;
        for accepted in found {
            let content = accepted.value.as_ref().and_then(|value| value.content.as_ref()).map_or(0, Bytes::len);
            if !entries.is_empty() && bytes + content > ADOPT_BYTES {
                break;
            }
            bytes += content;
            if let Some((name, _)) = names.pop_front() {
                entries.push((name, accepted));
            }
        }
        self.bytes += bytes as u64;
        let (left, remove, entries) = (std::mem::take(names), std::mem::take(remove), std::mem::take(entries));
        self.adopt(left, remove, entries, now);
    }

    fn adopt(
        &mut self,
        left: VecDeque<(Vec<u8>, Ballot)>,
        remove: Vec<Vec<u8>>,
        entries: Vec<(Vec<u8>, Accepted)>,
        now: Instant,
    ) {
        // A register that vanished at the source was only promised.
        let entries: Vec<_> = entries.into_iter().filter(|(_, accepted)| accepted.ballot.is_usable()).collect();
        if !remove.is_empty() || !entries.is_empty() {
            self.step = Step::Adopting { left };
            return self.ask(vec![(self.target, message::Request::Adopt { guard: self.guard, remove, entries })], now);
        }
        if !left.is_empty() {
            return self.fetch(left, Vec::new(), now);
        }
        let done = self.listings.iter().all(|listing| listing.complete && listing.page.is_empty());
        if done {
            self.outcome = Some(Ok(self.root.take()));
        } else {
            self.go_on(now);
        }
    }
}
