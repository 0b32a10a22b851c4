//! Whole reconciles of a schedule against an API server in memory.

use kube::runtime::controller::Action;
use serde_json::json;

use super::*;
use crate::memory_api::Server;

const SCHEDULE_PATH: &str = "/apis/scrapering.io/v1alpha1/namespaces/web/scrapeschedules/often";
const JOBS: &str = "/apis/scrapering.io/v1alpha1/namespaces/web/scrapejobs";

fn cluster() -> Server {
    let server = Server::default();
    server.put(
        SCHEDULE_PATH,
        json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeSchedule",
            "metadata": {
                "name": "often", "namespace": "web", "uid": "s1", "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {
                "schedule": "* * * * *",
                "concurrencyPolicy": "Forbid",
                "jobTemplate": { "spec": { "seeds": [{ "url": "https://example.org/" }] } },
            },
        }),
    );
    server
}

async fn reconciled(server: &Server) -> Action {
    let schedule = serde_json::from_value(server.get(SCHEDULE_PATH).expect("the schedule")).expect("a ScrapeSchedule");
    let desk = Desk::new(server.client(), KIND, Metrics::default());
    reconcile::reconcile(Arc::new(DeserializeGuard(Ok(schedule))), Arc::new(desk)).await.expect("success")
}

#[tokio::test]
async fn a_missed_time_makes_a_job_and_a_second_look_makes_none() {
    let server = cluster();
    reconciled(&server).await;
    assert_eq!(server.take_writes(), [JOBS, &format!("{SCHEDULE_PATH}/status")]);
    assert_eq!(server.take_events(), ["JobMade"]);
    // The job runs, so the next minute waits for it.
    reconciled(&server).await;
    assert!(!server.take_writes().contains(&JOBS.to_owned()));
}

#[tokio::test]
async fn a_status_that_was_lost_does_not_make_the_job_again() {
    let server = cluster();
    reconciled(&server).await;
    let first = server.get(SCHEDULE_PATH).expect("the schedule")["status"]["lastScheduleTime"].clone();
    server.edit(SCHEDULE_PATH, &json!({ "status": null, "spec": { "concurrencyPolicy": "Allow" } }));
    server.take_writes();
    reconciled(&server).await;
    let again = server.get(SCHEDULE_PATH).expect("the schedule")["status"]["lastScheduleTime"].clone();
    let made = server.take_writes().iter().filter(|path| *path == JOBS).count();
    assert!(made == 0 || again != first, "{first} {again} made {made}");
}

#[tokio::test]
async fn jobs_of_another_schedule_of_that_name_are_left_alone() {
    let server = cluster();
    let ended = json!([{ "type": "Complete", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
    server.edit(SCHEDULE_PATH, &json!({ "spec": { "successfulJobsHistoryLimit": 0 } }));
    for (name, owner) in [("ours", "s1"), ("theirs", "s2")] {
        let owners = json!([{ "apiVersion": "v1", "kind": "x", "name": "often", "uid": owner, "controller": true }]);
        server.put(
            &format!("{JOBS}/{name}"),
            json!({
                "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob",
                "metadata": { "name": name, "namespace": "web", "uid": name, "ownerReferences": owners },
                "spec": { "seeds": [{ "url": "https://example.org/" }] },
                "status": { "conditions": ended },
            }),
        );
    }
    reconciled(&server).await;
    assert_eq!((server.get(&format!("{JOBS}/ours")), server.get(&format!("{JOBS}/theirs")).is_some()), (None, true));
}

#[tokio::test]
async fn a_schedule_that_is_being_deleted_makes_nothing() {
    let server = cluster();
    server.edit(SCHEDULE_PATH, &json!({ "metadata": { "deletionTimestamp": "2026-01-02T00:00:00Z" } }));
    assert_eq!(reconciled(&server).await, Action::await_change());
    assert_eq!(server.take_writes(), [""; 0]);
}
