//! All that the topology engine looks at, and what may be concluded from it.

use std::collections::BTreeMap;
use std::fmt;

use crate::ring::report::{Identity, Liveness, Node, Report, Serving};

/// A ring as it is right now. Every part was read from the server or asked of a node for this one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Nodes asked for.
    pub desired: u32,
    /// The DNS name of the node with each ordinal that there is or shall be.
    pub names: BTreeMap<u32, String>,
    /// The workload.
    pub workload: Workload,
    /// Its pods, by ordinal.
    pub pods: BTreeMap<u32, Pod>,
    /// The claims of its volumes, by ordinal.
    pub claims: BTreeMap<u32, Claim>,
    /// How large the volumes shall be.
    pub size: Size,
    /// What each pod's node says, by ordinal; whoever did not answer is absent.
    pub reports: BTreeMap<u32, Report>,
    /// A disk that a person gave up.
    pub replace: Option<Replace>,
}

/// The StatefulSet in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Pods that there shall be.
    pub replicas: u32,
    /// The lowest ordinal that may be updated.
    pub partition: u32,
    /// The newest revision.
    pub update_revision: String,
    /// Whether its controller has seen the newest spec.
    pub is_observed: bool,
    /// Its `metadata.uid`.
    pub uid: String,
    /// Whether it is going.
    pub is_terminating: bool,
    /// Size of the volumes that it asks for, bytes.
    pub claim_bytes: u128,
}

/// A size of volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// As it was written.
    pub text: String,
    /// The same in bytes.
    pub bytes: u128,
    /// Whether the server has just refused it, so that other operations need not wait for it.
    pub is_refused: bool,
}

/// One pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its `metadata.uid`.
    pub uid: String,
    /// The revision it was made from.
    pub revision: String,
    /// Whether it is ready, and was for as long as the workload asks.
    pub is_ready: bool,
    /// Whether it is ending.
    pub is_terminating: bool,
    /// Why its container does not run, when it cannot.
    pub failure: Option<String>,
}

/// One volume claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its `metadata.uid`.
    pub uid: String,
    /// Whether it is going.
    pub is_terminating: bool,
    /// Whether there is a volume behind it; without one a server lets nothing of it change.
    pub is_bound: bool,
    /// What it asks for, bytes.
    pub bytes: u128,
}

/// A person's word that the disk of one pod is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The pod, exactly.
    pub pod_uid: String,
}

/// Why nothing is lost when a node's pod or volume goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Every other node says that this one has left, and that nothing is kept in too few copies.
    Left {
        /// The node.
        node: Identity,
        /// How many nodes said so.
        witnesses: usize,
    },
    /// A person gave up the disk of exactly this pod.
    GivenUp {
        /// The pod.
        pod_uid: String,
    },
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left { node, witnesses } => write!(
                f,
                "all {witnesses} other nodes say that node {} of generation {} has left and that every partition has \
                 all its copies",
                node.id, node.generation
            ),
            Self::GivenUp { pod_uid } => write!(f, "the disk of pod {pod_uid} was given up"),
        }
    }
}

