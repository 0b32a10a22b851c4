//! The pod of one node: it meets the Pod Security Standard `restricted`, has a read-only root and no API token.

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapKeySelector, ConfigMapProjection, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
    EnvVarSource, ExecAction, HTTPGetAction, KeyToPath, Lifecycle, LifecycleHandler, LocalObjectReference,
    ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource,
    ResourceRequirements, SeccompProfile, SecretKeySelector, SecretProjection, SecurityContext,
    TopologySpreadConstraint, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use scrapering_crds::ring::LogFormat;

use super::selector;
use crate::ring::validate::ValidatedRing;
use crate::ring::{contract, keys};

/// Name of the volume that holds a node's share.
pub(super) const DATA_VOLUME: &str = "data";
const KEYS_VOLUME: &str = "keys";
const TMP_VOLUME: &str = "tmp";

/// The unprivileged user of distroless images.
const USER: i64 = 65532;
/// Of the grace period, what is left for the process to end after it has made way.
const END_SECONDS: i64 = 15;

pub(super) fn template(ring: &ValidatedRing) -> PodTemplateSpec {
    let spec = &ring.spec;
    // The operator's labels win: the StatefulSet selects by them.
    let mut labels = spec.pod_labels.clone();
    labels.extend(selector(&ring.name));
    let mut annotations = spec.pod_annotations.clone();
    annotations.extend(ring.restart_at.clone().map(|value| (contract::RESTART_AT.to_owned(), value)));
    let annotations = (!annotations.is_empty()).then_some(annotations);
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations, ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            service_account_name: Some(ring.name.clone()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(spec.termination_grace_period_seconds),
            security_context: Some(security_context()),
            affinity: spec.affinity.clone(),
            image_pull_secrets: filled(
                spec.image_pull_secrets.iter().map(|it| LocalObjectReference { name: it.name.clone() }).collect(),
            ),
            node_selector: (!spec.node_selector.is_empty()).then(|| spec.node_selector.clone()),
            priority_class_name: spec.priority_class_name.clone(),
            tolerations: filled(spec.tolerations.clone()),
            topology_spread_constraints: Some(spreads(ring)),
            containers: vec![container(ring)],
            volumes: Some(volumes(ring)),
            ..PodSpec::default()
        }),
    }
}

/// The API server drops empty lists, and what is dropped looks like a change the next time.
fn filled<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn security_context() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

/// Two nodes on one machine die together, so machines are filled evenly; zones where it can be had.
fn spreads(ring: &ValidatedRing) -> Vec<TopologySpreadConstraint> {
    if !ring.spec.topology_spread_constraints.is_empty() {
        return ring.spec.topology_spread_constraints.clone();
    }
    let hosts = if ring.desired >= 3 { "DoNotSchedule" } else { "ScheduleAnyway" };
    vec![spread(ring, "kubernetes.io/hostname", hosts), spread(ring, "topology.kubernetes.io/zone", "ScheduleAnyway")]
}

fn container(ring: &ValidatedRing) -> Container {
    Container {
        name: "node".to_owned(),
        image: Some(ring.image.clone()),
        image_pull_policy: Some(ring.spec.image_pull_policy.as_str().to_owned()),
        command: Some(vec![contract::PROGRAM.to_owned(), "node".to_owned()]),
        env: Some(environment(ring)),
        ports: Some(vec![port("ring", contract::RING_PORT), port("gateway", contract::GATEWAY_PORT)]),
        startup_probe: Some(probe(contract::LIVE_PATH, 5, 60)),
        liveness_probe: Some(probe(contract::LIVE_PATH, 10, 6)),
        readiness_probe: Some(probe(contract::READY_PATH, 5, 2)),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler { exec: Some(make_way(ring)), ..LifecycleHandler::default() }),
            ..Lifecycle::default()
        }),
        resources: Some(ring.spec.resources.clone().unwrap_or_else(|| {
            ResourceRequirements {
                requests: Some(
                    [("cpu", "100m"), ("memory", "256Mi")]
                        .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
                        .into(),
                ),
                ..ResourceRequirements::default()
            }
        })),
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

/// Asks the node to make way, and waits until it has: the image has no shell, so the node's own program does it.
fn make_way(ring: &ValidatedRing) -> ExecAction {
    let within = (ring.spec.termination_grace_period_seconds - END_SECONDS).max(END_SECONDS);
    let words = [contract::PROGRAM, "prestop", "--within"].map(str::to_owned);
    ExecAction { command: Some(words.into_iter().chain([format!("{within}s")]).collect()) }
}

