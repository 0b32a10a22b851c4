//! One reconcile of one job: where it stands, the one thing to do about it, and the status.
//!
//! A job that runs is asked for after a tenth of its age, within bounds: a short crawl is seen to end soon, and a long
//! one costs next to nothing. A write of the status wakes the controller; what comes before the next look is due is
//! answered without one, or each look at a running job would cause the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, Client, Resource, ResourceExt};
use reqwest::StatusCode;
use scrapering_crds::{ScrapeJob, ScrapeJobStatus, ScrapeRing};
use serde_json::json;
use thiserror::Error;

use super::status::{self, Finding, has_ended};
use super::submission::submission;
use super::ways::{self, Ways};
use super::{FINALIZER, KIND, farewell, secrets};
use crate::condition::holds;
use crate::desk::{Desk, key};
use crate::gateway::{self, Change, Jobs, Parallelism, Phase, Report};
use crate::metrics::Metrics;

/// Soonest and latest look at a job that runs.
const LOOK: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(30)];
/// Something has to change first, and nothing tells when: a Secret, a ring that comes up.
const RECHECK: Duration = Duration::from_secs(15);
/// Longest wait for a time to come, so that a clock that was set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Jobs whose next look is remembered; beyond that a job may be looked at too often, which does no harm.
const LOOKS_KEPT: usize = 100_000;

/// What all reconciles share.
pub(super) struct Context<W> {
    pub(super) desk: Desk,
    pub(super) ways: W,
    looks: Mutex<BTreeMap<String, Look>>,
}

/// When a job is looked at next, unless it is changed before.
#[derive(Clone, Copy)]
struct Look {
    generation: Option<i64>,
    due: Instant,
}

