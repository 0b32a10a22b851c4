//! What must hold in every table at every moment, and in all tables once the faults are over.

use super::world::World;
use crate::invariant::Violation;
use scrapering_core::id::NodeId;
use scrapering_core::membership::Liveness;
use std::collections::{BTreeMap, BTreeSet};

/// What each table said when it was last looked at.
#[derive(Debug, Default)]
pub struct Watch {
    seen: BTreeMap<(usize, u32, NodeId), (u64, Liveness)>,
}

impl Watch {
    /// Looks at every table; what is wrong with it since the last look.
    pub fn look(&mut self, world: &World) -> Option<Violation> {
        for number in 0..world.nodes.len() {
            for entry in world.nodes[number].machine.entries() {
                let now = (entry.incarnation, entry.liveness);
                let key = (number, world.life(number), entry.member.node);
                if let Some(before) = self.seen.insert(key, now)
                    && let Some(rule) = broken(before, now)
                {
                    let details = format!("node {number} about {}: {before:?}, then {now:?}", entry.member.name);
                    return Some(Violation { rule, details });
                }
            }
        }
        None
    }
}

fn broken(before: (u64, Liveness), now: (u64, Liveness)) -> Option<&'static str> {
    if !invariant_a_node_that_left_never_returns(before.1, now.1) {
        Some("a node that left never returns")
    } else if !invariant_incarnations_never_go_back(before.0, now.0) {
        Some("incarnations never go back")
    } else {
        None
    }
}

fn invariant_a_node_that_left_never_returns(before: Liveness, now: Liveness) -> bool {
    before != Liveness::Left || now == Liveness::Left
}

fn invariant_incarnations_never_go_back(before: u64, now: u64) -> bool {
    now >= before
}

/// Every working node holds for alive who works, for down who crashed, and for left who is `gone`, if anybody could
/// know: a new disk that crashed before it spoke leaves the old one down, and who left unheard was never there.
#[must_use]
pub fn invariant_tables_converge_to_the_truth(world: &World, gone: &BTreeSet<usize>) -> Option<Violation> {
    let observers: Vec<usize> =
        (0..world.nodes.len()).filter(|number| world.works(*number) && !gone.contains(number)).collect();
    for (number, node) in world.nodes.iter().enumerate() {
        let believed = |observer: usize| world.nodes[observer].machine.liveness(node.member.node);
        let told = observers.iter().any(|observer| believed(*observer) == Liveness::Left);
        let heard_of = |observer: &usize| world.nodes[*observer].machine.entry(node.member.node).is_some();
        let answers = world.works(number) && observers.iter().any(heard_of);
        let truth = match (gone.contains(&number), world.works(number)) {
            (true, _) if answers || told => Liveness::Left,
            (true, _) => Liveness::Down,
            (false, true) => Liveness::Alive,
            _ => Liveness::Down,
        };
        if let Some(observer) = observers.iter().find(|observer| believed(**observer) != truth) {
            let (name, believed) = (&node.member.name, believed(*observer));
            let details = format!("node {observer} holds {name} ({number}) for {believed:?}, it is {truth:?}");
            return Some(Violation { rule: "tables converge to the truth once the faults are over", details });
        }
    }
    None
}
