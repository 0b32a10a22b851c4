//! One address that many hosts may share: its limits hold over all nodes, by turns.
//!
//! A node that wants to visit an address first becomes its *holder*. Who holds it is decided by the [`Desk`] of the
//! owner of the address's partition; a turn lasts for a while and is given by durations only (Gray and Cheriton's
//! leases). The holder paces its own requests with a [`Gate`] and says at the end how long the address is to be left
//! alone, so that the pace goes on across turns. If a holder dies, its turn runs out first.

use crate::frontier::record::JobId;
use crate::id::{NodeId, Partition};
use crate::time::Instant;
use core::net::IpAddr;
use std::collections::BTreeMap;
use std::time::Duration;

/// A turn lasts so long unless it is renewed.
const TURN: Duration = Duration::from_secs(4);
/// A wish that nobody has repeated for so long holds no longer.
const WISH_LIFETIME: Duration = Duration::from_secs(60);
/// Who asks for an address in vain may ask again after this.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Who has not asked for so long is not waiting any more.
const WAITING: Duration = Duration::from_millis(800);
/// Addresses of which a desk remembers who had them; more are forgotten once their turns are over.
const REMEMBERED: usize = 10_000;

/// Where it is decided who holds an address.
#[must_use]
pub fn address_partition(address: IpAddr) -> Partition {
    Partition::of(format!("ip/{address}").as_bytes())
}

/// How gently an address is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shortest time from an answer to the next request.
    pub delay: Duration,
    /// Most requests in flight.
    pub concurrent: u32,
}

impl Limits {
    /// The gentler of each kind.
    #[must_use]
    pub fn gentlest(self, other: Self) -> Self {
        Self { delay: self.delay.max(other.delay), concurrent: self.concurrent.min(other.concurrent) }
    }
}

/// What a holder knows of the pace at its address.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    in_flight: u32,
    unanswered: u32,
    answered_at: Option<Instant>,
    opens_at: Instant,
    wishes: BTreeMap<JobId, (Limits, Instant)>,
    /// What jobs of other nodes wish.
    others: Option<(Limits, Instant)>,
}

/// Why a request cannot leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until then.
    Until(Instant),
    /// Until a request is answered, or ends.
    ForAnother,
}

impl Gate {
    /// The gate of a holder that has just become it: the address is to be left alone for `closed_for`.
    pub fn handle_turn(&mut self, closed_for: Duration, others: Limits, now: Instant) {
        self.opens_at = self.opens_at.max(now + closed_for);
        self.others = Some((others, now));
    }

    /// A request of `job` wants to leave; if it may, it has left.
    ///
    /// # Errors
    /// When to ask again.
    pub fn try_enter(&mut self, job: JobId, limits: Limits, now: Instant) -> Result<(), Wait> {
        self.wishes.retain(|_, (_, at)| now.since(*at) < WISH_LIFETIME);
        self.wishes.insert(job, (limits, now));
        let Limits { delay, concurrent } = self.limits(now).unwrap_or(limits);
        if self.in_flight >= concurrent.max(1) || (self.unanswered > 0 && !delay.is_zero()) {
            return Err(Wait::ForAnother);
        }
        let opens_at = self.answered_at.map_or(self.opens_at, |at| self.opens_at.max(at + delay));
        if opens_at > now {
            return Err(Wait::Until(opens_at));
        }
        self.in_flight += 1;
        self.unanswered += 1;
        Ok(())
    }

    /// A request was answered.
    pub fn handle_answer(&mut self, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.answered_at = self.answered_at.max(Some(now));
    }

    /// A request ended, answered before or not at all.
    pub fn handle_end(&mut self, answered: bool, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if !answered {
            self.handle_answer(now);
        }
    }

    /// Whether no request is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// The gentlest wish of all jobs that visit the address.
    #[must_use]
    pub fn limits(&self, now: Instant) -> Option<Limits> {
        let others = self.others.filter(|(_, at)| now.since(*at) < WISH_LIFETIME);
        self.own_wish().into_iter().chain(others.map(|(limits, _)| limits)).reduce(Limits::gentlest)
    }

    /// The gentlest wish of this node's jobs.
    #[must_use]
    pub fn own_wish(&self) -> Option<Limits> {
        self.wishes.values().map(|(limits, _)| *limits).reduce(Limits::gentlest)
    }

    /// How long the next holder is to leave the address alone.
    #[must_use]
    pub fn closed_for(&self, now: Instant) -> Duration {
        let delay = self.limits(now).map_or(Duration::ZERO, |limits| limits.delay);
        self.answered_at.map_or(self.opens_at, |at| self.opens_at.max(at + delay)).since(now)
    }
}