/// Why a reconcile must be tried again. Nothing was lost: every step may be done twice.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("the API server did not take part in the reconcile")]
    Api(#[from] kube::Error),
    #[error("there is no way to the ring")]
    Way(#[from] ways::Error),
    #[error("the ring did not do it")]
    Ring(#[from] gateway::Error),
}

impl<W: Ways> Context<W> {
    pub(super) fn new(client: Client, ways: W, metrics: Metrics) -> Self {
        Self { desk: Desk::new(client, KIND, metrics), ways, looks: Mutex::default() }
    }

    fn jobs(&self, job: &ScrapeJob) -> Api<ScrapeJob> {
        Api::namespaced(self.desk.client.clone(), &job.namespace().unwrap_or_default())
    }

    /// The ring that a job names, unless it is being deleted.
    pub(super) async fn ring(&self, job: &ScrapeJob) -> Result<Option<ScrapeRing>, kube::Error> {
        let rings: Api<ScrapeRing> = Api::namespaced(self.desk.client.clone(), &job.namespace().unwrap_or_default());
        let ring = rings.get_opt(&job.spec.ring_ref.name).await?;
        Ok(ring.filter(|ring| ring.metadata.deletion_timestamp.is_none()))
    }

    fn looks(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Look>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until the next look, if this is not it.
    fn early(&self, job: &ScrapeJob) -> Option<Duration> {
        let look = self.looks().get(&job.uid()?).copied()?;
        let wait = look.due.saturating_duration_since(Instant::now());
        (look.generation == job.metadata.generation && !wait.is_zero()).then_some(wait)
    }

    fn look_again(&self, job: &ScrapeJob, after: Duration) -> Action {
        let mut looks = self.looks();
        if looks.len() >= LOOKS_KEPT {
            looks.clear();
        }
        let look = Look { generation: job.metadata.generation, due: Instant::now() + after };
        looks.insert(job.uid().unwrap_or_default(), look);
        Action::requeue(after)
    }

    fn forget(&self, job: &ScrapeJob) {
        self.looks().remove(&job.uid().unwrap_or_default());
    }
}

pub(super) async fn reconcile<W: Ways>(
    seen: Arc<DeserializeGuard<ScrapeJob>>,
    context: Arc<Context<W>>,
) -> Result<Action, Error> {
    context.desk.begun();
    if let Err(invalid) = &seen.0 {
        tracing::warn!(job = key(&*seen), error = invalid.error, "not a ScrapeJob this version can read; left alone");
        return Ok(Action::await_change());
    }
    let jobs: Api<ScrapeJob> = Api::namespaced(context.desk.client.clone(), &seen.namespace().unwrap_or_default());
    // The watch may lag behind our own writes.
    let job = jobs.get_opt(&seen.name_any()).await?.filter(|job| job.metadata.uid == seen.meta().uid);
    let action = match job {
        None => Action::await_change(),
        Some(job) if job.metadata.deletion_timestamp.is_some() => {
            context.forget(&job);
            farewell::farewell(&context, &job).await?
        }
        Some(job) if has_ended(&job) => expire(&context, &job, Timestamp::now()).await?,
        Some(job) => match context.early(&job) {
            Some(wait) => Action::requeue(wait),
            None => advance(&context, job).await?,
        },
    };
    context.desk.succeeded(&*seen);
    Ok(action)
}

pub(super) fn retry_later<W: Ways>(
    job: Arc<DeserializeGuard<ScrapeJob>>,
    _: &Error,
    context: Arc<Context<W>>,
) -> Action {
    context.desk.failed(&*job)
}

/// Removes a job that has ended `ttlSecondsAfterFinished` ago, or waits until then.
async fn expire<W: Ways>(context: &Context<W>, job: &ScrapeJob, now: Timestamp) -> Result<Action, Error> {
    context.forget(job);
    let Some(ttl) = job.spec.ttl_seconds_after_finished else { return Ok(Action::await_change()) };
    let Some(ended) = ended_at(job) else { return Ok(Action::await_change()) };
    let left = ended.as_second() + i64::from(ttl) - now.as_second();
    if let Ok(left @ 1..) = u64::try_from(left) {
        return Ok(Action::requeue(Duration::from_secs(left).min(LONGEST_WAIT)));
    }
    // Whoever changed the object meanwhile, its ttl for instance, wins.
    let preconditions = Preconditions { uid: job.uid(), resource_version: job.resource_version() };
    let how = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match context.jobs(job).delete(&job.name_any(), &how).await {
        Ok(_) => tracing::info!(job = job.name_any(), ttl, "removed after its ttl"),
        Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Action::await_change())
}

/// When the job ended: as the ring says, or when the failure was seen.
fn ended_at(job: &ScrapeJob) -> Option<Timestamp> {
    let status = job.status.as_ref()?;
    let failed = || {
        let last = status.conditions.iter().filter(|condition| condition.type_ == status::FAILED);
        last.map(|condition| condition.last_transition_time.as_str()).next()
    };
    status.completion_time.as_deref().or_else(failed)?.parse().ok()
}

/// Brings a job that has not ended one step further.
async fn advance<W: Ways>(context: &Context<W>, mut job: ScrapeJob) -> Result<Action, Error> {
    if !job.finalizers().iter().any(|name| name == FINALIZER) {
        job = keep(context, &job).await?;
    }
    let finding = find(context, &job).await?;
    let next = status::next(&job, &finding, Timestamp::now());
    if let Some(next) = &next {
        context.desk.write_status(&job, next).await?;
        announce(context, &job, next).await;
    }
    let ended = next
        .as_ref()
        .is_some_and(|next| holds(&next.conditions, status::COMPLETE) || holds(&next.conditions, status::FAILED));
    if ended {
        job.status = next;
        return expire(context, &job, Timestamp::now()).await;
    }
    Ok(match finding {
        // A change of the object, of its ring, or nothing: nobody has to be asked.
        Finding::Held => Action::await_change(),
        Finding::Seen(_) => context.look_again(&job, pause(&job, next.as_ref())),
        Finding::Waiting { .. } | Finding::Silent { .. } | Finding::Refused { .. } => context.look_again(&job, RECHECK),
    })
}

/// Puts the finalizer on, over exactly the version that was read.
async fn keep<W: Ways>(context: &Context<W>, job: &ScrapeJob) -> Result<ScrapeJob, kube::Error> {
    let finalizers: Vec<&str> = job.finalizers().iter().map(String::as_str).chain([FINALIZER]).collect();
    let patch = json!({ "metadata": { "resourceVersion": job.resource_version(), "finalizers": finalizers } });
    context.jobs(job).patch(&job.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await
}

/// Looks where the job stands, and hands it in, pauses or resumes it where that is due.
async fn find<W: Ways>(context: &Context<W>, job: &ScrapeJob) -> Result<Finding, Error> {
    let id = job.status.as_ref().and_then(|status| status.job_id.clone());
    let Some(ring) = context.ring(job).await? else { return Ok(ringless(job, id.is_some())) };
    if id.is_none() && job.spec.suspend {
        return Ok(Finding::Held);
    }
    let way = match context.ways.to(&ring).await {
        Ok(way) => way,
        Err(error) => return Ok(unreachable(&error, id.is_some())),
    };
    let asked = match &id {
        Some(id) => way.read(id).await,
        None => match opened(context, job).await {
            Ok(job) => hand_in(&job, &*way).await,
            Err(error) => return Ok(Finding::Waiting { reason: error.reason(), message: error.to_string() }),
        },
    };
    let asked = match asked {
        Ok(report) => steer(job, report, &*way).await,
        Err(error) => Err(error),
    };
    Ok(match asked {
        Ok(report) => Finding::Seen(report),
        Err(error) => {
            context.ways.forget(&ring);
            refusal(&error, id.is_some())
        }
    })
}

fn ringless(job: &ScrapeJob, submitted: bool) -> Finding {
    let ring = &job.spec.ring_ref.name;
    if submitted {
        let message = format!(
            "the ScrapeRing {ring} that had the job is gone; what it found is on the ring's volumes, if they were kept"
        );
        Finding::Refused { reason: "RingNotFound", message }
    } else {
        let message = format!("there is no ScrapeRing {ring} in this namespace; the job is handed in once there is");
        Finding::Waiting { reason: "RingNotFound", message }
    }
}

fn unreachable(error: &ways::Error, submitted: bool) -> Finding {
    let (reason, message) = match error {
        ways::Error::Api(_) => ("RingUnready", "the API server does not let the ring's keys be read".to_owned()),
        ways::Error::Keys(error) => ("RingKeysUnusable", error.to_string()),
        other => ("RingUnready", other.to_string()),
    };
    if submitted { Finding::Silent { message } } else { Finding::Waiting { reason, message } }
}

/// The job with what stands in the Secrets that it refers to.
async fn opened<W: Ways>(context: &Context<W>, job: &ScrapeJob) -> Result<ScrapeJob, secrets::Error> {
    let api: Api<Secret> = Api::namespaced(context.desk.client.clone(), &job.namespace().unwrap_or_default());
    let mut opened = job.clone();
    for (kind, name) in secrets::references(job) {
        let found = api.get_opt(&name).await.map_err(|source| secrets::Error::Api { kind, source })?;
        secrets::fill(&mut opened, kind, &name, secrets::entries(kind, &name, found)?)?;
    }
    Ok(opened)
}

/// The job as the ring took it.
async fn hand_in(job: &ScrapeJob, way: &impl Jobs) -> Result<Report, gateway::Error> {
    let submission =
        submission(job).ok_or_else(|| gateway::Error::Strange("the object has no namespace or no uid".to_owned()))?;
    let submitted = way.submit(&submission.key, &submission.file).await;
    // The Secret may have changed after the ring took the job and before its answer arrived: it is the same job.
    let earlier = match &submitted {
        Err(gateway::Error::Refused(problem)) if problem.slug == "idempotency-key-reused" => problem.job.clone(),
        _ => None,
    };
    match earlier {
        Some(id) => way.read(&id).await,
        None => submitted,
    }
}

/// Pauses or resumes a job whose state is not what its object asks for, and gives it the priority and parallelism of its object.
async fn steer(job: &ScrapeJob, report: Report, way: &impl Jobs) -> Result<Report, gateway::Error> {
    let suspend = match report.status.phase {
        Phase::Pending | Phase::Running => job.spec.suspend.then_some(true),
        Phase::Paused => (!job.spec.suspend).then_some(false),
        _ => return Ok(report),
    };
    let has_another = report.spec.priority.is_some_and(|priority| priority != job.spec.priority);
    let wanted = job.spec.parallelism;
    let parallelism = (report.spec.parallelism != wanted).then_some(Parallelism(wanted));
    let change = Change { suspend, priority: has_another.then_some(job.spec.priority), parallelism };
    if change == Change::default() {
        return Ok(report);
    }
    match way.change(&report.metadata.uid, &change).await {
        // It has ended, or is between two states: the next look tells. A change that the ring does not take is no fault
        // of the job, which goes on as it is.
        Err(gateway::Error::Refused(problem)) if problem.is_about_a_change() => {
            tracing::warn!(job = key(job), "the ring does not change the job now: {problem}");
            Ok(report)
        }
        other => other,
    }
}

fn refusal(error: &gateway::Error, submitted: bool) -> Finding {
    let message = error.to_string();
    let Some(problem) = error.problem().filter(|problem| !problem.is_passing()) else {
        return if submitted {
            Finding::Silent { message }
        } else {
            Finding::Waiting { reason: "RingSilent", message }
        };
    };
    match problem.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if submitted => Finding::Silent { message },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Finding::Waiting { reason: "TokenRefused", message },
        StatusCode::NOT_FOUND => Finding::Refused {
            reason: "JobLost",
            message: "the ring does not know the job any more: it was deleted there, or the ring is another one"
                .to_owned(),
        },
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
            Finding::Refused { reason: "InvalidJob", message }
        }
        _ if submitted => Finding::Silent { message },
        _ => Finding::Waiting { reason: "RingRefused", message },
    }
}

/// How long until the next look: a tenth of the job's age, within bounds.
fn pause(job: &ScrapeJob, next: Option<&ScrapeJobStatus>) -> Duration {
    let status = next.or(job.status.as_ref());
    let begun = status.and_then(|status| status.start_time.as_deref()).and_then(|text| text.parse::<Timestamp>().ok());
    let age = begun.map_or(0, |begun| Timestamp::now().duration_since(begun).as_secs().max(0));
    Duration::from_secs(age.unsigned_abs() / 10).clamp(LOOK[0], LOOK[1])
}

/// Tells of what has come to hold since the status before.
async fn announce<W: Ways>(context: &Context<W>, job: &ScrapeJob, next: &ScrapeJobStatus) {
    let before = job.status.as_ref().map_or(&[][..], |status| &status.conditions);
    for condition in &next.conditions {
        let is_new = holds(&next.conditions, &condition.type_) && !holds(before, &condition.type_);
        let type_ = if condition.type_ == status::FAILED { EventType::Warning } else { EventType::Normal };
        if is_new {
            context.desk.tell(job, type_, &condition.reason, &condition.message).await;
        }
    }
}