fn environment(ring: &ValidatedRing) -> Vec<EnvVar> {
    let plain = |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
    let from = |name: &str, source| EnvVar { name: name.to_owned(), value: None, value_from: Some(source) };
    let field = |path: &str| EnvVarSource {
        field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), api_version: None }),
        ..EnvVarSource::default()
    };
    let founders = || EnvVarSource {
        secret_key_ref: Some(SecretKeySelector {
            name: contract::keys_name(&ring.name),
            key: keys::PEERS.to_owned(),
            optional: None,
        }),
        ..EnvVarSource::default()
    };
    let formed = EnvVarSource {
        config_map_key_ref: Some(ConfigMapKeySelector {
            name: ring.name.clone(),
            key: contract::FORMED.to_owned(),
            optional: None,
        }),
        ..EnvVarSource::default()
    };
    let mut all = vec![
        from("POD_NAME", field("metadata.name")),
        plain("NODE_NAME", format!("$(POD_NAME).{}-peers.{}.svc", ring.name, ring.namespace)),
        from("PEERS", founders()),
        // Who was not there when the ring was formed asks the same nodes to be let in.
        from("JOIN", founders()),
        from("RING_FORMED", formed),
        plain("REJOIN", true.to_string()),
        // A machine's zone becomes a label of its pods where the cluster copies it there; otherwise it is empty.
        from("ZONE", field("metadata.labels['topology.kubernetes.io/zone']")),
        plain("LISTEN", format!("[::]:{}", contract::RING_PORT)),
        plain("GATEWAY", format!("[::]:{}", contract::GATEWAY_PORT)),
        plain("DATA_DIR", contract::DATA_DIR.to_owned()),
        plain("LOCAL_SOCKET", contract::LOCAL_SOCKET.to_owned()),
    ];
    let private = &ring.spec.scraping.allowed_private_cidrs;
    if !private.is_empty() {
        all.push(plain("ALLOW_PRIVATE_CIDR", private.join(",")));
    }
    if let Some(oidc) = &ring.spec.gateway.oidc {
        all.push(plain("OIDC_ISSUER", oidc.issuer.clone()));
        all.push(plain("OIDC_AUDIENCE", oidc.audience.clone()));
        if !oidc.scopes.is_empty() {
            all.push(plain("OIDC_SCOPES", oidc.scopes.join(" ")));
        }
        let ca = oidc.ca_config_map_ref.as_ref();
        all.extend(ca.map(|_| plain("OIDC_CA_FILE", format!("{}/{}", contract::KEYS_DIR, contract::OIDC_CA))));
    }
    let limit = ring.spec.gateway.requests_per_second;
    all.extend(limit.map(|limit| plain("REQUESTS_PER_SECOND", limit.to_string())));
    let telemetry = &ring.spec.telemetry;
    all.extend(telemetry.otlp.iter().map(|otlp| plain("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.endpoint.clone())));
    if telemetry.log_format == LogFormat::Json {
        all.push(plain("SCRAPERING_LOG_FORMAT", "json".to_owned()));
    }
    let files = contract::KEY_FILES.iter().chain(&contract::TLS_FILES);
    all.extend(files.map(|(key, variable)| plain(variable, format!("{}/{key}", contract::KEYS_DIR))));
    all
}

fn volumes(ring: &ValidatedRing) -> Vec<Volume> {
    let project = |name: String, files: &[(&str, &str)]| VolumeProjection {
        secret: Some(SecretProjection {
            name,
            items: Some(
                files
                    .iter()
                    .map(|(key, _)| KeyToPath { key: (*key).to_owned(), path: (*key).to_owned(), mode: None })
                    .collect(),
            ),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let of_issuer = ring.spec.gateway.oidc.as_ref().and_then(|oidc| oidc.ca_config_map_ref.as_ref());
    let authorities = of_issuer.map(|from| VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: from.name.clone(),
            items: Some(vec![KeyToPath { key: from.key.clone(), path: contract::OIDC_CA.to_owned(), mode: None }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    });
    let secrets = [
        project(contract::keys_name(&ring.name), &contract::KEY_FILES),
        project(contract::tls_name(&ring.name), &contract::TLS_FILES),
    ];
    let sources = Some(secrets.into_iter().chain(authorities).collect());
    let keys = ProjectedVolumeSource { default_mode: Some(0o440), sources };
    let tmp = EmptyDirVolumeSource { size_limit: Some(Quantity("1Gi".to_owned())), ..EmptyDirVolumeSource::default() };
    vec![
        Volume { name: KEYS_VOLUME.to_owned(), projected: Some(keys), ..Volume::default() },
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
