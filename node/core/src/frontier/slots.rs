//! Slots: how many pages of a job may be fetched at once, by all nodes together.
//!
//! The owner of the job's partition keeps a [`Desk`] that lends slots to nodes for a while, by durations only (Gray and
//! Cheriton's leases); a node keeps what it has in a [`Purse`] and fetches no more pages at once than that. What a node
//! says it keeps while it asks stays counted as its own until it says otherwise, so that the slots lent never exceed the
//! limit, whatever answers are late or lost. If a node dies, its slots run out; if the owner dies, its successor lends
//! none before the last of them has.
//!
//! Those who want more share by turns: each gets an equal part of what is wanted, and the odd slots go round.

mod purse;
#[cfg(test)]
mod tests;

pub use purse::{Next, Purse};

use crate::frontier::record::JobId;
use crate::id::NodeId;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// Slots are lent for so long.
const LOAN: Duration = Duration::from_secs(4);
/// Slots that cannot be shared equally go to the next node after this.
const ROUND: Duration = Duration::from_secs(2);

/// What a node asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The life of the node's process, and the place of the question among all that it asks: answers are as old as that.
    pub number: (u32, u64),
    /// So many slots it goes on using, whatever the answer.
    pub keep: u32,
    /// So many it could use; with nothing kept and nothing wanted, it leaves.
    pub wish: u32,
}

/// What a node is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loan {
    /// So many slots, those that it had included.
    pub slots: u32,
    /// For so long, from when it asked.
    pub lasts: Duration,
    /// There is less than all nodes want: what is not needed is to be given back soon.
    pub scarce: bool,
}

/// Who has the slots of jobs; kept by the owner of their partition, in memory.
#[derive(Debug)]
pub struct Desk {
    /// What an earlier owner has lent has run out then.
    opens_at: Instant,
    jobs: BTreeMap<JobId, BTreeMap<NodeId, Seat>>,
}

/// What a node has of a job's slots.
#[derive(Clone, Copy, Debug)]
struct Seat {
    /// It uses no more than these.
    held: u32,
    wish: u32,
    until: Instant,
    /// The last question that was heard.
    heard: (u32, u64),
}

impl Desk {
    /// A desk that lends nothing before `opens_at`.
    #[must_use]
    pub const fn new(opens_at: Instant) -> Self {
        Self { opens_at, jobs: BTreeMap::new() }
    }

    /// `node` asks for slots of `job`, which has `limit` of them, if there is a limit. `owned_until`: this desk's word
    /// counts until then. `None`: ask again; nothing was lent, and nothing taken back.
    pub fn handle_ask(
        &mut self,
        job: JobId,
        node: NodeId,
        ask: Ask,
        limit: Option<u32>,
        owned_until: Instant,
        now: Instant,
    ) -> Option<Loan> {
        if now < self.opens_at {
            return None;
        }
        self.jobs.retain(|_, seats| {
            seats.retain(|_, seat| seat.until > now);
            !seats.is_empty()
        });
        let seats = self.jobs.entry(job).or_default();
        let before = seats.get(&node).copied();
        if before.is_some_and(|seat| seat.heard >= ask.number) {
            return None;
        }
        let limit = limit.unwrap_or(u32::MAX);
        let lasts = LOAN.min(owned_until.since(now));
        // What it had and has run out is not its own any more, whatever it says.
        let kept = ask.keep.min(before.map_or(0, |seat| seat.held));
        let until = before.map_or(now, |seat| seat.until).max(now + lasts);
        seats.insert(node, Seat { held: kept, wish: ask.wish, until, heard: ask.number });
        let held_by_others = seats.iter().filter(|(other, _)| **other != node).map(|(_, seat)| seat.held);
        let free = held_by_others.fold(limit, u32::saturating_sub);
        let slots = share(seats, node, limit, now).min(free);
        let scarce = seats.values().fold(0_u32, |sum, seat| sum.saturating_add(seat.wish)) > limit;
        if slots.max(kept) == 0 && ask.wish == 0 {
            seats.remove(&node);
        } else if let Some(seat) = seats.get_mut(&node) {
            seat.held = slots.max(kept);
        }
        Some(Loan { slots, lasts, scarce })
    }
}

/// The slots that `node` has a right to now: no more than it wishes for, and as many as anybody else who wishes for more.
fn share(seats: &BTreeMap<NodeId, Seat>, node: NodeId, limit: u32, now: Instant) -> u32 {
    let mut shares: BTreeMap<NodeId, u32> = BTreeMap::new();
    let mut left = limit;
    loop {
        let share = |id: &NodeId| shares.get(id).copied().unwrap_or(0);
        let hungry: Vec<NodeId> = seats.iter().filter(|(id, seat)| seat.wish > share(id)).map(|(id, _)| *id).collect();
        let count = u32::try_from(hungry.len()).unwrap_or(u32::MAX);
        if count == 0 || left == 0 {
            return share(&node);
        }
        let each = left / count;
        if each == 0 {
            let round = usize::try_from(now.0.as_nanos() / ROUND.as_nanos()).unwrap_or(0);
            let lucky = (0..left as usize).map(|place| hungry[(round + place) % hungry.len()]);
            return share(&node) + u32::from(lucky.into_iter().any(|id| id == node));
        }
        for id in hungry {
            let known = shares.entry(id).or_default();
            let more = each.min(seats[&id].wish - *known);
            *known += more;
            left -= more;
        }
    }
}
