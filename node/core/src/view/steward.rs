//! What a node has to do for the views of its partitions: move them when nodes come, go or are lost, open again what
//! a dead reconfigurer left sealed, fetch what it lacks, and delete what is no longer its own.
//!
//! [`Steward::duties`] says what, [`super::Reconfiguration`], [`super::Recovery`] and [`super::Retirement`] do it.
//! What is seen of the ring comes in as an [`Outlook`].

use super::{Placement, Standing, View};
use crate::id::{NodeId, Partition};
use crate::membership::Liveness;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A node that is down this long is replaced if another one is there.
pub const REPLACE_AFTER: Duration = Duration::from_secs(60);
/// How long other members must have been the right ones before a view is changed.
pub const HYSTERESIS: Duration = Duration::from_secs(5);
/// How long a partition may be sealed before a member opens it again; later members wait longer, one by one.
const REOPEN_AFTER: Duration = Duration::from_secs(2);
/// How long a copy that is no longer wanted is left alone between two looks.
const RETIRE_EVERY: Duration = Duration::from_secs(5);

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Change the view, be it to the same members. Those who come in are taught first.
    Move {
        /// Of which partition.
        partition: Partition,
        /// The next members, in order of preference.
        desired: Vec<NodeId>,
    },
    /// Fetch the state of a view of which this node is a member.
    Fetch {
        /// Of which partition.
        partition: Partition,
    },
    /// Delete a copy that is no longer this node's to keep.
    Retire {
        /// Of which partition.
        partition: Partition,
    },
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

/// What a node sees of the ring and of its own copies when it looks.
pub trait Outlook {
    /// The node.
    fn me(&self) -> NodeId;
    /// The newest view known of `partition`; one of epoch 0 without members if none is.
    fn view(&self, partition: Partition) -> Arc<View>;
    /// The node's part in that view; `None` if its own copy has not heard of it.
    fn standing(&self, partition: Partition) -> Option<Standing>;
    /// Whether the node holds a copy of `partition`, or a part of one.
    fn holds_something(&self, partition: Partition) -> bool;
    /// What is known of `node`.
    fn liveness(&self, node: NodeId) -> Liveness;
    /// When the node learned that `node` is down; `None` if it is not.
    fn down_since(&self, node: NodeId) -> Option<Instant>;
}

/// Remembers since when things have been as they are.
#[derive(Debug, Default)]
pub struct Steward {
    wanted: BTreeMap<Partition, (Vec<NodeId>, Instant)>,
    sealed: BTreeMap<Partition, Instant>,
    retired: BTreeMap<Partition, Instant>,
}

/// A look: what is seen, and what follows from it.
struct Look<'a, O> {
    outlook: &'a O,
    placement: &'a Placement,
    now: Instant,
}

impl Steward {
    /// What there is to do now, what matters most first.
    pub fn duties(&mut self, outlook: &impl Outlook, placement: &Placement, now: Instant) -> Vec<Duty> {
        let look = Look { outlook, placement, now };
        let (mut urgent, mut moves, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for partition in Partition::all() {
            let standing = outlook.standing(partition);
            if standing != Some(Standing::Sealed) {
                self.sealed.remove(&partition);
            }
            match standing {
                Some(Standing::Pending) => urgent.push(Duty::Fetch { partition }),
                Some(Standing::Sealed) => urgent.extend(self.reopening(&look, partition)),
                Some(Standing::Active) => moves.extend(self.moving(&look, partition)),
                Some(Standing::Former | Standing::Outside) => rest.extend(self.retiring(&look, partition)),
                None => {}
            }
        }
        urgent.extend(moves);
        urgent.extend(rest);
        urgent
    }

    fn reopening(&mut self, look: &Look<'_, impl Outlook>, partition: Partition) -> Option<Duty> {
        let (view, me) = (look.outlook.view(partition), look.outlook.me());
        let since = *self.sealed.entry(partition).or_insert(look.now);
        let rank =
            view.members.iter().filter(|member| look.is_alive(**member)).take_while(|member| **member != me).count();
        if look.now.since(since) < REOPEN_AFTER * (rank as u32 + 1) {
            return None;
        }
        self.sealed.insert(partition, look.now);
        let wanted = look.desired(partition);
        // Who is to come in must have learned first; here only the way back to service counts.
        let known = wanted.iter().all(|node| view.has(*node));
        let desired = if known { wanted } else { view.members.clone() };
        Some(Duty::Move { partition, desired })
    }

    fn moving(&mut self, look: &Look<'_, impl Outlook>, partition: Partition) -> Option<Duty> {
        let view = look.outlook.view(partition);
        if view.primary(|node| look.is_alive(node)) != Some(look.outlook.me()) {
            self.wanted.remove(&partition);
            return None;
        }
        let desired = look.desired(partition);
        if same(&view, &desired) {
            self.wanted.remove(&partition);
            return None;
        }
        let wanted = self.wanted.entry(partition).or_insert_with(|| (desired.clone(), look.now));
        if wanted.0 != desired {
            *wanted = (desired.clone(), look.now);
        }
        let since = wanted.1;
        let reachable = desired.iter().all(|node| view.has(*node) || look.is_alive(*node));
        (reachable && look.now.since(since) >= HYSTERESIS).then_some(Duty::Move { partition, desired })
    }

    fn retiring(&mut self, look: &Look<'_, impl Outlook>, partition: Partition) -> Option<Duty> {
        let looked = self.retired.get(&partition).is_some_and(|last| look.now.since(*last) < RETIRE_EVERY);
        let wanted = || look.desired(partition).contains(&look.outlook.me());
        if looked || !look.outlook.holds_something(partition) || wanted() {
            return None;
        }
        self.retired.insert(partition, look.now);
        Some(Duty::Retire { partition })
    }
}

impl<O: Outlook> Look<'_, O> {
    fn is_alive(&self, node: NodeId) -> bool {
        self.outlook.liveness(node) == Liveness::Alive
    }

    fn desired(&self, partition: Partition) -> Vec<NodeId> {
        desired(self.outlook, self.placement, partition, self.now)
    }
}

/// Whether the node keeps, and serves, every partition that it should.
pub fn has_arrived(outlook: &impl Outlook, placement: &Placement, now: Instant) -> bool {
    Partition::all().all(|partition| {
        let wanted = || desired(outlook, placement, partition, now).contains(&outlook.me());
        outlook.standing(partition) == Some(Standing::Active) || !wanted()
    })
}

/// Who should keep `partition`: those that have been down too long only if nobody else is left.
pub fn desired(outlook: &impl Outlook, placement: &Placement, partition: Partition, now: Instant) -> Vec<NodeId> {
    let fit = |node: NodeId| match outlook.liveness(node) {
        Liveness::Alive | Liveness::Suspect => true,
        Liveness::Down => outlook.down_since(node).is_some_and(|since| now.since(since) < REPLACE_AFTER),
        Liveness::Left => false,
    };
    placement.desired(partition.last_point(), fit)
}

fn same(view: &View, desired: &[NodeId]) -> bool {
    let members: BTreeSet<&NodeId> = view.members.iter().collect();
    members == desired.iter().collect()
}

#[cfg(test)]
mod tests;
