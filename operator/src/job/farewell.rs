//! An object that goes: the ring lets go of the job first, so that nothing is fetched for nobody.
//!
//! A ring that is gone cannot hold anything; one that is silent is waited for, but not for ever.

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt};
use scrapering_crds::ScrapeJob;
use serde_json::json;

use super::reconcile::{Context, Error};
use super::secrets;
use super::submission::submission;
use super::ways::{self, Ways};
use super::{FINALIZER, FORCE_DELETE};
use crate::gateway::{self, Jobs};

/// A silent ring is waited for so long, seconds.
const PATIENCE_S: i64 = 600;

/// Removes the job from its ring, then the finalizer from the object.
pub(super) async fn farewell<W: Ways>(context: &Context<W>, job: &ScrapeJob) -> Result<Action, Error> {
    if !job.finalizers().iter().any(|name| name == FINALIZER) {
        return Ok(Action::await_change());
    }
    if let Err(error) = remove(context, job).await {
        let Some(why) = give_up(job, Timestamp::now()) else {
            // Not done: `Ok` would look like it, and an error is tried again, later each time.
            return Err(error);
        };
        let note = format!("the job may still be in the ring, since {why}: {error}");
        context.desk.tell(job, EventType::Warning, "RemovalGivenUp", &note).await;
    }
    release(context, job).await?;
    Ok(Action::await_change())
}

async fn remove<W: Ways>(context: &Context<W>, job: &ScrapeJob) -> Result<(), Error> {
    let ring = match context.ring(job).await {
        // Not even the definition of rings is left. The server says so in plain text, which is known by its code alone.
        Err(kube::Error::Api(answer)) if answer.code == 404 => None,
        other => other?,
    };
    let Some(ring) = ring else { return Ok(()) };
    let id = job.status.as_ref().and_then(|status| status.job_id.clone());
    let way = match context.ways.to(&ring).await {
        Ok(way) => way,
        // A ring without keys has never taken a job.
        Err(ways::Error::Unready(_)) if id.is_none() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let removed = match id {
        Some(id) => way.delete(&id).await,
        None => remove_unheard(job, &*way).await,
    };
    if removed.is_err() {
        context.ways.forget(&ring);
    }
    Ok(removed?)
}

/// The answer to a submission may have been lost. The same key leads to the job if there is one; if there is none, a
/// paused one is made, which fetches nothing before it is removed.
async fn remove_unheard(job: &ScrapeJob, way: &impl Jobs) -> Result<(), gateway::Error> {
    let mut bare = job.clone();
    secrets::strip(&mut bare);
    let Some(mut submission) = submission(&bare) else { return Ok(()) };
    submission.file.spec.suspend = true;
    let id = match way.submit(&submission.key, &submission.file).await {
        Ok(report) => Some(report.metadata.uid),
        Err(gateway::Error::Refused(problem)) if problem.job.is_some() => problem.job.clone(),
        // A job that the ring refuses is not there.
        Err(gateway::Error::Refused(problem)) if !problem.is_passing() => None,
        Err(error) => return Err(error),
    };
    match id {
        Some(id) => way.delete(&id).await,
        None => Ok(()),
    }
}

/// Why the object may go although the ring has not answered.
fn give_up(job: &ScrapeJob, now: Timestamp) -> Option<&'static str> {
    if job.annotations().get(FORCE_DELETE).is_some_and(|value| value == "true") {
        return Some("the annotation scrapering.io/force-delete says so");
    }
    let since = job.metadata.deletion_timestamp.as_ref()?.0;
    let waited = now.as_second() - since.as_second();
    (waited > PATIENCE_S).then_some("the ring was silent for ten minutes")
}

async fn release<W: Ways>(context: &Context<W>, job: &ScrapeJob) -> Result<(), kube::Error> {
    let jobs: Api<ScrapeJob> = Api::namespaced(context.desk.client.clone(), &job.namespace().unwrap_or_default());
    let finalizers: Vec<&String> = job.finalizers().iter().filter(|name| *name != FINALIZER).collect();
    let patch = json!({ "metadata": { "resourceVersion": job.resource_version(), "finalizers": finalizers } });
    match jobs.patch(&job.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        other => other.map(|_| ()),
    }
}
