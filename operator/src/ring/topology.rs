//! The topology engine: which one step a ring needs next, as a pure function of what is there right now.
//!
//! Nothing is remembered: labels, annotations and the status are for people, and every step is derived from the live
//! objects and from what the nodes say. Operations have a fixed order and only one runs: a leave that has begun is
//! finished first, because it cannot be taken back; then Replace, ScaleOut, Expand, Update, ScaleIn. The spec alone says how
//! many nodes there shall be: pods that are lost never lower it.
//!
//! A node is taken away only on *proof* ([`Sight::proof_of_leaving`]): every other node says that exactly this node (its id
//! and generation, not its name) has left, none knows another one of that name, and nothing is kept in too few copies.
//! Silence proves nothing.

mod expand;
mod sight;

pub use sight::{Claim, Pod, Proof, Replace, Sight, Size, Workload};

use super::report::Identity;
use expand::expand;

/// What an operation is for; the order in which they are taken is that of [`next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The ring is formed by its first nodes.
    Form,
    /// A node gets an empty disk.
    Replace,
    /// A node is added.
    ScaleOut,
    /// Volumes grow.
    Expand,
    /// Nodes get the newest revision of their pod.
    Update,
    /// A node is taken away.
    ScaleIn,
}

impl Kind {
    /// As in the status.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Form => "Form",
            Self::Replace => "Replace",
            Self::ScaleOut => "ScaleOut",
            Self::Expand => "Expand",
            Self::Update => "Update",
            Self::ScaleIn => "ScaleIn",
        }
    }
}

/// The one thing to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to look again.
    Wait,
    /// Raise the number of pods by one, to this.
    Raise {
        /// The number after it.
        to: u32,
    },
    /// Tell the node to hand over what it keeps and to leave.
    Leave {
        /// Which node.
        node: Identity,
    },
    /// Lower the number of pods by one, to this: the last node has left.
    Lower {
        /// The number after it.
        to: u32,
        /// The pod that goes; `None` when there is none.
        pod_uid: Option<String>,
        /// Why nothing is lost.
        proof: Proof,
    },
    /// Delete the volume claim of a node that has left, or that was given up by its exact identity.
    DeleteClaim {
        /// The claim's `metadata.uid`.
        uid: String,
        /// Why nothing is lost.
        proof: Proof,
    },
    /// Delete a pod whose volume claim is going, so that it comes back on an empty disk.
    DeletePod {
        /// The pod's `metadata.uid`.
        uid: String,
        /// Why nothing is lost.
        proof: Proof,
    },
    /// Let a volume claim ask for this size.
    Grow {
        /// The claim's `metadata.uid`.
        uid: String,
        /// The size, as Kubernetes writes it.
        to: String,
    },
    /// Delete the workload and leave its pods and volumes alone: the next look makes it anew, asking for larger volumes.
    Renew {
        /// The workload's `metadata.uid`.
        uid: String,
    },
    /// Let the pods from this ordinal on get the newest revision.
    Partition {
        /// The lowest ordinal that may be updated.
        to: u32,
    },
}

impl Action {
    /// Whether it cannot be taken back, so that everything is looked at again just before it.
    pub const fn is_irreversible(&self) -> bool {
        matches!(
            self,
            Self::Leave { .. }
                | Self::Lower { .. }
                | Self::DeleteClaim { .. }
                | Self::DeletePod { .. }
                | Self::Renew { .. }
        )
    }
}

/// The step that a ring needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What for.
    pub kind: Kind,
    /// The ordinal it is about.
    pub ordinal: Option<u32>,
    /// What to do.
    pub action: Action,
    /// What is done or waited for, in one word.
    pub word: &'static str,
    /// The same in a sentence.
    pub message: String,
    /// Whether only a person can help.
    pub is_stuck: bool,
}

impl Step {
    fn act(kind: Kind, ordinal: u32, action: Action, word: &'static str, message: String) -> Self {
        Self { kind, ordinal: Some(ordinal), action, word, message, is_stuck: false }
    }

    fn wait(kind: Kind, ordinal: impl Into<Option<u32>>, word: &'static str, message: String) -> Self {
        Self { kind, ordinal: ordinal.into(), action: Action::Wait, word, message, is_stuck: false }
    }

    /// Holds back a node that could not prove who it is.
    pub fn wait_for_certificate(&mut self, lack: &str) {
        if matches!(self.action, Action::Raise { .. }) {
            (self.action, self.word) = (Action::Wait, "WaitingForCertificate");
            lack.clone_into(&mut self.message);
        }
    }

