//! What a node says of its ring (`GET /v1/ring`), and what stands in the way of calling it whole.

use serde::Deserialize;
use std::collections::BTreeSet;

/// A node's picture of its ring; only what a chaos run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingStatus {
    /// Who answers.
    pub node: String,
    /// Every node that it knows, removed ones left out.
    pub nodes: Vec<NodeStatus>,
    /// The partitions.
    pub views: Views,
}

/// A node as another sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// `alive`, `suspect` or `dead`.
    pub liveness: String,
    /// `joining`, `serving` or `leaving`.
    pub serving: String,
    /// The generation of its disk.
    pub generation: u64,
}

/// How the partitions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Views {
    /// How many there are.
    pub count: u64,
    /// Those whose members are about to change.
    pub moving: u64,
    /// Those that are closed for a change at this moment.
    pub sealed: u64,
    /// Those with fewer living members than they should have.
    pub under_replicated: u64,
    /// Those without a living majority.
    pub unavailable: u64,
}

impl RingStatus {
    /// Why a ring of exactly the nodes `names`, and those of `down` that are down, is not whole in the eyes of this
    /// one; `None` if it is.
    pub fn fault(&self, names: &BTreeSet<String>, down: &BTreeSet<String>) -> Option<String> {
        let mut faults = Vec::new();
        let is_expected = |node: &&NodeStatus| node.liveness == "dead" && down.contains(&node.name);
        let present: Vec<&NodeStatus> = self.nodes.iter().filter(|node| !is_expected(node)).collect();
        for node in &present {
            if !names.contains(&node.name) {
                faults.push(format!(
                    "{} (generation {}) should be gone and is {}",
                    node.name, node.generation, node.liveness
                ));
            } else if node.liveness != "alive" || node.serving != "serving" {
                faults.push(format!(
                    "{} (generation {}) is {} and {}",
                    node.name, node.generation, node.liveness, node.serving
                ));
            }
        }
        for name in names {
            match present.iter().filter(|node| node.name == *name).count() {
                0 => faults.push(format!("{name} is not known")),
                1 => {}
                more => faults.push(format!("{name} is there {more} times")),
            }
        }
        let Views { moving, sealed, under_replicated, unavailable, .. } = self.views;
        let counts = [
            (moving, "moving"),
            (sealed, "sealed"),
            (under_replicated, "under-replicated"),
            (unavailable, "unavailable"),
        ];
        for (count, what) in counts {
            if count > 0 {
                faults.push(format!("{count} views are {what}"));
            }
        }
        (!faults.is_empty()).then(|| format!("{} says: {}", self.node, faults.join("; ")))
    }

    /// Whether the node `name` has been removed for good.
    pub fn has_left(&self, name: &str) -> bool {
        self.nodes.iter().all(|node| node.name != name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(nodes: &[(&str, &str, &str)], under_replicated: u64) -> RingStatus {
        let node = |&(name, liveness, serving): &(&str, &str, &str)| NodeStatus {
            name: name.to_owned(),
            liveness: liveness.to_owned(),
            serving: serving.to_owned(),
            generation: 1,
        };
        let views = Views { count: 256, moving: 0, sealed: 0, under_replicated, unavailable: 0 };
        RingStatus { node: "ring-0".to_owned(), nodes: nodes.iter().map(node).collect(), views }
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_ring_is_whole_when_everybody_serves_and_every_copy_is_there() {
        let nodes = [("ring-0", "alive", "serving")];
        assert_eq!(status(&nodes, 0).fault(&names(&["ring-0"]), &names(&[])), None);
        assert!(status(&nodes, 0).has_left("ring-1"));
        let nodes = [("ring-0", "alive", "serving"), ("ring-1", "dead", "serving")];
        assert_eq!(status(&nodes, 0).fault(&names(&["ring-0"]), &names(&["ring-1"])), None);
    }

    #[test]
    fn whoever_is_missing_late_or_too_many_is_named() {
        let nodes = [("ring-0", "alive", "serving"), ("ring-1", "alive", "joining"), ("ring-2", "dead", "serving")];
        let fault = status(&nodes, 3).fault(&names(&["ring-0", "ring-1", "ring-3"]), &names(&[])).unwrap();
        for part in [
            "ring-1 (generation 1) is alive and joining",
            "ring-2 (generation 1) should be gone",
            "ring-3 is not known",
            "3 views are under-replicated",
        ] {
            assert!(fault.contains(part), "{part}: {fault}");
        }
    }
}
