//! Step five: what the ring's status should say, as a pure function of what was seen.
//!
//! Conditions: `Ready` (requests are served), `Progressing` (an operation runs), `Degraded` (a person is needed), and in
//! detail `RingStable`, `ReplicationSatisfied`, `CertificatesReady`, `OptionalApis` and `Paused`. The status holds no clock and no counter
//! of the operator's own: the same sight gives the same status and no write, because each write of the status is itself a
//! change that wakes the controller.

mod members;
pub mod news;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use scrapering_crds::{
    ConditionStatus, Endpoints, Operation, RingState, ScrapeRing, ScrapeRingStatus, Span, TlsStatus,
};

use super::build::OptionalApi;
use super::certificates::Certificates;
use super::topology::{Sight, Step};
use super::validate::{self, Held};
use super::{act, apply, build, certificates, contract, keys};
use crate::condition::{Verdict, time};

const NOTHING_MISSING: &str = "every API that the ring uses is served";

/// Longest message of an operation, as the schema has it.
const MAX_STEP_CHARS: usize = 1024;

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One word in CamelCase, for programs.
    pub reason: &'static str,
    /// A sentence, for people.
    pub message: String,
}

impl Problem {
    /// A node takes longer to leave than the ring's owner thinks right.
    pub fn of_slow_leave(ring: &str, step: &Step, limit: Span) -> Self {
        let node = step.ordinal.map(|ordinal| contract::pod_name(ring, ordinal)).unwrap_or_default();
        let message = format!("{node} takes longer than {limit} (spec.scaleIn.timeout) to leave: {}", step.message);
        Self { reason: "ScaleInTimedOut", message }
    }
}

impl From<&validate::Error> for Problem {
    fn from(error: &validate::Error) -> Self {
        let reason = match error {
            validate::Error::Keys(keys::Error::Lost { .. }) => "EncryptionKeyMissing",
            validate::Error::Keys(_) => "SecretInvalid",
            _ => "InvalidSpec",
        };
        Self { reason, message: error.to_string() }
    }
}

impl From<&Held> for Problem {
    fn from(held: &Held) -> Self {
        let Held { field, running, wanted } = held;
        Self { reason: "ChangeHeld", message: format!("{field}: {running} stays and is not changed to {wanted}") }
    }
}

impl From<&certificates::Error> for Problem {
    fn from(error: &certificates::Error) -> Self {
        Self { reason: "CertificatesInvalid", message: error.to_string() }
    }
}

impl From<&apply::Failure> for Problem {
    fn from(failure: &apply::Failure) -> Self {
        let (reason, why) = match &failure.error {
            error @ apply::Error::NameTaken => ("NameTaken", error.to_string()),
            apply::Error::Api(error) => ("ApplyFailed", said(error)),
        };
        Self { reason, message: format!("{}: {why}", failure.object) }
    }
}

impl From<&act::Error> for Problem {
    fn from(error: &act::Error) -> Self {
        let message = match error {
            act::Error::Api(error) => said(error),
            error => error.to_string(),
        };
        Self { reason: "StepFailed", message }
    }
}

fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(answer) => answer.message.clone(),
        _ => "the API server could not be asked".to_owned(),
    }
}

/// What one reconcile saw and did.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The ring, with the status it has now.
    pub ring: &'a ScrapeRing,
    /// Its workload, if there is one.
    pub stateful_set: Option<&'a StatefulSet>,
    /// What there is of the ring; `None` when it could not be looked at.
    pub sight: Option<&'a Sight>,
    /// The step that is taken.
    pub step: Option<&'a Step>,
    /// Its certificates.
    pub certificates: Option<&'a Certificates>,
    /// What is waited for before the nodes have the certificates that they should have.
    pub certificate_lack: Option<&'a str>,
    /// APIs that the ring uses and that the cluster does not serve; `None` when nobody has looked.
    pub missing: Option<&'a [&'static OptionalApi]>,
    /// What needs a person.
    pub problems: &'a [Problem],
}

