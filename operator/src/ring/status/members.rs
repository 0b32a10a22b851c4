//! The nodes one by one, as the status shows them.

use scrapering_crds::MemberStatus;

use crate::ring::contract;
use crate::ring::report::{Liveness, Node, Report, Serving};
use crate::ring::topology::Sight;

/// Every node that there is or shall be, in order of the ordinals.
pub(super) fn of(ring: &str, sight: &Sight) -> Vec<MemberStatus> {
    let last = sight.pods.keys().next_back().map_or(0, |last| last + 1);
    (0..sight.workload.replicas.max(last)).map(|ordinal| member(ring, sight, ordinal)).collect()
}

/// How many nodes take part.
pub(super) fn joined(sight: &Sight) -> i32 {
    let takes_part = |report: &&Report| !report.own.left && report.own.serving != Serving::Joining;
    i32::try_from(sight.reports.values().filter(takes_part).count()).unwrap_or(i32::MAX)
}

fn member(ring: &str, sight: &Sight, ordinal: u32) -> MemberStatus {
    let own = sight.report(ordinal).map(|report| &report.own);
    let known = known(sight, ordinal);
    let identity = own.map(|own| &own.identity).or(known.map(|node| &node.identity));
    let state = match (own, known) {
        (Some(own), _) if own.left => "Left",
        (Some(own), _) => match own.serving {
            Serving::Joining => "Joining",
            Serving::Serving => "Active",
            Serving::Leaving => "Leaving",
        },
        (None, None) => "Starting",
        (None, Some(node)) if node.liveness == Liveness::Dead => "Lost",
        (None, Some(_)) => "Unknown",
    };
    MemberStatus {
        name: contract::pod_name(ring, ordinal),
        pod_uid: sight.pods.get(&ordinal).map(|pod| pod.uid.clone()),
        node_id: identity.map(|identity| identity.id.clone()),
        generation: identity.and_then(|identity| i64::try_from(identity.generation).ok()),
        state: state.to_owned(),
        zone: known.map(|node| node.zone.clone()).filter(|zone| !zone.is_empty()),
        copies: known.map(|node| node.copies),
    }
}

/// What the others know of a node; the first who knows it.
fn known(sight: &Sight, ordinal: u32) -> Option<&Node> {
    let name = sight.names.get(&ordinal)?;
    let own = sight.report(ordinal).into_iter();
    let others = sight.reports.iter().filter(|(other, _)| **other != ordinal).map(|(_, report)| report);
    own.chain(others).find_map(|report| report.nodes.iter().find(|node| node.identity.name == *name))
}
