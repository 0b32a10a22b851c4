//! The pod of one node: it meets the Pod Security Standard `restricted`, has a read-only root and no API token.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretVolumeSource, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::selector;
use crate::ring::contract;
use crate::ring::validate::ValidatedRing;

/// Name of the volume that holds a node's share.
pub(super) const DATA_VOLUME: &str = "data";
const KEYS_VOLUME: &str = "keys";
const TMP_VOLUME: &str = "tmp";

/// The unprivileged user of distroless images.
const USER: i64 = 65532;
/// Time for a node to flush and to say goodbye before it is killed.
const GRACE_PERIOD_SECONDS: i64 = 60;

pub(super) fn template(ring: &ValidatedRing) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(selector(&ring.name)), ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            service_account_name: Some(ring.name.clone()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE_PERIOD_SECONDS),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            // Two nodes on one machine die together, so machines are filled evenly; zones where it can be had.
            topology_spread_constraints: Some(vec![
                spread(ring, "kubernetes.io/hostname", "DoNotSchedule"),
                spread(ring, "topology.kubernetes.io/zone", "ScheduleAnyway"),
            ]),
            containers: vec![container(ring)],
            volumes: Some(volumes(ring)),
            ..PodSpec::default()
        }),
    }
}

fn container(ring: &ValidatedRing) -> Container {
    Container {
        name: "node".to_owned(),
        image: Some(ring.image.clone()),
        command: Some(vec!["scrapering".to_owned(), "node".to_owned()]),
        env: Some(environment(ring)),
        ports: Some(vec![port("ring", contract::RING_PORT), port("gateway", contract::GATEWAY_PORT)]),
        startup_probe: Some(probe(contract::LIVE_PATH, 5, 60)),
        liveness_probe: Some(probe(contract::LIVE_PATH, 10, 6)),
        readiness_probe: Some(probe(contract::READY_PATH, 5, 2)),
        resources: Some(ResourceRequirements {
            requests: Some(
                [("cpu", "100m"), ("memory", "256Mi")]
                    .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
                    .into(),
            ),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![
            mount(DATA_VOLUME, contract::DATA_DIR, None),
            mount(KEYS_VOLUME, contract::KEYS_DIR, Some(true)),
            mount(TMP_VOLUME, "/tmp", None),
        ]),
        ..Container::default()
    }
}

fn environment(ring: &ValidatedRing) -> Vec<EnvVar> {
    let value = |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
    let node_name = EnvVar {
        name: "NODE_NAME".to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: "metadata.name".to_owned(), api_version: None }),
            ..EnvVarSource::default()
        }),
    };
    let mut all = vec![
        node_name,
        value("PEERS", ring.peers.join(",")),
        value("LISTEN", format!("[::]:{}", contract::RING_PORT)),
        value("GATEWAY", format!("[::]:{}", contract::GATEWAY_PORT)),
        value("DATA_DIR", contract::DATA_DIR.to_owned()),
    ];
    let files = contract::SECRET_FILES.iter();
    all.extend(files.map(|(key, variable)| value(variable, format!("{}/{key}", contract::KEYS_DIR))));
    all
}

fn volumes(ring: &ValidatedRing) -> Vec<Volume> {
    let keys = SecretVolumeSource {
        secret_name: Some(contract::secret_name(&ring.name)),
        default_mode: Some(0o440),
        ..SecretVolumeSource::default()
    };
    let tmp = EmptyDirVolumeSource { size_limit: Some(Quantity("1Gi".to_owned())), ..EmptyDirVolumeSource::default() };
    vec![
        Volume { name: KEYS_VOLUME.to_owned(), secret: Some(keys), ..Volume::default() },
        Volume { name: TMP_VOLUME.to_owned(), empty_dir: Some(tmp), ..Volume::default() },
    ]
}

fn spread(ring: &ValidatedRing, topology_key: &str, when_unsatisfiable: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology_key.to_owned(),
        when_unsatisfiable: when_unsatisfiable.to_owned(),
        label_selector: Some(LabelSelector { match_labels: Some(selector(&ring.name)), ..LabelSelector::default() }),
        // Machines that take no pods (a control plane, one being drained) must not count as empty ones.
        node_taints_policy: Some("Honor".to_owned()),
        ..TopologySpreadConstraint::default()
    }
}

/// The kubelet does not check the certificate of an HTTPS probe, so it needs no trust in the ring's CA.
fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("gateway".to_owned()),
            scheme: Some("HTTPS".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(3),
        failure_threshold: Some(failure_threshold),
        ..Probe::default()
    }
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn mount(name: &str, path: &str, read_only: Option<bool>) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), read_only, ..VolumeMount::default() }
}
