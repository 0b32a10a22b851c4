//! Whole reconciles against an API server in memory: what is written, what is left alone, and when writing stops.

mod server;

use scrapering_crds::{ConditionStatus, ScrapeRing};
use serde_json::json;

use self::server::Server;
use super::*;

const RING: &str = "/apis/scrapering.io/v1alpha1/namespaces/web/scraperings/main";
const SECRET: &str = "/api/v1/namespaces/web/secrets/main-keys";
const ACCOUNT: &str = "/api/v1/namespaces/web/serviceaccounts/main";
const GATEWAY: &str = "/api/v1/namespaces/web/services/main-gateway";
const BUDGET: &str = "/apis/policy/v1/namespaces/web/poddisruptionbudgets/main";
const WORKLOAD: &str = "/apis/apps/v1/namespaces/web/statefulsets/main";

/// A cluster with a ring of three and its Secret.
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
    let data: serde_json::Map<_, _> =
        contract::SECRET_FILES.iter().map(|(key, _)| ((*key).to_owned(), json!("c2VjcmV0"))).collect();
    server.put(SECRET, json!({ "metadata": { "name": "main-keys", "namespace": "web" }, "data": data }));
    server
}

async fn reconciled(server: &Server) -> Result<Action, Error> {
    let config = Config { node_image: "registry.example/scrapering:1".to_owned() };
    let context = Context { client: server.client(), config, retries: Retries::default() };
    let ring: ScrapeRing = serde_json::from_value(server.get(RING).expect("the ring")).expect("a ScrapeRing");
    reconcile(Arc::new(DeserializeGuard(Ok(ring))), Arc::new(context)).await
}

/// Reason of the condition `Degraded`, if it holds.
fn trouble(server: &Server) -> Option<String> {
    let ring: ScrapeRing = serde_json::from_value(server.get(RING).expect("the ring")).expect("a ScrapeRing");
    let conditions = ring.status.expect("a status").conditions;
    let degraded = conditions.into_iter().find(|condition| condition.type_ == "Degraded").expect("Degraded");
    (degraded.status == ConditionStatus::True).then_some(degraded.reason)
}

#[tokio::test]
async fn a_new_ring_gets_its_objects_and_a_second_look_writes_no_status() {
    let server = cluster();
    assert_eq!(reconciled(&server).await.expect("success"), Action::requeue(RESYNC));
    let wrote = server.take_writes();
    let peers = GATEWAY.replace("gateway", "peers");
    assert_eq!(wrote, [ACCOUNT, &peers, GATEWAY, BUDGET, WORKLOAD, &format!("{RING}/status")]);
    let owner = &server.get(WORKLOAD).expect("a workload")["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["uid"], &owner["controller"]), (&json!("ring-1"), &json!(true)));
    assert_eq!(trouble(&server), None);
    reconciled(&server).await.expect("success");
    assert!(!server.take_writes().contains(&format!("{RING}/status")));
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
    let server = cluster();
    server.forbid(BUDGET);
    assert!(matches!(reconciled(&server).await, Err(Error::Apply(1))));
    assert!(server.get(WORKLOAD).is_some());
    assert_eq!(trouble(&server).as_deref(), Some("ApplyFailed"));
}

#[tokio::test]
async fn a_missing_secret_is_reported_and_looked_for_again() {
    let server = cluster();
    server.remove(SECRET);
    assert_eq!(reconciled(&server).await.expect("success"), Action::requeue(RECHECK));
    assert_eq!(trouble(&server).as_deref(), Some("SecretMissing"));
}

#[tokio::test]
async fn fewer_nodes_are_asked_for_and_all_of_them_stay() {
    let server = cluster();
    reconciled(&server).await.expect("success");
    let mut ring = server.get(RING).expect("the ring");
    ring["spec"]["replicas"] = json!(1);
    server.put(RING, ring);
    reconciled(&server).await.expect("success");
    assert_eq!(server.get(WORKLOAD).expect("a workload")["spec"]["replicas"], json!(3));
    assert_eq!(trouble(&server).as_deref(), Some("ChangeUnsupported"));
}

#[tokio::test]
async fn a_ring_that_cannot_be_built_says_why_and_keeps_what_runs() {
    let server = cluster();
    reconciled(&server).await.expect("success");
    let running = server.get(WORKLOAD);
    let mut ring = server.get(RING).expect("the ring");
    ring["spec"]["image"] = json!("a b");
    server.put(RING, ring);
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