/// Who holds the addresses of one partition; kept by the partition's owner, in memory.
#[derive(Debug)]
pub struct Desk {
    /// Turns that an earlier owner has given are over then.
    opens_at: Instant,
    addresses: BTreeMap<IpAddr, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    holder: Option<(NodeId, Instant)>,
    /// Since when each node waits, and when it last asked.
    waiting: BTreeMap<NodeId, (Instant, Instant)>,
    closed_until: Instant,
    wishes: BTreeMap<NodeId, (Limits, Instant)>,
}

/// What a desk says to a node that asks for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is the holder.
    Given {
        /// For so long, from when it asked.
        lasts: Duration,
        /// The address is to be left alone for so long.
        closed_for: Duration,
        /// The gentlest wish of all nodes.
        limits: Limits,
        /// Another node waits: the holder is to come to an end.
        contended: bool,
    },
    /// Another one is; ask again after this.
    Taken(Duration),
}

impl Desk {
    /// A desk that gives no turn before `opens_at`.
    #[must_use]
    pub fn new(opens_at: Instant) -> Self {
        Self { opens_at, addresses: BTreeMap::new() }
    }

    /// `node` wants to hold `address`, or to go on holding it. `owned_until`: this desk's word counts until then.
    pub fn handle_ask(
        &mut self,
        address: IpAddr,
        node: NodeId,
        wish: Limits,
        owned_until: Instant,
        now: Instant,
    ) -> Turn {
        if now < self.opens_at {
            return Turn::Taken(self.opens_at.since(now).min(TURN));
        }
        self.forget(now);
        let entry = self.addresses.entry(address).or_default();
        entry.wishes.retain(|_, (_, at)| now.since(*at) < WISH_LIFETIME);
        entry.wishes.insert(node, (wish, now));
        entry.waiting.retain(|_, (_, asked)| now.since(*asked) < WAITING);
        entry.expire(now);
        let is_holder = entry.holder.is_some_and(|(holder, _)| holder == node);
        // Whoever asks in vain waits from then on.
        let is_first = is_holder || entry.is_first(node, now);
        if !is_holder && (entry.holder.is_some() || !is_first) {
            return Turn::Taken(ASK_AGAIN);
        }
        let lasts = TURN.min(owned_until.since(now));
        entry.waiting.remove(&node);
        entry.holder = Some((node, now + lasts));
        let limits = entry.limits().unwrap_or(wish);
        let contended = !entry.waiting.is_empty();
        Turn::Given { lasts, closed_for: entry.closed_until.since(now), limits, contended }
    }

    /// `node` no longer holds `address`, which is to be left alone for `closed_for`.
    pub fn handle_release(&mut self, address: IpAddr, node: NodeId, closed_for: Duration, now: Instant) {
        let Some(entry) = self.addresses.get_mut(&address) else { return };
        if entry.holder.is_some_and(|(holder, _)| holder == node) {
            entry.holder = None;
            entry.closed_until = entry.closed_until.max(now + closed_for);
        }
    }

    fn forget(&mut self, now: Instant) {
        if self.addresses.len() >= REMEMBERED {
            self.addresses.retain(|_, entry| {
                entry.expire(now);
                entry.holder.is_some() || !entry.waiting.is_empty() || entry.closed_until > now
            });
        }
    }
}

impl Entry {
    /// A turn that ran out may have seen a request until its end.
    fn expire(&mut self, now: Instant) {
        if let Some((_, until)) = self.holder.filter(|(_, until)| *until <= now) {
            let delay = self.limits().map_or(Duration::ZERO, |limits| limits.delay);
            self.closed_until = self.closed_until.max(until + delay);
            self.holder = None;
        }
    }

    fn limits(&self) -> Option<Limits> {
        self.wishes.values().map(|(limits, _)| *limits).reduce(Limits::gentlest)
    }

