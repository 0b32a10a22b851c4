//! How the status follows what was seen, and that it stands still when nothing moved.

use k8s_openapi::api::apps::v1::{StatefulSetSpec, StatefulSetStatus};
use scrapering_crds::{ConditionStatus, ScrapeRingSpec};

use super::*;
use crate::condition::MAX_MESSAGE_CHARS;
use crate::ring::report::{Identity, Liveness, Node, Own, Report, Serving, Views};
use crate::ring::topology::{self, Pod, Workload};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time in range")
}

fn ring() -> ScrapeRing {
    let mut ring = ScrapeRing::new("main", ScrapeRingSpec::default());
    ring.metadata.generation = Some(1);
    ring.metadata.namespace = Some("web".to_owned());
    ring
}

fn workload(ready: i32) -> StatefulSet {
    let mut workload = StatefulSet {
        spec: Some(StatefulSetSpec { replicas: Some(3), ..StatefulSetSpec::default() }),
        status: Some(StatefulSetStatus {
            observed_generation: Some(1),
            replicas: 3,
            ready_replicas: Some(ready),
            updated_replicas: Some(3),
            ..StatefulSetStatus::default()
        }),
        ..StatefulSet::default()
    };
    workload.metadata.generation = Some(1);
    workload
}

/// Three nodes, of which all answer or none.
fn sight(answers: bool) -> Sight {
    let name = |ordinal: u32| format!("main-{ordinal}.main-peers.web.svc");
    let identity = |ordinal: u32| Identity { name: name(ordinal), id: format!("{ordinal}"), generation: 1 };
    let node = |ordinal: u32| Node {
        identity: identity(ordinal),
        zone: "a".to_owned(),
        liveness: Liveness::Alive,
        serving: Serving::Serving,
        copies: 256,
    };
    let report = |ordinal: u32| Report {
        ring_id: "ab".repeat(16),
        own: Own { identity: identity(ordinal), serving: Serving::Serving, left: false },
        nodes: (0..3).map(node).collect(),
        left: Vec::new(),
        tolerates: 1,
        views: Views::default(),
    };
    let pod = |ordinal: u32| Pod { uid: format!("pod-{ordinal}"), is_ready: answers, ..Pod::default() };
    Sight {
        desired: 3,
        names: (0..3).map(|ordinal| (ordinal, name(ordinal))).collect(),
        workload: Workload { replicas: 3, partition: 3, is_observed: true, ..Workload::default() },
        pods: (0..3).map(|ordinal| (ordinal, pod(ordinal))).collect(),
        reports: if answers { (0..3).map(|ordinal| (ordinal, report(ordinal))).collect() } else { [].into() },
        ..Sight::default()
    }
}

/// One reconcile: what it writes is what the next one finds.
fn step(ring: &mut ScrapeRing, seen: Option<(&StatefulSet, &Sight)>, problems: &[Problem], second: i64) -> bool {
    let step = seen.and_then(|(_, sight)| topology::next(sight));
    let observed = Observed {
        ring,
        stateful_set: seen.map(|(workload, _)| workload),
        sight: seen.map(|(_, sight)| sight),
        step: step.as_ref(),
        certificates: None,
        certificate_lack: None,
        missing: None,
        problems,
    };
    let next = next(&observed, at(second));
    let wrote = next.is_some();
    ring.status = next.or(ring.status.take());
    wrote
}

/// Whether a condition holds, its reason, and the second of its change.
fn condition(ring: &ScrapeRing, type_: &str) -> (bool, String, i64) {
    let conditions = &ring.status.as_ref().expect("a status").conditions;
    let found = conditions.iter().find(|condition| condition.type_ == type_).expect("the condition");
    let time: Timestamp = found.last_transition_time.parse().expect("RFC 3339");
    (found.status == ConditionStatus::True, found.reason.clone(), time.as_second())
}

fn phase_of(ring: &ScrapeRing) -> String {
    ring.status.clone().and_then(|status| status.phase).expect("a phase")
}

fn name_taken() -> Problem {
    Problem { reason: "NameTaken", message: "Service main-peers is another's".to_owned() }
}

#[test]
fn the_same_sight_twice_writes_nothing() {
    let (forming, whole) = (sight(false), sight(true));
    let sights =
        [(None, vec![]), (Some((workload(0), forming)), vec![name_taken()]), (Some((workload(3), whole)), vec![])];
    for (seen, problems) in sights {
        let mut ring = ring();
        let seen = seen.as_ref().map(|(workload, sight)| (workload, sight));
        assert!(step(&mut ring, seen, &problems, 10));
        assert!(!step(&mut ring, seen, &problems, 20));
    }
}