/// The status to write, or `None` when the ring says it already.
pub fn next(observed: &Observed<'_>, now: Timestamp) -> Option<ScrapeRingStatus> {
    let previous = observed.ring.status.as_ref();
    let ring = observed.ring.name_any();
    let namespace = observed.ring.namespace().unwrap_or_default();
    let workload = observed.stateful_set.and_then(|workload| workload.status.clone()).unwrap_or_default();
    let template = observed.stateful_set.and_then(|workload| workload.spec.as_ref()?.template.spec.as_ref());
    let verdicts = verdicts(observed, workload.ready_replicas.unwrap_or(0));
    let generation = observed.ring.metadata.generation;
    let before = previous.map_or(&[][..], |status| &status.conditions);
    let next = ScrapeRingStatus {
        observed_generation: generation,
        phase: Some(phase(observed, &verdicts)),
        replicas: workload.replicas,
        ready_replicas: workload.ready_replicas.unwrap_or(0),
        updated_replicas: workload.updated_replicas.unwrap_or(0),
        joined_replicas: observed.sight.map_or(0, members::joined),
        selector: Some(label_selector(&ring)),
        image: template.and_then(|template| template.containers.first()?.image.clone()),
        ring: observed.sight.and_then(ring_state),
        members: observed.sight.map(|sight| members::of(&ring, sight)).unwrap_or_default(),
        operation: observed.step.map(|step| operation(&ring, step)),
        tls: observed.certificates.map(tls),
        endpoints: Some(Endpoints {
            gateway: format!("https://{}:{}", contract::gateway_host(&ring, &namespace), contract::GATEWAY_PORT),
            peers: format!("{ring}-peers.{namespace}.svc"),
        }),
        conditions: verdicts.iter().map(|verdict| verdict.condition(before, generation, now)).collect(),
    };
    (previous != Some(&next)).then_some(next)
}