    /// Whether `node` has waited for the longest; it waits from now on if it did not before.
    fn is_first(&mut self, node: NodeId, now: Instant) -> bool {
        let (since, _) = *self.waiting.entry(node).and_modify(|(_, asked)| *asked = now).or_insert((now, now));
        !self.waiting.iter().any(|(other, (others, _))| (*others, *other) < (since, node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(core::net::Ipv4Addr::LOCALHOST);
    const JOB: JobId = JobId([1; 16]);
    const GENTLE: JobId = JobId([2; 16]);

    fn at(ms: u64) -> Instant {
        Instant(Duration::from_millis(ms))
    }

    fn limits(delay_ms: u64, concurrent: u32) -> Limits {
        Limits { delay: Duration::from_millis(delay_ms), concurrent }
    }

    fn node(name: &str) -> NodeId {
        NodeId::new(name, 1)
    }

    fn ask(desk: &mut Desk, name: &str, now: u64) -> Turn {
        desk.handle_ask(ADDRESS, node(name), limits(500, 2), at(1_000_000), at(now))
    }

    fn is_given(turn: Turn) -> bool {
        matches!(turn, Turn::Given { .. })
    }

    #[test]
    fn the_gap_and_the_number_of_open_requests_hold_over_all_jobs_of_the_holder() {
        let mut gate = Gate::default();
        assert_eq!(gate.try_enter(JOB, limits(0, 2), at(0)), Ok(()));
        assert_eq!(gate.try_enter(JOB, limits(0, 2), at(0)), Ok(()));
        assert_eq!(gate.try_enter(JOB, limits(0, 2), at(0)), Err(Wait::ForAnother));
        gate.handle_end(false, at(10));
        assert_eq!(gate.try_enter(GENTLE, limits(1_000, 4), at(10)), Err(Wait::ForAnother), "one is unanswered");
        gate.handle_end(false, at(20));
        assert_eq!(gate.try_enter(JOB, limits(0, 2), at(20)), Err(Wait::Until(at(1_020))), "the gentle job wishes it");
        assert_eq!(gate.try_enter(JOB, limits(0, 2), at(1_020)), Ok(()));
    }

    #[test]
    fn a_wish_that_nobody_repeats_runs_out() {
        let mut gate = Gate::default();
        gate.try_enter(GENTLE, limits(30_000, 1), at(0)).expect("the first");
        gate.handle_end(false, at(0));
        let later = at(0) + WISH_LIFETIME;
        assert_eq!(gate.try_enter(JOB, limits(0, 2), later), Ok(()));
        assert_eq!(gate.try_enter(JOB, limits(0, 2), later), Ok(()));
    }

    #[test]
    fn one_node_at_a_time_holds_an_address_and_the_pace_goes_on_across_turns() {
        let mut desk = Desk::new(at(0));
        assert!(is_given(ask(&mut desk, "a", 0)));
        assert_eq!(ask(&mut desk, "b", 10), Turn::Taken(ASK_AGAIN));
        let Turn::Given { contended, .. } = ask(&mut desk, "a", 20) else { panic!("the holder lost it") };
        assert!(contended);
        desk.handle_release(ADDRESS, node("b"), Duration::ZERO, at(30));
        assert!(!is_given(ask(&mut desk, "b", 30)), "only its holder gives it up");
        desk.handle_release(ADDRESS, node("a"), Duration::from_millis(400), at(100));
        assert!(!is_given(ask(&mut desk, "a", 101)), "who waits comes first");
        let Turn::Given { closed_for, .. } = ask(&mut desk, "b", 150) else { panic!("it is free") };
        assert_eq!(closed_for, Duration::from_millis(350));
    }

    #[test]
    fn the_turn_of_a_dead_holder_runs_out_and_the_gap_is_owed_from_its_end() {
        let mut desk = Desk::new(at(0));
        assert!(is_given(ask(&mut desk, "a", 0)));
        assert!(!is_given(ask(&mut desk, "b", 3_999)));
        let Turn::Given { closed_for, .. } = ask(&mut desk, "b", 4_000) else { panic!("it has run out") };
        assert_eq!(closed_for, Duration::from_millis(500));
    }

    #[test]
    fn a_turn_ends_before_the_desk_may_lose_its_partition() {
        let mut desk = Desk::new(at(0));
        let turn = desk.handle_ask(ADDRESS, node("a"), limits(0, 1), at(1_500), at(1_000));
        assert!(matches!(turn, Turn::Given { lasts, .. } if lasts == Duration::from_millis(500)), "{turn:?}");
    }

    #[test]
    fn a_new_desk_waits_until_turns_of_the_desk_before_are_over() {
        let mut desk = Desk::new(at(5_000));
        assert!(!is_given(ask(&mut desk, "a", 4_999)));
        assert!(is_given(ask(&mut desk, "a", 5_000)));
    }

    #[test]
    fn the_gentlest_wish_of_all_nodes_is_told_to_the_holder() {
        let mut desk = Desk::new(at(0));
        desk.handle_ask(ADDRESS, node("a"), limits(100, 8), at(9_000), at(0));
        desk.handle_ask(ADDRESS, node("b"), limits(900, 9), at(9_000), at(0));
        let turn = desk.handle_ask(ADDRESS, node("a"), limits(100, 8), at(9_000), at(1));
        assert!(matches!(turn, Turn::Given { limits: told, .. } if told == limits(900, 8)), "{turn:?}");
    }

    #[test]
    fn who_stops_asking_does_not_hold_the_others_up() {
        let mut desk = Desk::new(at(0));
        assert!(is_given(ask(&mut desk, "a", 0)));
        ask(&mut desk, "b", 10);
        desk.handle_release(ADDRESS, node("a"), Duration::ZERO, at(20));
        assert!(!is_given(ask(&mut desk, "c", 30)));
        assert!(is_given(ask(&mut desk, "c", 900)), "the other one is gone");
    }
}