#[test]
fn a_ring_goes_from_pending_over_forming_to_healthy() {
    let mut ring = ring();
    step(&mut ring, None, &[], 10);
    assert_eq!(phase_of(&ring), "Pending");
    step(&mut ring, Some((&workload(0), &sight(false))), &[], 20);
    assert_eq!(phase_of(&ring), "Forming");
    assert_eq!(condition(&ring, "Ready"), (false, "NotFormed".to_owned(), 10));
    step(&mut ring, Some((&workload(3), &sight(true))), &[], 30);
    assert_eq!(phase_of(&ring), "Healthy");
    assert_eq!(condition(&ring, "Ready"), (true, "Serving".to_owned(), 30));
    assert_eq!(condition(&ring, "Progressing"), (false, "Settled".to_owned(), 30));
    assert_eq!(condition(&ring, "RingStable"), (true, "Stable".to_owned(), 30));
    assert_eq!(condition(&ring, "Degraded"), (false, "AsExpected".to_owned(), 10));
    let status = ring.status.expect("a status");
    assert_eq!((status.replicas, status.ready_replicas, status.joined_replicas), (3, 3, 3));
    let states: Vec<_> = status.members.iter().map(|member| (member.name.as_str(), member.state.as_str())).collect();
    assert_eq!(states, [("main-0", "Active"), ("main-1", "Active"), ("main-2", "Active")]);
}

#[test]
fn an_operation_is_named_with_its_target_and_the_ring_serves_on() {
    let mut ring = ring();
    let mut shrinking = sight(true);
    shrinking.desired = 2;
    step(&mut ring, Some((&workload(3), &shrinking)), &[], 10);
    assert_eq!(phase_of(&ring), "ScalingIn main-2");
    assert!(condition(&ring, "Ready").0);
    assert_eq!(condition(&ring, "Progressing"), (true, "ScaleIn".to_owned(), 10));
    let operation = ring.status.expect("a status").operation.expect("an operation");
    assert_eq!((operation.type_.as_str(), operation.target.as_deref()), ("ScaleIn", Some("main-2")));
}

#[test]
fn the_time_of_a_condition_moves_only_with_its_status() {
    let mut ring = ring();
    let (forming, whole) = (sight(false), sight(true));
    step(&mut ring, Some((&workload(0), &forming)), &[], 10);
    assert!(step(&mut ring, Some((&workload(2), &forming)), &[], 20), "the words changed");
    assert_eq!(condition(&ring, "Ready").2, 10);
    step(&mut ring, Some((&workload(3), &whole)), &[], 30);
    assert_eq!(condition(&ring, "Ready").2, 30);
}

#[test]
fn all_problems_are_told_and_the_first_names_the_reason() {
    let held = Held { field: "spec.replicas", running: "5".to_owned(), wanted: "3".to_owned() };
    let mut ring = ring();
    step(&mut ring, Some((&workload(3), &sight(true))), &[name_taken(), Problem::from(&held)], 10);
    assert_eq!(phase_of(&ring), "Degraded");
    assert_eq!(condition(&ring, "Degraded"), (true, "NameTaken".to_owned(), 10));
    let conditions = ring.status.expect("a status").conditions;
    let told = &conditions.iter().find(|condition| condition.type_ == "Degraded").expect("Degraded").message;
    assert!(told.contains("is another's; spec.replicas: 5 stays"), "{told}");
}

#[test]
fn an_api_that_is_missing_is_named_until_somebody_looks_again() {
    let mut ring = ring();
    let look = |ring: &mut ScrapeRing, missing: Option<&[&'static OptionalApi]>, lack: Option<&str>| {
        let observed = Observed {
            ring,
            stateful_set: None,
            sight: None,
            step: None,
            certificates: None,
            certificate_lack: lack,
            missing,
            problems: &[],
        };
        ring.status = next(&observed, at(10)).or(ring.status.take());
    };
    look(&mut ring, Some(&[&build::CERTIFICATE]), Some("it is not issued"));
    assert_eq!(condition(&ring, "OptionalApis"), (false, "OptionalApiMissing".to_owned(), 10));
    assert_eq!(condition(&ring, "CertificatesReady"), (false, "WaitingForIssuer".to_owned(), 10));
    look(&mut ring, None, None);
    assert_eq!(condition(&ring, "OptionalApis"), (false, "OptionalApiMissing".to_owned(), 10));
    let conditions = ring.status.clone().expect("a status").conditions;
    let said = &conditions.iter().find(|condition| condition.type_ == "OptionalApis").expect("OptionalApis").message;
    assert!(said.starts_with("spec.security.tls.source asks for Certificate of cert-manager.io/v1"), "{said}");
    look(&mut ring, Some(&[]), None);
    assert_eq!(condition(&ring, "OptionalApis"), (true, "NothingMissing".to_owned(), 10));
}

#[test]
fn lost_keys_are_told_apart() {
    let lost = keys::Error::Lost { secret: "main-keys".to_owned(), claims: "data-main-0".to_owned() };
    assert_eq!(Problem::from(&validate::Error::from(lost)).reason, "EncryptionKeyMissing");
}

#[test]
fn a_new_generation_is_acknowledged_even_if_nothing_else_changed() {
    let mut ring = ring();
    let (workload, sight) = (workload(3), sight(true));
    step(&mut ring, Some((&workload, &sight)), &[], 10);
    ring.metadata.generation = Some(2);
    assert!(step(&mut ring, Some((&workload, &sight)), &[], 20));
    assert_eq!(ring.status.expect("a status").observed_generation, Some(2));
}

#[test]
fn a_message_never_outgrows_the_schema() {
    let long = Problem { reason: "ApplyFailed", message: "é".repeat(MAX_MESSAGE_CHARS + 1) };
    let mut ring = ring();
    step(&mut ring, None, &[long], 10);
    let conditions = ring.status.expect("a status").conditions;
    assert!(conditions.iter().all(|condition| condition.message.chars().count() <= MAX_MESSAGE_CHARS));
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
