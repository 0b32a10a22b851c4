//! A ring as text: nodes, views, background work; the way to a key.

use super::super::columns::{Cell, Tone, columns};
use crate::gateway::{Liveness, Lookup, NodeStatus, RingStatus, ViewCounts};
use std::fmt::Write;

/// What the first of `rings` believes, and the background work of every node that has answered.
pub(super) fn status(rings: &[RingStatus]) -> String {
    let Some(ring) = rings.first() else { return String::new() };
    let mut text = format!("ring {}, as {} sees it\n\n", ring.ring_id, ring.node);
    let rows: Vec<[Cell; 9]> = ring.nodes.iter().map(row).collect();
    let head = ["NODE", "LIVENESS", "SERVING", "ZONE", "WEIGHT", "SHARE", "COPIES", "GENERATION", "GATEWAY"];
    text += &columns(head, &rows);
    let ViewCounts { count, moving, sealed, under_replicated, unavailable } = ring.views;
    let _ = writeln!(
        text,
        "\npartitions: {count}, moving {moving}, sealed {sealed}, under-replicated {under_replicated}, without a majority {unavailable}"
    );
    let _ = match (unavailable, ring.tolerates) {
        (0, 0) => writeln!(text, "no further node may be lost: keys would be without a majority until one returns"),
        (0, 1) => writeln!(text, "1 node may be lost at once without losing anything"),
        (0, many) => writeln!(text, "{many} nodes may be lost at once without losing anything"),
        _ => writeln!(text, "too few nodes live: keys without a majority can be read only with --any"),
    };
    text.push('\n');
    let tasks = rings.iter().flat_map(|ring| &ring.background);
    let rows: Vec<[Cell; 6]> = tasks
        .map(|task| {
            let remaining = task.remaining.map(|remaining| remaining.to_string()).unwrap_or_default();
            let words = match (&task.last_failure, task.state.as_str()) {
                (Some(failure), "failing") => failure.clone(),
                _ => task.text.clone(),
            };
            let tone = if task.state == "failing" { Tone::Bad } else { Tone::Plain };
            let state = Cell::toned(task.state.as_str(), tone);
            let (node, name) = (task.node.as_str().into(), task.name.as_str().into());
            [node, name, state, Cell::figure(task.done), Cell::figure(remaining), words.into()]
        })
        .collect();
    let head = ["NODE", "BACKGROUND WORK", "STATE", "DONE", "LEFT", ""];
    text + &columns(head, &rows)
}

fn row(node: &NodeStatus) -> [Cell; 9] {
    let tone = match node.liveness {
        Liveness::Alive => Tone::Good,
        Liveness::Suspect => Tone::Busy,
        Liveness::Dead => Tone::Bad,
    };
    [
        node.name.as_str().into(),
        Cell::toned(format!("{:?}", node.liveness).to_lowercase(), tone),
        // What a dead node did last says nothing of now.
        if node.liveness == Liveness::Dead { "-".into() } else { format!("{:?}", node.serving).to_lowercase().into() },
        if node.zone.is_empty() { "-".into() } else { node.zone.as_str().into() },
        Cell::figure(node.weight),
        Cell::figure(format!("{:.1} %", node.share * 100.0)),
        Cell::figure(node.copies),
        Cell::figure(node.generation),
        node.gateway.as_deref().unwrap_or("-").into(),
    ]
}

/// Where a key lives, and who was asked for it.
pub(super) fn lookup(lookup: &Lookup) -> String {
    let mut text = format!("{} is at point {} in partition {}\n", lookup.key, lookup.point, lookup.partition);
    for (number, node) in lookup.path.iter().enumerate() {
        let _ = writeln!(text, "hop {}: {node}", number + 1);
    }
    if lookup.path.is_empty() {
        text += "no hop: the node that was asked knows the owners itself\n";
    }
    let _ = writeln!(text, "owners: {}", lookup.owners.join(" "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{BackgroundStatus, Liveness, Serving};

    #[test]
    fn a_ring_is_shown_with_its_nodes_views_and_work() {
        let node = |name: &str, liveness| NodeStatus {
            name: name.to_owned(),
            id: "00".repeat(20),
            generation: 1,
            address: "127.0.0.1:7443".to_owned(),
            zone: "a".to_owned(),
            weight: 2,
            liveness,
            serving: Serving::Serving,
            share: 0.25,
            copies: 200,
            gateway: Some("127.0.0.1:8443".to_owned()),
        };
        let task = |node: &str| BackgroundStatus {
            node: node.to_owned(),
            name: "view steward".to_owned(),
            state: "working".to_owned(),
            done: 7,
            remaining: Some(3),
            text: "moves partition 9".to_owned(),
            last_failure: None,
        };
        let ring = |name: &str| RingStatus {
            ring_id: "ab".repeat(16),
            node: name.to_owned(),
            own: None,
            left: Vec::new(),
            nodes: vec![node("ring-0", Liveness::Alive), node("ring-1", Liveness::Dead)],
            tolerates: 1,
            views: ViewCounts { count: 256, moving: 5, under_replicated: 4, ..ViewCounts::default() },
            background: vec![task(name)],
        };
        let text = status(&[ring("ring-0"), ring("ring-2")]);
        for line in [
            "NODE    LIVENESS  SERVING  ZONE  WEIGHT   SHARE  COPIES  GENERATION  GATEWAY",
            "ring-1  dead      -        a          2  25.0 %     200           1  127.0.0.1:8443",
            "partitions: 256, moving 5, sealed 0, under-replicated 4, without a majority 0",
            "1 node may be lost at once without losing anything",
            "ring-2  view steward     working     7     3  moves partition 9",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_way_to_a_key_is_shown_hop_by_hop() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let found = Lookup {
            key: "a".to_owned(),
            point: "ff".to_owned(),
            partition: 7,
            owners: words(&["ring-1", "ring-2"]),
            path: words(&["ring-3", "ring-1"]),
        };
        let text = lookup(&found);
        assert!(text.contains("hop 1: ring-3\nhop 2: ring-1\nowners: ring-1 ring-2\n"), "{text}");
        assert!(lookup(&Lookup { path: Vec::new(), ..found }).contains("no hop"));
    }
}
