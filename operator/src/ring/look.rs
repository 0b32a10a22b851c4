//! From what was found to what the topology engine looks at.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStatus, PersistentVolumeClaim, Pod as KubePod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::contract;
use super::dereference::Found;
use super::topology::{Claim, Pod, Replace, Sight, Size, Workload};
use super::validate::{ValidatedRing, bytes};

/// Label of a pod with the revision that it was made from.
const REVISION: &str = "controller-revision-hash";
/// Reasons of a waiting container that time alone does not cure.
const FAILURES: [&str; 6] = [
    "CrashLoopBackOff",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
];

/// What there is of a ring, given its workload as the server holds it now.
pub fn sight(ring: &ValidatedRing, found: &Found, workload: &StatefulSet, now: Timestamp) -> Sight {
    let status = workload.status.clone().unwrap_or_default();
    let claimed = found.claims.keys().next_back().map_or(0, |last| last + 1);
    let named = ring.desired.max(ring.replicas).max(claimed);
    let names = (0..named).map(|ordinal| (ordinal, contract::node_name(&ring.name, &ring.namespace, ordinal)));
    let replace = found.ring.annotations().get(contract::REPLACE_NODE);
    let stable_s = i64::from(ring.spec.update.min_stable_seconds);
    Sight {
        desired: ring.desired,
        names: names.collect(),
        workload: Workload {
            replicas: ring.replicas,
            partition: ring.partition,
            update_revision: status.update_revision.unwrap_or_default(),
            is_observed: status.observed_generation == workload.metadata.generation,
            uid: workload.uid().unwrap_or_default(),
            is_terminating: workload.metadata.deletion_timestamp.is_some(),
            claim_bytes: bytes(&ring.storage.size).unwrap_or(u128::MAX),
        },
        pods: found.pods.iter().map(|(ordinal, it)| (*ordinal, pod(it, stable_s, now))).collect(),
        claims: found.claims.iter().map(|(ordinal, it)| (*ordinal, claim(it))).collect(),
        size: Size { text: ring.size.clone(), bytes: bytes(&ring.size).unwrap_or(0), is_refused: false },
        reports: found.reports.clone(),
        replace: replace.map(|uid| Replace { pod_uid: uid.clone() }),
    }
}

fn claim(claim: &PersistentVolumeClaim) -> Claim {
    let requests = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    Claim {
        uid: claim.uid().unwrap_or_default(),
        is_terminating: claim.metadata.deletion_timestamp.is_some(),
        is_bound: phase == Some("Bound"),
        // What cannot be read is none of ours to grow.
        bytes: requests.and_then(|requests| bytes(&requests.get("storage")?.0)).unwrap_or(u128::MAX),
    }
}

fn pod(pod: &KubePod, stable_s: i64, now: Timestamp) -> Pod {
    let status = pod.status.clone().unwrap_or_default();
    let ready =
        status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready" && condition.status == "True");
    // A node that starts and falls is ready for a moment each time.
    let since = ready.map(|ready| ready.last_transition_time.as_ref().map_or(0, |time| time.0.as_second()));
    Pod {
        uid: pod.uid().unwrap_or_default(),
        revision: pod.labels().get(REVISION).cloned().unwrap_or_default(),
        is_ready: since.is_some_and(|since| now.as_second() >= since + stable_s),
        is_terminating: pod.metadata.deletion_timestamp.is_some(),
        failure: status.container_statuses.iter().flatten().find_map(failure),
    }
}

fn failure(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().filter(|reason| FAILURES.contains(reason))?;
    Some(match &waiting.message {
        Some(message) => format!("{reason}: {}", message.chars().take(200).collect::<String>()),
        None => reason.to_owned(),
    })
}
