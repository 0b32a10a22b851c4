//! One reconcile of one schedule: reads it and its jobs live, plans, and does what the plan says.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use scrapering_crds::{ScrapeJob, ScrapeSchedule};
use thiserror::Error;

use super::SCHEDULE;
use super::plan::{Plan, plan};
use crate::desk::{Desk, key};
use crate::ring::MANAGER;
use crate::ring::dereference::controlled_by;

/// Why a reconcile must be tried again. Nothing is done twice: a job is named after its time.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("the API server did not take part in the reconcile")]
    Api(#[from] kube::Error),
}

pub(super) async fn reconcile(seen: Arc<DeserializeGuard<ScrapeSchedule>>, desk: Arc<Desk>) -> Result<Action, Error> {
    desk.begun();
    if let Err(invalid) = &seen.0 {
        tracing::warn!(
            schedule = key(&*seen),
            error = invalid.error,
            "not a ScrapeSchedule this version can read; left alone"
        );
        return Ok(Action::await_change());
    }
    let namespace = seen.namespace().unwrap_or_default();
    let schedules: Api<ScrapeSchedule> = Api::namespaced(desk.client.clone(), &namespace);
    let schedule =
        schedules.get_opt(&seen.name_any()).await?.filter(|schedule| schedule.metadata.uid == seen.meta().uid);
    // What a schedule owns goes with it.
    let schedule = schedule.filter(|schedule| schedule.metadata.deletion_timestamp.is_none());
    let action = match schedule {
        None => Action::await_change(),
        Some(schedule) => {
            let jobs: Api<ScrapeJob> = Api::namespaced(desk.client.clone(), &namespace);
            let labels = format!("{SCHEDULE}={}", schedule.name_any());
            let mut owned = jobs.list(&ListParams::default().labels(&labels)).await?.items;
            owned.retain(|job| controlled_by(&job.metadata, schedule.metadata.uid.as_deref()));
            carry_out(&desk, &schedule, &jobs, plan(&schedule, &owned, Timestamp::now())).await?
        }
    };
    desk.succeeded(&*seen);
    Ok(action)
}

pub(super) fn retry_later(schedule: Arc<DeserializeGuard<ScrapeSchedule>>, _: &Error, desk: Arc<Desk>) -> Action {
    desk.failed(&*schedule)
}

/// The job is made before the status says so: if only that write is lost, the same name is made again, and is there.
async fn carry_out(desk: &Desk, schedule: &ScrapeSchedule, jobs: &Api<ScrapeJob>, plan: Plan) -> Result<Action, Error> {
    let Plan { remove, make, skipped, wait, status } = plan;
    for job in remove {
        let preconditions = Preconditions { uid: job.uid(), resource_version: None };
        let how = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match jobs.delete(&job.name_any(), &how).await {
            Ok(_) => {
                let note = format!("removed ScrapeJob {}", job.name_any());
                desk.tell(schedule, EventType::Normal, "JobRemoved", &note).await;
            }
            Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(job) = make {
        match jobs.create(&PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }, &job).await
        {
            Ok(_) => {
                let note = format!("made ScrapeJob {}", job.name_any());
                desk.tell(schedule, EventType::Normal, "JobMade", &note).await;
            }
            Err(kube::Error::Api(answer)) if answer.is_already_exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(due) = skipped {
        let note = format!("the job before has not ended, so {due} waits");
        desk.tell(schedule, EventType::Normal, "JobAlreadyActive", &note).await;
    }
    if let Some(status) = status {
        desk.write_status(schedule, &status).await?;
    }
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}
