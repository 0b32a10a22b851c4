//! Messages to webhooks for the doors: what was sent, what came of it, and once more.

use super::Jobs;
use super::doors::moment;
use super::jobs::{JobRef, JobsError};
use super::webhooks::{Entry, of_job};
use crate::auth::Tenant;
use schemars::JsonSchema;
use scrapering_core::frontier::delivery::{Answer, AttemptRecord, DeliveryId, DeliveryRecord, DeliveryState};
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{JobId, decode, encode};
use scrapering_core::register::Outcome;
use serde::{Deserialize, Serialize};

/// A message to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The `webhook-id` that its receiver sees.
    pub id: String,
    /// The job.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub job: JobId,
    /// The webhook's place in `spec.webhooks`, counted from 0.
    pub webhook: u16,
    /// The `type` of the message, such as `job.completed`.
    pub event: String,
    /// RFC 3339.
    pub created_at: String,
    /// Whether it was taken.
    pub state: DeliveryWord,
    /// When it is sent next, RFC 3339; absent when it is not sent any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
    /// The last attempts, the oldest first.
    pub attempts: Vec<DeliveryAttempt>,
}

/// Whether a message was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryWord {
    /// Not yet.
    Waiting,
    /// It was answered with a status of success.
    Delivered,
    /// It is not sent any more.
    GivenUp,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryAttempt {
    /// RFC 3339.
    pub at: String,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// The HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Jobs {
    /// The messages to the webhooks of a job, the newest first: those that wait, and the last 50 of each webhook.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Unavailable`].
    pub async fn deliveries(&self, job: &JobRef) -> Result<Vec<Delivery>, JobsError> {
        self.record(job).await?;
        let mut entries = of_job(&self.crawl, job.id).await?;
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.record.created_ms, entry.id)));
        Ok(entries.into_iter().map(|Entry { id, record, .. }| Delivery::of(id, record)).collect())
    }

    /// Sends a message once more, from now on, as if it was new.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::NoDelivery`]; [`JobsError::Conflict`] if it is being sent just now;
    /// [`JobsError::Unavailable`], [`JobsError::DiskFull`] or [`JobsError::Indeterminate`]: it may be sent.
    pub async fn redeliver(&self, tenant: &Tenant, id: DeliveryId) -> Result<Delivery, JobsError> {
        let job = JobRef { tenant: tenant.clone(), id: id.job };
        self.record(&job).await?;
        let key = Name::Delivery(id).key(job_partition(id.job));
        let value = self.crawl.driver.read_one(key.clone()).await?.ok_or(JobsError::NoDelivery(id))?;
        let content = value.content.as_deref().ok_or(JobsError::NoDelivery(id))?;
        let mut record: DeliveryRecord = decode(content).map_err(|_| JobsError::Unavailable)?;
        record.handle_redeliver(self.crawl.driver.clock().wall_ms());
        match self.crawl.driver.compare_and_set(key, value.version, encode(&record)).await {
            Outcome::Done { .. } => {}
            Outcome::Conflict { .. } => {
                return Err(JobsError::Conflict("the message is being sent just now; look at it again".to_owned()));
            }
            Outcome::Indeterminate => return Err(JobsError::Indeterminate),
            Outcome::Unavailable => return Err(self.unavailable(crate::driver::registers::Unavailable)),
        }
        self.edit(&job, None, |record| {
            record.errands = true;
            Ok(())
        })
        .await?;
        // Whoever does the job's errands looks again.
        let (stored, _) = self.record(&job).await?;
        self.bring(job.id, &stored.file).await?;
        Ok(Delivery::of(id, record))
    }
}

impl Delivery {
    fn of(id: DeliveryId, record: DeliveryRecord) -> Self {
        let (state, next_attempt_at) = match record.state {
            DeliveryState::Waiting { at_ms } => (DeliveryWord::Waiting, moment(at_ms)),
            DeliveryState::Delivered => (DeliveryWord::Delivered, None),
            DeliveryState::GivenUp => (DeliveryWord::GivenUp, None),
        };
        let attempt = |AttemptRecord { at_ms, took_ms, answer }| {
            let (status, error) = match answer {
                Answer::Status(status) => (Some(status), None),
                Answer::Error(error) => (None, Some(error)),
            };
            DeliveryAttempt { at: moment(at_ms).unwrap_or_default(), took_ms, status, error }
        };
        Self {
            id: id.to_string(),
            job: id.job,
            webhook: id.hook,
            event: record.event.as_str().to_owned(),
            created_at: moment(record.created_ms).unwrap_or_default(),
            state,
            next_attempt_at,
            attempts: record.attempts.into_iter().map(attempt).collect(),
        }
    }
}