impl Sight {
    /// Whether any node is of a formed ring.
    pub fn is_formed(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Whether exactly the nodes that there shall be have a claim, and none of them is going.
    pub fn claims_are_whole(&self) -> bool {
        self.claims.keys().copied().eq(0..self.workload.replicas)
            && self.claims.values().all(|claim| !claim.is_terminating)
    }

    /// What the node at this ordinal says.
    pub fn report(&self, ordinal: u32) -> Option<&Report> {
        self.reports.get(&ordinal)
    }

    /// What all nodes but this one say.
    pub fn reports_beside(&self, ordinal: u32) -> impl Iterator<Item = &Report> {
        self.reports
            .iter()
            .filter(move |(other, report)| **other != ordinal && !report.own.left)
            .map(|(_, report)| report)
    }

    /// The node of this ordinal, if its pod does not answer and every other node has given up exactly this one.
    pub fn given_up(&self, ordinal: u32) -> Option<Identity> {
        let name = self.names.get(&ordinal)?;
        if self.report(ordinal).is_some() || !self.silent_beside(ordinal).is_empty() {
            return None;
        }
        let dead = |report: &Report| {
            let known = report.nodes.iter().find(|node| node.identity.name == *name)?;
            (known.liveness == Liveness::Dead).then(|| known.identity.clone())
        };
        let mut known = self.reports_beside(ordinal).map(dead);
        let first = known.next()??;
        known.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }

    /// Whether the node of this ordinal leaves, or has left.
    ///
    /// A name that left and is silent counts only where fewer nodes are wanted: else it is one that comes back.
    pub fn is_going(&self, ordinal: u32) -> bool {
        let Some(name) = self.names.get(&ordinal) else { return false };
        let known = |report: &Report| report.nodes.iter().find(|node| node.identity.name == *name).cloned();
        let leaves = |report: &Report| known(report).is_some_and(|node| node.serving == Serving::Leaving);
        if self.reports.values().any(leaves) {
            return true;
        }
        if let Some(own) = self.report(ordinal).map(|report| &report.own) {
            return own.left;
        }
        let has_left = |report: &Report| known(report).is_none() && report.left.iter().any(|node| node.name == *name);
        let wanted = ordinal < self.desired;
        !wanted && ordinal + 1 == self.workload.replicas && self.reports_beside(ordinal).all(has_left)
    }

    /// Ordinals of the other nodes that do not answer.
    fn silent_beside(&self, ordinal: u32) -> Vec<String> {
        let others = (0..self.workload.replicas).filter(|other| *other != ordinal);
        others.filter(|other| !self.reports.contains_key(other)).map(|other| other.to_string()).collect()
    }

    /// That the node of this ordinal has left for good and nobody needs what it kept.
    ///
    /// # Errors
    /// What is still missing, as a sentence.
    pub fn proof_of_leaving(&self, ordinal: u32) -> Result<Proof, String> {
        let name = self.names.get(&ordinal).ok_or_else(|| "no node has this name".to_owned())?;
        if let Some(report) = self.report(ordinal).filter(|report| !report.own.left) {
            let doing = if report.own.serving == Serving::Leaving { "still hands over" } else { "takes part" };
            return Err(format!("node {} {doing}", report.own.identity.id));
        }
        let silent = self.silent_beside(ordinal);
        if !silent.is_empty() {
            return Err(format!("node(s) {} do not answer, and each must say that it has left", silent.join(", ")));
        }
        let mut node: Option<&Identity> = None;
        let mut witnesses = 0;
        for report in self.reports_beside(ordinal) {
            let speaker = &report.own.identity.name;
            if report.nodes.iter().any(|known| known.identity.name == *name) {
                return Err(format!("{speaker} still counts on it"));
            }
            // The newest life: older ones of the same name may have left long ago.
            let gone = report.left.iter().filter(|gone| gone.name == *name).max_by_key(|gone| gone.generation);
            match (gone, node) {
                (None, _) => return Err(format!("{speaker} has not heard that it left")),
                (Some(gone), Some(before)) if gone != before => {
                    return Err("the nodes speak of two lives of it".to_owned());
                }
                (Some(gone), _) => node = Some(gone),
            }
            witnesses += 1;
        }
        if let Some(trouble) = self.thin() {
            return Err(trouble);
        }
        let own = self.report(ordinal).map(|report| &report.own.identity);
        match node {
            Some(node) if own.is_none_or(|own| own == node) => Ok(Proof::Left { node: node.clone(), witnesses }),
            Some(_) => Err("its pod is another node than the one that left".to_owned()),
            None => Err("no other node can say whether it has left".to_owned()),
        }
    }

    /// The ordinal of a node that is let in.
    pub fn joining(&self) -> Option<u32> {
        let joins = |name: &String| {
            self.reports.values().any(|report| {
                let is_it = |node: &&Node| node.identity.name == *name && node.serving == Serving::Joining;
                report.nodes.iter().find(is_it).is_some_and(|node| node.liveness != Liveness::Dead)
            })
        };
        self.names
            .iter()
            .find(|(ordinal, name)| **ordinal < self.workload.replicas && joins(name))
            .map(|(ordinal, _)| *ordinal)
    }

    /// What the node of this ordinal lacks to be a whole member.
    pub fn lack_of(&self, ordinal: u32) -> Option<String> {
        let name = self.names.get(&ordinal)?;
        let Some(pod) = self.pods.get(&ordinal) else { return Some(format!("pod {ordinal} does not exist")) };
        if pod.is_terminating {
            return Some(format!("pod {ordinal} is ending"));
        }
        if let Some(failure) = &pod.failure {
            return Some(format!("pod {ordinal}: {failure}"));
        }
        if !pod.is_ready {
            return Some(format!("pod {ordinal} is not ready, or was not for long enough"));
        }
        let Some(own) = self.report(ordinal).map(|report| &report.own) else {
            return Some(format!("node {ordinal} does not answer"));
        };
        if own.serving != Serving::Serving {
            return Some(format!("node {ordinal} does not take part yet"));
        }
        let believed = |report: &Report| {
            report.nodes.iter().any(|node| node.identity == own.identity && node.liveness == Liveness::Alive)
        };
        let doubter = self.reports.values().find(|report| report.own.identity.name != *name && !believed(report));
        doubter.map(|report| format!("{} does not see node {ordinal} alive", report.own.identity.name))
    }

    /// Whether the pod of this ordinal was made from an older revision.
    pub fn is_outdated(&self, ordinal: u32) -> bool {
        self.pods.get(&ordinal).is_some_and(|pod| pod.revision != self.workload.update_revision)
    }

    /// What any other node lacks.
    pub fn lack_beside(&self, ordinal: u32) -> Option<String> {
        (0..self.workload.replicas).filter(|other| *other != ordinal).find_map(|other| self.lack_of(other))
    }

    /// Whether anything at all is amiss.
    pub fn trouble(&self) -> Option<String> {
        if !self.is_formed() {
            return Some("the ring is not formed yet".to_owned());
        }
        (0..self.workload.replicas)
            .find_map(|ordinal| self.lack_of(ordinal))
            .or_else(|| self.thin())
            .or_else(|| self.moving())
    }

    /// The worst figure that any node that takes part gives.
    pub fn worst(&self, figure: impl Fn(&Report) -> i32) -> i32 {
        self.reports.values().filter(|report| !report.own.left).map(figure).max().unwrap_or(0)
    }

    /// Whether something is kept in too few copies, or cannot be read at all.
    pub fn thin(&self) -> Option<String> {
        let under = self.worst(|report| report.views.under_replicated);
        self.unavailable().or_else(|| (under > 0).then(|| format!("{under} partitions have too few living copies")))
    }

    /// Whether something cannot be read or changed.
    pub fn unavailable(&self) -> Option<String> {
        let count = self.worst(|report| report.views.unavailable);
        (count > 0).then(|| format!("{count} partitions have no living majority"))
    }

    /// Whether copies are under way to other nodes.
    pub fn moving(&self) -> Option<String> {
        let count = self.worst(|report| report.views.moving);
        (count > 0).then(|| format!("{count} partitions are moving to other nodes"))
    }
}
