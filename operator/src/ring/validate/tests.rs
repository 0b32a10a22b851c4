//! What `validate` refuses, what it holds back, and what it passes on.

use k8s_openapi::api::apps::v1::StatefulSetSpec;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use scrapering_crds::ring::ScaleInSpec;
use scrapering_crds::{RingStorage, ScrapeRing, ScrapeRingSpec};

use super::*;

const IMAGE: &str = "registry.example/scrapering:1.2.3";

fn found(name: &str, spec: ScrapeRingSpec) -> Found {
    let mut ring = ScrapeRing::new(name, spec);
    ring.metadata.namespace = Some("web".to_owned());
    ring.metadata.uid = Some("0c6f".to_owned());
    Found::alone(ring)
}

fn defaults() -> Defaults {
    Defaults { image: IMAGE.to_owned(), operator: None }
}

fn spec() -> ScrapeRingSpec {
    ScrapeRingSpec { replicas: 5, ..ScrapeRingSpec::default() }
}

fn running(replicas: i32, size: &str, class: Option<&str>) -> StatefulSet {
    let claim = PersistentVolumeClaimSpec {
        storage_class_name: class.map(str::to_owned),
        resources: Some(VolumeResourceRequirements {
            requests: Some([("storage".to_owned(), Quantity(size.to_owned()))].into()),
            ..VolumeResourceRequirements::default()
        }),
        ..PersistentVolumeClaimSpec::default()
    };
    StatefulSet {
        spec: Some(StatefulSetSpec {
            replicas: Some(replicas),
            volume_claim_templates: Some(vec![PersistentVolumeClaim {
                spec: Some(claim),
                ..PersistentVolumeClaim::default()
            }]),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn error(name: &str, change: impl FnOnce(&mut ScrapeRingSpec)) -> Error {
    let mut spec = spec();
    change(&mut spec);
    validate(&found(name, spec), &defaults()).expect_err("must be refused")
}

#[test]
fn a_new_ring_is_built_as_it_asks() {
    let ring = validate(&found("main", spec()), &defaults()).expect("a good ring");
    assert_eq!((ring.name.as_str(), ring.namespace.as_str(), ring.replicas), ("main", "web", 5));
    assert_eq!(ring.image, IMAGE);
    assert_eq!(ring.owner.uid, "0c6f");
    assert_eq!(ring.owner.controller, Some(true));
    assert_eq!(ring.founders.len(), 5);
    assert_eq!(ring.founders[4], "main-4.main-peers.web.svc:7443");
    assert_eq!((ring.desired, ring.partition, ring.is_formed), (5, 5, false));
    assert_eq!(ring.held, []);
}

#[test]
fn the_image_of_the_spec_wins_over_the_default() {
    let asked = ScrapeRingSpec { image: Some("mine:2".to_owned()), ..spec() };
    assert_eq!(validate(&found("main", asked), &defaults()).expect("a good ring").image, "mine:2");
}

#[test]
fn names_that_are_no_dns_labels_are_refused() {
    let long = "a".repeat(41);
    for name in ["", "1main", "Main", "ma.in", "main-", "ma_in", long.as_str()] {
        assert_eq!(error(name, |_| {}), Error::Name(name.to_owned()));
    }
    for name in ["a", "main-2", &long[..40]] {
        assert!(validate(&found(name, spec()), &defaults()).is_ok(), "{name}");
    }
}

#[test]
fn an_object_without_identity_is_refused() {
    let mut ring = found("main", spec());
    ring.ring.metadata.uid = None;
    assert_eq!(validate(&ring, &defaults()), Err(Error::Identity("uid")));
    ring.ring.metadata.namespace = None;
    assert_eq!(validate(&ring, &defaults()), Err(Error::Identity("namespace")));
}

#[test]
fn bad_fields_are_refused_by_their_path() {
    for replicas in [0, -1, 1025] {
        assert_eq!(error("main", |spec| spec.replicas = replicas), Error::Replicas(replicas));
    }
    for image in ["", "a b"] {
        assert_eq!(error("main", |spec| spec.image = Some(image.to_owned())), Error::Image(image.to_owned()));
    }
    for size in ["", "0", "0Gi", "lots", "-1Gi", "1.5Gi", "10GiB", "99999999999999999999"] {
        assert_eq!(error("main", |spec| spec.storage.size = size.to_owned()), Error::Size(size.to_owned()));
    }
    assert!(error("main", |spec| spec.replicas = 0).to_string().starts_with("spec.replicas: "));
}

#[test]
fn a_list_of_peers_that_no_process_could_be_given_is_refused() {
    let mut ring = found(&"a".repeat(40), ScrapeRingSpec { replicas: 1024, ..spec() });
    assert!(validate(&ring, &defaults()).is_ok());
    ring.ring.metadata.namespace = Some("b".repeat(63));
    assert_eq!(validate(&ring, &defaults()).err(), Some(Error::Peers(1024)));
}

#[test]
fn a_running_ring_keeps_its_volumes_and_says_so_and_its_number_until_the_engine_changes_it() {
    let mut ring = found("main", ScrapeRingSpec { replicas: 3, ..spec() });
    ring.ring.spec.storage =
        RingStorage { size: "5Gi".to_owned(), storage_class_name: Some("fast".to_owned()), ..RingStorage::default() };
    ring.stateful_set = Some(running(5, "10Gi", None));
    let valid = validate(&ring, &defaults()).expect("held back, not refused");
    assert_eq!((valid.replicas, valid.desired), (5, 3));
    assert_eq!(valid.storage, Storage { size: "10Gi".to_owned(), class: None });
    let fields: Vec<&str> = valid.held.iter().map(|held| held.field).collect();
    assert_eq!(fields, ["spec.storage.size", "spec.storage.storageClassName"]);
}

#[test]
fn a_larger_size_is_what_the_volumes_shall_grow_to_and_the_workload_stays() {
    let mut ring = found("main", spec());
    ring.ring.spec.storage.size = "20Gi".to_owned();
    ring.stateful_set = Some(running(5, "10Gi", None));
    let valid = validate(&ring, &defaults()).expect("a good ring");
    assert_eq!((valid.storage.size.as_str(), valid.size.as_str()), ("10Gi", "20Gi"));
    assert_eq!(valid.held, []);
}

#[test]
fn a_ring_that_may_not_shrink_does_not_and_says_so() {
    let forbid = ScaleInSpec { policy: ScaleInPolicy::Forbid, ..ScaleInSpec::default() };
    let mut ring = found("main", ScrapeRingSpec { replicas: 3, scale_in: forbid, ..spec() });
    ring.stateful_set = Some(running(5, "10Gi", None));
    let valid = validate(&ring, &defaults()).expect("held back, not refused");
    assert_eq!((valid.desired, valid.held[0].field), (5, "spec.replicas"));
}

#[test]
fn a_workload_that_was_deleted_comes_back_with_everybody_who_has_a_volume() {
    let mut ring = found("main", ScrapeRingSpec { replicas: 3, ..spec() });
    ring.keys = Some(Keys::make(&["main-0.main-peers.web.svc:7443".to_owned()]).expect("keys"));
    ring.claims = (0..5).map(|ordinal| (ordinal, PersistentVolumeClaim::default())).collect();
    let valid = validate(&ring, &defaults()).expect("a good ring");
    assert_eq!((valid.replicas, valid.desired, valid.founders.len()), (5, 3, 1));
}

#[test]
fn keys_are_not_made_anew_for_volumes_that_they_could_not_read() {
    let mut ring = found("main", spec());
    ring.claims = [(0, PersistentVolumeClaim::default())].into();
    let error = validate(&ring, &defaults()).expect_err("refused");
    assert!(matches!(&error, Error::Keys(keys::Error::Lost { claims, .. }) if claims == "data-main-0"), "{error}");
}

#[test]
fn the_same_size_in_another_unit_is_no_change() {
    let mut ring = found("main", spec());
    ring.stateful_set = Some(running(5, "10240Mi", None));
    let valid = validate(&ring, &defaults()).expect("a good ring");
    assert_eq!(valid.held, []);
    assert_eq!(valid.storage.size, "10240Mi");
}
