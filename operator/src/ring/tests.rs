//! Whole reconciles against an API server in memory: what is written, what is left alone, and when writing stops.

use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use scrapering_crds::{ConditionStatus, ScrapeRing};
use serde_json::json;

use super::reconcile::{Error, RECHECK, STEP, reconcile};
use super::*;
use crate::memory_api::Server;

const RING: &str = "/apis/scrapering.io/v1alpha1/namespaces/web/scraperings/main";
const KEYS: &str = "/api/v1/namespaces/web/secrets/main-keys";
const TLS: &str = "/api/v1/namespaces/web/secrets/main-tls";
const ACCOUNT: &str = "/api/v1/namespaces/web/serviceaccounts/main";
const SETTINGS: &str = "/api/v1/namespaces/web/configmaps/main";
const BUDGET: &str = "/apis/policy/v1/namespaces/web/poddisruptionbudgets/main";
const WORKLOAD: &str = "/apis/apps/v1/namespaces/web/statefulsets/main";
const CLAIM: &str = "/api/v1/namespaces/web/persistentvolumeclaims/data-main-0";

/// A cluster with a ring of three.
fn cluster() -> Server {
    let server = Server::default();
    server.put(
        RING,
        json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeRing",
            "metadata": { "name": "main", "namespace": "web", "uid": "ring-1", "generation": 1 },
            "spec": { "replicas": 3 },
        }),
    );
    server
}

async fn reconciled(server: &Server) -> Result<Action, Error> {
    // The second test of a process finds it installed.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let defaults = Defaults { image: "registry.example/scrapering:1".to_owned(), operator: None };
    let config = Config { defaults, terms: Terms::default(), namespaces: Vec::new() };
    let context = Context::new(server.client(), config, Metrics::default());
    let ring: ScrapeRing = serde_json::from_value(server.get(RING).expect("the ring")).expect("a ScrapeRing");
    reconcile(Arc::new(DeserializeGuard(Ok(ring))), Arc::new(context)).await
}

/// Changes a field of the ring's spec.
fn edit(server: &Server, field: &str, value: serde_json::Value) {
    let mut ring = server.get(RING).expect("the ring");
    ring["spec"][field] = value;
    server.put(RING, ring);
}

/// Reason of the condition `Degraded`, if it holds.
fn trouble(server: &Server) -> Option<String> {
    let ring: ScrapeRing = serde_json::from_value(server.get(RING).expect("the ring")).expect("a ScrapeRing");
    let conditions = ring.status.expect("a status").conditions;
    let degraded = conditions.into_iter().find(|condition| condition.type_ == "Degraded").expect("Degraded");
    (degraded.status == ConditionStatus::True).then_some(degraded.reason)
}

/// Reason of the condition `OptionalApis`.
fn optional(server: &Server) -> String {
    let ring: ScrapeRing = serde_json::from_value(server.get(RING).expect("the ring")).expect("a ScrapeRing");
    let conditions = ring.status.expect("a status").conditions;
    conditions.into_iter().find(|condition| condition.type_ == "OptionalApis").expect("OptionalApis").reason
}

