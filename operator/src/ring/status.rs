//! Step five: what the ring's status should say, as a pure function of what was seen, and the write of it.
//!
//! Three conditions: `Ready` (every node serves), `Progressing` (a change is under way), `Degraded` (a person is needed).
//! The status holds no clock and no counter of the operator's own: the same sight gives the same status and no write,
//! because each write of the status is itself a change that wakes the controller.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use scrapering_crds::{API_VERSION, Condition, ConditionStatus, ScrapeRing, ScrapeRingStatus};
use serde_json::json;

use super::validate::{self, Held};
use super::{MANAGER, apply, build};

/// Longest message of a condition: enough for every problem, small beside the 32768 that the schema allows.
const MAX_MESSAGE_CHARS: usize = 4096;

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One word in CamelCase, for programs.
    pub reason: &'static str,
    /// A sentence, for people.
    pub message: String,
}

impl From<&validate::Error> for Problem {
    fn from(error: &validate::Error) -> Self {
        Self { reason: "InvalidSpec", message: error.to_string() }
    }
}

impl From<&Held> for Problem {
    fn from(held: &Held) -> Self {
        let Held { field, running, wanted } = held;
        let message = format!("{field}: this version keeps {running} and does not change a running ring to {wanted}");
        Self { reason: "ChangeUnsupported", message }
    }
}

impl From<&apply::Failure> for Problem {
    fn from(failure: &apply::Failure) -> Self {
        let (reason, why) = match &failure.error {
            error @ apply::Error::NameTaken => ("NameTaken", error.to_string()),
            apply::Error::Api(kube::Error::Api(answer)) => ("ApplyFailed", answer.message.clone()),
            apply::Error::Api(_) => ("ApplyFailed", "the API server could not be asked".to_owned()),
        };
        Self { reason, message: format!("{}: {why}", failure.object) }
    }
}

/// What one reconcile saw.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The ring, with the status it has now.
    pub ring: &'a ScrapeRing,
    /// Its workload, if there is one.
    pub stateful_set: Option<&'a StatefulSet>,
    /// What needs a person.
    pub problems: &'a [Problem],
}

/// The status to write, or `None` when the ring says it already.
pub fn next(observed: &Observed<'_>, now: Timestamp) -> Option<ScrapeRingStatus> {
    let previous = observed.ring.status.as_ref();
    let nodes = Nodes::of(observed.stateful_set);
    let verdicts = [nodes.ready(), nodes.progressing(), degraded(observed.problems)];
    let generation = observed.ring.metadata.generation;
    let next = ScrapeRingStatus {
        observed_generation: generation,
        phase: Some(phase(&verdicts).to_owned()),
        replicas: nodes.present,
        ready_replicas: nodes.ready,
        selector: Some(label_selector(&observed.ring.name_any())),
        conditions: verdicts
            .iter()
            .map(|verdict| verdict.condition(previous.map_or(&[], |status| &status.conditions), generation, now))
            .collect(),
        ..ScrapeRingStatus::default()
    };
    (previous != Some(&next)).then_some(next)
}

/// Writes a ring's whole status; a ring that is gone meanwhile is not made again.
///
/// # Errors
/// Whatever the API server or the way to it answers; the old status stays.
pub async fn publish(client: &Client, ring: &ScrapeRing, status: &ScrapeRingStatus) -> Result<(), kube::Error> {
    let rings: Api<ScrapeRing> = Api::namespaced(client.clone(), &ring.namespace().unwrap_or_default());
    let body = json!({
        "apiVersion": API_VERSION,
        "kind": "ScrapeRing",
        "metadata": { "name": ring.metadata.name, "uid": ring.metadata.uid },
        "status": status,
    });
    let written = rings.patch_status(&ring.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(body)).await;
    match written {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        other => other.map(|_| ()),
    }
}

fn label_selector(ring: &str) -> String {
    build::selector(ring).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The numbers of a workload that the status speaks of.
struct Nodes {
    exists: bool,
    rolled_out: bool,
    desired: i32,
    present: i32,
    ready: i32,
}

impl Nodes {
    fn of(workload: Option<&StatefulSet>) -> Self {
        let desired = workload.and_then(|workload| workload.spec.as_ref()?.replicas).unwrap_or(0);
        let generation = workload.and_then(|workload| workload.metadata.generation);
        let status = workload.and_then(|workload| workload.status.clone()).unwrap_or_default();
        Self {
            exists: workload.is_some(),
            rolled_out: status.observed_generation == generation && status.updated_replicas == Some(desired),
            desired,
            present: status.replicas,
            ready: status.ready_replicas.unwrap_or(0),
        }
    }

    fn all_ready(&self) -> bool {
        self.exists && self.ready >= self.desired
    }

    fn ready(&self) -> Verdict {
        let message = format!("{} of {} nodes are ready", self.ready, self.desired);
        match (self.exists, self.all_ready()) {
            (false, _) => Verdict::no("Ready", "NotCreated", "there are no nodes yet".to_owned()),
            (true, false) => Verdict::no("Ready", "NodesNotReady", message),
            (true, true) => Verdict::yes("Ready", "NodesReady", message),
        }
    }

    fn progressing(&self) -> Verdict {
        match (self.exists, self.rolled_out, self.all_ready()) {
            (false, _, _) => Verdict::no("Progressing", "NotCreated", "there are no nodes yet".to_owned()),
            (true, false, _) => {
                Verdict::yes("Progressing", "RollingOut", "nodes are being made or replaced".to_owned())
            }
            (true, true, false) => Verdict::yes("Progressing", "WaitingForNodes", "nodes are starting".to_owned()),
            (true, true, true) => Verdict::no("Progressing", "Settled", "every node is as asked for".to_owned()),
        }
    }
}

fn degraded(problems: &[Problem]) -> Verdict {
    let Some(first) = problems.first() else {
        return Verdict::no("Degraded", "AsExpected", "nothing needs a person".to_owned());
    };
    let message = problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ");
    Verdict::yes("Degraded", first.reason, message.chars().take(MAX_MESSAGE_CHARS).collect())
}

fn phase([ready, progressing, degraded]: &[Verdict; 3]) -> &'static str {
    match (degraded.holds, progressing.holds, ready.holds) {
        (true, _, _) => "Degraded",
        (false, true, _) => "Progressing",
        (false, false, true) => "Ready",
        (false, false, false) => "Pending",
    }
}

/// A condition without its time.
struct Verdict {
    type_: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn yes(type_: &'static str, reason: &'static str, message: String) -> Self {
        Self { type_, holds: true, reason, message }
    }

    fn no(type_: &'static str, reason: &'static str, message: String) -> Self {
        Self { type_, holds: false, reason, message }
    }

    /// The time moves only when the condition's status does, not when its words change.
    fn condition(&self, previous: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let status = if self.holds { ConditionStatus::True } else { ConditionStatus::False };
        let before = previous.iter().find(|before| before.type_ == self.type_ && before.status == status);
        Condition {
            type_: self.type_.to_owned(),
            status,
            reason: self.reason.to_owned(),
            message: self.message.clone(),
            last_transition_time: before.map_or_else(
                || now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                |before| before.last_transition_time.clone(),
            ),
            observed_generation: generation,
        }
    }
}

#[cfg(test)]
mod tests;
