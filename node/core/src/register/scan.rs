//! Reading a range by quorum: every entry that a majority holds alike, and the keys on which members differ.
//!
//! A key that differs is not decided here: the caller reads it through a [`super::Proposal`], which writes back.
//! Together that is a linearizable read of each entry (not of the range as one snapshot).

use super::message::{Accepted, Envelope, Reply, Request};
use super::{Ballot, Versioned};
use crate::id::{Key, NodeId, Partition};
use crate::time::Instant;
use crate::view::View;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One page of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries on which a majority agrees, ascending. Tombstones are left out.
    pub agreed: Vec<(Key, Versioned)>,
    /// Keys on which the members that answered differ.
    pub disputed: Vec<Key>,
    /// Go on after this name; `None` if the range ends here.
    pub next: Option<Vec<u8>>,
}

/// A member's entries, ascending, and whether no more follow.
type Answer = (Vec<(Vec<u8>, Accepted)>, bool);

/// A page of a range being read from the members of a view.
#[derive(Debug)]
pub struct Scan {
    view: View,
    partition: Partition,
    request: Request,
    replies: BTreeMap<NodeId, Answer>,
    refused: BTreeSet<NodeId>,
    newer: Option<View>,
    resend_at: Instant,
    outbox: VecDeque<(NodeId, Envelope)>,
}

impl Scan {
    /// Starts reading at most `limit` entries of `partition` whose names begin with `prefix` and are greater than `after`.
    #[must_use]
    pub fn new(
        view: View,
        partition: Partition,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        limit: usize,
        now: Instant,
    ) -> Self {
        let request = Request::Scan { prefix, after, limit };
        let mut scan = Self {
            view,
            partition,
            request,
            replies: BTreeMap::new(),
            refused: BTreeSet::new(),
            newer: None,
            resend_at: now,
            outbox: VecDeque::new(),
        };
        scan.handle_timeout(now);
        scan
    }

    /// The next request to send; ask until `None`.
    pub fn poll_transmit(&mut self) -> Option<(NodeId, Envelope)> {
        self.outbox.pop_front()
    }

    /// When to call [`Scan::handle_timeout`] unless the page is there.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.resend_at
    }

    /// Asks silent members again.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.resend_at = now + super::proposal::RESEND_AFTER;
        for member in self.view.members.iter().filter(|member| !self.replies.contains_key(member)) {
            let envelope =
                Envelope { partition: self.partition, epoch: self.view.epoch, request: self.request.clone() };
            self.outbox.push_back((*member, envelope));
        }
    }

    /// A member's answer.
    pub fn handle_reply(&mut self, from: NodeId, reply: Reply) {
        if !self.view.members.contains(&from) || self.replies.len() >= self.view.quorum() {
            return;
        }
        match reply {
            Reply::Scan { entries, complete } => {
                self.replies.insert(from, (entries, complete));
            }
            // Asked again when it is time.
            Reply::NotReady => {}
            Reply::Stale(view) if view.epoch > self.view.epoch => self.newer = Some(view),
            _ => {
                self.refused.insert(from);
            }
        }
    }

    /// A newer view that a member knows: the page is to be read there, by a scan of its own.
    #[must_use]
    pub fn newer_view(&self) -> Option<&View> {
        self.newer.as_ref()
    }

    /// Whether so many members refused that no majority is left.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused.len() > self.view.members.len() - self.view.quorum()
    }

    /// The page, as soon as a majority has answered.
    #[must_use]
    pub fn poll_page(&self) -> Option<Page> {
        let quorum = self.view.quorum();
        if self.replies.len() < quorum {
            return None;
        }
        // A member whose page was cut short has said nothing about what lies behind its last entry.
        let cut =
            |(entries, complete): &Answer| (!complete).then(|| entries.last().map(|(name, _)| name.clone())).flatten();
        let horizon = self.replies.values().filter_map(cut).min();
        let mut held: BTreeMap<&[u8], Vec<&Accepted>> = BTreeMap::new();
        for (name, accepted) in self.replies.values().flat_map(|(entries, _)| entries) {
            if horizon.as_ref().is_none_or(|horizon| name <= horizon) {
                held.entry(name).or_default().push(accepted);
            }
        }
        let (mut agreed, mut disputed) = (Vec::new(), Vec::new());
        for (name, accepted) in held {
            let key = Key::new(self.partition, name);
            match unanimous(&accepted, quorum) {
                Some(Some(value)) if value.content.is_some() => agreed.push((key, value.clone())),
                Some(_) => {}
                None => disputed.push(key),
            }
        }
        Some(Page { agreed, disputed, next: horizon })
    }
}

/// What all of `quorum` members hold: `None` if they differ.
fn unanimous<'a>(accepted: &[&'a Accepted], quorum: usize) -> Option<Option<&'a Versioned>> {
    let first = accepted.first()?;
    let same = accepted.iter().all(|other| other.ballot == first.ballot);
    let complete = accepted.len() == quorum || first.ballot == Ballot::default();
    (same && complete).then_some(first.value.as_ref())
}