#[tokio::test]
async fn a_new_ring_gets_its_keys_its_objects_and_a_second_look_writes_no_status() {
    let server = cluster();
    assert_eq!(reconciled(&server).await.expect("success"), Action::requeue(STEP));
    let wrote = server.take_writes();
    let names: Vec<&str> = wrote.iter().filter_map(|path| path.rsplit('/').next()).collect();
    let wanted = [
        "secrets",
        "main-ca",
        "main-tls",
        "main",
        "main",
        "main-deny",
        "main-ring",
        "main-gateway",
        "main-dns",
        "main-web",
        "main-peers",
        "main-gateway",
        "main",
        "main",
        "status",
    ];
    assert_eq!(names, wanted);
    let owner = &server.get(WORKLOAD).expect("a workload")["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["uid"], &owner["controller"]), (&json!("ring-1"), &json!(true)));
    assert_eq!(server.get(KEYS).expect("keys")["metadata"]["ownerReferences"], json!(null), "keys outlive the ring");
    assert_eq!(server.get(SETTINGS).expect("settings")["data"]["formed"], json!("false"));
    assert_eq!(server.get(BUDGET).expect("a budget")["spec"]["maxUnavailable"], json!(0), "the ring is not whole");
    assert_eq!(trouble(&server), None);
    reconciled(&server).await.expect("success");
    let again = server.take_writes();
    assert!(!again.iter().any(|path| path.ends_with("/status") || path.contains("/secrets")), "{again:?}");
}

#[tokio::test]
async fn keys_go_with_the_ring_where_its_volumes_do() {
    let server = cluster();
    edit(&server, "storage", json!({ "whenDeleted": "Delete" }));
    reconciled(&server).await.expect("success");
    assert_eq!(server.get(KEYS).expect("keys")["metadata"]["ownerReferences"][0]["uid"], json!("ring-1"));
}

#[tokio::test]
async fn an_object_of_another_owner_is_left_alone_and_the_rest_is_made() {
    let server = cluster();
    let theirs = json!({ "metadata": { "name": "main", "namespace": "web", "labels": { "mine": "yes" } } });
    server.put(ACCOUNT, theirs.clone());
    assert!(matches!(reconciled(&server).await, Err(Error::Apply(1))));
    assert_eq!(server.get(ACCOUNT), Some(theirs));
    assert!(server.get(WORKLOAD).is_some());
    assert_eq!(trouble(&server).as_deref(), Some("NameTaken"));
}

#[tokio::test]
async fn one_refused_object_does_not_stop_the_others() {
    for refused in [BUDGET, TLS] {
        let server = cluster();
        server.forbid(refused);
        assert!(matches!(reconciled(&server).await, Err(Error::Apply(1))));
        assert!(server.get(WORKLOAD).is_some());
        assert_eq!(trouble(&server).as_deref(), Some("ApplyFailed"));
    }
}

#[tokio::test]
async fn keys_that_were_lost_are_not_made_anew_while_there_is_a_volume() {
    let server = cluster();
    reconciled(&server).await.expect("success");
    server.remove(KEYS);
    let labels: serde_json::Value = serde_json::to_value(build::selector("main")).expect("JSON");
    server.put(CLAIM, json!({ "metadata": { "name": "data-main-0", "namespace": "web", "labels": labels } }));
    assert_eq!(reconciled(&server).await.expect("success"), Action::requeue(RECHECK));
    assert_eq!(trouble(&server).as_deref(), Some("EncryptionKeyMissing"));
    assert_eq!(server.get(KEYS), None);
}

#[tokio::test]
async fn fewer_nodes_are_asked_for_and_all_of_them_stay_while_nobody_answers() {
    let server = cluster();
    reconciled(&server).await.expect("success");
    edit(&server, "replicas", json!(1));
    reconciled(&server).await.expect("success");
    assert_eq!(server.get(WORKLOAD).expect("a workload")["spec"]["replicas"], json!(3));
    assert_eq!(trouble(&server), None);
}

#[tokio::test]
async fn a_paused_ring_is_left_as_it_is() {
    let server = cluster();
    edit(&server, "paused", json!(true));
    reconciled(&server).await.expect("success");
    assert_eq!(server.take_writes(), [format!("{RING}/status")]);
}

#[tokio::test]
async fn a_ring_that_cannot_be_built_says_why_and_keeps_what_runs() {
    let server = cluster();
    reconciled(&server).await.expect("success");
    let running = server.get(WORKLOAD);
    edit(&server, "image", json!("a b"));
    reconciled(&server).await.expect("success");
    assert_eq!(server.get(WORKLOAD), running);
    assert_eq!(trouble(&server).as_deref(), Some("InvalidSpec"));
}

#[tokio::test]
async fn a_ring_that_is_being_deleted_is_not_built_up_again() {
    let server = cluster();
    let mut ring = server.get(RING).expect("the ring");
    ring["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    server.put(RING, ring);
    assert_eq!(reconciled(&server).await.expect("success"), Action::await_change());
    assert_eq!(server.take_writes(), [""; 0]);
}

#[tokio::test]
async fn what_other_controllers_do_is_asked_of_those_that_are_there_and_taken_back() {
    let server = cluster();
    server.serve("gateway.networking.k8s.io", false);
    edit(
        &server,
        "gateway",
        json!({ "ingress": { "host": "ring.example" }, "httpRoute": { "parentRefs": [{ "name": "edge" }] } }),
    );
    edit(&server, "telemetry", json!({ "serviceMonitor": { "labels": { "release": "prometheus" } } }));
    assert_eq!(reconciled(&server).await.expect("success"), Action::requeue(STEP));
    let ingress = "/apis/networking.k8s.io/v1/namespaces/web/ingresses/main";
    let route = "/apis/gateway.networking.k8s.io/v1/namespaces/web/httproutes/main";
    let monitor = "/apis/monitoring.coreos.com/v1/namespaces/web/servicemonitors/main";
    assert_eq!(server.get(ingress).expect("an Ingress")["spec"]["rules"][0]["host"], "ring.example");
    assert_eq!(server.get(monitor).expect("a ServiceMonitor")["metadata"]["labels"]["release"], "prometheus");
    assert_eq!((server.get(route), optional(&server)), (None, "OptionalApiMissing".to_owned()));
    assert_eq!(trouble(&server), None, "the ring itself lacks nothing");
    let token = || server.get("/api/v1/namespaces/web/secrets/main-metrics").expect("a token")["data"]["token"].clone();
    assert!(token().is_string());
    assert!(server.get(SETTINGS).expect("settings")["data"]["ca.crt"].is_string());

    server.serve("gateway.networking.k8s.io", true);
    reconciled(&server).await.expect("success");
    assert_eq!(server.get(route).expect("a route")["spec"]["parentRefs"], json!([{ "name": "edge" }]));
    assert_eq!(optional(&server), "NothingMissing");
    let theirs = json!({ "metadata": { "name": "main", "namespace": "web" }, "spec": "theirs" });
    server.put(monitor, theirs.clone());
    edit(&server, "gateway", json!({}));
    edit(&server, "telemetry", json!({}));
    reconciled(&server).await.expect("success");
    assert_eq!((server.get(ingress), server.get(route)), (None, None));
    assert_eq!(server.get(monitor), Some(theirs), "it was never ours");
    assert_eq!(token(), json!(null));
}

#[tokio::test]
async fn a_ring_whose_certificates_somebody_else_issues_waits_for_them() {
    let server = cluster();
    edit(&server, "security", json!({ "tls": { "source": "CertManager", "issuerRef": { "name": "internal" } } }));
    reconciled(&server).await.expect("success");
    let certificate = server.get("/apis/cert-manager.io/v1/namespaces/web/certificates/main").expect("a Certificate");
    assert_eq!(
        (&certificate["spec"]["secretName"], &certificate["spec"]["issuerRef"]["name"]),
        (&json!("main-issued"), &json!("internal"))
    );
    assert_eq!(certificate["spec"]["dnsNames"][0], "main-0.main-peers.web.svc");
    assert_eq!(
        (server.get(TLS), trouble(&server)),
        (None, None),
        "nobody has issued anything, and that is no fault yet"
    );
}