    fn stuck(kind: Kind, ordinal: impl Into<Option<u32>>, word: &'static str, message: String) -> Self {
        Self { is_stuck: true, ..Self::wait(kind, ordinal, word, message) }
    }
}

/// The step that is needed next; `None` when everything is as asked for.
pub fn next(sight: &Sight) -> Option<Step> {
    let replicas = sight.workload.replicas;
    if !sight.is_formed() {
        let message = format!("the ring is formed once all of its first {replicas} nodes have been started");
        return Some(Step::wait(Kind::Form, None, "WaitingForNodes", message));
    }
    finish_leave(sight)
        .or_else(|| sweep_claims(sight))
        .or_else(|| replace(sight))
        .or_else(|| scale_out(sight))
        .or_else(|| expand(sight))
        .or_else(|| update(sight))
        .or_else(|| scale_in(sight))
}

/// A leave that somebody began: of the last node to its removal, of any other to its rebirth on an empty disk.
fn finish_leave(sight: &Sight) -> Option<Step> {
    let replicas = sight.workload.replicas;
    let ordinal = (0..replicas).rev().find(|ordinal| sight.is_going(*ordinal))?;
    let is_last = ordinal + 1 == replicas && replicas > 1;
    let kind = if is_last { Kind::ScaleIn } else { Kind::Replace };
    let pod = sight.pods.get(&ordinal);
    if let Some(node) = sight.given_up(ordinal) {
        let message = format!("node {} is down and was leaving; the ring goes on without it", node.id);
        return Some(Step::act(kind, ordinal, Action::Leave { node }, "Leaving", message));
    }
    let proof = match sight.proof_of_leaving(ordinal) {
        Ok(proof) => proof,
        Err(lack) => return Some(Step::wait(kind, ordinal, "HandingOver", lack)),
    };
    if is_last {
        let message = format!("{proof}; its pod goes");
        let action = Action::Lower { to: ordinal, pod_uid: pod.map(|pod| pod.uid.clone()), proof };
        return Some(Step::act(kind, ordinal, action, "Removing", message));
    }
    Some(match pod.filter(|pod| !pod.is_terminating) {
        Some(pod) => {
            let message = format!("{proof}; its pod comes back as a new node");
            let action = Action::DeletePod { uid: pod.uid.clone(), proof };
            Step::act(kind, ordinal, action, "RestartingPod", message)
        }
        None => Step::wait(kind, ordinal, "WaitingForPod", "its pod comes back".to_owned()),
    })
}

/// Volume claims beyond the last pod. They go on proof only; what is not known to have left keeps its volume, and a
/// node that comes back to it is the one it was.
fn sweep_claims(sight: &Sight) -> Option<Step> {
    let (&ordinal, claim) = sight.claims.range(sight.workload.replicas..).next_back()?;
    if let Some(pod) = sight.pods.get(&ordinal) {
        let message = format!("its pod ({}) has not ended yet", pod.uid);
        return Some(Step::wait(Kind::ScaleIn, ordinal, "WaitingForPod", message));
    }
    if claim.is_terminating {
        return Some(Step::wait(Kind::ScaleIn, ordinal, "WaitingForVolume", "its volume is being removed".to_owned()));
    }
    let proof = sight.proof_of_leaving(ordinal).ok()?;
    let message = format!("{proof}; its volume goes");
    let action = Action::DeleteClaim { uid: claim.uid.clone(), proof };
    Some(Step::act(Kind::ScaleIn, ordinal, action, "RemovingVolume", message))
}

/// A person gave up the disk of one pod, by the pod's exact identity. The volume first: a claim that is in use stays
/// until its pod is gone, and the next pod waits for a new one.
fn replace(sight: &Sight) -> Option<Step> {
    let Replace { pod_uid } = sight.replace.as_ref()?;
    let (&ordinal, pod) = sight.pods.iter().find(|(_, pod)| pod.uid == *pod_uid)?;
    if pod.is_terminating {
        return Some(Step::wait(Kind::Replace, ordinal, "WaitingForPod", "its pod is ending".to_owned()));
    }
    if let Some(trouble) = sight.lack_beside(ordinal).or_else(|| sight.unavailable()) {
        return Some(Step::wait(Kind::Replace, ordinal, "WaitingForRing", trouble));
    }
    let proof = Proof::GivenUp { pod_uid: pod_uid.clone() };
    let claim = sight.claims.get(&ordinal).filter(|claim| !claim.is_terminating);
    let (action, word, message) = match claim {
        Some(claim) => {
            let message = format!("{proof}; its volume goes");
            (Action::DeleteClaim { uid: claim.uid.clone(), proof }, "RemovingVolume", message)
        }
        None => {
            let message = format!("{proof}; its pod comes back on an empty one");
            (Action::DeletePod { uid: pod.uid.clone(), proof }, "RestartingPod", message)
        }
    };
    Some(Step::act(Kind::Replace, ordinal, action, word, message))
}

