//! The manifests that `build` makes are in git, so that a reader sees what a ring becomes and a change of it is reviewed.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p scrapering-operator` writes them anew.

use std::path::Path;

use k8s_openapi::api::apps::v1::StatefulSet;
use scrapering_crds::{ScrapeRing, ScrapeRingSpec};
use scrapering_operator::ring::build::{RingObjects, build};
use scrapering_operator::ring::dereference::Found;
use scrapering_operator::ring::validate::{Defaults, OperatorPods, validate};
use serde::Serialize;
use serde_json::{Value, json};

fn ring(name: &str, spec: ScrapeRingSpec) -> ScrapeRing {
    let mut ring = ScrapeRing::new(name, spec);
    ring.metadata.namespace = Some("default".to_owned());
    ring.metadata.uid = Some("6d1f0c6e-0000-4000-8000-000000000001".to_owned());
    ring
}

fn objects(name: &str, spec: ScrapeRingSpec) -> RingObjects {
    objects_of(ring(name, spec))
}

fn objects_of(ring: ScrapeRing) -> RingObjects {
    let operator = OperatorPods { namespace: "scrapering-system".to_owned(), component: "operator".to_owned() };
    let defaults = Defaults { image: "ghcr.io/scrapering/scrapering:0.1.0".to_owned(), operator: Some(operator) };
    build(&validate(&Found::alone(ring), &defaults).expect("a valid ring"))
}

/// The annotations of the pods of a ring with this one.
fn pod_annotations(key: &str, value: &str) -> Option<std::collections::BTreeMap<String, String>> {
    let mut ring = ring("main", full());
    ring.metadata.annotations = Some([(key.to_owned(), value.to_owned())].into());
    objects_of(ring).stateful_set.spec.expect("a spec").template.metadata.expect("metadata").annotations
}

#[test]
fn nodes_are_started_anew_when_the_annotation_that_asks_for_it_changes_and_by_no_other() {
    let (first, second) =
        (pod_annotations("scrapering.io/restart-at", "1"), pod_annotations("scrapering.io/restart-at", "2"));
    assert!(first != second && first.is_some_and(|all| all["example.com/note"] == "yes"));
    assert_eq!(pod_annotations("example.com/other", "1"), pod_annotations("example.com/other", "2"));
}

fn full() -> ScrapeRingSpec {
    let spec = json!({
        "replicas": 5,
        "image": "registry.example/scrapering:1.2.3",
        "imagePullPolicy": "Always",
        "imagePullSecrets": [{ "name": "registry" }],
        "storage": { "size": "200Gi", "storageClassName": "fast", "whenDeleted": "Delete" },
        "scraping": { "allowedPrivateCidrs": ["10.20.0.0/16"] },
        "gateway": {
            "service": { "type": "LoadBalancer", "annotations": { "example.com/internal": "true" } },
            "oidc": {
                "issuer": "https://accounts.example", "audience": "scrapering", "scopes": ["jobs:read", "results:read"],
                "caConfigMapRef": { "name": "kube-root-ca.crt" }, "cidrs": ["10.96.0.0/12"],
            },
            "requestsPerSecond": 200,
            "ingress": {
                "className": "nginx", "host": "ring.example", "tlsSecretName": "ring-example",
                "annotations": { "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS" },
            },
            "httpRoute": {
                "parentRefs": [{ "name": "edge", "namespace": "gateways", "sectionName": "https" }],
                "hostnames": ["ring.example"],
            },
        },
        "security": { "tls": {
            "source": "CertManager", "issuerRef": { "name": "internal", "kind": "ClusterIssuer" }, "leafDuration": "24h",
        }, "networkPolicy": {
            "gatewayFrom": [{ "namespaceSelector": { "matchLabels": { "team": "web" } } }],
            "deniedCidrs": ["8.8.0.0/16", "2a00:1450::/32"],
            "webPorts": [80, 443, 8080],
        } },
        "telemetry": {
            "otlp": {
                "endpoint": "http://collector.observability:4317",
                "to": [{ "namespaceSelector": { "matchLabels": { "team": "observability" } } }],
            },
            "logFormat": "Json",
            "serviceMonitor": {
                "interval": "15s", "labels": { "release": "prometheus" },
                "from": [{ "namespaceSelector": { "matchLabels": { "team": "observability" } } }],
            },
        },
        "update": { "minStableSeconds": 30 },
        "resources": { "limits": { "memory": "2Gi" } },
        "nodeSelector": { "disk": "fast" },
        "tolerations": [{ "key": "crawl", "operator": "Exists" }],
        "priorityClassName": "high",
        "podLabels": { "team": "web" },
        "podAnnotations": { "example.com/note": "yes" },
        "terminationGracePeriodSeconds": 120,
    });
    serde_json::from_value(spec).expect("a spec")
}

fn yaml(objects: &RingObjects) -> String {
    fn one(object: &impl Serialize) -> String {
        serde_saphyr::to_string(&serde_json::to_value(object).expect("JSON")).expect("YAML")
    }
    let RingObjects {
        service_account,
        settings,
        policies,
        peers,
        gateway,
        disruption_budget,
        stateful_set,
        neighbours,
    } = objects;
    let mut all = vec![one(service_account), one(settings)];
    all.extend(policies.iter().map(one));
    all.extend([one(peers), one(gateway), one(disruption_budget), one(stateful_set)]);
    all.extend(neighbours.iter().filter_map(|neighbour| neighbour.object.as_ref().map(one)));
    all.join("---\n")
}

fn compare(file: &str, objects: &RingObjects) {
    let path = Path::new("tests/golden").join(file);
    let built = yaml(objects);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &built).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == built, "{} differs from what build makes; see the head of this file:\n{built}", path.display());
}

#[test]
fn a_ring_of_defaults_becomes_its_golden_manifests() {
    compare("defaults.yaml", &objects("main", ScrapeRingSpec::default()));
}

#[test]
fn a_ring_with_every_field_becomes_its_golden_manifests() {
    compare("every-field.yaml", &objects("news", full()));
}

#[test]
fn pods_meet_the_restricted_standard_and_hold_no_token() {
    let StatefulSet { spec, .. } = objects("main", full()).stateful_set;
    let pod = serde_json::to_value(spec.expect("a spec").template.spec).expect("JSON");
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    assert_eq!(pod["securityContext"]["runAsNonRoot"], json!(true));
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], json!("RuntimeDefault"));
    let absent = ["hostNetwork", "hostPID", "hostIPC", "initContainers"];
    assert!(absent.iter().all(|field| pod[field] == Value::Null), "{pod}");
    let allowed = ["emptyDir", "secret", "persistentVolumeClaim", "configMap", "projected", "downwardAPI"];
    for volume in pod["volumes"].as_array().expect("volumes") {
        assert!(allowed.iter().any(|kind| volume[kind] != Value::Null), "{volume}");
    }
    for container in pod["containers"].as_array().expect("containers") {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], json!(false));
        assert_eq!(context["readOnlyRootFilesystem"], json!(true));
        assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }));
        assert_eq!(context["privileged"], Value::Null);
    }
}
