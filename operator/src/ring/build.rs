//! Step three: the Kubernetes objects of a ring, as a pure function of the ring.
//!
//! Golden manifests are in `tests/golden`; a change here shows there.

mod neighbours;
pub(super) mod network;
mod pod;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::RollingUpdateStatefulSetStrategy;
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, PersistentVolumeClaimSpec, Secret, Service, ServiceAccount, ServicePort,
    ServiceSpec, VolumeResourceRequirements,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub use neighbours::{CERTIFICATE, Neighbour, OptionalApi};

use super::keys::Data;
use super::validate::ValidatedRing;
use super::{MANAGER, certificates, contract};

/// Label that says who keeps an object as it is; the operator's watches select by it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Everything a ring consists of in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct RingObjects {
    /// The identity of the pods; it may do nothing and its token is not mounted.
    pub service_account: ServiceAccount,
    /// What the nodes are told when they start.
    pub settings: ConfigMap,
    /// Who may speak with the nodes, and where they may go.
    pub policies: Vec<NetworkPolicy>,
    /// The headless Service that gives every node its stable name.
    pub peers: Service,
    /// The Service that clients talk to.
    pub gateway: Service,
    /// Lets one node at a time be evicted.
    pub disruption_budget: PodDisruptionBudget,
    /// The nodes and their volumes.
    pub stateful_set: StatefulSet,
    /// What other controllers do for the ring; one entry for each API that a cluster may lack.
    pub neighbours: Vec<Neighbour>,
}

/// Derives a ring's objects.
pub fn build(ring: &ValidatedRing) -> RingObjects {
    RingObjects {
        service_account: service_account(ring),
        settings: settings(ring),
        policies: network::policies(ring),
        peers: peers(ring),
        gateway: gateway(ring),
        disruption_budget: disruption_budget(ring),
        stateful_set: stateful_set(ring),
        neighbours: neighbours::of(ring),
    }
}

/// A Secret of a ring. The keys live as long as the volumes that only they can read, so they are the ring's own
/// only where the volumes go with it.
pub fn secret(ring: &ValidatedRing, name: String, data: Data, outlives_ring: bool) -> Secret {
    let mut metadata = metadata(ring, name);
    if outlives_ring {
        metadata.owner_references = None;
    }
    Secret { metadata, data: Some(data), type_: Some("Opaque".to_owned()), ..Secret::default() }
}

/// Labels that select a ring's pods; a StatefulSet never lets them change.
pub fn selector(ring: &str) -> BTreeMap<String, String> {
    labels([
        ("app.kubernetes.io/name", "scrapering"),
        ("app.kubernetes.io/instance", ring),
        ("app.kubernetes.io/component", "node"),
    ])
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn metadata(ring: &ValidatedRing, name: String) -> ObjectMeta {
    let mut all = selector(&ring.name);
    all.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    ObjectMeta {
        name: Some(name),
        namespace: Some(ring.namespace.clone()),
        labels: Some(all),
        owner_references: Some(vec![ring.owner.clone()]),
        ..ObjectMeta::default()
    }
}

fn service_account(ring: &ValidatedRing) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(ring, ring.name.clone()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// Read by a container when it starts: what changes here changes no pod that runs, and no revision. It also tells clients whom
/// to trust, for not everybody who may use a ring may read Secrets.
fn settings(ring: &ValidatedRing) -> ConfigMap {
    let formed = [(contract::FORMED.to_owned(), ring.is_formed.to_string())];
    let trusted = ring.trusted.clone().map(|trusted| (certificates::CA.to_owned(), trusted));
    let data = formed.into_iter().chain(trusted).collect();
    ConfigMap { metadata: metadata(ring, ring.name.clone()), data: Some(data), ..ConfigMap::default() }
}

fn peers(ring: &ValidatedRing) -> Service {
    let spec = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        // Nodes become ready by finding each other, so their names must resolve before that.
        publish_not_ready_addresses: Some(true),
        ..service_spec(ring, "ring", contract::RING_PORT)
    };
    Service { metadata: metadata(ring, format!("{}-peers", ring.name)), spec: Some(spec), ..Service::default() }
}

fn gateway(ring: &ValidatedRing) -> Service {
    let asked = &ring.spec.gateway.service;
    let spec = ServiceSpec {
        type_: Some(asked.type_.as_str().to_owned()),
        ..service_spec(ring, "gateway", contract::GATEWAY_PORT)
    };
    let mut metadata = metadata(ring, contract::gateway_name(&ring.name));
    metadata.annotations = (!asked.annotations.is_empty()).then(|| asked.annotations.clone());
    Service { metadata, spec: Some(spec), ..Service::default() }
}

fn service_spec(ring: &ValidatedRing, port: &str, number: i32) -> ServiceSpec {
    ServiceSpec {
        type_: Some("ClusterIP".to_owned()),
        selector: Some(selector(&ring.name)),
        ports: Some(vec![ServicePort {
            name: Some(port.to_owned()),
            port: number,
            protocol: Some("TCP".to_owned()),
            target_port: Some(IntOrString::String(port.to_owned())),
            ..ServicePort::default()
        }]),
        ..ServiceSpec::default()
    }
}

fn disruption_budget(ring: &ValidatedRing) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(ring, ring.name.clone()),
        spec: Some(PodDisruptionBudgetSpec {
            // Nobody is evicted while something is kept in too few copies, or an operation runs.
            max_unavailable: Some(IntOrString::Int(i32::from(ring.may_evict))),
            selector: Some(LabelSelector { match_labels: Some(selector(&ring.name)), ..LabelSelector::default() }),
            // A pod that is broken anyway must not keep a machine from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

fn stateful_set(ring: &ValidatedRing) -> StatefulSet {
    StatefulSet {
        // The numbers below are those of this version: a workload that was scaled meanwhile is not scaled back.
        metadata: ObjectMeta { resource_version: ring.workload_version.clone(), ..metadata(ring, ring.name.clone()) },
        spec: Some(StatefulSetSpec {
            service_name: Some(format!("{}-peers", ring.name)),
            replicas: Some(ring.replicas.cast_signed()),
            selector: LabelSelector { match_labels: Some(selector(&ring.name)), ..LabelSelector::default() },
            // Nodes wait for each other at the first start, and a broken revision must be replaceable.
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                // At rest nobody may be updated: the topology engine lets one node after the other.
                rolling_update: Some(RollingUpdateStatefulSetStrategy {
                    partition: Some(ring.partition.cast_signed()),
                    ..RollingUpdateStatefulSetStrategy::default()
                }),
            }),
            min_ready_seconds: Some(ring.spec.update.min_stable_seconds),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(if ring.keeps_volumes() { "Retain" } else { "Delete" }.to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }),
            template: pod::template(ring),
            volume_claim_templates: Some(vec![data_claim(ring)]),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn data_claim(ring: &ValidatedRing) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(pod::DATA_VOLUME.to_owned()),
            labels: Some(selector(&ring.name)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: ring.storage.class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(ring.storage.size.clone()))].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
