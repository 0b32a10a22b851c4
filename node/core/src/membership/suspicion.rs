//! A suspicion: who raised it and how long the suspect has to refute it (Lifeguard, LHA-Suspicion).

use super::config::{Config, scale};
use crate::id::NodeId;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The running suspicions, the next to end known at any time.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    running: BTreeMap<NodeId, Suspicion>,
    ends: BTreeSet<(Instant, NodeId)>,
}

impl Suspicions {
    pub(super) fn begin(&mut self, node: NodeId, suspicion: Suspicion) {
        self.end(node);
        self.ends.insert((suspicion.deadline, node));
        self.running.insert(node, suspicion);
    }

    pub(super) fn end(&mut self, node: NodeId) {
        if let Some(suspicion) = self.running.remove(&node) {
            self.ends.remove(&(suspicion.deadline, node));
        }
    }

    /// Counts an accuser of `node`; whether it is news that shortens the suspicion.
    pub(super) fn confirm(&mut self, node: NodeId, accuser: NodeId) -> bool {
        self.change(node, |suspicion| suspicion.confirm(accuser)).unwrap_or(false)
    }

    /// `node` was never heard of, and neither was anybody who could confirm that: it gets the longest time.
    pub(super) fn unheard(&mut self, node: NodeId, config: &Config) {
        self.change(node, |suspicion| suspicion.confirmations = config.confirmations);
    }

    /// This process stood still: every suspect gets all its time again.
    pub(super) fn restart(&mut self, now: Instant) {
        for node in self.running.keys().copied().collect::<Vec<_>>() {
            self.change(node, |suspicion| suspicion.since = now);
        }
    }

    pub(super) fn is_accused_by(&self, node: NodeId, accuser: NodeId) -> bool {
        self.running.get(&node).is_some_and(|suspicion| suspicion.accusers.contains(&accuser))
    }

    /// When the next suspect counts as down.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// Takes out a suspect whose time is over.
    pub(super) fn take_over(&mut self, now: Instant) -> Option<NodeId> {
        let (at, node) = *self.ends.first()?;
        (at <= now).then(|| self.end(node)).map(|()| node)
    }

    fn change<T>(&mut self, node: NodeId, change: impl FnOnce(&mut Suspicion) -> T) -> Option<T> {
        let suspicion = self.running.get_mut(&node)?;
        self.ends.remove(&(suspicion.deadline, node));
        let result = change(suspicion);
        suspicion.set_deadline();
        self.ends.insert((suspicion.deadline, node));
        Some(result)
    }
}

/// A running suspicion of one member in one incarnation.
#[derive(Debug)]
pub(super) struct Suspicion {
    since: Instant,
    accusers: BTreeSet<NodeId>,
    confirmations: usize,
    shortest: Duration,
    longest: Duration,
    deadline: Instant,
}

impl Suspicion {
    /// A suspicion raised by `accuser` in a ring of `members`, of whom `witnesses` besides this node might confirm
    /// it.
    pub(super) fn new(
        config: &Config,
        members: usize,
        witnesses: usize,
        accuser: Option<NodeId>,
        now: Instant,
    ) -> Self {
        let shortest = config.period.mul_f64(config.suspicion_periods * scale(members));
        let longest = shortest.mul_f64(config.suspicion_stretch);
        let confirmations = config.confirmations.min(witnesses);
        let accusers = accuser.into_iter().collect();
        let mut suspicion = Self { since: now, accusers, confirmations, shortest, longest, deadline: now };
        suspicion.set_deadline();
        suspicion
    }

    fn confirm(&mut self, accuser: NodeId) -> bool {
        // The first accuser raised it; more than the wanted confirmations change nothing.
        self.accusers.len() <= self.confirmations && self.accusers.insert(accuser)
    }

    fn set_deadline(&mut self) {
        let confirmed = self.accusers.len().saturating_sub(1).min(self.confirmations);
        let shrunk = if self.confirmations == 0 {
            1.0
        } else {
            (confirmed as f64 + 1.0).ln() / (self.confirmations as f64 + 1.0).ln()
        };
        self.deadline = self.since + (self.longest - (self.longest - self.shortest).mul_f64(shrunk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId([number; 20])
    }

    fn ends_after(suspicions: &Suspicions) -> Duration {
        suspicions.next_end().expect("one is running").0
    }

    #[test]
    fn a_suspicion_shrinks_with_each_independent_confirmation_lifeguard_lha_suspicion() {
        let (mut suspicions, now) = (Suspicions::default(), Instant::default());
        suspicions.begin(node(9), Suspicion::new(&Config::default(), 1000, 10, Some(node(1)), now));
        let alone = ends_after(&suspicions);
        assert_eq!(alone, Duration::from_secs(24), "four times two periods times log10 of 1000");
        assert!(!suspicions.confirm(node(9), node(1)), "the same accuser confirms nothing");
        assert!(suspicions.confirm(node(9), node(2)));
        let confirmed = ends_after(&suspicions);
        assert!(suspicions.confirm(node(9), node(3)));
        assert!(!suspicions.confirm(node(9), node(4)), "more confirmations than wanted are no news");
        let shortest = ends_after(&suspicions);
        assert!(shortest < confirmed && confirmed < alone);
        assert_eq!(shortest, Duration::from_secs(6));
        assert_eq!(suspicions.take_over(Instant(shortest - Duration::from_millis(1))), None);
        assert_eq!(suspicions.take_over(Instant(shortest)), Some(node(9)));
        assert_eq!(suspicions.next_end(), None);
    }

    #[test]
    fn where_nobody_could_confirm_a_suspicion_it_is_short_from_the_start_unless_nobody_was_heard_yet() {
        let (mut suspicions, config) = (Suspicions::default(), Config::default());
        suspicions.begin(node(9), Suspicion::new(&config, 2, 0, Some(node(1)), Instant::default()));
        assert_eq!(ends_after(&suspicions), Duration::from_secs(2));
        suspicions.unheard(node(9), &config);
        assert_eq!(ends_after(&suspicions), Duration::from_secs(8));
        suspicions.restart(Instant(Duration::from_secs(5)));
        assert_eq!(ends_after(&suspicions), Duration::from_secs(13));
    }
}