fn label_selector(ring: &str) -> String {
    build::selector(ring).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn ring_state(sight: &Sight) -> Option<RingState> {
    let speakers = || sight.reports.values().filter(|report| !report.own.left);
    let first = speakers().next()?;
    Some(RingState {
        id: first.ring_id.clone(),
        size: speakers().map(|report| i32::try_from(report.nodes.len()).unwrap_or(i32::MAX)).max().unwrap_or(0),
        stable: sight.trouble().is_none(),
        tolerates: speakers().map(|report| report.tolerates).min().unwrap_or(0),
        under_replicated: sight.worst(|report| report.views.under_replicated),
        unavailable: sight.worst(|report| report.views.unavailable),
    })
}

fn operation(ring: &str, step: &Step) -> Operation {
    Operation {
        type_: step.kind.word().to_owned(),
        target: step.ordinal.map(|ordinal| contract::pod_name(ring, ordinal)),
        step: step.word.to_owned(),
        message: step.message.chars().take(MAX_STEP_CHARS).collect(),
    }
}

fn tls(certificates: &Certificates) -> TlsStatus {
    TlsStatus {
        ca_not_after: time(certificates.ca_until),
        leaf_not_after: time(certificates.leaf_until),
        ca_generation: certificates.generation,
    }
}

fn verdicts(observed: &Observed<'_>, ready_pods: i32) -> Vec<Verdict> {
    vec![
        ready(observed, ready_pods),
        progressing(observed),
        degraded(observed),
        stable(observed.sight),
        replicated(observed.sight),
        certified(observed),
        optional(observed),
        match observed.ring.spec.paused {
            true => Verdict::yes("Paused", "PausedBySpec", "nothing is changed while spec.paused is true".to_owned()),
            false => Verdict::no("Paused", "NotPaused", "the ring is looked after".to_owned()),
        },
    ]
}

fn ready(observed: &Observed<'_>, ready_pods: i32) -> Verdict {
    let no = |reason, message| Verdict::no("Ready", reason, message);
    let Some(sight) = observed.sight else { return no("NotCreated", "there are no nodes yet".to_owned()) };
    let message = format!("{ready_pods} of {} nodes are ready", sight.workload.replicas);
    match (sight.is_formed(), sight.unavailable()) {
        (false, _) => no("NotFormed", message),
        (true, Some(trouble)) => no("PartitionsUnavailable", trouble),
        (true, None) if ready_pods == 0 => no("NodesNotReady", message),
        (true, None) => Verdict::yes("Ready", "Serving", message),
    }
}

fn progressing(observed: &Observed<'_>) -> Verdict {
    match (observed.step, observed.sight) {
        (Some(step), _) => Verdict::yes("Progressing", step.kind.word(), step.message.clone()),
        (None, None) => Verdict::no("Progressing", "NotCreated", "there are no nodes yet".to_owned()),
        (None, Some(_)) => Verdict::no("Progressing", "Settled", "every node is as asked for".to_owned()),
    }
}

fn degraded(observed: &Observed<'_>) -> Verdict {
    let stuck = observed.step.filter(|step| step.is_stuck);
    let stuck = stuck.map(|step| Problem { reason: step.word, message: step.message.clone() });
    let problems: Vec<&Problem> = observed.problems.iter().chain(&stuck).collect();
    let Some(first) = problems.first() else {
        return Verdict::no("Degraded", "AsExpected", "nothing needs a person".to_owned());
    };
    let message = problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ");
    Verdict::yes("Degraded", first.reason, message)
}

fn stable(sight: Option<&Sight>) -> Verdict {
    match sight.map(Sight::trouble) {
        None => Verdict::no("RingStable", "NotCreated", "there are no nodes yet".to_owned()),
        Some(None) => Verdict::yes("RingStable", "Stable", "every node takes part and nothing moves".to_owned()),
        Some(Some(trouble)) => Verdict::no("RingStable", "Unsettled", trouble),
    }
}

fn replicated(sight: Option<&Sight>) -> Verdict {
    let of = "ReplicationSatisfied";
    match sight.filter(|sight| sight.is_formed()) {
        None => Verdict::no(of, "NotFormed", "the ring is not formed yet".to_owned()),
        Some(sight) => match sight.thin() {
            None => Verdict::yes(of, "AllCopies", "every partition has all its copies".to_owned()),
            Some(trouble) => Verdict::no(of, "TooFewCopies", trouble),
        },
    }
}

fn certified(observed: &Observed<'_>) -> Verdict {
    let of = "CertificatesReady";
    match (observed.certificate_lack, observed.certificates) {
        (Some(lack), _) => Verdict::no(of, "WaitingForIssuer", lack),
        (None, Some(_)) => Verdict::yes(of, "Issued", "the nodes' certificate is good"),
        (None, None) => Verdict::no(of, "NotIssued", "the nodes have no certificate"),
    }
}

fn optional(observed: &Observed<'_>) -> Verdict {
    let of = "OptionalApis";
    let Some(missing) = observed.missing else {
        let said = observed.ring.status.iter().flat_map(|status| &status.conditions).find(|it| it.type_ == of);
        return match said {
            Some(said) if said.status == ConditionStatus::False => Verdict::no(of, &*said.reason, &*said.message),
            _ => Verdict::yes(of, "NothingMissing", NOTHING_MISSING),
        };
    };
    let lack = |api: &&OptionalApi| {
        format!(
            "{} asks for {} of {}/{}, which this cluster does not serve",
            api.field, api.kind, api.group, api.version
        )
    };
    match missing {
        [] => Verdict::yes(of, "NothingMissing", NOTHING_MISSING),
        some => Verdict::no(of, "OptionalApiMissing", some.iter().map(lack).collect::<Vec<_>>().join("; ")),
    }
}

fn phase(observed: &Observed<'_>, verdicts: &[Verdict]) -> String {
    let holds = |type_: &str| verdicts.iter().any(|verdict| verdict.type_ == type_ && verdict.holds);
    if holds("Paused") {
        return "Paused".to_owned();
    }
    if holds("Degraded") {
        return "Degraded".to_owned();
    }
    let Some(step) = observed.step else {
        return if holds("Ready") { "Healthy" } else { "Pending" }.to_owned();
    };
    let doing = match step.kind.word() {
        "Form" => return "Forming".to_owned(),
        "Replace" => "Replacing",
        "ScaleOut" => "ScalingOut",
        "ScaleIn" => "ScalingIn",
        "Expand" => "Expanding",
        _ => "Updating",
    };
    let target = step.ordinal.map(|ordinal| format!(" {}", contract::pod_name(&observed.ring.name_any(), ordinal)));
    format!("{doing}{}", target.unwrap_or_default())
}

#[cfg(test)]
mod tests;