fn scale_out(sight: &Sight) -> Option<Step> {
    let replicas = sight.workload.replicas;
    let newest = replicas.checked_sub(1)?;
    // A node that was added is let in before anything else happens, also when the ring is big enough by now.
    if let Some(newcomer) = sight.joining() {
        let message = "it takes over what it shall keep".to_owned();
        return Some(Step::wait(Kind::ScaleOut, newcomer, "Joining", message));
    }
    if sight.desired <= replicas {
        return None;
    }
    if let Some(lack) = sight.lack_of(newest) {
        return Some(Step::wait(Kind::ScaleOut, newest, "WaitingForNode", lack));
    }
    if let Some(trouble) = sight.unavailable().or_else(|| sight.moving()) {
        return Some(Step::wait(Kind::ScaleOut, replicas, "WaitingForRing", trouble));
    }
    let message = format!("a node is added; {} are asked for", sight.desired);
    Some(Step::act(Kind::ScaleOut, replicas, Action::Raise { to: replicas + 1 }, "Adding", message))
}

fn update(sight: &Sight) -> Option<Step> {
    let Workload { replicas, partition, is_observed, .. } = sight.workload;
    if !is_observed {
        return Some(Step::wait(Kind::Update, None, "WaitingForRevision", "the workload was just changed".to_owned()));
    }
    let outdated = (0..replicas).rev().find(|ordinal| sight.is_outdated(*ordinal));
    // Those that may be updated already come first, the broken one among them.
    let begun =
        (partition..replicas).rev().find(|ordinal| sight.is_outdated(*ordinal) || sight.lack_of(*ordinal).is_some());
    if partition < replicas
        && let Some(ordinal) = begun
    {
        let lack = sight.lack_of(ordinal).unwrap_or_else(|| "it does not have the newest revision yet".to_owned());
        let failed = sight.pods.get(&ordinal).and_then(|pod| pod.failure.clone());
        return Some(match failed {
            Some(failure) => {
                Step::stuck(Kind::Update, ordinal, "NodeFails", format!("{failure}; no other node is updated"))
            }
            None => Step::wait(Kind::Update, ordinal, "WaitingForNode", lack),
        });
    }
    let Some(ordinal) = outdated else {
        let message = "every node has the newest revision".to_owned();
        let raise = Action::Partition { to: replicas };
        return (partition < replicas).then(|| Step::act(Kind::Update, replicas - 1, raise, "Finishing", message));
    };
    // A node that is broken anyway may be updated although the ring misses it; a whole one may not.
    let trouble = match sight.lack_of(ordinal) {
        Some(_) => sight.lack_beside(ordinal).or_else(|| sight.unavailable()),
        None => sight.trouble(),
    };
    if let Some(trouble) = trouble {
        return Some(Step::wait(Kind::Update, ordinal, "WaitingForRing", trouble));
    }
    let message = "it gets the newest revision".to_owned();
    Some(Step::act(Kind::Update, ordinal, Action::Partition { to: ordinal }, "Updating", message))
}

fn scale_in(sight: &Sight) -> Option<Step> {
    let replicas = sight.workload.replicas;
    if sight.desired >= replicas || replicas <= 1 {
        return None;
    }
    let ordinal = replicas - 1;
    if let Some(node) = sight.given_up(ordinal) {
        if let Some(trouble) = sight.lack_beside(ordinal).or_else(|| sight.unavailable()) {
            return Some(Step::wait(Kind::ScaleIn, ordinal, "WaitingForRing", trouble));
        }
        let message = format!("node {} is down; the ring makes its copies anew and goes on without it", node.id);
        return Some(Step::act(Kind::ScaleIn, ordinal, Action::Leave { node }, "Leaving", message));
    }
    let own = sight.report(ordinal).map(|report| report.own.identity.clone());
    let Some(node) = own else {
        let message =
            "it does not answer and the ring has not given it up; nothing is removed while that lasts".to_owned();
        return Some(Step::wait(Kind::ScaleIn, ordinal, "NodeUnreachable", message));
    };
    if let Some(trouble) = sight.trouble() {
        return Some(Step::wait(Kind::ScaleIn, ordinal, "WaitingForRing", trouble));
    }
    let message = format!("node {} hands over what it keeps", node.id);
    Some(Step::act(Kind::ScaleIn, ordinal, Action::Leave { node }, "Leaving", message))
}

#[cfg(test)]
mod tests;
