//! Schedules through any gateway. Whatever it sends may be sent twice: a document makes one schedule, a key one run.

use super::kv::escaped;
use super::{Client, ClientError, json};
use crate::gateway::object::{JobList, JobObject};
use crate::gateway::{IDEMPOTENCY_KEY_HEADER, ScheduleList, ScheduleObject};
use reqwest::Method;

impl Client {
    /// Makes a schedule.
    pub(in crate::cli) async fn make_schedule(&self, document: &[u8]) -> Result<ScheduleObject, ClientError> {
        let answer = self.call(Method::POST, "/v1/schedules", |request| {
            request.header("content-type", "application/yaml").body(document.to_vec())
        });
        json(answer.await?).await
    }

    /// Every schedule.
    pub(in crate::cli) async fn schedules(&self) -> Result<ScheduleList, ClientError> {
        let mut all: ScheduleList = self.read("/v1/schedules").await?;
        while let Some(cursor) = all.next.take() {
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("cursor", &cursor).finish();
            let ScheduleList { items, next, .. } = self.read(&format!("/v1/schedules?{query}")).await?;
            all.items.extend(items);
            all.next = next;
        }
        Ok(all)
    }

    /// A schedule.
    pub(in crate::cli) async fn schedule(&self, name: &str) -> Result<ScheduleObject, ClientError> {
        self.read(&path(name)).await
    }

    /// The jobs that a schedule made, the newest first.
    pub(in crate::cli) async fn runs(&self, name: &str) -> Result<JobList, ClientError> {
        self.read(&format!("{}/runs", path(name))).await
    }

    /// Holds a schedule, or lets it go on.
    pub(in crate::cli) async fn hold(&self, name: &str, suspend: bool) -> Result<ScheduleObject, ClientError> {
        let body = serde_json::json!({"spec": {"suspend": suspend}});
        json(self.call(Method::PATCH, &path(name), |request| request.json(&body)).await?).await
    }

    /// Makes a run now; `key` makes a repetition harmless.
    pub(in crate::cli) async fn trigger(&self, name: &str, key: &str) -> Result<JobObject, ClientError> {
        let path = format!("{}/trigger", path(name));
        json(self.call(Method::POST, &path, |request| request.header(IDEMPOTENCY_KEY_HEADER, key)).await?).await
    }

    /// Deletes a schedule.
    pub(in crate::cli) async fn delete_schedule(&self, name: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, &path(name), |request| request).await.map(|_| ())
    }
}

fn path(name: &str) -> String {
    format!("/v1/schedules/{}", escaped(name))
}
