//! What there is to do for the views of this node's partitions.

use crate::driver::Driver;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::membership::Liveness;
use scrapering_core::time::Instant;
use scrapering_core::view::{Placement, Standing, View};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// A node that is down this long is replaced if another one is there.
const REPLACE_AFTER: Duration = Duration::from_secs(60);
/// How long other members must have been the right ones before a view is changed.
const HYSTERESIS: Duration = Duration::from_secs(5);
/// How long a partition may be sealed before this node opens it again; later members wait longer, one by one.
const REOPEN_AFTER: Duration = Duration::from_secs(2);
/// How long a copy that is no longer wanted is left alone between two looks.
const RETIRE_EVERY: Duration = Duration::from_secs(5);

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Change the view, be it to the same members.
    Move { partition: Partition, desired: Vec<NodeId> },
    /// Fetch the state of a view of which this node is a member.
    Fetch { partition: Partition },
    /// Delete a copy that is no longer this node's to keep.
    Retire { partition: Partition },
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move { partition, .. } => write!(f, "moves partition {partition}"),
            Self::Fetch { partition } => write!(f, "fetches partition {partition}"),
            Self::Retire { partition } => write!(f, "retires its copy of partition {partition}"),
        }
    }
}

/// Remembers since when things have been as they are.
#[derive(Default)]
pub(super) struct Watch {
    wanted: BTreeMap<Partition, (Vec<NodeId>, Instant)>,
    sealed: BTreeMap<Partition, Instant>,
    retired: BTreeMap<Partition, Instant>,
}

impl Watch {
    /// What there is to do now, what matters most first.
    pub(super) fn duties(&mut self, driver: &Driver) -> Vec<Duty> {
        let (now, placement) = (driver.clock().now(), driver.placement());
        let (mut urgent, mut moves, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for partition in Partition::all() {
            let standing = driver.views().standing(partition);
            if standing != Some(Standing::Sealed) {
                self.sealed.remove(&partition);
            }
            match standing {
                Some(Standing::Pending) => urgent.push(Duty::Fetch { partition }),
                Some(Standing::Sealed) => urgent.extend(self.reopening(driver, &placement, partition, now)),
                Some(Standing::Active) => moves.extend(self.moving(driver, &placement, partition, now)),
                Some(Standing::Former | Standing::Outside) => {
                    rest.extend(self.retiring(driver, &placement, partition, now));
                }
                None => {}
            }
        }
        urgent.extend(moves);
        urgent.extend(rest);
        urgent
    }

    /// Whether this node keeps, and serves, every partition that it should.
    pub(super) fn has_arrived(&self, driver: &Driver) -> bool {
        let placement = driver.placement();
        let alone = driver.living_nodes().len() < 2;
        let in_place = |partition: Partition| {
            let wanted = desired(driver, &placement, partition).contains(&driver.me());
            !wanted || driver.views().standing(partition) == Some(Standing::Active)
        };
        !alone && driver.views().is_complete() && Partition::all().all(in_place)
    }

    fn reopening(
        &mut self,
        driver: &Driver,
        placement: &Placement,
        partition: Partition,
        now: Instant,
    ) -> Option<Duty> {
        let view = driver.view(partition);
        let since = *self.sealed.entry(partition).or_insert(now);
        let living = view.members.iter().filter(|member| driver.members().is_alive(**member));
        let rank = living.take_while(|member| **member != driver.me()).count();
        if now.since(since) < REOPEN_AFTER * (rank as u32 + 1) {
            return None;
        }
        self.sealed.insert(partition, now);
        let wanted = desired(driver, placement, partition);
        // Who is to come in must have learned first; here only the way back to service counts.
        let known = wanted.iter().all(|node| view.has(*node));
        let desired = if known { wanted } else { view.members.clone() };
        Some(Duty::Move { partition, desired })
    }

    fn moving(&mut self, driver: &Driver, placement: &Placement, partition: Partition, now: Instant) -> Option<Duty> {
        let view = driver.view(partition);
        if view.primary(|node| driver.members().is_alive(node)) != Some(driver.me()) {
            self.wanted.remove(&partition);
            return None;
        }
        let desired = desired(driver, placement, partition);
        if same(&view, &desired) {
            self.wanted.remove(&partition);
            return None;
        }
        let wanted = self.wanted.entry(partition).or_insert_with(|| (desired.clone(), now));
        if wanted.0 != desired {
            *wanted = (desired.clone(), now);
        }
        let since = wanted.1;
        let reachable = desired.iter().all(|node| view.has(*node) || driver.members().is_alive(*node));
        (reachable && now.since(since) >= HYSTERESIS).then_some(Duty::Move { partition, desired })
    }

    fn retiring(&mut self, driver: &Driver, placement: &Placement, partition: Partition, now: Instant) -> Option<Duty> {
        let looked = self.retired.get(&partition).is_some_and(|last| now.since(*last) < RETIRE_EVERY);
        let wanted = || desired(driver, placement, partition).contains(&driver.me());
        if looked || !driver.views().holds_something(partition) || wanted() {
            return None;
        }
        self.retired.insert(partition, now);
        Some(Duty::Retire { partition })
    }
}

/// Who should keep `partition`: those that have been down too long only if nobody else is left.
pub(crate) fn desired(driver: &Driver, placement: &Placement, partition: Partition) -> Vec<NodeId> {
    let now = driver.clock().now();
    let fit = |node: NodeId| match driver.members().liveness(node) {
        Liveness::Alive | Liveness::Suspect => true,
        Liveness::Down => driver.members().down_since(node).is_some_and(|since| now.since(since) < REPLACE_AFTER),
        Liveness::Left => false,
    };
    placement.desired(partition.last_point(), fit)
}

fn same(view: &View, desired: &[NodeId]) -> bool {
    let members: BTreeSet<&NodeId> = view.members.iter().collect();
    members == desired.iter().collect()
}
