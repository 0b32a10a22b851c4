//! How the status follows what was seen, and that it stands still when nothing moved.

use k8s_openapi::api::apps::v1::{StatefulSetSpec, StatefulSetStatus};
use scrapering_crds::ScrapeRingSpec;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time in range")
}

fn ring() -> ScrapeRing {
    let mut ring = ScrapeRing::new("main", ScrapeRingSpec::default());
    ring.metadata.generation = Some(1);
    ring
}

fn workload(ready: i32, updated: i32) -> StatefulSet {
    let mut workload = StatefulSet {
        spec: Some(StatefulSetSpec { replicas: Some(3), ..StatefulSetSpec::default() }),
        status: Some(StatefulSetStatus {
            observed_generation: Some(1),
            replicas: 3,
            ready_replicas: Some(ready),
            updated_replicas: Some(updated),
            ..StatefulSetStatus::default()
        }),
        ..StatefulSet::default()
    };
    workload.metadata.generation = Some(1);
    workload
}

/// One reconcile: what it writes is what the next one finds.
fn step(ring: &mut ScrapeRing, workload: Option<&StatefulSet>, problems: &[Problem], second: i64) -> bool {
    let next = next(&Observed { ring, stateful_set: workload, problems }, at(second));
    let wrote = next.is_some();
    ring.status = next.or(ring.status.take());
    wrote
}

/// Phase, then status, reason and second of each condition.
fn said(ring: &ScrapeRing) -> (String, Vec<(bool, String, i64)>) {
    let status = ring.status.clone().expect("a status");
    let conditions = status.conditions.iter().map(|condition| {
        let time: Timestamp = condition.last_transition_time.parse().expect("RFC 3339");
        (condition.status == ConditionStatus::True, condition.reason.clone(), time.as_second())
    });
    (status.phase.unwrap_or_default(), conditions.collect())
}

fn missing_secret() -> Problem {
    Problem { reason: "SecretMissing", message: "Secret main-keys does not exist".to_owned() }
}

#[test]
fn the_same_sight_twice_writes_nothing() {
    let sights = [(None, vec![]), (Some(workload(1, 3)), vec![missing_secret()]), (Some(workload(3, 3)), vec![])];
    for (workload, problems) in sights {
        let mut ring = ring();
        assert!(step(&mut ring, workload.as_ref(), &problems, 10));
        assert!(!step(&mut ring, workload.as_ref(), &problems, 20));
    }
}

#[test]
fn a_ring_goes_from_pending_over_progressing_to_ready() {
    let mut ring = ring();
    step(&mut ring, None, &[], 10);
    assert_eq!(said(&ring).0, "Pending");
    step(&mut ring, Some(&workload(0, 3)), &[], 20);
    assert_eq!(said(&ring).0, "Progressing");
    step(&mut ring, Some(&workload(3, 3)), &[], 30);
    let (phase, conditions) = said(&ring);
    assert_eq!(phase, "Ready");
    let wanted = [(true, "NodesReady", 30), (false, "Settled", 30), (false, "AsExpected", 10)];
    assert_eq!(conditions, wanted.map(|(status, reason, time)| (status, reason.to_owned(), time)));
    let status = ring.status.expect("a status");
    assert_eq!((status.replicas, status.ready_replicas, status.observed_generation), (3, 3, Some(1)));
}

#[test]
fn the_time_of_a_condition_moves_only_with_its_status() {
    let mut ring = ring();
    step(&mut ring, Some(&workload(0, 3)), &[], 10);
    assert!(step(&mut ring, Some(&workload(2, 3)), &[], 20), "the words changed");
    assert_eq!(said(&ring).1[0], (false, "NodesNotReady".to_owned(), 10));
    step(&mut ring, Some(&workload(3, 3)), &[], 30);
    assert_eq!(said(&ring).1[0], (true, "NodesReady".to_owned(), 30));
}

#[test]
fn a_missing_secret_is_said_plainly() {
    let mut ring = ring();
    step(&mut ring, Some(&workload(0, 3)), &[missing_secret()], 10);
    let (phase, conditions) = said(&ring);
    assert_eq!(phase, "Degraded");
    assert_eq!(conditions[2], (true, "SecretMissing".to_owned(), 10));
    assert!(!conditions[0].0, "not ready");
}

#[test]
fn all_problems_are_told_and_the_first_names_the_reason() {
    let held = Held { field: "spec.replicas", running: "5".to_owned(), wanted: "3".to_owned() };
    let mut ring = ring();
    step(&mut ring, Some(&workload(3, 3)), &[missing_secret(), Problem::from(&held)], 10);
    let degraded = &ring.status.as_ref().expect("a status").conditions[2];
    assert_eq!(degraded.reason, "SecretMissing");
    assert!(degraded.message.contains("main-keys does not exist; spec.replicas: "), "{}", degraded.message);
}

#[test]
fn a_rollout_is_progress_until_every_node_is_replaced() {
    let mut ring = ring();
    let mut unseen = workload(3, 3);
    unseen.metadata.generation = Some(2);
    for (workload, reason) in
        [(unseen, "RollingOut"), (workload(3, 1), "RollingOut"), (workload(2, 3), "WaitingForNodes")]
    {
        step(&mut ring, Some(&workload), &[], 10);
        assert_eq!(said(&ring).1[1], (true, reason.to_owned(), 10));
    }
}

#[test]
fn a_new_generation_is_acknowledged_even_if_nothing_else_changed() {
    let mut ring = ring();
    step(&mut ring, Some(&workload(3, 3)), &[], 10);
    ring.metadata.generation = Some(2);
    assert!(step(&mut ring, Some(&workload(3, 3)), &[], 20));
    assert_eq!(ring.status.expect("a status").observed_generation, Some(2));
}

#[test]
fn a_message_never_outgrows_the_schema() {
    let long = Problem { reason: "ApplyFailed", message: "é".repeat(MAX_MESSAGE_CHARS + 1) };
    let mut ring = ring();
    step(&mut ring, None, &[long], 10);
    let message = &ring.status.expect("a status").conditions[2].message;
    assert_eq!(message.chars().count(), MAX_MESSAGE_CHARS);
}

#[test]
fn the_selector_is_the_one_of_the_pods() {
    let mut ring = ring();
    step(&mut ring, None, &[], 10);
    let selector = ring.status.expect("a status").selector.expect("a selector");
    assert_eq!(
        selector,
        "app.kubernetes.io/component=node,app.kubernetes.io/instance=main,app.kubernetes.io/name=scrapering"
    );
}
